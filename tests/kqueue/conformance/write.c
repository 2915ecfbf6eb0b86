/* EVFILT_WRITE. */
#include "expect.h"
#include "helpers.h"

/* Ready while there is room, data being how much; silent when full. */
static void write_level(const int fd[2])
{
    int kq = queue();
    struct kevent ev;

    CHANGE_UDATA(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0, 5);
    ev = EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    CHECK(ev.udata == UDATA(5));
    CHECK(ev.data >= 512); /* the room, not the bytes queued */
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    fill(fd[0]);
    EXPECT_SILENCE(kq);
    EXPECT_IDLE(kq);
    drain(fd[1]);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_DISABLE, 0, 0);
    EXPECT_SILENCE(kq);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ENABLE, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
}

TEST(write_tcp)
{
    int fd[2];

    tcp_pair(fd);
    write_level(fd);
}

TEST(write_unix)
{
    int fd[2];

    unix_pair(fd);
    write_level(fd);
}

TEST(write_pipe)
{
    int fd[2], writer[2];

    SYS(pipe(fd));
    writer[0] = fd[1];
    writer[1] = fd[0];
    write_level(writer);
}

TEST(write_tty)
{
    int kq = queue(), fd[2];

    tty_pair(fd);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_DELETE, 0, 0);
    EXPECT_SILENCE(kq);
}

TEST(write_regular_file)
{
    int kq = queue(), fd = regular_file(10);

    if (OLD_NETBSD)
        skip("EINVAL before NetBSD 10");
    CHANGE(kq, fd, EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_EVENT(kq, fd, EVFILT_WRITE, 0, ANY);
    EXPECT_EVENT(kq, fd, EVFILT_WRITE, 0, ANY);
    CHANGE(kq, fd, EVFILT_WRITE, EV_DISABLE, 0, 0);
    EXPECT_SILENCE(kq);
}

/* There is always room, and none to count. */
TEST(write_regular_file_data)
{
    int kq = queue(), fd = regular_file(10);

    only_on(LIKE_FREEBSD, "only measured on FreeBSD");
    CHANGE(kq, fd, EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_EVENT(kq, fd, EVFILT_WRITE, 0, 0);
    EXPECT_EVENT(kq, fd, EVFILT_WRITE, 0, 0);
}

/* data shrinks as the buffer fills. Sent to a peer that does not read. */
TEST(write_data_is_the_room)
{
    int kq = queue(), fd[2], size = 65536;
    int64_t fresh, room;

    tcp_pair(fd);
    SYS(setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size));
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
    fresh = EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME).data;
    CHECK(fresh >= 4096);
    fill(fd[0]);
    EXPECT_SILENCE(kq);
    for (;;) { /* as soon as there is room again, there is less than at first */
        struct kevent ev;

        CHECK(read(fd[1], block, 4096) > 0);
        if (collect(kq, &ev, 1, 10 * MS) == 1) {
            room = ev.data;
            break;
        }
    }
    CHECK(room >= 1);
    drain(fd[1]);
    AWAIT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    for (size = 0; size < LIMIT_MS; size++) {
        if (EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME).data > room)
            return;
        drain(fd[1]);
        nap(MS);
    }
    fail(HERE, "data did not grow beyond %jd when all was read",
         (intmax_t)room);
}

/* EV_CLEAR: once now, and once more when there is room again. */
static void write_clear_on(const int fd[2])
{
    int kq = queue(), round;

    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    EXPECT_SILENCE(kq);
    for (round = 0; round < 3; round++) {
        struct kevent ev;

        fill(fd[0]);
        while (collect(kq, &ev, 1, 0) == 1)
            continue; /* room that came and went as TCP moved bytes on */
        drain(fd[1]);
        EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
        while (collect(kq, &ev, 1, 20 * MS) == 1)
            drain(fd[1]); /* a BSD wakes the writer at every read */
        EXPECT_SILENCE(kq);
    }
}

TEST(write_clear)
{
    int fd[2];

    unix_pair(fd);
    write_clear_on(fd);
}

TEST(write_clear_tcp)
{
    int fd[2];

    tcp_pair(fd);
    write_clear_on(fd);
}

