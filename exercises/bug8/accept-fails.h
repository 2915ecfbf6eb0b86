/* After the first client accept() fails, since the system has no descriptor. */
#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>

static int accept_fails(int listener, struct sockaddr *address,
                        socklen_t *length)
{
    static int clients;
    int client = -1;

    if (clients == 0)
        client = accept(listener, address, length);
    else
        errno = ENFILE;
    if (client >= 0)
        clients++;
    return client;
}

#undef accept
#define accept(listener, address, length) \
    accept_fails(listener, address, length)
