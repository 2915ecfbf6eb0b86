/* close() of what is watched, without EV_DELETE. */
#include "expect.h"
#include "helpers.h"

/* The ordinary server: accept, EV_ADD, close, and never EV_DELETE. */
static void clients_in_turn(unsigned kind)
{
    struct sockaddr_in address;
    int kq = queue(), listener = tcp_listener(&address), i;

    for (i = 0; i < 8; i++) {
        int near = tcp_connect(&address);
        int far = SYS(accept(listener, NULL, NULL));

        snprintf(context, sizeof context, "client %d", i);
        CHANGE_UDATA(kq, far, EVFILT_READ, EV_ADD | kind, 0, 0, i);
        EXPECT_SILENCE(kq);
        put(near, 4);
        CHECK(AWAIT_EVENT(kq, far, EVFILT_READ, 0, 4).udata == UDATA(i));
        take(far, 4);
        SYS(close(near));
        AWAIT_EVENT(kq, far, EVFILT_READ, EV_EOF, 0);
        SYS(close(far));
        EXPECT_SILENCE(kq);
    }
}

TEST(close_clients_in_turn)
{
    clients_in_turn(0);
}

TEST(close_clients_in_turn_clear)
{
    clients_in_turn(EV_CLEAR);
}

TEST(close_drops_the_knotes)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    put(fd[1], 1);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
    SYS(close(fd[0]));
    EXPECT_SILENCE(kq);
    EXPECT_IDLE(kq);
    EXPECT_ERROR(EBADF, kq, fd[0], EVFILT_READ, EV_DELETE, 0, 0);
    EXPECT_ERROR(EBADF, kq, fd[0], EVFILT_READ, EV_ENABLE, 0, 0);
}

