/*
 * client: many clients at once, for the echo servers of this project.
 *
 *     make step3 && ./step3                           in one terminal
 *     make client && build/client -c 500 -r 20        in another
 *
 * Each client sends a message, waits until all of it has come back, compares
 * every byte with what it sent, and sends the next: one round trip. After the
 * last it shuts down its sending side and reads to EOF, so that a byte too many
 * is found as well. With -e it sends all its messages first, without waiting,
 * shuts down, and only has to find the same bytes before EOF.
 *
 * The messages are pseudo-random, and byte n of client c is a function of
 * (seed, c, n) alone. So no message needs storing, and a byte that is lost,
 * doubled, out of place or meant for another client is found where it stands.
 * (A single wrong byte is right by chance once in 256; those after it are not.)
 *
 * All clients share one poll(2) loop. A benchmark runs this program beside the
 * server, on the same processors, so it is kept cheap: the poll array is only
 * shortened, never rebuilt; the idle clients are not in it; a round trip costs
 * one send, one recv, one look at the clock and a share of a poll.
 *
 * Exit status: 0 if every byte was right, 1 if not, 2 for bad arguments.
 */

#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* One send or receive: large enough that system calls do not dominate. */
#define CHUNK 65536

/* The usual backlog is 128. More connects than that under way at once would
 * overflow it, and a connect that the kernel drops is only tried again after a
 * whole second. */
#define CONNECT_GROUP 64

/* Descriptors beside the sockets: stdin, stdout, stderr and some inherited. */
#define OTHER_DESCRIPTORS 10

#define TICK_MS     250
#define NS_A_MS     UINT64_C(1000000)
#define NS_A_SECOND UINT64_C(1000000000)

static struct {
    long clients, rounds, bytes, idle, seed, seconds, port;
    bool half_close, quiet;
} opt = {100, 10, 64, 0, 1, 10, 9999, false, false};

struct client {
    long number;       /* from 1, for messages */
    uint64_t key;      /* selects its pseudo-random bytes */
    uint64_t sent;     /* counted over all rounds, like the next two */
    uint64_t received; /* and found right */
    uint64_t allowed;  /* how far it may send before it must wait */
    uint64_t started;  /* when this round began, in ns */
    bool shut;         /* no more to send, and the server was told */
};

/* Descriptors of the idle clients, then those of the active ones. */
static int *descriptors;

/* The active clients that are not done: polled[i] belongs to clients[i]. */
static struct client *clients;
static struct pollfd *polled;
static size_t active;

static uint64_t total; /* bytes that each client sends */

/* What is going on, for the progress line and for the message of a stall. */
static struct {
    const char *what;
    uint64_t done, of;
    uint64_t moved; /* when something last happened, in ns */
    uint64_t shown, began;
    bool line; /* there is a progress line on the terminal */
} run;

static uint64_t now(void)
{
    struct timespec t;

    if (clock_gettime(CLOCK_MONOTONIC, &t) == -1)
        err(1, "clock_gettime");
    return (uint64_t)t.tv_sec * NS_A_SECOND + (uint64_t)t.tv_nsec;
}

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

/* ---- Progress and failure ---------------------------------------------- */

static void erase_progress(void)
{
    if (run.line)
        fprintf(stderr, "\r%60s\r", "");
    run.line = false;
}

static void show_progress(uint64_t t)
{
    if (opt.quiet || t - run.began < NS_A_SECOND ||
        t - run.shown < TICK_MS * NS_A_MS)
        return;
    run.shown = t;
    run.line = true;
    fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " %s ", run.done, run.of,
            run.what);
}

static void begin(const char *what, uint64_t of)
{
    erase_progress();
    run.what = what;
    run.done = 0;
    run.of = of;
    run.moved = now();
}

/* Ends the program. The seed is part of each message about bytes: with it the
 * same run can be repeated. */
__attribute__((noreturn, format(printf, 1, 2))) static void
die(const char *format, ...)
{
    va_list arguments;

    erase_progress();
    va_start(arguments, format);
    verrx(1, format, arguments);
}

__attribute__((noreturn)) static void lost(const struct client *c,
                                           const char *why)
{
    die("client %ld: %s after %" PRIu64 " of %" PRIu64
        " bytes had come back (seed %ld)",
        c->number, why, c->received, total, opt.seed);
}

