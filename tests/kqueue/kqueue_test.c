/*
 * A conformance test for kqueue(2), through the public API alone.
 *
 *     kqueue_test            run every test, print TAP
 *     kqueue_test NAME...    run these; a name that ends in '_' is a group
 *     kqueue_test -l         list the names
 *
 * It runs on FreeBSD, macOS, OpenBSD, NetBSD and DragonFly, and on Linux with
 * the layer in linux/. FreeBSD is the reference. Where the systems rightly
 * differ, a test takes what they share, or says on which systems it runs and
 * why (the manual page or the source file that says so).
 *
 * Every test has a process of its own: a crash, a hang or a leaked descriptor
 * ends one test and no other. A test compares the event that came, then
 * asserts silence: kevent() with a timeout of zero has nothing more to say.
 * Time is never a verdict by itself: a test waits for a condition, up to
 * LIMIT_MS; that something came too early is checked strictly, that it came
 * late only by that limit.
 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* posix_openpt() and cfmakeraw() with -std=gnu99 */
#endif

#include <sys/types.h>
#include <sys/event.h>
#include <sys/time.h>

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <netinet/in.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* ---- Which system this is ---------------------------------------------- */

enum {
    LINUX = 1,
    FREEBSD = 2,
    MACOS = 4,
    OPENBSD = 8,
    NETBSD = 16,
    DRAGONFLY = 32,
    LIKE_FREEBSD = LINUX | FREEBSD /* the Linux layer follows FreeBSD */
};

#if defined(__linux__)
#define SYSTEM LINUX
#elif defined(__APPLE__)
#define SYSTEM MACOS
#elif defined(__OpenBSD__)
#define SYSTEM OPENBSD
#elif defined(__NetBSD__)
#define SYSTEM NETBSD
#elif defined(__DragonFly__)
#define SYSTEM DRAGONFLY
#else
#define SYSTEM FREEBSD
#endif

/* The members differ in width and sign, udata even in kind: event.h, each. */
typedef __typeof__(((struct kevent *)0)->filter) filter_t;
typedef __typeof__(((struct kevent *)0)->flags) flags_t;
typedef __typeof__(((struct kevent *)0)->fflags) fflags_t;
typedef __typeof__(((struct kevent *)0)->data) data_t;
typedef __typeof__(((struct kevent *)0)->udata) udata_t;

#ifdef __NetBSD__ /* kevent(2), NetBSD: the counts are size_t */
typedef size_t count_t;
#else
typedef int count_t;
#endif

#define UDATA(n) ((udata_t)(intptr_t)(n))

/* OpenBSD before 7.8 and NetBSD before 10 have no EVFILT_USER (event.h): the
   tests compile and are skipped. */
#ifdef EVFILT_USER
#define HAVE_USER 1
#else
#define HAVE_USER       0
#define EVFILT_USER     EVFILT_TIMER
#define NOTE_TRIGGER    0
#define NOTE_FFNOP      0
#define NOTE_FFAND      0
#define NOTE_FFOR       0
#define NOTE_FFCOPY     0
#define NOTE_FFLAGSMASK 0
#endif

/* ---- The harness ------------------------------------------------------- */

#define LIMIT_MS   8000 /* longest wait for something that must come */
#define TEST_LIMIT 20   /* seconds a whole test may take */
#define MS         ((int64_t)1000000)

#define ANY       INT64_MIN       /* any data will do */
#define SOME      (INT64_MIN + 1) /* any data of at least 1 */
#define ANY_FLAGS (~0u)

#define HERE __FILE__, __LINE__

enum { PASSED = 0, FAILED = 1, SKIPPED = 77 };

/* What a test's process has to say, read by its parent. Shared memory: it
   takes no descriptor, and grandchildren cannot keep it open. */
static char *report;
enum { REPORT_SIZE = 4096 };

/* What the test is at, in a test that loops over many cases. */
static char context[160];

static void say(const char *format, va_list list)
{
    size_t used = strlen(report);

    vsnprintf(report + used, REPORT_SIZE - used, format, list);
}

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
    va_list list;

    va_start(list, format);
    say(format, list);
    va_end(list);
}

__attribute__((noreturn, format(printf, 3, 4))) static void
fail(const char *file, int line, const char *format, ...)
{
    va_list list;

    note("# %s:%d: ", file, line);
    va_start(list, format);
    say(format, list);
    va_end(list);
    if (context[0] != '\0')
        note(" [%s]", context);
    note("\n");
    _exit(FAILED); /* not exit(): other threads may be running */
}

__attribute__((noreturn)) static void skip(const char *reason)
{
    report[0] = '\0';
    note("%s", reason);
    exit(SKIPPED);
}

static void only_on(int systems, const char *reason)
{
    if ((SYSTEM & systems) == 0)
        skip(reason);
}

static void not_on(int systems, const char *reason)
{
    if ((SYSTEM & systems) != 0)
        skip(reason);
}

static void need_user(void)
{
    if (!HAVE_USER)
        skip("this system has no EVFILT_USER");
}

static void check_equal(const char *file, int line, const char *what,
                        intmax_t got, intmax_t want)
{
    int saved = errno;

    if (got != want)
        fail(file, line, "%s: expected %jd, got %jd (errno: %s)", what, want,
             got, strerror(saved));
}

static int check_system(const char *file, int line, const char *call,
                        intmax_t result)
{
    if (result < 0)
        fail(file, line, "%s: %s", call, strerror(errno));
    return (int)result;
}

#define CHECK(condition)                           \
    do {                                           \
        if (!(condition))                          \
            fail(HERE, "expected %s", #condition); \
    } while (0)
#define CHECK_EQUAL(got, want) \
    check_equal(HERE, #got, (intmax_t)(got), (intmax_t)(want))
#define SYS(call) check_system(HERE, #call, (intmax_t)(call))

/* ---- Time -------------------------------------------------------------- */

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;

    SYS(clock_gettime(clock, &t));
    return (int64_t)t.tv_sec * 1000 * MS + t.tv_nsec;
}

static int64_t now(void)
{
#ifdef CLOCK_UPTIME_RAW /* macOS: its timers count mach_absolute_time() */
    return clock_ns(CLOCK_UPTIME_RAW);
#else
    return clock_ns(CLOCK_MONOTONIC);
#endif
}

static struct timespec duration(int64_t ns)
{
    struct timespec t;

    t.tv_sec = (time_t)(ns / (1000 * MS));
    t.tv_nsec = (long)(ns % (1000 * MS));
    return t;
}

static void nap(int64_t ns)
{
    struct timespec t = duration(ns);

    while (nanosleep(&t, &t) == -1 && errno == EINTR)
        continue;
}

/* Sleep until the clock has passed this point. */
static void pass(int64_t until)
{
    while (now() < until)
        nap(until - now() > 0 ? until - now() : 1);
}

static int64_t cpu_ns(void)
{
    struct rusage use;

    SYS(getrusage(RUSAGE_SELF, &use));
    return ((int64_t)use.ru_utime.tv_sec + (int64_t)use.ru_stime.tv_sec) *
               1000 * MS +
           ((int64_t)use.ru_utime.tv_usec + (int64_t)use.ru_stime.tv_usec) *
               1000;
}

/* ---- kqueue, checked --------------------------------------------------- */

static int queue(void)
{
    return SYS(kqueue());
}

static int call(int kq, const struct kevent *changes, int nchanges,
                struct kevent *events, int nevents,
                const struct timespec *timeout)
{
    return kevent(kq, changes, (count_t)nchanges, events, (count_t)nevents,
                  timeout);
}

/* Collect up to nevents within ns nanoseconds. */
static int collect(int kq, struct kevent *events, int nevents, int64_t ns)
{
    struct timespec t = duration(ns);

    return call(kq, NULL, 0, events, nevents, &t);
}

static struct kevent entry(uintptr_t ident, filter_t filter, unsigned flags,
                           unsigned fflags, int64_t data, int udata)
{
    struct kevent ev;

    EV_SET(&ev, ident, filter, (flags_t)flags, (fflags_t)fflags, (data_t)data,
           UDATA(udata));
    return ev;
}

#define ENTRY(ident, filter, flags, fflags, data, udata) \
    entry((uintptr_t)(ident), (filter_t)(filter), flags, fflags, data, udata)

static void expect_change(const char *file, int line, int error, int kq,
                          struct kevent change)
{
    int result = call(kq, &change, 1, NULL, 0, NULL);
    int got = result == -1 ? errno : 0;

    if (result > 0 || got != error)
        fail(file, line, "a change: expected %s, got %d, %s",
             error ? strerror(error) : "success", result,
             got ? strerror(got) : "success");
}

#define CHANGE_UDATA(kq, ident, filter, flags, fflags, data, udata) \
    expect_change(HERE, 0, kq, ENTRY(ident, filter, flags, fflags, data, udata))
#define CHANGE(kq, ident, filter, flags, fflags, data) \
    CHANGE_UDATA(kq, ident, filter, flags, fflags, data, 0)
#define EXPECT_ERROR(error, kq, ident, filter, flags, fflags, data) \
    expect_change(HERE, error, kq, ENTRY(ident, filter, flags, fflags, data, 0))
#define EXPECT_ABSENT(kq, ident, filter) \
    EXPECT_ERROR(ENOENT, kq, ident, filter, EV_DELETE, 0, 0)
#define TRIGGER(kq, ident) CHANGE(kq, ident, EVFILT_USER, 0, NOTE_TRIGGER, 0)

static const char *filter_name(filter_t filter)
{
    return filter == (filter_t)EVFILT_READ     ? "READ"
           : filter == (filter_t)EVFILT_WRITE  ? "WRITE"
           : filter == (filter_t)EVFILT_TIMER  ? "TIMER"
           : filter == (filter_t)EVFILT_SIGNAL ? "SIGNAL"
           : filter == (filter_t)EVFILT_USER   ? "USER"
                                               : "another filter";
}

static const char *describe(char text[200], const struct kevent *ev)
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
static struct kevent expect_event(const char *file, int line, bool patient,
                                  int kq, uintptr_t ident, filter_t filter,
                                  unsigned flags, int64_t data)
{
    int64_t end = now() + LIMIT_MS * MS;
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
        if (!patient || now() > end)
            break;
        nap(MS);
    }
    fail(file, line, "expected %s, got %s", want, describe(got, &ev));
}

#define EXPECT_EVENT(kq, ident, filter, flags, data)                      \
    expect_event(HERE, false, kq, (uintptr_t)(ident), (filter_t)(filter), \
                 flags, data)
#define AWAIT_EVENT(kq, ident, filter, flags, data)                      \
    expect_event(HERE, true, kq, (uintptr_t)(ident), (filter_t)(filter), \
                 flags, data)

static void expect_silence(const char *file, int line, int kq, int64_t ns)
{
    struct kevent ev;
    char text[200];
    int n = collect(kq, &ev, 1, ns);

    if (n == -1)
        fail(file, line, "expected silence, got an error: %s", strerror(errno));
    if (n != 0)
        fail(file, line, "expected silence, got %s", describe(text, &ev));
}

#define EXPECT_SILENCE(kq) expect_silence(HERE, kq, 0)

/* Nothing comes for a while, and waiting for it costs no CPU time. */
static void expect_idle(const char *file, int line, int kq)
{
    int64_t start = now(), cpu = cpu_ns();

    expect_silence(file, line, kq, 200 * MS);
    if (now() - start < 200 * MS)
        fail(file, line, "kevent() returned before its timeout of 200 ms");
    if (cpu_ns() - cpu > 100 * MS)
        fail(file, line, "200 ms of waiting took %jd ms of CPU time",
             (intmax_t)((cpu_ns() - cpu) / MS));
}

#define EXPECT_IDLE(kq) expect_idle(HERE, kq)

/* An entry of the eventlist that reports on a change. */
static void expect_entry(const char *file, int line, const struct kevent *ev,
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

/* ---- Files of every kind ----------------------------------------------- */

static char block[65536];

/* Write n bytes, all of them. */
static void put(int fd, int n)
{
    CHECK_EQUAL(write(fd, block, (size_t)n), n);
}

/* Read n bytes, all of them. */
static void take(int fd, int n)
{
    char bytes[256]; /* its own: threads take at the same time */

    while (n > 0) {
        size_t most = n < 256 ? (size_t)n : sizeof bytes;
        int got = SYS(read(fd, bytes, most));

        CHECK(got > 0);
        n -= got;
    }
}

/* On the BSDs even loopback takes a moment. */
static void await_bytes(int fd, int n)
{
    int64_t end = now() + LIMIT_MS * MS;
    int have = 0;

    while (SYS(ioctl(fd, FIONREAD, &have)), have < n) {
        CHECK(now() < end);
        nap(MS);
    }
}

static void nonblocking(int fd)
{
    SYS(fcntl(fd, F_SETFL, SYS(fcntl(fd, F_GETFL)) | O_NONBLOCK));
}

/* Write until there is no room. */
static void fill(int fd)
{
    int quiet = 0;

    nonblocking(fd);
    /* TCP may move what it holds to the peer a moment later. */
    while (quiet < 3) {
        if (write(fd, block, sizeof block) > 0) {
            quiet = 0;
            continue;
        }
        CHECK(errno == EAGAIN || errno == EWOULDBLOCK);
        quiet++;
        nap(5 * MS);
    }
    /* Small pieces, since a pipe takes up to PIPE_BUF bytes whole. */
    while (write(fd, block, 1) > 0)
        continue;
}

static void drain(int fd)
{
    nonblocking(fd);
    while (read(fd, block, sizeof block) > 0)
        continue;
}

static void unix_pair(int fd[2])
{
    SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
}

static int tcp_listener(struct sockaddr_in *address)
{
    socklen_t size = sizeof *address;
    int fd = SYS(socket(AF_INET, SOCK_STREAM, 0));

    memset(address, 0, sizeof *address);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    SYS(bind(fd, (struct sockaddr *)address, sizeof *address));
    SYS(listen(fd, 16));
    SYS(getsockname(fd, (struct sockaddr *)address, &size));
    return fd;
}

static int tcp_connect(const struct sockaddr_in *address)
{
    int fd = SYS(socket(AF_INET, SOCK_STREAM, 0));

    SYS(connect(fd, (const struct sockaddr *)address, sizeof *address));
    return fd;
}

static void tcp_pair(int fd[2])
{
    struct sockaddr_in address;
    int listener = tcp_listener(&address);

    fd[0] = tcp_connect(&address);
    fd[1] = SYS(accept(listener, NULL, NULL));
    SYS(close(listener));
}

/* An address where nobody listens: bound, so that nobody else takes it. */
static struct sockaddr_in dead_address(int type)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int fd = SYS(socket(AF_INET, type, 0));

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    SYS(bind(fd, (struct sockaddr *)&address, sizeof address));
    SYS(getsockname(fd, (struct sockaddr *)&address, &size));
    if (type == SOCK_DGRAM)
        SYS(close(fd)); /* a bound UDP socket would take the datagram */
    return address;
}

static void reset(int fd)
{
    struct linger linger = {1, 0};

    SYS(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
    SYS(close(fd));
}

static int socket_error(int fd)
{
    int error = -1;
    socklen_t size = sizeof error;

    SYS(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size));
    return error;
}

static int regular_file(int size)
{
    const char *folder = getenv("TMPDIR");
    char path[1024];
    int fd;

    snprintf(path, sizeof path, "%s/kqueue_test.XXXXXX",
             folder != NULL ? folder : "/tmp");
    fd = SYS(mkstemp(path));
    SYS(unlink(path));
    put(fd, size);
    SYS(lseek(fd, 0, SEEK_SET));
    return fd;
}

/* fd[0] the terminal, fd[1] its controlling side; both raw. */
static void tty_pair(int fd[2])
{
    struct termios t;

    fd[1] = posix_openpt(O_RDWR | O_NOCTTY);
    if (fd[1] == -1)
        skip("no pseudo-terminals here");
    SYS(grantpt(fd[1]));
    SYS(unlockpt(fd[1]));
    fd[0] = SYS(open(ptsname(fd[1]), O_RDWR | O_NOCTTY));
    SYS(tcgetattr(fd[0], &t));
    cfmakeraw(&t);
    SYS(tcsetattr(fd[0], TCSANOW, &t));
}

static int lowest_free(void)
{
    int fd = SYS(open("/dev/null", O_RDONLY));

    SYS(close(fd));
    return fd;
}

/* ---- Other processes --------------------------------------------------- */

static pid_t start_child(void)
{
    pid_t child = SYS(fork());

    if (child == 0)
        alarm(TEST_LIMIT); /* not inherited */
    return child;
}

static void stop_child(pid_t child)
{
    SYS(kill(child, SIGKILL));
    SYS(waitpid(child, NULL, 0));
}

static int status_of(pid_t child)
{
    int status = -1;

    SYS(waitpid(child, &status, 0));
    return status;
}

/* Send a signal after a moment, once or again and again. */
static pid_t start_signaller(int number, bool again)
{
    pid_t parent = getpid(), child = start_child();

    if (child != 0)
        return child;
    do {
        nap(10 * MS);
        kill(parent, number);
    } while (again);
    _exit(0);
}

static volatile sig_atomic_t handled;

static void handler(int number)
{
    (void)number;
    handled = handled + 1;
}

