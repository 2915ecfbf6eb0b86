/* Each second poll() is interrupted by a signal: it leaves the array as it was. */
#include <errno.h>
#include <poll.h>

static int poll_fails(struct pollfd *all, nfds_t count, int patience)
{
    static int calls;

    if (calls++ % 2 == 0)
        return poll(all, count, patience);
    errno = EINTR;
    return -1;
}

#define poll(all, count, patience) poll_fails(all, count, patience)
