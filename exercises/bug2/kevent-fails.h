/*
 * The second subscription fails, or those from FIRST to LAST, counted from 0, as where
 * the kernel has no memory.
 */
#include "../lib/no-memory.h"

#ifndef FIRST
#define FIRST 1
#endif
#ifndef LAST
#define LAST 1
#endif

static int kevent_fails(int queue, const struct kevent *changes, int count,
                        struct kevent *events, int room,
                        const struct timespec *timeout)
{
    static int subscriptions;

    if (count != 1 || changes->filter != EVFILT_READ ||
        (changes->flags & EV_ADD) == 0 || subscriptions++ < FIRST ||
        subscriptions > LAST + 1)
        return kevent(queue, changes, count, events, room, timeout);
    return no_memory(changes, events, room);
}

#define kevent(queue, changes, count, events, room, timeout) \
    kevent_fails(queue, changes, count, events, room, timeout)