static void handle(int number, void (*function)(int))
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = function;
    action.sa_flags = SA_RESTART;
    SYS(sigaction(number, &action, NULL));
}

/* ---- wait_: kevent() as a way to wait ---------------------------------- */

static void wait_empty_queue(void)
{
    int kq = queue();
    int64_t start = now();
    struct kevent ev;

    CHECK_EQUAL(collect(kq, &ev, 1, 30 * MS), 0);
    CHECK(now() - start >= 30 * MS);
    EXPECT_SILENCE(kq);
}

/* Nanoseconds are not cut down to milliseconds. */
static void wait_never_early(void)
{
    static const int64_t waits[] = {1,       1000,    99999,   500000,
                                    1000001, 1500000, 2999999, 7000001};
    int kq = queue();
    size_t i;

    for (i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        int64_t start = now();
        struct kevent ev;

        CHECK_EQUAL(collect(kq, &ev, 1, waits[i]), 0);
        CHECK(now() - start >= waits[i]);
    }
}

/* kqueue(2): with nevents 0 kevent() returns at once, whatever the timeout. */
static void wait_without_room(void)
{
    struct timespec hour = {3600, 0};
    struct kevent ev;
    int kq = queue();

    CHECK_EQUAL(call(kq, NULL, 0, NULL, 0, NULL), 0);
    CHECK_EQUAL(call(kq, NULL, 0, &ev, 0, NULL), 0);
    CHECK_EQUAL(call(kq, NULL, 0, &ev, 0, &hour), 0);
}

static void wait_forever(void)
{
    struct kevent ev;
    int64_t start = now();
    int kq = queue();

    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 50);
    CHECK_EQUAL(call(kq, NULL, 0, &ev, 1, NULL), 1);
    CHECK(now() - start >= 50 * MS);
    CHECK_EQUAL(ev.ident, 1);
    EXPECT_SILENCE(kq);
}

/* Longer than an int of milliseconds (24.8 days), and than anything. */
static void wait_long_timeout(void)
{
    static const time_t seconds[] = {86400, 2147484, 5000000, INT32_MAX};
    int kq = queue();
    size_t i;

    for (i = 0; i < sizeof seconds / sizeof seconds[0]; i++) {
        struct timespec t = {seconds[i], 999999999};
        struct kevent ev;
        int64_t start = now();

        CHANGE(kq, i, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 30);
        CHECK_EQUAL(call(kq, NULL, 0, &ev, 1, &t), 1);
        CHECK(now() - start >= 30 * MS);
        CHECK_EQUAL(ev.ident, i);
    }
}

static void wait_endless_timeout(void)
{
    struct timespec t = {(time_t)INT64_MAX, 0};
    struct kevent ev;
    int kq = queue();

    only_on(LIKE_FREEBSD, "only FreeBSD caps it: sys/kern/kern_event.c");
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 30);
    CHECK_EQUAL(call(kq, NULL, 0, &ev, 1, &t), 1);
}

static void wait_bad_timeout(void)
{
    static const struct timespec bad[] = {{-1, 0}, {0, -1}, {0, 1000000000}};
    struct kevent ev;
    int kq = queue();
    size_t i;

    not_on(NETBSD | DRAGONFLY, "only FreeBSD, OpenBSD and macOS refuse it: "
                               "sys/kern/kern_event.c, each");
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        errno = 0;
        CHECK_EQUAL(call(kq, NULL, 0, &ev, 1, &bad[i]), -1);
        CHECK_EQUAL(errno, EINVAL);
    }
}

static void wait_negative_room(void)
{
    struct timespec zero = {0, 0};
    struct kevent ev;
    int kq = queue();

    only_on(LINUX, "current FreeBSD alone refuses it; NetBSD would hang");
    CHECK_EQUAL(call(kq, NULL, 0, &ev, -1, &zero), -1);
    CHECK_EQUAL(errno, EINVAL);
}

static void expect_bad_queue(const char *file, int line, int kq)
{
    struct timespec zero = {0, 0};
    struct kevent ev, change = ENTRY(1, EVFILT_TIMER, EV_ADD, 0, 1000, 0);

    errno = 0;
    if (call(kq, NULL, 0, &ev, 1, &zero) != -1 || errno != EBADF)
        fail(file, line, "waiting on a bad descriptor: expected EBADF, got %s",
             strerror(errno));
    errno = 0;
    if (call(kq, &change, 1, NULL, 0, NULL) != -1 || errno != EBADF)
        fail(file, line, "a change to a bad descriptor: expected EBADF, got %s",
             strerror(errno));
}

#define EXPECT_BAD_QUEUE(kq) expect_bad_queue(HERE, kq)

static void wait_bad_queue(void)
{
    int kq = queue(), fd[2];

    SYS(pipe(fd));
    EXPECT_BAD_QUEUE(-1);
    EXPECT_BAD_QUEUE(fd[0]);
    EXPECT_BAD_QUEUE(1 << 20);
    SYS(close(kq));
    EXPECT_BAD_QUEUE(kq);
}

/* kevent(2), all: a signal ends the wait, SA_RESTART or not. */
static void wait_interrupted(void)
{
    struct kevent ev;
    pid_t child;
    int kq = queue();

    handle(SIGUSR1, handler);
    child = start_signaller(SIGUSR1, true);
    errno = 0;
    CHECK_EQUAL(collect(kq, &ev, 1, LIMIT_MS * MS), -1);
    CHECK_EQUAL(errno, EINTR);
    CHECK(handled > 0);
    stop_child(child);
}

/* kevent(2), FreeBSD and NetBSD: then all changes have been applied. */
static void wait_interrupted_applies(void)
{
    struct timespec t = {LIMIT_MS / 1000, 0};
    struct kevent ev, changes[2];
    int kq = queue(), fd[2];
    pid_t child;

    unix_pair(fd);
    CHANGE(kq, 5, EVFILT_TIMER, EV_ADD, 0, 60000);
    changes[0] = ENTRY(fd[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    changes[1] = ENTRY(5, EVFILT_TIMER, EV_DELETE, 0, 0, 2);
    handle(SIGUSR1, handler);
    child = start_signaller(SIGUSR1, true);
    CHECK_EQUAL(call(kq, changes, 2, &ev, 1, &t), -1);
    CHECK_EQUAL(errno, EINTR);
    stop_child(child);
    EXPECT_ABSENT(kq, 5, EVFILT_TIMER);
    put(fd[1], 3);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 3);
}

static void wait_submits_and_collects(void)
{
    struct kevent ev, change;
    int kq = queue(), fd[2];

    unix_pair(fd);
    put(fd[1], 2);
    change = ENTRY(fd[0], EVFILT_READ, EV_ADD, 0, 0, 7);
    CHECK_EQUAL(call(kq, &change, 1, &ev, 1, NULL), 1);
    CHECK_EQUAL(ev.ident, fd[0]);
    CHECK(ev.udata == UDATA(7));
    take(fd[0], 2);
    EXPECT_SILENCE(kq);
}

/* A knote is in the list once, however much room there is. */
static void wait_lists_each_once(void)
{
    struct kevent ev[64];
    int kq = queue(), fd[2];

    unix_pair(fd);
    put(fd[1], 2);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
    CHECK_EQUAL(collect(kq, ev, 64, LIMIT_MS * MS), 2);
    CHECK(ev[0].filter != ev[1].filter);
    CHECK_EQUAL(ev[0].ident, fd[0]);
    CHECK_EQUAL(ev[1].ident, fd[0]);
}

enum { CROWD = 40 };

/* Every event comes, none twice, through a list of any length. */
static void wait_short_list_of_edges(void)
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
static void wait_short_list_keeps_edges(void)
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
static void wait_round_robin(void)
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
static void wait_round_robin_mixed(void)
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

        pass(now() + 3 * MS); /* so that the timer has something to say */
        CHECK_EQUAL(collect(kq, &ev, 1, LIMIT_MS * MS), 1);
        seen[(intptr_t)ev.udata]++;
    }
    for (i = 0; i < 6; i++) {
        snprintf(context, sizeof context, "kind %d came %d times of 48", i,
                 seen[i]);
        CHECK(seen[i] >= 3);
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

static void wait_one_slot_both_level(void)
{
    one_slot(0);
}

static void wait_one_slot_both_clear(void)
{
    one_slot(EV_CLEAR);
}

static void wait_one_slot_both_oneshot(void)
{
    one_slot(EV_ONESHOT);
}

static void wait_one_slot_both_dispatch(void)
{
    one_slot(EV_DISPATCH);
}

/* The filter is asked again when the event is collected. */
static void wait_drained_is_not_reported(void)
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
static void wait_flags_are_stripped(void)
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

static void wait_idle_with_disabled_knotes(void)
{
    int kq = queue(), fd[2], gone[2];

    unix_pair(fd);
    unix_pair(gone);
    put(fd[1], 1);
    SYS(close(gone[1])); /* a hang-up, which no mask keeps out of epoll */
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_DISABLE, 0, 0);
    CHANGE(kq, gone[0], EVFILT_READ, EV_ADD | EV_DISABLE, 0, 0);
    CHANGE(kq, gone[0], EVFILT_WRITE, EV_ADD | EV_DISABLE, 0, 0);
    EXPECT_IDLE(kq);
}

static void wait_idle_after_delivery(void)
{
    static const unsigned kinds[] = {EV_CLEAR, EV_DISPATCH, EV_ONESHOT};
    int i;

    for (i = 0; i < 3; i++) {
        int kq = queue(), fd[2];

        snprintf(context, sizeof context, "flags %#x", kinds[i]);
        unix_pair(fd);
        put(fd[1], 1);
        SYS(close(fd[1]));
        CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | kinds[i], 0, 0);
        EXPECT_EVENT(kq, fd[0], EVFILT_READ, EV_EOF, 1);
        EXPECT_IDLE(kq);
    }
}

/* Many idle descriptors must not make a call dearer. */
static int crowd_queue(int others)
{
    int kq = queue(), idle[2];

    unix_pair(idle);
    while (others-- > 0) {
        int fd = dup(idle[0]);

        if (fd == -1)
            break;
        CHANGE(kq, fd, EVFILT_READ, EV_ADD, 0, 0);
    }
    return kq;
}

static int64_t cost_of_waits(int kq, const int fd[2])
{
    int64_t best = INT64_MAX;
    int round, i;

    for (round = 0; round < 5; round++) {
        int64_t cpu = cpu_ns(), took;

        for (i = 0; i < 2000; i++) {
            put(fd[1], 1);
            EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
            take(fd[0], 1);
        }
        took = cpu_ns() - cpu;
        best = took < best ? took : best;
    }
    return best;
}

static int64_t cost_of_changes(int kq, const int fd[2])
{
    int64_t best = INT64_MAX;
    int round, i;

    for (round = 0; round < 5; round++) {
        int64_t cpu = cpu_ns(), took;

        for (i = 0; i < 2000; i++) {
            CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
            CHANGE(kq, fd[0], EVFILT_WRITE, EV_DELETE, 0, 0);
        }
        took = cpu_ns() - cpu;
        best = took < best ? took : best;
    }
    return best;
}

static void compare_costs(bool of_waits)
{
    struct rlimit limit;
    int fd[2], kq, i;
    int64_t cost[2];

    SYS(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = limit.rlim_max < 3000 ? limit.rlim_max : 3000;
    SYS(setrlimit(RLIMIT_NOFILE, &limit));
    unix_pair(fd);
    for (i = 0; i < 2; i++) {
        kq = crowd_queue(i == 0 ? 2 : (int)limit.rlim_cur - 200);
        CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
        cost[i] = of_waits ? cost_of_waits(kq, fd) : cost_of_changes(kq, fd);
    }
    note("# %jd us with 2 idle descriptors, %jd us with %jd\n",
         (intmax_t)cost[0] / 1000, (intmax_t)cost[1] / 1000,
         (intmax_t)limit.rlim_cur - 200);
    CHECK(cost[1] < 5 * cost[0] + 5 * MS);
}

static void wait_cost_is_flat(void)
{
    compare_costs(true);
}

static void change_cost_is_flat(void)
{
    compare_costs(false);
}

/* ---- change_: the changelist ------------------------------------------- */

static void change_unknown_filter(void)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    EXPECT_ERROR(EINVAL, kq, fd[0], -100, EV_ADD, 0, 0);
    EXPECT_ERROR(EINVAL, kq, fd[0], 100, EV_ADD, 0, 0);
}

static void change_filter_zero_is_skipped(void)
{
    int kq = queue();

    only_on(LIKE_FREEBSD, "only FreeBSD skips it: sys/kern/kern_event.c");
    EXPECT_ERROR(0, kq, 12345, 0, EV_ADD, 0, 0);
}

static void change_vnode_and_proc_refused(void)
{
    only_on(LINUX, "the system has them");
#ifdef EVFILT_VNODE
    EXPECT_ERROR(EINVAL, queue(), regular_file(1), EVFILT_VNODE, EV_ADD, 1, 0);
#endif
#ifdef EVFILT_PROC
    EXPECT_ERROR(EINVAL, queue(), getpid(), EVFILT_PROC, EV_ADD, 1, 0);
#endif
}

static void change_bad_descriptor(void)
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

static void expect_all_absent(int kq, unsigned action, int fd)
{
    EXPECT_ERROR(ENOENT, kq, fd, EVFILT_READ, action, 0, 0);
    EXPECT_ERROR(ENOENT, kq, fd, EVFILT_WRITE, action, 0, 0);
    EXPECT_ERROR(ENOENT, kq, 1, EVFILT_TIMER, action, 0, 1000);
    EXPECT_ERROR(ENOENT, kq, SIGUSR1, EVFILT_SIGNAL, action, 0, 0);
    if (HAVE_USER)
        EXPECT_ERROR(ENOENT, kq, 1, EVFILT_USER, action, 0, 0);
}

static void change_absent(void)
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
static void change_error_entry(void)
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
static void change_error_does_not_wait(void)
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
static void change_error_without_room(void)
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

static void change_error_room_runs_out(void)
{
    struct kevent changes[3], ev;
    int kq = queue();

    only_on(LIKE_FREEBSD, "kern_event.c, DragonFly: writes past the list; "
                          "the others are as FreeBSD but not documented");
    changes[0] = ENTRY(1, EVFILT_TIMER, EV_DELETE, 0, 0, 0);
    changes[1] = ENTRY(-1, EVFILT_READ, EV_ADD, 0, 0, 0);
    changes[2] = ENTRY(3, EVFILT_TIMER, EV_ADD, 0, 60000, 0);
    CHECK_EQUAL(call(kq, changes, 3, &ev, 1, NULL), -1);
    CHECK_EQUAL(errno, EBADF);
    EXPECT_ABSENT(kq, 3, EVFILT_TIMER);
}

/* A call that reports on changes returns no event; none is lost either. */
static void change_error_hides_events(void)
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

static void change_receipt(void)
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

/* EV_RECEIPT is for one change; later events are events. */
static void change_receipt_is_not_kept(void)
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

static void change_receipt_without_room(void)
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
static void change_same_array(void)
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

static void change_same_array_events(void)
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

static void change_many(void)
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

static void change_are_made_in_order(void)
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

/* Five knotes, one of each filter, whose events are at hand. */
enum { KINDS = 5 };

struct kind {
    uintptr_t ident;
    filter_t filter;
    int64_t data;
};

static void kinds_make(struct kind kind[KINDS], int fd[2])
{
    struct kind all[KINDS] = {{0, EVFILT_READ, 0},
                              {0, EVFILT_WRITE, 0},
                              {77, EVFILT_TIMER, 10},
                              {SIGUSR1, EVFILT_SIGNAL, 0},
                              {78, EVFILT_USER, 0}};

    unix_pair(fd);
    handle(SIGUSR1, SIG_IGN);
    all[0].ident = all[1].ident = (uintptr_t)fd[0];
    memcpy(kind, all, sizeof all);
}

static void kinds_fire(int kq, const struct kind *kind, const int fd[2])
{
    if (kind->filter == (filter_t)EVFILT_READ)
        put(fd[1], 1);
    else if (kind->filter == (filter_t)EVFILT_SIGNAL)
        SYS(kill(getpid(), SIGUSR1));
    else if (kind->filter == (filter_t)EVFILT_TIMER)
        pass(now() + 30 * MS);
    else if (HAVE_USER && kind->filter == (filter_t)EVFILT_USER)
        CHANGE_UDATA(kq, kind->ident, EVFILT_USER, 0, NOTE_TRIGGER, 0, 8);
}

/* Loop over the filters; each gets a queue of its own. */
#define EACH_KIND(kind, fd, body)                        \
    do {                                                 \
        struct kind kinds[KINDS];                        \
        int nth, fd[2];                                  \
                                                         \
        kinds_make(kinds, fd);                           \
        for (nth = 0; nth < KINDS - !HAVE_USER; nth++) { \
            const struct kind *kind = &kinds[nth];       \
            int kq = queue();                            \
                                                         \
            strcpy(context, filter_name(kind->filter));  \
            body(kq, kind, fd);                          \
            drain(fd[0]);                                \
            SYS(close(kq));                              \
        }                                                \
    } while (0)

#define KIND(kq, k, flags, udata) \
    CHANGE_UDATA(kq, (k)->ident, (k)->filter, flags, 0, (k)->data, udata)

