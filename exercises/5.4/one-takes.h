/* The first client takes at most 1000 bytes each 200 ms, all others nothing. */
#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <time.h>

static ssize_t one_takes(int fd, const void *data, size_t length, int flags)
{
    static double last;
    static int first = -1;
    struct timespec t;
    double time;

    clock_gettime(CLOCK_MONOTONIC, &t);
    time = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
    if (first < 0)
        first = fd;
    if (fd != first || time - last < 0.2) {
        errno = EAGAIN;
        return -1;
    }
    last = time;
    return send(fd, data, length < 1000 ? length : 1000, flags);
}
#define send one_takes
