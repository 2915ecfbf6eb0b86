/*
 * What an epoll event means to EVFILT_READ and EVFILT_WRITE: is the knote
 * active, what is data, is it EV_EOF?
 *
 *   data       IN           peer FIN        IN|RDHUP (OUT stays)
 *   both shut  IN|RDHUP|HUP RST             IN|OUT|RDHUP|HUP|ERR
 *   pipe, writer gone: HUP  not connected:  OUT|HUP, where BSD reports nothing
 *
 * Both functions return 1: active, 0: not, -1: the event belongs to a file
 * that is closed, or no longer has this number.
 */
#include "kqueue.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>

/* What a number refers to, found out when an event leaves doubt. */
enum { UNKNOWN, TCP, UNIX, DATAGRAM, LISTENER, UNIX_LISTENER, PIPE, OTHER };

static int kind_of(struct fd_knote *k, int fd)
{
    int type, domain;
    struct stat st;
    socklen_t len = sizeof(int);
    if (k->kind != UNKNOWN)
        return k->kind;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
        k->kind = fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) ? PIPE : OTHER;
    else if (type != SOCK_STREAM ||
             getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0)
        k->kind = DATAGRAM;
    else
        k->kind = domain == AF_UNIX ? UNIX : TCP;
    return k->kind;
}

static bool is_socket(struct fd_knote *k, int fd)
{
    int kind = kind_of(k, fd);
    return kind != PIPE && kind != OTHER;
}

bool kq_is_listener(const struct fd_knote *k)
{
    return k->kind == LISTENER || k->kind == UNIX_LISTENER;
}

bool kq_counts_connections(const struct fd_knote *k)
{
    return k->kind == LISTENER;
}

/*
 * Bytes to read or connections to accept; -1 if the descriptor is closed.
 * ioctl_list(2): FIONREAD is EINVAL on a listener. Its queue length is in
 * TCP_INFO (tcp(7)); UNIX sockets do not tell theirs.
 */
int kq_readable(struct fd_knote *k, int fd)
{
    int n = 1;
    struct tcp_info info;
    socklen_t len = sizeof info;
    if (!kq_is_listener(k)) {
        if (ioctl(fd, FIONREAD, &n) == 0)
            return n;
        if (errno == EBADF)
            return -1;
        if (errno != EINVAL || !is_socket(k, fd))
            return 1;
        k->kind = kind_of(k, fd) == UNIX ? UNIX_LISTENER : LISTENER;
    }
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0)
        return (int)info.tcpi_unacked;
    return errno == EBADF ? -1 : 1;
}

/*
 * Is the file still the one that was registered? Only the kernel knows; but a
 * question an event would show in the cost of an echo. So it is asked when
 * there is nothing to read, when a child may hold the old file open, and else
 * not again within 10 ms: a busy descriptor is not asked.
 */
static bool same_file(struct kqueue *kq, int which, int fd, struct fd_knote *k,
                      int64_t n)
{
    if (n > 0 && kq->now - k->checked < 10 &&
        !__atomic_load_n(&kq_forked, __ATOMIC_RELAXED))
        return true;
    k->checked = kq->now;
    return kq_registered(kq_set(kq, which), fd);
}

int kq_read_ready(struct kqueue *kq, int fd, struct fd_knote *k,
                  uint32_t events, struct kevent *out)
{
    if (!(events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
        return 0;
    int n = kq_readable(k, fd);
    if (n < 0 || !same_file(kq, READ, fd, k, n))
        return -1;
    bool eof = (events & EPOLLRDHUP) != 0;
    if (!eof && events & EPOLLHUP) {
        if (is_socket(k, fd))
            return 0;
        eof = true;
    }
    out->data = n;
    out->flags = eof ? EV_EOF : 0;
    if (eof || events & EPOLLERR)
        return 1;
    if (n == 0) { /* another thread took it, or an empty datagram, or tty ^D */
        int kind = kind_of(k, fd);
        return kind == DATAGRAM || kind == OTHER;
    }
    return n >= k->low_water || kq_is_listener(k);
}

/*
 * Free space, as near as Linux tells: SO_MEMINFO (linux/sock_diag.h: [2] is
 * wmem_alloc, [3] sndbuf, [5] wmem_queued), or the pipe's size less its fill.
 */
static int64_t writable(int fd, int64_t *capacity)
{
    uint32_t m[16] = {0};
    socklen_t len = sizeof m;
    int64_t used = 0;
    int fill;
    *capacity = INT_MAX;
    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, m, &len) == 0)
        *capacity = m[3], used = m[2] > m[5] ? m[2] : m[5];
    else if (errno == EBADF)
        return -1;
    else if (fcntl(fd, F_GETPIPE_SZ) > 0 && ioctl(fd, FIONREAD, &fill) == 0)
        *capacity = fcntl(fd, F_GETPIPE_SZ), used = fill;
    else
        return 1;
    return *capacity > used ? *capacity - used : 1;
}

/*
 * Has the program shut its sending side down? epoll says OUT as before. TCP
 * has left the states in which it may send. A UNIX socket refuses even to send
 * nothing, and that disturbs nobody; TCP would give up its pending error.
 */
static bool shut_for_writing(struct fd_knote *k, int fd)
{
    struct tcp_info info;
    socklen_t len = sizeof info;
    if (kind_of(k, fd) == UNIX)
        return send(fd, "", 0, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
               errno == EPIPE;
    if (k->kind != TCP || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
        return false;
    return info.tcpi_state == TCP_FIN_WAIT1 ||
           info.tcpi_state == TCP_FIN_WAIT2 || info.tcpi_state == TCP_CLOSING ||
           info.tcpi_state == TCP_LAST_ACK || info.tcpi_state == TCP_TIME_WAIT;
}

int kq_write_ready(struct kqueue *kq, int fd, struct fd_knote *k,
                   uint32_t events, struct kevent *out)
{
    if (!(events & (EPOLLOUT | EPOLLHUP | EPOLLERR)))
        return 0;
    int64_t capacity;
    out->data = writable(fd, &capacity);
    if (out->data < 0 || !same_file(kq, WRITE, fd, k, out->data))
        return -1;
    bool eof = (events & EPOLLHUP) != 0;
    if (eof && is_socket(k, fd)) {
        struct pollfd now = {.fd = fd, .events = POLLRDHUP};
        if (poll(&now, 1, 0) < 1 || !(now.revents & POLLRDHUP))
            return 0; /* not connected yet */
    }
    eof = eof || (events & EPOLLERR && !is_socket(k, fd)) ||
          shut_for_writing(k, fd);
    out->flags = eof ? EV_EOF : 0;
    return eof || k->low_water <= capacity;
}