static void delete_one(int kq, const struct kind *k, const int fd[2])
{
    KIND(kq, k, EV_ADD, 8);
    kinds_fire(kq, k, fd);
    EXPECT_EVENT(kq, k->ident, k->filter, 0, ANY);
    KIND(kq, k, EV_DELETE, 8);
    EXPECT_SILENCE(kq);
    EXPECT_ABSENT(kq, k->ident, k->filter);
}

static void change_delete(void)
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

static void change_delete_pending(void)
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

static void change_readd_replaces_udata(void)
{
    EACH_KIND(kind, fd, readd_udata_one);
}

/* Also when the event is already at hand. */
static void change_readd_replaces_udata_of_pending(void)
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

static void change_readd_keeps_place(void)
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
static void change_readd_keeps_kind(void)
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
static void change_delete_and_add_changes_kind(void)
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
static void change_readd_does_not_enable(void)
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

static void change_enable_replaces_udata(void)
{
    int kq = queue(), fd[2];

    not_on(OPENBSD, "OpenBSD leaves them: sys/kern/kern_event.c");
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

static void change_enable_and_disable(void)
{
    int kq = queue(), fd[2];

    only_on(LIKE_FREEBSD, "kern_event.c: macOS lets EV_DISABLE win");
    unix_pair(fd);
    EXPECT_ERROR(EINVAL, kq, fd[0], EVFILT_READ,
                 EV_ADD | EV_ENABLE | EV_DISABLE, 0, 0);
    EXPECT_ABSENT(kq, fd[0], EVFILT_READ);
}

static void change_enable_twice(void)
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

static void change_add_disabled(void)
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

static void change_disable_pending(void)
{
    EACH_KIND(kind, fd, disable_pending_one);
}

/* With EV_CLEAR the edge that came while disabled is not lost. */
static void change_disable_clear(void)
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
static void change_enable_asks_again(void)
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

static void change_disable_one_filter(void)
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

static void change_delete_disabled(void)
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

static void change_oneshot(void)
{
    EACH_KIND(kind, fd, oneshot_one);
}

static void change_oneshot_one_filter(void)
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

static void change_clear(void)
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
static void change_clear_sees_what_is_there(void)
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

static void change_dispatch(void)
{
    EACH_KIND(kind, fd, dispatch_one);
}

static void change_two_queues(void)
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
static void change_idents_are_per_filter(void)
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

static void change_keepudata(void)
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

/* ---- read_: EVFILT_READ ------------------------------------------------ */

/* Level-triggered: it comes again until the bytes are read. */
static void read_level(const int fd[2])
{
    int kq = queue();

    CHANGE_UDATA(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0, 5);
    EXPECT_SILENCE(kq);
    put(fd[1], 5);
    await_bytes(fd[0], 5);
    CHECK(AWAIT_EVENT(kq, fd[0], EVFILT_READ, 0, 5).udata == UDATA(5));
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 5);
    put(fd[1], 2); /* data is counted when the event is collected */
    await_bytes(fd[0], 7);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 7);
    take(fd[0], 4);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 3);
    take(fd[0], 3);
    EXPECT_SILENCE(kq);
}

static void read_tcp(void)
{
    int fd[2];

    tcp_pair(fd);
    read_level(fd);
}

static void read_unix(void)
{
    int fd[2];

    unix_pair(fd);
    read_level(fd);
}

static void read_pipe(void)
{
    int fd[2];

    SYS(pipe(fd));
    read_level(fd);
}

static void read_tty(void)
{
    int fd[2], back[2];

    tty_pair(fd);
    read_level(fd);
    back[0] = fd[1];
    back[1] = fd[0];
    read_level(back);
}

static void read_fifo(void)
{
    char path[64];
    int kq = queue(), fd[2];

    snprintf(path, sizeof path, "/tmp/kqueue_test.%jd", (intmax_t)getpid());
    SYS(mkfifo(path, 0600));
    fd[0] = SYS(open(path, O_RDONLY | O_NONBLOCK));
    fd[1] = SYS(open(path, O_WRONLY | O_NONBLOCK));
    SYS(unlink(path));
    read_level(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    put(fd[1], 2);
    SYS(close(fd[1]));
    AWAIT_EVENT(kq, fd[0], EVFILT_READ, EV_EOF, 2);
    take(fd[0], 2);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, EV_EOF, 0);
}

/* What data counts for datagrams differs (addresses, all or the first). */
static void read_datagrams(void)
{
    int kq = queue(), fd[2];

    SYS(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd));
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    put(fd[1], 5);
    put(fd[1], 6);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, SOME);
    CHECK_EQUAL(read(fd[0], block, sizeof block), 5);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, SOME);
    CHECK_EQUAL(read(fd[0], block, sizeof block), 6);
    EXPECT_SILENCE(kq);
}

/* uipc_socket.c, all: an error makes a socket ready, and is not consumed. */
static void read_udp_error(void)
{
    struct sockaddr_in address = dead_address(SOCK_DGRAM);
    int kq = queue(), fd = SYS(socket(AF_INET, SOCK_DGRAM, 0));

    SYS(connect(fd, (struct sockaddr *)&address, sizeof address));
    CHANGE(kq, fd, EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    put(fd, 1);
    EXPECT_EVENT(kq, fd, EVFILT_READ, ANY_FLAGS, ANY);
    EXPECT_EVENT(kq, fd, EVFILT_READ, ANY_FLAGS, ANY);
    nonblocking(fd);
    CHECK_EQUAL(read(fd, block, 1), -1);
    CHECK_EQUAL(errno, ECONNREFUSED);
    EXPECT_SILENCE(kq);
}

/* kqueue(2): EV_EOF may be set while there is still data to read. */
static void read_eof_after_data(const int fd[2])
{
    int kq = queue();

    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    put(fd[1], 5);
    SYS(close(fd[1]));
    AWAIT_EVENT(kq, fd[0], EVFILT_READ, EV_EOF, 5);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, EV_EOF, 5);
    take(fd[0], 2);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, EV_EOF, 3);
    take(fd[0], 3);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, EV_EOF, 0);
    CHECK_EQUAL(read(fd[0], block, 1), 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, EV_EOF, 0); /* level, for ever */
    SYS(close(fd[0]));
    EXPECT_SILENCE(kq);
}

static void read_tcp_eof(void)
{
    int fd[2];

    tcp_pair(fd);
    read_eof_after_data(fd);
}

static void read_unix_eof(void)
{
    int fd[2];

    unix_pair(fd);
    read_eof_after_data(fd);
}

static void read_pipe_eof(void)
{
    int fd[2];

    SYS(pipe(fd));
    read_eof_after_data(fd);
}

static void read_tty_hangup(void)
{
    int kq = queue(), fd[2];

    tty_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    SYS(close(fd[1]));
    AWAIT_EVENT(kq, fd[0], EVFILT_READ, EV_EOF, ANY);
}

static void read_eof_without_data(void)
{
    int kq = queue(), fd[2];

    tcp_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    SYS(close(fd[1]));
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, EV_EOF, 0);
    CHECK_EQUAL(EXPECT_EVENT(kq, fd[0], EVFILT_READ, EV_EOF, 0).fflags, 0);
}

static void read_eof_clear(void)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    put(fd[1], 3);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 3);
    SYS(close(fd[1]));
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, EV_EOF, 3);
    EXPECT_SILENCE(kq);
    take(fd[0], 3);
    EXPECT_SILENCE(kq);
}

/* The peer has said all it wants to say; it still listens. */
static void read_half_close(void)
{
    int kq = queue(), fd[2];

    tcp_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    put(fd[1], 2);
    SYS(shutdown(fd[1], SHUT_WR));
    AWAIT_EVENT(kq, fd[0], EVFILT_READ, EV_EOF, 2);
    take(fd[0], 2);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, EV_EOF, 0);
    put(fd[0], 4);
    take(fd[1], 4);
    CHANGE(kq, fd[0], EVFILT_READ, EV_DELETE, 0, 0);
    EXPECT_SILENCE(kq);
}

static void read_own_shutdown(void)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    SYS(shutdown(fd[0], SHUT_RD));
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, EV_EOF, ANY);
}

/* A reset is seen, and recv() gets the error: kevent() has not taken it. */
static void read_reset(void)
{
    int kq = queue(), fd[2];

    tcp_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    reset(fd[1]);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, EV_EOF, ANY);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, EV_EOF, ANY);
    CHECK_EQUAL(recv(fd[0], block, 1, 0), -1);
    CHECK_EQUAL(errno, ECONNRESET);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, EV_EOF, ANY);
    CHECK_EQUAL(recv(fd[0], block, 1, 0), 0);
}

static void read_reset_socket_error(void)
{
    int kq = queue(), fd[2];

    tcp_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    reset(fd[1]);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, EV_EOF, ANY);
    EXPECT_SILENCE(kq);
    CHECK_EQUAL(socket_error(fd[0]), ECONNRESET);
}

static void read_reset_after_data(void)
{
    int kq = queue(), fd[2];

    tcp_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    put(fd[1], 5);
    await_bytes(fd[0], 5);
    reset(fd[1]);
    /* Whether a reset drops what was received: only measured on Linux. */
    AWAIT_EVENT(kq, fd[0], EVFILT_READ, EV_EOF, SYSTEM == LINUX ? 5 : ANY);
    if (recv(fd[0], block, sizeof block, 0) == 5) {
        EXPECT_EVENT(kq, fd[0], EVFILT_READ, EV_EOF, 0);
        CHECK_EQUAL(recv(fd[0], block, 1, 0), -1);
    }
    CHECK_EQUAL(errno, ECONNRESET);
}

/* NOTE_LOWAT: a low-water mark of the knote, in data. */
static void read_lowat(void)
{
    int kq = queue(), fd[2];

    tcp_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 10);
    put(fd[1], 9);
    await_bytes(fd[0], 9);
    EXPECT_SILENCE(kq);
    put(fd[1], 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 10);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 10);
    take(fd[0], 1);
    EXPECT_SILENCE(kq);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 9);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 9);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 11);
    EXPECT_SILENCE(kq);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 9);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 11);
    SYS(close(fd[1])); /* the end counts, however few bytes there are */
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, EV_EOF, 9);
}

static void read_lowat_unix(void)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 10);
    put(fd[1], 9);
    EXPECT_SILENCE(kq);
    put(fd[1], 3);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 12);
    take(fd[0], 3);
    EXPECT_SILENCE(kq);
}

static void read_lowat_clear(void)
{
    int kq = queue(), fd[2];

    tcp_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_CLEAR, NOTE_LOWAT, 10);
    put(fd[1], 6);
    await_bytes(fd[0], 6);
    EXPECT_SILENCE(kq);
    put(fd[1], 6);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 12);
    EXPECT_SILENCE(kq);
    put(fd[1], 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 13);
    EXPECT_SILENCE(kq);
}

/* A knote's mark is not the socket's: neither recv() nor another queue
   waits for it. */
static void read_lowat_is_per_knote(void)
{
    int kq = queue(), other = queue(), fd[2];
    struct pollfd p;

    tcp_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 10);
    CHANGE(other, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    put(fd[1], 1);
    EXPECT_EVENT(other, fd[0], EVFILT_READ, 0, 1);
    EXPECT_SILENCE(kq);
    p.fd = fd[0];
    p.events = POLLIN;
    CHECK_EQUAL(poll(&p, 1, LIMIT_MS), 1);
    take(fd[0], 1); /* blocks if the mark is the socket's */
}

static void read_lowat_costs_no_cpu(void)
{
    int kq = queue(), fd[2], unix_fd[2];

    tcp_pair(fd);
    unix_pair(unix_fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 10);
    CHANGE(kq, unix_fd[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 10);
    put(fd[1], 1);
    put(unix_fd[1], 1);
    EXPECT_IDLE(kq);
    put(fd[1], 9);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 10);
}

/* SO_RCVLOWAT, the socket's own mark, counts too: uipc_socket.c, all. */
static void read_socket_lowat(void)
{
    int kq = queue(), fd[2], mark = 10;

    tcp_pair(fd);
    SYS(setsockopt(fd[0], SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof mark));
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    put(fd[1], 9);
    await_bytes(fd[0], 9);
    EXPECT_SILENCE(kq);
    put(fd[1], 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 10);
}

