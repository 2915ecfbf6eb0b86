/*
 * Connects from an address, echoes one byte, prints its own address and leaves:
 *
 *     from 127.0.0.2 PORT     prints 127.0.0.2:50112
 *
 * Exit status: 0, 1 something failed, 3 the address cannot be bound here.
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
    socklen_t length = sizeof own;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char byte = 'x';

    memset(&own, 0, sizeof own);
    own.sin_family = AF_INET;
    server = own;
    if (argc != 3 || fd < 0 || inet_pton(AF_INET, argv[1], &own.sin_addr) != 1)
        return 1;
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        return 3;
    server.sin_port = htons((in_port_t)atoi(argv[2]));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0 ||
        getsockname(fd, (struct sockaddr *)&own, &length) < 0 ||
        send(fd, &byte, 1, 0) != 1 || recv(fd, &byte, 1, 0) != 1)
        return 1;
    printf("%s:%d\n", inet_ntoa(own.sin_addr), ntohs(own.sin_port));
    return 0;
}
