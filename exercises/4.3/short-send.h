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
