/* EVFILT_SIGNAL. */
#include "expect.h"
#include "helpers.h"

/* kqueue(2): attempts are recorded even for a signal that is ignored. kill()
   to oneself has done its work when it returns: no wait is needed. */
TEST(signal_ignored)
{
    int kq = queue();

    handle(SIGUSR1, SIG_IGN);
    CHANGE_UDATA(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0, 4);
    EXPECT_SILENCE(kq);
    SYS(kill(getpid(), SIGUSR1));
    CHECK(EXPECT_EVENT(kq, SIGUSR1, EVFILT_SIGNAL, 0, 1).udata == UDATA(4));
    EXPECT_SILENCE(kq);
    SYS(kill(getpid(), SIGUSR1));
    EXPECT_EVENT(kq, SIGUSR1, EVFILT_SIGNAL, 0, 1);
    EXPECT_SILENCE(kq);
}

/* At timeout 0, so without any time for a helper to act in. */
TEST(signal_at_once)
{
    int kq = queue(), i;

    handle(SIGUSR1, handler);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    for (i = 0; i < 200; i++) {
        struct kevent ev;

        SYS(kill(getpid(), SIGUSR1));
        CHECK_EQUAL(collect(kq, &ev, 1, 0), 1);
        EXPECT_SILENCE(kq);
    }
}

TEST(signal_counts)
{
    int kq = queue(), i;

    handle(SIGUSR1, handler);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    for (i = 0; i < 3; i++)
        SYS(kill(getpid(), SIGUSR1));
    EXPECT_EVENT(kq, SIGUSR1, EVFILT_SIGNAL, 0, 3);
    EXPECT_SILENCE(kq);
    SYS(kill(getpid(), SIGUSR1));
    EXPECT_EVENT(kq, SIGUSR1, EVFILT_SIGNAL, 0, 1);
}

/* The handler runs too, as if there were no kqueue. */
TEST(signal_handler_runs)
{
    int kq = queue(), i;

    handle(SIGUSR1, handler);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    for (i = 1; i <= 3; i++) {
        SYS(kill(getpid(), SIGUSR1));
        EXPECT_EVENT(kq, SIGUSR1, EVFILT_SIGNAL, 0, 1);
        CHECK_EQUAL(handled, i);
    }
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_DELETE, 0, 0);
    SYS(kill(getpid(), SIGUSR1));
    CHECK_EQUAL(handled, 4);
    EXPECT_SILENCE(kq);
}

TEST(signal_handler_set_later)
{
    int kq = queue();

    handle(SIGUSR1, SIG_IGN);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    handle(SIGUSR1, handler);
    EXPECT_SILENCE(kq); /* the Linux layer notices when it waits */
    SYS(kill(getpid(), SIGUSR1));
    EXPECT_EVENT(kq, SIGUSR1, EVFILT_SIGNAL, 0, 1);
    CHECK_EQUAL(handled, 1);
    EXPECT_SILENCE(kq);
}

/* The default action happens as well: SIGTERM ends the process. */
TEST(signal_default_action)
{
    pid_t child = start_child();
    int status;

    if (child == 0) {
        int kq = queue();

        CHANGE(kq, SIGTERM, EVFILT_SIGNAL, EV_ADD, 0, 0);
        kill(getpid(), SIGTERM);
        _exit(0);
    }
    status = status_of(child);
    CHECK(WIFSIGNALED(status));
    CHECK_EQUAL(WTERMSIG(status), SIGTERM);
}

