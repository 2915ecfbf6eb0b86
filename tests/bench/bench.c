/*
 * bench: measures echo servers side by side.
 *
 *     bench MODE [option...] SERVER...
 *
 *     SERVER     NAME=COMMAND or NAME:IDLE=COMMAND: so many idle clients
 *                connect first. The word PORT in the command becomes the port.
 *
 *     echo       clients send a message, wait for all of it, send the next
 *     connect    connect, one echo, close; one after the other
 *     memory     what the server holds with 0, IDLE / 10 and IDLE idle clients
 *     flood      what it holds before and after one client sent all it could
 *                and read nothing
 *     syscalls   just -n echoes; for a command that counts system calls
 *
 * All servers of a call live at the same time, and each round measures each of
 * them in turn, beginning with another one each time: what changes on the
 * machine meanwhile changes for all. The clients, the idle ones too, are here;
 * on Linux they and the servers share one processor, so that a server cannot
 * win by spreading over two, and no sample depends on where processes run.
 *
 * Every byte that comes back is compared with what was sent: the messages are
 * pieces of a pool of pseudo-random bytes, and which piece is a function of the
 * client and the number of the message. Exit status: 0 if all was right, else
 * 1, and 2 for bad arguments.
 *
 * A line for each sample on stdout. In the modes echo and connect:
 *     MODE NAME IDLE CLIENTS BYTES START ROUND COUNT CPU WALL P50 P99
 * CPU and WALL are ns per echo or connection; CPU is the server's, "-" where a
 * process cannot ask for another one's clock. P50 and P99: the median and the
 * 99th percentile, in ns, of the time from the first byte sent to the last one
 * back. In the mode memory, KiB resident and KiB of private memory asked for:
 *     memory NAME IDLE START RESIDENT PRIVATE
 * And the mode flood, the bytes that the client got rid of, and KiB resident:
 *     flood NAME START BYTES BEFORE AFTER
 */

#ifdef __linux__
#define _GNU_SOURCE
#include <sched.h>
#include <sys/prctl.h>
#endif

#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    CHUNK = 65536,
    POOL = 65536,
    MAX_SERVERS = 64,
    MAX_WORDS = 16,
    GROUP = 50,        /* connections in a burst: less than any backlog */
    PATIENCE = 20,     /* seconds without a byte, before giving up */
    FLOOD_QUIET = 500, /* ms after which a peer's buffers count as full */
};

static struct {
    const char *mode;
    long clients, bytes, count, rounds, starts;
} opt = {"", 1, 64, 1000, 7, 1};

struct client {
    int fd;
    const unsigned char *message;
    size_t sent, received;
    uint64_t began;
};

/* A process that holds idle clients, until the pipe to it is closed. */
struct holder {
    pid_t pid;
    int pipe;
};

struct server {
    char name[32];
    long idle;
    const char *command;
    pid_t pid;
    long port;
    long messages; /* so many were begun, ever: selects their bytes */
    struct client *clients;
    struct pollfd *polled;
    struct holder holders[2];
};

static struct server servers[MAX_SERVERS];
static int nservers;
static pid_t main_process;
static unsigned char *pool;
static uint64_t *latencies;

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;

    if (clock_gettime(clock, &t) == -1)
        err(1, "clock_gettime");
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t now(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* The server's CPU time; 0 where there is no such clock. */
static uint64_t cpu_time(const struct server *s)
{
#ifdef __APPLE__
    (void)s;
    return 0;
#else
    clockid_t clock;
    int error = clock_getcpuclockid(s->pid, &clock);

    if (error != 0)
        errx(1, "%s: clock_getcpuclockid: %s", s->name, strerror(error));
    return clock_ns(clock);
#endif
}

static void pause_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

/* This process, and all that it starts, on the last processor it may use. */
static void pin(void)
{
#ifdef __linux__
    cpu_set_t allowed, one;
    size_t cpu = CPU_SETSIZE - 1;

    if (sched_getaffinity(0, sizeof allowed, &allowed) == -1)
        err(1, "sched_getaffinity");
    while (cpu > 0 && !CPU_ISSET(cpu, &allowed))
        cpu--;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one) == -1)
        err(1, "sched_setaffinity");
#endif
}

