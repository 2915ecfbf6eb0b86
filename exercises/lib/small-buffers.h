/*
 * accept() gives each client a send buffer of some KiB, so that back-pressure comes
 * with every message, on any system. It is put in front of a server by -include.
 */
#include <sys/types.h>
#include <sys/socket.h>

static int small_accept(int listener, struct sockaddr *address,
                        socklen_t *length)
{
    int client = accept(listener, address, length), size = 4096;

    if (client >= 0)
        setsockopt(client, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return client;
}
#undef accept
#define accept(listener, address, length) \
    small_accept(listener, address, length)
