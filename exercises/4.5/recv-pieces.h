/* One recv() brings at most 1000 bytes: much is left in the receive buffer. */
#include <sys/types.h>
#include <sys/socket.h>

static ssize_t recv_piece(int fd, void *to, size_t n, int flags)
{
    return recv(fd, to, n < 1000 ? n : 1000, flags);
}
#undef recv
#define recv(fd, to, n, flags) recv_piece(fd, to, n, flags)