/* The data of a listener is the number of connections to accept. */
static void read_listener_counts(void)
{
    struct sockaddr_in address;
    int kq = queue(), listener = tcp_listener(&address), i;

    CHANGE(kq, listener, EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    for (i = 1; i <= 4; i++) {
        tcp_connect(&address);
        AWAIT_EVENT(kq, listener, EVFILT_READ, 0, i);
    }
    for (i = 3; i >= 1; i--) {
        SYS(accept(listener, NULL, NULL));
        EXPECT_EVENT(kq, listener, EVFILT_READ, 0, i);
    }
    SYS(accept(listener, NULL, NULL));
    EXPECT_SILENCE(kq);
}

/* accept() wakes it again while connections are left: uipc_syscalls.c, each;
   a program that takes one at an event relies on it. */
static void read_listener_clear(void)
{
    struct sockaddr_in address;
    int kq = queue(), listener = tcp_listener(&address);

    CHANGE(kq, listener, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    tcp_connect(&address);
    EXPECT_EVENT(kq, listener, EVFILT_READ, 0, 1);
    EXPECT_SILENCE(kq);
    tcp_connect(&address);
    EXPECT_EVENT(kq, listener, EVFILT_READ, 0, 2);
    EXPECT_SILENCE(kq);
    SYS(accept(listener, NULL, NULL));
    EXPECT_EVENT(kq, listener, EVFILT_READ, 0, 1);
    EXPECT_SILENCE(kq);
    SYS(accept(listener, NULL, NULL));
    EXPECT_SILENCE(kq);
}

/* uipc_socket.c, all: the mark means bytes, and a listener has none. */
static void read_listener_ignores_lowat(void)
{
    struct sockaddr_in address;
    int kq = queue(), listener = tcp_listener(&address);

    CHANGE(kq, listener, EVFILT_READ, EV_ADD, NOTE_LOWAT, 5);
    EXPECT_SILENCE(kq);
    tcp_connect(&address);
    EXPECT_EVENT(kq, listener, EVFILT_READ, 0, 1);
    SYS(accept(listener, NULL, NULL));
    EXPECT_SILENCE(kq);
}

/* Linux has no count for these: at least 1 is what systems share. */
static void read_unix_listener(void)
{
    struct sockaddr_un address;
    int kq = queue(), fd = SYS(socket(AF_UNIX, SOCK_STREAM, 0)), i;

    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    snprintf(address.sun_path, sizeof address.sun_path,
             "/tmp/kqueue_test.%jd.socket", (intmax_t)getpid());
    SYS(bind(fd, (struct sockaddr *)&address, sizeof address));
    SYS(listen(fd, 8));
    CHANGE(kq, fd, EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    for (i = 0; i < 2; i++)
        SYS(connect(SYS(socket(AF_UNIX, SOCK_STREAM, 0)),
                    (struct sockaddr *)&address, sizeof address));
    SYS(unlink(address.sun_path));
    AWAIT_EVENT(kq, fd, EVFILT_READ, 0, SYSTEM == LINUX ? SOME : 2);
    SYS(accept(fd, NULL, NULL));
    EXPECT_EVENT(kq, fd, EVFILT_READ, 0, SYSTEM == LINUX ? SOME : 1);
    SYS(accept(fd, NULL, NULL));
    EXPECT_SILENCE(kq);
}

/* A socket that was never connected is neither readable nor at its end. */
static void read_unconnected(void)
{
    int kq = queue(), fd = SYS(socket(AF_INET, SOCK_STREAM, 0));

    CHANGE(kq, fd, EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    EXPECT_IDLE(kq);
}

static void read_unconnected_then_listening(void)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int kq = queue(), fd = SYS(socket(AF_INET, SOCK_STREAM, 0));

    CHANGE(kq, fd, EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    SYS(bind(fd, (struct sockaddr *)&address, sizeof address));
    SYS(listen(fd, 4));
    SYS(getsockname(fd, (struct sockaddr *)&address, &size));
    EXPECT_SILENCE(kq);
    tcp_connect(&address);
    EXPECT_EVENT(kq, fd, EVFILT_READ, 0, 1);
}

/* kqueue(2): while not at its end, data is what is left (it may be negative).
 */
static void read_regular_file(void)
{
    int kq = queue(), fd = regular_file(100);

    CHANGE_UDATA(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 6);
    CHECK(EXPECT_EVENT(kq, fd, EVFILT_READ, 0, 100).udata == UDATA(6));
    take(fd, 30);
    EXPECT_EVENT(kq, fd, EVFILT_READ, 0, 70);
    EXPECT_EVENT(kq, fd, EVFILT_READ, 0, 70);
    take(fd, 70);
    EXPECT_SILENCE(kq);
    EXPECT_IDLE(kq);
    CHANGE(kq, fd, EVFILT_READ, EV_DELETE, 0, 0);
    EXPECT_ABSENT(kq, fd, EVFILT_READ);
}

static void read_growing_file(void)
{
    int kq = queue(), fd = regular_file(10);

    CHANGE(kq, fd, EVFILT_READ, EV_ADD, 0, 0);
    take(fd, 10);
    EXPECT_SILENCE(kq);
    CHECK_EQUAL(pwrite(fd, block, 7, 10), 7);
    EXPECT_EVENT(kq, fd, EVFILT_READ, 0, 7);
}

static void read_file_and_socket(void)
{
    int kq = queue(), file = regular_file(10), fd[2];
    struct kevent ev[4];

    unix_pair(fd);
    CHANGE(kq, file, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_EVENT(kq, file, EVFILT_READ, 0, 10);
    EXPECT_SILENCE(kq); /* EV_CLEAR: nothing new */
    CHANGE(kq, file, EVFILT_READ, EV_DELETE, 0, 0);
    CHANGE(kq, file, EVFILT_READ, EV_ADD, 0, 0);
    put(fd[1], 1);
    CHECK_EQUAL(collect(kq, ev, 4, LIMIT_MS * MS), 2);
    CHANGE(kq, file, EVFILT_READ, EV_DISABLE, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    take(fd[0], 1);
    EXPECT_SILENCE(kq);
    SYS(close(file));
    EXPECT_SILENCE(kq);
}

static void read_dev_null(void)
{
    int kq = queue(), fd = SYS(open("/dev/null", O_RDWR));
    struct kevent change = ENTRY(fd, EVFILT_READ, EV_ADD, 0, 0, 0);

    if (call(kq, &change, 1, NULL, 0, NULL) == -1 && SYSTEM != LINUX)
        skip("this system's null(4) cannot be watched");
    CHANGE(kq, fd, EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_EVENT(kq, fd, EVFILT_READ, ANY_FLAGS, ANY);
    EXPECT_EVENT(kq, fd, EVFILT_READ, ANY_FLAGS, ANY);
    CHANGE(kq, fd, EVFILT_READ, EV_DELETE, 0, 0);
    EXPECT_SILENCE(kq);
    CHANGE(kq, fd, EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_EVENT(kq, fd, EVFILT_WRITE, 0, ANY);
    SYS(close(fd));
    EXPECT_SILENCE(kq);
}

/* EV_CLEAR on one filter and none on the other do not mix. */
static void read_level_beside_write_clear(void)
{
    int kq = queue(), fd[2], i;

    unix_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    EXPECT_SILENCE(kq);
    put(fd[1], 2);
    for (i = 0; i < 4; i++)
        EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 2);
    take(fd[0], 2);
    EXPECT_SILENCE(kq);
    put(fd[1], 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    take(fd[0], 1);
    EXPECT_IDLE(kq);
}

static void read_clear_beside_write_level(void)
{
    int kq = queue(), fd[2], i;

    unix_pair(fd);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD | EV_DISABLE, 0, 0);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    put(fd[1], 2);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 2);
    EXPECT_SILENCE(kq);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ENABLE, 0, 0);
    for (i = 0; i < 4; i++)
        EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_DISABLE, 0, 0);
    EXPECT_IDLE(kq);
    put(fd[1], 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 3);
    EXPECT_SILENCE(kq);
}

/* ---- write_: EVFILT_WRITE ---------------------------------------------- */

/* Ready while there is room, data being how much; silent when full. */
static void write_level(const int fd[2])
{
    int kq = queue();
    struct kevent ev;

    CHANGE_UDATA(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0, 5);
    ev = EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    CHECK(ev.udata == UDATA(5));
    CHECK(ev.data >= 512); /* the room, not the bytes queued */
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    fill(fd[0]);
    EXPECT_SILENCE(kq);
    EXPECT_IDLE(kq);
    drain(fd[1]);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_DISABLE, 0, 0);
    EXPECT_SILENCE(kq);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ENABLE, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
}

static void write_tcp(void)
{
    int fd[2];

    tcp_pair(fd);
    write_level(fd);
}

static void write_unix(void)
{
    int fd[2];

    unix_pair(fd);
    write_level(fd);
}

static void write_pipe(void)
{
    int fd[2], writer[2];

    SYS(pipe(fd));
    writer[0] = fd[1];
    writer[1] = fd[0];
    write_level(writer);
}

static void write_tty(void)
{
    int kq = queue(), fd[2];

    tty_pair(fd);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_DELETE, 0, 0);
    EXPECT_SILENCE(kq);
}

static void write_regular_file(void)
{
    int kq = queue(), fd = regular_file(10);

    CHANGE(kq, fd, EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_EVENT(kq, fd, EVFILT_WRITE, 0, ANY);
    EXPECT_EVENT(kq, fd, EVFILT_WRITE, 0, ANY);
    CHANGE(kq, fd, EVFILT_WRITE, EV_DISABLE, 0, 0);
    EXPECT_SILENCE(kq);
}

/* data shrinks as the buffer fills. Sent to a peer that does not read. */
static void write_data_is_the_room(void)
{
    int kq = queue(), fd[2], size = 65536;
    int64_t fresh, room;

    tcp_pair(fd);
    SYS(setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size));
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
    fresh = EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME).data;
    CHECK(fresh >= 4096);
    fill(fd[0]);
    EXPECT_SILENCE(kq);
    for (;;) { /* as soon as there is room again, there is less than at first */
        struct kevent ev;

        CHECK(read(fd[1], block, 4096) > 0);
        if (collect(kq, &ev, 1, 10 * MS) == 1) {
            room = ev.data;
            break;
        }
    }
    CHECK(room >= 1);
    drain(fd[1]);
    AWAIT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    for (size = 0; size < LIMIT_MS; size++) {
        if (EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME).data > room)
            return;
        drain(fd[1]);
        nap(MS);
    }
    fail(HERE, "data did not grow beyond %jd when all was read",
         (intmax_t)room);
}

/* EV_CLEAR: once now, and once more when there is room again. */
static void write_clear_on(const int fd[2])
{
    int kq = queue(), round;

    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    EXPECT_SILENCE(kq);
    for (round = 0; round < 3; round++) {
        struct kevent ev;

        fill(fd[0]);
        while (collect(kq, &ev, 1, 0) == 1)
            continue; /* room that came and went as TCP moved bytes on */
        drain(fd[1]);
        EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
        while (collect(kq, &ev, 1, 20 * MS) == 1)
            drain(fd[1]); /* a BSD wakes the writer at every read */
        EXPECT_SILENCE(kq);
    }
}

static void write_clear(void)
{
    int fd[2];

    unix_pair(fd);
    write_clear_on(fd);
}

static void write_clear_tcp(void)
{
    int fd[2];

    tcp_pair(fd);
    write_clear_on(fd);
}

/* A server's pattern: EVFILT_WRITE is on only while output is pending. */
static void write_on_and_off(void)
{
    int kq = queue(), fd[2], i;

    tcp_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD | EV_DISABLE, 0, 0);
    for (i = 0; i < 20; i++) {
        EXPECT_SILENCE(kq);
        CHANGE(kq, fd[0], EVFILT_WRITE, EV_ENABLE, 0, 0);
        EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
        CHANGE(kq, fd[0], EVFILT_WRITE, EV_DISABLE, 0, 0);
        EXPECT_SILENCE(kq);
        put(fd[1], 1);
        EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
        CHANGE(kq, fd[0], EVFILT_READ, EV_DISABLE, 0, 0);
        EXPECT_SILENCE(kq);
        CHANGE(kq, fd[0], EVFILT_READ, EV_ENABLE, 0, 0);
        EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
        take(fd[0], 1);
    }
}

static void write_lowat(void)
{
    int kq = queue(), fd[2];

    tcp_pair(fd);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, NOTE_LOWAT, 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_DELETE, 0, 0);
    EXPECT_SILENCE(kq);
    /* uipc_socket.c, macOS: the mark is clamped. */
    if (SYSTEM == MACOS)
        return;
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, NOTE_LOWAT, 1 << 30);
    EXPECT_SILENCE(kq);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
}

/* The peer's FIN ends reading, not writing: uipc_socket.c, all. */
static void write_no_eof_at_fin(void)
{
    int kq = queue(), fd[2];

    tcp_pair(fd);
    SYS(shutdown(fd[1], SHUT_WR));
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    AWAIT_EVENT(kq, fd[0], EVFILT_READ, EV_EOF, 0);
    CHANGE(kq, fd[0], EVFILT_READ, EV_DELETE, 0, 0);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    put(fd[0], 3);
    take(fd[1], 3);
}

static void write_eof_after_reset(void)
{
    int kq = queue(), fd[2];

    tcp_pair(fd);
    fill(fd[0]);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    reset(fd[1]);
    AWAIT_EVENT(kq, fd[0], EVFILT_WRITE, EV_EOF, ANY);
    CHECK_EQUAL(socket_error(fd[0]), ECONNRESET); /* not consumed */
}

/* epoll does not tell of a local shutdown; the BSDs set EV_EOF. */
static void write_own_shutdown(void)
{
    int kq = queue(), fd[2];

    tcp_pair(fd);
    SYS(shutdown(fd[0], SHUT_WR));
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, EV_EOF, ANY);
}

static void write_unix_peer_gone(void)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    fill(fd[0]);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    SYS(close(fd[1]));
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, EV_EOF, ANY);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, EV_EOF, ANY);
    CHECK_EQUAL(write(fd[0], block, 1), -1);
    CHECK_EQUAL(errno, EPIPE);
}

static void write_pipe_reader_gone(void)
{
    int kq = queue(), fd[2];

    SYS(pipe(fd));
    fill(fd[1]);
    CHANGE(kq, fd[1], EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    SYS(close(fd[0]));
    EXPECT_EVENT(kq, fd[1], EVFILT_WRITE, EV_EOF, ANY);
    EXPECT_EVENT(kq, fd[1], EVFILT_WRITE, EV_EOF, ANY);
}

/* A refused connect must not look like success. */
static void write_refused_connect(void)
{
    struct sockaddr_in address = dead_address(SOCK_STREAM);
    int kq = queue(), fd = SYS(socket(AF_INET, SOCK_STREAM, 0));
    int result;

    nonblocking(fd);
    CHANGE(kq, fd, EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    result = connect(fd, (struct sockaddr *)&address, sizeof address);
    if (result == -1 && errno == ECONNREFUSED)
        skip("connect() to a dead port fails at once here");
    CHECK(result == -1 && errno == EINPROGRESS);
    EXPECT_EVENT(kq, fd, EVFILT_WRITE, EV_EOF, ANY);
    EXPECT_EVENT(kq, fd, EVFILT_WRITE, EV_EOF, ANY);
    CHECK_EQUAL(socket_error(fd), ECONNREFUSED);
}

static void write_connect(void)
{
    struct sockaddr_in address;
    int kq = queue(), listener = tcp_listener(&address);
    int fd = SYS(socket(AF_INET, SOCK_STREAM, 0));

    nonblocking(fd);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == -1)
        CHECK_EQUAL(errno, EINPROGRESS);
    CHANGE(kq, fd, EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, fd, EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0);
    EXPECT_EVENT(kq, fd, EVFILT_WRITE, 0, SOME);
    CHECK_EQUAL(socket_error(fd), 0);
    EXPECT_SILENCE(kq);
    SYS(close(SYS(accept(listener, NULL, NULL))));
    EXPECT_EVENT(kq, fd, EVFILT_READ, EV_EOF, 0);
}

/* uipc_socket.c, all: TCP is not writable before it is connected. */
static void write_unconnected(void)
{
    int kq = queue(), fd = SYS(socket(AF_INET, SOCK_STREAM, 0));

    CHANGE(kq, fd, EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    EXPECT_IDLE(kq);
}

/* Knotes made before connect() see what comes after it. */
static void write_unconnected_then_connected(void)
{
    struct sockaddr_in address;
    int kq = queue(), listener = tcp_listener(&address), peer;
    int fd = SYS(socket(AF_INET, SOCK_STREAM, 0));

    CHANGE(kq, fd, EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, fd, EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    SYS(connect(fd, (struct sockaddr *)&address, sizeof address));
    peer = SYS(accept(listener, NULL, NULL));
    EXPECT_EVENT(kq, fd, EVFILT_WRITE, 0, SOME);
    CHANGE(kq, fd, EVFILT_WRITE, EV_DISABLE, 0, 0);
    EXPECT_SILENCE(kq);
    put(peer, 3);
    EXPECT_EVENT(kq, fd, EVFILT_READ, 0, 3);
}

static void write_listener(void)
{
    struct sockaddr_in address;
    int kq = queue(), listener = tcp_listener(&address);

    CHANGE(kq, listener, EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    tcp_connect(&address);
    EXPECT_IDLE(kq);
}

/* ---- timer_: EVFILT_TIMER ---------------------------------------------- */

static void timer_oneshot(void)
{
    int kq = queue();
    int64_t start = now();

    CHANGE_UDATA(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 40, 6);
    EXPECT_SILENCE(kq);
    CHECK(EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, 1).udata == UDATA(6));
    CHECK(now() - start >= 40 * MS);
    EXPECT_SILENCE(kq);
    pass(now() + 60 * MS);
    EXPECT_SILENCE(kq);
    EXPECT_ABSENT(kq, 1, EVFILT_TIMER);
}

/* data counts the expirations since the last delivery, none too early. */
static void timer_periodic(void)
{
    int64_t start, total = 0;
    int kq = queue();

    start = now();
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 10);
    while (total < 8) {
        total += EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, SOME).data;
        CHECK(now() - start >= total * 10 * MS);
    }
    CHANGE(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0);
    EXPECT_SILENCE(kq);
    pass(now() + 20 * MS);
    EXPECT_SILENCE(kq);
}

static void timer_counts(void)
{
    int64_t start, total = 0, most = 0;
    int kq = queue();

    start = now();
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 10);
    while (total < 10) {
        int64_t data;

        pass(now() + 35 * MS);
        data = EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, SOME).data;
        total += data;
        most = data > most ? data : most;
        CHECK(now() - start >= total * 10 * MS);
    }
    CHECK(most >= 2); /* they were counted, not merged into one */
}

/* Each expiration is due one period after the last was due, whenever it was
   collected: FreeBSD and macOS; the others add the delay (kern_event.c). */
static void timer_does_not_drift(void)
{
    int64_t start, total = 0, late = 0;
    int kq = queue(), i;

    only_on(LIKE_FREEBSD | MACOS, "the period starts at the expiration here");
    start = now();
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 10);
    for (i = 0; i < 500; i++) {
        struct kevent ev;

        pass(now() + 15 * MS);
        late = now() - start;
        ev = EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, SOME);
        total += ev.data;
        CHECK(now() - start >= total * 10 * MS);
        late -= total * 10 * MS;
        if (i >= 20 && late < 20 * MS)
            return;
    }
    fail(HERE, "%jd expirations in %d rounds of 15 ms: late by %jd us",
         (intmax_t)total, i, (intmax_t)late / 1000);
}

/* Many timers of many lengths, each on its own never early. */
static void timer_never_early(void)
{
    enum { N = 60 };
    int64_t start[N];
    int kq = queue(), i;

    for (i = 0; i < N; i++) {
        start[i] = now();
        CHANGE(kq, i, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1 + i * 37 % 50);
    }
    for (i = 0; i < N; i++) {
        struct kevent ev;
        int64_t end;

        CHECK_EQUAL(collect(kq, &ev, 1, LIMIT_MS * MS), 1);
        end = now();
        CHECK(ev.ident < N);
        CHECK(start[ev.ident] != 0);
        CHECK(end - start[ev.ident] >= (1 + (int64_t)ev.ident * 37 % 50) * MS);
        start[ev.ident] = 0;
    }
    EXPECT_SILENCE(kq);
}

static void timer_order(void)
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

static void timer_units(void)
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
        int64_t start = now();

        snprintf(context, sizeof context, "unit %#x", all[i].unit);
        CHANGE(kq, i, EVFILT_TIMER, EV_ADD | EV_ONESHOT, all[i].unit,
               all[i].data);
        EXPECT_SILENCE(kq);
        EXPECT_EVENT(kq, i, EVFILT_TIMER, 0, 1);
        CHECK(now() - start >= all[i].ns);
        EXPECT_SILENCE(kq);
    }
}

static void timer_below_a_millisecond(void)
{
#ifdef NOTE_USECONDS
    int64_t start, total = 0;
    int kq = queue();

    only_on(LIKE_FREEBSD | MACOS, "timers go by the tick: kern_event.c");
    start = now();
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, NOTE_USECONDS, 250);
    while (total < 200) {
        total += EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, SOME).data;
        CHECK(now() - start >= total * 250000);
    }
#else
    skip("milliseconds alone: kqueue(2), DragonFly");
#endif
}

/* A point of the wall clock: FreeBSD 12, OpenBSD 7.4, NetBSD 10. */
static void timer_absolute(void)
{
#ifdef NOTE_ABSTIME
    int64_t due = clock_ns(CLOCK_REALTIME) / MS + 60;
    int kq = queue();

    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_ABSTIME, due);
    EXPECT_SILENCE(kq);
    EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, ANY);
    CHECK(clock_ns(CLOCK_REALTIME) >= due * MS);
    EXPECT_SILENCE(kq);
    EXPECT_ABSENT(kq, 1, EVFILT_TIMER);
    CHANGE(kq, 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_ABSTIME, due - 999);
    EXPECT_EVENT(kq, 2, EVFILT_TIMER, 0, ANY);
    EXPECT_SILENCE(kq);
#else
    skip("no NOTE_ABSTIME here: sys/event.h");