static void fill_pool(void)
{
    uint64_t x = 0x9e3779b97f4a7c15;
    size_t size = POOL + (size_t)opt.bytes;

    pool = malloc(size);
    latencies = calloc((size_t)opt.count, sizeof *latencies);
    if (pool == NULL || latencies == NULL)
        err(1, "malloc");
    for (size_t i = 0; i < size; i++) {
        x ^= x << 13; /* xorshift64 */
        x ^= x >> 7;
        x ^= x << 17;
        pool[i] = (unsigned char)(x >> 32);
    }
}

/* ---- Starting and stopping a server ------------------------------------- */

static struct sockaddr_in address_of(long port)
{
    struct sockaddr_in address;

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)port);
    return address;
}

static int open_socket(void)
{
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd == -1)
        err(1, "socket");
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
        err(1, "fcntl");
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == -1)
        err(1, "setsockopt TCP_NODELAY");
    return fd;
}

/* Returns -1 when nobody listens. */
static int try_connect(long port)
{
    struct sockaddr_in address = address_of(port);
    int fd = open_socket();

    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    if (errno != ECONNREFUSED)
        err(1, "connect to port %ld", port);
    close(fd);
    return -1;
}

static int connect_to(const struct server *s)
{
    int fd = try_connect(s->port);

    if (fd == -1)
        errx(1, "%s does not listen any more", s->name);
    return fd;
}

static long free_port(void)
{
    struct sockaddr_in address = address_of(0);
    socklen_t size = sizeof address;
    int fd = open_socket();

    if (bind(fd, (struct sockaddr *)&address, size) == -1)
        err(1, "bind");
    if (getsockname(fd, (struct sockaddr *)&address, &size) == -1)
        err(1, "getsockname");
    close(fd);
    return ntohs(address.sin_port);
}

/* Its lines go nowhere: a terminal would cost it more than the clients. */
__attribute__((noreturn)) static void execute(const struct server *s)
{
    char port[16], *words[MAX_WORDS + 1], *copy = strdup(s->command);
    int n = 0, null = open("/dev/null", O_RDWR);

    if (copy == NULL || null == -1 || dup2(null, 0) == -1 || dup2(null, 1) < 0)
        err(1, "/dev/null");
    close(null);
    snprintf(port, sizeof port, "%ld", s->port);
    for (char *w = strtok(copy, " "); w && n < MAX_WORDS; w = strtok(NULL, " "))
        words[n++] = strcmp(w, "PORT") == 0 ? port : w;
    words[n] = NULL;
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    signal(SIGPIPE, SIG_DFL);
    execvp(words[0], words);
    warn("%s", words[0]);
    _exit(127);
}

static void start(struct server *s)
{
    int fd, tries;

    s->port = free_port();
    fflush(stdout);
    s->pid = fork();
    if (s->pid == -1)
        err(1, "fork");
    if (s->pid == 0)
        execute(s);
    for (tries = 0; (fd = try_connect(s->port)) == -1; tries++) {
        if (waitpid(s->pid, NULL, WNOHANG) == s->pid) {
            s->pid = 0;
            errx(1, "%s has ended: %s", s->name, s->command);
        }
        if (tries > PATIENCE * 1000)
            errx(1, "%s does not listen: %s", s->name, s->command);
        pause_ms(1);
    }
    close(fd);
}

static void stop(struct server *s)
{
    if (s->pid == 0)
        return;
    kill(s->pid, SIGTERM);
    for (int i = 0; i < 300 && waitpid(s->pid, NULL, WNOHANG) == 0; i++) {
        pause_ms(10);
        if (i == 200)
            kill(s->pid, SIGKILL);
    }
    s->pid = 0;
}

/* At exit, whatever the reason; not in a child. */
static void stop_all(void)
{
    if (getpid() != main_process)
        return;
    for (int i = 0; i < nservers; i++)
        stop(&servers[i]);
}

/* ---- Idle clients ------------------------------------------------------- */

/* They have sent nothing, so there must be nothing to read, EOF included. */
static void check_idle(const struct server *s, const int *fds, long count)
{
    char byte;

    for (long i = 0; i < count; i++) {
        if (recv(fds[i], &byte, 1, MSG_DONTWAIT) != -1)
            errx(1, "%s: idle client %ld: a byte, or the end", s->name, i + 1);
        if (errno != EAGAIN)
            err(1, "%s: idle client %ld", s->name, i + 1);
    }
}

