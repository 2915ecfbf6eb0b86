/* close(), and the number is used again. */
#include "expect.h"
#include "helpers.h"

/* Every kind of old knote, against every kind of new one. */
static const struct spec {
    const char *name;
    filter_t filter;
    unsigned flags;
} specs[] = {
    {"READ", EVFILT_READ, 0},
    {"READ|CLEAR", EVFILT_READ, EV_CLEAR},
    {"READ|ONESHOT", EVFILT_READ, EV_ONESHOT},
    {"READ|DISPATCH", EVFILT_READ, EV_DISPATCH},
    {"READ|DISABLE", EVFILT_READ, EV_DISABLE},
    {"WRITE", EVFILT_WRITE, 0},
    {"WRITE|CLEAR", EVFILT_WRITE, EV_CLEAR},
    {"WRITE|DISABLE", EVFILT_WRITE, EV_DISABLE},
};

enum { SPECS = sizeof specs / sizeof specs[0] };

enum {
    PENDING = 1,   /* the old descriptor has an event when it is closed */
    COLLECTED = 2, /* which has been collected */
    ASKED = 4,     /* the new number is asked for old knotes before EV_ADD */
    MODES = 8,
    KEPT = 8, /* a duplicate keeps the old file open */
    PIPE = 16 /* the new file is a pipe */
};

static void check_new_knote(int kq, const struct spec *new, const int fd[2])
{
    bool reads = new->filter == (filter_t)EVFILT_READ;

    CHANGE_UDATA(kq, fd[0], new->filter, EV_ADD | new->flags, 0, 0, 2);
    if (reads) {
        EXPECT_SILENCE(kq);
        put(fd[1], 4);
    }
    if ((new->flags &EV_DISABLE) != 0) {
        EXPECT_SILENCE(kq);
        CHANGE_UDATA(kq, fd[0], new->filter, EV_ENABLE, 0, 0, 2);
    }
    CHECK(EXPECT_EVENT(kq, fd[0], new->filter, 0, reads ? 4 : SOME).udata ==
          UDATA(2));
    if ((new->flags &(EV_CLEAR | EV_DISPATCH | EV_ONESHOT)) == 0) {
        EXPECT_EVENT(kq, fd[0], new->filter, 0, reads ? 4 : SOME);
        CHANGE(kq, fd[0], new->filter, EV_DELETE, 0, 0);
    }
    EXPECT_SILENCE(kq);
}

static void reuse(int kq, const struct spec *old, const struct spec *new,
                  int mode)
{
    int a[2], b[2], kept = -1, turn;
    struct kevent ev[4];

    unix_pair(a);
    CHANGE_UDATA(kq, a[0], old->filter, EV_ADD | old->flags, 0, 0, 1);
    if ((mode & PENDING) != 0)
        put(a[1], 1);
    if ((mode & COLLECTED) != 0)
        SYS(collect(kq, ev, 4, 0));
    if ((mode & KEPT) != 0)
        kept = SYS(dup(a[0]));
    SYS(close(a[0]));
    if ((mode & PIPE) == 0) {
        unix_pair(b);
    } else if (new->filter == (filter_t)EVFILT_READ) {
        SYS(pipe(b));
    } else {
        SYS(pipe(b));
        turn = SYS(dup(b[1])); /* the writing end under the old number */
        SYS(dup2(b[0], b[1]));
        SYS(dup2(turn, b[0]));
        SYS(close(turn));
    }
    CHECK_EQUAL(b[0], a[0]);
    if ((mode & KEPT) != 0)
        put(a[1], 1); /* no event: the number is no longer this file's */
    EXPECT_SILENCE(kq);
    if ((mode & ASKED) != 0)
        EXPECT_ABSENT(kq, b[0], old->filter);
    check_new_knote(kq, new, b);
    if ((mode & KEPT) != 0) {
        put(a[1], 1);
        EXPECT_SILENCE(kq);
        SYS(close(kept));
    }
    SYS(close(a[1]));
    SYS(close(b[0]));
    SYS(close(b[1]));
    EXPECT_SILENCE(kq);
}

/* All in one queue, so that nothing of a case may be left for the next. */
static void reuse_all(int extra)
{
    int kq = queue(), old, new, mode;

    for (old = 0; old < SPECS; old++)
        for (new = 0; new < SPECS; new ++)
            for (mode = 0; mode < MODES; mode++) {
                snprintf(context, sizeof context, "old %s, new %s,%s%s%s%s%s",
                         specs[old].name, specs[new].name,
                         mode & PENDING ? " pending" : "",
                         mode & COLLECTED ? " collected" : "",
                         mode & ASKED ? " asked" : "",
                         extra & KEPT ? " kept open" : "",
                         extra & PIPE ? " a pipe" : "");
                reuse(kq, &specs[old], &specs[new], mode | extra);
            }
}