#endif
}

static void timer_absolute_units(void)
{
#if defined(NOTE_ABSTIME) && defined(NOTE_USECONDS)
    int64_t due = clock_ns(CLOCK_REALTIME) / 1000 + 30000;
    int kq = queue();

    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT,
           NOTE_ABSTIME | NOTE_USECONDS, due);
    EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, ANY);
    CHECK(clock_ns(CLOCK_REALTIME) >= due * 1000);
    due = clock_ns(CLOCK_REALTIME) / (1000 * MS) + 1;
    CHANGE(kq, 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT,
           NOTE_ABSTIME | NOTE_SECONDS, due);
    EXPECT_EVENT(kq, 2, EVFILT_TIMER, 0, ANY);
    CHECK(clock_ns(CLOCK_REALTIME) >= due * 1000 * MS);
#else
    skip("no NOTE_ABSTIME here: sys/event.h");
#endif
}

/* It has passed and stays so: active until cleared (kern_event.c). */
static void timer_absolute_is_level(void)
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
    pass(now() + 10 * MS);
    EXPECT_SILENCE(kq);
#else
    skip("no NOTE_ABSTIME here: sys/event.h");
#endif
}

/* The least period there is; NetBSD refuses it, macOS fires once. */
static void timer_zero(void)
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
static void timer_zero_is_one_unit(void)
{
    int64_t start, total = 0;
    int kq = queue();

    only_on(LIKE_FREEBSD, "FreeBSD alone says so: sys/kern/kern_event.c");
    start = now();
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 0);
    while (total < 20) {
        total += EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, SOME).data;
        CHECK(now() - start >= total * MS);
    }
}

static void timer_negative(void)
{
    int kq = queue();

    only_on(LIKE_FREEBSD, "FreeBSD alone refuses it: sys/kern/kern_event.c");
    EXPECT_ERROR(EINVAL, kq, 1, EVFILT_TIMER, EV_ADD, 0, -1);
    EXPECT_ABSENT(kq, 1, EVFILT_TIMER);
    EXPECT_SILENCE(kq);
}

/* FreeBSD tells of a bad re-add by an event, the others at once. */
static void timer_negative_readd(void)
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
static void timer_huge(void)
{
    int kq = queue();

    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, (int64_t)1 << 40);
    CHANGE(kq, 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, INT32_MAX);
    EXPECT_SILENCE(kq);
    CHANGE(kq, 3, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 30);
    EXPECT_EVENT(kq, 3, EVFILT_TIMER, 0, 1);
    EXPECT_SILENCE(kq);
#ifdef NOTE_SECONDS
    if ((SYSTEM & LIKE_FREEBSD) == 0)
        return; /* FreeBSD alone says that it caps: kern_event.c */
    CHANGE(kq, 4, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, INT64_MAX);
    CHANGE(kq, 5, EVFILT_TIMER, EV_ADD, 0, INT64_MAX);
    EXPECT_IDLE(kq);
#endif
}

/* EV_ADD on a timer that has expired: back to the start, all forgotten. */
static void timer_readd_restarts(void)
{
    int64_t start;
    int kq = queue(), i;

    not_on(DRAGONFLY, "the running callout goes on: kern_event.c, DragonFly");
    for (i = 0; i < 4; i++) {
        CHANGE(kq, i, EVFILT_TIMER, EV_ADD | (i % 2 ? EV_ONESHOT : 0), 0, 10);
        pass(now() + 40 * MS);
        if (i >= 2) { /* a look at it counts what has expired */
            CHANGE(kq, i, EVFILT_TIMER, EV_DISABLE, 0, 10);
            CHANGE(kq, i, EVFILT_TIMER, EV_ENABLE, 0, 10);
        }
        start = now();
        CHANGE(kq, i, EVFILT_TIMER, EV_ADD, 0, 100);
        EXPECT_EVENT(kq, i, EVFILT_TIMER, 0, SOME);
        CHECK(now() - start >= 100 * MS);
        if (i % 2 == 0)
            CHANGE(kq, i, EVFILT_TIMER, EV_DELETE, 0, 0);
        EXPECT_SILENCE(kq);
    }
}

static void timer_readd_sooner(void)
{
    int64_t start;
    int kq = queue();

    not_on(DRAGONFLY, "the running callout goes on: kern_event.c, DragonFly");
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 3600000);
    EXPECT_SILENCE(kq);
    start = now();
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 30);
    EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, SOME);
    CHECK(now() - start >= 30 * MS);
    EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, SOME);
    CHECK(now() - start >= 60 * MS);
}

/* What one does everywhere instead. */
static void timer_delete_and_add(void)
{
    int64_t start;
    int kq = queue();

    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 10);
    pass(now() + 30 * MS);
    CHANGE(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0);
    EXPECT_SILENCE(kq);
    start = now();
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 50);
    EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, 1);
    CHECK(now() - start >= 50 * MS);
    EXPECT_SILENCE(kq);
}

static void timer_oneshot_then_periodic(void)
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
    pass(now() + 30 * MS);
    EXPECT_SILENCE(kq);
}

/* A disabled timer goes on counting and gives the sum when enabled. */
static void timer_disabled_counts(void)
{
    int64_t start, data;
    int kq = queue();

    not_on(MACOS | NETBSD | DRAGONFLY, "kern_event.c: macOS starts the timer "
                                       "anew, NetBSD and DragonFly: not read");
    start = now();
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 10);
    CHANGE(kq, 1, EVFILT_TIMER, EV_DISABLE, 0, 10);
    pass(start + 105 * MS);
    EXPECT_SILENCE(kq);
    CHANGE(kq, 1, EVFILT_TIMER, EV_ENABLE, 0, 10);
    data = EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, SOME).data;
    CHECK(now() - start >= data * 10 * MS);
    /* A callout may lag behind on a loaded BSD, but not by half. */
    CHECK(data >= 5);
}

static void timer_oneshot_expires_disabled(void)
{
    int kq = queue();

    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_DISABLE, 0, 10);
    pass(now() + 40 * MS);
    EXPECT_SILENCE(kq);
    CHANGE(kq, 1, EVFILT_TIMER, EV_ENABLE, 0, 10);
    EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, 1);
    EXPECT_SILENCE(kq);
    EXPECT_ABSENT(kq, 1, EVFILT_TIMER);
}

/* Disabling and enabling again and again does not put off the expiration. */
static void timer_disable_keeps_the_period(void)
{
    int64_t start, end;
    struct kevent ev;
    int kq = queue(), n = 0;

    not_on(MACOS | DRAGONFLY, "kern_event.c: macOS and DragonFly take every "
                              "change of a timer as a new period");
    start = now();
    end = start + LIMIT_MS * MS;
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 300);
    while (n == 0 && now() < end) {
        CHANGE(kq, 1, EVFILT_TIMER, EV_DISABLE, 0, 300);
        CHANGE(kq, 1, EVFILT_TIMER, EV_ENABLE, 0, 300);
        n = collect(kq, &ev, 1, 5 * MS);
    }
    CHECK_EQUAL(n, 1);
    CHECK(now() - start >= 300 * MS);
}

static void timer_disabled_costs_no_cpu(void)
{
    int kq = queue();

    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_DISABLE, 0, 1);
    pass(now() + 10 * MS);
    EXPECT_IDLE(kq);
}

static void timer_idents_are_any_number(void)
{
    static const uintptr_t idents[] = {0, 1, INT_MAX, UINTPTR_MAX,
                                       UINTPTR_MAX - 1};
    int kq = queue();
    size_t i;

    for (i = 0; i < 5; i++)
        CHANGE(kq, idents[i], EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0,
               (int)i * 20 + 20);
    for (i = 0; i < 5; i++)
        EXPECT_EVENT(kq, idents[i], EVFILT_TIMER, 0, 1);
    EXPECT_SILENCE(kq);
}

static void timer_is_private_to_its_queue(void)
{
    int one = queue(), two = queue();

    CHANGE_UDATA(one, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 10, 1);
    CHANGE_UDATA(two, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 40, 2);
    CHECK(EXPECT_EVENT(one, 1, EVFILT_TIMER, 0, 1).udata == UDATA(1));
    EXPECT_ABSENT(one, 1, EVFILT_TIMER);
    CHECK(EXPECT_EVENT(two, 1, EVFILT_TIMER, 0, 1).udata == UDATA(2));
    EXPECT_SILENCE(one);
}

static void few_descriptors(void)
{
    struct rlimit limit;

    SYS(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = 256;
    SYS(setrlimit(RLIMIT_NOFILE, &limit));
}

/* As many timers as the system grants, up to 10,000, few descriptors. The
   BSDs have limits of 1024 to 4096 and say ENOMEM: kern_event.c, each. */
static void timer_ten_thousand(void)
{
    enum { MANY = 10000 };
    static char seen[MANY];
    static struct kevent ev[512];
    int kq = queue(), made, got = 0;
    int64_t start;

    few_descriptors();
    start = now();
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
        int64_t late = now() - start;

        CHECK(n > 0);
        for (i = 0; i < n; i++) {
            CHECK(ev[i].ident < (uintptr_t)made);
            CHECK_EQUAL(seen[ev[i].ident]++, 0);
            CHECK(late >= (500 + (int64_t)ev[i].ident * 7919 % 500) * MS);
        }
        got += n;
    }
    EXPECT_SILENCE(kq);
}

static void timer_takes_no_descriptors(void)
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
static void timer_short_list_without_descriptors(void)
{
    struct rlimit few = {64, 64};
    struct timespec limit = {LIMIT_MS / 1000, 0};
    struct kevent event;
    int kq = queue();
    int64_t start = now();

    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1);
    CHANGE(kq, 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1);
    SYS(setrlimit(RLIMIT_NOFILE, &few));
    while (dup(STDERR_FILENO) >= 0)
        continue;
    CHECK_EQUAL(errno, EMFILE);
    while (now() - start < 5 * MS)
        continue;
    CHECK_EQUAL(kevent(kq, NULL, 0, &event, 1, &limit), 1);
    CHECK_EQUAL(kevent(kq, NULL, 0, &event, 1, &limit), 1);
    EXPECT_SILENCE(kq);
    close(63); /* the leak check of a sanitizer opens files */
    close(62);
    close(61);
    close(60);
}

/* ---- signal_: EVFILT_SIGNAL -------------------------------------------- */

/* kqueue(2): attempts are recorded even for a signal that is ignored. kill()
   to oneself has done its work when it returns: no wait is needed. */
static void signal_ignored(void)
{
    int kq = queue();

    handle(SIGUSR1, SIG_IGN);
    CHANGE_UDATA(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0, 4);
    EXPECT_SILENCE(kq);
    SYS(kill(getpid(), SIGUSR1));
    CHECK(EXPECT_EVENT(kq, SIGUSR1, EVFILT_SIGNAL, 0, 1).udata == UDATA(4));
    EXPECT_SILENCE(kq);
    SYS(kill(getpid(), SIGUSR1));
    EXPECT_EVENT(kq, SIGUSR1, EVFILT_SIGNAL, 0, 1);
    EXPECT_SILENCE(kq);
}

/* At timeout 0, so without any time for a helper to act in. */
static void signal_at_once(void)
{
    int kq = queue(), i;

    handle(SIGUSR1, handler);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    for (i = 0; i < 200; i++) {
        struct kevent ev;

        SYS(kill(getpid(), SIGUSR1));
        CHECK_EQUAL(collect(kq, &ev, 1, 0), 1);
        EXPECT_SILENCE(kq);
    }
}

static void signal_counts(void)
{
    int kq = queue(), i;

    handle(SIGUSR1, handler);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    for (i = 0; i < 3; i++)
        SYS(kill(getpid(), SIGUSR1));
    EXPECT_EVENT(kq, SIGUSR1, EVFILT_SIGNAL, 0, 3);
    EXPECT_SILENCE(kq);
}

/* The handler runs too, as if there were no kqueue. */
static void signal_handler_runs(void)
{
    int kq = queue(), i;

    handle(SIGUSR1, handler);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    for (i = 1; i <= 3; i++) {
        SYS(kill(getpid(), SIGUSR1));
        EXPECT_EVENT(kq, SIGUSR1, EVFILT_SIGNAL, 0, 1);
        CHECK_EQUAL(handled, i);
    }
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_DELETE, 0, 0);
    SYS(kill(getpid(), SIGUSR1));
    CHECK_EQUAL(handled, 4);
    EXPECT_SILENCE(kq);
}

static void signal_handler_set_later(void)
{
    int kq = queue();

    handle(SIGUSR1, SIG_IGN);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    handle(SIGUSR1, handler);
    EXPECT_SILENCE(kq); /* the Linux layer notices when it waits */
    SYS(kill(getpid(), SIGUSR1));
    EXPECT_EVENT(kq, SIGUSR1, EVFILT_SIGNAL, 0, 1);
    CHECK_EQUAL(handled, 1);
    EXPECT_SILENCE(kq);
}

/* The default action happens as well: SIGTERM ends the process. */
static void signal_default_action(void)
{
    pid_t child = start_child();
    int status;

    if (child == 0) {
        int kq = queue();

        CHANGE(kq, SIGTERM, EVFILT_SIGNAL, EV_ADD, 0, 0);
        kill(getpid(), SIGTERM);
        _exit(0);
    }
    status = status_of(child);
    CHECK(WIFSIGNALED(status));
    CHECK_EQUAL(WTERMSIG(status), SIGTERM);
}

static void signal_of_a_child(void)
{
    int kq = queue(), status;
    pid_t child;

    handle(SIGCHLD, handler);
    CHANGE(kq, SIGCHLD, EVFILT_SIGNAL, EV_ADD, 0, 0);
    child = start_child();
    if (child == 0)
        _exit(5);
    for (;;) { /* the handler may interrupt the wait: kevent(2) */
        struct kevent ev;
        int n = collect(kq, &ev, 1, LIMIT_MS * MS);

        if (n == -1 && errno == EINTR)
            continue;
        CHECK_EQUAL(n, 1);
        CHECK_EQUAL(ev.ident, SIGCHLD);
        break;
    }
    status = status_of(child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
    EXPECT_SILENCE(kq);
}

/* kqueue(2), FreeBSD: an ignored SIGCHLD is the exception. */
static void signal_child_ignored(void)
{
    int kq = queue();
    pid_t child;

    only_on(LIKE_FREEBSD, "FreeBSD alone makes this exception: kqueue(2)");
    handle(SIGCHLD, SIG_IGN);
    CHANGE(kq, SIGCHLD, EVFILT_SIGNAL, EV_ADD, 0, 0);
    child = start_child();
    if (child == 0)
        _exit(0);
    while (kill(child, 0) == 0)
        nap(MS); /* it is reaped without wait() */
    EXPECT_SILENCE(kq);
}

static void signal_before_add(void)
{
    int kq = queue();

    handle(SIGUSR1, SIG_IGN);
    SYS(kill(getpid(), SIGUSR1));
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    SYS(kill(getpid(), SIGUSR1));
    EXPECT_EVENT(kq, SIGUSR1, EVFILT_SIGNAL, 0, 1);
}

/* A blocked signal is an attempt as well, and kqueue does not take it. */
static void signal_blocked(void)
{
    sigset_t set;
    int kq = queue();

    handle(SIGUSR1, handler);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    SYS(sigprocmask(SIG_BLOCK, &set, NULL));
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    SYS(kill(getpid(), SIGUSR1));
    CHECK_EQUAL(handled, 0);
    if (SYSTEM != LINUX) /* a handler is how the Linux layer learns of it */
        EXPECT_EVENT(kq, SIGUSR1, EVFILT_SIGNAL, 0, 1);
    EXPECT_SILENCE(kq);
    SYS(sigprocmask(SIG_UNBLOCK, &set, NULL));
    CHECK_EQUAL(handled, 1);
    if (SYSTEM == LINUX)
        EXPECT_EVENT(kq, SIGUSR1, EVFILT_SIGNAL, 0, 1);
    EXPECT_SILENCE(kq);
}

static void signal_one_slot(void)
{
    struct kevent a, b;
    int kq = queue();

    handle(SIGUSR1, SIG_IGN);
    handle(SIGUSR2, SIG_IGN);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    CHANGE(kq, SIGUSR2, EVFILT_SIGNAL, EV_ADD, 0, 0);
    SYS(kill(getpid(), SIGUSR1));
    SYS(kill(getpid(), SIGUSR2));
    CHECK_EQUAL(collect(kq, &a, 1, LIMIT_MS * MS), 1);
    CHECK_EQUAL(collect(kq, &b, 1, LIMIT_MS * MS), 1);
    CHECK_EQUAL(a.ident + b.ident, SIGUSR1 + SIGUSR2);
    CHECK(a.ident != b.ident);
    EXPECT_SILENCE(kq);
}

static void signal_delete(void)
{
    int kq = queue();

    handle(SIGUSR1, SIG_IGN);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_DELETE, 0, 0);
    SYS(kill(getpid(), SIGUSR1));
    EXPECT_SILENCE(kq);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    SYS(kill(getpid(), SIGUSR1));
    EXPECT_EVENT(kq, SIGUSR1, EVFILT_SIGNAL, 0, 1);
    EXPECT_SILENCE(kq);
}

