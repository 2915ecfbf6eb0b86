/* EV_ENABLE, EV_DISABLE, EV_ONESHOT, EV_CLEAR, EV_DISPATCH; what a knote is. */
#include "expect.h"
#include "helpers.h"

TEST(change_enable_twice)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    put(fd[1], 1);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_ENABLE, 0, 0);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ENABLE, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    CHANGE(kq, fd[0], EVFILT_READ, EV_DISABLE, 0, 0);
    CHANGE(kq, fd[0], EVFILT_READ, EV_DISABLE, 0, 0);
    EXPECT_SILENCE(kq);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ENABLE, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    CHANGE(kq, fd[0], EVFILT_READ, EV_DELETE, 0, 0);
    EXPECT_SILENCE(kq);
}

/* What happens while a knote is disabled is remembered. */
static void add_disabled_one(int kq, const struct kind *k, const int fd[2])
{
    KIND(kq, k, EV_ADD | EV_DISABLE, 8);
    kinds_fire(kq, k, fd);
    EXPECT_SILENCE(kq);
    KIND(kq, k, EV_ENABLE, 8);
    CHECK(EXPECT_EVENT(kq, k->ident, k->filter, 0, ANY).udata == UDATA(8));
}

TEST(change_add_disabled)
{
    EACH_KIND(kind, fd, add_disabled_one);
}

static void disable_pending_one(int kq, const struct kind *k, const int fd[2])
{
    KIND(kq, k, EV_ADD, 8);
    kinds_fire(kq, k, fd);
    KIND(kq, k, EV_DISABLE, 8);
    EXPECT_SILENCE(kq);
    KIND(kq, k, EV_ENABLE, 8);
    EXPECT_EVENT(kq, k->ident, k->filter, 0, ANY);
}

TEST(change_disable_pending)
{
    EACH_KIND(kind, fd, disable_pending_one);
}

/* With EV_CLEAR the edge that came while disabled is not lost. */
TEST(change_disable_clear)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    CHANGE(kq, fd[0], EVFILT_READ, EV_DISABLE, 0, 0);
    put(fd[1], 1);
    EXPECT_SILENCE(kq);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ENABLE, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    EXPECT_SILENCE(kq);
}

/* But what is no longer true is not returned. */
TEST(change_enable_asks_again)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    put(fd[1], 1);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_DISABLE, 0, 0);
    take(fd[0], 1);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ENABLE, 0, 0);
    EXPECT_SILENCE(kq);
    put(fd[1], 2);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 2);
}

TEST(change_disable_one_filter)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    put(fd[1], 1);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_DISABLE, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    CHANGE(kq, fd[0], EVFILT_READ, EV_DISABLE, 0, 0);
    EXPECT_SILENCE(kq);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ENABLE, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_DELETE, 0, 0);
    EXPECT_SILENCE(kq);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ENABLE, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
}

TEST(change_delete_disabled)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    put(fd[1], 1);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_DISABLE, 0, 0);
    CHANGE(kq, fd[0], EVFILT_READ, EV_DELETE, 0, 0);
    EXPECT_ABSENT(kq, fd[0], EVFILT_READ);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0); /* a new one is enabled */
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
}

static void oneshot_one(int kq, const struct kind *k, const int fd[2])
{
    KIND(kq, k, EV_ADD | EV_ONESHOT, 8);
    if (k->filter != (filter_t)EVFILT_WRITE)
        EXPECT_SILENCE(kq); /* and a wait in vain does not use it up */
    kinds_fire(kq, k, fd);
    EXPECT_EVENT(kq, k->ident, k->filter, 0, ANY);
    EXPECT_SILENCE(kq);
    EXPECT_ABSENT(kq, k->ident, k->filter);
    KIND(kq, k, EV_ADD | EV_ONESHOT, 9);
    KIND(kq, k, EV_DELETE, 8);
}

TEST(change_oneshot)
{
    EACH_KIND(kind, fd, oneshot_one);
}

TEST(change_oneshot_one_filter)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    put(fd[1], 1);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD | EV_DISABLE | EV_ONESHOT, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    CHANGE(kq, fd[0], EVFILT_READ, EV_DISABLE, 0, 0);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ENABLE, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    EXPECT_SILENCE(kq);
    EXPECT_ABSENT(kq, fd[0], EVFILT_WRITE);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ENABLE, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
}

TEST(change_clear)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    EXPECT_SILENCE(kq);
    put(fd[1], 4);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 4);
    EXPECT_SILENCE(kq);
    take(fd[0], 1); /* less, but no news */
    EXPECT_SILENCE(kq);
    put(fd[1], 2);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 5);
    EXPECT_SILENCE(kq);
    take(fd[0], 5);
    EXPECT_SILENCE(kq);
    put(fd[1], 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    EXPECT_SILENCE(kq);
}

