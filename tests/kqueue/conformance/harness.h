/*
 * The conformance tests of kqueue(2), through the public API alone: what runs
 * them, and what they say.
 *
 *     TEST(read_something)
 *     {
 *         CHECK_EQUAL(read(fd, bytes, 1), 0);
 *     }
 *
 * is a test: it needs no other mention. Its name begins with a group's, and
 * conformance.bats has the groups. FreeBSD is the reference. Where the systems
 * rightly differ, a test takes what they share, or says on which systems it
 * runs and why (the manual page or the source file that says so).
 *
 * Every test has a process of its own: a crash, a hang or a leaked descriptor
 * ends one test and no other. A test compares the event that came, then
 * asserts silence: kevent() with a timeout of zero has nothing more to say.
 * Time is never a verdict by itself: a test waits for a condition, up to
 * LIMIT_MS; that something came too early is checked strictly, that it came
 * late only by that limit.
 */
#ifndef HARNESS_H
#define HARNESS_H

#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* posix_openpt() and cfmakeraw() with -std=gnu99 */
#endif

#include <sys/types.h>
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

#include "../../lib/program.h"
#include "../portable.h"

/* ---- A test, and what it says ------------------------------------------- */

typedef void test_function(void);

void add_test(const char *name, test_function *run);

/* It adds itself before main() starts: no list can forget it. */
#define TEST(name)                                            \
    static void name(void);                                   \
    __attribute__((constructor)) static void add_##name(void) \
    {                                                         \
        add_test(#name, name);                                \
    }                                                         \
    static void name(void)

#define LIMIT_MS   8000 /* longest wait for something that must come */
#define TEST_LIMIT 20   /* seconds a whole test may take */
#define MS         ((int64_t)1000000)

#define HERE __FILE__, __LINE__

enum { PASSED = 0, FAILED = 1, SKIPPED = 77 };

/* What the test is at, in a test that loops over many cases. */
extern char context[160];

void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void fail(const char *file, int line, const char *format, ...)
    __attribute__((noreturn, format(printf, 3, 4)));
void skip(const char *reason) __attribute__((noreturn));
void only_on(int systems, const char *reason);
void not_on(int systems, const char *reason);
void need_user(void);
void check_equal(const char *file, int line, const char *what, intmax_t got,
                 intmax_t want);
int check_system(const char *file, int line, const char *call, intmax_t result);

#define CHECK(condition)                           \
    do {                                           \
        if (!(condition))                          \
            fail(HERE, "expected %s", #condition); \
    } while (0)
#define CHECK_EQUAL(got, want) \
    check_equal(HERE, #got, (intmax_t)(got), (intmax_t)(want))
#define SYS(call) check_system(HERE, #call, (intmax_t)(call))

/* ---- Time ---------------------------------------------------------------- */

/* Before NetBSD 10 a timer comes up to a tick early. */
#define EARLY (OLD_NETBSD ? 10 * MS : 0)

struct timespec duration(int64_t ns);
void nap(int64_t ns);
void pass(int64_t until);
int64_t cpu_ns(void);

#endif
