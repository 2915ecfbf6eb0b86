/*
 * Step 4: never block.
 *
 * In step 3 a send() to a full send buffer put the whole server to sleep. Now
 * every socket is non-blocking: a call that would sleep returns EAGAIN. What
 * send() does not take is kept, and the client waits for one of two things:
 *
 *                    send() took it all
 *                       +---------+
 *                       v         |     send() left some: keep it,
 *     accept ---> [ EVFILT_READ ]-+---> EVFILT_READ off, EVFILT_WRITE on
 *                       ^                           |
 *                       |                           v
 *                       +----------------- [ EVFILT_WRITE ]
 *                          all is sent
 *
 * While a client has output to take, nothing more is read from it. Its bytes
 * fill our receive buffer, then its own send buffer, and then its send()
 * blocks: back-pressure. So a client costs at most one buffer, whatever it
 * sends.
 *
 * The flaws: a client that stays silent stays for ever. And Ctrl-C drops what
 * is on its way.
 */

#include <sys/types.h>
#include <sys/event.h>
#include <sys/time.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
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
    char *output;  /* what send() did not take, or NULL */
    size_t length; /* of output */
    size_t sent;   /* of length */
};

static int kq; /* the queue's descriptor */

/* Out of descriptors, the listener's knote is disabled. */
static bool accepting = true;
static bool retry;       /* a descriptor is free again */
static time_t paused_at; /* the second in which it was disabled */

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

    /* On the BSDs and macOS accept() hands O_NONBLOCK down, on Linux not. */
    if (c == NULL || fcntl(client, F_SETFL, O_NONBLOCK) < 0 ||
        change(client, EVFILT_READ, EV_ADD, c) < 0) {
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
    free(c->output);
    free(c);
    retry = true;
}

/* The kernel or malloc() has no memory for what this client needs. */
static void refuse(struct client *c)
{
    warn("client %d", c->fd);
    drop(c, "refused");
}

/*
 * This process has used up its descriptors, or the system has. The connection
 * stays in the backlog, so the listener stays ready, and the loop would spin.
 * Look away until a descriptor is free. (macOS closes the connection instead.)
 */
static void stop_accepting(int listener)
{
    if (change(listener, EVFILT_READ, EV_DISABLE, NULL) < 0)
        return;
    accepting = false;
    retry = false;
    paused_at = time(NULL);
}

/* Takes what waits in the backlog; data is the kernel's hint how many. */
static void accept_clients(int listener, intmax_t data)
{
    /*
     * Not all of a flood: our clients want their turn. But one in any case:
     * data is 0 when FreeBSD reports an error of the listener, for accept().
     */
    for (int i = 0; i == 0 || (i < data && i < MAX_EVENTS); i++) {
        int client = accept_client(listener);
        if (client >= 0) {
            add_client(client);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
                   errno == ENOMEM) {
            stop_accepting(listener);
            return;
        } else if (errno == EAGAIN) { /* the hint was too high */
            return;
        }
    }
}

/* Sends what the client takes now: how many bytes, or -1 when it is lost. */
static ssize_t try_send(struct client *c, const char *data, size_t length)
{
    ssize_t n = send(c->fd, data, length, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n < 0)
        drop(c, "reset");
    else
        c->echoed += (unsigned long long)n;
    return n;
}

/*
 * Keeps what the client did not take, and waits until it takes more. A change
 * overwrites the udata of a knote on most systems: always give the same.
 */
static void keep(struct client *c, const char *data, size_t length)
{
    c->output = malloc(length);
    if (c->output == NULL || change(c->fd, EVFILT_READ, EV_DISABLE, c) < 0 ||
        change(c->fd, EVFILT_WRITE, EV_ADD, c) < 0) {
        refuse(c);
        return;
    }
    memcpy(c->output, data, length);
    c->length = length;
    c->sent = 0;
}

/*
 * There is something to read: bytes, the end, or an error.
 *
 * EV_EOF in the event would say that the client will send no more. It does
 * not say that everything was read: up to data bytes still wait. recv()
 * returns those first, and 0 after them, so we only ask recv(). And when it
 * returns 0, all that was read is sent: with output left we do not read.
 */
static void readable(struct client *c)
{
    ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);
    ssize_t taken;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        drop(c, n == 0 ? "closed" : "reset");
        return;
    }
    /*
     * Send at once. The send buffer almost always has room, and a
     * subscription to EVFILT_WRITE would cost more than the attempt.
     */
    taken = try_send(c, buffer, (size_t)n);
    if (taken >= 0 && taken < n)
        keep(c, buffer + taken, (size_t)(n - taken));
}

/* There is room in the send buffer: go on where the last send() stopped. */
static void writable(struct client *c)
{
    ssize_t taken = try_send(c, c->output + c->sent, c->length - c->sent);

    if (taken < 0)
        return;
    c->sent += (size_t)taken;
    if (c->sent < c->length)
        return;
    free(c->output);
    c->output = NULL;
    /*
     * With nothing to send EVFILT_WRITE must go: a send buffer with room is
     * always ready, and the loop would spin.
     */
    if (change(c->fd, EVFILT_WRITE, EV_DELETE, c) < 0 ||
        change(c->fd, EVFILT_READ, EV_ENABLE, c) < 0)
        refuse(c);
}

/* Answers one event. */
static void handle(int listener, const struct kevent *event)
{
    if (event->ident == (uintptr_t)listener)
        accept_clients(listener, event->data);
    else if (event->filter == EVFILT_READ)
        readable(event->udata);
    else
        writable(event->udata);
}

/* Waits until something has happened, and answers it: once round the loop. */
static void process_events(int listener)
{
    static struct kevent events[MAX_EVENTS];
    static const struct timespec second = {1, 0};
    int n = kevent(kq, NULL, 0, events, MAX_EVENTS, accepting ? NULL : &second);

    if (n < 0 && errno != EINTR)
        err(1, "kevent");
    /*
     * An event is stale when its client was closed earlier in the batch. None
     * is here: a client has one knote enabled, so one event, and only that
     * closes it.
     */
    for (int i = 0; i < n; i++)
        handle(listener, &events[i]);
    /*
     * Accept again when a client has left. And in each new second of the clock,
     * however busy we are: another process may have freed what we lack.
     */
    if (!accepting && (retry || time(NULL) != paused_at))
        accepting = change(listener, EVFILT_READ, EV_ENABLE, NULL) == 0;
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
    if (fcntl(listener, F_SETFL, O_NONBLOCK) < 0)
        err(1, "fcntl");
    if (change(listener, EVFILT_READ, EV_ADD, NULL) < 0)
        err(1, "kevent");
    for (;;)
        process_events(listener);
}