static void signal_two_queues(void)
{
    int one = queue(), two = queue();

    handle(SIGUSR1, SIG_IGN);
    CHANGE_UDATA(one, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0, 1);
    CHANGE_UDATA(two, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0, 2);
    SYS(kill(getpid(), SIGUSR1));
    CHECK(EXPECT_EVENT(one, SIGUSR1, EVFILT_SIGNAL, 0, 1).udata == UDATA(1));
    CHECK(EXPECT_EVENT(two, SIGUSR1, EVFILT_SIGNAL, 0, 1).udata == UDATA(2));
    CHANGE(one, SIGUSR1, EVFILT_SIGNAL, EV_DELETE, 0, 0);
    SYS(kill(getpid(), SIGUSR1));
    EXPECT_SILENCE(one);
    EXPECT_EVENT(two, SIGUSR1, EVFILT_SIGNAL, 0, 1);
    SYS(close(two));
    CHANGE(one, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    SYS(kill(getpid(), SIGUSR1));
    EXPECT_EVENT(one, SIGUSR1, EVFILT_SIGNAL, 0, 1);
    EXPECT_SILENCE(one);
}

/* A signal from elsewhere ends a wait, by an event or by EINTR. */
static void signal_ends_a_wait(void (*action)(int))
{
    struct kevent ev;
    pid_t child;
    int kq = queue(), n;

    handle(SIGUSR1, action);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    child = start_signaller(SIGUSR1, false);
    n = collect(kq, &ev, 1, LIMIT_MS * MS);
    if (n == -1 && action != SIG_IGN) {
        CHECK_EQUAL(errno, EINTR);
        n = collect(kq, &ev, 1, 0);
    }
    CHECK_EQUAL(n, 1);
    CHECK_EQUAL(ev.ident, SIGUSR1);
    CHECK_EQUAL(ev.data, 1);
    EXPECT_SILENCE(kq);
    status_of(child);
}

static void signal_ends_a_wait_ignored(void)
{
    signal_ends_a_wait(SIG_IGN);
}

static void signal_ends_a_wait_handled(void)
{
    signal_ends_a_wait(handler);
    CHECK_EQUAL(handled, 1);
}

static bool blocked(int number)
{
    sigset_t set;

    SYS(sigprocmask(SIG_BLOCK, NULL, &set));
    return sigismember(&set, number) == 1;
}

/* The mask is the program's own, before, while and after. */
static void signal_mask_is_kept(void)
{
    int kq = queue();

    handle(SIGUSR1, handler);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    CHECK(!blocked(SIGUSR1));
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_DELETE, 0, 0);
    CHECK(!blocked(SIGUSR1));
    SYS(kill(getpid(), SIGUSR1));
    CHECK_EQUAL(handled, 1);
}

static void signal_mask_after_close(void)
{
    int kq = queue();

    handle(SIGUSR1, handler);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    SYS(close(kq));
    CHECK(!blocked(SIGUSR1));
    SYS(kill(getpid(), SIGUSR1));
    CHECK_EQUAL(handled, 1);
    kq = queue();
    SYS(kill(getpid(), SIGUSR1));
    CHECK_EQUAL(handled, 2);
    EXPECT_SILENCE(kq);
}

/* After close(kq) the default action is the default action. */
static void signal_default_after_close(void)
{
    pid_t child = start_child();
    int status;

    if (child == 0) {
        int kq = queue();

        handle(SIGUSR1, SIG_IGN);
        CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
        kill(getpid(), SIGUSR1);
        EXPECT_EVENT(kq, SIGUSR1, EVFILT_SIGNAL, 0, 1);
        CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_DELETE, 0, 0);
        close(kq);
        handle(SIGUSR1, SIG_DFL);
        kill(getpid(), SIGUSR1);
        _exit(0);
    }
    status = status_of(child);
    CHECK(WIFSIGNALED(status));
    CHECK_EQUAL(WTERMSIG(status), SIGUSR1);
}

/* A program that is executed starts with the mask it would have had. */
static void signal_mask_of_a_new_program(void)
{
    int kq = queue(), status;
    pid_t child;

    handle(SIGUSR1, handler); /* exec makes it the default again */
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    child = start_child();
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", "kill -USR1 $$; exit 7", (char *)NULL);
        _exit(8);
    }
    status = status_of(child);
    CHECK(WIFSIGNALED(status));
    CHECK_EQUAL(WTERMSIG(status), SIGUSR1);
    EXPECT_SILENCE(kq);
}

/* What the program asked for with sigaction() is what it reads back. */
static void signal_action_is_kept(void)
{
    struct sigaction action;
    int kq = queue();

    handle(SIGUSR1, handler);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_DELETE, 0, 0);
    SYS(sigaction(SIGUSR1, NULL, &action));
    CHECK(action.sa_handler == handler);
}

/* ---- user_: EVFILT_USER ------------------------------------------------ */

static void user_trigger(void)
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

static void user_level(void)
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
static void user_clear_resets(void)
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

static void user_triggers_merge(void)
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
static void user_trigger_in_add(void)
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

static void user_trigger_with_enable(void)
{
    int kq = queue();

    need_user();
    CHANGE(kq, 7, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0);
    CHANGE(kq, 7, EVFILT_USER, EV_ENABLE, NOTE_TRIGGER, 0);
    EXPECT_EVENT(kq, 7, EVFILT_USER, 0, ANY);
    EXPECT_SILENCE(kq);
}

/* NOTE_FF*: how the low 24 bits of fflags meet those stored. */
static void user_fflags(void)
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

static void user_fflags_without_trigger(void)
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
static void user_data(void)
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

static void user_absent(void)
{
    int kq = queue();

    need_user();
    EXPECT_ERROR(ENOENT, kq, 7, EVFILT_USER, 0, NOTE_TRIGGER, 0);
    EXPECT_SILENCE(kq);
}

static void user_trigger_in_the_call(void)
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

static void user_many(void)
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

static void user_is_private_to_its_queue(void)
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

static void user_costs_no_cpu(void)
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

/* ---- queue_: the descriptor of a queue --------------------------------- */

static bool readable(int fd, int ms)
{
    struct pollfd p = {fd, POLLIN, 0};

    return SYS(poll(&p, 1, ms)) == 1 && (p.revents & POLLIN) != 0;
}

static bool selectable(int fd)
{
    struct timeval zero = {0, 0};
    fd_set set;

    FD_ZERO(&set);
    FD_SET(fd, &set);
    return SYS(select(fd + 1, &set, NULL, NULL, &zero)) == 1;
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

static void queue_poll(void)
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

static void queue_poll_level(void)
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

static void queue_poll_disabled(void)
{
    EACH_KIND(kind, fd, poll_disabled_one);
}

static void queue_poll_regular_file(void)
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
static void queue_poll_after_short_list(void)
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

static void queue_poll_wakes(void)
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

static void queue_nested(void)
{
    EACH_KIND(kind, fd, nested_one);
}

static void queue_nested_twice(void)
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

static void queue_nested_closed(void)
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

static void queue_in_itself(void)
{
    int kq = queue();

    only_on(LIKE_FREEBSD | OPENBSD, "these say so: kern_event.c, each");
    EXPECT_ERROR(EINVAL, kq, kq, EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
}

static void queue_takes_no_bytes(void)
{
    int kq = queue();

    only_on(FREEBSD | OPENBSD | DRAGONFLY, "ENXIO there: kern_event.c, each");
    CHECK_EQUAL(read(kq, block, 1), -1);
    CHECK_EQUAL(errno, ENXIO);
    CHECK_EQUAL(write(kq, block, 1), -1);
    CHECK_EQUAL(errno, ENXIO);
}

static void queue_takes_one_descriptor(void)
{
    int next = lowest_free(), fd[2], kq;

    unix_pair(fd);
    kq = queue();
    CHECK_EQUAL(kq, next + 2);
    CHECK_EQUAL(lowest_free(), next + 3);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    CHECK_EQUAL(lowest_free(), next + 3);
    SYS(close(kq));
    CHECK_EQUAL(lowest_free(), next + 2);
}

/* Whatever a queue needs behind the scenes ends with it, so that a program
   may make and close queues for ever. */
static void queue_leaves_nothing(void)
{
    int next, i;

    handle(SIGUSR1, SIG_IGN);
    few_descriptors();
    for (i = 0; i < 600; i++) {
        int kq = queue();

        CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 60000);
        CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
        if (HAVE_USER)
            CHANGE(kq, 1, EVFILT_USER, EV_ADD, 0, 0);
        CHANGE(kq, 0, EVFILT_READ, EV_ADD | EV_DISABLE, 0, 0);
        SYS(close(kq));
    }
    next = lowest_free();
    CHECK(next < 40);
}

#ifdef __linux__
static int count_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    int count = 0;

    if (tasks == NULL)
        skip("no /proc here");
    while (readdir(tasks) != NULL)
        count++;
    closedir(tasks);
    return count;
}
#endif

static void queue_starts_no_thread(void)
{
#ifdef __linux__
    int before = count_threads(), kq = queue();

    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 60000);
    CHANGE(kq, 1, EVFILT_USER, EV_ADD, 0, 0);
    handle(SIGUSR1, SIG_IGN);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    CHECK_EQUAL(count_threads(), before);
#else
    skip("a question about emulations");
#endif
}

static void expect_empty_queue(const char *file, int line, int kq, int fd)
{
    expect_silence(file, line, kq, 0);
    expect_all_absent(kq, EV_DELETE, fd);
    expect_silence(file, line, kq, 30 * MS);
}

/* close() ends a queue; a new one of the same number knows nothing of it. */
static void queue_number_reused(void)
{
    int fd[2], kq = queue(), round;

    unix_pair(fd);
    put(fd[1], 1);
    handle(SIGUSR1, SIG_IGN);
    for (round = 0; round < 3; round++) {
        CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | (round ? EV_CLEAR : 0), 0, 0);
        CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
        CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 10);
        CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
        if (HAVE_USER) {
            CHANGE(kq, 1, EVFILT_USER, EV_ADD, 0, 0);
            TRIGGER(kq, 1);
        }
        SYS(close(kq));
        CHECK_EQUAL(queue(), kq);
        SYS(kill(getpid(), SIGUSR1));
        expect_empty_queue(HERE, kq, fd[0]);
        CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
        EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
        CHANGE(kq, fd[0], EVFILT_READ, EV_DELETE, 0, 0);
    }
}

/* The number of a closed queue may come back as anything. */
static void queue_number_becomes_a_socket(void)
{
    int kq = queue(), other, fd[2];

    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 10);
    SYS(close(kq));
    unix_pair(fd);
    CHECK_EQUAL(fd[0], kq);
    EXPECT_BAD_QUEUE(kq);
    other = queue();
    CHANGE(other, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    put(fd[1], 2);
    EXPECT_EVENT(other, fd[0], EVFILT_READ, 0, 2);
}