__attribute__((noreturn)) static void stalled(void)
{
    const struct client *c = clients;

    if (active == 0)
        die("no progress for %ld s: %" PRIu64 " of %" PRIu64
            " clients connected (does the server accept any more?)",
            opt.seconds, run.done, run.of);
    if (c->received == total)
        die("no progress for %ld s: client %ld has all its bytes back, but the "
            "server does not close (seed %ld)",
            opt.seconds, c->number, opt.seed);
    die("no progress for %ld s, %" PRIu64 " of %" PRIu64
        " %s: client %ld waits for byte %" PRIu64 " of %" PRIu64 " (seed %ld)",
        opt.seconds, run.done, run.of, run.what, c->number, c->received + 1,
        total, opt.seed);
}

/* poll(2), and the one place that knows how long nothing has happened. It wakes
 * four times a second at least, for the progress line. */
static int wait_for(struct pollfd *fds, size_t count)
{
    int ready = poll(fds, (nfds_t)count, TICK_MS);
    uint64_t t;

    if (ready == -1 && errno != EINTR)
        err(1, "poll");
    t = now();
    if (ready > 0)
        run.moved = t;
    else if (t - run.moved >= (uint64_t)opt.seconds * NS_A_SECOND)
        stalled();
    show_progress(t);
    return ready;
}

/* ---- Latencies --------------------------------------------------------- */

/* A histogram of fixed size, however long the run. Up to 255 ns each value has
 * its own slot; beyond, each power of two is cut into 128 slots, so that the
 * middle of a slot is within 0.4 % of each value in it. */
static uint64_t histogram[57 * 128 + 128];
static uint64_t measured;

static void record(uint64_t ns)
{
    unsigned shift = 0;

    while (ns >> shift > 255)
        shift++;
    histogram[shift * 128 + (ns >> shift)]++;
    measured++;
}

/* The latency, in ms, that `percent` of all stayed at or below. */
static double percentile(unsigned percent)
{
    uint64_t rank = (measured * percent + 99) / 100, seen = 0;
    size_t slot = 0, shift;

    while ((seen += histogram[slot]) < rank)
        slot++;
    if (slot < 256)
        return (double)slot / 1e6;
    shift = slot / 128 - 1;
    return ((double)(slot - shift * 128) + 0.5) *
           (double)(UINT64_C(1) << shift) / 1e6;
}

/* ---- Payload ----------------------------------------------------------- */

/* The output function of SplitMix64: neighbouring inputs give unrelated words,
 * which is what allows a byte to be computed from its position. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* What the client sends from `position` on; valid until the next call. */
static const unsigned char *payload(const struct client *c, uint64_t position,
                                    size_t length)
{
    static uint64_t words[CHUNK / 8 + 2];
    uint64_t first = position / 8;
    size_t skip = position % 8, count = (skip + length + 7) / 8;

    for (size_t i = 0; i < count; i++)
        words[i] = mix(c->key + (first + i) * UINT64_C(0x9e3779b97f4a7c15));
    return (const unsigned char *)words + skip;
}

static void check(const struct client *c, const unsigned char *got, size_t n)
{
    uint64_t due = c->sent - c->received;
    size_t compared = n < due ? n : (size_t)due, i = 0;
    const unsigned char *expected = payload(c, c->received, compared);

    if (memcmp(got, expected, compared) != 0) {
        while (got[i] == expected[i])
            i++;
        die("client %ld, byte %" PRIu64 " of %" PRIu64
            ": expected 0x%02x, received 0x%02x (seed %ld)",
            c->number, c->received + i + 1, total, expected[i], got[i],
            opt.seed);
    }
    if (n > due)
        die("client %ld: %" PRIu64 " byte%s too many: it has sent %" PRIu64
            " of %" PRIu64 " bytes and received %" PRIu64 " (seed %ld)",
            c->number, n - due, plural(n - due), c->sent, total,
            c->received + n, opt.seed);
}

/* ---- Connecting -------------------------------------------------------- */

