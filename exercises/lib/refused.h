/* Who is accepted second cannot be subscribed to: the kernel has no memory for it. */
#include <sys/types.h>
#include <sys/socket.h>

#include "no-memory.h"

static int accepted, refused_fd = -1;

static int counting_accept(int listener, struct sockaddr *address,
                           socklen_t *length)
{
    int fd = accept(listener, address, length);

    if (fd >= 0 && ++accepted == 2)
        refused_fd = fd;
    return fd;
}

static int refusing_kevent(int kq, const struct kevent *changes, int n,
                           struct kevent *events, int room,
                           const struct timespec *timeout)
{
    int i = 0;

    while (i < n &&
           ((int)changes[i].ident != refused_fd ||
            changes[i].filter != EVFILT_READ || !(changes[i].flags & EV_ADD)))
        i++;
    if (i == n)
        return kevent(kq, changes, n, events, room, timeout);
    refused_fd = -1;
    return no_memory(changes + i, events, room);
}
#define accept(...) counting_accept(__VA_ARGS__)
#define kevent(...) refusing_kevent(__VA_ARGS__)
