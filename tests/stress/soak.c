/*
 * soak: clients in large numbers, and servers that are told to stop.
 *
 *     soak row N PORT              N connections, one after the other; each
 *                                  gets its echo, every third ends by a reset
 *     soak deaf N PORT PID COMMAND N clients send until nothing more is taken
 *                                  and read nothing; then COMMAND runs, which
 *                                  must succeed
 *     soak stop N SEED SERVER      N times: the server starts, clients talk,
 *                                  SIGTERM comes at a random moment. Each
 *                                  client must get as many bytes as the server
 *                                  says it echoed, then EOF; exit status 0
 *     soak stop2 N SEED SERVER     the same with a second SIGTERM, after which
 *                                  the status may be 1, with a message
 *     soak deadline SERVER         SIGTERM, and a client that never reads: the
 *                                  server ends, status 0, after 3 seconds
 *
 * Exit status: 0, 1 if something was wrong, 2 for bad use.
 */
#include "../lib/program.h"

#include <sys/time.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>

enum {
    LIMIT_MS = 20000,
    FULL_MS = 100,
    FIRST = 44000,
    ENDLESS = 8 * 1024 * 1024
};

struct client {
    int fd; /* -1: not open */
    size_t put, got;
    bool ended;
    size_t goal; /* how far it sends before it waits for the echo */
};

static struct sockaddr_in server = {.sin_family = AF_INET};
static char block[65536];
static char context[100]; /* the arguments that repeat a random run */

static void say_context(void)
{
    if (context[0] != '\0')
        printf("    again: build/soak %s\n", context);
}

static int open_socket(bool small)
{
    static const struct timeval limit = {LIMIT_MS / 1000, 0};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0)
        bad("socket: %s", strerror(errno));
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0)
        bad("setsockopt: %s", strerror(errno));
    if (small) {
        make_small(fd, 4096);
        set(fd, SOL_SOCKET, SO_SNDBUF, 16384);
    }
    return fd;
}

static bool connected(int fd)
{
    return connect(fd, (struct sockaddr *)&server, sizeof server) == 0;
}

/* ---- row ----------------------------------------------------------------- */

static void row(long n)
{
    char message[8], echo[8];

    for (long i = 0; i < n; i++) {
        int fd = open_socket(false);
        size_t got = 0;
        snprintf(message, sizeof message, "%07ld", i % 10000000);
        if (!connected(fd))
            bad("connection %ld: %s", i, strerror(errno));
        if (send(fd, message, sizeof message, 0) != sizeof message)
            bad("connection %ld: send: %s", i, strerror(errno));
        while (got < sizeof echo) {
            ssize_t k = recv(fd, echo + got, sizeof echo - got, 0);
            if (k <= 0)
                bad("connection %ld: no echo", i);
            got += (size_t)k;
        }
        if (memcmp(message, echo, sizeof echo) != 0)
            bad("connection %ld: a wrong echo", i);
        if (i % 3 == 0) {
            close_by_reset(fd);
            continue;
        }
        shutdown(fd, SHUT_WR);
        if (recv(fd, echo, 1, 0) != 0)
            bad("connection %ld: no EOF", i);
        close(fd);
    }
}

/* ---- deaf ---------------------------------------------------------------- */

static void put_some(struct client *c, int number, size_t most)
{
    ssize_t n;

    for (size_t i = 0; i < most; i++)
        block[i] = stream((uint32_t)number, c->put + i);
    n = send(c->fd, block, most, 0);
    if (n < 0 && errno != EAGAIN && errno != EPIPE && errno != ECONNRESET)
        bad("client %d: send: %s", number, strerror(errno));
    c->put += n > 0 ? (size_t)n : 0;
}

static void get_some(struct client *c, int number, size_t most)
{
    ssize_t n = recv(c->fd, block, most, 0);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n < 0)
        bad("client %d: after %zu bytes: %s", number, c->got, strerror(errno));
    c->ended = n == 0;
    for (ssize_t i = 0; i < n; i++)
        if (c->got == c->put || block[i] != stream((uint32_t)number, c->got++))
            bad("client %d: byte %zu is wrong", number, c->got);
}

/* Sends so much, or until for some time no client can send more. */
static void fill(struct client *c, struct pollfd *p, int n, size_t most)
{
    for (int i = 0; i < n; i++)
        p[i] = (struct pollfd){.fd = c[i].fd, .events = POLLOUT};
    while (poll(p, (nfds_t)n, FULL_MS) > 0)
        for (int i = 0; i < n; i++) {
            size_t left = most - c[i].put;
            if (p[i].revents != 0)
                put_some(&c[i], i, left < 16384 ? left : 16384);
            if (c[i].put == most)
                p[i].fd = -1;
            if (c[i].put > ENDLESS)
                bad("client %d: the server takes without end", i);
        }
}