TEST(signal_of_a_child)
{
    int kq = queue(), status;
    pid_t child;

    handle(SIGCHLD, handler);
    CHANGE(kq, SIGCHLD, EVFILT_SIGNAL, EV_ADD, 0, 0);
    child = start_child();
    if (child == 0)
        _exit(5);
    for (;;) { /* the handler may interrupt the wait: kevent(2) */
        struct kevent ev;
        int n = collect(kq, &ev, 1, LIMIT_MS * MS);

        if (n == -1 && errno == EINTR)
            continue;
        CHECK_EQUAL(n, 1);
        CHECK_EQUAL(ev.ident, SIGCHLD);
        break;
    }
    status = status_of(child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
    EXPECT_SILENCE(kq);
}

/* kqueue(2), FreeBSD: an ignored SIGCHLD is the exception. */
TEST(signal_child_ignored)
{
    int kq = queue();
    pid_t child;

    only_on(LIKE_FREEBSD, "FreeBSD alone makes this exception: kqueue(2)");
    handle(SIGCHLD, SIG_IGN);
    CHANGE(kq, SIGCHLD, EVFILT_SIGNAL, EV_ADD, 0, 0);
    child = start_child();
    if (child == 0)
        _exit(0);
    while (kill(child, 0) == 0)
        nap(MS); /* it is reaped without wait() */
    EXPECT_SILENCE(kq);
}

TEST(signal_before_add)
{
    int kq = queue();

    handle(SIGUSR1, SIG_IGN);
    SYS(kill(getpid(), SIGUSR1));
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    SYS(kill(getpid(), SIGUSR1));
    EXPECT_EVENT(kq, SIGUSR1, EVFILT_SIGNAL, 0, 1);
}

/* A blocked signal is an attempt as well, and kqueue does not take it. */
TEST(signal_blocked)
{
    sigset_t mask;
    int kq = queue();

    handle(SIGUSR1, handler);
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    SYS(sigprocmask(SIG_BLOCK, &mask, NULL));
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    SYS(kill(getpid(), SIGUSR1));
    CHECK_EQUAL(handled, 0);
    if (SYSTEM != LINUX) /* a handler is how the Linux layer learns of it */
        EXPECT_EVENT(kq, SIGUSR1, EVFILT_SIGNAL, 0, 1);
    EXPECT_SILENCE(kq);
    SYS(sigprocmask(SIG_UNBLOCK, &mask, NULL));
    CHECK_EQUAL(handled, 1);
    if (SYSTEM == LINUX)
        EXPECT_EVENT(kq, SIGUSR1, EVFILT_SIGNAL, 0, 1);
    EXPECT_SILENCE(kq);
}

TEST(signal_one_slot)
{
    struct kevent a, b;
    int kq = queue();

    handle(SIGUSR1, SIG_IGN);
    handle(SIGUSR2, SIG_IGN);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    CHANGE(kq, SIGUSR2, EVFILT_SIGNAL, EV_ADD, 0, 0);
    SYS(kill(getpid(), SIGUSR1));
    SYS(kill(getpid(), SIGUSR2));
    CHECK_EQUAL(collect(kq, &a, 1, LIMIT_MS * MS), 1);
    CHECK_EQUAL(collect(kq, &b, 1, LIMIT_MS * MS), 1);
    CHECK_EQUAL(a.ident + b.ident, SIGUSR1 + SIGUSR2);
    CHECK(a.ident != b.ident);
    EXPECT_SILENCE(kq);
}

TEST(signal_delete)
{
    int kq = queue();

    handle(SIGUSR1, SIG_IGN);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_DELETE, 0, 0);
    SYS(kill(getpid(), SIGUSR1));
    EXPECT_SILENCE(kq);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    SYS(kill(getpid(), SIGUSR1));
    EXPECT_EVENT(kq, SIGUSR1, EVFILT_SIGNAL, 0, 1);
    EXPECT_SILENCE(kq);
}

