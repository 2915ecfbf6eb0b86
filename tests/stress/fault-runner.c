/*
 * fault-runner: lets each system call of a server fail, one at a time, and sees
 * what becomes of its clients.
 *
 *     fault-runner [-j JOBS] SERVER [CALL [ERRNO [N]]]
 *
 *     fault-runner ./step3                  every error that the manuals name
 *     fault-runner ./step3 recv EINTR 7     this one alone
 *
 * One run: the server starts with build/fault-injector.so in front of it. Three
 * clients talk to it at once; the third sends all it has before it reads. Then
 * a fourth comes, and perhaps a fifth. The server of step 5 is ended by
 * SIGTERM while a sixth is there.
 *
 * The run is good if the server refuses to start, with a message and status 1;
 * or if at most one client loses its connection, all others get exactly their
 * bytes, the next one that comes is served, and no descriptor is lost. Many
 * errors may not even cost that one client. n goes up until the server no
 * longer makes an n-th call.
 */
#include "../lib/program.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>

/* ---- What can fail, and how ---------------------------------------------- */

enum {
    HARMLESS = 1, /* no client may suffer */
    MAY_END = 2,  /* the server may end with a message at any time */
    EMPTY = 4, /* no client of steps 4 and 5, which do not block, may suffer */
    SILENT = 8 /* nothing may be said of it on stderr */
};

struct error {
    const char *name;
    int number, how;
};

struct row {
    const char *call;
    struct error errors[28];
};

#define E(name, how)     \
    {                    \
#name, name, how \
    }
#define SHORT                \
    {                        \
        "SHORT", 0, HARMLESS \
    }
#define GENERAL_SOCKET E(EBADF, 0), E(EFAULT, 0), E(EINVAL, 0), E(ENOTSOCK, 0)

/*
 * From the ERRORS of the pages named, in the Linux man-pages 6.03. Left out
 * are values that only a wrong call can get and that tell the caller something
 * about its descriptor, so that a false one would be a lie rather than a
 * fault: EBADF, EEXIST, EINVAL, ELOOP, ENOENT and EPERM of epoll_ctl(2), all
 * but EINTR of epoll_wait(2).
 */