__attribute__((noreturn)) static void hold(const struct server *s, long count,
                                           int ready, int end)
{
    char byte = 0;
    int *fds = calloc((size_t)count, sizeof *fds);

    if (fds == NULL)
        err(1, "calloc");
    for (long i = 0; i < count; i++) {
        fds[i] = connect_to(s);
        if (i % GROUP == GROUP - 1)
            pause_ms(1);
    }
    if (write(ready, &byte, 1) != 1)
        err(1, "write");
    while (read(end, &byte, 1) == -1 && errno == EINTR)
        ;
    check_idle(s, fds, count);
    _exit(0);
}

static void start_holder(struct server *s, struct holder *h, long count)
{
    int ready[2], end[2];
    char byte;

    if (count == 0)
        return;
    if (pipe(ready) == -1 || pipe(end) == -1)
        err(1, "pipe");
    fflush(stdout);
    h->pid = fork();
    if (h->pid == -1)
        err(1, "fork");
    if (h->pid == 0) {
        close(end[1]);
        for (int i = 0; i < nservers; i++)
            for (int j = 0; j < 2; j++)
                if (servers[i].holders[j].pipe > 0)
                    close(servers[i].holders[j].pipe);
        hold(s, count, ready[1], end[0]);
    }
    close(ready[1]);
    close(end[0]);
    h->pipe = end[1];
    if (fcntl(h->pipe, F_SETFD, FD_CLOEXEC) == -1)
        err(1, "fcntl");
    if (read(ready[0], &byte, 1) != 1)
        errx(1, "%s: the idle clients could not connect", s->name);
    close(ready[0]);
}

static void end_holder(struct server *s, struct holder *h)
{
    int status;

    if (h->pid == 0)
        return;
    close(h->pipe);
    if (waitpid(h->pid, &status, 0) == -1 || status != 0)
        errx(1, "%s: something is wrong with an idle client", s->name);
    h->pid = 0;
    h->pipe = 0;
}

/* ---- Echoes ------------------------------------------------------------- */

static void transmit(struct server *s, struct client *c)
{
    size_t bytes = (size_t)opt.bytes;
    ssize_t n = send(c->fd, c->message + c->sent, bytes - c->sent, 0);

    if (n == -1 && errno != EAGAIN && errno != EINTR)
        err(1, "%s: send", s->name);
    if (n > 0)
        c->sent += (size_t)n;
    s->polled[c - s->clients].events =
        (short)(c->sent < bytes ? POLLIN | POLLOUT : POLLIN);
}

static void begin_message(struct server *s, struct client *c)
{
    uint64_t hash = ((uint64_t)s->messages++ * 64 + (uint64_t)c->fd) *
                    UINT64_C(0x9e3779b97f4a7c15);

    c->message = pool + (hash >> 48) % POOL;
    c->sent = c->received = 0;
    c->began = now();
    transmit(s, c);
}

/* True: the message is back, all of it. */
static bool receive(const struct server *s, struct client *c)
{
    static unsigned char buffer[CHUNK];
    size_t due = (size_t)opt.bytes - c->received;
    ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);

    if (n == -1 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n == -1)
        err(1, "%s: recv", s->name);
    if (n == 0)
        errx(1, "%s has closed a connection", s->name);
    if ((size_t)n > due)
        errx(1, "%s: %zu bytes too many", s->name, (size_t)n - due);
    if (memcmp(buffer, c->message + c->received, (size_t)n) != 0)
        errx(1, "%s: wrong bytes after %zu of %ld", s->name, c->received,
             opt.bytes);
    c->received += (size_t)n;
    return c->received == (size_t)opt.bytes;
}

/* One answer of poll(): how many messages came back. */
static long answer(struct server *s, long done, long *begun, long count)
{
    long back = 0;

    for (long i = 0; i < opt.clients; i++) {
        struct client *c = &s->clients[i];
        short happened = s->polled[i].revents;

        if (happened & POLLOUT)
            transmit(s, c);
        if (!(happened & ~POLLOUT) || !receive(s, c))
            continue;
        latencies[done + back++] = now() - c->began;
        if (*begun < count) {
            ++*begun;
            begin_message(s, c);
        }
    }
    return back;
}

