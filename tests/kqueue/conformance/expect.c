#include "expect.h"

int queue(void)
{
    return SYS(kqueue());
}

int call(int kq, const struct kevent *changes, int nchanges,
         struct kevent *events, int nevents, const struct timespec *timeout)
{
    return kevent(kq, changes, (count_t)nchanges, events, (count_t)nevents,
                  timeout);
}

/* Collect up to nevents within ns nanoseconds. */
int collect(int kq, struct kevent *events, int nevents, int64_t ns)
{
    struct timespec t = duration(ns);

    return call(kq, NULL, 0, events, nevents, &t);
}

struct kevent entry(uintptr_t ident, filter_t filter, unsigned flags,
                    unsigned fflags, int64_t data, int udata)
{
    struct kevent ev;

    EV_SET(&ev, ident, filter, (flags_t)flags, (fflags_t)fflags, (data_t)data,
           UDATA(udata));
    return ev;
}

void expect_change(const char *file, int line, int error, int kq,
                   struct kevent change)
{
    int result = call(kq, &change, 1, NULL, 0, NULL);
    int got = result == -1 ? errno : 0;

    if (result > 0 || got != error)
        fail(file, line, "a change: expected %s, got %d, %s",
             error ? strerror(error) : "success", result,
             got ? strerror(got) : "success");
}

const char *filter_name(filter_t filter)
{
    return filter == (filter_t)EVFILT_READ     ? "READ"
           : filter == (filter_t)EVFILT_WRITE  ? "WRITE"
           : filter == (filter_t)EVFILT_TIMER  ? "TIMER"
           : filter == (filter_t)EVFILT_SIGNAL ? "SIGNAL"
           : filter == (filter_t)EVFILT_USER   ? "USER"
                                               : "another filter";
}

const char *describe(char text[200], const struct kevent *ev)
{
    snprintf(text, 200,
             "%s of %" PRIuPTR ", flags %#x%s%s, fflags %#x, data %jd",
             filter_name(ev->filter), (uintptr_t)ev->ident, (unsigned)ev->flags,
             (ev->flags & EV_EOF) != 0 ? " EOF" : "",
             (ev->flags & EV_ERROR) != 0 ? " ERROR" : "", (unsigned)ev->fflags,
             (intmax_t)ev->data);
    return text;
}

/* Flags are compared by bits: most systems also return EV_ADD and the like. */
static bool matches(const struct kevent *ev, unsigned flags, int64_t data)
{
    const unsigned strict = EV_EOF | EV_ERROR;

    if (flags != ANY_FLAGS &&
        ((ev->flags & flags) != flags || ((ev->flags ^ flags) & strict) != 0))
        return false;
    return data == ANY || (data == SOME ? ev->data >= 1 : ev->data == data);
}

static void wanted(char text[200], uintptr_t ident, filter_t filter,
                   unsigned flags, int64_t data)
{
    struct kevent ev = entry(ident, filter, flags == ANY_FLAGS ? 0 : flags, 0,
                             data == ANY || data == SOME ? -1 : data, 0);

    describe(text, &ev);
    if (data == ANY || data == SOME)
        strcpy(strrchr(text, ' '), data == ANY ? " any" : " >= 1");
}

/* Wait for the next event, which must be this one; if patient, pass over the
   same knote's earlier states (bytes still on their way) until it is. */
struct kevent expect_event(const char *file, int line, bool patient, int kq,
                           uintptr_t ident, filter_t filter, unsigned flags,
                           int64_t data)
{
    int64_t end = time_ns() + LIMIT_MS * MS;
    struct kevent ev;
    char want[200], got[200];
    int n;

    wanted(want, ident, filter, flags, data);
    for (;;) {
        memset(&ev, 0, sizeof ev);
        n = collect(kq, &ev, 1, LIMIT_MS * MS);
        if (n == -1)
            fail(file, line, "expected %s, got an error: %s", want,
                 strerror(errno));
        if (n == 0)
            fail(file, line, "expected %s, nothing came", want);
        if (n != 1)
            fail(file, line, "expected %s, got %d events", want, n);
        if (ev.ident != ident || ev.filter != filter)
            break;
        if (matches(&ev, flags, data))
            return ev;
        if (!patient || time_ns() > end)
            break;
        nap(MS);
    }
    fail(file, line, "expected %s, got %s", want, describe(got, &ev));
}