static const struct row table[] = {
    /* accept(2). The connection stays where it is: nobody suffers. */
    {"accept",
     {E(EMFILE, HARMLESS),          E(ENFILE, HARMLESS),
      E(ENOBUFS, HARMLESS),         E(ENOMEM, HARMLESS),
      E(EAGAIN, HARMLESS | SILENT), E(ECONNABORTED, HARMLESS | SILENT),
      E(EINTR, HARMLESS | SILENT),  E(EPROTO, HARMLESS),
      E(EBADF, HARMLESS),           E(EFAULT, HARMLESS),
      E(EINVAL, HARMLESS),          E(ENOTSOCK, HARMLESS),
      E(EOPNOTSUPP, HARMLESS),      E(EPERM, HARMLESS),
      E(ENETDOWN, HARMLESS),        E(ENOPROTOOPT, HARMLESS),
      E(EHOSTDOWN, HARMLESS),       E(ENONET, HARMLESS),
      E(EHOSTUNREACH, HARMLESS),    E(ENETUNREACH, HARMLESS)}},
    /* recv(2); tcp(7): ECONNRESET, EPIPE, ETIMEDOUT. */
    {"recv",
     {SHORT, E(EINTR, HARMLESS | SILENT), E(EAGAIN, EMPTY),
      E(ECONNRESET, SILENT), E(ENOMEM, 0), E(ETIMEDOUT, 0), E(EPIPE, 0),
      E(ECONNREFUSED, 0), E(ENOTCONN, 0), GENERAL_SOCKET}},
    /* send(2); tcp(7): ETIMEDOUT. */
    {"send",
     {SHORT, E(EINTR, HARMLESS | SILENT), E(EAGAIN, EMPTY), E(EPIPE, SILENT),
      E(ECONNRESET, SILENT), E(ENOBUFS, 0), E(ENOMEM, 0), E(ETIMEDOUT, 0),
      E(EACCES, 0), E(EALREADY, 0), E(EDESTADDRREQ, 0), E(EISCONN, 0),
      E(EMSGSIZE, 0), E(ENOTCONN, 0), E(EOPNOTSUPP, 0), GENERAL_SOCKET}},
    {"setsockopt", {E(EINVAL, SILENT), E(ENOPROTOOPT, 0), E(EBADF, 0)}},
    {"shutdown", {E(ENOTCONN, 0), E(EBADF, 0), E(EINVAL, 0), E(ENOTSOCK, 0)}},
    {"socket",
     {E(EMFILE, 0), E(ENFILE, 0), E(ENOBUFS, 0), E(ENOMEM, 0), E(EACCES, 0),
      E(EAFNOSUPPORT, 0), E(EINVAL, 0), E(EPROTONOSUPPORT, 0)}},
    {"bind",
     {E(EADDRINUSE, 0), E(EACCES, 0), E(EADDRNOTAVAIL, 0), GENERAL_SOCKET}},
    {"listen",
     {E(EADDRINUSE, 0), E(EBADF, 0), E(ENOTSOCK, 0), E(EOPNOTSUPP, 0)}},
    {"getsockname", {E(ENOBUFS, 0), GENERAL_SOCKET}},
    /* fcntl(2), as for F_SETFL and F_DUPFD. */
    {"fcntl", {E(EPERM, 0), E(EMFILE, 0), E(EBADF, 0)}},
    /* malloc(3) */
    {"malloc", {E(ENOMEM, 0)}},
    {"calloc", {E(ENOMEM, 0)}},
    {"realloc", {E(ENOMEM, 0)}},
    /* select(2). Without an answer there is no loop to go on with. */
    {"select",
     {E(EINTR, HARMLESS), E(ENOMEM, MAY_END), E(EBADF, MAY_END),
      E(EINVAL, MAY_END)}},
    /* epoll_create(2), epoll_ctl(2), epoll_wait(2) */
    {"epoll_create1", {E(EMFILE, 0), E(ENFILE, 0), E(ENOMEM, 0), E(EINVAL, 0)}},
    {"epoll_ctl", {E(ENOMEM, 0), E(ENOSPC, 0)}},
    {"epoll_wait", {E(EINTR, HARMLESS)}},
    /* timerfd_create(2), eventfd(2) */
    {"timerfd_create",
     {E(EMFILE, 0), E(ENFILE, 0), E(ENODEV, 0), E(ENOMEM, 0), E(EINVAL, 0),
      E(EPERM, 0)}},
    {"timerfd_settime",
     {E(EINVAL, 0), E(EBADF, 0), E(EFAULT, 0), E(ECANCELED, 0)}},
    {"eventfd",
     {E(EMFILE, 0), E(ENFILE, 0), E(ENODEV, 0), E(ENOMEM, 0), E(EINVAL, 0)}}};

enum { ROWS = sizeof table / sizeof table[0] };

/* ---- One run ------------------------------------------------------------- */

enum { LIMIT_MS = 10000, LAST_N = 2000 };

struct report { /* as in fault-injector.c */
    uint32_t calls, injected;
};

/* Written by all jobs. */
static struct {
    unsigned injections, failures;
    int descriptors; /* that a server has open after a run without a fault */
} * shared;

static const char *server, *name; /* its path, and what it calls itself */
static char library[4096], report_path[4096];
static struct report *report;

static const char *call;
static const struct error *fault;
static uint32_t nth;

static pid_t pid;
static int out, errors; /* what the server says */
static struct sockaddr_in address;
static char said[65536], complained[4096];
static size_t said_length, complained_length;

static void say_fault(void)
{
    printf("    again: build/fault-runner %s %s %s %u\n", server, call,
           fault->name, nth);
    if (complained_length > 0)
        printf("    stderr: %s\n", complained);
    kill(pid, SIGKILL);
    unlink(report_path);
    __atomic_add_fetch(&shared->failures, 1, __ATOMIC_SEQ_CST);
}

/* Reads what there is; false at the end. */
static bool take(int fd, char *text, size_t size, size_t *length)
{
    ssize_t n = read(fd, text + *length, size - 1 - *length);

    if (n > 0)
        *length += (size_t)n;
    text[*length] = '\0';
    return n != 0;
}

static void __attribute__((noreturn)) become_server(int to_out, int to_errors)
{
    char n[16], number[16];

    snprintf(n, sizeof n, "%u", nth);
    snprintf(number, sizeof number, "%d", fault->number);
    dup2(to_out, 1);
    dup2(to_errors, 2);
    for (int fd = 3; fd < 30; fd++)
        close(fd);
    setenv("LD_PRELOAD", library, 1);
    setenv("FAULT_CALL", call, 1);
    setenv("FAULT_N", n, 1);
    setenv("FAULT_ERRNO", number, 1);
    setenv("FAULT_REPORT", report_path, 1);
    setenv("FAULT_MOST", "12000", 1);
    setenv("MALLOC_PERTURB_", "165", 1); /* memory freed is not usable */
    execl(server, server, "0", (char *)NULL);
    _exit(127);
}

