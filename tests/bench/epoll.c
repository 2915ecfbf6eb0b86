/*
 * epoll: the yardstick of the benchmark, on Linux. The least that an echo
 * server on epoll(7) can do, and so the least that it can cost: one epoll_wait
 * a turn, one recv and one send an event, level-triggered.
 *
 *     epoll [-f] [-l] [port]
 *
 *     -f    one ioctl(FIONREAD) before each recv: what it costs to know how
 *           many bytes wait, which kqueue says with each event
 *     -l    a line when a client connects and one when it leaves, like the
 *           servers of the tutorial
 *
 * Not an example to follow. A client that does not read holds up the others:
 * what send() does not take is sent after a poll() for this client alone. For
 * a benchmark whose clients all read, that is right to the byte, and costs
 * nothing as long as the send buffer has room.
 */

#define _GNU_SOURCE /* accept4 */

#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_EVENTS = 256 };

static char buffer[64 * 1024];
static bool ask_count, log_lines;
static int queue;

static int open_listener(int port)
{
    struct sockaddr_in address;
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    if (fd < 0)
        err(1, "socket");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt SO_REUSEADDR");
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((in_port_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (listen(fd, SOMAXCONN) < 0)
        err(1, "listen");
    return fd;
}

static void watch(int fd)
{
    struct epoll_event item = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(queue, EPOLL_CTL_ADD, fd, &item) < 0)
        err(1, "epoll_ctl");
}

static void accept_client(int listener)
{
    int on = 1, client = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

    if (client < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            err(1, "accept4");
        return;
    }
    if (setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        err(1, "setsockopt TCP_NODELAY");
    if (log_lines)
        printf("client %d connected\n", client);
    watch(client);
}

static void hang_up(int client)
{
    if (log_lines)
        printf("client %d closed\n", client);
    close(client);
}

static void serve(int client)
{
    int waiting;
    ssize_t length, n;

    if (ask_count && ioctl(client, FIONREAD, &waiting) < 0)
        err(1, "ioctl FIONREAD");
    length = recv(client, buffer, sizeof buffer, 0);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    for (ssize_t sent = 0; sent<length; sent += n> 0 ? n : 0) {
        n = send(client, buffer + sent, (size_t)(length - sent), 0);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            length = -1;
        if (n < 0 && errno == EAGAIN) {
            struct pollfd room = {.fd = client, .events = POLLOUT};
            poll(&room, 1, -1);
        }
    }
    if (length <= 0)
        hang_up(client);
}

static void parse(int argc, char **argv)
{
    int letter;

    while ((letter = getopt(argc, argv, "fl")) != -1) {
        ask_count = ask_count || letter == 'f';
        log_lines = log_lines || letter == 'l';
        if (letter == '?')
            errx(2, "usage: epoll [-f] [-l] [port]");
    }
}

int main(int argc, char **argv)
{
    static struct epoll_event events[MAX_EVENTS];
    int listener, n;

    parse(argc, argv);
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    signal(SIGPIPE, SIG_IGN);
    listener = open_listener(optind < argc ? atoi(argv[optind]) : 9999);
    queue = epoll_create1(0);
    if (queue < 0)
        err(1, "epoll_create1");
    watch(listener);
    printf("listening\n");
    for (;;) {
        n = epoll_wait(queue, events, MAX_EVENTS, -1);
        if (n < 0 && errno != EINTR)
            err(1, "epoll_wait");
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                accept_client(listener);
            else
                serve(events[i].data.fd);
        }
    }
}
