/*
 * <sys/event.h> for Linux: the kqueue interface of FreeBSD 12 and later, with
 * the same names, numbers and types, implemented by
 * ../kqueue.c and the files beside it.
 *
 * Source for all that follows: FreeBSD kqueue(2) and its <sys/event.h>.
 */
#ifndef KQUEUE_LINUX_SYS_EVENT_H
#define KQUEUE_LINUX_SYS_EVENT_H
#ifndef __linux__
#include_next <sys/event.h> /* for an editor that has -I linux everywhere */
#else

#include <stdint.h>
#include <sys/types.h>
#include <sched.h> /* struct timespec, even under a strict -std=c99 */

/*
 * Filters: which kind of thing `ident` names, and what there is to report.
 * They are negative, so that 0 is never a filter; kevent() skips a change
 * whose filter is 0.
 */
#define EVFILT_READ      (-1)   /* descriptor: something to read or accept */
#define EVFILT_WRITE     (-2)   /* descriptor: room to write */
#define EVFILT_AIO       (-3)   /* not on Linux: EINVAL */
#define EVFILT_VNODE     (-4)   /* not on Linux: EINVAL */
#define EVFILT_PROC      (-5)   /* not on Linux: EINVAL */
#define EVFILT_SIGNAL    (-6)   /* signal number: it was sent to the process */
#define EVFILT_TIMER     (-7)   /* any number: time has passed */
#define EVFILT_PROCDESC  (-8)   /* not on Linux: EINVAL */
#define EVFILT_FS        (-9)   /* not on Linux: EINVAL */
#define EVFILT_LIO       (-10)  /* not on Linux: EINVAL */
#define EVFILT_USER      (-11)  /* any number: the program triggered it */
#define EVFILT_SENDFILE  (-12)  /* not on Linux: EINVAL */
#define EVFILT_EMPTY     (-13)  /* not on Linux: EINVAL */

/* One change to a subscription, or one event. */
struct kevent {
    uintptr_t ident;      /* descriptor, signal or number of your choice */
    short filter;         /* EVFILT_* */
    unsigned short flags; /* EV_* */
    unsigned int fflags;  /* NOTE_*, depends on the filter */
    int64_t data;         /* a count, depends on the filter */
    void *udata;          /* yours: comes back as it went in */
};

/* Actions: what a change does to the subscription (knote). */
#define EV_ADD           0x0001 /* make it, or modify the one there is */
#define EV_DELETE        0x0002 /* remove it; close() of the descriptor does too */
#define EV_ENABLE        0x0004 /* let kevent() return its events */
#define EV_DISABLE       0x0008 /* keep it, return nothing until EV_ENABLE */

/* Kinds of subscription, fixed by the EV_ADD that makes it. */
#define EV_ONESHOT       0x0010 /* deleted when first returned */
#define EV_CLEAR         0x0020 /* edge-triggered: state is reset once returned */
#define EV_DISPATCH      0x0080 /* disabled when returned */

/* For one change: report success too, as EV_ERROR with data 0. */
#define EV_RECEIPT       0x0040

/* Set by kevent() alone. */
#define EV_SYSFLAGS      0xF000 /* all bits that kevent() keeps for itself */
#define EV_ERROR         0x4000 /* the change failed; data is the errno */
#define EV_EOF           0x8000 /* the other side is gone; data may still be > 0 */

/* EVFILT_READ, EVFILT_WRITE: data is a low-water mark in bytes. */
#define NOTE_LOWAT       0x00000001

/*
 * EVFILT_USER. NOTE_TRIGGER sets the event off; one of the NOTE_FF*
 * operations says how the low 24 bits of fflags meet those stored.
 */
#define NOTE_FFNOP       0x00000000U /* leave the stored bits */
#define NOTE_FFAND       0x40000000U /* stored &= fflags */
#define NOTE_FFOR        0x80000000U /* stored |= fflags */
#define NOTE_FFCOPY      0xc0000000U /* stored  = fflags */
#define NOTE_FFCTRLMASK  0xc0000000U /* mask for the operation */
#define NOTE_FFLAGSMASK  0x00ffffffU /* mask for the stored bits */
#define NOTE_TRIGGER     0x01000000U

/* EVFILT_TIMER: the unit of data; milliseconds when none is given. */
#define NOTE_SECONDS     0x00000001
#define NOTE_MSECONDS    0x00000002
#define NOTE_USECONDS    0x00000004
#define NOTE_NSECONDS    0x00000008
#define NOTE_ABSTIME     0x00000010 /* data is a point of CLOCK_REALTIME */

/* EVFILT_VNODE and EVFILT_PROC, so that programs compile: both are EINVAL. */
#define NOTE_DELETE      0x00000001
#define NOTE_WRITE       0x00000002
#define NOTE_EXTEND      0x00000004
#define NOTE_ATTRIB      0x00000008
#define NOTE_LINK        0x00000010
#define NOTE_RENAME      0x00000020
#define NOTE_REVOKE      0x00000040
#define NOTE_OPEN        0x00000080
#define NOTE_CLOSE       0x00000100
#define NOTE_CLOSE_WRITE 0x00000200
#define NOTE_READ        0x00000400
#define NOTE_EXIT        0x80000000U
#define NOTE_FORK        0x40000000U
#define NOTE_EXEC        0x20000000U
#define NOTE_PCTRLMASK   0xf0000000U
#define NOTE_PDATAMASK   0x000fffffU
#define NOTE_TRACK       0x00000001
#define NOTE_TRACKERR    0x00000002
#define NOTE_CHILD       0x00000004

#ifdef __cplusplus
extern "C" {
#endif

/*
 * EV_SET(kev, ident, filter, flags, fflags, data, udata): fill in *kev. A
 * function behind a macro, so that each argument is evaluated once and no
 * hidden variable can clash with one of yours. Use it as a statement.
 */
static __inline void kqueue_ev_set(struct kevent *kev, uintptr_t ident,
                                   short filter, unsigned short flags,
                                   unsigned int fflags, int64_t data,
                                   void *udata)
{
    kev->ident = ident;
    kev->filter = filter;
    kev->flags = flags;
    kev->fflags = fflags;
    kev->data = data;
    kev->udata = udata;
}

#define EV_SET(kev, ident, filter, flags, fflags, data, udata)     \
    kqueue_ev_set((kev), (uintptr_t)(ident), (short)(filter),      \
                  (unsigned short)(flags), (unsigned int)(fflags), \
                  (int64_t)(data), (udata))

int kqueue(void);
int kevent(int kq, const struct kevent *changelist, int nchanges,
           struct kevent *eventlist, int nevents,
           const struct timespec *timeout);

#ifdef __cplusplus
}
#endif

#endif
#endif
