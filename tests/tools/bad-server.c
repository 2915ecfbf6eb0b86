/*
 * bad-server: an echo server that is wrong on purpose, to try what is meant to
 * find faults.
 *
 *     bad-server MODE
 *
 *     right      no fault at all, to see that the others are seen by their fault
 *     drop       the last byte of each client is lost
 *     flip       one bit of byte 1000 is wrong
 *     last       one bit of the last byte of each answer is wrong
 *     twice      byte 1000 comes twice
 *     swap       two clients get each other's bytes
 *     early      a client is closed after 1000 bytes
 *     late       after the end one byte more comes
 *     open       no EOF after the last byte
 *     stall      after 1000 bytes nothing more comes
 *     deaf       listens, accepts nobody
 *     absent     says that it listens and does not
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <netinet/in.h>

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CLIENTS = 256, SPOT = 1000 };

static const char *mode;
static struct pollfd polled[CLIENTS + 1]; /* 0 is the listener */
static nfds_t used = 1;
static size_t seen[CLIENTS + 1];
static char kept[CLIENTS + 1]; /* drop: the byte held back */
static char buffer[65536];

static bool is(const char *name)
{
    return strcmp(mode, name) == 0;
}

static void send_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t n = send(fd, data, length, 0);
        if (n < 0)
            return;
        data += n;
        length -= (size_t)n;
    }
}

static void leave(nfds_t i)
{
    close(polled[i].fd);
    used--;
    polled[i] = polled[used];
    seen[i] = seen[used];
    kept[i] = kept[used];
}

/* Bytes of client i arrived; before them it had sent so many. */
static void answer(nfds_t i, size_t length)
{
    size_t before = seen[i];
    size_t spot = SPOT - before; /* in buffer, if below length */
    nfds_t to = i;

    seen[i] += length;
    if (is("stall") && seen[i] > SPOT)
        return;
    if (is("flip") && before <= SPOT && spot < length)
        buffer[spot] = (char)(buffer[spot] ^ 4);
    if (is("last"))
        buffer[length - 1] = (char)(buffer[length - 1] ^ 4);
    /* Two neighbours, when there are two. */
    if (is("swap") && ((i - 1) ^ 1) + 1 < used)
        to = ((i - 1) ^ 1) + 1;
    if (is("early") && before <= SPOT && spot < length)
        length = spot;
    if (is("drop")) {
        if (before > 0)
            send_all(polled[i].fd, &kept[i], 1);
        kept[i] = buffer[length - 1];
        length--;
    }
    send_all(polled[to].fd, buffer, length);
    if (is("twice") && before <= SPOT && spot < length)
        send_all(polled[i].fd, &buffer[length - 1], 1);
    if (is("early") && seen[i] >= SPOT)
        leave(i);
}

static void serve(nfds_t i)
{
    ssize_t n = recv(polled[i].fd, buffer, sizeof buffer, 0);

    if (n > 0) {
        answer(i, (size_t)n);
        return;
    }
    if (is("late"))
        send_all(polled[i].fd, "x", 1);
    if (is("open"))
        polled[i].fd = -1; /* not closed, not looked at any more */
    else
        leave(i);
}

static void open_listener(void)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        err(1, "bind");
    if (!is("absent") && listen(fd, 128) < 0)
        err(1, "listen");
    if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        err(1, "getsockname");
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    polled[0].fd = fd;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        errx(2, "usage: bad-server MODE");
    mode = argv[1];
    signal(SIGPIPE, SIG_IGN);
    open_listener();
    while (is("deaf") || is("absent"))
        pause();
    /* Who is alone has nobody to swap with: the first one waits. */
    bool ready = !is("swap");
    for (;;) {
        for (nfds_t i = 0; i < used; i++)
            polled[i].events = POLLIN;
        ready = ready || used > 2;
        if (poll(polled, ready ? used : 1, -1) < 0 && errno != EINTR)
            err(1, "poll");
        /* Downwards, since leave() moves the last one into the gap. */
        for (nfds_t i = ready ? used - 1 : 0; i > 0; i--) {
            if (polled[i].fd >= 0 && polled[i].revents)
                serve(i);
        }
        if (polled[0].revents && used <= CLIENTS) {
            int client = accept(polled[0].fd, NULL, NULL);
            if (client >= 0) {
                seen[used] = 0;
                polled[used++].fd = client;
            }
        }
    }
}