/* Asks for what is needed rather than for the hard limit: that one may be
 * RLIM_INFINITY, which macOS refuses as a soft limit. It may also grant less
 * than asked for, so the answer is read back. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    long sockets = opt.clients + opt.idle;
    rlim_t needed = (rlim_t)(sockets + OTHER_DESCRIPTORS);

    if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
        err(1, "getrlimit");
    if (limit.rlim_cur >= needed)
        return;
    limit.rlim_cur = needed < limit.rlim_max ? needed : limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0 &&
        getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= needed)
        return;
    if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
        err(1, "getrlimit");
    errx(1, "%ld clients need %ju descriptors, the limit is %ju: ulimit -n",
         sockets, (uintmax_t)needed, (uintmax_t)limit.rlim_cur);
}

__attribute__((noreturn)) static void connect_failed(int error)
{
    char port[16] = "";

    if (opt.port != 9999)
        snprintf(port, sizeof port, " %ld", opt.port);
    if (error == ECONNREFUSED && run.done == 0)
        die("connect to 127.0.0.1:%ld: %s (is a server running there? try: "
            "./step3%s)",
            opt.port, strerror(error), port);
    if (error == EADDRNOTAVAIL || error == EADDRINUSE)
        die("connect to 127.0.0.1:%ld: no local port left after %" PRIu64
            " of %" PRIu64 " clients (the system's range of ephemeral ports is "
            "the limit; closed connections hold theirs for a minute)",
            opt.port, run.done, run.of);
    die("connect to 127.0.0.1:%ld: %s after %" PRIu64 " of %" PRIu64 " clients",
        opt.port, strerror(error), run.done, run.of);
}

static int begin_connect(void)
{
    struct sockaddr_in server;
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0), flags;

    if (fd == -1)
        die("socket: %s after %" PRIu64 " of %" PRIu64
            " clients (limits: ulimit -n, and the system's own)",
            strerror(errno), run.done, run.of);
    flags = fcntl(fd, F_GETFL);
    if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1)
        err(1, "fcntl O_NONBLOCK");
    /* Else the end of a message can wait for the echo of its beginning. */
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == -1)
        err(1, "setsockopt TCP_NODELAY");

    memset(&server, 0, sizeof server);
    server.sin_family = AF_INET;
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server.sin_port = htons((uint16_t)opt.port);
    if (connect(fd, (struct sockaddr *)&server, sizeof server) == -1 &&
        errno != EINPROGRESS && errno != EINTR)
        connect_failed(errno);
    return fd;
}

static void connect_group(int *fds, size_t count)
{
    struct pollfd pending[CONNECT_GROUP];
    size_t i, left = count;
    int error;
    socklen_t size;

    for (i = 0; i < count; i++) {
        fds[i] = begin_connect();
        pending[i].fd = fds[i];
        pending[i].events = POLLOUT;
        pending[i].revents = 0;
    }
    while (left > 0) {
        if (wait_for(pending, count) <= 0)
            continue;
        for (i = 0; i < count; i++) {
            if (pending[i].revents == 0)
                continue;
            size = sizeof error;
            if (getsockopt(fds[i], SOL_SOCKET, SO_ERROR, &error, &size) == -1)
                err(1, "getsockopt SO_ERROR");
            if (error != 0)
                connect_failed(error);
            pending[i].fd = -1; /* poll skips it from now on */
            left--;
            run.done++;
        }
    }
}

/* Everyone is connected before anyone sends: so all are there at once, and the
 * rates do not contain the time of connecting. */
static void connect_all(void)
{
    size_t all = (size_t)(opt.idle + opt.clients), from, count;

    descriptors = calloc(all, sizeof *descriptors);
    if (descriptors == NULL)
        err(1, "calloc");
    begin("clients connected", all);
    for (from = 0; from < all; from += count) {
        count = all - from < CONNECT_GROUP ? all - from : CONNECT_GROUP;
        connect_group(descriptors + from, count);
    }
}

/* ---- Talking ----------------------------------------------------------- */

static const char closed_early[] = "the server closed the connection";

/* ENOBUFS: macOS and FreeBSD are short of buffers for the moment. */
static bool try_again(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR ||
           error == ENOBUFS;
}

static void half_close(size_t i)
{
    struct client *c = &clients[i];

    if (c->shut)
        return;
    /* ENOTCONN: the connection is gone already; recv will say how it ended. */
    if (shutdown(polled[i].fd, SHUT_WR) == -1 && errno != ENOTCONN)
        lost(c, strerror(errno));
    c->shut = true;
}

