/*
 * faults: a library for LD_PRELOAD that lets one system call of a program
 * fail. The call is not made then, only errno is set.
 *
 *     FAULT_CALL=recv     which function
 *     FAULT_N=3           which call of it, counted in this process from 1
 *     FAULT_ERRNO=104     with which error; 0: not an error, but this send() or
 *                         recv() and the next two take one byte
 *     FAULT_MOST=12000    no send() takes more, so that some must be repeated
 *     FAULT_REPORT=file   is made to hold struct report (see below)
 *     FAULT_WHILE=file    all calls from the n-th on fail while the file exists
 *
 *     LD_PRELOAD=build/fault-injector.so FAULT_CALL=recv ... ./step3
 *
 * What happens before main(), when the loader prepares the program, is not
 * counted. malloc() of the C library's own functions, of printf() say, is.
 *
 * <sys/socket.h> and others are left out on purpose: glibc declares some of
 * these functions with transparent unions, which no definition here can match.
 */
#define _GNU_SOURCE

#include <sys/mman.h>
#include <sys/select.h>
#include <sys/types.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL = 2 }; /* <sys/epoll.h> */

struct report {
    uint32_t calls;    /* of the function that is to fail */
    uint32_t injected; /* how many of them failed */
};

static struct report nowhere, *report = &nowhere;
static const char *victim, *condition;
static uint32_t number, again;
static size_t most = SIZE_MAX;
static int error;

/* dlsym() may want memory before it has found calloc(). */
static char early[4096] __attribute__((aligned(16)));
static size_t early_used;

static void find(const char *name, void *function)
{
    void *found = dlsym(RTLD_NEXT, name);

    memcpy(function, &found, sizeof found);
    if (found == NULL)
        abort();
}

/* Is this the call that has to fail? */
static bool due(const char *name)
{
    uint32_t call;

    if (victim == NULL || strcmp(name, victim) != 0)
        return false;
    call = __atomic_add_fetch(&report->calls, 1, __ATOMIC_SEQ_CST);
    if (condition != NULL ? call < number || access(condition, F_OK) != 0
                          : call < number || call > number + again)
        return false;
    __atomic_add_fetch(&report->injected, 1, __ATOMIC_SEQ_CST);
    errno = error;
    return true;
}