static void exchange(struct server *s, long count)
{
    long begun = 0, done = 0;
    int ready;

    for (; begun < opt.clients && begun < count; begun++)
        begin_message(s, &s->clients[begun]);
    while (done < count) {
        ready = poll(s->polled, (nfds_t)opt.clients, PATIENCE * 1000);
        if (ready == 0)
            errx(1, "%s: nothing came back for %d s", s->name, PATIENCE);
        if (ready > 0)
            done += answer(s, done, &begun, count);
        else if (errno != EINTR)
            err(1, "poll");
    }
}

/* No recv() that waits, waits for ever. */
static void limit_patience(int fd)
{
    struct timeval limit = {PATIENCE, 0};

    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == -1)
        err(1, "setsockopt SO_RCVTIMEO");
}

static void open_clients(struct server *s)
{
    s->clients = calloc((size_t)opt.clients, sizeof *s->clients);
    s->polled = calloc((size_t)opt.clients, sizeof *s->polled);
    if (s->clients == NULL || s->polled == NULL)
        err(1, "calloc");
    for (long i = 0; i < opt.clients; i++) {
        int fd = connect_to(s);

        if (fcntl(fd, F_SETFL, O_NONBLOCK) == -1)
            err(1, "fcntl");
        s->clients[i].fd = s->polled[i].fd = fd;
        s->polled[i].events = POLLIN;
        if (i % GROUP == GROUP - 1)
            pause_ms(1);
    }
}

/* After the last message: EOF for EOF, and not a byte more. */
static void close_clients(struct server *s)
{
    char byte;

    for (long i = 0; i < opt.clients; i++) {
        int fd = s->clients[i].fd;

        limit_patience(fd);
        if (shutdown(fd, SHUT_WR) == -1 || fcntl(fd, F_SETFL, 0) == -1)
            err(1, "%s: shutdown", s->name);
        if (recv(fd, &byte, 1, 0) != 0)
            errx(1, "%s: a byte too many, or no proper end", s->name);
        close(fd);
    }
    free(s->clients);
    free(s->polled);
}

/* ---- Connections -------------------------------------------------------- */

static void one_connection(struct server *s)
{
    struct client c = {.message = pool + s->messages++ % POOL};

    c.fd = connect_to(s);
    limit_patience(c.fd);
    if (send(c.fd, c.message, (size_t)opt.bytes, 0) != (ssize_t)opt.bytes)
        err(1, "%s: send", s->name);
    c.began = now();
    while (!receive(s, &c))
        if (now() - c.began > PATIENCE * UINT64_C(1000000000))
            errx(1, "%s: no echo for %d s", s->name, PATIENCE);
    close(c.fd);
}

static void connections(struct server *s, long count)
{
    for (long i = 0; i < count; i++) {
        uint64_t began = now();

        one_connection(s);
        latencies[i] = now() - began;
    }
}

/* ---- Samples ------------------------------------------------------------ */

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void sample(struct server *s, long begin, long round,
                   void (*work)(struct server *, long))
{
    uint64_t wall, cpu;
    double n = (double)opt.count;
    size_t count = (size_t)opt.count;
    char text[32] = "-";

    work(s, opt.count / 10 + 1); /* warms the caches up again */
    cpu = cpu_time(s);
    wall = now();
    work(s, opt.count);
    wall = now() - wall;
    cpu = cpu_time(s) - cpu;
    if (cpu > 0)
        snprintf(text, sizeof text, "%.0f", (double)cpu / n);
    qsort(latencies, count, sizeof *latencies, by_value);
    printf("%s %s %ld %ld %ld %ld %ld %ld %s %.0f %" PRIu64 " %" PRIu64 "\n",
           opt.mode, s->name, s->idle, opt.clients, opt.bytes, begin, round,
           opt.count, text, (double)wall / n, latencies[(count - 1) / 2],
           latencies[(count * 99 + 99) / 100 - 1]);
}

static void show(long begin, long round)
{
    if (!isatty(STDERR_FILENO))
        return;
    if (begin >= opt.starts)
        fprintf(stderr, "\r%40s\r", "");
    else
        fprintf(stderr, "\r    round %ld of %ld ",
                begin * opt.rounds + round + 1, opt.starts * opt.rounds);
}

