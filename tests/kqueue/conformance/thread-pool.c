/* Several threads take events from one queue. */
#include "expect.h"
#include "helpers.h"

/* ThreadSanitizer holds it against a program that one thread closes a number
   while another may use it. kqueue allows that; these tests are about it. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_THREAD__) || defined(THREAD_SANITIZER)
const char *__tsan_default_suppressions(void);

const char *__tsan_default_suppressions(void)
{
    return "race:interceptor_close$\nrace:^close$\n"
           "race:interceptor_socketpair$\nrace:^socketpair$\n";
}
#endif

/* Workers that take events until the number STOP comes, a level-triggered
   USER event which each of them sees. */
enum { WORKERS = 4, STOP = 1000000, JOBS = 400 };

static struct {
    pthread_mutex_t lock;
    int kq, done, clash;
    int times[JOBS], busy[JOBS], fd[JOBS][2];
} pool = {PTHREAD_MUTEX_INITIALIZER, -1, 0, 0, {0}, {0}, {{0}}};

static int pool_done(void)
{
    int done;

    pthread_mutex_lock(&pool.lock);
    done = pool.done;
    pthread_mutex_unlock(&pool.lock);
    return done;
}

static void *count_events(void *argument)
{
    struct kevent ev[4];
    int n, i;

    (void)argument;
    for (;;) {
        n = collect(pool.kq, ev, 4, LIMIT_MS * MS);
        if (n <= 0)
            return NULL;
        pthread_mutex_lock(&pool.lock);
        for (i = 0; i < n; i++)
            if (ev[i].ident != STOP) {
                pool.times[(intptr_t)ev[i].udata]++;
                pool.done++;
            }
        pthread_mutex_unlock(&pool.lock);
        for (i = 0; i < n; i++)
            if (ev[i].ident == STOP)
                return NULL;
    }
}

static void run_pool(void *(*work)(void *), void (*feed)(void), int jobs)
{
    pthread_t workers[WORKERS];
    int64_t end = time_ns() + LIMIT_MS * MS;
    int i;

    pool.kq = queue();
    CHANGE(pool.kq, STOP, EVFILT_USER, EV_ADD, 0, 0);
    for (i = 0; i < WORKERS; i++)
        start_thread(&workers[i], work, NULL);
    feed();
    while (pool_done() < jobs && time_ns() < end)
        nap(MS);
    TRIGGER(pool.kq, STOP);
    for (i = 0; i < WORKERS; i++)
        CHECK_EQUAL(pthread_join(workers[i], NULL), 0);
    CHANGE(pool.kq, STOP, EVFILT_USER, EV_DELETE, 0, 0);
    CHECK_EQUAL(pool.done, jobs);
    CHECK_EQUAL(pool.clash, 0);
    EXPECT_SILENCE(pool.kq);
}

static void feed_oneshots(void)
{
    int i;

    for (i = 0; i < JOBS; i++) {
        CHANGE_UDATA(pool.kq, i, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, i);
        CHANGE_UDATA(pool.kq, i, EVFILT_USER, 0, NOTE_TRIGGER, 0, i);
    }
}

TEST(thread_oneshot_once)
{
    int i;

    need_user();
    run_pool(count_events, feed_oneshots, JOBS);
    for (i = 0; i < JOBS; i++)
        CHECK_EQUAL(pool.times[i], 1);
}

static void feed_edges(void)
{
    int i;

    for (i = 0; i < 60; i++) {
        unix_pair(pool.fd[i]);
        CHANGE_UDATA(pool.kq, pool.fd[i][0], EVFILT_READ,
                     EV_ADD | (i % 2 ? EV_CLEAR : EV_ONESHOT), 0, 0, i);
        put(pool.fd[i][1], 1);
    }
    for (i = 60; i < 100; i++)
        CHANGE_UDATA(pool.kq, i, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, i / 10,
                     i);
}

/* An edge is given to one thread. */
TEST(thread_edge_once)
{
    int i;

    need_user();
    run_pool(count_events, feed_edges, 100);
    for (i = 0; i < 100; i++)
        CHECK_EQUAL(pool.times[i], 1);
}

enum { SOCKETS = 8, MESSAGES = 50 };

/* With EV_DISPATCH a socket is one thread's until it enables it again. */
static void serve_one(const struct kevent *ev)
{
    int i = (int)(intptr_t)ev->udata;

    pthread_mutex_lock(&pool.lock);
    pool.clash += pool.busy[i]++;
    pthread_mutex_unlock(&pool.lock);
    take((int)ev->ident, 1);
    pthread_mutex_lock(&pool.lock);
    pool.busy[i]--;
    pool.done++;
    pthread_mutex_unlock(&pool.lock);
    CHANGE_UDATA(pool.kq, ev->ident, EVFILT_READ, EV_ENABLE, 0, 0, i);
}

