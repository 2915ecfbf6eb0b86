/* The descriptor of a queue in poll(), in select() and in other queues. */
#include "expect.h"
#include "helpers.h"

static bool readable(int fd, int ms)
{
    struct pollfd p = {fd, POLLIN, 0};

    return SYS(poll(&p, 1, ms)) == 1 && (p.revents & POLLIN) != 0;
}

static bool selectable(int fd)
{
    struct timeval zero = {0, 0};
    fd_set watched;

    FD_ZERO(&watched);
    FD_SET(fd, &watched);
    return SYS(select(fd + 1, &watched, NULL, NULL, &zero)) == 1;
}

/* A queue is readable when it has an event, of whatever kind. */
static void poll_one(int kq, const struct kind *k, const int fd[2])
{
    KIND(kq, k, EV_ADD | EV_ONESHOT, 8);
    if (k->filter != (filter_t)EVFILT_WRITE)
        CHECK(!readable(kq, 0) && !selectable(kq));
    if (k->filter != (filter_t)EVFILT_TIMER)
        kinds_fire(kq, k, fd);
    CHECK(readable(kq, LIMIT_MS));
    CHECK(selectable(kq));
    EXPECT_EVENT(kq, k->ident, k->filter, 0, ANY);
    EXPECT_SILENCE(kq);
    CHECK(!readable(kq, 0) && !selectable(kq));
}

TEST(queue_poll)
{
    EACH_KIND(kind, fd, poll_one);
}

/* Level-triggered events keep it readable. */
static void poll_level_one(int kq, const struct kind *k, const int fd[2])
{
    if (k->filter == (filter_t)EVFILT_TIMER ||
        k->filter == (filter_t)EVFILT_SIGNAL)
        return;
    KIND(kq, k, EV_ADD, 8);
    kinds_fire(kq, k, fd);
    EXPECT_EVENT(kq, k->ident, k->filter, 0, ANY);
    CHECK(readable(kq, 0));
    EXPECT_EVENT(kq, k->ident, k->filter, 0, ANY);
    CHECK(readable(kq, 0) && selectable(kq));
    KIND(kq, k, EV_DELETE, 8);
    EXPECT_SILENCE(kq);
    CHECK(!readable(kq, 0));
}

TEST(queue_poll_level)
{
    EACH_KIND(kind, fd, poll_level_one);
}

static void poll_disabled_one(int kq, const struct kind *k, const int fd[2])
{
    KIND(kq, k, EV_ADD | EV_DISABLE, 8);
    kinds_fire(kq, k, fd);
    CHECK(!readable(kq, 0));
    KIND(kq, k, EV_ENABLE, 8);
    CHECK(readable(kq, LIMIT_MS));
    EXPECT_EVENT(kq, k->ident, k->filter, 0, ANY);
}

TEST(queue_poll_disabled)
{
    not_on(NETBSD, "poll() counts disabled knotes: sys/kern/kern_event.c");
    EACH_KIND(kind, fd, poll_disabled_one);
}

TEST(queue_poll_regular_file)
{
    int kq = queue(), fd = regular_file(5);

    CHANGE(kq, fd, EVFILT_READ, EV_ADD, 0, 0);
    CHECK(readable(kq, 0) && selectable(kq));
    EXPECT_EVENT(kq, fd, EVFILT_READ, 0, 5);
    CHECK(readable(kq, 0));
    CHANGE(kq, fd, EVFILT_READ, EV_DELETE, 0, 0);
    EXPECT_SILENCE(kq);
    CHECK(!readable(kq, 0));
}

/* Events left over by a short list keep it readable too. */
TEST(queue_poll_after_short_list)
{
    struct kevent ev;
    int kq = queue(), fd[2], i;

    for (i = 0; i < 3; i++) {
        unix_pair(fd);
        put(fd[1], 1);
        CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    }
    for (i = 0; i < 3; i++) {
        CHECK(readable(kq, 0) && selectable(kq));
        CHECK_EQUAL(collect(kq, &ev, 1, LIMIT_MS * MS), 1);
    }
    EXPECT_SILENCE(kq);
    CHECK(!readable(kq, 0));
}

TEST(queue_poll_wakes)
{
    pid_t child;
    int kq = queue(), fd[2];

    unix_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    child = start_child();
    if (child == 0) {
        nap(30 * MS);
        put(fd[1], 1);
        _exit(0);
    }
    CHECK(readable(kq, LIMIT_MS));
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    status_of(child);
}

/* One queue watches another; data is the number of its events. */
static void nested_one(int inner, const struct kind *k, const int fd[2])
{
    int outer = queue();

    KIND(inner, k, EV_ADD | EV_ONESHOT, 8);
    CHANGE_UDATA(outer, inner, EVFILT_READ, EV_ADD, 0, 0, 3);
    if (k->filter != (filter_t)EVFILT_WRITE)
        EXPECT_SILENCE(outer);
    kinds_fire(inner, k, fd);
    CHECK(EXPECT_EVENT(outer, inner, EVFILT_READ, 0, SOME).udata == UDATA(3));
    EXPECT_EVENT(outer, inner, EVFILT_READ, 0, SOME);
    EXPECT_EVENT(inner, k->ident, k->filter, 0, ANY);
    EXPECT_SILENCE(inner);
    EXPECT_SILENCE(outer);
    SYS(close(outer));
}

TEST(queue_nested)
{
    EACH_KIND(kind, fd, nested_one);
}

TEST(queue_nested_twice)
{
    int inner = queue(), middle = queue(), outer = queue(), fd[2];

    unix_pair(fd);
    CHANGE(inner, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(middle, inner, EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(outer, middle, EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_SILENCE(outer);
    put(fd[1], 1);
    EXPECT_EVENT(outer, middle, EVFILT_READ, 0, SOME);
    EXPECT_EVENT(middle, inner, EVFILT_READ, 0, SOME);
    EXPECT_EVENT(inner, fd[0], EVFILT_READ, 0, 1);
    take(fd[0], 1);
    EXPECT_SILENCE(inner);
    EXPECT_SILENCE(middle);
    EXPECT_SILENCE(outer);
}

TEST(queue_nested_closed)
{
    int outer = queue(), inner = queue(), fd[2];

    unix_pair(fd);
    put(fd[1], 1);
    CHANGE(inner, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(outer, inner, EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_EVENT(outer, inner, EVFILT_READ, 0, SOME);
    SYS(close(inner));
    EXPECT_SILENCE(outer);
    CHECK_EQUAL(queue(), inner);
    EXPECT_SILENCE(outer);
    EXPECT_ABSENT(outer, inner, EVFILT_READ);
}
