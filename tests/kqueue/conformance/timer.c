/* EVFILT_TIMER: when, how often, how many. */
#include "expect.h"
#include "helpers.h"

TEST(timer_oneshot)
{
    int kq = queue();
    int64_t start = time_ns();

    CHANGE_UDATA(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 40, 6);
    EXPECT_SILENCE(kq);
    CHECK(EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, 1).udata == UDATA(6));
    CHECK(time_ns() - start + EARLY >= 40 * MS);
    EXPECT_SILENCE(kq);
    pass(time_ns() + 60 * MS);
    EXPECT_SILENCE(kq);
    EXPECT_ABSENT(kq, 1, EVFILT_TIMER);
}

/* data counts the expirations since the last delivery, none too early. */
TEST(timer_periodic)
{
    int64_t start, total = 0;
    int kq = queue();

    start = time_ns();
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 10);
    while (total < 8) {
        total += EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, SOME).data;
        CHECK(time_ns() - start + EARLY >= total * 10 * MS);
    }
    CHANGE(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0);
    EXPECT_SILENCE(kq);
    pass(time_ns() + 20 * MS);
    EXPECT_SILENCE(kq);
}

TEST(timer_counts)
{
    int64_t start, total = 0, most = 0;
    int kq = queue();

    start = time_ns();
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 10);
    while (total < 10) {
        int64_t data;

        pass(time_ns() + 35 * MS);
        data = EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, SOME).data;
        total += data;
        most = data > most ? data : most;
        CHECK(time_ns() - start + EARLY >= total * 10 * MS);
    }
    CHECK(most >= 2); /* they were counted, not merged into one */
}

/* Each expiration is due one period after the last was due, whenever it was
   collected: FreeBSD and macOS; the others add the delay (kern_event.c). */
TEST(timer_does_not_drift)
{
    int64_t start, total = 0, late = 0;
    int kq = queue(), i;

    only_on(LIKE_FREEBSD | MACOS, "the period starts at the expiration here");
    start = time_ns();
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 10);
    for (i = 0; i < 500; i++) {
        struct kevent ev;

        pass(time_ns() + 15 * MS);
        late = time_ns() - start;
        ev = EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, SOME);
        total += ev.data;
        CHECK(time_ns() - start + EARLY >= total * 10 * MS);
        late -= total * 10 * MS;
        if (i >= 20 && late < 20 * MS)
            return;
    }
    fail(HERE, "%jd expirations in %d rounds of 15 ms: late by %jd us",
         (intmax_t)total, i, (intmax_t)late / 1000);
}

/* Many timers of many lengths, each on its own never early. */
TEST(timer_never_early)
{
    enum { N = 60 };
    int64_t start[N];
    int kq = queue(), i;

    for (i = 0; i < N; i++) {
        start[i] = time_ns();
        CHANGE(kq, i, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1 + i * 37 % 50);
    }
    for (i = 0; i < N; i++) {
        struct kevent ev;
        int64_t end;

        CHECK_EQUAL(collect(kq, &ev, 1, LIMIT_MS * MS), 1);
        end = time_ns();
        CHECK(ev.ident < N);
        CHECK(start[ev.ident] != 0);
        CHECK(end - start[ev.ident] + EARLY >=
              (1 + (int64_t)ev.ident * 37 % 50) * MS);
        start[ev.ident] = 0;
    }
    EXPECT_SILENCE(kq);
}

TEST(timer_order)
{
    static const int due[] = {60, 20, 80, 40};
    static const int order[] = {1, 3, 0, 2};
    int kq = queue(), i;

    for (i = 0; i < 4; i++)
        CHANGE(kq, i, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, due[i]);
    for (i = 0; i < 4; i++)
        EXPECT_EVENT(kq, order[i], EVFILT_TIMER, 0, 1);
    EXPECT_SILENCE(kq);
}