TEST(signal_two_queues)
{
    int one = queue(), two = queue();

    handle(SIGUSR1, SIG_IGN);
    CHANGE_UDATA(one, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0, 1);
    CHANGE_UDATA(two, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0, 2);
    SYS(kill(getpid(), SIGUSR1));
    CHECK(EXPECT_EVENT(one, SIGUSR1, EVFILT_SIGNAL, 0, 1).udata == UDATA(1));
    CHECK(EXPECT_EVENT(two, SIGUSR1, EVFILT_SIGNAL, 0, 1).udata == UDATA(2));
    CHANGE(one, SIGUSR1, EVFILT_SIGNAL, EV_DELETE, 0, 0);
    SYS(kill(getpid(), SIGUSR1));
    EXPECT_SILENCE(one);
    EXPECT_EVENT(two, SIGUSR1, EVFILT_SIGNAL, 0, 1);
    SYS(close(two));
    CHANGE(one, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    SYS(kill(getpid(), SIGUSR1));
    EXPECT_EVENT(one, SIGUSR1, EVFILT_SIGNAL, 0, 1);
    EXPECT_SILENCE(one);
}

/* A signal from elsewhere ends a wait, by an event or by EINTR. */
static void signal_ends_a_wait(void (*action)(int))
{
    struct kevent ev;
    pid_t child;
    int kq = queue(), n;

    handle(SIGUSR1, action);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    child = start_signaller(SIGUSR1, false);
    n = collect(kq, &ev, 1, LIMIT_MS * MS);
    if (n == -1 && action != SIG_IGN) {
        CHECK_EQUAL(errno, EINTR);
        n = collect(kq, &ev, 1, 0);
    }
    CHECK_EQUAL(n, 1);
    CHECK_EQUAL(ev.ident, SIGUSR1);
    CHECK_EQUAL(ev.data, 1);
    EXPECT_SILENCE(kq);
    status_of(child);
}

TEST(signal_ends_a_wait_ignored)
{
    signal_ends_a_wait(SIG_IGN);
}

TEST(signal_ends_a_wait_handled)
{
    signal_ends_a_wait(handler);
    CHECK_EQUAL(handled, 1);
}

static bool blocked(int number)
{
    sigset_t mask;

    SYS(sigprocmask(SIG_BLOCK, NULL, &mask));
    return sigismember(&mask, number) == 1;
}

/* The mask is the program's own, before, while and after. */
TEST(signal_mask_is_kept)
{
    int kq = queue();

    handle(SIGUSR1, handler);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    CHECK(!blocked(SIGUSR1));
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_DELETE, 0, 0);
    CHECK(!blocked(SIGUSR1));
    SYS(kill(getpid(), SIGUSR1));
    CHECK_EQUAL(handled, 1);
}

TEST(signal_mask_after_close)
{
    int kq = queue();

    handle(SIGUSR1, handler);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    SYS(close(kq));
    CHECK(!blocked(SIGUSR1));
    SYS(kill(getpid(), SIGUSR1));
    CHECK_EQUAL(handled, 1);
    kq = queue();
    SYS(kill(getpid(), SIGUSR1));
    CHECK_EQUAL(handled, 2);
    EXPECT_SILENCE(kq);
}

/* After close(kq) the default action is the default action. */
TEST(signal_default_after_close)
{
    pid_t child = start_child();
    int status;

    if (child == 0) {
        int kq = queue();

        handle(SIGUSR1, SIG_IGN);
        CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
        kill(getpid(), SIGUSR1);
        EXPECT_EVENT(kq, SIGUSR1, EVFILT_SIGNAL, 0, 1);
        CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_DELETE, 0, 0);
        close(kq);
        handle(SIGUSR1, SIG_DFL);
        kill(getpid(), SIGUSR1);
        _exit(0);
    }
    status = status_of(child);
    CHECK(WIFSIGNALED(status));
    CHECK_EQUAL(WTERMSIG(status), SIGUSR1);
}

/* A program that is executed starts with the mask it would have had. */
TEST(signal_mask_of_a_new_program)
{
    int kq = queue(), status;
    pid_t child;

    handle(SIGUSR1, handler); /* exec makes it the default again */
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    child = start_child();
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", "kill -USR1 $$; exit 7", (char *)NULL);
        _exit(8);
    }
    status = status_of(child);
    CHECK(WIFSIGNALED(status));
    CHECK_EQUAL(WTERMSIG(status), SIGUSR1);
    EXPECT_SILENCE(kq);
}

/* What the program asked for with sigaction() is what it reads back. */
TEST(signal_action_is_kept)
{
    struct sigaction action;
    int kq = queue();

    handle(SIGUSR1, handler);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_DELETE, 0, 0);
    SYS(sigaction(SIGUSR1, NULL, &action));
    CHECK(action.sa_handler == handler);
}

/* SIG_IGN and SIG_DFL are no functions, whatever the flags promise. */
TEST(signal_ignored_with_siginfo)
{
    int kq = queue(), i;

    handle_with(SIGUSR1, SIG_IGN, SA_SIGINFO);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    for (i = 0; i < 2; i++) {
        SYS(kill(getpid(), SIGUSR1));
        EXPECT_EVENT(kq, SIGUSR1, EVFILT_SIGNAL, 0, 1);
        EXPECT_SILENCE(kq);
    }
}