static void measure(long begin, void (*work)(struct server *, long))
{
    for (long round = 0; round < opt.rounds; round++) {
        show(begin, round);
        for (int i = 0; i < nservers; i++)
            sample(&servers[(round + begin + i) % nservers], begin, round,
                   work);
        fflush(stdout);
    }
}

static void mode_echo(long begin)
{
    for (int i = 0; i < nservers; i++) {
        start(&servers[i]);
        start_holder(&servers[i], &servers[i].holders[0], servers[i].idle);
        open_clients(&servers[i]);
        exchange(&servers[i], 1); /* back: so all before it are accepted */
    }
    measure(begin, exchange);
    for (int i = 0; i < nservers; i++) {
        close_clients(&servers[i]);
        end_holder(&servers[i], &servers[i].holders[0]);
        stop(&servers[i]);
    }
}

static void mode_connect(long begin)
{
    for (int i = 0; i < nservers; i++)
        start(&servers[i]);
    measure(begin, connections);
    stop_all();
}

static void mode_syscalls(long begin)
{
    (void)begin;
    for (int i = 0; i < nservers; i++) {
        start(&servers[i]);
        open_clients(&servers[i]);
        exchange(&servers[i], opt.count);
        close_clients(&servers[i]);
        stop(&servers[i]);
    }
}

/* ---- Memory ------------------------------------------------------------- */

#ifdef __linux__
/* A number of KiB out of a file in /proc, or -1. */
static long proc_number(pid_t pid, const char *file, const char *name)
{
    char path[64], line[256];
    long value = -1;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, file);
    f = fopen(path, "r");
    if (f == NULL)
        return -1;
    while (value == -1 && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            value = strtol(line + strlen(name), NULL, 10);
    fclose(f);
    return value;
}
#endif

/* KiB resident. In smaps_rollup it is exact, elsewhere in /proc it may lag by
 * some pages, as many as this is to find. */
static long resident(const struct server *s)
{
    char command[64];
    long value = -1;
    FILE *f;

#ifdef __linux__
    value = proc_number(s->pid, "smaps_rollup", "Rss:");
    if (value != -1)
        return value;
#endif
    snprintf(command, sizeof command, "ps -o rss= -p %ld", (long)s->pid);
    f = popen(command, "r");
    if (f == NULL || fscanf(f, "%ld", &value) != 1)
        errx(1, "no answer from: %s", command);
    pclose(f);
    return value;
}

static void print_memory(const struct server *s, long idle, long begin)
{
    char private[32] = "-";

#ifdef __linux__
    snprintf(private, sizeof private, "%ld",
             proc_number(s->pid, "status", "VmData:"));
#endif
    printf("memory %s %ld %ld %ld %s\n", s->name, idle, begin, resident(s),
           private);
    fflush(stdout);
}

static void mode_memory(long begin)
{
    for (int i = 0; i < nservers; i++) {
        struct server *s = &servers[i];
        long first = s->idle / 10;

        start(s);
        open_clients(s);
        exchange(s, opt.count);
        print_memory(s, 0, begin);
        start_holder(s, &s->holders[0], first);
        connections(s, 1); /* comes back: all before it are accepted */
        print_memory(s, first, begin);
        start_holder(s, &s->holders[1], s->idle - first);
        connections(s, 1);
        print_memory(s, s->idle, begin);
        close_clients(s);
        end_holder(s, &s->holders[0]);
        end_holder(s, &s->holders[1]);
        stop(s);
    }
}

/* Sends until all buffers on the way are full; how many bytes. */
static uint64_t fill(const struct server *s, int fd)
{
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    uint64_t total = 0;
    ssize_t n;

    if (fcntl(fd, F_SETFL, O_NONBLOCK) == -1)
        err(1, "fcntl");
    while (poll(&room, 1, FLOOD_QUIET) != 0) {
        n = send(fd, pool, POOL, 0);
        if (n == -1 && errno != EAGAIN && errno != EINTR)
            err(1, "%s: send", s->name);
        total += n > 0 ? (uint64_t)n : 0;
    }
    return total;
}