/* Sends what it may. The rest, if the socket's buffer is full, waits for
 * POLLOUT, while replies are still received: a server that echoes a message in
 * parts would else wait for us to receive, and we for it. */
static void transmit(size_t i)
{
    struct client *c = &clients[i];
    size_t want;
    ssize_t n;

    while (c->sent < c->allowed) {
        want = c->allowed - c->sent < CHUNK ? (size_t)(c->allowed - c->sent)
                                            : CHUNK;
        n = send(polled[i].fd, payload(c, c->sent, want), want, 0);
        if (n == -1 && !try_again(errno))
            lost(c, errno == EPIPE ? closed_early : strerror(errno));
        if (n > 0)
            c->sent += (uint64_t)n;
        if (n != (ssize_t)want)
            break;
    }
    polled[i].events = c->sent < c->allowed ? POLLIN | POLLOUT : POLLIN;
    if (c->sent == total && (opt.half_close || c->received == total))
        half_close(i);
}

static void round_done(size_t i)
{
    struct client *c = &clients[i];
    uint64_t t = now();

    record(t - c->started);
    run.done++;
    if (c->allowed < total)
        c->allowed += (uint64_t)opt.bytes;
    c->started = t;
    transmit(i);
}

/* Takes the client out of the loop; the last one moves to its place. */
static void leave(size_t i)
{
    if (close(polled[i].fd) == -1)
        err(1, "close");
    if (opt.half_close) {
        record(now() - clients[i].started);
        run.done++;
    }
    active--;
    clients[i] = clients[active];
    polled[i] = polled[active];
}

/* One receive. False: this client read EOF, where it should, and is gone. */
static bool receive(size_t i)
{
    static unsigned char buffer[CHUNK];
    struct client *c = &clients[i];
    ssize_t n = recv(polled[i].fd, buffer, sizeof buffer, 0);

    if (n == -1) {
        if (!try_again(errno))
            lost(c, strerror(errno));
        return true;
    }
    if (n == 0) {
        if (c->received < total)
            lost(c, closed_early);
        leave(i);
        return false;
    }
    check(c, buffer, (size_t)n);
    c->received += (uint64_t)n;
    if (!opt.half_close && c->received == c->allowed)
        round_done(i);
    return true;
}

static void prepare_clients(void)
{
    uint64_t stream = mix((uint64_t)opt.seed + 1);

    active = (size_t)opt.clients;
    clients = calloc(active, sizeof *clients);
    polled = calloc(active, sizeof *polled);
    if (clients == NULL || polled == NULL)
        err(1, "calloc");
    total = (uint64_t)opt.rounds * (uint64_t)opt.bytes;
    for (size_t i = 0; i < active; i++) {
        clients[i].number = (long)i + 1;
        clients[i].key = mix(stream + i);
        clients[i].allowed = opt.half_close ? total : (uint64_t)opt.bytes;
        polled[i].fd = descriptors[(size_t)opt.idle + i];
    }
}

/* Returns the seconds it took. */
static double talk(void)
{
    uint64_t began = now();
    size_t i;
    int ready;

    if (opt.half_close)
        begin("clients done", (uint64_t)opt.clients);
    else
        begin("round trips done",
              (uint64_t)(opt.clients) * (uint64_t)(opt.rounds));
    for (i = 0; i < active; i++) {
        clients[i].started = now();
        transmit(i);
    }
    while (active > 0) {
        ready = wait_for(polled, active);
        for (i = 0; i < active && ready > 0;) {
            short happened = polled[i].revents;

            ready -= happened != 0;
            if (happened & ~POLLOUT && !receive(i))
                continue; /* another client stands at i now */
            if (happened & POLLOUT)
                transmit(i);
            i++;
        }
    }
    return (double)(now() - began) / 1e9;
}

/* They never sent a byte, so they must have received none, EOF included. */
static void check_idle(void)
{
    char byte;

    for (long i = 0; i < opt.idle; i++) {
        ssize_t n = recv(descriptors[i], &byte, 1, 0);

        if (n == -1 && try_again(errno))
            continue;
        if (n == -1)
            die("idle client %ld: %s", i + 1, strerror(errno));
        if (n == 0)
            die("idle client %ld: the server closed the connection", i + 1);
        die("idle client %ld: received 0x%02x without having sent", i + 1,
            (unsigned char)byte);
    }
}

