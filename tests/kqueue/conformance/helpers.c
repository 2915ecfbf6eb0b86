#include "helpers.h"

char block[65536];

/* Write n bytes, all of them. */
void put(int fd, int n)
{
    CHECK_EQUAL(write(fd, block, (size_t)n), n);
}

/* Read n bytes, all of them. */
void take(int fd, int n)
{
    char bytes[256]; /* its own: threads take at the same time */

    while (n > 0) {
        size_t most = n < 256 ? (size_t)n : sizeof bytes;
        int got = SYS(read(fd, bytes, most));

        CHECK(got > 0);
        n -= got;
    }
}

/* On the BSDs even loopback takes a moment. */
void await_bytes(int fd, int n)
{
    int64_t end = time_ns() + LIMIT_MS * MS;
    int have = 0;

    while (SYS(ioctl(fd, FIONREAD, &have)), have < n) {
        CHECK(time_ns() < end);
        nap(MS);
    }
}

void nonblocking(int fd)
{
    SYS(fcntl(fd, F_SETFL, SYS(fcntl(fd, F_GETFL)) | O_NONBLOCK));
}

/* Write until there is no room. */
void fill(int fd)
{
    int quiet = 0;

    nonblocking(fd);
    /* TCP may move what it holds to the peer a moment later. */
    while (quiet < 3) {
        if (write(fd, block, sizeof block) > 0) {
            quiet = 0;
            continue;
        }
        CHECK(errno == EAGAIN || errno == EWOULDBLOCK);
        quiet++;
        nap(5 * MS);
    }
    /* Small pieces, since a pipe takes up to PIPE_BUF bytes whole. */
    while (write(fd, block, 1) > 0)
        continue;
}

void drain(int fd)
{
    nonblocking(fd);
    while (read(fd, block, sizeof block) > 0)
        continue;
}

void unix_pair(int fd[2])
{
    SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
}

int tcp_listener(struct sockaddr_in *address)
{
    socklen_t size = sizeof *address;
    int fd = SYS(socket(AF_INET, SOCK_STREAM, 0));

    memset(address, 0, sizeof *address);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    SYS(bind(fd, (struct sockaddr *)address, sizeof *address));
    SYS(listen(fd, 16));
    SYS(getsockname(fd, (struct sockaddr *)address, &size));
    return fd;
}

int tcp_connect(const struct sockaddr_in *address)
{
    int fd = SYS(socket(AF_INET, SOCK_STREAM, 0));

    SYS(connect(fd, (const struct sockaddr *)address, sizeof *address));
    return fd;
}

void tcp_pair(int fd[2])
{
    struct sockaddr_in address;
    int listener = tcp_listener(&address);

    fd[0] = tcp_connect(&address);
    fd[1] = SYS(accept(listener, NULL, NULL));
    SYS(close(listener));
}

/* An address where nobody listens. A port that is bound would not do: a BSD
   drops what comes for a socket that does not listen. This one is taken by the
   near end of a connection, so nobody else gets it, and is refused to others. */
struct sockaddr_in dead_address(int type)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int fd[2];

    if (type == SOCK_STREAM) {
        tcp_pair(fd);
        SYS(getsockname(fd[0], (struct sockaddr *)&address, &size));
        return address;
    }
    fd[0] = SYS(socket(AF_INET, type, 0));
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    SYS(bind(fd[0], (struct sockaddr *)&address, sizeof address));
    SYS(getsockname(fd[0], (struct sockaddr *)&address, &size));
    SYS(close(fd[0])); /* bound, it would take the datagram */
    return address;
}

int socket_error(int fd)
{
    int error = -1;
    socklen_t size = sizeof error;

    SYS(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size));
    return error;
}

int regular_file(int size)
{
    const char *folder = getenv("TMPDIR");
    char path[1024];
    int fd;

    snprintf(path, sizeof path, "%s/kqueue_test.XXXXXX",
             folder != NULL ? folder : "/tmp");
    fd = SYS(mkstemp(path));
    SYS(unlink(path));
    put(fd, size);
    SYS(lseek(fd, 0, SEEK_SET));
    return fd;
}