static void queue_close_leaves_the_rest(void)
{
    int kq = queue(), other, fd[2];

    unix_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    SYS(close(kq));
    put(fd[1], 1);
    take(fd[0], 1);
    other = queue();
    CHANGE(other, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_SILENCE(other);
    put(fd[1], 1);
    EXPECT_EVENT(other, fd[0], EVFILT_READ, 0, 1);
}

/* kqueue(2): a queue is not inherited by a child of fork(). */
static void queue_not_inherited(void)
{
    int kq = queue(), fd[2], status;
    pid_t child;

    unix_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_DISABLE, 0, 60000);
    child = start_child();
    if (child == 0) {
        EXPECT_BAD_QUEUE(kq);
        _exit(PASSED);
    }
    status = status_of(child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == PASSED);
    EXPECT_SILENCE(kq);
    put(fd[1], 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    CHANGE(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0);
}

/* What a child does with queues of its own is no business of its parent. */
static void queue_of_a_child(void)
{
    int kq = queue(), fd[2], status;
    pid_t child;

    unix_pair(fd);
    handle(SIGUSR1, SIG_IGN);
    CHANGE_UDATA(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    CHANGE_UDATA(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 300, 1);
    child = start_child();
    if (child == 0) {
        int own;

        close(kq); /* not there on a BSD */
        own = queue();
        expect_empty_queue(HERE, own, fd[0]);
        CHANGE_UDATA(own, fd[0], EVFILT_READ, EV_ADD, 0, 0, 2);
        CHANGE_UDATA(own, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 10, 2);
        EXPECT_EVENT(own, 1, EVFILT_TIMER, 0, 1);
        put(fd[1], 3);
        EXPECT_EVENT(own, fd[0], EVFILT_READ, 0, 3);
        take(fd[0], 3);
        EXPECT_SILENCE(own);
        _exit(PASSED);
    }
    status = status_of(child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == PASSED);
    CHECK(EXPECT_EVENT(kq, 1, EVFILT_TIMER, 0, 1).udata == UDATA(1));
    EXPECT_SILENCE(kq);
    put(fd[1], 1);
    CHECK(EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1).udata == UDATA(1));
}

/* A duplicate of a queue's descriptor is the same queue, as of any file. */
static void queue_dup(void)
{
    int kq = queue(), copy = SYS(dup(kq)), fd[2];

    only_on(FREEBSD, "the Linux layer says EBADF; not in the other manuals");
    unix_pair(fd);
    CHANGE(copy, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    put(fd[1], 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    EXPECT_EVENT(copy, fd[0], EVFILT_READ, 0, 1);
}

/* ---- close_: close() of what is watched -------------------------------- */

/* The ordinary server: accept, EV_ADD, close, and never EV_DELETE. */
static void clients_in_turn(unsigned kind)
{
    struct sockaddr_in address;
    int kq = queue(), listener = tcp_listener(&address), i;

    for (i = 0; i < 8; i++) {
        int near = tcp_connect(&address);
        int far = SYS(accept(listener, NULL, NULL));

        snprintf(context, sizeof context, "client %d", i);
        CHANGE_UDATA(kq, far, EVFILT_READ, EV_ADD | kind, 0, 0, i);
        EXPECT_SILENCE(kq);
        put(near, 4);
        CHECK(AWAIT_EVENT(kq, far, EVFILT_READ, 0, 4).udata == UDATA(i));
        take(far, 4);
        SYS(close(near));
        AWAIT_EVENT(kq, far, EVFILT_READ, EV_EOF, 0);
        SYS(close(far));
        EXPECT_SILENCE(kq);
    }
}

static void close_clients_in_turn(void)
{
    clients_in_turn(0);
}

static void close_clients_in_turn_clear(void)
{
    clients_in_turn(EV_CLEAR);
}

static void close_drops_the_knotes(void)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    put(fd[1], 1);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
    SYS(close(fd[0]));
    EXPECT_SILENCE(kq);
    EXPECT_IDLE(kq);
    EXPECT_ERROR(EBADF, kq, fd[0], EVFILT_READ, EV_DELETE, 0, 0);
    EXPECT_ERROR(EBADF, kq, fd[0], EVFILT_READ, EV_ENABLE, 0, 0);
}

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

static void close_reuse(void)
{
    reuse_all(0);
}

static void close_reuse_for_a_pipe(void)
{
    reuse_all(PIPE);
}

static void close_reuse_with_dup(void)
{
    reuse_all(KEPT);
}

static void close_reuse_for_a_pipe_with_dup(void)
{
    reuse_all(KEPT | PIPE);
}

static void close_reuse_without_add(void)
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
static void close_reuse_one_of_two(void)
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

static void close_reuse_for_a_file(void)
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

/* dup2() closes what it puts its copy over. */
static void close_by_dup2(void)
{
    int kq = queue(), a[2], b[2];

    unix_pair(a);
    unix_pair(b);
    CHANGE(kq, a[0], EVFILT_READ, EV_ADD, 0, 0);
    put(a[1], 1);
    put(b[1], 2);
    EXPECT_EVENT(kq, a[0], EVFILT_READ, 0, 1);
    SYS(dup2(b[0], a[0]));
    EXPECT_SILENCE(kq);
    CHANGE(kq, a[0], EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_EVENT(kq, a[0], EVFILT_READ, 0, 2);
}

/* A knote belongs to a number: kern_event.c, knote_fdclose() and the like. */
static void close_leaves_a_dup(void)
{
    int kq = queue(), fd[2], copy;

    unix_pair(fd);
    copy = SYS(dup(fd[0]));
    CHANGE_UDATA(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    CHANGE_UDATA(kq, copy, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 2);
    SYS(close(fd[0]));
    EXPECT_SILENCE(kq);
    put(fd[1], 1);
    CHECK(EXPECT_EVENT(kq, copy, EVFILT_READ, 0, 1).udata == UDATA(2));
    if (SYSTEM != LINUX) /* a rebuilt epoll set may repeat an edge once */
        EXPECT_SILENCE(kq);
    take(copy, 1);
    EXPECT_SILENCE(kq);
}

static void close_of_a_dup(void)
{
    int kq = queue(), fd[2], copy;

    unix_pair(fd);
    copy = SYS(dup(fd[0]));
    CHANGE(kq, copy, EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    SYS(close(copy));
    put(fd[1], 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    take(fd[0], 1);
    EXPECT_SILENCE(kq);
}

/* The file lives on in a duplicate: neither an event nor a busy wait. */
static void close_with_a_dup_costs_no_cpu(void)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    SYS(dup(fd[0]));
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
    SYS(close(fd[0]));
    put(fd[1], 1);
    EXPECT_IDLE(kq);
}

/* So it does in a child of fork(). */
static void close_with_a_child(void)
{
    int kq = queue(), a[2], b[2];
    pid_t child;

    unix_pair(a);
    CHANGE(kq, a[0], EVFILT_READ, EV_ADD, 0, 0);
    child = start_child();
    if (child == 0)
        for (;;)
            pause();
    put(a[1], 1);
    EXPECT_EVENT(kq, a[0], EVFILT_READ, 0, 1);
    SYS(close(a[0]));
    EXPECT_IDLE(kq);
    unix_pair(b);
    CHECK_EQUAL(b[0], a[0]);
    put(a[1], 1);
    EXPECT_SILENCE(kq);
    CHANGE(kq, b[0], EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    put(b[1], 3);
    EXPECT_EVENT(kq, b[0], EVFILT_READ, 0, 3);
    take(b[0], 3);
    put(a[1], 1);
    EXPECT_SILENCE(kq);
    stop_child(child);
}

static void close_in_two_queues(void)
{
    int one = queue(), two = queue(), a[2], b[2];

    unix_pair(a);
    put(a[1], 1);
    CHANGE(one, a[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(two, a[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    SYS(close(a[0]));
    unix_pair(b);
    CHECK_EQUAL(b[0], a[0]);
    CHANGE(one, b[0], EVFILT_READ, EV_ADD, 0, 0);
    put(b[1], 2);
    EXPECT_EVENT(one, b[0], EVFILT_READ, 0, 2);
    EXPECT_SILENCE(two);
    EXPECT_ABSENT(two, b[0], EVFILT_READ);
    CHANGE(two, b[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    EXPECT_EVENT(two, b[0], EVFILT_READ, 0, 2);
    EXPECT_SILENCE(two);
}

/* After one event of a batch its handler closes the others. */
static void close_within_a_batch(void)
{
    struct kevent ev;
    int kq = queue(), fd[3][2], i;

    for (i = 0; i < 3; i++) {
        unix_pair(fd[i]);
        put(fd[i][1], 1);
        CHANGE(kq, fd[i][0], EVFILT_READ, EV_ADD, 0, 0);
    }
    CHECK_EQUAL(collect(kq, &ev, 1, LIMIT_MS * MS), 1);
    for (i = 0; i < 3; i++)
        if (fd[i][0] != (int)ev.ident)
            SYS(close(fd[i][0]));
    EXPECT_EVENT(kq, ev.ident, EVFILT_READ, 0, 1);
    EXPECT_EVENT(kq, ev.ident, EVFILT_READ, 0, 1);
    take((int)ev.ident, 1);
    EXPECT_SILENCE(kq);
}

static void close_leaves_other_filters(void)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, fd[0], EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 20);
    SYS(close(fd[0]));
    EXPECT_EVENT(kq, fd[0], EVFILT_TIMER, 0, 1);
    EXPECT_SILENCE(kq);
}

/* A server under load: numbers come and go in every order. */
static void close_churn(void)
{
    enum { N = 24, ROUNDS = 3000 };
    int kq = queue(), fd[N][2], i, round;
    unsigned random = 12345;

    memset(fd, -1, sizeof fd);
    for (round = 1; round <= ROUNDS; round++) {
        random = random * 1103515245u + 12345u;
        i = (int)(random >> 16) % N;
        snprintf(context, sizeof context, "round %d", round);
        if (fd[i][0] == -1) {
            unix_pair(fd[i]);
            CHANGE_UDATA(kq, fd[i][0], EVFILT_READ,
                         EV_ADD | (random & 256 ? EV_CLEAR : 0), 0, 0, round);
            CHANGE(kq, fd[i][0], EVFILT_WRITE, EV_ADD | EV_DISABLE, 0, 0);
            put(fd[i][1], 2);
            CHECK(EXPECT_EVENT(kq, fd[i][0], EVFILT_READ, 0, 2).udata ==
                  UDATA(round));
            take(fd[i][0], 2);
        } else {
            SYS(close(fd[i][0]));
            SYS(close(fd[i][1]));
            fd[i][0] = -1;
        }
        EXPECT_SILENCE(kq);
    }
}

/* ---- thread_: several threads, one queue ------------------------------- */

struct waiter {
    pthread_t thread;
    int kq, result;
    struct kevent ev;
};

static void *wait_once(void *argument)
{
    struct waiter *w = argument;

    w->result = collect(w->kq, &w->ev, 1, LIMIT_MS * MS);
    return NULL;
}

static void start_thread(pthread_t *thread, void *(*function)(void *),
                         void *argument)
{
    CHECK_EQUAL(pthread_create(thread, NULL, function, argument), 0);
}

static void start_waiter(struct waiter *w, int kq)
{
    memset(w, 0, sizeof *w);
    w->kq = kq;
    start_thread(&w->thread, wait_once, w);
    nap(20 * MS); /* most likely it waits by now; either way must do */
}

static void finish_waiter(const char *file, int line, struct waiter *w,
                          uintptr_t ident, filter_t filter)
{
    char text[200];

    check_equal(file, line, "pthread_join", pthread_join(w->thread, NULL), 0);
    check_equal(file, line, "events of the waiting thread", w->result, 1);
    if (w->ev.ident != ident || w->ev.filter != filter)
        fail(file, line, "the waiting thread got %s", describe(text, &w->ev));
}

#define FINISH(w, ident, filter) \
    finish_waiter(HERE, w, (uintptr_t)(ident), (filter_t)(filter))

static void thread_trigger_wakes(void)
{
    struct waiter w;
    int kq = queue();

    need_user();
    CHANGE(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0);
    start_waiter(&w, kq);
    TRIGGER(kq, 1);
    FINISH(&w, 1, EVFILT_USER);
    EXPECT_SILENCE(kq);
}

/* The first USER event and the first timer of a queue that is waited for. */
static void thread_add_user_wakes(void)
{
    struct waiter w;
    int kq = queue();

    need_user();
    start_waiter(&w, kq);
    CHANGE(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0);
    TRIGGER(kq, 1);
    FINISH(&w, 1, EVFILT_USER);
    EXPECT_SILENCE(kq);
}

static void thread_add_timer_wakes(void)
{
    struct waiter w;
    int kq = queue();

    start_waiter(&w, kq);
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 20);
    FINISH(&w, 1, EVFILT_TIMER);
    CHANGE(kq, 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 3600000);
    start_waiter(&w, kq);
    CHANGE(kq, 3, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 20); /* sooner */
    FINISH(&w, 3, EVFILT_TIMER);
    EXPECT_SILENCE(kq);
}

static void thread_add_ready_wakes(void)
{
    struct waiter w;
    int kq = queue(), fd[2], file = regular_file(10);

    unix_pair(fd);
    put(fd[1], 1);
    start_waiter(&w, kq);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    FINISH(&w, fd[0], EVFILT_READ);
    EXPECT_SILENCE(kq);
    start_waiter(&w, kq);
    CHANGE(kq, file, EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0);
    FINISH(&w, file, EVFILT_READ);
    EXPECT_SILENCE(kq);
}

static void thread_enable_wakes(void)
{
    struct waiter w;
    int kq = queue(), fd[2];

    unix_pair(fd);
    put(fd[1], 1);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_DISABLE, 0, 0);
    start_waiter(&w, kq);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ENABLE, 0, 0);
    FINISH(&w, fd[0], EVFILT_READ);
}

static void thread_data_wakes(void)
{
    struct waiter w;
    int kq = queue(), fd[2];

    tcp_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    start_waiter(&w, kq);
    put(fd[1], 5);
    FINISH(&w, fd[0], EVFILT_READ);
    CHECK_EQUAL(w.ev.data, 5);
    EXPECT_SILENCE(kq);
}

static void thread_signal_wakes(void)
{
    struct waiter w;
    int kq = queue();

    handle(SIGUSR1, SIG_IGN);
    CHANGE(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    start_waiter(&w, kq);
    SYS(kill(getpid(), SIGUSR1));
    FINISH(&w, SIGUSR1, EVFILT_SIGNAL);
    EXPECT_SILENCE(kq);
}

/* What is closed or deleted while another thread waits says nothing more. */
static void thread_close_while_waiting(void)
{
    struct waiter w;
    int kq = queue(), a[2], b[2], next[2];

    unix_pair(a);
    unix_pair(b);
    CHANGE(kq, a[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, b[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, 9, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 3600000);
    start_waiter(&w, kq);
    SYS(close(a[0]));
    CHANGE(kq, b[0], EVFILT_READ, EV_DELETE, 0, 0);
    put(b[1], 1);
    unix_pair(next);
    CHECK_EQUAL(next[0], a[0]);
    put(next[1], 1);
    CHANGE(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 20);
    FINISH(&w, 1, EVFILT_TIMER);
    EXPECT_SILENCE(kq);
}

/* ThreadSanitizer holds it against a program that one thread closes a number
   while another may use it. kqueue allows that; these tests are about it. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_THREAD__) || defined(THREAD_SANITIZER)
const char *__tsan_default_suppressions(void);

const char *__tsan_default_suppressions(void)
{
    return "race:interceptor_close$\nrace:^close$\n"
           "race:interceptor_socketpair$\nrace:^socketpair$\n";
}
#endif

/* Workers that take events until the number STOP comes, a level-triggered
   USER event which each of them sees. */
enum { WORKERS = 4, STOP = 1000000, JOBS = 400 };

static struct {
    pthread_mutex_t lock;
    int kq, done, clash;
    int times[JOBS], busy[JOBS], fd[JOBS][2];
} pool = {PTHREAD_MUTEX_INITIALIZER, -1, 0, 0, {0}, {0}, {{0}}};

static int pool_done(void)
{
    int done;

    pthread_mutex_lock(&pool.lock);
    done = pool.done;
    pthread_mutex_unlock(&pool.lock);
    return done;
}

static void *count_events(void *argument)
{
    struct kevent ev[4];
    int n, i;

    (void)argument;
    for (;;) {
        n = collect(pool.kq, ev, 4, LIMIT_MS * MS);
        if (n <= 0)
            return NULL;
        pthread_mutex_lock(&pool.lock);
        for (i = 0; i < n; i++)
            if (ev[i].ident != STOP) {
                pool.times[(intptr_t)ev[i].udata]++;
                pool.done++;
            }
        pthread_mutex_unlock(&pool.lock);
        for (i = 0; i < n; i++)
            if (ev[i].ident == STOP)
                return NULL;
    }
}

static void run_pool(void *(*work)(void *), void (*feed)(void), int jobs)
{
    pthread_t workers[WORKERS];
    int64_t end = now() + LIMIT_MS * MS;
    int i;

    pool.kq = queue();
    CHANGE(pool.kq, STOP, EVFILT_USER, EV_ADD, 0, 0);
    for (i = 0; i < WORKERS; i++)
        start_thread(&workers[i], work, NULL);
    feed();
    while (pool_done() < jobs && now() < end)
        nap(MS);
    TRIGGER(pool.kq, STOP);
    for (i = 0; i < WORKERS; i++)
        CHECK_EQUAL(pthread_join(workers[i], NULL), 0);
    CHANGE(pool.kq, STOP, EVFILT_USER, EV_DELETE, 0, 0);
    CHECK_EQUAL(pool.done, jobs);
    CHECK_EQUAL(pool.clash, 0);
    EXPECT_SILENCE(pool.kq);
}

static void feed_oneshots(void)
{
    int i;

    for (i = 0; i < JOBS; i++) {
        CHANGE_UDATA(pool.kq, i, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, i);
        CHANGE_UDATA(pool.kq, i, EVFILT_USER, 0, NOTE_TRIGGER, 0, i);
    }
}

static void thread_oneshot_once(void)
{
    int i;

    need_user();
    run_pool(count_events, feed_oneshots, JOBS);
    for (i = 0; i < JOBS; i++)
        CHECK_EQUAL(pool.times[i], 1);
}

static void feed_edges(void)
{
    int i;

    for (i = 0; i < 60; i++) {
        unix_pair(pool.fd[i]);
        CHANGE_UDATA(pool.kq, pool.fd[i][0], EVFILT_READ,
                     EV_ADD | (i % 2 ? EV_CLEAR : EV_ONESHOT), 0, 0, i);
        put(pool.fd[i][1], 1);
    }
    for (i = 60; i < 100; i++)
        CHANGE_UDATA(pool.kq, i, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, i / 10,
                     i);
}

/* An edge is given to one thread. */
static void thread_edge_once(void)
{
    int i;

    need_user();
    run_pool(count_events, feed_edges, 100);
    for (i = 0; i < 100; i++)
        CHECK_EQUAL(pool.times[i], 1);
}

enum { SOCKETS = 8, MESSAGES = 50 };

/* With EV_DISPATCH a socket is one thread's until it enables it again. */
static void serve_one(const struct kevent *ev)
{
    int i = (int)(intptr_t)ev->udata;

    pthread_mutex_lock(&pool.lock);
    pool.clash += pool.busy[i]++;
    pthread_mutex_unlock(&pool.lock);
    take((int)ev->ident, 1);
    pthread_mutex_lock(&pool.lock);
    pool.busy[i]--;
    pool.done++;
    pthread_mutex_unlock(&pool.lock);
    CHANGE_UDATA(pool.kq, ev->ident, EVFILT_READ, EV_ENABLE, 0, 0, i);
}

static void *serve(void *argument)
{
    struct kevent ev;

    (void)argument;
    while (collect(pool.kq, &ev, 1, LIMIT_MS * MS) == 1 && ev.ident != STOP)
        serve_one(&ev);
    return NULL;
}

static void feed_sockets(void)
{
    int i, j;

    for (i = 0; i < SOCKETS; i++) {
        unix_pair(pool.fd[i]);
        CHANGE_UDATA(pool.kq, pool.fd[i][0], EVFILT_READ, EV_ADD | EV_DISPATCH,
                     0, 0, i);
    }
    for (j = 0; j < MESSAGES; j++)
        for (i = 0; i < SOCKETS; i++)
            put(pool.fd[i][1], 1);
}

static void thread_dispatch(void)
{
    need_user();
    run_pool(serve, feed_sockets, SOCKETS * MESSAGES);
}

/* Add, close, reuse, time and trigger in one queue, from all sides. */
static void *churn_sockets(void *argument)
{
    int i, fd[2];

    (void)argument;
    for (i = 0; i < 400; i++) {
        unix_pair(fd);
        CHANGE_UDATA(pool.kq, fd[0], EVFILT_READ,
                     EV_ADD | (i % 3 ? EV_CLEAR : EV_ONESHOT), 0, 0, 1);
        CHANGE_UDATA(pool.kq, fd[0], EVFILT_WRITE, EV_ADD | EV_DISABLE, 0, 0,
                     1);
        put(fd[1], 1);
        SYS(close(fd[1]));
        SYS(close(fd[0]));
    }
    return NULL;
}

static void *churn_numbers(void *argument)
{
    int i;

    (void)argument;
    for (i = 0; i < 400; i++) {
        CHANGE_UDATA(pool.kq, i, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 2);
        CHANGE_UDATA(pool.kq, i, EVFILT_USER, 0, NOTE_TRIGGER, 0, 2);
        CHANGE_UDATA(pool.kq, i, EVFILT_TIMER, EV_ADD, 0, 1, 3);
        if (i % 4 != 0)
            CHANGE(pool.kq, i, EVFILT_USER, EV_DELETE, 0, 0);
        CHANGE(pool.kq, i, EVFILT_TIMER, EV_DELETE, 0, 0);
    }
    return NULL;
}

static void feed_churn(void)
{
    pthread_t threads[3];
    int i;

    start_thread(&threads[0], churn_sockets, NULL);
    start_thread(&threads[1], churn_sockets, NULL);
    start_thread(&threads[2], churn_numbers, NULL);
    for (i = 0; i < 3; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    pthread_mutex_lock(&pool.lock);
    pool.done = 1; /* how many events there were is chance */
    pthread_mutex_unlock(&pool.lock);
}

static void *swallow(void *argument)
{
    struct kevent ev[4];
    int n, i;

    (void)argument;
    while ((n = collect(pool.kq, ev, 4, LIMIT_MS * MS)) > 0)
        for (i = 0; i < n; i++) {
            if (ev[i].ident == STOP)
                return NULL;
            CHECK((intptr_t)ev[i].udata >= 1 && (intptr_t)ev[i].udata <= 3);
        }
    return NULL;
}

static void swallow_rest(void)
{
    struct kevent ev;

    feed_churn();
    /* The last triggers, before the silence at the end. */
    while (collect(pool.kq, &ev, 1, 20 * MS) == 1)
        continue;
}

static void thread_churn(void)
{
    need_user();
    run_pool(swallow, swallow_rest, 1);
}

/* Threads with queues of their own do not meet. */
static void *own_queue(void *argument)
{
    int i;

    for (i = 0; i < 50; i++) {
        int kq = queue(), fd[2];

        unix_pair(fd);
        CHANGE_UDATA(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0, i);
        CHANGE(kq, i, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1);
        EXPECT_EVENT(kq, i, EVFILT_TIMER, 0, 1);
        put(fd[1], 1);
        CHECK(EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1).udata == UDATA(i));
        SYS(close(fd[0]));
        SYS(close(fd[1]));
        EXPECT_SILENCE(kq);
        SYS(close(kq));
    }
    return argument;
}

static void thread_queue_each(void)
{
    pthread_t threads[WORKERS];
    int i;

    for (i = 0; i < WORKERS; i++)
        start_thread(&threads[i], own_queue, NULL);
    for (i = 0; i < WORKERS; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
}

/* ---- All tests --------------------------------------------------------- */

/* ---- What the layer in modules has mended, beside tests of its own ------ */

/* As close_with_a_child(), but the number is another file's, with bytes, which
   has not been added. */
static void close_with_a_child_reused(void)
{
    int kq = queue(), a[2], b[2], i;
    pid_t child[2];

    for (i = 0; i < 2; i++) {
        unix_pair(a);
        CHANGE_UDATA(kq, a[0], EVFILT_READ, EV_ADD | (i ? EV_CLEAR : 0), 0, 0,
                     1);
        put(a[1], 1);
        EXPECT_EVENT(kq, a[0], EVFILT_READ, 0, 1); /* looked at just now */
        child[i] = start_child();
        if (child[i] == 0)
            for (;;)
                pause();
        SYS(close(a[0]));
        unix_pair(b);
        CHECK_EQUAL(b[0], a[0]);
        put(b[1], 2);
        put(a[1], 1);
        EXPECT_SILENCE(kq);
        EXPECT_IDLE(kq);
        CHANGE(kq, b[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0);
        EXPECT_EVENT(kq, b[0], EVFILT_READ, 0, 2);
        EXPECT_SILENCE(kq);
    }
    stop_child(child[0]);
    stop_child(child[1]);
}

/* As read_listener_clear(): one accept() an event must do. */
static void read_unix_listener_clear(void)
{
    struct sockaddr_un address;
    int kq = queue(), fd = SYS(socket(AF_UNIX, SOCK_STREAM, 0)), i;

    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    snprintf(address.sun_path, sizeof address.sun_path,
             "/tmp/kqueue_test.%jd.socket", (intmax_t)getpid());
    SYS(bind(fd, (struct sockaddr *)&address, sizeof address));
    SYS(listen(fd, 8));
    CHANGE(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    EXPECT_SILENCE(kq);
    for (i = 0; i < 3; i++)
        SYS(connect(SYS(socket(AF_UNIX, SOCK_STREAM, 0)),
                    (struct sockaddr *)&address, sizeof address));
    SYS(unlink(address.sun_path));
    for (i = 0; i < 3; i++) {
        AWAIT_EVENT(kq, fd, EVFILT_READ, 0, SOME);
        SYS(accept(fd, NULL, NULL));
    }
    EXPECT_SILENCE(kq);
}

static sigjmp_buf out_of_handler;

static void leave_by_jump(int number)
{
    (void)number;
    siglongjmp(out_of_handler, 1);
}

/* A handler may leave a kevent() that waits; the queue goes on. */
static void wait_left_by_siglongjmp(void)
{
    struct kevent ev;
    int kq = queue(), fd[2];
    pid_t child;

    unix_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    handle(SIGUSR1, leave_by_jump);
    child = start_signaller(SIGUSR1, false);
    if (sigsetjmp(out_of_handler, 1) == 0) {
        collect(kq, &ev, 1, LIMIT_MS * MS);
        CHECK(!"a signal has ended the wait");
    }
    SYS(waitpid(child, NULL, 0));
    put(fd[1], 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    CHANGE(kq, fd[0], EVFILT_READ, EV_DELETE, 0, 0);
    EXPECT_SILENCE(kq);
}

/* One call fills the list with what there is, of all filters. */
static void wait_fills_the_list_with_all(void)
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
    pass(now() + 30 * MS);
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

/* Files that wait to be returned cost a call nothing, nor a timer's end. */
static void wait_beside_files(void)
{
    enum { FILES = 150, TIMES = 2000 };
    int64_t cost[2], cpu = 0;
    struct kevent ev;
    int kq = queue(), fd[2], file = regular_file(10), i, turn;

    few_descriptors();
    unix_pair(fd);
    put(fd[1], 1);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    for (turn = 0; turn < 2; turn++) {
        cost[turn] = INT64_MAX;
        for (i = 0; i < 5 * TIMES; i++) {
            if (i % TIMES == 0)
                cpu = cpu_ns();
            CHANGE(kq, 1, EVFILT_TIMER, EV_ADD, 0, 60000);
            CHANGE(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0);
            CHECK_EQUAL(collect(kq, &ev, 1, 0), 1);
            if (i % TIMES == TIMES - 1 && cpu_ns() - cpu < cost[turn])
                cost[turn] = cpu_ns() - cpu;
        }
        for (i = 0; i < FILES && turn == 0; i++)
            CHANGE(kq, SYS(dup(file)), EVFILT_READ, EV_ADD, 0, 0);
    }
    note("# %jd us beside none, %jd us beside %d files\n",
         (intmax_t)cost[0] / 1000, (intmax_t)cost[1] / 1000, FILES);
    CHECK(cost[1] < 4 * cost[0]);
}

static const struct test {
    const char *name;
    void (*run)(void);
} tests[] = {
#define TEST(name)  \
    {               \
#name, name \
    }
    TEST(wait_empty_queue),
    TEST(wait_never_early),
    TEST(wait_without_room),
    TEST(wait_forever),
    TEST(wait_long_timeout),
    TEST(wait_endless_timeout),
    TEST(wait_bad_timeout),
    TEST(wait_negative_room),
    TEST(wait_bad_queue),
    TEST(wait_interrupted),
    TEST(wait_interrupted_applies),
    TEST(wait_submits_and_collects),
    TEST(wait_lists_each_once),
    TEST(wait_short_list_of_edges),
    TEST(wait_short_list_keeps_edges),
    TEST(wait_round_robin),
    TEST(wait_round_robin_mixed),
    TEST(wait_one_slot_both_level),
    TEST(wait_one_slot_both_clear),
    TEST(wait_one_slot_both_oneshot),
    TEST(wait_one_slot_both_dispatch),
    TEST(wait_drained_is_not_reported),
    TEST(wait_flags_are_stripped),
    TEST(wait_idle_with_disabled_knotes),
    TEST(wait_idle_after_delivery),
    TEST(wait_cost_is_flat),
    TEST(change_cost_is_flat),
    TEST(change_unknown_filter),
    TEST(change_filter_zero_is_skipped),
    TEST(change_vnode_and_proc_refused),
    TEST(change_bad_descriptor),
    TEST(change_absent),
    TEST(change_error_entry),
    TEST(change_error_does_not_wait),
    TEST(change_error_without_room),
    TEST(change_error_room_runs_out),
    TEST(change_error_hides_events),
    TEST(change_receipt),
    TEST(change_receipt_is_not_kept),
    TEST(change_receipt_without_room),
    TEST(change_same_array),
    TEST(change_same_array_events),
    TEST(change_many),
    TEST(change_are_made_in_order),
    TEST(change_delete),
    TEST(change_delete_pending),
    TEST(change_readd_replaces_udata),
    TEST(change_readd_replaces_udata_of_pending),
    TEST(change_readd_keeps_place),
    TEST(change_readd_keeps_kind),
    TEST(change_delete_and_add_changes_kind),
    TEST(change_readd_does_not_enable),
    TEST(change_enable_replaces_udata),
    TEST(change_enable_and_disable),
    TEST(change_enable_twice),
    TEST(change_add_disabled),
    TEST(change_disable_pending),
    TEST(change_disable_clear),
    TEST(change_enable_asks_again),
    TEST(change_disable_one_filter),
    TEST(change_delete_disabled),
    TEST(change_oneshot),
    TEST(change_oneshot_one_filter),
    TEST(change_clear),
    TEST(change_clear_sees_what_is_there),
    TEST(change_dispatch),
    TEST(change_two_queues),
    TEST(change_idents_are_per_filter),
    TEST(change_keepudata),
    TEST(read_tcp),
    TEST(read_unix),
    TEST(read_pipe),
    TEST(read_tty),
    TEST(read_fifo),
    TEST(read_datagrams),
    TEST(read_udp_error),
    TEST(read_tcp_eof),
    TEST(read_unix_eof),
    TEST(read_pipe_eof),
    TEST(read_tty_hangup),
    TEST(read_eof_without_data),
    TEST(read_eof_clear),
    TEST(read_half_close),
    TEST(read_own_shutdown),
    TEST(read_reset),
    TEST(read_reset_socket_error),
    TEST(read_reset_after_data),
    TEST(read_lowat),
    TEST(read_lowat_unix),
    TEST(read_lowat_clear),
    TEST(read_lowat_is_per_knote),
    TEST(read_lowat_costs_no_cpu),
    TEST(read_socket_lowat),
    TEST(read_listener_counts),
    TEST(read_listener_clear),
    TEST(read_listener_ignores_lowat),
    TEST(read_unix_listener),
    TEST(read_unconnected),
    TEST(read_unconnected_then_listening),
    TEST(read_regular_file),
    TEST(read_growing_file),
    TEST(read_file_and_socket),
    TEST(read_dev_null),
    TEST(read_level_beside_write_clear),
    TEST(read_clear_beside_write_level),
    TEST(write_tcp),
    TEST(write_unix),
    TEST(write_pipe),
    TEST(write_tty),
    TEST(write_regular_file),
    TEST(write_data_is_the_room),
    TEST(write_clear),
    TEST(write_clear_tcp),
    TEST(write_on_and_off),
    TEST(write_lowat),
    TEST(write_no_eof_at_fin),
    TEST(write_eof_after_reset),
    TEST(write_own_shutdown),
    TEST(write_unix_peer_gone),
    TEST(write_pipe_reader_gone),
    TEST(write_refused_connect),
    TEST(write_connect),
    TEST(write_unconnected),
    TEST(write_unconnected_then_connected),
    TEST(write_listener),
    TEST(timer_oneshot),
    TEST(timer_periodic),
    TEST(timer_counts),
    TEST(timer_does_not_drift),
    TEST(timer_never_early),
    TEST(timer_order),
    TEST(timer_units),
    TEST(timer_below_a_millisecond),
    TEST(timer_absolute),
    TEST(timer_absolute_units),
    TEST(timer_absolute_is_level),
    TEST(timer_zero),
    TEST(timer_zero_is_one_unit),
    TEST(timer_negative),
    TEST(timer_negative_readd),
    TEST(timer_huge),
    TEST(timer_readd_restarts),
    TEST(timer_readd_sooner),
    TEST(timer_delete_and_add),
    TEST(timer_oneshot_then_periodic),
    TEST(timer_disabled_counts),
    TEST(timer_oneshot_expires_disabled),
    TEST(timer_disable_keeps_the_period),
    TEST(timer_disabled_costs_no_cpu),
    TEST(timer_idents_are_any_number),
    TEST(timer_is_private_to_its_queue),
    TEST(timer_ten_thousand),
    TEST(timer_takes_no_descriptors),
    TEST(timer_short_list_without_descriptors),
    TEST(signal_ignored),
    TEST(signal_at_once),
    TEST(signal_counts),
    TEST(signal_handler_runs),
    TEST(signal_handler_set_later),
    TEST(signal_default_action),
    TEST(signal_of_a_child),
    TEST(signal_child_ignored),
    TEST(signal_before_add),
    TEST(signal_blocked),
    TEST(signal_one_slot),
    TEST(signal_delete),
    TEST(signal_two_queues),
    TEST(signal_ends_a_wait_ignored),
    TEST(signal_ends_a_wait_handled),
    TEST(signal_mask_is_kept),
    TEST(signal_mask_after_close),
    TEST(signal_default_after_close),
    TEST(signal_mask_of_a_new_program),
    TEST(signal_action_is_kept),
    TEST(user_trigger),
    TEST(user_level),
    TEST(user_clear_resets),
    TEST(user_triggers_merge),
    TEST(user_trigger_in_add),
    TEST(user_trigger_with_enable),
    TEST(user_fflags),
    TEST(user_fflags_without_trigger),
    TEST(user_data),
    TEST(user_absent),
    TEST(user_trigger_in_the_call),
    TEST(user_many),
    TEST(user_is_private_to_its_queue),
    TEST(user_costs_no_cpu),
    TEST(queue_poll),
    TEST(queue_poll_level),
    TEST(queue_poll_disabled),
    TEST(queue_poll_regular_file),
    TEST(queue_poll_after_short_list),
    TEST(queue_poll_wakes),
    TEST(queue_nested),
    TEST(queue_nested_twice),
    TEST(queue_nested_closed),
    TEST(queue_in_itself),
    TEST(queue_takes_no_bytes),
    TEST(queue_takes_one_descriptor),
    TEST(queue_leaves_nothing),
    TEST(queue_starts_no_thread),
    TEST(queue_number_reused),
    TEST(queue_number_becomes_a_socket),
    TEST(queue_close_leaves_the_rest),
    TEST(queue_not_inherited),
    TEST(queue_of_a_child),
    TEST(queue_dup),
    TEST(close_clients_in_turn),
    TEST(close_clients_in_turn_clear),
    TEST(close_drops_the_knotes),
    TEST(close_reuse),
    TEST(close_reuse_for_a_pipe),
    TEST(close_reuse_with_dup),
    TEST(close_reuse_for_a_pipe_with_dup),
    TEST(close_reuse_without_add),
    TEST(close_reuse_one_of_two),
    TEST(close_reuse_for_a_file),
    TEST(close_by_dup2),
    TEST(close_leaves_a_dup),
    TEST(close_of_a_dup),
    TEST(close_with_a_dup_costs_no_cpu),
    TEST(close_with_a_child),
    TEST(close_in_two_queues),
    TEST(close_within_a_batch),
    TEST(close_leaves_other_filters),
    TEST(close_churn),
    TEST(thread_trigger_wakes),
    TEST(thread_add_user_wakes),
    TEST(thread_add_timer_wakes),
    TEST(thread_add_ready_wakes),
    TEST(thread_enable_wakes),
    TEST(thread_data_wakes),
    TEST(thread_signal_wakes),
    TEST(thread_close_while_waiting),
    TEST(thread_oneshot_once),
    TEST(thread_edge_once),
    TEST(thread_dispatch),
    TEST(thread_churn),
    TEST(thread_queue_each),
    TEST(close_with_a_child_reused),
    TEST(read_unix_listener_clear),
    TEST(wait_left_by_siglongjmp),
    TEST(wait_fills_the_list_with_all),
    TEST(wait_beside_files),
#undef TEST
};

enum { TESTS = sizeof tests / sizeof tests[0] };

/* One test, in a process of its own. */
static bool run_test(int number, const struct test *test)
{
    int status = 0;
    pid_t child;

    memset(report, 0, REPORT_SIZE);
    fflush(stdout);
    child = fork();
    if (child == -1) {
        printf("not ok %d - %s\n# fork: %s\n", number, test->name,
               strerror(errno));
        return false;
    }
    if (child == 0) {
        alarm(TEST_LIMIT);
        signal(SIGPIPE, SIG_IGN);
        test->run();
        exit(PASSED);
    }
    while (waitpid(child, &status, 0) == -1 && errno == EINTR)
        continue;
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) {
        printf("ok %d - %s # SKIP %s\n", number, test->name, report);
        return true;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == PASSED) {
        printf("ok %d - %s\n%s", number, test->name, report);
        return true;
    }
    printf("not ok %d - %s\n%s", number, test->name, report);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        printf("# still running after %d seconds\n", TEST_LIMIT);
    else if (WIFSIGNALED(status))
        printf("# ended by signal %d\n", WTERMSIG(status));
    else if (WEXITSTATUS(status) != FAILED)
        printf("# exit status %d\n", WEXITSTATUS(status));
    return false;
}

static bool selects(const char *name, const struct test *test)
{
    size_t length = strlen(name);

    if (length > 0 && name[length - 1] == '_')
        return strncmp(name, test->name, length) == 0;
    return strcmp(name, test->name) == 0;
}

static bool selected(char *const names[], const struct test *test)
{
    int i;

    for (i = 0; names[i] != NULL; i++)
        if (selects(names[i], test))
            return true;
    return names[0] == NULL;
}

static void usage(char *const names[])
{
    int i, j;

    for (i = 0; names[i] != NULL; i++) {
        for (j = 0; j < TESTS && !selects(names[i], &tests[j]); j++)
            continue;
        if (j == TESTS) {
            fprintf(stderr,
                    "kqueue_test: no test is called %s\n"
                    "usage: kqueue_test [-l | NAME...]\n",
                    names[i]);
            exit(2);
        }
    }
}

int main(int argc, char *argv[])
{
    int count = 0, number = 0, failures = 0, i;

    if (argc == 2 && strcmp(argv[1], "-l") == 0) {
        for (i = 0; i < TESTS; i++)
            puts(tests[i].name);
        return 0;
    }
    usage(argv + 1);
    report = mmap(NULL, REPORT_SIZE, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANON, -1, 0);
    if (report == MAP_FAILED) {
        perror("kqueue_test: mmap");
        return 2;
    }
    for (i = 0; i < TESTS; i++)
        count += selected(argv + 1, &tests[i]);
    printf("1..%d\n", count);
    for (i = 0; i < TESTS; i++)
        if (selected(argv + 1, &tests[i]))
            failures += !run_test(++number, &tests[i]);
    return failures > 0;
}