/* Not system(3): some shells lose the functions that bash exports. */
static void run(const char *command)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        execlp("bash", "bash", "-c", command, (char *)NULL);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0)
        bad("the command has failed");
}

/*
 * The echo of FIRST bytes fits in the buffers of the kernel. What is sent next
 * piles up while the server is halted, so that it reads a whole buffer at once
 * and finds no room for it.
 */
static void deaf(int n, pid_t halted, const char *command)
{
    struct client *c = calloc((size_t)n, sizeof *c);
    struct pollfd *p = calloc((size_t)n, sizeof *p);

    if (c == NULL || p == NULL)
        bad("out of memory");
    for (int i = 0; i < n; i++) {
        c[i].fd = open_socket(true);
        if (!connected(c[i].fd))
            bad("client %d: %s", i, strerror(errno));
        fcntl(c[i].fd, F_SETFL, O_NONBLOCK);
    }
    fill(c, p, n, FIRST);
    kill(halted, SIGSTOP);
    fill(c, p, n, SIZE_MAX);
    kill(halted, SIGCONT);
    fill(c, p, n, SIZE_MAX);
    run(command);
    free(c);
    free(p);
}

/* ---- stop, stop2 --------------------------------------------------------- */

enum { CLIENTS = 10, EARLY = 8 }; /* the last ones come later */

static struct client clients[CLIENTS];
static int order[CLIENTS]; /* who connected first, second, ... */
static int arrived;

static pid_t pid;
static int out, errors;
static char said[65536], complained[1024];

static int pipe_to(int target[2])
{
    if (pipe(target) < 0)
        bad("pipe: %s", strerror(errno));
    fcntl(target[0], F_SETFD, FD_CLOEXEC);
    return target[0];
}

static void start(const char *program)
{
    int a[2], b[2], port = 0;
    size_t used = 0;

    out = pipe_to(a);
    errors = pipe_to(b);
    pid = fork();
    if (pid < 0)
        bad("fork: %s", strerror(errno));
    if (pid == 0) {
        dup2(a[1], 1);
        dup2(b[1], 2);
        close(a[1]);
        close(b[1]);
        execl(program, program, "0", (char *)NULL);
        _exit(127);
    }
    close(a[1]);
    close(b[1]);
    memset(said, 0, sizeof said);
    memset(complained, 0, sizeof complained);
    while (strchr(said, '\n') == NULL) {
        if (read(out, said + used, 1) != 1)
            bad("the server does not start");
        used++;
    }
    if (sscanf(said, "listening on 127.0.0.1:%d", &port) != 1)
        bad("the server says: %s", said);
    server.sin_port = htons((in_port_t)port);
}

static void slurp(int fd, char *text, size_t size)
{
    size_t used = 0;
    ssize_t n;

    while (used < size - 1 && (n = read(fd, text + used, size - 1 - used)) > 0)
        used += (size_t)n;
    text[used] = '\0';
    close(fd);
}

/* Reads what the server says to its end, and returns how it ended. */
static int finish(void)
{
    int status;

    alarm(LIMIT_MS / 1000);
    slurp(out, said, sizeof said);
    slurp(errors, complained, sizeof complained);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    alarm(0);
    return status;
}

