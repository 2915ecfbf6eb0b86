/* EVFILT_READ on sockets that listen, or are not connected yet. */
#include "expect.h"
#include "helpers.h"

/* The data of a listener is the number of connections to accept. */
TEST(read_listener_counts)
{
    struct sockaddr_in address;
    int kq = queue(), listener = tcp_listener(&address), i;

    CHANGE(kq, listener, EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    for (i = 1; i <= 4; i++) {
        tcp_connect(&address);
        AWAIT_EVENT(kq, listener, EVFILT_READ, 0, i);
    }
    for (i = 3; i >= 1; i--) {
        SYS(accept(listener, NULL, NULL));
        EXPECT_EVENT(kq, listener, EVFILT_READ, 0, i);
    }
    SYS(accept(listener, NULL, NULL));
    EXPECT_SILENCE(kq);
}

TEST(read_listener_clear)
{
    struct sockaddr_in address;
    int kq = queue(), listener = tcp_listener(&address);

    CHANGE(kq, listener, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    tcp_connect(&address);
    EXPECT_EVENT(kq, listener, EVFILT_READ, 0, 1);
    EXPECT_SILENCE(kq);
    tcp_connect(&address);
    EXPECT_EVENT(kq, listener, EVFILT_READ, 0, 2);
    EXPECT_SILENCE(kq);
    SYS(accept(listener, NULL, NULL));
    SYS(accept(listener, NULL, NULL));
    EXPECT_SILENCE(kq); /* drained, whatever accept() has woken */
    tcp_connect(&address);
    EXPECT_EVENT(kq, listener, EVFILT_READ, 0, 1);
    EXPECT_SILENCE(kq);
}

/* Without this line in accept() (solisten_dequeue() and the like) a server that
   accepts one connection an event would leave the rest waiting. */
TEST(read_listener_clear_again)
{
    struct sockaddr_in address;
    int kq = queue(), listener = tcp_listener(&address), i;

    not_on(MACOS | DRAGONFLY, "sys/kern/uipc_syscalls.c, these: not read");
    CHANGE(kq, listener, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    for (i = 1; i <= 3; i++) {
        tcp_connect(&address);
        EXPECT_EVENT(kq, listener, EVFILT_READ, 0, i);
        EXPECT_SILENCE(kq);
    }
    for (i = 2; i >= 1; i--) {
        SYS(accept(listener, NULL, NULL));
        EXPECT_EVENT(kq, listener, EVFILT_READ, 0, i);
        EXPECT_SILENCE(kq);
    }
    SYS(accept(listener, NULL, NULL));
    EXPECT_SILENCE(kq);
}

/* uipc_socket.c, all: the mark means bytes, and a listener has none. */
TEST(read_listener_ignores_lowat)
{
    struct sockaddr_in address;
    int kq = queue(), listener = tcp_listener(&address);

    CHANGE(kq, listener, EVFILT_READ, EV_ADD, NOTE_LOWAT, 5);
    EXPECT_SILENCE(kq);
    tcp_connect(&address);
    EXPECT_EVENT(kq, listener, EVFILT_READ, 0, 1);
    SYS(accept(listener, NULL, NULL));
    EXPECT_SILENCE(kq);
}

/* Linux has no count for these: at least 1 is what systems share. */
TEST(read_unix_listener)
{
    struct sockaddr_un address;
    int kq = queue(), fd = SYS(socket(AF_UNIX, SOCK_STREAM, 0)), i;

    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    snprintf(address.sun_path, sizeof address.sun_path,
             "/tmp/kqueue_test.%jd.socket", (intmax_t)getpid());
    SYS(bind(fd, (struct sockaddr *)&address, sizeof address));
    SYS(listen(fd, 8));
    CHANGE(kq, fd, EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    for (i = 0; i < 2; i++)
        SYS(connect(SYS(socket(AF_UNIX, SOCK_STREAM, 0)),
                    (struct sockaddr *)&address, sizeof address));
    SYS(unlink(address.sun_path));
    AWAIT_EVENT(kq, fd, EVFILT_READ, 0, SYSTEM == LINUX ? SOME : 2);
    SYS(accept(fd, NULL, NULL));
    EXPECT_EVENT(kq, fd, EVFILT_READ, 0, SYSTEM == LINUX ? SOME : 1);
    SYS(accept(fd, NULL, NULL));
    EXPECT_SILENCE(kq);
}

/* A socket that was never connected is neither readable nor at its end. */
TEST(read_unconnected)
{
    int kq = queue(), fd = SYS(socket(AF_INET, SOCK_STREAM, 0));

    CHANGE(kq, fd, EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    EXPECT_IDLE(kq);
}

TEST(read_unconnected_then_listening)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int kq = queue(), fd = SYS(socket(AF_INET, SOCK_STREAM, 0));

    not_on(NETBSD, "it asks as it did at EV_ADD: sys/kern/uipc_socket.c");
    CHANGE(kq, fd, EVFILT_READ, EV_ADD, 0, 0);
    EXPECT_SILENCE(kq);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    SYS(bind(fd, (struct sockaddr *)&address, sizeof address));
    SYS(listen(fd, 4));
    SYS(getsockname(fd, (struct sockaddr *)&address, &size));
    EXPECT_SILENCE(kq);
    tcp_connect(&address);
    EXPECT_EVENT(kq, fd, EVFILT_READ, 0, 1);
}

/* As read_listener_clear(): one accept() an event must do. */
TEST(read_unix_listener_clear)
{
    struct sockaddr_un address;
    int kq = queue(), fd = SYS(socket(AF_UNIX, SOCK_STREAM, 0)), i;

    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    snprintf(address.sun_path, sizeof address.sun_path,
             "/tmp/kqueue_test.%jd.socket", (intmax_t)getpid());
    SYS(bind(fd, (struct sockaddr *)&address, sizeof address));
    SYS(listen(fd, 8));
    CHANGE(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    EXPECT_SILENCE(kq);
    for (i = 0; i < 3; i++)
        SYS(connect(SYS(socket(AF_UNIX, SOCK_STREAM, 0)),
                    (struct sockaddr *)&address, sizeof address));
    SYS(unlink(address.sun_path));
    for (i = 0; i < 3; i++) {
        AWAIT_EVENT(kq, fd, EVFILT_READ, 0, SOME);
        SYS(accept(fd, NULL, NULL));
    }
    EXPECT_SILENCE(kq);
}