/* fd[0] the terminal, fd[1] its controlling side; both raw. */
void tty_pair(int fd[2])
{
    struct termios t;

    fd[1] = posix_openpt(O_RDWR | O_NOCTTY);
    if (fd[1] == -1)
        skip("no pseudo-terminals here");
    SYS(grantpt(fd[1]));
    SYS(unlockpt(fd[1]));
    fd[0] = SYS(open(ptsname(fd[1]), O_RDWR | O_NOCTTY));
    SYS(tcgetattr(fd[0], &t));
    cfmakeraw(&t);
    SYS(tcsetattr(fd[0], TCSANOW, &t));
}

int lowest_free(void)
{
    int fd = SYS(open("/dev/null", O_RDONLY));

    SYS(close(fd));
    return fd;
}

/* ---- Other processes --------------------------------------------------- */

pid_t start_child(void)
{
    pid_t child = SYS(fork());

    if (child == 0)
        alarm(TEST_LIMIT); /* not inherited */
    return child;
}

void stop_child(pid_t child)
{
    SYS(kill(child, SIGKILL));
    SYS(waitpid(child, NULL, 0));
}

int status_of(pid_t child)
{
    int status = -1;

    SYS(waitpid(child, &status, 0));
    return status;
}

/* Send a signal after a moment, once or again and again. */
pid_t start_signaller(int number, bool again)
{
    pid_t parent = getpid(), child = start_child();

    if (child != 0)
        return child;
    do {
        nap(10 * MS);
        kill(parent, number);
    } while (again);
    _exit(0);
}

volatile sig_atomic_t handled;

void handler(int number)
{
    (void)number;
    handled = handled + 1;
}

void handle_with(int number, void (*function)(int), int flags)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = function;
    action.sa_flags = flags;
    SYS(sigaction(number, &action, NULL));
}

void handle(int number, void (*function)(int))
{
    handle_with(number, function, SA_RESTART);
}

void few_descriptors(void)
{
    struct rlimit limit;

    SYS(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = 256;
    SYS(setrlimit(RLIMIT_NOFILE, &limit));
}

void take_all_descriptors(void)
{
    struct rlimit few = {64, 64};

    SYS(setrlimit(RLIMIT_NOFILE, &few));
    while (dup(STDERR_FILENO) >= 0)
        continue;
    CHECK_EQUAL(errno, EMFILE);
}

/* The leak check of a sanitizer opens files. */
void give_some_descriptors(void)
{
    int fd;

    for (fd = 60; fd < 64; fd++)
        close(fd);
}

void start_thread(pthread_t *thread, void *(*function)(void *), void *argument)
{
    CHECK_EQUAL(pthread_create(thread, NULL, function, argument), 0);
}

void kinds_make(struct kind kind[KINDS], int fd[2])
{
    struct kind all[KINDS] = {{0, EVFILT_READ, 0},
                              {0, EVFILT_WRITE, 0},
                              {77, EVFILT_TIMER, 10},
                              {SIGUSR1, EVFILT_SIGNAL, 0},
                              {78, EVFILT_USER, 0}};

    unix_pair(fd);
    handle(SIGUSR1, SIG_IGN);
    all[0].ident = all[1].ident = (uintptr_t)fd[0];
    memcpy(kind, all, sizeof all);
}

void kinds_fire(int kq, const struct kind *kind, const int fd[2])
{
    if (kind->filter == (filter_t)EVFILT_READ)
        put(fd[1], 1);
    else if (kind->filter == (filter_t)EVFILT_SIGNAL)
        SYS(kill(getpid(), SIGUSR1));
    else if (kind->filter == (filter_t)EVFILT_TIMER)
        pass(time_ns() + 30 * MS);
    else if (HAVE_USER && kind->filter == (filter_t)EVFILT_USER)
        CHANGE_UDATA(kq, kind->ident, EVFILT_USER, 0, NOTE_TRIGGER, 0, 8);
}
