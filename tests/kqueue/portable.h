/*
 * Which system this is, and what differs in its sys/event.h.
 */
#ifndef PORTABLE_H
#define PORTABLE_H

#include <sys/types.h>
#include <sys/event.h>
#include <sys/time.h>

#include <stddef.h>
#include <stdint.h>

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
#define NOTE_FFCTRLMASK 0
#endif

/* NetBSD 10 has a kqueue that differs from those before it. */
#define OLD_NETBSD (SYSTEM == NETBSD && !HAVE_USER)

#endif
