/* Which events a call returns, and in which order: short lists, turns. */
#include "expect.h"
#include "helpers.h"

enum { CROWD = 40 };

/* Every event comes, none twice, through a list of any length. */
TEST(wait_short_list_of_edges)
{
    int room;

    for (room = 1; room <= 64; room = room * 2 + 1) {
        int kq = queue(), fd[CROWD][2], seen[CROWD] = {0}, total = 0, i;
        struct kevent ev[64];

        snprintf(context, sizeof context, "room for %d", room);
        for (i = 0; i < CROWD; i++) {
            unix_pair(fd[i]);
            put(fd[i][1], 1);
            CHANGE_UDATA(kq, fd[i][0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, i);
        }
        while (total < CROWD) {
            int n = collect(kq, ev, room, LIMIT_MS * MS);

            CHECK(n > 0 && n <= room);
            for (i = 0; i < n; i++)
                seen[(intptr_t)ev[i].udata]++;
            total += n;
        }
        for (i = 0; i < CROWD; i++) {
            CHECK_EQUAL(seen[i], 1);
            SYS(close(fd[i][0]));
            SYS(close(fd[i][1]));
        }
        EXPECT_SILENCE(kq);
        SYS(close(kq));
    }
}

/* Descriptors with two events each must not push the edges of others out of
   a short list for good. */
TEST(wait_short_list_keeps_edges)
{
    int room;

    for (room = 1; room <= 6; room++) {
        int kq = queue(), fd[2], seen[12] = {0}, i, n, round;
        struct kevent ev[6];

        snprintf(context, sizeof context, "room for %d", room);
        for (i = 0; i < 12; i++) {
            unix_pair(fd);
            put(fd[1], 1);
            CHANGE_UDATA(kq, fd[0], EVFILT_READ,
                         EV_ADD | (i % 2 ? EV_CLEAR : 0), 0, 0, i);
            if (i % 2 == 0)
                CHANGE_UDATA(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0, i);
        }
        for (round = 0; round < 60; round++) {
            n = collect(kq, ev, room, LIMIT_MS * MS);
            CHECK(n > 0 && n <= room);
            for (i = 0; i < n; i++)
                seen[(intptr_t)ev[i].udata]++;
        }
        for (i = 0; i < 12; i++) {
            CHECK(seen[i] >= 1);
            if (i % 2 == 1)
                CHECK_EQUAL(seen[i], 1);
        }
    }
}

/* kern_event.c, all: a level-triggered knote goes to the end of the queue. */
TEST(wait_round_robin)
{
    int kq = queue(), fd[2], i;
    uintptr_t order[12];

    for (i = 0; i < 4; i++) {
        unix_pair(fd);
        put(fd[1], 1);
        CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    }
    for (i = 0; i < 12; i++) {
        struct kevent ev;
        int j;

        CHECK_EQUAL(collect(kq, &ev, 1, LIMIT_MS * MS), 1);
        order[i] = ev.ident;
        for (j = 0; j < i && j < 3; j++)
            CHECK(order[i] != order[i - 1 - j]);
        CHECK(i < 4 || order[i] == order[i - 4]);
    }
}

/* No kind of event starves another. */
TEST(wait_round_robin_mixed)
{
    int kq = queue(), fd[2], pipes[2], seen[6] = {0}, i;

    need_user();
    unix_pair(fd);
    SYS(pipe(pipes));
    put(fd[1], 1);
    put(pipes[1], 1);
    CHANGE_UDATA(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    CHANGE_UDATA(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0, 1);
    CHANGE_UDATA(kq, pipes[0], EVFILT_READ, EV_ADD, 0, 0, 2);
    CHANGE_UDATA(kq, regular_file(9), EVFILT_READ, EV_ADD, 0, 0, 3);
    CHANGE_UDATA(kq, 1, EVFILT_USER, EV_ADD, 0, 0, 4);
    CHANGE_UDATA(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 4);
    CHANGE_UDATA(kq, 1, EVFILT_TIMER, EV_ADD, 0, 5, 5);
    for (i = 0; i < 48; i++) {
        struct kevent ev;

        pass(time_ns() + 3 * MS); /* so that the timer has something to say */
        CHECK_EQUAL(collect(kq, &ev, 1, LIMIT_MS * MS), 1);
        seen[(intptr_t)ev.udata]++;
    }
    for (i = 0; i < 6; i++) {
        snprintf(context, sizeof context, "kind %d came %d times of 48", i,
                 seen[i]);
        CHECK(seen[i] >= 3);
    }
}

/* Nor does a crowd of one kind that could fill every list. */
TEST(wait_full_list_keeps_writes)
{
    int room;

    need_user();
    for (room = 1; room <= 4; room++) {
        int kq = queue(), fd[2], writes = 0, i, n, round;
        struct kevent ev[4];

        snprintf(context, sizeof context, "room for %d", room);
        unix_pair(fd);
        CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
        for (i = 0; i < 6; i++) {
            CHANGE(kq, i, EVFILT_USER, EV_ADD, 0, 0);
            TRIGGER(kq, i);
        }
        for (round = 0; round < 20; round++) {
            n = collect(kq, ev, room, LIMIT_MS * MS);
            CHECK_EQUAL(n, room);
            for (i = 0; i < n; i++)
                writes += ev[i].filter == (filter_t)EVFILT_WRITE;
        }
        CHECK(writes >= 2);
        SYS(close(kq));
    }
}

static void one_slot(unsigned kind)
{
    struct kevent a, b;
    int kq = queue(), fd[2];

    unix_pair(fd);
    put(fd[1], 3);
    CHANGE_UDATA(kq, fd[0], EVFILT_READ, EV_ADD | kind, 0, 0, 1);
    CHANGE_UDATA(kq, fd[0], EVFILT_WRITE, EV_ADD | kind, 0, 0, 2);
    CHECK_EQUAL(collect(kq, &a, 1, LIMIT_MS * MS), 1);
    CHECK_EQUAL(collect(kq, &b, 1, LIMIT_MS * MS), 1);
    CHECK(a.filter != b.filter);
    CHECK(a.udata != b.udata);
    if (kind != 0) {
        EXPECT_SILENCE(kq);
        return;
    }
    CHECK_EQUAL(collect(kq, &b, 1, LIMIT_MS * MS), 1);
    CHECK(a.filter == b.filter);
}

TEST(wait_one_slot_both_level)
{
    one_slot(0);
}

TEST(wait_one_slot_both_clear)
{
    one_slot(EV_CLEAR);
}

TEST(wait_one_slot_both_oneshot)
{
    one_slot(EV_ONESHOT);
}

TEST(wait_one_slot_both_dispatch)
{
    one_slot(EV_DISPATCH);
}

/* The filter is asked again when the event is collected. */
TEST(wait_drained_is_not_reported)
{
    int kq = queue(), a[2], b[2], first, second;
    struct kevent ev;

    unix_pair(a);
    unix_pair(b);
    put(a[1], 1);
    put(b[1], 1);
    CHANGE(kq, a[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, b[0], EVFILT_READ, EV_ADD, 0, 0);
    CHECK_EQUAL(collect(kq, &ev, 1, LIMIT_MS * MS), 1);
    first = (int)ev.ident;
    second = first == a[0] ? b[0] : a[0];
    take(second, 1);
    EXPECT_EVENT(kq, first, EVFILT_READ, 0, 1);
    EXPECT_EVENT(kq, first, EVFILT_READ, 0, 1);
    take(first, 1);
    EXPECT_SILENCE(kq);
}

/* kqueue(2), FreeBSD; the others may return the flags of the change. */
TEST(wait_flags_are_stripped)
{
    const unsigned actions = EV_ADD | EV_DELETE | EV_ENABLE | EV_DISABLE;
    struct kevent ev;
    int kq = queue(), fd[2];

    only_on(LIKE_FREEBSD, "only FreeBSD strips them: sys/kern/kern_event.c");
    unix_pair(fd);
    put(fd[1], 1);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_ENABLE, 0, 0);
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 10);
    ev = EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    CHECK_EQUAL(ev.flags & actions, 0);
    take(fd[0], 1);
    ev = EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, 1);
    CHECK_EQUAL(ev.flags & actions, 0);
}