static void come(int i)
{
    struct client *c = &clients[i];

    c->fd = open_socket(i % 4 == 3);
    if (!connected(c->fd)) {
        close(c->fd); /* the listener is closed already */
        c->fd = -1;
        return;
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    set(c->fd, IPPROTO_TCP, TCP_NODELAY, 1);
    order[arrived++] = i;
}

/*
 * Even ones wait for each echo; odd ones send what they can, and of these every
 * other reads nothing before the signal: the server has to keep some for it.
 */
static short wants(struct client *c, int i, bool signalled)
{
    if (c->got == c->put && i % 2 == 0)
        c->goal = c->put + 1 + chance(i % 4 == 0 ? 100 : 70000);
    return (short)((i % 4 == 3 && !signalled ? 0 : POLLIN) |
                   (i % 2 == 1 || c->put < c->goal ? POLLOUT : 0));
}

static void turn_of(struct client *c, int i, short events, bool lost_allowed)
{
    size_t most = i % 2 == 1 ? 30000 : c->goal - c->put;
    char byte;

    if (events & POLLOUT && most > 0)
        put_some(c, i, most < 30000 ? most : 30000);
    if (!(events & ~POLLOUT))
        return;
    /* Not accepted before the stop: reset, without a byte. */
    if (recv(c->fd, &byte, 1, MSG_PEEK) < 0 && errno != EAGAIN &&
        (c->got == 0 || lost_allowed))
        c->ended = true;
    else
        get_some(c, i, i % 4 == 3 ? 3000 : sizeof block);
    if (c->ended) {
        close(c->fd);
        c->fd = -1;
    }
}

/* Until all clients have seen their end; signals come at their times. */
static void talk(const int64_t at[2])
{
    int64_t began = now();
    int next = 0, active;

    do {
        struct pollfd p[CLIENTS];
        int64_t time = now() - began;
        active = 0;
        if (next < 2 && time >= at[next] && kill(pid, SIGTERM) == 0)
            next++;
        for (int i = 0; i < CLIENTS; i++) {
            if (i >= EARLY && time > at[0] * (i - EARLY) &&
                clients[i].goal == 0) {
                clients[i].goal = 1;
                come(i);
            }
            p[i].fd = clients[i].fd;
            p[i].events =
                clients[i].fd >= 0 ? wants(&clients[i], i, next > 0) : 0;
            active += clients[i].fd >= 0;
        }
        poll(p, CLIENTS, next > 0 && active > 0 ? 1 : 0);
        for (int i = 0; i < CLIENTS; i++)
            if (p[i].fd >= 0 && p[i].revents != 0)
                turn_of(&clients[i], i, p[i].revents, at[1] < INT32_MAX);
        if (time > LIMIT_MS * INT64_C(1000))
            bad("a client waits in vain");
    } while (active > 0 || next == 0);
}

/* "client FD closed, N bytes echoed": did they arrive? */
static void compare_with_log(void)
{
    int of[1024], accepted = 0, fd, at;
    unsigned long long echoed;
    char *line = strtok(said, "\n");

    for (; line != NULL; line = strtok(NULL, "\n")) {
        at = 0;
        if (sscanf(line, "client %d connected%n", &fd, &at) == 1 && at > 0) {
            of[fd & 1023] = order[accepted++];
        } else if (sscanf(line, "client %d closed, %llu", &fd, &echoed) == 2) {
            int i = of[fd & 1023];
            if (clients[i].got != echoed)
                bad("client %d got %zu bytes, and not %llu", i, clients[i].got,
                    echoed);
            order[i] = i;
            clients[i].got = 0;
        } else if (strncmp(line, "client ", 7) == 0) {
            bad("the server says: %s", line);
        }
    }
    for (int i = 0; i < CLIENTS; i++)
        if (clients[i].got != 0)
            bad("the server does not say how client %d left", i);
}

static void stop(long rounds, unsigned long long seed, bool twice,
                 const char *program)
{
    for (long round = 0; round < rounds; round++) {
        int64_t at[2] = {0, INT32_MAX};
        int status;
        seed_chance(seed + (uint64_t)round);
        snprintf(context, sizeof context, "%s 1 %llu SERVER",
                 twice ? "stop2" : "stop", seed + (uint64_t)round);
        memset(clients, 0, sizeof clients);
        arrived = 0;
        start(program);
        for (int i = 0; i < CLIENTS; i++)
            clients[i].fd = -1;
        for (int i = 0; i < EARLY; i++)
            come(i);
        at[0] = chance(round % 4 == 0 ? 300 : round % 4 == 1 ? 30000 : 6000);
        if (twice)
            at[1] = at[0] + chance(1000);
        talk(at);
        status = finish();
        if (status == 0 && !twice)
            compare_with_log();
        else if (!twice || (status != 0 && status != 1 << 8))
            bad("wait status %d", status);
        else if ((status == 0) != (complained[0] == '\0'))
            bad("wait status %d, stderr: %s", status, complained);
    }
}

/* ---- deadline ------------------------------------------------------------ */

static void deadline(const char *program)
{
    struct pollfd p;
    int64_t began;
    int status;

    start(program);
    come(3);
    fill(&clients[3], &p, 1, SIZE_MAX);
    began = now();
    kill(pid, SIGTERM);
    status = finish();
    began = now() - began;
    if (status != 0)
        bad("wait status %d", status);
    if (began < 2980000 || began > 5000000)
        bad("it ends after %lld microseconds", (long long)began);
    if (strstr(said, " cut off, ") == NULL)
        bad("it says: %s", said);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    long n = argc > 3 ? atol(argv[2]) : 0;

    say_where = say_context;
    signal(SIGPIPE, SIG_IGN);
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (argc > 3)
        server.sin_port = htons((in_port_t)atoi(argv[3]));
    if (strcmp(mode, "row") == 0 && argc == 4) {
        row(n);
    } else if (strcmp(mode, "deaf") == 0 && argc == 6) {
        deaf((int)n, (pid_t)atol(argv[4]), argv[5]);
    } else if (strncmp(mode, "stop", 4) == 0 && argc == 5) {
        stop(n, strtoull(argv[3], NULL, 10), mode[4] == '2', argv[4]);
    } else if (strcmp(mode, "deadline") == 0 && argc == 3) {
        deadline(argv[2]);
    } else {
        fprintf(stderr, "soak: see the head of soak.c\n");
        return 2;
    }
    return 0;
}