/* A server's pattern: EVFILT_WRITE is on only while output is pending. */
TEST(write_on_and_off)
{
    int kq = queue(), fd[2], i;

    tcp_pair(fd);
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD | EV_DISABLE, 0, 0);
    for (i = 0; i < 20; i++) {
        EXPECT_SILENCE(kq);
        CHANGE(kq, fd[0], EVFILT_WRITE, EV_ENABLE, 0, 0);
        EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
        CHANGE(kq, fd[0], EVFILT_WRITE, EV_DISABLE, 0, 0);
        EXPECT_SILENCE(kq);
        put(fd[1], 1);
        EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
        CHANGE(kq, fd[0], EVFILT_READ, EV_DISABLE, 0, 0);
        EXPECT_SILENCE(kq);
        CHANGE(kq, fd[0], EVFILT_READ, EV_ENABLE, 0, 0);
        EXPECT_EVENT(kq, fd[0], EVFILT_READ, 0, 1);
        take(fd[0], 1);
    }
}

TEST(write_lowat)
{
    int kq = queue(), fd[2];

    tcp_pair(fd);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, NOTE_LOWAT, 1);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_DELETE, 0, 0);
    EXPECT_SILENCE(kq);
    /* uipc_socket.c, macOS: the mark is clamped. */
    if (SYSTEM == MACOS)
        return;
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, NOTE_LOWAT, 1 << 30);
    EXPECT_SILENCE(kq);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
}

/* The peer's FIN ends reading, not writing: uipc_socket.c, all. */
TEST(write_no_eof_at_fin)
{
    int kq = queue(), fd[2];

    tcp_pair(fd);
    SYS(shutdown(fd[1], SHUT_WR));
    CHANGE(kq, fd[0], EVFILT_READ, EV_ADD, 0, 0);
    AWAIT_EVENT(kq, fd[0], EVFILT_READ, EV_EOF, 0);
    CHANGE(kq, fd[0], EVFILT_READ, EV_DELETE, 0, 0);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    put(fd[0], 3);
    take(fd[1], 3);
}

TEST(write_eof_after_reset)
{
    int kq = queue(), fd[2];

    tcp_pair(fd);
    fill(fd[0]);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    close_by_reset(fd[1]);
    AWAIT_EVENT(kq, fd[0], EVFILT_WRITE, EV_EOF, ANY);
    CHECK_EQUAL(socket_error(fd[0]), ECONNRESET); /* not consumed */
}

TEST(write_own_shutdown)
{
    int kq = queue(), fd[2];

    tcp_pair(fd);
    SYS(shutdown(fd[0], SHUT_WR));
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, EV_EOF, ANY);
}

/* No room, and none will come: the end counts, as at the other side. */
static void shut_when_full(const int fd[2])
{
    int kq = queue();

    fill(fd[0]);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    SYS(shutdown(fd[0], SHUT_WR));
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, EV_EOF, ANY);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, EV_EOF, ANY);
}

TEST(write_own_shutdown_when_full)
{
    int fd[2];

    tcp_pair(fd);
    shut_when_full(fd);
    if (SYSTEM == LINUX) /* epoll does not tell of a UNIX socket that is full */
        return;
    unix_pair(fd);
    shut_when_full(fd);
}

TEST(write_own_shutdown_clear)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    EXPECT_SILENCE(kq);
    SYS(shutdown(fd[0], SHUT_WR));
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, EV_EOF, ANY);
    EXPECT_SILENCE(kq);
}

/* uipc_socket.c, all: SBS_CANTSENDMORE is EV_EOF, whenever it is asked. */
TEST(write_own_shutdown_unix)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, 0, SOME);
    SYS(shutdown(fd[0], SHUT_WR));
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, EV_EOF, ANY);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, EV_EOF, ANY);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_DELETE, 0, 0);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, EV_EOF, ANY);
}

TEST(write_unix_peer_gone)
{
    int kq = queue(), fd[2];

    unix_pair(fd);
    fill(fd[0]);
    CHANGE(kq, fd[0], EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    SYS(close(fd[1]));
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, EV_EOF, ANY);
    EXPECT_EVENT(kq, fd[0], EVFILT_WRITE, EV_EOF, ANY);
    CHECK_EQUAL(write(fd[0], block, 1), -1);
    CHECK_EQUAL(errno, EPIPE);
}

/* FreeBSD tells of it once, and the knote is gone (sys_pipe.c, pipeclose());
   the Linux layer and macOS go on. */