static void many_descriptors(int n)
{
    struct rlimit limit;

    SYS(getrlimit(RLIMIT_NOFILE, &limit));
    if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < (rlim_t)n)
        skip("too few descriptors are allowed here");
    limit.rlim_cur = (rlim_t)n;
    SYS(setrlimit(RLIMIT_NOFILE, &limit));
}

/* One call returns all there is, as far as there is room. */
TEST(wait_fills_the_list)
{
    enum { MANY = 1024 };
    static struct kevent ev[MANY];
    static bool seen[MANY];
    int kq = queue(), fd[2], i;

    many_descriptors(MANY + 100);
    unix_pair(fd);
    put(fd[1], 1);
    for (i = 0; i < MANY; i++)
        CHANGE_UDATA(kq, SYS(dup(fd[0])), EVFILT_READ, EV_ADD, 0, 0, i);
    CHECK_EQUAL(collect(kq, ev, MANY, LIMIT_MS * MS), MANY);
    for (i = 0; i < MANY; i++) {
        CHECK(!seen[(intptr_t)ev[i].udata]);
        seen[(intptr_t)ev[i].udata] = true;
    }
    CHECK_EQUAL(collect(kq, ev, MANY - 1, LIMIT_MS * MS), MANY - 1);
}

/* One call fills the list with what there is, of all filters. */
TEST(wait_fills_the_list_with_all)
{
    enum { EACH = 40, ALL = 4 * EACH };
    static struct kevent ev[ALL + 1];
    int kq = queue(), fd[EACH][2], i, n, of_read = 0, of_write = 0;

    need_user();
    for (i = 0; i < EACH; i++) {
        unix_pair(fd[i]);
        put(fd[i][1], 1);
        CHANGE(kq, fd[i][0], EVFILT_READ, EV_ADD, 0, 0);
        CHANGE(kq, fd[i][0], EVFILT_WRITE, EV_ADD, 0, 0);
        CHANGE(kq, i, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0);
        TRIGGER(kq, i);
        CHANGE(kq, i, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1);
    }
    pass(time_ns() + 30 * MS);
    n = collect(kq, ev, ALL + 1, 0);
    CHECK_EQUAL(n, ALL);
    for (i = 0; i < n; i++) {
        of_read += ev[i].filter == (filter_t)EVFILT_READ && ev[i].data == 1;
        of_write += ev[i].filter == (filter_t)EVFILT_WRITE;
    }
    CHECK_EQUAL(of_read, EACH);
    CHECK_EQUAL(of_write, EACH);
    for (i = 0; i < ALL; i += n) { /* now what is level, in small lists */
        n = collect(kq, ev, 7, 0);
        CHECK_EQUAL(n, 7);
    }
}
