/* EVFILT_READ: bytes, and how many it waits for. */
#include "expect.h"
#include "helpers.h"

/* Level-triggered: it comes again until the bytes are read. */
static void read_level(const int fd[2])
{
    int kq = queue();

    CHANGE_UDATA(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0, 5);
    EXPECT_SILENCE(kq);
    put(fd[1], 5);
    await_bytes(fd[0], 5);
    CHECK(AWAIT_EVENT(kq, fd[0], EVFILT_READ, 0, 5).udata == UDATA(5));
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 5);
    put(fd[1], 2); /* data is counted when the event is collected */
    await_bytes(fd[0], 7);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 7);
    take(fd[0], 4);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 3);
    take(fd[0], 3);
    EXPECT_SILENCE(kq);
}

TEST(read_tcp)
{
    int fd[2];

    tcp_pair(fd);
    read_level(fd);
}

TEST(read_unix)
{
    int fd[2];

    unix_pair(fd);
    read_level(fd);
}

TEST(read_pipe)
{
    int fd[2];

    SYS(pipe(fd));
    read_level(fd);
}

TEST(read_tty)
{
    int fd[2], back[2];

    tty_pair(fd);
    read_level(fd);
    back[0] = fd[1];
    back[1] = fd[0];
    read_level(back);
}

TEST(read_fifo)
{
    char path[64];
    int kq = queue(), fd[2];

    snprintf(path, sizeof path, "/tmp/kqueue_test.%jd", (intmax_t)getpid());
    SYS(mkfifo(path, 0600));
    fd[0] = SYS(open(path, O_RDONLY | O_NONBLOCK));
    fd[1] = SYS(open(path, O_WRONLY | O_NONBLOCK));
    SYS(unlink(path));
    read_level(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    put(fd[1], 2);
    SYS(close(fd[1]));
    AWAIT_EVENT(kq, fd[0], EVFILT_READ, EV_EOF, 2);
    take(fd[0], 2);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, EV_EOF, 0);
}

/* What data counts for datagrams differs (addresses, all or the first). */
TEST(read_datagrams)
{
    int kq = queue(), fd[2];

    SYS(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd));
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    put(fd[1], 5);
    put(fd[1], 6);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, SOME);
    CHECK_EQUAL(read(fd[0], block, sizeof block), 5);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, SOME);
    CHECK_EQUAL(read(fd[0], block, sizeof block), 6);
    EXPECT_SILENCE(kq);
}

/* uipc_socket.c, all: an error makes a socket ready, and is not consumed. */
TEST(read_udp_error)
{
    struct sockaddr_in address = dead_address(SOCK_DGRAM);
    int kq = queue(), fd = SYS(socket(AF_INET, SOCK_DGRAM, 0));

    SYS(connect(fd, (struct sockaddr *)&address, sizeof address));
    CHANGE(kq, fd, EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    put(fd, 1);
    EXPECT_EVENT(kq, fd, EVFILT_READ, ANY_FLAGS, ANY);
    EXPECT_EVENT(kq, fd, EVFILT_READ, ANY_FLAGS, ANY);
    nonblocking(fd);
    CHECK_EQUAL(read(fd, block, 1), -1);
    CHECK_EQUAL(errno, ECONNREFUSED);
    EXPECT_SILENCE(kq);
}

/* NOTE_LOWAT: a low-water mark of the knote, in data. */
TEST(read_lowat)
{
    int kq = queue(), fd[2];

    tcp_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 10);
    put(fd[1], 9);
    await_bytes(fd[0], 9);
    EXPECT_SILENCE(kq);
    put(fd[1], 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 10);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 10);
    take(fd[0], 1);
    EXPECT_SILENCE(kq);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 9);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 9);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 11);
    EXPECT_SILENCE(kq);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 9);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 11);
    SYS(close(fd[1])); /* the end counts, however few bytes there are */
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, EV_EOF, 9);
}

TEST(read_lowat_unix)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 10);
    put(fd[1], 9);
    EXPECT_SILENCE(kq);
    put(fd[1], 3);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 12);
    take(fd[0], 3);
    EXPECT_SILENCE(kq);
}

TEST(read_lowat_clear)
{
    int kq = queue(), fd[2];

    tcp_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_CLEAR, NOTE_LOWAT, 10);
    put(fd[1], 6);
    await_bytes(fd[0], 6);
    EXPECT_SILENCE(kq);
    put(fd[1], 6);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 12);
    EXPECT_SILENCE(kq);
    put(fd[1], 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 13);
    EXPECT_SILENCE(kq);
}

/* A knote's mark is not the socket's: neither recv() nor another queue
   waits for it. */
TEST(read_lowat_is_per_knote)
{
    int kq = queue(), other = queue(), fd[2];
    struct pollfd p;

    tcp_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 10);
    CHANGE(other, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    put(fd[1], 1);
    EXPECT_EVENT(other, fd[0], EVFILT_READ, 0, 1);
    EXPECT_SILENCE(kq);
    p.fd = fd[0];
    p.events = POLLIN;
    CHECK_EQUAL(poll(&p, 1, LIMIT_MS), 1);
    take(fd[0], 1); /* blocks if the mark is the socket's */
}

TEST(read_lowat_costs_no_cpu)
{
    int kq = queue(), fd[2], unix_fd[2];

    tcp_pair(fd);
    unix_pair(unix_fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 10);
    CHANGE(kq, unix_fd[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 10);
    put(fd[1], 1);
    put(unix_fd[1], 1);
    EXPECT_IDLE(kq);
    put(fd[1], 9);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 10);
}

/* SO_RCVLOWAT, the socket's own mark, counts too: uipc_socket.c, all. */
TEST(read_socket_lowat)
{
    int kq = queue(), fd[2], mark = 10;

    tcp_pair(fd);
    SYS(setsockopt(fd[0], SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof mark));
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    put(fd[1], 9);
    await_bytes(fd[0], 9);
    EXPECT_SILENCE(kq);
    put(fd[1], 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 10);
}

/* EV_CLEAR on one filter and none on the other do not mix. */
TEST(read_level_beside_write_clear)
{
    int kq = queue(), fd[2], i;

    unix_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    EXPECT_SILENCE(kq);
    put(fd[1], 2);
    for (i = 0; i < 4; i++)
        EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 2);
    take(fd[0], 2);
    EXPECT_SILENCE(kq);
    put(fd[1], 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
    take(fd[0], 1);
    EXPECT_IDLE(kq);
}

TEST(read_clear_beside_write_level)
{
    int kq = queue(), fd[2], i;

    unix_pair(fd);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD | EV_DISABLE, 0, 0);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    put(fd[1], 2);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 2);
    EXPECT_SILENCE(kq);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ENABLE, 0, 0);
    for (i = 0; i < 4; i++)
        EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_DISABLE, 0, 0);
    EXPECT_IDLE(kq);
    put(fd[1], 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 3);
    EXPECT_SILENCE(kq);
}