/* ---- Options and result ------------------------------------------------ */

static void usage(FILE *to)
{
    fputs(
        "usage: client [-c clients] [-r rounds] [-b bytes] [-i idle] [-e]\n"
        "              [-s seed] [-t seconds] [-q] [port]\n"
        "Talks to the echo server on 127.0.0.1, port 9999 or as given, and "
        "checks each byte.\n"
        "  -c clients  all at once (100)\n"
        "  -r rounds   messages of each client, one after the other (10)\n"
        "  -b bytes    in a message (64)\n"
        "  -i idle     more clients, which connect first and stay silent (0)\n"
        "  -e          send all, shut down, read to EOF: no round trips\n"
        "  -s seed     of the pseudo-random messages (1)\n"
        "  -t seconds  without any progress before giving up (10)\n"
        "  -q          no progress line\n",
        to);
}

__attribute__((noreturn)) static void bad_arguments(void)
{
    usage(stderr);
    exit(2);
}

static long number(const char *name, const char *text, long low, long high)
{
    char *end;
    long n;

    errno = 0;
    n = strtol(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0' && n >= low && n <= high)
        return n;
    warnx("%s must be a number from %ld to %ld, not '%s'", name, low, high,
          text);
    bad_arguments();
}

static void parse_number(int letter, const char *text)
{
    static const struct {
        int letter;
        long *value, low, high;
    } table[] = {
        {'c', &opt.clients, 1, 65535},   {'r', &opt.rounds, 1, 1000000000},
        {'b', &opt.bytes, 1, 67108864},  {'i', &opt.idle, 0, 65535},
        {'s', &opt.seed, 0, 2147483647}, {'t', &opt.seconds, 1, 86400},
    };
    char name[] = {'-', (char)letter, '\0'};
    size_t i = 0;

    while (table[i].letter != letter)
        i++;
    *table[i].value = number(name, text, table[i].low, table[i].high);
}

static void parse(int argc, char **argv)
{
    int letter;

    while ((letter = getopt(argc, argv, "c:r:b:i:s:t:eqh")) != -1) {
        if (letter == '?')
            bad_arguments();
        if (letter == 'h') {
            usage(stdout);
            exit(0);
        }
        if (letter == 'e')
            opt.half_close = true;
        else if (letter == 'q')
            opt.quiet = true;
        else
            parse_number(letter, optarg);
    }
    if (argc - optind > 1) {
        warnx("one port at most, and the options before it");
        bad_arguments();
    }
    if (optind < argc)
        opt.port = number("port", argv[optind], 1, 65535);
    if (!isatty(STDERR_FILENO))
        opt.quiet = true;
}

static void print_ms(const char *before, double ms)
{
    printf("%s%.*f ms", before, ms < 1 ? 3 : ms < 100 ? 1 : 0, ms);
}

static void print_result(double seconds)
{
    double n = (double)measured;

    erase_progress();
    printf("%ld client%s", opt.clients, plural((uint64_t)opt.clients));
    if (opt.idle > 0)
        printf(" beside %ld idle", opt.idle);
    if (opt.half_close) {
        printf(", each half-closed after %" PRIu64 " byte%s, all bytes right: "
               "%.1f MB a second each way",
               total, plural(total), n * (double)total / seconds / 1e6);
        print_ms(", EOF after ", percentile(50));
        print_ms(" (median), ", percentile(99));
        puts(" (99th percentile)");
        return;
    }
    printf(", %" PRIu64 " round trip%s of %ld byte%s, all bytes right: "
           "%.0f round trips a second",
           measured, plural(measured), opt.bytes, plural((uint64_t)opt.bytes),
           n / seconds);
    print_ms(", median ", percentile(50));
    print_ms(", 99th percentile ", percentile(99));
    putchar('\n');
}

int main(int argc, char **argv)
{
    double seconds;

    parse(argc, argv);
    signal(SIGPIPE, SIG_IGN); /* a server that is gone: EPIPE from send */
    raise_descriptor_limit();

    run.began = now();
    connect_all();
    prepare_clients();
    seconds = talk();
    check_idle();
    print_result(seconds);

    for (long i = 0; i < opt.idle; i++)
        close(descriptors[i]);
    free(descriptors);
    free(clients);
    free(polled);
    return 0;
}
