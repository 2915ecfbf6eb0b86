/* A thread waits while another changes the queue. */
#include "expect.h"
#include "helpers.h"

struct waiter {
    pthread_t thread;
    int kq, result;
    struct kevent ev;
};

static void *wait_once(void *argument)
{
    struct waiter *w = argument;

    w->result = collect(w->kq, &w->ev, 1, LIMIT_MS * MS);
    return NULL;
}

static void start_waiter(struct waiter *w, int kq)
{
    memset(w, 0, sizeof *w);
    w->kq = kq;
    start_thread(&w->thread, wait_once, w);
    nap(20 * MS); /* most likely it waits by now; either way must do */
}

static void finish_waiter(const char *file, int line, struct waiter *w,
                          uintptr_t ident, filter_t filter)
{
    char text[200];

    check_equal(file, line, "pthread_join", pthread_join(w->thread, NULL), 0);
    check_equal(file, line, "events of the waiting thread", w->result, 1);
    if (w->ev.ident != ident || w->ev.filter != filter)
        fail(file, line, "the waiting thread got %s", describe(text, &w->ev));
}

#define FINISH(w, ident, filter) \
    finish_waiter(HERE, w, (uintptr_t)(ident), (filter_t)(filter))

TEST(thread_trigger_wakes)
{
    struct waiter w;
    int kq = queue();

    need_user();
    CHANGE(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0);
    start_waiter(&w, kq);
    TRIGGER(kq, 1);
    FINISH(&w, 1, EVFILT_USER);
    EXPECT_SILENCE(kq);
}

/* The first USER event and the first timer of a queue that is waited for. */
TEST(thread_add_user_wakes)
{
    struct waiter w;
    int kq = queue();

    need_user();
    start_waiter(&w, kq);
    CHANGE(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0);
    TRIGGER(kq, 1);
    FINISH(&w, 1, EVFILT_USER);
    EXPECT_SILENCE(kq);
}

TEST(thread_add_timer_wakes)
{
    struct waiter w;
    int kq = queue();

    start_waiter(&w, kq);
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 20);
    FINISH(&w, 1, EVFILT_TIMER);
    CHANGE(kq, 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 3600000);
    start_waiter(&w, kq);
    CHANGE(kq, 3, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 20); /* sooner */
    FINISH(&w, 3, EVFILT_TIMER);
    EXPECT_SILENCE(kq);
}

TEST(thread_add_ready_wakes)
{
    struct waiter w;
    int kq = queue(), fd[2], file = regular_file(10);

    unix_pair(fd);
    put(fd[1], 1);
    start_waiter(&w, kq);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    FINISH(&w, fd[0], EVFILT_READ);
    EXPECT_SILENCE(kq);
    start_waiter(&w, kq);
    CHANGE(kq, file, EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0);
    FINISH(&w, file, EVFILT_READ);
    EXPECT_SILENCE(kq);
}

TEST(thread_enable_wakes)
{
    struct waiter w;
    int kq = queue(), fd[2];

    unix_pair(fd);
    put(fd[1], 1);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_DISABLE, 0, 0);
    start_waiter(&w, kq);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ENABLE, 0, 0);
    FINISH(&w, fd[0], EVFILT_READ);
}

TEST(thread_data_wakes)
{
    struct waiter w;
    int kq = queue(), fd[2];

    tcp_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    start_waiter(&w, kq);
    put(fd[1], 5);
    FINISH(&w, fd[0], EVFILT_READ);
    CHECK_EQUAL(w.ev.data, 5);
    EXPECT_SILENCE(kq);
}

TEST(thread_signal_wakes)
{
    struct waiter w;
    int kq = queue();

    handle(SIGUSR1, SIG_IGN);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    start_waiter(&w, kq);
    SYS(kill(getpid(), SIGUSR1));
    FINISH(&w, SIGUSR1, EVFILT_SIGNAL);
    EXPECT_SILENCE(kq);
}

/* What is closed or deleted while another thread waits says nothing more. */
TEST(thread_close_while_waiting)
{
    struct waiter w;
    int kq = queue(), a[2], b[2], next[2];

    unix_pair(a);
    unix_pair(b);
    CHANGE(kq, a[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, b[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, 9, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 3600000);
    start_waiter(&w, kq);
    SYS(close(a[0]));
    CHANGE(kq, b[0], EVFILT_READ, EV_DELETE, 0, 0);
    put(b[1], 1);
    unix_pair(next);
    CHECK_EQUAL(next[0], a[0]);
    put(next[1], 1);
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 20);
    FINISH(&w, 1, EVFILT_TIMER);
    EXPECT_SILENCE(kq);
}