static void *serve(void *argument)
{
    struct kevent ev;

    (void)argument;
    while (collect(pool.kq, &ev, 1, LIMIT_MS * MS) == 1 && ev.ident != STOP)
        serve_one(&ev);
    return NULL;
}

static void feed_sockets(void)
{
    int i, j;

    for (i = 0; i < SOCKETS; i++) {
        unix_pair(pool.fd[i]);
        CHANGE_UDATA(pool.kq, pool.fd[i][0], EVFILT_READ, EV_ADD | EV_DISPATCH,
                     0, 0, i);
    }
    for (j = 0; j < MESSAGES; j++)
        for (i = 0; i < SOCKETS; i++)
            put(pool.fd[i][1], 1);
}

TEST(thread_dispatch)
{
    need_user();
    run_pool(serve, feed_sockets, SOCKETS * MESSAGES);
}

/* Add, close, reuse, time and trigger in one queue, from all sides. */
static void *churn_sockets(void *argument)
{
    int i, fd[2];

    (void)argument;
    for (i = 0; i < 400; i++) {
        unix_pair(fd);
        CHANGE_UDATA(pool.kq, fd[0], EVFILT_READ,
                     EV_ADD | (i % 3 ? EV_CLEAR : EV_ONESHOT), 0, 0, 1);
        CHANGE_UDATA(pool.kq, fd[0], EVFILT_WRITE, EV_ADD | EV_DISABLE, 0, 0,
                     1);
        put(fd[1], 1);
        SYS(close(fd[1]));
        SYS(close(fd[0]));
    }
    return NULL;
}

static void *churn_numbers(void *argument)
{
    int i;

    (void)argument;
    for (i = 0; i < 400; i++) {
        CHANGE_UDATA(pool.kq, i, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 2);
        CHANGE_UDATA(pool.kq, i, EVFILT_USER, 0, NOTE_TRIGGER, 0, 2);
        CHANGE_UDATA(pool.kq, i, EVFILT_TIMER, EV_ADD, 0, 1, 3);
        if (i % 4 != 0)
            CHANGE(pool.kq, i, EVFILT_USER, EV_DELETE, 0, 0);
        CHANGE(pool.kq, i, EVFILT_TIMER, EV_DELETE, 0, 0);
    }
    return NULL;
}

static void feed_churn(void)
{
    pthread_t threads[3];
    int i;

    start_thread(&threads[0], churn_sockets, NULL);
    start_thread(&threads[1], churn_sockets, NULL);
    start_thread(&threads[2], churn_numbers, NULL);
    for (i = 0; i < 3; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    pthread_mutex_lock(&pool.lock);
    pool.done = 1; /* how many events there were is chance */
    pthread_mutex_unlock(&pool.lock);
}

static void *swallow(void *argument)
{
    struct kevent ev[4];
    int n, i;

    (void)argument;
    while ((n = collect(pool.kq, ev, 4, LIMIT_MS * MS)) > 0)
        for (i = 0; i < n; i++) {
            if (ev[i].ident == STOP)
                return NULL;
            CHECK((intptr_t)ev[i].udata >= 1 && (intptr_t)ev[i].udata <= 3);
        }
    return NULL;
}

static void swallow_rest(void)
{
    struct kevent ev;

    feed_churn();
    /* The last triggers, before the silence at the end. */
    while (collect(pool.kq, &ev, 1, 20 * MS) == 1)
        continue;
}

TEST(thread_churn)
{
    need_user();
    run_pool(swallow, swallow_rest, 1);
}

/* Threads with queues of their own do not meet. */
static void *own_queue(void *argument)
{
    int i;

    for (i = 0; i < 50; i++) {
        int kq = queue(), fd[2];

        unix_pair(fd);
        CHANGE_UDATA(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0, i);
        CHANGE(kq, i, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1);
        EXPECT_EVENT(kq, i, EVFILT_TIMER, 0, 1);
        put(fd[1], 1);
        CHECK(EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1).udata == UDATA(i));
        SYS(close(fd[0]));
        SYS(close(fd[1]));
        EXPECT_SILENCE(kq);
        SYS(close(kq));
    }
    return argument;
}

TEST(thread_queue_each)
{
    pthread_t threads[WORKERS];
    int i;

    for (i = 0; i < WORKERS; i++)
        start_thread(&threads[i], own_queue, NULL);
    for (i = 0; i < WORKERS; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
}
