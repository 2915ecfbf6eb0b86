/* send() says that a message of 777 bytes was 777 bytes and a gibibyte. */
#include <sys/types.h>
#include <sys/socket.h>

static ssize_t big_send(int fd, const void *data, size_t length, int flags)
{
    ssize_t n = send(fd, data, length, flags);

    return n == 777 ? n + (1 << 30) : n;
}
#define send big_send
