/* How kevent() says that it has no memory for a change: as a receipt, or as -1. */
#include <sys/types.h>
#include <sys/event.h>
#include <sys/time.h>

#include <errno.h>

static int no_memory(const struct kevent *change, struct kevent *events,
                     int room)
{
    if (room < 1) {
        errno = ENOMEM;
        return -1;
    }
    *events = *change;
    events->flags |= EV_ERROR;
    events->data = ENOMEM;
    return 1;
}