#define FUNCTION(type, name, parameters, arguments) \
    type name parameters;                           \
    type name parameters                            \
    {                                               \
        static type(*real) parameters;              \
        if (real == NULL)                           \
            find(#name, &real);                     \
        if (due(#name))                             \
            return (type)-1;                        \
        return real arguments;                      \
    }

FUNCTION(int, accept, (int fd, void *address, void *length),
         (fd, address, length))
FUNCTION(int, socket, (int domain, int kind, int protocol),
         (domain, kind, protocol))
FUNCTION(int, bind, (int fd, const void *address, unsigned length),
         (fd, address, length))
FUNCTION(int, listen, (int fd, int backlog), (fd, backlog))
FUNCTION(int, getsockname, (int fd, void *address, void *length),
         (fd, address, length))
FUNCTION(int, setsockopt,
         (int fd, int level, int option, const void *value, unsigned length),
         (fd, level, option, value, length))
FUNCTION(int, shutdown, (int fd, int how), (fd, how))
FUNCTION(int, select,
         (int n, fd_set *in, fd_set *out, fd_set *bad, struct timeval *t),
         (n, in, out, bad, t))
FUNCTION(int, epoll_create1, (int flags), (flags))
FUNCTION(int, epoll_wait, (int set, void *events, int n, int milliseconds),
         (set, events, n, milliseconds))
FUNCTION(int, timerfd_create, (int clock, int flags), (clock, flags))
FUNCTION(int, timerfd_settime,
         (int fd, int flags, const struct itimerspec *new,
          struct itimerspec *old),
         (fd, flags, new, old))
FUNCTION(int, eventfd, (unsigned start, int flags), (start, flags))

/*
 * Adding what is there already fails before any memory is needed, so only an
 * ADD that succeeds may fail instead. ENOSPC comes from nothing but an ADD.
 */
int epoll_ctl(int set, int what, int fd, void *event);
int epoll_ctl(int set, int what, int fd, void *event)
{
    static int (*real)(int, int, int, void *);

    if (real == NULL)
        find("epoll_ctl", &real);
    if (what != EPOLL_CTL_ADD)
        return error != ENOSPC && due("epoll_ctl") ? -1
                                                   : real(set, what, fd, event);
    if (real(set, what, fd, event) < 0)
        return -1;
    if (!due("epoll_ctl"))
        return 0;
    real(set, EPOLL_CTL_DEL, fd, event);
    errno = error;
    return -1;
}

/* Error 0: one byte of those asked for. */
ssize_t recv(int fd, void *data, size_t length, int flags);
ssize_t recv(int fd, void *data, size_t length, int flags)
{
    static ssize_t (*real)(int, void *, size_t, int);

    if (real == NULL)
        find("recv", &real);
    if (due("recv")) {
        if (error != 0)
            return -1;
        length = 1;
    }
    return real(fd, data, length, flags);
}

ssize_t send(int fd, const void *data, size_t length, int flags);
ssize_t send(int fd, const void *data, size_t length, int flags)
{
    static ssize_t (*real)(int, const void *, size_t, int);

    if (real == NULL)
        find("send", &real);
    if (due("send")) {
        if (error != 0)
            return -1;
        length = 1;
    }
    return real(fd, data, length < most ? length : most, flags);
}

/*
 * F_GETFD and the like can fail only with EBADF, and then say something: a
 * false one would be a lie. The third argument is an int, a long or a pointer:
 * all fit in a long.
 */
static bool may_fail(int command)
{
    return command == F_SETFL || command == F_DUPFD ||
           command == F_DUPFD_CLOEXEC;
}

#define FCNTL(name)                            \
    int name(int fd, int command, ...)         \
    {                                          \
        static int (*real)(int, int, ...);     \
        long argument;                         \
        va_list list;                          \
        va_start(list, command);               \
        argument = va_arg(list, long);         \
        va_end(list);                          \
        if (real == NULL)                      \
            find(#name, &real);                \
        if (may_fail(command) && due("fcntl")) \
            return -1;                         \
        return real(fd, command, argument);    \
    }

FCNTL(fcntl)
FCNTL(fcntl64)

void *malloc(size_t size)
{
    static void *(*real)(size_t);

    if (real == NULL)
        find("malloc", &real);
    return due("malloc") ? NULL : real(size);
}

void *realloc(void *old, size_t size)
{
    static void *(*real)(void *, size_t);

    if (real == NULL)
        find("realloc", &real);
    return due("realloc") ? NULL : real(old, size);
}

void *calloc(size_t n, size_t size)
{
    static void *(*real)(size_t, size_t);
    static bool finding;

    if (real == NULL && finding) {
        char *room = early + early_used;
        size_t all = (n * size + 15) & ~(size_t)15;
        early_used += all;
        return early_used <= sizeof early ? room : NULL;
    }
    if (real == NULL) {
        finding = true;
        find("calloc", &real);
    }
    return due("calloc") ? NULL : real(n, size);
}

void free(void *old)
{
    static void (*real)(void *);
    uintptr_t at = (uintptr_t)old, start = (uintptr_t)early;

    if (at >= start && at < start + sizeof early)
        return;
    if (real == NULL)
        find("free", &real);
    real(old);
}

static int whole(const char *name)
{
    const char *text = getenv(name);

    return text == NULL ? 0 : atoi(text);
}

static void __attribute__((constructor)) prepare(void)
{
    const char *path = getenv("FAULT_REPORT");

    if (path != NULL) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        void *map = MAP_FAILED;
        if (fd >= 0 && ftruncate(fd, sizeof *report) == 0)
            map = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED,
                       fd, 0);
        if (map == MAP_FAILED)
            abort();
        close(fd);
        report = map;
    }
    condition = getenv("FAULT_WHILE");
    number = (uint32_t)whole("FAULT_N");
    error = whole("FAULT_ERRNO");
    again = error == 0 ? 2 : 0;
    if (whole("FAULT_MOST") > 0)
        most = (size_t)whole("FAULT_MOST");
    victim = getenv("FAULT_CALL"); /* last: from here on calls are counted */
}