/* The one that is deleted leaves a gap in whatever keeps them in order. */
TEST(timer_order_after_delete)
{
    static const int added[] = {5, 1, 6, 3, 4, 7, 10, 9, 8, 2};
    int kq = queue(), i;

    for (i = 0; i < 10; i++)
        CHANGE(kq, added[i], EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0,
               added[i] * 20);
    CHANGE(kq, 7, EVFILT_TIMER, EV_DELETE, 0, 0);
    for (i = 1; i <= 10; i++)
        if (i != 7)
            EXPECT_EVENT(kq, i, EVFILT_TIMER, 0, 1);
    EXPECT_SILENCE(kq);
}

TEST(timer_units)
{
    static const struct {
        unsigned unit;
        int64_t data, ns;
    } all[] = {
        {0, 30, 30 * MS},
#ifdef NOTE_SECONDS
        {NOTE_SECONDS, 1, 1000 * MS},
#endif
#ifdef NOTE_MSECONDS
        {NOTE_MSECONDS, 30, 30 * MS},
#endif
#ifdef NOTE_USECONDS
        {NOTE_USECONDS, 30500, 30500000},
#endif
#ifdef NOTE_NSECONDS
        {NOTE_NSECONDS, 30500001, 30500001},
#endif
    };
    int kq = queue();
    size_t i;

    for (i = 0; i < sizeof all / sizeof all[0]; i++) {
        int64_t start = time_ns();

        snprintf(context, sizeof context, "unit %#x", all[i].unit);
        CHANGE(kq, i, EVFILT_TIMER, EV_ADD | EV_ONESHOT, all[i].unit,
               all[i].data);
        EXPECT_SILENCE(kq);
        EXPECT_EVENT(kq, i, EVFILT_TIMER, 0, 1);
        CHECK(time_ns() - start + EARLY >= all[i].ns);
        EXPECT_SILENCE(kq);
    }
}

TEST(timer_below_a_millisecond)
{
#ifdef NOTE_USECONDS
    int64_t start, total = 0;
    int kq = queue();

    only_on(LIKE_FREEBSD | MACOS, "timers go by the tick: kern_event.c");
    start = time_ns();
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, NOTE_USECONDS, 250);
    while (total < 200) {
        total += EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, SOME).data;
        CHECK(time_ns() - start + EARLY >= total * 250000);
    }
#else
    skip("milliseconds alone: kqueue(2), DragonFly");
#endif
}

/* A point of the wall clock: FreeBSD 12, OpenBSD 7.4, NetBSD 10. */
TEST(timer_absolute)
{
#ifdef NOTE_ABSTIME
    int64_t due = clock_ns(CLOCK_REALTIME) / MS + 60;
    int kq = queue();

    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_ABSTIME, due);
    EXPECT_SILENCE(kq);
    EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, ANY);
    CHECK(clock_ns(CLOCK_REALTIME) + EARLY >= due * MS);
    EXPECT_SILENCE(kq);
    EXPECT_ABSENT(kq, 1, EVFILT_TIMER);
    CHANGE(kq, 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_ABSTIME, due - 999);
    EXPECT_EVENT(kq, 2, EVFILT_TIMER, 0, ANY);
    EXPECT_SILENCE(kq);
#else
    skip("no NOTE_ABSTIME here: sys/event.h");
#endif
}

TEST(timer_absolute_units)
{
#if defined(NOTE_ABSTIME) && defined(NOTE_USECONDS)
    int64_t due = clock_ns(CLOCK_REALTIME) / 1000 + 30000;
    int kq = queue();

    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT,
           NOTE_ABSTIME | NOTE_USECONDS, due);
    EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, ANY);
    CHECK(clock_ns(CLOCK_REALTIME) + EARLY >= due * 1000);
    due = clock_ns(CLOCK_REALTIME) / (1000 * MS) + 1;
    CHANGE(kq, 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT,
           NOTE_ABSTIME | NOTE_SECONDS, due);
    EXPECT_EVENT(kq, 2, EVFILT_TIMER, 0, ANY);
    CHECK(clock_ns(CLOCK_REALTIME) + EARLY >= due * 1000 * MS);
#else
    skip("no NOTE_ABSTIME here: sys/event.h");
