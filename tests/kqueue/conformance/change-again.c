/* EV_DELETE, and EV_ADD of a knote that there is. */
#include "expect.h"
#include "helpers.h"

static void delete_one(int kq, const struct kind *k, const int fd[2])
{
    KIND(kq, k, EV_ADD, 8);
    kinds_fire(kq, k, fd);
    EXPECT_EVENT(kq, k->ident, k->filter, 0, ANY);
    KIND(kq, k, EV_DELETE, 8);
    EXPECT_SILENCE(kq);
    EXPECT_ABSENT(kq, k->ident, k->filter);
}

TEST(change_delete)
{
    EACH_KIND(kind, fd, delete_one);
}

/* An event not collected yet goes with its knote, and stays gone. */
static void delete_pending_one(int kq, const struct kind *k, const int fd[2])
{
    KIND(kq, k, EV_ADD, 8);
    kinds_fire(kq, k, fd);
    KIND(kq, k, EV_DELETE, 8);
    EXPECT_SILENCE(kq);
    if (k->filter == (filter_t)EVFILT_SIGNAL ||
        k->filter == (filter_t)EVFILT_USER) {
        KIND(kq, k, EV_ADD, 8);
        EXPECT_SILENCE(kq);
    }
}

TEST(change_delete_pending)
{
    EACH_KIND(kind, fd, delete_pending_one);
}

static void readd_udata_one(int kq, const struct kind *k, const int fd[2])
{
    KIND(kq, k, EV_ADD, 7);
    KIND(kq, k, EV_ADD, 8);
    kinds_fire(kq, k, fd);
    CHECK(EXPECT_EVENT(kq, k->ident, k->filter, 0, ANY).udata == UDATA(8));
    KIND(kq, k, EV_DELETE, 8);
    EXPECT_ABSENT(kq, k->ident, k->filter); /* one knote, not two */
    EXPECT_SILENCE(kq);
}

TEST(change_readd_replaces_udata)
{
    EACH_KIND(kind, fd, readd_udata_one);
}

/* Also when the event is already at hand. */
TEST(change_readd_replaces_udata_of_pending)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    put(fd[1], 1);
    CHANGE_UDATA(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    CHANGE_UDATA(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0, 2);
    CHANGE_UDATA(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0, 3);
    CHANGE_UDATA(kq, fd[0], EVFILT_WRITE, EV_DELETE, 0, 0, 2);
    CHECK(EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1).udata == UDATA(3));
}

TEST(change_readd_keeps_place)
{
    int kq = queue(), fd[2], i;
    uintptr_t order[3];
    struct kevent ev;

    for (i = 0; i < 3; i++) {
        unix_pair(fd);
        put(fd[1], 1);
        CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    }
    for (i = 0; i < 3; i++) {
        CHECK_EQUAL(collect(kq, &ev, 1, LIMIT_MS * MS), 1);
        order[i] = ev.ident;
    }
    CHANGE_UDATA(kq, order[0], EVFILT_READ, EV_ADD, 0, 0, 9);
    CHANGE_UDATA(kq, order[2], EVFILT_READ, EV_ADD, 0, 0, 9);
    for (i = 0; i < 6; i++) {
        ev = EXPECT_EVENT(kq, order[i % 3], EVFILT_READ, 0, 1);
        CHECK(ev.udata == UDATA(i % 3 == 1 ? 0 : 9));
    }
}

/* kern_event.c, all: EV_ADD does not change the kind of a knote there is. */
TEST(change_readd_keeps_kind)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    put(fd[1], 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    EXPECT_SILENCE(kq);
    CHANGE(kq, fd[0], EVFILT_READ, EV_DELETE, 0, 0);

    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_DISPATCH, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
}

/* EV_DELETE and EV_ADD do. */
TEST(change_delete_and_add_changes_kind)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    put(fd[1], 1);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    EXPECT_SILENCE(kq);
    CHANGE(kq, fd[0], EVFILT_READ, EV_DELETE, 0, 0);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
}

/* Not what the manual pages say, but what all five kern_event.c do. */
TEST(change_readd_does_not_enable)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    put(fd[1], 1);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, fd[0], EVFILT_READ, EV_DISABLE, 0, 0);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_ENABLE, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
}

TEST(change_enable_replaces_udata)
{
    int kq = queue(), fd[2];

    not_on(OPENBSD, "OpenBSD leaves them: sys/kern/kern_event.c");
    if (OLD_NETBSD)
        skip("NetBSD before 10 leaves them: sys/kern/kern_event.c");
    unix_pair(fd);
    put(fd[1], 5);
    CHANGE_UDATA(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    CHANGE_UDATA(kq, fd[0], EVFILT_READ, EV_DISABLE, 0, 0, 2);
    CHANGE_UDATA(kq, fd[0], EVFILT_READ, EV_ENABLE, 0, 0, 3);
    CHECK(EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 5).udata == UDATA(3));
    CHANGE_UDATA(kq, fd[0], EVFILT_READ, EV_ENABLE, NOTE_LOWAT, 9, 4);
    EXPECT_SILENCE(kq);
    put(fd[1], 4);
    CHECK(EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 9).udata == UDATA(4));
}

TEST(change_enable_and_disable)
{
    int kq = queue(), fd[2];

    only_on(LIKE_FREEBSD, "kern_event.c: macOS lets EV_DISABLE win");
    unix_pair(fd);
    EXPECT_ERROR(EINVAL, kq, fd[0], EVFILT_READ,
                 EV_ADD | EV_ENABLE | EV_DISABLE, 0, 0);
    EXPECT_ABSENT(kq, fd[0], EVFILT_READ);
}