/* Starts the server; returns whether it listens, else it ends. */
static bool start(void)
{
    int a[2], b[2];
    struct pollfd p;

    if (pipe(a) < 0 || pipe(b) < 0)
        err(2, "pipe");
    memset(report, 0, sizeof *report);
    pid = fork();
    if (pid < 0)
        err(2, "fork");
    if (pid == 0)
        become_server(a[1], b[1]);
    close(a[1]);
    close(b[1]);
    out = a[0];
    errors = b[0];
    said_length = complained_length = 0;
    p.fd = out;
    p.events = POLLIN;
    while (memchr(said, '\n', said_length) == NULL) {
        if (poll(&p, 1, LIMIT_MS) <= 0)
            bad("it neither starts nor ends");
        if (!take(out, said, sizeof said, &said_length))
            return false;
    }
    return true;
}

/* The server has ended or is ending: how? Sets said and complained. */
static int ended(void)
{
    struct pollfd p = {.fd = errors, .events = POLLIN};
    int status;

    while (poll(&p, 1, LIMIT_MS) > 0) {
        if (!take(errors, complained, sizeof complained, &complained_length)) {
            while (take(out, said, sizeof said, &said_length))
                continue;
            while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                continue;
            return status;
        }
    }
    bad("it does not end");
}

/* "stepN: what: why", one line, and status 1; before there was a client. */
static void check_refusal(void)
{
    int status = ended();
    size_t length = strlen(name);
    bool started = strstr(said, " connected\n") != NULL;

    if (started && !(fault->how & MAY_END))
        bad("it has ended with clients (wait status %d)", status);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 1)
        bad("it has ended with wait status %d", status);
    if (complained_length < length + 6 ||
        memcmp(complained, name, length) != 0 ||
        memcmp(complained + length, ": ", 2) != 0 ||
        strstr(complained + length + 2, ": ") == NULL ||
        strchr(complained, '\n') != complained + complained_length - 1)
        bad("it has ended without a clear message");
}

/* ---- Clients ------------------------------------------------------------- */

enum { TALKS, EXACT, SUFFERED };

struct client {
    char who;
    bool sends_first; /* all, before it reads */
    int fd, state;
    bool shut;
    size_t messages[3]; /* sizes; the next is sent when this one is back */
    size_t total, allowed, sent, received;
};

static void join(struct client *c, char who, bool sends_first)
{
    static const size_t messages[] = {5, 3000, 20000}, all[] = {120000, 0, 0};

    memset(c, 0, sizeof *c);
    c->who = who;
    c->sends_first = sends_first;
    memcpy(c->messages, sends_first ? all : messages, sizeof messages);
    for (int i = 0; i < 3; i++)
        c->total += c->messages[i];
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        bad("socket: %s", strerror(errno));
    if (sends_first)
        make_small(c->fd, 16384);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0)
        c->state = SUFFERED;
    set(c->fd, IPPROTO_TCP, TCP_NODELAY, 1);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
}

static void leave(struct client *c, int state)
{
    c->state = state;
    close(c->fd);
}

static void send_more(struct client *c)
{
    static char block[65536];
    size_t length = c->allowed - c->sent;
    ssize_t n;

    if (length > sizeof block)
        length = sizeof block;
    for (size_t i = 0; i < length; i++)
        block[i] = stream((uint32_t)c->who, c->sent + i);
    n = send(c->fd, block, length, 0);
    if (n < 0 && errno == EAGAIN)
        c->sends_first = false; /* no more room: it has to read */
    else if (n < 0)
        leave(c, SUFFERED);
    else
        c->sent += (size_t)n;
}

static void receive(struct client *c)
{
    static char block[65536];
    ssize_t n = recv(c->fd, block, sizeof block, 0);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        leave(c,
              n == 0 && c->shut && c->received == c->total ? EXACT : SUFFERED);
        return;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (c->received == c->sent)
            bad("client %c: a byte too many", c->who);
        if (block[i] != stream((uint32_t)c->who, c->received++))
            bad("client %c: byte %zu is wrong", c->who, c->received - 1);
    }
}