/* dup2() closes what it puts its copy over. */
TEST(close_by_dup2)
{
    int kq = queue(), a[2], b[2];

    unix_pair(a);
    unix_pair(b);
    CHANGE(kq, a[0], EVFILT_READ, EV_ADD, 0, 0);
    put(a[1], 1);
    put(b[1], 2);
    EXPECT_EVENT(kq, a[0], EVFILT_READ, 0, 1);
    SYS(dup2(b[0], a[0]));
    EXPECT_SILENCE(kq);
    CHANGE(kq, a[0], EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_EVENT(kq, a[0], EVFILT_READ, 0, 2);
}

/* A knote belongs to a number: kern_event.c, knote_fdclose() and the like. */
TEST(close_leaves_a_dup)
{
    int kq = queue(), fd[2], copy;

    unix_pair(fd);
    copy = SYS(dup(fd[0]));
    CHANGE_UDATA(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    CHANGE_UDATA(kq, copy, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 2);
    SYS(close(fd[0]));
    EXPECT_SILENCE(kq);
    put(fd[1], 1);
    CHECK(EXPECT_EVENT(kq, copy, EVFILT_READ, 0, 1).udata == UDATA(2));
    if (SYSTEM != LINUX) /* a rebuilt epoll set may repeat an edge once */
        EXPECT_SILENCE(kq);
    take(copy, 1);
    EXPECT_SILENCE(kq);
}

TEST(close_of_a_dup)
{
    int kq = queue(), fd[2], copy;

    unix_pair(fd);
    copy = SYS(dup(fd[0]));
    CHANGE(kq, copy, EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    SYS(close(copy));
    put(fd[1], 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    take(fd[0], 1);
    EXPECT_SILENCE(kq);
}

/* The file lives on in a duplicate: neither an event nor a busy wait. */
TEST(close_with_a_dup_costs_no_cpu)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    SYS(dup(fd[0]));
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
    SYS(close(fd[0]));
    put(fd[1], 1);
    EXPECT_IDLE(kq);
}

/* So it does in a child of fork(). */
TEST(close_with_a_child)
{
    int kq = queue(), a[2], b[2];
    pid_t child;

    unix_pair(a);
    CHANGE(kq, a[0], EVFILT_READ, EV_ADD, 0, 0);
    child = start_child();
    if (child == 0)
        for (;;)
            pause();
    put(a[1], 1);
    EXPECT_EVENT(kq, a[0], EVFILT_READ, 0, 1);
    SYS(close(a[0]));
    EXPECT_IDLE(kq);
    unix_pair(b);
    CHECK_EQUAL(b[0], a[0]);
    put(a[1], 1);
    EXPECT_SILENCE(kq);
    CHANGE(kq, b[0], EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    put(b[1], 3);
    EXPECT_EVENT(kq, b[0], EVFILT_READ, 0, 3);
    take(b[0], 3);
    put(a[1], 1);
    EXPECT_SILENCE(kq);
    stop_child(child);
}

TEST(close_in_two_queues)
{
    int one = queue(), two = queue(), a[2], b[2];

    unix_pair(a);
    put(a[1], 1);
    CHANGE(one, a[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(two, a[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    SYS(close(a[0]));
    unix_pair(b);
    CHECK_EQUAL(b[0], a[0]);
    CHANGE(one, b[0], EVFILT_READ, EV_ADD, 0, 0);
    put(b[1], 2);
    EXPECT_EVENT(one, b[0], EVFILT_READ, 0, 2);
    EXPECT_SILENCE(two);
    EXPECT_ABSENT(two, b[0], EVFILT_READ);
    CHANGE(two, b[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    EXPECT_EVENT(two, b[0], EVFILT_READ, 0, 2);
    EXPECT_SILENCE(two);
}

/* After one event of a batch its handler closes the others. */
TEST(close_within_a_batch)
{
    struct kevent ev;
    int kq = queue(), fd[3][2], i;

    for (i = 0; i < 3; i++) {
        unix_pair(fd[i]);
        put(fd[i][1], 1);
        CHANGE(kq, fd[i][0], EVFILT_READ, EV_ADD, 0, 0);
    }
    CHECK_EQUAL(collect(kq, &ev, 1, LIMIT_MS * MS), 1);
    for (i = 0; i < 3; i++)
        if (fd[i][0] != (int)ev.ident)
            SYS(close(fd[i][0]));
    EXPECT_EVENT(kq, ev.ident, EVFILT_READ, 0, 1);
    EXPECT_EVENT(kq, ev.ident, EVFILT_READ, 0, 1);
    take((int)ev.ident, 1);
    EXPECT_SILENCE(kq);
}

TEST(close_leaves_other_filters)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, fd[0], EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 20);
    SYS(close(fd[0]));
    EXPECT_EVENT(kq, fd[0], EVFILT_TIMER, 0, 1);
    EXPECT_SILENCE(kq);
}

/* A server under load: numbers come and go in every order. */
TEST(close_churn)
{
    enum { N = 24, ROUNDS = 3000 };
    int kq = queue(), fd[N][2], i, round;
    unsigned random = 12345;

    memset(fd, -1, sizeof fd);
    for (round = 1; round <= ROUNDS; round++) {
        random = random * 1103515245u + 12345u;
        i = (int)(random >> 16) % N;
        snprintf(context, sizeof context, "round %d", round);
        if (fd[i][0] == -1) {
            unix_pair(fd[i]);
            CHANGE_UDATA(kq, fd[i][0], EVFILT_READ,
                         EV_ADD | (random & 256 ? EV_CLEAR : 0), 0, 0, round);
            CHANGE(kq, fd[i][0], EVFILT_WRITE, EV_ADD | EV_DISABLE, 0, 0);
            put(fd[i][1], 2);
            CHECK(EXPECT_EVENT(kq, fd[i][0], EVFILT_READ, 0, 2).udata ==
                  UDATA(round));
            take(fd[i][0], 2);
        } else {
            SYS(close(fd[i][0]));
            SYS(close(fd[i][1]));
            fd[i][0] = -1;
        }
        EXPECT_SILENCE(kq);
    }
}

/* Its number is another's, which has not been added; both have bytes. */
TEST(close_with_a_dup_reused_and_ready)
{
    int kq = queue(), a[2], b[2], i;

    for (i = 0; i < 2; i++) {
        unix_pair(a);
        CHANGE_UDATA(kq, a[0], EVFILT_READ, EV_ADD | (i ? EV_CLEAR : 0), 0, 0,
                     1);
        SYS(dup(a[0]));
        SYS(close(a[0]));
        unix_pair(b);
        CHECK_EQUAL(b[0], a[0]);
        put(a[1], 1);
        put(b[1], 2);
        EXPECT_SILENCE(kq);
        put(a[1], 1);
        put(b[1], 2);
        EXPECT_IDLE(kq);
        EXPECT_ABSENT(kq, b[0], EVFILT_READ);
        CHANGE_UDATA(kq, b[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 2);
        CHECK(EXPECT_EVENT(kq, b[0], EVFILT_READ, 0, 4).udata == UDATA(2));
        EXPECT_SILENCE(kq);
    }
}

/* Neither an event nor a busy wait, and a signal ends the wait, when there is
   no descriptor left to do anything about it. */
TEST(close_with_a_dup_without_descriptors)
{
    int kq = queue(), a[2];
    struct kevent ev;
    pid_t child;

    handle(SIGUSR1, handler);
    unix_pair(a);
    CHANGE(kq, a[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, a[0], EVFILT_WRITE, EV_ADD, 0, 0);
    SYS(dup(a[0]));
    SYS(close(a[0]));
    take_all_descriptors();
    put(a[1], 1);
    EXPECT_IDLE(kq);
    child = start_signaller(SIGUSR1, true);
    errno = 0;
    CHECK_EQUAL(collect(kq, &ev, 1, LIMIT_MS * MS), -1);
    CHECK_EQUAL(errno, EINTR);
    stop_child(child);
    give_some_descriptors();
}

/* As close_with_a_child(), but the number is another file's, with bytes, which
   has not been added. */
TEST(close_with_a_child_reused)
{
    int kq = queue(), a[2], b[2], i;
    pid_t child[2];

    for (i = 0; i < 2; i++) {
        unix_pair(a);
        CHANGE_UDATA(kq, a[0], EVFILT_READ, EV_ADD | (i ? EV_CLEAR : 0), 0, 0,
                     1);
        put(a[1], 1);
        EXPECT_EVENT(kq, a[0], EVFILT_READ, 0, 1); /* looked at just now */
        child[i] = start_child();
        if (child[i] == 0)
            for (;;)
                pause();
        SYS(close(a[0]));
        unix_pair(b);
        CHECK_EQUAL(b[0], a[0]);
        put(b[1], 2);
        put(a[1], 1);
        EXPECT_SILENCE(kq);
        EXPECT_IDLE(kq);
        CHANGE(kq, b[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0);
        EXPECT_EVENT(kq, b[0], EVFILT_READ, 0, 2);
        EXPECT_SILENCE(kq);
    }
    stop_child(child[0]);
    stop_child(child[1]);
}

/* What a descriptor leaves behind must not cost the queue its other events. */
TEST(close_with_a_dup_leaves_other_filters)
{
    int kq = queue(), a[2], b[2], i;

    need_user();
    unix_pair(a);
    unix_pair(b);
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 500);
    CHANGE(kq, 2, EVFILT_USER, EV_ADD, 0, 0);
    CHANGE(kq, a[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, a[0], EVFILT_WRITE, EV_ADD, 0, 0);
    SYS(dup(a[0]));
    SYS(close(a[0]));
    put(a[1], 1);
    TRIGGER(kq, 2);
    for (i = 0; i < 64; i++)
        EXPECT_EVENT(kq, 2, EVFILT_USER, 0, 0);
    CHANGE(kq, 2, EVFILT_USER, EV_DELETE, 0, 0);
    EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, 1);
    CHANGE(kq, b[0], EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0);
    EXPECT_EVENT(kq, b[0], EVFILT_WRITE, 0, SOME);
    EXPECT_SILENCE(kq);
}
