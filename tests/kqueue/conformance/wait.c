/* kevent() as a way to wait. */
#include "expect.h"
#include "helpers.h"

#include <setjmp.h>

TEST(wait_empty_queue)
{
    int kq = queue();
    int64_t start = time_ns();
    struct kevent ev;

    CHECK_EQUAL(collect(kq, &ev, 1, 30 * MS), 0);
    CHECK(time_ns() - start >= 30 * MS);
    EXPECT_SILENCE(kq);
}

/* Nanoseconds are not cut down to milliseconds. */
TEST(wait_never_early)
{
    static const int64_t waits[] = {1,       1000,    99999,   500000,
                                    1000001, 1500000, 2999999, 7000001};
    int kq = queue();
    size_t i;

    for (i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        int64_t start = time_ns();
        struct kevent ev;

        CHECK_EQUAL(collect(kq, &ev, 1, waits[i]), 0);
        CHECK(time_ns() - start >= waits[i]);
    }
}

/* kqueue(2): with nevents 0 kevent() returns at once, whatever the timeout. */
TEST(wait_without_room)
{
    struct timespec hour = {3600, 0};
    struct kevent ev;
    int kq = queue();

    CHECK_EQUAL(call(kq, NULL, 0, NULL, 0, NULL), 0);
    CHECK_EQUAL(call(kq, NULL, 0, &ev, 0, NULL), 0);
    CHECK_EQUAL(call(kq, NULL, 0, &ev, 0, &hour), 0);
}

TEST(wait_forever)
{
    struct kevent ev;
    int64_t start = time_ns();
    int kq = queue();

    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 50);
    CHECK_EQUAL(call(kq, NULL, 0, &ev, 1, NULL), 1);
    CHECK(time_ns() - start + EARLY >= 50 * MS);
    CHECK_EQUAL(ev.ident, 1);
    EXPECT_SILENCE(kq);
}

/* Longer than an int of milliseconds (24.8 days), and than anything. */
TEST(wait_long_timeout)
{
    static const time_t seconds[] = {86400, 2147484, 5000000, INT32_MAX};
    int kq = queue();
    size_t i;

    for (i = 0; i < sizeof seconds / sizeof seconds[0]; i++) {
        struct timespec t = {seconds[i], 999999999};
        struct kevent ev;
        int64_t start = time_ns();

        CHANGE(kq, i, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 30);
        CHECK_EQUAL(call(kq, NULL, 0, &ev, 1, &t), 1);
        CHECK(time_ns() - start + EARLY >= 30 * MS);
        CHECK_EQUAL(ev.ident, i);
    }
}

TEST(wait_endless_timeout)
{
    struct timespec t = {(time_t)INT64_MAX, 0};
    struct kevent ev;
    int kq = queue();

    only_on(LIKE_FREEBSD | NETBSD, "only these cap it: sys/kern/kern_event.c");
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 30);
    CHECK_EQUAL(call(kq, NULL, 0, &ev, 1, &t), 1);
}

TEST(wait_bad_timeout)
{
    static const struct timespec wrong[] = {{-1, 0}, {0, -1}, {0, 1000000000}};
    struct kevent ev;
    int kq = queue();
    size_t i;

    not_on(DRAGONFLY, "the others refuse it: sys/kern/kern_event.c, each");
    for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        errno = 0;
        CHECK_EQUAL(call(kq, NULL, 0, &ev, 1, &wrong[i]), -1);
        CHECK_EQUAL(errno, EINVAL);
    }
}

TEST(wait_negative_room)
{
    struct timespec zero = {0, 0};
    struct kevent ev;
    int kq = queue();

    only_on(LINUX, "current FreeBSD alone refuses it; NetBSD would hang");
    CHECK_EQUAL(call(kq, NULL, 0, &ev, -1, &zero), -1);
    CHECK_EQUAL(errno, EINVAL);
}

TEST(wait_bad_queue)
{
    int kq = queue(), fd[2];

    SYS(pipe(fd));
    EXPECT_BAD_QUEUE(-1);
    EXPECT_BAD_QUEUE(fd[0]);
    EXPECT_BAD_QUEUE(1 << 20);
    SYS(close(kq));
    EXPECT_BAD_QUEUE(kq);
}

/* kevent(2), all: a signal ends the wait, SA_RESTART or not. */
TEST(wait_interrupted)
{
    struct kevent ev;
    pid_t child;
    int kq = queue();

    handle(SIGUSR1, handler);
    child = start_signaller(SIGUSR1, true);
    errno = 0;
    CHECK_EQUAL(collect(kq, &ev, 1, LIMIT_MS * MS), -1);
    CHECK_EQUAL(errno, EINTR);
    CHECK(handled > 0);
    stop_child(child);
}

/* kevent(2), FreeBSD and NetBSD: then all changes have been applied. */
TEST(wait_interrupted_applies)
{
    struct timespec t = {LIMIT_MS / 1000, 0};
    struct kevent ev, changes[2];
    int kq = queue(), fd[2];
    pid_t child;

    unix_pair(fd);
    CHANGE(kq, 5, EVFILT_TIMER, EV_ADD, 0, 60000);
    changes[0] = ENTRY(fd[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    changes[1] = ENTRY(5, EVFILT_TIMER, EV_DELETE, 0, 0, 2);
    handle(SIGUSR1, handler);
    child = start_signaller(SIGUSR1, true);
    CHECK_EQUAL(call(kq, changes, 2, &ev, 1, &t), -1);
    CHECK_EQUAL(errno, EINTR);
    stop_child(child);
    EXPECT_ABSENT(kq, 5, EVFILT_TIMER);
    put(fd[1], 3);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 3);
}

TEST(wait_submits_and_collects)
{
    struct kevent ev, change;
    int kq = queue(), fd[2];

    unix_pair(fd);
    put(fd[1], 2);
    change = ENTRY(fd[0], EVFILT_READ, EV_ADD, 0, 0, 7);
    CHECK_EQUAL(call(kq, &change, 1, &ev, 1, NULL), 1);
    CHECK_EQUAL(ev.ident, fd[0]);
    CHECK(ev.udata == UDATA(7));
    take(fd[0], 2);
    EXPECT_SILENCE(kq);
}

/* A knote is in the list once, however much room there is. */
TEST(wait_lists_each_once)
{
    struct kevent ev[64];
    int kq = queue(), fd[2];

    unix_pair(fd);
    put(fd[1], 2);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
    CHECK_EQUAL(collect(kq, ev, 64, LIMIT_MS * MS), 2);
    CHECK(ev[0].filter != ev[1].filter);
    CHECK_EQUAL(ev[0].ident, fd[0]);
    CHECK_EQUAL(ev[1].ident, fd[0]);
}

static sigjmp_buf out_of_handler;

static void leave_by_jump(int number)
{
    (void)number;
    siglongjmp(out_of_handler, 1);
}

/* A handler may leave a kevent() that waits; the queue goes on. */
TEST(wait_left_by_siglongjmp)
{
    struct kevent ev;
    int kq = queue(), fd[2];
    pid_t child;

    unix_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    handle(SIGUSR1, leave_by_jump);
    child = start_signaller(SIGUSR1, false);
    if (sigsetjmp(out_of_handler, 1) == 0) {
        collect(kq, &ev, 1, LIMIT_MS * MS);
        fail(HERE, "no signal has ended the wait");
    }
    SYS(waitpid(child, NULL, 0));
    put(fd[1], 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    CHANGE(kq, fd[0], EVFILT_READ, EV_DELETE, 0, 0);
    EXPECT_SILENCE(kq);
}