/* The default of SIGURG is to do nothing, that of SIGTERM to end. */
TEST(signal_default_with_siginfo)
{
    int kq = queue(), status;
    pid_t child;

    handle_with(SIGURG, SIG_DFL, SA_SIGINFO);
    CHANGE(kq, SIGURG, EVFILT_SIGNAL, EV_ADD, 0, 0);
    SYS(kill(getpid(), SIGURG));
    EXPECT_EVENT(kq, SIGURG, EVFILT_SIGNAL, 0, 1);
    EXPECT_SILENCE(kq);
    child = start_child();
    if (child == 0) {
        int own = queue();

        handle_with(SIGTERM, SIG_DFL, SA_SIGINFO);
        CHANGE(own, SIGTERM, EVFILT_SIGNAL, EV_ADD, 0, 0);
        kill(getpid(), SIGTERM);
        _exit(0);
    }
    status = status_of(child);
    CHECK(WIFSIGNALED(status));
    CHECK_EQUAL(WTERMSIG(status), SIGTERM);
}

/* The handler runs once; then the signal is as if there had been none. */
TEST(signal_handler_that_resets)
{
    int kq = queue(), status, i;
    pid_t child;

    handle_with(SIGURG, handler, (int)SA_RESETHAND);
    CHANGE(kq, SIGURG, EVFILT_SIGNAL, EV_ADD, 0, 0);
    for (i = 0; i < 3; i++) {
        SYS(kill(getpid(), SIGURG));
        EXPECT_EVENT(kq, SIGURG, EVFILT_SIGNAL, 0, 1);
        EXPECT_SILENCE(kq);
        CHECK_EQUAL(handled, 1);
    }
    child = start_child();
    if (child == 0) {
        int own = queue();

        handle_with(SIGUSR1, handler, (int)SA_RESETHAND);
        CHANGE(own, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
        kill(getpid(), SIGUSR1);
        kill(getpid(), SIGUSR1);
        _exit(0);
    }
    status = status_of(child);
    CHECK(WIFSIGNALED(status));
    CHECK_EQUAL(WTERMSIG(status), SIGUSR1);
}

/* A stop is a default action that the process outlives. The group is not an
   orphan, which no SIGTSTP would stop: the parent is in the same session. */
TEST(signal_stops_again)
{
    pid_t child = start_child();
    int status, i;

    if (child == 0) {
        int kq = queue();
        struct kevent ev;

        SYS(setpgid(0, 0));
        CHANGE(kq, SIGTSTP, EVFILT_SIGNAL, EV_ADD, 0, 0);
        for (i = 0; i < 3; i++) {
            kill(getpid(), SIGTSTP);
            if (collect(kq, &ev, 1, 0) != 1 || ev.data != 1)
                _exit(1);
        }
        _exit(0);
    }
    for (i = 0; i < 3; i++) {
        SYS(waitpid(child, &status, WUNTRACED));
        CHECK(WIFSTOPPED(status));
        SYS(kill(child, SIGCONT));
    }
    status = status_of(child);
    CHECK(WIFEXITED(status));
    CHECK_EQUAL(WEXITSTATUS(status), 0);
}

/* A signal that is ignored ends no read(), watched or not. */
TEST(signal_ignored_ends_no_read)
{
    int kq = queue(), pipes[2], i;
    pid_t parent = getpid(), child;

    handle(SIGUSR1, SIG_IGN);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    SYS(pipe(pipes));
    child = start_child();
    if (child == 0) {
        for (i = 0; i < 10; i++) {
            nap(5 * MS);
            kill(parent, SIGUSR1);
        }
        put(pipes[1], 1);
        _exit(0);
    }
    take(pipes[0], 1);
    CHECK_EQUAL(status_of(child), 0);
    EXPECT_EVENT(kq, SIGUSR1, EVFILT_SIGNAL, 0, SOME);
}

/* A queue that was closed is no reason to touch errno between two lines. */
TEST(signal_leaves_errno)
{
    int kq = queue();

    handle(SIGUSR1, SIG_IGN);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    SYS(close(kq));
    errno = 0;
    SYS(kill(getpid(), SIGUSR1));
    CHECK_EQUAL(errno, 0);
}