/* What the client does next, if it can; returns what it waits for. */
static short step(struct client *c)
{
    if (c->received == c->allowed && c->allowed < c->total)
        for (int i = 0; i < 3 && c->allowed == c->received; i++) {
            if (c->messages[i] > 0)
                c->allowed += c->messages[i];
            c->messages[i] = 0;
        }
    if (c->sent == c->total && !c->shut) {
        c->shut = true;
        c->sends_first = false;
        if (shutdown(c->fd, SHUT_WR) < 0)
            leave(c, SUFFERED);
    }
    return (short)((c->sent < c->allowed ? POLLOUT : 0) |
                   (c->sends_first ? 0 : POLLIN));
}

/* All of them talk to their ends; returns how many suffered. */
static int talk(struct client *c, size_t n)
{
    int64_t end = now() + LIMIT_MS * INT64_C(1000);
    int suffered = 0;

    for (;;) {
        struct pollfd p[4];
        int active = 0;
        for (size_t i = 0; i < n; i++) {
            p[i].events = c[i].state == TALKS ? step(&c[i]) : 0;
            p[i].fd = c[i].state == TALKS ? c[i].fd : -1;
            active += c[i].state == TALKS;
        }
        if (active == 0)
            break;
        if (poll(p, (nfds_t)n, (int)((end - now()) / 1000)) <= 0 || now() > end)
            bad("a client waits in vain");
        for (size_t i = 0; i < n; i++) {
            if (p[i].fd >= 0 && p[i].revents & ~POLLOUT)
                receive(&c[i]);
            if (p[i].fd >= 0 && p[i].revents & POLLOUT && c[i].state == TALKS &&
                c[i].sent < c[i].allowed)
                send_more(&c[i]);
        }
    }
    for (size_t i = 0; i < n; i++)
        suffered += c[i].state == SUFFERED;
    return suffered;
}

/* One client is there when the server gets SIGTERM; it sees the end. */
static int stop(void)
{
    struct client c;
    struct pollfd p;
    char byte = 'x';
    int suffered = 0, status;

    join(&c, 'S', false);
    p.fd = c.fd;
    p.events = POLLIN;
    if (send(c.fd, &byte, 1, MSG_NOSIGNAL) != 1 || poll(&p, 1, LIMIT_MS) != 1 ||
        recv(c.fd, &byte, 1, 0) != 1)
        suffered = 1;
    kill(pid, SIGTERM);
    if (!suffered &&
        (poll(&p, 1, LIMIT_MS) != 1 || recv(c.fd, &byte, 1, 0) != 0))
        suffered = 1;
    close(c.fd);
    status = ended();
    if (status != 0)
        bad("after SIGTERM its wait status is %d", status);
    return suffered;
}

/* ---- What the server is left with ---------------------------------------- */

static int descriptors(void)
{
    char path[64];
    DIR *directory;
    int n = -2; /* . and .. */

    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    directory = opendir(path);
    if (directory == NULL)
        return -1;
    while (readdir(directory) != NULL)
        n++;
    closedir(directory);
    return n;
}

static bool is_over(void)
{
    struct pollfd p = {.fd = errors, .events = 0};

    /* The connection of its clients ends a moment before the process does. */
    return poll(&p, 1, 200) > 0 && (p.revents & POLLHUP);
}

/* Returns how many clients suffered, -1 when the server has ended. */
static int use(void)
{
    struct client c[3], later = {.state = SUFFERED};
    int suffered;

    join(&c[0], 'A', false);
    join(&c[1], 'B', false);
    join(&c[2], 'C', true);
    suffered = talk(c, 3);
    for (char who = 'D'; who <= 'E' && suffered <= 1; who++) {
        int before = suffered;
        join(&later, who, false);
        suffered += talk(&later, 1);
        if (suffered == before)
            break;
    }
    if (later.state != EXACT && is_over())
        return -1;
    return suffered;
}

/* "client N connected", and as many lines that a client has left. */
static bool all_have_left(void)
{
    struct pollfd p = {.fd = out, .events = POLLIN};
    int here = 0;

    while (poll(&p, 1, 0) > 0 && take(out, said, sizeof said, &said_length))
        continue;
    for (const char *line = said; line != NULL; line = strchr(line + 1, '\n')) {
        const char *end = strchr(line + 1, '\n');
        size_t length = end == NULL ? 0 : (size_t)(end - line);
        if (length > 10 && memcmp(end - 10, " connected", 10) == 0)
            here++;
        if (length > 13 && memcmp(end - 13, " bytes echoed", 13) == 0)
            here--;
    }
    return here <= 0;
}

/*
 * A client sees its end before the server has finished with it: it may still
 * have to notice, and to close. So this waits until it has, and until two looks
 * in a row find the same.
 */
