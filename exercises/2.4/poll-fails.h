/*
 * Each second poll() is interrupted by a signal, as soon as it is called: it
 * leaves revents as it was, from the call before.
 */
#include <poll.h>

#include <errno.h>

static int poll_fails(struct pollfd *array, nfds_t count, int patience)
{
    static int calls;

    if (calls++ % 2 != 0)
        return poll(array, count, patience);
    errno = EINTR;
    return -1;
}

#define poll(array, count, patience) poll_fails(array, count, patience)