TEST(close_reuse)
{
    reuse_all(0);
}

TEST(close_reuse_for_a_pipe)
{
    reuse_all(PIPE);
}

TEST(close_reuse_with_dup)
{
    reuse_all(KEPT);
}

TEST(close_reuse_for_a_pipe_with_dup)
{
    reuse_all(KEPT | PIPE);
}

TEST(close_reuse_without_add)
{
    int kq = queue(), a[2], b[2];

    unix_pair(a);
    CHANGE(kq, a[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, a[0], EVFILT_WRITE, EV_ADD | EV_DISABLE, 0, 0);
    SYS(close(a[0]));
    unix_pair(b);
    CHECK_EQUAL(b[0], a[0]);
    put(b[1], 1);
    EXPECT_SILENCE(kq);
    EXPECT_ERROR(ENOENT, kq, b[0], EVFILT_WRITE, EV_ENABLE, 0, 0);
    EXPECT_ERROR(ENOENT, kq, b[0], EVFILT_READ, EV_DISABLE, 0, 0);
    EXPECT_ERROR(ENOENT, kq, b[0], EVFILT_READ, EV_DELETE, 0, 0);
    EXPECT_SILENCE(kq);
}

/* Both knotes of the old number go, also when one of them comes back. */
TEST(close_reuse_one_of_two)
{
    int kq = queue(), a[2], b[2], i;

    for (i = 0; i < 4; i++) {
        unix_pair(a);
        CHANGE(kq, a[0], EVFILT_READ, EV_ADD | (i & 1 ? EV_CLEAR : 0), 0, 0);
        CHANGE(kq, a[0], EVFILT_WRITE, EV_ADD | (i & 1 ? EV_CLEAR : 0), 0, 0);
        SYS(close(a[0]));
        unix_pair(b);
        CHECK_EQUAL(b[0], a[0]);
        put(b[1], 1);
        if ((i & 2) != 0) {
            CHANGE(kq, b[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0);
            EXPECT_EVENT(kq, b[0], EVFILT_READ, 0, 1);
            EXPECT_SILENCE(kq);
            EXPECT_ABSENT(kq, b[0], EVFILT_WRITE);
        } else {
            CHANGE(kq, b[0], EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0);
            EXPECT_EVENT(kq, b[0], EVFILT_WRITE, 0, SOME);
            EXPECT_SILENCE(kq);
            EXPECT_ABSENT(kq, b[0], EVFILT_READ);
        }
        SYS(close(a[1]));
        SYS(close(b[0]));
        SYS(close(b[1]));
    }
}

TEST(close_reuse_for_a_file)
{
    int kq = queue(), a[2], file;

    unix_pair(a);
    CHANGE(kq, a[0], EVFILT_READ, EV_ADD, 0, 0);
    SYS(close(a[0]));
    file = regular_file(20);
    CHECK_EQUAL(file, a[0]);
    EXPECT_SILENCE(kq);
    CHANGE(kq, file, EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_EVENT(kq, file, EVFILT_READ, 0, 20);
    SYS(close(file));
    EXPECT_SILENCE(kq);
    unix_pair(a);
    CHECK_EQUAL(a[0], file);
    EXPECT_SILENCE(kq);
    CHANGE(kq, a[0], EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    put(a[1], 3);
    EXPECT_EVENT(kq, a[0], EVFILT_READ, 0, 3);
    take(a[0], 3);
    EXPECT_SILENCE(kq);
}

/* An old knote of one filter must not take the new one of the other along. */
TEST(close_reuse_one_after_the_other)
{
    int kq = queue(), a[2], b[2], i;

    for (i = 0; i < 2; i++) {
        filter_t old = (filter_t)(i ? EVFILT_WRITE : EVFILT_READ);
        filter_t other = (filter_t)(i ? EVFILT_READ : EVFILT_WRITE);

        unix_pair(a);
        CHANGE(kq, a[0], old, EV_ADD, 0, 0);
        SYS(close(a[0]));
        unix_pair(b);
        CHECK_EQUAL(b[0], a[0]);
        CHANGE(kq, b[0], other, EV_ADD | EV_DISABLE, 0, 0);
        CHANGE(kq, b[0], old, EV_ADD | EV_DISABLE, 0, 0);
        put(b[1], 1);
        CHANGE(kq, b[0], other, EV_ENABLE, 0, 0);
        EXPECT_EVENT(kq, b[0], other, 0, SOME);
        SYS(close(a[1]));
        SYS(close(b[0]));
        SYS(close(b[1]));
    }
}