#endif
}

/* It has passed and stays so: active until cleared (kern_event.c). */
TEST(timer_absolute_is_level)
{
#ifdef NOTE_ABSTIME
    int64_t due = clock_ns(CLOCK_REALTIME) / MS + 20;
    int kq = queue();

    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, NOTE_ABSTIME, due);
    EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, ANY);
    EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, ANY);
    CHANGE(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0);
    EXPECT_SILENCE(kq);
    CHANGE(kq, 2, EVFILT_TIMER, EV_ADD | EV_CLEAR, NOTE_ABSTIME, due);
    EXPECT_EVENT(kq, 2, EVFILT_TIMER, 0, ANY);
    EXPECT_SILENCE(kq);
    pass(time_ns() + 10 * MS);
    EXPECT_SILENCE(kq);
#else
    skip("no NOTE_ABSTIME here: sys/event.h");
#endif
}

/* The least period there is; NetBSD refuses it, macOS fires once. */
TEST(timer_zero)
{
    int kq = queue();

    not_on(NETBSD | DRAGONFLY, "data 0: EINVAL on NetBSD (kqueue(2)), not "
                               "documented on DragonFly");
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 0);
    EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, SOME);
    if (SYSTEM != MACOS) {
        EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, SOME);
        EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, SOME);
    }
    CHANGE(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0);
    EXPECT_SILENCE(kq);
    CHANGE(kq, 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 0);
    EXPECT_EVENT(kq, 2, EVFILT_TIMER, 0, 1);
    EXPECT_SILENCE(kq);
    EXPECT_ABSENT(kq, 2, EVFILT_TIMER);
}

/* A period of 0 is one unit, and so neither a flood nor too early. */
TEST(timer_zero_is_one_unit)
{
    int64_t start, total = 0;
    int kq = queue();

    only_on(LIKE_FREEBSD, "FreeBSD alone says so: sys/kern/kern_event.c");
    start = time_ns();
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 0);
    while (total < 20) {
        total += EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, SOME).data;
        CHECK(time_ns() - start + EARLY >= total * MS);
    }
}

TEST(timer_negative)
{
    int kq = queue();

    only_on(LIKE_FREEBSD, "FreeBSD alone refuses it: sys/kern/kern_event.c");
    EXPECT_ERROR(EINVAL, kq, 1, EVFILT_TIMER, EV_ADD, 0, -1);
    EXPECT_ABSENT(kq, 1, EVFILT_TIMER);
    EXPECT_SILENCE(kq);
}

/* FreeBSD tells of a bad re-add by an event, the others at once. */
TEST(timer_negative_readd)
{
    struct kevent change = ENTRY(1, EVFILT_TIMER, EV_ADD, 0, -1, 0), ev;
    int kq = queue();

    only_on(LIKE_FREEBSD, "FreeBSD alone refuses it: sys/kern/kern_event.c");
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 60000);
    if (call(kq, &change, 1, NULL, 0, NULL) == -1) {
        CHECK_EQUAL(errno, EINVAL);
        return;
    }
    CHECK_EQUAL(collect(kq, &ev, 1, LIMIT_MS * MS), 1);
    CHECK((ev.flags & EV_ERROR) != 0);
    CHECK_EQUAL(ev.data, EINVAL);
}

/* Far away is not near: no product of units may wrap around. */
TEST(timer_huge)
{
    int kq = queue();

    /* Before NetBSD 10 so many ticks stop the kernel. */
    if (SYSTEM != NETBSD)
        CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, (int64_t)1 << 40);
    CHANGE(kq, 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, INT32_MAX);
    EXPECT_SILENCE(kq);
    CHANGE(kq, 3, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 30);
    EXPECT_EVENT(kq, 3, EVFILT_TIMER, 0, 1);
    EXPECT_SILENCE(kq);
    /* FreeBSD's deadline does wrap: it fires at once. The Linux layer waits. */
#ifdef __linux__
    CHANGE(kq, 4, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, INT64_MAX);
    CHANGE(kq, 5, EVFILT_TIMER, EV_ADD, 0, INT64_MAX);
    EXPECT_IDLE(kq);
