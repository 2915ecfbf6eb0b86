/*
 * As on macOS, where a client that is gone has no address: the first accept()
 * says that its length is 0, and setsockopt() fails for that client.
 */
#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <stddef.h>

static int accept_gone_client = -1;

static int accept_gone(int listener, struct sockaddr *address,
                       socklen_t *length)
{
    static int calls;

    if (calls++ > 0)
        return accept(listener, address, length);
    if (length != NULL)
        *length = 0;
    return accept_gone_client = accept(listener, NULL, NULL);
}

static int setsockopt_gone(int fd, int level, int option, const void *value,
                           socklen_t length)
{
    if (fd < 0 || fd != accept_gone_client)
        return setsockopt(fd, level, option, value, length);
    accept_gone_client = -1;
    errno = EINVAL;
    return -1;
}

#define accept(listener, address, length) accept_gone(listener, address, length)
#define setsockopt(fd, level, option, value, length) \
    setsockopt_gone(fd, level, option, value, length)
