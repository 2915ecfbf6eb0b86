/* A recv() that is interrupted each other time, and returns three bytes at most. */
#include <sys/types.h>
#include <sys/socket.h>
#include <errno.h>

static ssize_t recv_short(int fd, void *data, size_t size, int flags)
{
    static int calls;

    if (calls++ % 2 == 0) {
        errno = EINTR;
        return -1;
    }
    return recv(fd, data, size > 3 ? 3 : size, flags);
}
#define recv(fd, data, size, flags) recv_short(fd, data, size, flags)
