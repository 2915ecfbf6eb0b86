/*
 * hostile: clients that behave badly, in an order that a seed decides, beside
 * one that is polite.
 *
 *     hostile [-s SEED] [-n ACTS] [-p] PORT
 *
 * Twelve hostile clients flood, send byte by byte, read slowly or not at all,
 * half-close, leave, reset and come back. The polite one sends messages, checks
 * each byte of the echo, half-closes, waits for EOF, and comes again. When the
 * acts are over and all hostile clients have left, it must be served once more.
 *
 * Which act comes next, for which client, depends on the seed and on the acts
 * before, never on what the server or the network did: the same seed gives the
 * same acts. -p prints them. If something fails, the seed is printed.
 *
 * Steps 1 to 3 block, as they must, in send() to a client that does not read,
 * and step 1 serves one client at a time. So a hostile client lives for at most
 * LIFE acts, and then leaves or is reset; and while the polite one waits, acts
 * go on. Whoever blocks the server is gone in the end.
 *
 * Exit status: 0, 1 if the polite client was not served right, 2 for bad use.
 */
#include "../lib/program.h"

#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>

/* LIMIT: microseconds that the polite one may wait. */
enum { CLIENTS = 12, LIFE = 40, MESSAGES = 4, LIMIT = 20000000 };

/* An act that nothing in the last so many acts came back for waits a little. */
enum { AHEAD = 200 };

struct hostile {
    int fd;   /* -1: not connected */
    int life; /* acts that are left to it */
    bool shut;
};

static struct hostile hostile[CLIENTS];

static struct {
    int fd; /* -1: not connected */
    uint32_t key;
    size_t message; /* which one */
    size_t size, sent, received;
    bool shut;
    unsigned visits; /* from connect to EOF */
    int64_t moved;
} polite = {.fd = -1};

static struct sockaddr_in server;
static uint64_t seed = 1;
static unsigned long act;
static bool print;
static char junk[65536], block[65536];

static void say_seed(void)
{
    printf("    after %lu acts, %u visits; again: build/hostile -s %llu PORT\n",
           act, polite.visits, (unsigned long long)seed);
}

static int connected(bool small)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0)
        bad("socket: %s", strerror(errno));
    if (small)
        make_small(fd, 4096);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0 &&
        errno != EINPROGRESS)
        bad("connect: %s", strerror(errno));
    return fd;
}

/* ---- The polite client --------------------------------------------------- */

static size_t polite_size(void)
{
    static const size_t sizes[] = {1, 700, 4096, 30000};

    return sizes[polite.message % MESSAGES];
}

static void visit(void)
{
    int on = 1;

    polite.fd = connected(false);
    setsockopt(polite.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    polite.key = polite.visits + 1;
    polite.message = polite.sent = polite.received = 0;
    polite.size = polite_size();
    polite.shut = false;
}

static void polite_receives(void)
{
    ssize_t n = recv(polite.fd, block, sizeof block, 0);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n < 0)
        bad("the polite client: %s", strerror(errno));
    polite.moved = now();
    if (n == 0) {
        if (!polite.shut || polite.received != polite.size)
            bad("the polite client: EOF after %zu of %zu bytes",
                polite.received, polite.size);
        close(polite.fd);
        polite.fd = -1;
        polite.visits++;
        return;
    }
    for (ssize_t i = 0; i < n; i++)
        if (polite.received == polite.sent ||
            block[i] != stream(polite.key, polite.received++))
            bad("the polite client: byte %zu is wrong", polite.received);
    if (polite.received == polite.size && ++polite.message < MESSAGES)
        polite.size += polite_size();
}

static void polite_sends(void)
{
    size_t n = polite.size - polite.sent;
    ssize_t sent;

    for (size_t i = 0; i < n; i++)
        block[i] = stream(polite.key, polite.sent + i);
    sent = send(polite.fd, block, n, 0);
    if (sent < 0 && errno != EAGAIN)
        bad("the polite client: %s", strerror(errno));
    if (sent > 0) {
        polite.sent += (size_t)sent;
        polite.moved = now();
    }
}

/* One step of the polite client, if there is one within so long. */
static void polite_turn(int milliseconds)
{
    struct pollfd p;

    if (polite.fd < 0)
        visit();
    p.fd = polite.fd;
    p.events = polite.sent < polite.size ? POLLIN | POLLOUT : POLLIN;
    if (poll(&p, 1, milliseconds) > 0) {
        if (p.revents & POLLOUT && polite.sent < polite.size)
            polite_sends();
        if (p.revents & ~POLLOUT)
            polite_receives();
    }
    if (polite.fd >= 0 && polite.message == MESSAGES && !polite.shut) {
        shutdown(polite.fd, SHUT_WR);
        polite.shut = true;
    }
    if (now() - polite.moved > LIMIT)
        bad("the polite client waits in vain");
}

/* ---- The hostile clients ------------------------------------------------- */

