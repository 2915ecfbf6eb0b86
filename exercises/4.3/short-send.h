/*
 * A send() that takes at most 4096 bytes, so that what is longer is kept, on any
 * system and at once. With -DSTOPS_AT=3 the process stops behind the third call.
 */
#include <sys/types.h>
#include <sys/socket.h>
#include <signal.h>

static ssize_t short_send(int fd, const void *data, size_t length, int flags)
{
    ssize_t n = send(fd, data, length > 4096 ? 4096 : length, flags);
#ifdef STOPS_AT
    static int calls;

    if (++calls == STOPS_AT)
        raise(SIGSTOP);
#endif
    return n;
}
#define send(fd, data, length, flags) short_send(fd, data, length, flags)

#ifdef FAILS
#include "../lib/no-memory.h"

static int failing_kevent(int kq, const struct kevent *changes, int n,
                          struct kevent *events, int room,
                          const struct timespec *timeout)
{
    if (n != 1 || changes->filter != EVFILT_WRITE ||
        !(changes->flags & (EV_DELETE | EV_DISABLE)))
        return kevent(kq, changes, n, events, room, timeout);
    return no_memory(changes, events, room);
}
#define kevent(...) failing_kevent(__VA_ARGS__)
#endif
