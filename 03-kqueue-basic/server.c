/*
 * Step 3: subscribe.
 *
 * Step 2 told the kernel at every turn what it waits for. kqueue(2) makes a
 * queue in the kernel that remembers. It is a publish-subscribe system: the
 * process subscribes once to each descriptor, the kernel publishes events.
 *
 * kqueue() makes the queue and returns a descriptor for it. kevent() does the
 * rest; it takes two lists of struct kevent:
 *
 *     kevent(kq, changelist, nchanges, eventlist, nevents, timeout)
 *
 *     changelist   what to change: subscribe (EV_ADD), unsubscribe, ...
 *     eventlist    room for the answers: failed changes and events
 *
 * A subscription is called a knote. It is named by an ident and a filter:
 * here a descriptor and EVFILT_READ, "there is something to read".
 *
 *     this process                   kernel
 *     changelist --(fd 5, READ)-->   knotes    4 READ, listener: idle
 *                                              5 READ, client: 12 bytes
 *                                              6 READ, client: idle
 *     eventlist  <--(fd 5, READ)--   ready     5
 *
 * One turn of the loop costs what happened, not what could have happened:
 * no set is copied, and an idle client is not looked at.
 *
 * The filter is level-triggered: while bytes are left, each kevent() reports
 * the descriptor again. So one recv() an event is enough, and nothing is lost.
 *
 * The flaws: the sockets still block. A client that sends but never reads
 * stops everyone in send(). A connection that is reset while it waits may
 * leave the backlog before accept() asks for it: then accept() waits for the
 * next one, and everyone with it. And when the process is out of descriptors,
 * accept() fails and the listener stays ready: the loop spins.
 */

#include <sys/types.h>
#include <sys/event.h>
#include <sys/time.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEFAULT_PORT = 9999, MAX_EVENTS = 256 };

/*
 * One buffer serves every client, because nothing stays in it between two
 * calls. Its size matters: a message that takes several rounds of recv() and
 * send() leaves in several segments, and each one can wait for a timer of TCP
 * (see TCP_NODELAY below).
 */
static char buffer[64 * 1024];

/*
 * What we know of a client. Its address travels through the kernel: it goes in
 * with the subscription, as udata, and comes out with each event.
 */
struct client {
    int fd;
    unsigned long long echoed;
};

static int kq; /* the queue's descriptor */

/* A whole number from min to max, or -1. */
static long parse(const char *text, long min, long max)
{
    char *end;
    long number;

    /* strtol() would accept blanks and signs; a port has neither. */
    if (*text < '0' || *text > '9')
        return -1;
    errno = 0;
    number = strtol(text, &end, 10);
    if (*end != '\0' || errno != 0 || number < min || number > max)
        return -1;
    return number;
}

/* The next client gets the lowest free descriptor: is there one? */
static void check_descriptors(int listener)
{
    int spare = dup(listener);

    if (spare < 0)
        err(1, "no descriptor for a client");
    close(spare);
}

