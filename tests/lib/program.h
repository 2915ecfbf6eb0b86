/*
 * program.h: what the C programs of the tests have in common.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <sys/types.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* No program needs all of them. */
#define SHARED static __attribute__((unused))

/* Says where in a random run it happened, and how to see it again. */
static void (*say_where)(void);

/* Something is not as it must be: says what, and ends with status 1. */
SHARED void __attribute__((noreturn, format(printf, 1, 2)))
bad(const char *format, ...)
{
    va_list list;

    flockfile(stdout);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    printf("\n");
    if (say_where != NULL)
        say_where();
    fflush(stdout);
    _exit(1);
}

SHARED int64_t clock_ns(clockid_t clock)
{
    struct timespec t;

    if (clock_gettime(clock, &t) < 0)
        bad("clock_gettime: %s", strerror(errno));
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Nanoseconds on a clock that is never set: the one that timers go by. */
SHARED int64_t time_ns(void)
{
#ifdef CLOCK_UPTIME_RAW /* macOS: its timers count mach_absolute_time() */
    return clock_ns(CLOCK_UPTIME_RAW);
#else
    return clock_ns(CLOCK_MONOTONIC);
#endif
}

/* Microseconds. */
SHARED int64_t now(void)
{
    return time_ns() / 1000;
}

SHARED void set(int fd, int level, int option, int value)
{
    if (setsockopt(fd, level, option, &value, sizeof value) < 0)
        bad("setsockopt: %s", strerror(errno));
}

/*
 * Before connect(): small buffers at both sides. Linux gives the other side a
 * small send buffer if the segments are small (tcp(7)). FreeBSD, NetBSD and
 * macOS refuse a segment above the default before they are connected: there
 * the buffers are larger, and a test has to send more.
 */
SHARED void make_small(int fd, int receive)
{
    int segment = 1000;

    set(fd, SOL_SOCKET, SO_RCVBUF, receive);
    setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
}

/* Closes it so that the other side sees a reset. */
SHARED void close_by_reset(int fd)
{
    struct linger linger = {1, 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(fd);
}

/* Byte number `at` of what this client sends: no two send the same. */
SHARED char stream(uint32_t client, size_t at)
{
    uint32_t x = ((uint32_t)at + 1) * 2654435761u + client * 40503u;

    return (char)((x ^ x >> 15) >> 8);
}

/* Below this, at random: xorshift64*, of which the upper half is good. */
static uint64_t chance_state = 1;

SHARED void seed_chance(uint64_t seed)
{
    chance_state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

SHARED unsigned chance(unsigned below)
{
    chance_state ^= chance_state >> 12;
    chance_state ^= chance_state << 25;
    chance_state ^= chance_state >> 27;
    return (unsigned)((chance_state * UINT64_C(2685821657736338717)) >> 33) %
           below;
}

#endif