/* Errors do not matter to these: the server may have hung up on them. */
static void put(struct hostile *h, size_t length, size_t piece)
{
    while (length > 0 && !h->shut) {
        size_t some = length < piece ? length : piece;
        if (send(h->fd, junk, some, 0) <= 0)
            return;
        length -= some;
    }
}

static void get(struct hostile *h, size_t most)
{
    ssize_t n =
        recv(h->fd, block, most < sizeof block ? most : sizeof block, 0);

    (void)n;
}

/* Reads all that comes, as long as it comes quickly. */
static void drink(struct hostile *h)
{
    struct pollfd p = {.fd = h->fd, .events = POLLIN};

    for (size_t got = 0; got < 400000 && poll(&p, 1, 1) > 0;) {
        ssize_t n = recv(h->fd, block, sizeof block, 0);
        if (n <= 0)
            return;
        got += (size_t)n;
    }
}

static void leave(struct hostile *h, bool reset)
{
    if (reset)
        close_by_reset(h->fd);
    else
        close(h->fd);
    h->fd = -1;
}

static void come(struct hostile *h)
{
    int on = 1;

    h->fd = connected(chance(2) == 0);
    setsockopt(h->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    h->life = 1 + (int)chance(LIFE);
    h->shut = false;
}

enum {
    COME,
    FLOOD,
    PUT,
    DRIBBLE,
    READ,
    DRINK,
    SIP,
    STALL,
    SHUT,
    LEAVE,
    RESET,
    AGAIN
};

static const char *const names[] = {"come", "flood", "put",   "dribble",
                                    "read", "drink", "sip",   "stall",
                                    "shut", "leave", "reset", "again"};

static void do_act(struct hostile *h, unsigned what, unsigned size)
{
    switch (what) {
    case COME:
        come(h);
        break;
    case FLOOD:
        put(h, 300000, sizeof junk);
        break;
    case PUT:
        put(h, size, sizeof junk);
        break;
    case DRIBBLE: /* each byte a segment of its own */
        put(h, 1 + size % 30, 1);
        break;
    case READ:
        get(h, 1 + size);
        break;
    case DRINK:
        drink(h);
        break;
    case SIP:
        get(h, 1);
        break;
    case SHUT:
        shutdown(h->fd, SHUT_WR);
        h->shut = true;
        break;
    case LEAVE:
    case RESET:
        leave(h, what == RESET);
        break;
    case AGAIN: /* probably with the same number on the other side */
        leave(h, size % 2 == 0);
        come(h);
        break;
    }
}

static void next_act(void)
{
    static const unsigned often[] = {FLOOD, PUT,   PUT,  DRIBBLE, READ,
                                     READ,  DRINK, SIP,  SHUT,    STALL,
                                     LEAVE, RESET, AGAIN};
    unsigned which = chance(CLIENTS), size = chance(60000);
    unsigned what = often[chance(sizeof often / sizeof often[0])];
    struct hostile *h = &hostile[which];

    if (h->fd < 0)
        what = COME;
    else if (h->life-- == 0)
        what = size % 2 ? LEAVE : RESET;
    if (print)
        printf("%lu: client %u: %s %u\n", act, which, names[what], size);
    do_act(h, what, size);
    act++;
}

/* No act for a moment, if the server lags so far behind. */
static void keep_pace(void)
{
    static unsigned long last;
    static int64_t seen;

    if (polite.moved != seen) {
        seen = polite.moved;
        last = act;
    }
    polite_turn(act - last > AHEAD ? 1 : 0);
}

static void be_hostile(unsigned long acts)
{
    unsigned before;

    for (int i = 0; i < CLIENTS; i++)
        hostile[i].fd = -1;
    polite.moved = now();
    while (act < acts) {
        next_act();
        keep_pace();
    }
    for (int i = 0; i < CLIENTS; i++)
        if (hostile[i].fd >= 0)
            leave(&hostile[i], i % 2 == 0);
    for (before = polite.visits; polite.visits < before + 2;)
        polite_turn(100);
}

int main(int argc, char **argv)
{
    unsigned long acts = 10000;
    int option;

    while ((option = getopt(argc, argv, "s:n:p")) != -1) {
        if (option == 's')
            seed = strtoull(optarg, NULL, 10);
        else if (option == 'n')
            acts = strtoul(optarg, NULL, 10);
        else if (option == 'p')
            print = true;
        else
            errx(2, "usage: hostile [-s SEED] [-n ACTS] [-p] PORT");
    }
    if (optind != argc - 1)
        errx(2, "which port?");
    signal(SIGPIPE, SIG_IGN);
    memset(&server, 0, sizeof server);
    server.sin_family = AF_INET;
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server.sin_port = htons((in_port_t)atoi(argv[optind]));
    say_where = say_seed;
    seed_chance(seed);
    be_hostile(acts);
    printf("seed %llu: %lu acts, %u visits\n", (unsigned long long)seed, act,
           polite.visits);
    return 0;
}
