/*
 * halts: busy clients, and a server that is stopped and continued beside them.
 *
 *     halts SECONDS SEED IDLE-MS PORT PID
 *
 * 24 clients, half of them with small buffers, so that the server cannot send
 * all that it has read. Again and again:
 *
 *     all are busy; then some stop to read and send on, until they are stuck,
 *     the others stop to send: the server falls asleep
 *     SIGSTOP, for up to two idle times; meanwhile each client, at a moment of
 *     its own, goes on to read and send
 *     SIGCONT: the timer, the clients' bytes, room for what was kept, all in one
 *     batch, in any order
 *
 * No client is silent for an idle time, so none may be closed: at the end each
 * must have got exactly its bytes, and then EOF.
 *
 * Exit status: 0, 1 if something was wrong, 2 for bad use.
 */
#include "../lib/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>

enum { CLIENTS = 24, LIMIT = 20000000 };

static struct client {
    size_t put, got;
    bool shut, ended;
    bool reads, sends;
    int64_t goes_on; /* while the server is halted: when */
} clients[CLIENTS];
static struct pollfd polled[CLIENTS];

static unsigned long long seed;
static int64_t idle; /* microseconds */
static pid_t server;
static unsigned halts;
static char block[65536];

static void say_seed(void)
{
    printf("    after %u halts; again: build/halts SECONDS %llu ...\n", halts,
           seed);
    kill(server, SIGCONT);
}

static void come(int i, in_port_t port)
{
    struct sockaddr_in address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0)
        bad("socket: %s", strerror(errno));
    if (i % 2 == 0)
        make_small(fd, 4096);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        bad("connect: %s", strerror(errno));
    set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    polled[i].fd = fd;
}

/* A third asks and waits, a third is a little ahead, a third sends all it can. */
static size_t ahead(int i)
{
    return i % 3 == 0 ? 1 : i % 3 == 1 ? 200000 : SIZE_MAX;
}

static void put(int i)
{
    struct client *c = &clients[i];
    size_t length = 1 + chance(i % 3 == 0 ? 5000 : sizeof block);
    ssize_t n;

    for (size_t k = 0; k < length; k++)
        block[k] = stream((uint32_t)i, c->put + k);
    n = send(polled[i].fd, block, length, 0);
    if (n < 0 && errno != EAGAIN)
        bad("client %d: send: %s", i, strerror(errno));
    c->put += n > 0 ? (size_t)n : 0;
}

static void get(int i)
{
    struct client *c = &clients[i];
    ssize_t n = recv(polled[i].fd, block, sizeof block, 0);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n < 0)
        bad("client %d: after %zu of %zu bytes: %s", i, c->got, c->put,
            strerror(errno));
    if (n == 0 && !(c->shut && c->got == c->put))
        bad("client %d: EOF after %zu of %zu bytes", i, c->got, c->put);
    c->ended = n == 0;
    for (ssize_t k = 0; k < n; k++)
        if (c->got == c->put || block[k] != stream((uint32_t)i, c->got++))
            bad("client %d: byte %zu is wrong", i, c->got);
}

/* Each does what it can; returns how many have not seen their end. */
static int turn(bool last)
{
    int active = 0;

    for (int i = 0; i < CLIENTS; i++) {
        struct client *c = &clients[i];
        if (last && !c->shut) {
            c->shut = true;
            shutdown(polled[i].fd, SHUT_WR);
        }
        polled[i].events = last || c->reads ? POLLIN : 0;
        if (!last && c->sends && (!c->reads || c->put - c->got < ahead(i)))
            polled[i].events |= POLLOUT;
        if (c->ended)
            polled[i].fd = -1;
        active += !c->ended;
    }
    poll(polled, CLIENTS, 1);
    for (int i = 0; i < CLIENTS; i++) {
        if (polled[i].fd >= 0 && (last || clients[i].reads) &&
            polled[i].revents & ~POLLOUT)
            get(i);
        if (polled[i].fd >= 0 && polled[i].revents & POLLOUT)
            put(i);
    }
    return active;
}

static void turns_for(int64_t time)
{
    for (int64_t end = now() + time; now() < end;) {
        for (int i = 0; i < CLIENTS; i++)
            if (clients[i].goes_on <= now())
                clients[i].reads = clients[i].sends = true;
        turn(false);
    }
}

/* Every other time longer than the idle time. */
static void busy_and_halted(void)
{
    int64_t length = chance((unsigned)idle * 2), time;

    if (halts++ % 2 == 0)
        length = idle + chance((unsigned)idle);
    turns_for(chance(200000));
    for (int i = 0; i < CLIENTS; i++) {
        clients[i].goes_on = INT64_MAX;
        clients[i].reads = chance(2) == 0;
        clients[i].sends = !clients[i].reads;
    }
    turns_for(150000);
    kill(server, SIGSTOP);
    time = now();
    for (int i = 0; i < CLIENTS; i++) {
        clients[i].reads = clients[i].sends = false;
        clients[i].goes_on = time + chance((unsigned)length);
    }
    turns_for(length);
    /* Turns and not time, in which this process may not get the processor: each
     * client has read all that there was, and sent all that it could. */
    for (int i = 0; i < CLIENTS; i++)
        clients[i].reads = clients[i].sends = true;
    for (int i = 0; i < 100; i++)
        turn(false);
    kill(server, SIGCONT);
}

int main(int argc, char **argv)
{
    int64_t end, limit;

    if (argc != 6) {
        fprintf(stderr, "halts: see the head of halts.c\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    seed = strtoull(argv[2], NULL, 10);
    seed_chance(seed);
    say_where = say_seed;
    idle = atoi(argv[3]) * INT64_C(1000);
    server = (pid_t)atol(argv[5]);
    for (int i = 0; i < CLIENTS; i++)
        come(i, (in_port_t)atoi(argv[4]));
    end = now() + atoi(argv[1]) * INT64_C(1000000);
    while (now() < end)
        busy_and_halted();
    limit = now() + LIMIT;
    while (turn(true) > 0)
        if (now() > limit)
            bad("a client waits in vain");
    printf("%u halts\n", halts);
    return 0;
}
