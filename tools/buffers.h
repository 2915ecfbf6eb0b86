/*
 * buffers.h: how much lies in the kernel for a TCP socket. Asking changes
 * nothing. Each function returns -1 where the system does not tell.
 */
#ifndef BUFFERS_H
#define BUFFERS_H

#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#ifdef __linux__
#include <linux/sockios.h> /* SIOCOUTQ */
#else
#include <sys/filio.h> /* FIONREAD, FIONWRITE */
#endif

#define BUFFERS static __attribute__((unused))

/* Bytes that recv() would find: FIONREAD, of 4.2BSD. */
BUFFERS int buffers_to_receive(int fd)
{
    int n;

    return ioctl(fd, FIONREAD, &n) == 0 ? n : -1;
}

/* Bytes sent that the other side has not acknowledged: for a client on the
 * same machine, those for which its receive buffer has no room. */
BUFFERS int buffers_to_send(int fd)
{
    int n = -1;

#if defined SIOCOUTQ /* Linux: tcp(7); it counts the end as a byte */
    struct tcp_info info;
    socklen_t length = sizeof info;

    if (ioctl(fd, SIOCOUTQ, &n) != 0)
        return -1;
    if (n > 0 && getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 &&
        (info.tcpi_state == TCP_FIN_WAIT1 || info.tcpi_state == TCP_CLOSING ||
         info.tcpi_state == TCP_LAST_ACK))
        n--;
#elif defined FIONWRITE /* FreeBSD, NetBSD: sys/filio.h */
    if (ioctl(fd, FIONWRITE, &n) != 0)
        return -1;
#elif defined SO_NWRITE /* macOS: getsockopt(2) */
    socklen_t length = sizeof n;

    if (getsockopt(fd, SOL_SOCKET, SO_NWRITE, &n, &length) != 0)
        return -1;
#else
    (void)fd;
#endif
    return n;
}

/* Connections that accept() would find, of a listener. */
BUFFERS int buffers_backlog(int fd)
{
#if defined __linux__ /* tcp_info of a listener: net/ipv4/tcp.c */
    struct tcp_info info;
    socklen_t length = sizeof info;

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0)
        return -1;
    return (int)info.tcpi_unacked;
#elif defined SO_LISTENQLEN /* FreeBSD: getsockopt(2) */
    int n;
    socklen_t length = sizeof n;

    if (getsockopt(fd, SOL_SOCKET, SO_LISTENQLEN, &n, &length) != 0)
        return -1;
    return n;
#else
    (void)fd;
    return -1;
#endif
}

#endif