#endif
}

TEST(timer_idents_are_any_number)
{
    /* some are alike in their lower 32 bits */
    static const uintptr_t idents[] = {
        0,       1,           UINTPTR_MAX / 2 + 1, UINTPTR_MAX / 2 + 2,
        INT_MAX, UINTPTR_MAX, UINTPTR_MAX - 1};
    int kq = queue();
    size_t i;

    for (i = 0; i < 7; i++)
        CHANGE(kq, idents[i], EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0,
               (int)i * 20 + 20);
    for (i = 0; i < 7; i++)
        EXPECT_EVENT(kq, idents[i], EVFILT_TIMER, 0, 1);
    EXPECT_SILENCE(kq);
}

TEST(timer_is_private_to_its_queue)
{
    int one = queue(), two = queue();

    CHANGE_UDATA(one, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 10, 1);
    CHANGE_UDATA(two, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 40, 2);
    CHECK(EXPECT_EVENT(one, 1, EVFILT_TIMER, 0, 1).udata == UDATA(1));
    EXPECT_ABSENT(one, 1, EVFILT_TIMER);
    CHECK(EXPECT_EVENT(two, 1, EVFILT_TIMER, 0, 1).udata == UDATA(2));
    EXPECT_SILENCE(one);
}

/* As many timers as the system grants, up to 10,000, few descriptors. The
   BSDs have limits of 1024 to 4096 and say ENOMEM: kern_event.c, each. */
TEST(timer_ten_thousand)
{
    enum { MANY = 10000 };
    static char seen[MANY];
    static struct kevent ev[512];
    int kq = queue(), made, got = 0;
    int64_t start;

    few_descriptors();
    start = time_ns();
    for (made = 0; made < MANY; made++) {
        ev[0] = ENTRY(made, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0,
                      500 + made * 7919 % 500, 0);
        if (call(kq, ev, 1, NULL, 0, NULL) == -1)
            break;
    }
    if (made < MANY) {
        CHECK_EQUAL(errno, ENOMEM);
        CHECK(SYSTEM != LINUX);
        note("# %d timers, then: %s\n", made, strerror(ENOMEM));
    }
    while (got < made) {
        int n = collect(kq, ev, 512, LIMIT_MS * MS), i;
        int64_t late = time_ns() - start;

        CHECK(n > 0);
        for (i = 0; i < n; i++) {
            CHECK(ev[i].ident < (uintptr_t)made);
            CHECK_EQUAL(seen[ev[i].ident]++, 0);
            CHECK(late + EARLY >=
                  (500 + (int64_t)ev[i].ident * 7919 % 500) * MS);
        }
        got += n;
    }
    EXPECT_SILENCE(kq);
}

TEST(timer_takes_no_descriptors)
{
    int kq = queue(), before, i;

    only_on(LINUX, "timers are no descriptors here");
    CHANGE(kq, 0, EVFILT_TIMER, EV_ADD, 0, 60000);
    before = lowest_free();
    CHECK(before <= kq + 2); /* one at most, however many timers */
    for (i = 1; i < 1000; i++)
        CHANGE(kq, i, EVFILT_TIMER, EV_ADD, 0, 60000);
    CHECK_EQUAL(lowest_free(), before);
}

/* Two are due, one fits: the other comes next, and needs no descriptor. */
TEST(timer_short_list_without_descriptors)
{
    struct timespec limit = {LIMIT_MS / 1000, 0};
    struct kevent event;
    int kq = queue();
    int64_t start = time_ns();

    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1);
    CHANGE(kq, 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1);
    take_all_descriptors();
    while (time_ns() - start < 5 * MS)
        continue;
    CHECK_EQUAL(kevent(kq, NULL, 0, &event, 1, &limit), 1);
    CHECK_EQUAL(kevent(kq, NULL, 0, &event, 1, &limit), 1);
    EXPECT_SILENCE(kq);
    give_some_descriptors();
}
