/* EVFILT_TIMER: changes to a timer that there is. */
#include "expect.h"
#include "helpers.h"

/* EV_ADD on a timer that has expired: back to the start, all forgotten. */
TEST(timer_readd_restarts)
{
    int64_t start;
    int kq = queue(), i;

    not_on(DRAGONFLY, "the running callout goes on: kern_event.c, DragonFly");
    if (OLD_NETBSD)
        skip("the running callout goes on before NetBSD 10");
    for (i = 0; i < 4; i++) {
        CHANGE(kq, i, EVFILT_TIMER, EV_ADD | (i % 2 ? EV_ONESHOT : 0), 0, 10);
        pass(time_ns() + 40 * MS);
        if (i >= 2) { /* a look at it counts what has expired */
            CHANGE(kq, i, EVFILT_TIMER, EV_DISABLE, 0, 10);
            CHANGE(kq, i, EVFILT_TIMER, EV_ENABLE, 0, 10);
        }
        start = time_ns();
        /* The same kind: NetBSD takes the new flags. */
        CHANGE(kq, i, EVFILT_TIMER, EV_ADD | (i % 2 ? EV_ONESHOT : 0), 0, 100);
        EXPECT_EVENT(kq, i, EVFILT_TIMER, 0, SOME);
        CHECK(time_ns() - start + EARLY >= 100 * MS);
        if (i % 2 == 0)
            CHANGE(kq, i, EVFILT_TIMER, EV_DELETE, 0, 0);
        EXPECT_SILENCE(kq);
    }
}

TEST(timer_readd_sooner)
{
    int64_t start;
    int kq = queue();

    not_on(DRAGONFLY, "the running callout goes on: kern_event.c, DragonFly");
    if (OLD_NETBSD)
        skip("the running callout goes on before NetBSD 10");
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 3600000);
    EXPECT_SILENCE(kq);
    start = time_ns();
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 30);
    EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, SOME);
    CHECK(time_ns() - start + EARLY >= 30 * MS);
    EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, SOME);
    CHECK(time_ns() - start + EARLY >= 60 * MS);
}

/* What had expired is forgotten, and it starts anew, disabled. */
TEST(timer_readd_disabled)
{
    int64_t start;
    int kq = queue();

    only_on(LIKE_FREEBSD, "only measured on FreeBSD");
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 10);
    pass(time_ns() + 30 * MS);
    start = time_ns();
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_DISABLE, 0, 60);
    EXPECT_SILENCE(kq);
    pass(start + 80 * MS);
    EXPECT_SILENCE(kq);
    CHANGE(kq, 1, EVFILT_TIMER, EV_ENABLE, 0, 60);
    CHECK(EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, SOME).data * 60 * MS <=
          time_ns() - start);
}

/* kern_event.c, filt_timertouch(): without EV_ADD the time is left alone. */
TEST(timer_enable_changes_udata_only)
{
    int64_t start = time_ns();
    int kq = queue();

    only_on(LIKE_FREEBSD, "only measured on FreeBSD");
    CHANGE_UDATA(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 100, 1);
    CHANGE_UDATA(kq, 1, EVFILT_TIMER, EV_ENABLE, 0, 3600000, 2);
    CHANGE_UDATA(kq, 1, EVFILT_TIMER, 0, 0, 1, 3);
    CHECK(EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, 1).udata == UDATA(3));
    CHECK(time_ns() - start >= 100 * MS);
    EXPECT_SILENCE(kq);
}

/* What one does everywhere instead. */
TEST(timer_delete_and_add)
{
    int64_t start;
    int kq = queue();

    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 10);
    pass(time_ns() + 30 * MS);
    CHANGE(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0);
    EXPECT_SILENCE(kq);
    start = time_ns();
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 50);
    EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, 1);
    CHECK(time_ns() - start + EARLY >= 50 * MS);
    EXPECT_SILENCE(kq);
}

TEST(timer_oneshot_then_periodic)
{
    int kq = queue(), i;

    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 10);
    EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, 1);
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 10);
    for (i = 0; i < 4; i++)
        EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, SOME);
    CHANGE(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0);
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 10);
    EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, 1);
    pass(time_ns() + 30 * MS);
    EXPECT_SILENCE(kq);
}

/* A disabled timer goes on counting and gives the sum when enabled. */
TEST(timer_disabled_counts)
{
    int64_t start, data;
    int kq = queue();

    not_on(MACOS | DRAGONFLY,
           "kern_event.c: macOS starts the timer anew, DragonFly: not read");
    start = time_ns();
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 10);
    CHANGE(kq, 1, EVFILT_TIMER, EV_DISABLE, 0, 10);
    pass(start + 105 * MS);
    EXPECT_SILENCE(kq);
    CHANGE(kq, 1, EVFILT_TIMER, EV_ENABLE, 0, 10);
    data = EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, SOME).data;
    CHECK(time_ns() - start + EARLY >= data * 10 * MS);
    /* A callout may lag behind on a loaded BSD, but not by half. */
    CHECK(data >= 5);
}

TEST(timer_oneshot_expires_disabled)
{
    int kq = queue();

    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_DISABLE, 0, 10);
    pass(time_ns() + 40 * MS);
    EXPECT_SILENCE(kq);
    CHANGE(kq, 1, EVFILT_TIMER, EV_ENABLE, 0, 10);
    EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, 1);
    EXPECT_SILENCE(kq);
    EXPECT_ABSENT(kq, 1, EVFILT_TIMER);
}

/* Disabling and enabling again and again does not put off the expiration. */
TEST(timer_disable_keeps_the_period)
{
    int64_t start, end;
    struct kevent ev;
    int kq = queue(), n = 0;

    not_on(MACOS | DRAGONFLY, "kern_event.c: macOS and DragonFly take every "
                              "change of a timer as a new period");
    start = time_ns();
    end = start + LIMIT_MS * MS;
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 300);
    while (n == 0 && time_ns() < end) {
        CHANGE(kq, 1, EVFILT_TIMER, EV_DISABLE, 0, 300);
        CHANGE(kq, 1, EVFILT_TIMER, EV_ENABLE, 0, 300);
        n = collect(kq, &ev, 1, 5 * MS);
    }
    CHECK_EQUAL(n, 1);
    CHECK(time_ns() - start + EARLY >= 300 * MS);
}

TEST(timer_disabled_costs_no_cpu)
{
    int kq = queue();

    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_DISABLE, 0, 1);
    pass(time_ns() + 10 * MS);
    EXPECT_IDLE(kq);
}
