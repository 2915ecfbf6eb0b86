/* The changelist: errors, receipts, both lists in one array. */
#include "expect.h"
#include "helpers.h"

TEST(change_unknown_filter)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    EXPECT_ERROR(EINVAL, kq, fd[0], -100, EV_ADD, 0, 0);
    EXPECT_ERROR(EINVAL, kq, fd[0], 100, EV_ADD, 0, 0);
}

TEST(change_filter_zero_is_skipped)
{
    int kq = queue();

    only_on(LIKE_FREEBSD, "only FreeBSD skips it: sys/kern/kern_event.c");
    EXPECT_ERROR(0, kq, 12345, 0, EV_ADD, 0, 0);
}

TEST(change_vnode_and_proc_refused)
{
    only_on(LINUX, "the system has them");
#ifdef EVFILT_VNODE
    EXPECT_ERROR(EINVAL, queue(), regular_file(1), EVFILT_VNODE, EV_ADD, 1, 0);
#endif
#ifdef EVFILT_PROC
    EXPECT_ERROR(EINVAL, queue(), getpid(), EVFILT_PROC, EV_ADD, 1, 0);
#endif
}

TEST(change_bad_descriptor)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    SYS(close(fd[1]));
    EXPECT_ERROR(EBADF, kq, -1, EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_ERROR(EBADF, kq, fd[1], EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_ERROR(EBADF, kq, fd[1], EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_ERROR(EBADF, kq, fd[1], EVFILT_READ, EV_DELETE, 0, 0);
    EXPECT_ERROR(EBADF, kq, INT_MAX, EVFILT_READ, EV_ADD, 0, 0);
    if (sizeof(uintptr_t) > 4 && (SYSTEM & LIKE_FREEBSD) != 0)
        EXPECT_ERROR(EBADF, kq, ((uintptr_t)1 << 31 << 1) + (uintptr_t)fd[0],
                     EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
}

TEST(change_absent)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    expect_all_absent(kq, EV_DELETE, fd[0]);
    expect_all_absent(kq, EV_ENABLE, fd[0]);
    expect_all_absent(kq, EV_DISABLE, fd[0]);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_ABSENT(kq, fd[0], EVFILT_WRITE);
    CHANGE(kq, fd[0], EVFILT_READ, EV_DELETE, 0, 0);
    EXPECT_ABSENT(kq, fd[0], EVFILT_READ);
}

/* With room, an error becomes an entry and the rest is still applied. */
TEST(change_error_entry)
{
    struct kevent changes[3], ev[3];
    int kq = queue(), fd[2];

    unix_pair(fd);
    changes[0] = ENTRY(4711, EVFILT_TIMER, EV_DELETE, 0, 0, 11);
    changes[1] = ENTRY(fd[0], EVFILT_READ, EV_ADD, 0, 0, 12);
    changes[2] = ENTRY(-1, EVFILT_READ, EV_ADD, 0, 0, 13);
    CHECK_EQUAL(call(kq, changes, 3, ev, 3, NULL), 2);
    EXPECT_ENTRY(&ev[0], changes[0], ENOENT);
    EXPECT_ENTRY(&ev[1], changes[2], EBADF);
    EXPECT_SILENCE(kq);
    put(fd[1], 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
}

/* A lone failing change: reported at once, at timeout zero and for ever. */
TEST(change_error_does_not_wait)
{
    struct timespec zero = {0, 0}, hour = {3600, 0};
    struct kevent change = ENTRY(1, EVFILT_TIMER, EV_DELETE, 0, 0, 5), ev[4];
    int kq = queue();

    CHECK_EQUAL(call(kq, &change, 1, ev, 4, &zero), 1);
    EXPECT_ENTRY(&ev[0], change, ENOENT);
    CHECK_EQUAL(call(kq, &change, 1, ev, 4, &hour), 1);
    EXPECT_ENTRY(&ev[0], change, ENOENT);
    CHECK_EQUAL(call(kq, &change, 1, ev, 4, NULL), 1);
    EXPECT_ENTRY(&ev[0], change, ENOENT);
    EXPECT_SILENCE(kq);
}

/* Without room kevent() fails there, and later changes are not made. */
TEST(change_error_without_room)
{
    struct kevent changes[3];
    int kq = queue();

    changes[0] = ENTRY(1, EVFILT_TIMER, EV_ADD, 0, 60000, 0);
    changes[1] = ENTRY(2, EVFILT_TIMER, EV_DELETE, 0, 0, 0);
    changes[2] = ENTRY(3, EVFILT_TIMER, EV_ADD, 0, 60000, 0);
    CHECK_EQUAL(call(kq, changes, 3, NULL, 0, NULL), -1);
    CHECK_EQUAL(errno, ENOENT);
    CHANGE(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0);
    EXPECT_ABSENT(kq, 3, EVFILT_TIMER);
}

TEST(change_error_room_runs_out)
{
    struct kevent changes[3], ev;
    int kq = queue();

    only_on(
        LIKE_FREEBSD | NETBSD,
        "kern_event.c, DragonFly: writes past the list; the others: not seen");
    changes[0] = ENTRY(1, EVFILT_TIMER, EV_DELETE, 0, 0, 0);
    changes[1] = ENTRY(-1, EVFILT_READ, EV_ADD, 0, 0, 0);
    changes[2] = ENTRY(3, EVFILT_TIMER, EV_ADD, 0, 60000, 0);
    CHECK_EQUAL(call(kq, changes, 3, &ev, 1, NULL), -1);
    CHECK_EQUAL(errno, EBADF);
    EXPECT_ABSENT(kq, 3, EVFILT_TIMER);
}

/* A call that reports on changes returns no event; none is lost either. */
TEST(change_error_hides_events)
{
    struct kevent change = ENTRY(1, EVFILT_TIMER, EV_DELETE, 0, 0, 0), ev[8];
    int kq = queue(), fd[2];

    unix_pair(fd);
    put(fd[1], 2);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    CHECK_EQUAL(call(kq, &change, 1, ev, 8, NULL), 1);
    EXPECT_ENTRY(&ev[0], change, ENOENT);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 2);
    EXPECT_SILENCE(kq);
}

TEST(change_receipt)
{
    struct timespec zero = {0, 0}, hour = {3600, 0};
    struct kevent changes[3], ev[8];
    int kq = queue(), fd[2];

    unix_pair(fd);
    put(fd[1], 1);
    changes[0] = ENTRY(fd[0], EVFILT_READ, EV_ADD | EV_RECEIPT, 0, 0, 21);
    changes[1] = ENTRY(2, EVFILT_TIMER, EV_DELETE | EV_RECEIPT, 0, 0, 22);
    changes[2] = ENTRY(3, EVFILT_TIMER, EV_ADD | EV_RECEIPT, 0, 60000, 23);
    CHECK_EQUAL(call(kq, changes, 3, ev, 8, NULL), 3);
    EXPECT_ENTRY(&ev[0], changes[0], 0);
    EXPECT_ENTRY(&ev[1], changes[1], ENOENT);
    EXPECT_ENTRY(&ev[2], changes[2], 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    take(fd[0], 1);
    EXPECT_SILENCE(kq);
    CHECK_EQUAL(call(kq, changes, 1, ev, 8, &zero), 1);
    EXPECT_ENTRY(&ev[0], changes[0], 0);
    CHECK_EQUAL(call(kq, changes, 1, ev, 8, &hour), 1);
    EXPECT_ENTRY(&ev[0], changes[0], 0);
    EXPECT_SILENCE(kq);
}

/* EV_RECEIPT asks for one receipt: what comes later is an event. */
TEST(change_receipt_is_not_kept)
{
    struct kevent change, ev;
    int kq = queue(), fd[2];

    unix_pair(fd);
    change = ENTRY(fd[0], EVFILT_READ, EV_ADD | EV_RECEIPT, 0, 0, 1);
    CHECK_EQUAL(call(kq, &change, 1, &ev, 1, NULL), 1);
    put(fd[1], 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    CHANGE(kq, fd[0], EVFILT_READ, EV_DISABLE, 0, 0);
    EXPECT_SILENCE(kq);
}

/* FreeBSD keeps the bit with the knote, and returns it. */
TEST(change_receipt_stays_in_flags)
{
    struct kevent change, ev;
    int kq = queue(), fd[2];

    only_on(LIKE_FREEBSD, "only measured on FreeBSD");
    unix_pair(fd);
    change = ENTRY(fd[0], EVFILT_READ, EV_ADD | EV_RECEIPT, 0, 0, 1);
    CHECK_EQUAL(call(kq, &change, 1, &ev, 1, NULL), 1);
    put(fd[1], 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, EV_RECEIPT, 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, EV_RECEIPT, 1);
}

/* The knote has taken them: kern_event.c, kqueue_register(). */
TEST(change_receipt_has_no_fflags)
{
    struct kevent change, ev;
    int kq = queue(), fd[2];

    only_on(LIKE_FREEBSD, "only measured on FreeBSD");
    unix_pair(fd);
    change = ENTRY(fd[0], EVFILT_READ, EV_ADD | EV_RECEIPT, NOTE_LOWAT, 3, 1);
    CHECK_EQUAL(call(kq, &change, 1, &ev, 1, NULL), 1);
    EXPECT_ENTRY(&ev, change, 0);
    CHECK_EQUAL(ev.fflags, 0);
    put(fd[1], 2);
    EXPECT_SILENCE(kq);
    put(fd[1], 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 3);
}

TEST(change_receipt_without_room)
{
    struct kevent changes[2];
    int kq = queue();

    not_on(MACOS | DRAGONFLY, "kern_event.c: macOS goes on without a receipt, "
                              "DragonFly fails to copy it out");
    changes[0] = ENTRY(1, EVFILT_TIMER, EV_ADD | EV_RECEIPT, 0, 60000, 0);
    changes[1] = ENTRY(2, EVFILT_TIMER, EV_ADD, 0, 60000, 0);
    CHECK_EQUAL(call(kq, changes, 2, NULL, 0, NULL), 0);
    CHANGE(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0);
    EXPECT_ABSENT(kq, 2, EVFILT_TIMER);
}

/* kevent(2), all: one array may serve as both lists. */
TEST(change_same_array)
{
    enum { N = 40 };
    struct kevent list[N];
    int kq = queue(), i;

    for (i = 0; i < N; i++)
        list[i] =
            ENTRY(i + 1, EVFILT_TIMER, i % 2 ? EV_ADD : EV_DELETE, 0, 60000, i);
    CHECK_EQUAL(call(kq, list, N, list, N, NULL), N / 2);
    for (i = 0; i < N / 2; i++) {
        CHECK_EQUAL(list[i].ident, 2 * i + 1);
        CHECK(list[i].udata == UDATA(2 * i));
        CHECK_EQUAL(list[i].data, ENOENT);
    }
    for (i = 1; i < N; i += 2)
        CHANGE(kq, i + 1, EVFILT_TIMER, EV_DELETE, 0, 0);
}

TEST(change_same_array_events)
{
    struct timespec zero = {0, 0};
    struct kevent list[2];
    int kq = queue(), fd[2];

    unix_pair(fd);
    put(fd[1], 4);
    list[0] = ENTRY(9, EVFILT_TIMER, EV_ADD, 0, 60000, 0);
    list[1] = ENTRY(fd[0], EVFILT_READ, EV_ADD, 0, 0, 3);
    CHECK_EQUAL(call(kq, list, 2, list, 2, &zero), 1);
    CHECK_EQUAL(list[0].ident, fd[0]);
    CHECK_EQUAL(list[0].data, 4);
    CHECK(list[0].udata == UDATA(3));
}

TEST(change_many)
{
    enum { N = 300 };
    static struct kevent changes[N];
    int kq = queue(), i;

    for (i = 0; i < N; i++)
        changes[i] = ENTRY(i, EVFILT_TIMER, EV_ADD, 0, 60000, 0);
    CHECK_EQUAL(call(kq, changes, N, NULL, 0, NULL), 0);
    for (i = 0; i < N; i++)
        changes[i].flags = EV_DELETE;
    CHECK_EQUAL(call(kq, changes, N, NULL, 0, NULL), 0);
    EXPECT_ABSENT(kq, 0, EVFILT_TIMER);
    EXPECT_ABSENT(kq, N - 1, EVFILT_TIMER);
}

TEST(change_are_made_in_order)
{
    struct kevent changes[4];
    int kq = queue(), fd[2];

    unix_pair(fd);
    put(fd[1], 1);
    changes[0] = ENTRY(fd[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    changes[1] = ENTRY(fd[0], EVFILT_READ, EV_DELETE, 0, 0, 2);
    changes[2] = ENTRY(fd[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 3);
    changes[3] = ENTRY(fd[0], EVFILT_READ, EV_DISABLE, 0, 0, 3);
    CHECK_EQUAL(call(kq, changes, 4, NULL, 0, NULL), 0);
    EXPECT_SILENCE(kq);
    CHANGE_UDATA(kq, fd[0], EVFILT_READ, EV_ENABLE, 0, 0, 3);
    CHECK(EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1).udata == UDATA(3));
    EXPECT_SILENCE(kq);
}