TEST(write_pipe_reader_gone)
{
    int kq = queue(), fd[2];

    not_on(NETBSD | OPENBSD, "the writer is not told: sys/kern/sys_pipe.c");
    SYS(pipe(fd));
    fill(fd[1]);
    CHANGE(kq, fd[1], EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    SYS(close(fd[0]));
    EXPECT_EVENT(kq, fd[1], EVFILT_WRITE, EV_EOF, ANY);
    if (SYSTEM == FREEBSD) {
        EXPECT_SILENCE(kq);
        EXPECT_ABSENT(kq, fd[1], EVFILT_WRITE);
        EXPECT_ERROR(EPIPE, kq, fd[1], EVFILT_WRITE, EV_ADD, 0, 0);
    }
    CHECK_EQUAL(write(fd[1], block, 1), -1);
    CHECK_EQUAL(errno, EPIPE);
}

/* A refused connect must not look like success. */
TEST(write_refused_connect)
{
    struct sockaddr_in address = dead_address(SOCK_STREAM);
    int kq = queue(), fd = SYS(socket(AF_INET, SOCK_STREAM, 0));
    int result;

    nonblocking(fd);
    CHANGE(kq, fd, EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    result = connect(fd, (struct sockaddr *)&address, sizeof address);
    if (result == -1 && errno == ECONNREFUSED)
        skip("connect() to a dead port fails at once here");
    CHECK(result == -1 && errno == EINPROGRESS);
    EXPECT_EVENT(kq, fd, EVFILT_WRITE, EV_EOF, ANY);
    EXPECT_EVENT(kq, fd, EVFILT_WRITE, EV_EOF, ANY);
    CHECK_EQUAL(socket_error(fd), ECONNREFUSED);
}

TEST(write_connect)
{
    struct sockaddr_in address;
    int kq = queue(), listener = tcp_listener(&address);
    int fd = SYS(socket(AF_INET, SOCK_STREAM, 0));

    nonblocking(fd);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == -1)
        CHECK_EQUAL(errno, EINPROGRESS);
    CHANGE(kq, fd, EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, fd, EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0);
    EXPECT_EVENT(kq, fd, EVFILT_WRITE, 0, SOME);
    CHECK_EQUAL(socket_error(fd), 0);
    EXPECT_SILENCE(kq);
    SYS(close(SYS(accept(listener, NULL, NULL))));
    EXPECT_EVENT(kq, fd, EVFILT_READ, EV_EOF, 0);
}

/* uipc_socket.c, all: TCP is not writable before it is connected. */
TEST(write_unconnected)
{
    int kq = queue(), fd = SYS(socket(AF_INET, SOCK_STREAM, 0));

    CHANGE(kq, fd, EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    EXPECT_IDLE(kq);
}

/* Knotes made before connect() see what comes after it. */
TEST(write_unconnected_then_connected)
{
    struct sockaddr_in address;
    int kq = queue(), listener = tcp_listener(&address), peer;
    int fd = SYS(socket(AF_INET, SOCK_STREAM, 0));

    CHANGE(kq, fd, EVFILT_READ, EV_ADD, 0, 0);
    CHANGE(kq, fd, EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    SYS(connect(fd, (struct sockaddr *)&address, sizeof address));
    peer = SYS(accept(listener, NULL, NULL));
    EXPECT_EVENT(kq, fd, EVFILT_WRITE, 0, SOME);
    CHANGE(kq, fd, EVFILT_WRITE, EV_DISABLE, 0, 0);
    EXPECT_SILENCE(kq);
    put(peer, 3);
    EXPECT_EVENT(kq, fd, EVFILT_READ, 0, 3);
}

TEST(write_listener)
{
    struct sockaddr_in address;
    int kq = queue(), listener = tcp_listener(&address);

    CHANGE(kq, listener, EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    tcp_connect(&address);
    EXPECT_IDLE(kq);
}

/* kern_event.c, kqueue_kqfilter(): a queue can be read, not written. */
TEST(write_queue)
{
    int kq = queue(), other = queue();

    only_on(LIKE_FREEBSD, "only measured on FreeBSD");
    EXPECT_ERROR(EINVAL, kq, other, EVFILT_WRITE, EV_ADD, 0, 0);
    EXPECT_ABSENT(kq, other, EVFILT_WRITE);
    CHANGE(kq, other, EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
}
