/*
 * Connects from an address, prints its own, echoes one byte and leaves; or
 * resets the connection, without a byte:
 *
 *     from 127.0.0.2 PORT            prints 127.0.0.2:50112
 *     from 127.0.0.2 PORT reset
 *
 * Exit status: 0, 1 something failed, 3 the address cannot be bound here; the
 * signal SIGALRM if the server is silent for 5 seconds.
 */
#include <sys/types.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <netinet/in.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct sockaddr_in own, server;
    struct linger at_once = {1, 0};
    socklen_t length = sizeof own;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char byte = 'x';

    alarm(5);
    memset(&own, 0, sizeof own);
    own.sin_family = AF_INET;
    server = own;
    if (argc < 3 || fd < 0 || inet_pton(AF_INET, argv[1], &own.sin_addr) != 1)
        return 1;
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        return 3;
    server.sin_port = htons((in_port_t)atoi(argv[2]));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0 ||
        getsockname(fd, (struct sockaddr *)&own, &length) < 0)
        return 1;
    printf("%s:%d\n", inet_ntoa(own.sin_addr), ntohs(own.sin_port));
    fflush(stdout);
    if (argc > 3)
        return setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) <
               0;
    return send(fd, &byte, 1, 0) != 1 || recv(fd, &byte, 1, 0) != 1;
}