/* Makes the listener and says where it listens. */
static int open_listener(int port)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0)
        err(1, "socket");

    /*
     * A connection that this server closed first stays in the kernel for half
     * a minute or more (TIME_WAIT) and holds on to the port. Without
     * SO_REUSEADDR a restarted server could not bind it until then.
     */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt SO_REUSEADDR");

    /* Loopback only: no other machine can connect. */
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((in_port_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        err(1, "bind 127.0.0.1:%d", port);

    /* SOMAXCONN: the longest backlog that systems grant by default. */
    if (listen(fd, SOMAXCONN) < 0)
        err(1, "listen");

    check_descriptors(fd);
    /* Port 0 means any free port: only the kernel knows which it took. */
    if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        err(1, "getsockname");
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    return fd;
}

/* Takes one client from the backlog, or returns -1 and errno. */
static int accept_client(int listener)
{
    static int reported;
    int on = 1;
    int client = accept(listener, NULL, NULL);

    if (client < 0) {
        /*
         * ECONNABORTED: the client left while it waited in the backlog.
         * EINTR: a signal came. EAGAIN: the backlog is empty, and the listener
         * does not block (from step 4 on). All are harmless. Any other error
         * is reported once, not each time that the caller tries again.
         */
        int error = errno;
        if (error != ECONNABORTED && error != EINTR && error != EAGAIN &&
            error != reported) {
            reported = error;
            warn("accept");
        }
        errno = error;
        return -1;
    }
    reported = 0;

    /*
     * By default TCP holds a small segment back while an earlier one is not
     * acknowledged (Nagle's algorithm), and the client may delay that
     * acknowledgement by 40 ms or more. An echo should not wait for it.
     */
    if (setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0) {
        /* It has been reset already: EINVAL on macOS, ECONNRESET elsewhere. */
        close(client);
        errno = ECONNABORTED;
        return -1;
    }
    printf("client %d connected\n", client);
    return client;
}

static void hang_up(int client, const char *reason, unsigned long long echoed)
{
    printf("client %d %s, %llu bytes echoed\n", client, reason, echoed);
    close(client);
}

/* Sends it all, or returns -1. */
static int send_all(int client, const char *data, size_t length)
{
    /*
     * send() returns how many bytes found room in the send buffer, which can
     * be fewer than it was given: the rest is still ours to send.
     */
    while (length > 0) {
        ssize_t n = send(client, data, length, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        data += n;
        length -= (size_t)n;
    }
    return 0;
}

/*
 * Sends back what the client has sent so far. Returns the number of bytes, 0
 * when the client will send no more, -1 when the connection is lost.
 *
 * recv() returns as soon as there is any byte at all. TCP carries a stream:
 * what the client sent with one call may arrive in pieces, or two together.
 */
static ssize_t echo(int client)
{
    ssize_t n;

    do
        n = recv(client, buffer, sizeof buffer, 0);
    while (n < 0 && errno == EINTR);
    if (n > 0 && send_all(client, buffer, (size_t)n) < 0)
        return -1;
    return n;
}

/*
 * Makes one change: 0, or -1 and errno.
 *
 * When a change fails and the eventlist has room, kevent() returns not -1 but
 * an entry with EV_ERROR in flags and the errno in data. EV_RECEIPT asks for
 * such an entry in any case, with data 0 for success. It also keeps this call
 * from returning events, which belong in process_events().
 */
static int change(int ident, int filter, int flags, void *udata)
{
    struct kevent request, receipt;

    EV_SET(&request, ident, filter, flags | EV_RECEIPT, 0, 0, udata);
    if (kevent(kq, &request, 1, &receipt, 1, NULL) < 0)
        return -1;
    if ((receipt.flags & EV_ERROR) && receipt.data != 0) {
        errno = (int)receipt.data;
        return -1;
    }
    return 0;
}

/* Subscribes to a client: from now on the kernel reports it by itself. */
static void add_client(int client)
{
    struct client *c = calloc(1, sizeof *c);

    if (c == NULL || change(client, EVFILT_READ, EV_ADD, c) < 0) {
        warn("client %d", client);
        hang_up(client, "refused", 0);
        free(c);
        return;
    }
    c->fd = client;
}

/* close() removes the knotes of a descriptor: nothing to unsubscribe. */
static void drop(struct client *c, const char *reason)
{
    hang_up(c->fd, reason, c->echoed);
    free(c);
}

/*
 * There is something to read: bytes, the end, or an error.
 *
 * EV_EOF in the event would say that the client will send no more. It does
 * not say that everything was read: up to data bytes still wait. recv()
 * returns those first, and 0 after them, so we only ask recv().
 */
static void readable(struct client *c)
{
    ssize_t n = echo(c->fd);

    if (n > 0)
        c->echoed += (unsigned long long)n;
    else
        drop(c, n == 0 ? "closed" : "reset");
}

/*
 * Answers one event.
 *
 * data counts what waits: connections for the listener, bytes for a client. We
 * accept once, not data times: data is a hint (macOS counts half-open
 * connections too), and accept() would block where the hint is too high. What
 * is left is reported again.
 */
static void handle(int listener, const struct kevent *event)
{
    if (event->ident == (uintptr_t)listener) {
        int client = accept_client(listener);
        if (client >= 0)
            add_client(client);
    } else {
        readable(event->udata);
    }
}

/* Waits until something has happened, and answers it: once round the loop. */
static void process_events(int listener)
{
    static struct kevent events[MAX_EVENTS];
    int n = kevent(kq, NULL, 0, events, MAX_EVENTS, NULL);

    if (n < 0 && errno != EINTR)
        err(1, "kevent");
    /*
     * An event is stale when its client was closed earlier in the batch. None
     * is here: a client has one knote, so one event, and only that closes it.
     */
    for (int i = 0; i < n; i++)
        handle(listener, &events[i]);
}

int main(int argc, char **argv)
{
    long port = argc > 1 ? parse(argv[1], 0, 65535) : DEFAULT_PORT;
    int listener;

    if (argc > 2 || port < 0) {
        fprintf(stderr, "usage: %s [port]\n", argv[0]);
        return 2;
    }

    /* Each line at once, even into a file or a pipe. */
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);

    /*
     * send() to a client that is gone raises SIGPIPE, which would end the
     * process. Ignored, it leaves an ordinary error: EPIPE.
     */
    signal(SIGPIPE, SIG_IGN);

    kq = kqueue();
    if (kq < 0)
        err(1, "kqueue");
    listener = open_listener((int)port);
    if (change(listener, EVFILT_READ, EV_ADD, NULL) < 0)
        err(1, "kevent");
    for (;;)
        process_events(listener);
}
