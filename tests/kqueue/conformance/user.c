/* EVFILT_USER. */
#include "expect.h"
#include "helpers.h"

TEST(user_trigger)
{
    int kq = queue();

    need_user();
    CHANGE_UDATA(kq, 7, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 1);
    EXPECT_SILENCE(kq);
    CHANGE_UDATA(kq, 7, EVFILT_USER, 0, NOTE_TRIGGER, 0, 1);
    CHECK(EXPECT_EVENT(kq, 7, EVFILT_USER, 0, ANY).udata == UDATA(1));
    EXPECT_SILENCE(kq);
    TRIGGER(kq, 7);
    EXPECT_EVENT(kq, 7, EVFILT_USER, 0, ANY);
    EXPECT_SILENCE(kq);
}

TEST(user_level)
{
    int kq = queue(), i;

    need_user();
    CHANGE(kq, 7, EVFILT_USER, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    TRIGGER(kq, 7);
    for (i = 0; i < 4; i++)
        EXPECT_EVENT(kq, 7, EVFILT_USER, 0, ANY);
    CHANGE(kq, 7, EVFILT_USER, EV_DELETE, 0, 0);
    EXPECT_SILENCE(kq);
}

/* kern_event.c: EV_CLEAR in a later change takes the trigger back. */
TEST(user_clear_resets)
{
    int kq = queue();

    need_user();
    not_on(MACOS, "not so in kern_event.c, macOS");
    CHANGE(kq, 7, EVFILT_USER, EV_ADD, 0, 0);
    TRIGGER(kq, 7);
    EXPECT_EVENT(kq, 7, EVFILT_USER, 0, ANY);
    CHANGE(kq, 7, EVFILT_USER, EV_CLEAR, 0, 0);
    EXPECT_SILENCE(kq);
    TRIGGER(kq, 7);
    EXPECT_EVENT(kq, 7, EVFILT_USER, 0, ANY);
    EXPECT_EVENT(kq, 7, EVFILT_USER, 0, ANY);
}

TEST(user_triggers_merge)
{
    int kq = queue(), i;

    need_user();
    CHANGE(kq, 7, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0);
    for (i = 0; i < 5; i++)
        TRIGGER(kq, 7);
    EXPECT_EVENT(kq, 7, EVFILT_USER, 0, ANY);
    EXPECT_SILENCE(kq);
}

/* The first EV_ADD cannot trigger: kern_event.c, FreeBSD and NetBSD. */
TEST(user_trigger_in_add)
{
    int kq = queue();

    need_user();
    only_on(LIKE_FREEBSD | NETBSD, "it can: kern_event.c, this system");
    CHANGE(kq, 7, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0);
    EXPECT_SILENCE(kq);
    TRIGGER(kq, 7);
    EXPECT_EVENT(kq, 7, EVFILT_USER, 0, ANY);
    EXPECT_SILENCE(kq);
}

TEST(user_trigger_with_enable)
{
    int kq = queue();

    need_user();
    CHANGE(kq, 7, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0);
    CHANGE(kq, 7, EVFILT_USER, EV_ENABLE, NOTE_TRIGGER, 0);
    EXPECT_EVENT(kq, 7, EVFILT_USER, 0, ANY);
    EXPECT_SILENCE(kq);
}

/* NOTE_FF*: how the low 24 bits of fflags meet those stored. */
TEST(user_fflags)
{
    static const struct {
        unsigned operation, value, result;
    } steps[] = {
        {NOTE_FFCOPY, 0x0000ff, 0x0000ff}, {NOTE_FFNOP, 0x123456, 0x0000ff},
        {NOTE_FFOR, 0x00f000, 0x00f0ff},   {NOTE_FFAND, 0x00ff0f, 0x00f00f},
        {NOTE_FFOR, 0xffffff, 0xffffff},   {NOTE_FFAND, 0x800001, 0x800001},
        {NOTE_FFCOPY, 0x000000, 0x000000},
    };
    int kq = queue();
    size_t i;

    need_user();
    CHANGE(kq, 7, EVFILT_USER, EV_ADD, NOTE_FFCOPY | 0x42, 0);
    TRIGGER(kq, 7);
    for (i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct kevent ev;

        snprintf(context, sizeof context, "step %zu", i);
        CHANGE(kq, 7, EVFILT_USER, 0,
               NOTE_TRIGGER | steps[i].operation | steps[i].value, 0);
        ev = EXPECT_EVENT(kq, 7, EVFILT_USER, 0, ANY);
        CHECK_EQUAL(ev.fflags & NOTE_FFLAGSMASK, steps[i].result);
        if ((SYSTEM & LIKE_FREEBSD) != 0)
            CHECK_EQUAL(ev.fflags, steps[i].result);
    }
}

TEST(user_fflags_without_trigger)
{
    struct kevent ev;
    int kq = queue();

    need_user();
    CHANGE(kq, 7, EVFILT_USER, EV_ADD, 0, 0);
    CHANGE(kq, 7, EVFILT_USER, 0, NOTE_FFOR | 5, 0);
    EXPECT_SILENCE(kq);
    CHANGE(kq, 7, EVFILT_USER, 0, NOTE_FFOR | 2, 0);
    EXPECT_SILENCE(kq);
    TRIGGER(kq, 7);
    ev = EXPECT_EVENT(kq, 7, EVFILT_USER, 0, ANY);
    CHECK_EQUAL(ev.fflags & NOTE_FFLAGSMASK, 7);
}

/* kern_event.c, all: the trigger brings data and udata. */
TEST(user_data)
{
    struct kevent ev;
    int kq = queue();

    need_user();
    CHANGE_UDATA(kq, 7, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 1);
    CHANGE_UDATA(kq, 7, EVFILT_USER, 0, NOTE_TRIGGER, 4711, 2);
    ev = EXPECT_EVENT(kq, 7, EVFILT_USER, 0, 4711);
    CHECK(ev.udata == UDATA(2));
    EXPECT_SILENCE(kq);
}

/* Delivered without what was stored, and gone. */
TEST(user_oneshot)
{
    struct kevent ev;
    int kq = queue();

    need_user();
    only_on(LIKE_FREEBSD, "only measured on FreeBSD");
    CHANGE(kq, 7, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_FFCOPY | 5, 0);
    CHANGE_UDATA(kq, 7, EVFILT_USER, 0, NOTE_TRIGGER | NOTE_FFOR | 2, 4711, 3);
    ev = EXPECT_EVENT(kq, 7, EVFILT_USER, 0, 0);
    CHECK_EQUAL(ev.fflags, 0);
    CHECK(ev.udata == UDATA(3));
    EXPECT_SILENCE(kq);
    EXPECT_ABSENT(kq, 7, EVFILT_USER);
}

TEST(user_absent)
{
    int kq = queue();

    need_user();
    EXPECT_ERROR(ENOENT, kq, 7, EVFILT_USER, 0, NOTE_TRIGGER, 0);
    EXPECT_SILENCE(kq);
}

TEST(user_trigger_in_the_call)
{
    struct kevent change = ENTRY(7, EVFILT_USER, 0, NOTE_TRIGGER, 0, 3), ev;
    int kq = queue();

    need_user();
    CHANGE(kq, 7, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0);
    CHECK_EQUAL(call(kq, &change, 1, &ev, 1, NULL), 1);
    CHECK_EQUAL(ev.ident, 7);
    CHECK(ev.udata == UDATA(3));
    EXPECT_SILENCE(kq);
}

TEST(user_many)
{
    enum { N = 100 };
    int kq = queue(), seen[N] = {0}, i, total = 0;
    struct kevent ev[7];

    need_user();
    for (i = 0; i < N; i++) {
        CHANGE(kq, i, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0);
        TRIGGER(kq, i);
    }
    while (total < N) {
        int n = collect(kq, ev, 7, LIMIT_MS * MS);

        CHECK(n > 0);
        for (i = 0; i < n; i++)
            CHECK_EQUAL(seen[ev[i].ident]++, 0);
        total += n;
    }
    EXPECT_SILENCE(kq);
}

TEST(user_is_private_to_its_queue)
{
    int one = queue(), two = queue();

    need_user();
    CHANGE(one, 7, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0);
    CHANGE(two, 7, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0);
    TRIGGER(one, 7);
    EXPECT_SILENCE(two);
    EXPECT_EVENT(one, 7, EVFILT_USER, 0, ANY);
    EXPECT_SILENCE(one);
}

TEST(user_costs_no_cpu)
{
    int kq = queue();

    need_user();
    CHANGE(kq, 7, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0);
    CHANGE(kq, 8, EVFILT_USER, EV_ADD | EV_DISABLE, 0, 0);
    TRIGGER(kq, 7);
    TRIGGER(kq, 8);
    EXPECT_EVENT(kq, 7, EVFILT_USER, 0, ANY);
    EXPECT_IDLE(kq);
}
