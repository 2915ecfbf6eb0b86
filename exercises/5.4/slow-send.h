/* A client that takes at most 1000 bytes, and then nothing for 300 ms. */
#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <time.h>

static ssize_t slow_send(int fd, const void *data, size_t length, int flags)
{
    static double last;
    struct timespec t;
    ssize_t n;

    clock_gettime(CLOCK_MONOTONIC, &t);
    if ((double)t.tv_sec + (double)t.tv_nsec / 1e9 - last < 0.3) {
        errno = EAGAIN;
        return -1;
    }
    n = send(fd, data, length < 1000 ? length : 1000, flags);
    if (n > 0)
        last = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
    return n;
}
#define send slow_send
