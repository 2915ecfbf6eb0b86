/* The fifth call fails, as if the queue had been closed. */
#include <sys/types.h>
#include <sys/event.h>
#include <sys/time.h>

#include <errno.h>

static int kevent_fails(int queue, const struct kevent *changes, int count,
                        struct kevent *events, int room,
                        const struct timespec *timeout)
{
    static int calls;

    if (++calls < 5)
        return kevent(queue, changes, count, events, room, timeout);
    errno = EBADF;
    return -1;
}

#define kevent(queue, changes, count, events, room, timeout) \
    kevent_fails(queue, changes, count, events, room, timeout)