static void check_descriptors(void)
{
    int64_t end = now() + LIMIT_MS * INT64_C(1000);
    int n = descriptors(), before = -1;

    while (now() < end && (!all_have_left() || n != before ||
                           (nth > 0 && n > shared->descriptors))) {
        poll(NULL, 0, 5);
        before = n;
        n = descriptors();
    }
    if (nth == 0)
        shared->descriptors = n;
    else if (n > shared->descriptors)
        bad("%d descriptors are open, and not %d", n, shared->descriptors);
}

static void read_address(void)
{
    int port;

    if (sscanf(said, "listening on 127.0.0.1:%d", &port) != 1)
        bad("its first line is: %s", said);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((in_port_t)port);
}

/* Returns whether there was an n-th call. */
static bool run(void)
{
    int suffered = -1, allowed;

    if (start()) {
        read_address();
        suffered = use();
    }
    if (suffered < 0) {
        check_refusal();
        if (report->injected == 0)
            bad("it has ended without a fault");
    } else {
        check_descriptors();
        if (strcmp(name, "step5") == 0)
            suffered += stop();
        else
            kill(pid, SIGKILL);
        ended();
        allowed = report->injected > 0 && !(fault->how & HARMLESS) &&
                  !(fault->how & EMPTY && strchr("45", name[4]) != NULL);
        if (fault->how & SILENT && complained_length > 0)
            bad("it complains");
        if (suffered > allowed)
            bad("%d of its clients suffered", suffered);
    }
    close(out);
    close(errors);
    return report->injected > 0;
}

/* ---- All runs ------------------------------------------------------------ */

static void map_report(void)
{
    int fd;

    snprintf(report_path, sizeof report_path, "build/fault-runner.XXXXXX");
    fd = mkstemp(report_path);
    if (fd < 0 || ftruncate(fd, sizeof *report) < 0)
        err(2, "%s", report_path);
    report =
        mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (report == MAP_FAILED)
        err(2, "mmap");
    close(fd);
}

/* One error of one call, for each n, in a process of its own. */
static void job(uint32_t only)
{
    unsigned n = 0;

    map_report();
    nth = only > 0 ? only : 1;
    while (run()) {
        n++;
        if (only > 0)
            break;
        if (++nth == LAST_N)
            bad("it makes this call without end");
    }
    __atomic_add_fetch(&shared->injections, n, __ATOMIC_SEQ_CST);
    unlink(report_path);
    _exit(0);
}

static void begin_job(uint32_t only, int *running, int jobs)
{
    pid_t child;

    if (*running == jobs) {
        wait(NULL);
        --*running;
    }
    fflush(stdout);
    child = fork();
    if (child < 0)
        err(2, "fork");
    if (child == 0)
        job(only);
    ++*running;
}

/* A run without a fault: how many descriptors are open then? */
static void reference(void)
{
    static const struct error none = {"none", 0, 0};

    call = "none";
    fault = &none;
    nth = 0;
    map_report();
    if (run() || shared->descriptors < 0)
        bad("no run without a fault");
    unlink(report_path);
}

static void find_names(const char *argument)
{
    const char *slash;

    server = argument;
    slash = strrchr(server, '/');
    name = slash == NULL ? server : slash + 1;
    if (realpath("build/fault-injector.so", library) == NULL)
        err(2, "build/fault-injector.so");
}

int main(int argc, char **argv)
{
    int jobs = 8, running = 0, option;

    while ((option = getopt(argc, argv, "j:")) != -1) {
        if (option != 'j' || (jobs = atoi(optarg)) < 1)
            errx(2, "usage: fault-runner [-j JOBS] SERVER [CALL [ERRNO [N]]]");
    }
    argv += optind;
    argc -= optind;
    if (argc < 1)
        errx(2, "which server?");
    find_names(argv[0]);
    say_where = say_fault;
    signal(SIGPIPE, SIG_IGN);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        err(2, "mmap");
    reference();
    for (size_t i = 0; i < ROWS; i++) {
        call = table[i].call;
        for (fault = table[i].errors; fault->name != NULL; fault++) {
            if (argc > 1 && strcmp(argv[1], call) != 0)
                continue;
            if (argc > 2 && strcmp(argv[2], fault->name) != 0)
                continue;
            begin_job(argc > 3 ? (uint32_t)atoi(argv[3]) : 0, &running, jobs);
        }
    }
    while (wait(NULL) > 0)
        continue;
    printf("%u injections\n", shared->injections);
    return shared->failures > 0 || shared->injections == 0;
}