static void mode_flood(long begin)
{
    for (int i = 0; i < nservers; i++) {
        struct server *s = &servers[i];
        uint64_t bytes;
        long before;
        int fd;

        start(s);
        open_clients(s);
        exchange(s, opt.count);
        before = resident(s);
        fd = connect_to(s);
        bytes = fill(s, fd);
        printf("flood %s %ld %" PRIu64 " %ld %ld\n", s->name, begin, bytes,
               before, resident(s));
        close(fd);
        close_clients(s);
        stop(s);
    }
}

/* ---- Arguments ---------------------------------------------------------- */

static const struct {
    const char *name;
    void (*run)(long begin);
} modes[] = {
    {"echo", mode_echo},   {"connect", mode_connect},   {"memory", mode_memory},
    {"flood", mode_flood}, {"syscalls", mode_syscalls},
};

enum { MODES = sizeof modes / sizeof modes[0] };

__attribute__((noreturn)) static void usage(void)
{
    fputs("usage: bench echo|connect|memory|flood|syscalls [-c clients]\n"
          "             [-b bytes] [-n count] [-r rounds] [-s starts]\n"
          "             NAME[:IDLE]=COMMAND...\n"
          "measures echo servers side by side; PORT in a COMMAND becomes the\n"
          "port\n"
          "  -c clients  that send, all at once (1)\n"
          "  -b bytes    in a message (64)\n"
          "  -n count    echoes or connections in a sample (1000)\n"
          "  -r rounds   samples of each server (7)\n"
          "  -s starts   all this so many times, with new processes (1)\n",
          stderr);
    exit(2);
}

static void number(long *value, const char *text, long high)
{
    char *end;

    errno = 0;
    *value = strtol(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0' && *value > 0 &&
        *value <= high)
        return;
    warnx("a number from 1 to %ld, not '%s'", high, text);
    usage();
}

static void parse_server(char *text)
{
    struct server *s = &servers[nservers++];
    char *command = strchr(text, '='), *idle;

    if (command == NULL)
        usage();
    *command++ = '\0';
    idle = strchr(text, ':');
    if (idle != NULL) {
        *idle++ = '\0';
        if (strcmp(idle, "0") != 0)
            number(&s->idle, idle, 60000);
    }
    if (strlen(text) >= sizeof s->name)
        usage();
    memcpy(s->name, text, strlen(text) + 1);
    s->command = command;
}

static void parse(int argc, char **argv)
{
    int letter;

    while ((letter = getopt(argc, argv, "c:b:n:r:s:")) != -1)
        switch (letter) {
        case 'c':
            number(&opt.clients, optarg, 10000);
            break;
        case 'b':
            number(&opt.bytes, optarg, 16777216);
            break;
        case 'n':
            number(&opt.count, optarg, 100000000);
            break;
        case 'r':
            number(&opt.rounds, optarg, 10000);
            break;
        case 's':
            number(&opt.starts, optarg, 10000);
            break;
        default:
            usage();
        }
    if (optind == argc || argc - optind > MAX_SERVERS)
        usage();
    while (optind < argc)
        parse_server(argv[optind++]);
}

/* For this process and for the servers, which inherit it. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    long most = 0, needed;

    for (int i = 0; i < nservers; i++)
        most = servers[i].idle > most ? servers[i].idle : most;
    needed = most + opt.clients + 64;
    if (needed < opt.clients * nservers + 64)
        needed = opt.clients * nservers + 64;
    if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
        err(1, "getrlimit");
    if (limit.rlim_cur >= (rlim_t)needed)
        return;
    limit.rlim_cur = (rlim_t)needed;
    if (limit.rlim_max < limit.rlim_cur)
        errx(1, "needs %ld descriptors: ulimit -n", needed);
    if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
        err(1, "setrlimit");
}

int main(int argc, char **argv)
{
    size_t mode = 0;

    while (argc > 1 && mode < MODES && strcmp(argv[1], modes[mode].name) != 0)
        mode++;
    if (argc < 2 || mode == MODES)
        usage();
    opt.mode = argv[1];
    parse(argc - 1, argv + 1);
    raise_descriptor_limit();
    signal(SIGPIPE, SIG_IGN);
    pin();
    fill_pool();
    main_process = getpid();
    atexit(stop_all);
    for (long begin = 0; begin < opt.starts; begin++)
        modes[mode].run(begin);
    show(opt.starts, 0);
    return 0;
}