/* Something that is true when it is added counts as news. */
TEST(change_clear_sees_what_is_there)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    put(fd[1], 4);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 4);
    EXPECT_SILENCE(kq);
}

static void dispatch_one(int kq, const struct kind *k, const int fd[2])
{
    int round;

    /* kern_event.c, NetBSD: EV_CLEAR, which these two force, wins. */
    if (SYSTEM == NETBSD && (k->filter == (filter_t)EVFILT_TIMER ||
                             k->filter == (filter_t)EVFILT_SIGNAL))
        return;
    /* kern_event.c, macOS: EV_ENABLE starts a timer anew. */
    KIND(kq, k, EV_ADD | EV_DISPATCH, 8);
    for (round = 0; round < 2; round++) {
        kinds_fire(kq, k, fd);
        EXPECT_EVENT(kq, k->ident, k->filter, 0, ANY);
        EXPECT_SILENCE(kq);
        kinds_fire(kq, k, fd); /* while disabled: silent, remembered */
        EXPECT_SILENCE(kq);
        KIND(kq, k, EV_ENABLE, 8);
        EXPECT_EVENT(kq, k->ident, k->filter, 0, ANY);
        EXPECT_SILENCE(kq);
        KIND(kq, k, EV_ENABLE, 8);
        if (k->filter == (filter_t)EVFILT_READ)
            drain(fd[0]);
    }
    KIND(kq, k, EV_DELETE, 8);
}

TEST(change_dispatch)
{
    EACH_KIND(kind, fd, dispatch_one);
}

TEST(change_dispatch_clear)
{
    int kq = queue(), fd[2];

    only_on(FREEBSD | LINUX, "EV_CLEAR wins on NetBSD; the others: not read");
    unix_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_CLEAR | EV_DISPATCH, 0, 0);
    put(fd[1], 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    put(fd[1], 1);
    EXPECT_SILENCE(kq);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ENABLE, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 2);
    EXPECT_SILENCE(kq);
}

TEST(change_two_queues)
{
    int one = queue(), two = queue(), fd[2];

    unix_pair(fd);
    CHANGE_UDATA(one, fd[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    CHANGE_UDATA(two, fd[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 2);
    put(fd[1], 1);
    CHECK(EXPECT_EVENT(one, fd[0], EVFILT_READ, 0, 1).udata == UDATA(1));
    CHECK(EXPECT_EVENT(two, fd[0], EVFILT_READ, 0, 1).udata == UDATA(2));
    EXPECT_SILENCE(two);
    CHANGE(two, fd[0], EVFILT_READ, EV_DELETE, 0, 0);
    EXPECT_EVENT(one, fd[0], EVFILT_READ, 0, 1);
    SYS(close(two));
    EXPECT_EVENT(one, fd[0], EVFILT_READ, 0, 1);
}

/* The number of a descriptor, a timer and a USER event are three things. */
TEST(change_idents_are_per_filter)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    CHANGE_UDATA(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    CHANGE_UDATA(kq, fd[0], EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 20, 2);
    if (HAVE_USER)
        CHANGE_UDATA(kq, fd[0], EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 3);
    CHECK(EXPECT_EVENT(kq, fd[0], EVFILT_TIMER, 0, 1).udata == UDATA(2));
    put(fd[1], 1);
    CHECK(EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1).udata == UDATA(1));
    CHANGE(kq, fd[0], EVFILT_READ, EV_DELETE, 0, 0);
    EXPECT_SILENCE(kq);
    if (HAVE_USER) {
        CHANGE_UDATA(kq, fd[0], EVFILT_USER, 0, NOTE_TRIGGER, 0, 4);
        CHECK(EXPECT_EVENT(kq, fd[0], EVFILT_USER, 0, ANY).udata == UDATA(4));
    }
    EXPECT_SILENCE(kq);
}

TEST(change_keepudata)
{
#ifdef EV_KEEPUDATA
    int kq = queue(), fd[2];

    unix_pair(fd);
    put(fd[1], 1);
    CHANGE_UDATA(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    CHANGE_UDATA(kq, fd[0], EVFILT_READ, EV_DISABLE | EV_KEEPUDATA, 0, 0, 2);
    CHANGE_UDATA(kq, fd[0], EVFILT_READ, EV_ENABLE | EV_KEEPUDATA, 0, 0, 3);
    CHECK(EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1).udata == UDATA(1));
#else
    skip("no EV_KEEPUDATA here: FreeBSD 14 and later alone have it");
#endif
}