void expect_silence(const char *file, int line, int kq, int64_t ns)
{
    struct kevent ev;
    char text[200];
    int n = collect(kq, &ev, 1, ns);

    if (n == -1)
        fail(file, line, "expected silence, got an error: %s", strerror(errno));
    if (n != 0)
        fail(file, line, "expected silence, got %s", describe(text, &ev));
}

/* Nothing comes for a while, and waiting for it costs no CPU time. */
void expect_idle(const char *file, int line, int kq)
{
    int64_t start = time_ns(), cpu = cpu_ns();

    expect_silence(file, line, kq, 200 * MS);
    if (time_ns() - start < 200 * MS)
        fail(file, line, "kevent() returned before its timeout of 200 ms");
    if (cpu_ns() - cpu > 100 * MS)
        fail(file, line, "200 ms of waiting took %jd ms of CPU time",
             (intmax_t)((cpu_ns() - cpu) / MS));
}

/* An entry of the eventlist that reports on a change. */
void expect_entry(const char *file, int line, const struct kevent *ev,
                  struct kevent change, int error)
{
    char text[200];

    if (ev->ident != change.ident || ev->filter != change.filter ||
        ev->udata != change.udata || (ev->flags & EV_ERROR) == 0 ||
        ev->data != error)
        fail(file, line, "expected an entry of %s, data %d, got %s",
             filter_name(change.filter), error, describe(text, ev));
    /* kern_event.c, macOS: EV_ERROR joins the flags of the change. */
    if (SYSTEM != MACOS && ev->flags != EV_ERROR)
        fail(file, line, "expected flags EV_ERROR and no other, got %s",
             describe(text, ev));
}

#define EXPECT_ENTRY(ev, change, error) expect_entry(HERE, ev, change, error)
/* FreeBSD after 13 says EINVAL of a descriptor that is something else. */
static bool says_bad_queue(int result, int fd)
{
    int error = errno;

    if (result != -1)
        return false;
    return error == EBADF ||
           (SYSTEM == FREEBSD && error == EINVAL && fcntl(fd, F_GETFD) != -1);
}

void expect_bad_queue(const char *file, int line, int kq)
{
    struct timespec zero = {0, 0};
    struct kevent ev, change = ENTRY(1, EVFILT_TIMER, EV_ADD, 0, 1000, 0);

    errno = 0;
    if (!says_bad_queue(call(kq, NULL, 0, &ev, 1, &zero), kq))
        fail(file, line, "waiting on a bad descriptor: expected EBADF, got %s",
             strerror(errno));
    errno = 0;
    if (!says_bad_queue(call(kq, &change, 1, NULL, 0, NULL), kq))
        fail(file, line, "a change to a bad descriptor: expected EBADF, got %s",
             strerror(errno));
}

void expect_all_absent(int kq, unsigned action, int fd)
{
    EXPECT_ERROR(ENOENT, kq, fd, EVFILT_READ, action, 0, 0);
    EXPECT_ERROR(ENOENT, kq, fd, EVFILT_WRITE, action, 0, 0);
    EXPECT_ERROR(ENOENT, kq, 1, EVFILT_TIMER, action, 0, 1000);
    EXPECT_ERROR(ENOENT, kq, SIGUSR1, EVFILT_SIGNAL, action, 0, 0);
    if (HAVE_USER)
        EXPECT_ERROR(ENOENT, kq, 1, EVFILT_USER, action, 0, 0);
}
