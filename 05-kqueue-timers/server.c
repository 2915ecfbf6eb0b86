/*
 * Step 5: time, and the end.
 *
 * A queue reports more than descriptors. EVFILT_TIMER publishes an event when
 * a time has passed, EVFILT_SIGNAL when a signal was sent to this process.
 *
 * Idle clients. One timer each would be simple, but every message would have
 * to restart one, and OpenBSD allows a process 1024 timers. One timer is
 * enough, with the clients in a list in order of their last activity:
 *
 *     least_recent                                    most_recent
 *     [ 7: 58 s ] <--> [ 6: 31 s ] <--> [ 9: 2 s ] <--> [ 8: 0 s ]
 *         |                                               ^
 *         the timer runs until 7's time is up             a message moves its
 *                                                         client to this end
 *
 * A message costs the same however many clients there are. The timer need not
 * follow: when it fires and the first client has spoken in the meantime, it
 * is started again for the one that is first now.
 *
 * The end. SIGINT (Ctrl-C) and SIGTERM arrive as events, so they never
 * interrupt anything. The server then accepts nobody, sends out all that it
 * has read, shuts down its side of each connection, and waits for the clients
 * to do the same (a graceful shutdown): close() with bytes unread, or with
 * more to come, makes the kernel send a reset, which can destroy what is still
 * on its way to the client. A last timer bounds that wait, and a second signal
 * ends it at once.
 *
 * Timers and signals close clients whose own events may stand further down in
 * the same batch. So they are answered when all others are.
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
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { DEFAULT_PORT = 9999, MAX_EVENTS = 256 };

/* All times in milliseconds. A timer's ident is any number that we choose. */
enum { DEFAULT_IDLE = 60000, STOP_TIME = 3000, RETRY_TIME = 1000 };
enum { IDLE_TIMER = 1, STOP_TIMER, RETRY_TIMER };

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
    struct client *previous;
    struct client *next;
    int64_t last_active; /* see now() */
};

static int kq; /* the queue's descriptor */

/* The ends of the list of clients; NULL when there are none. */
static struct client *least_recent;
static struct client *most_recent;
static int64_t idle_time;       /* in nanoseconds */
static bool idle_timer_running; /* it is started when there are clients */

/* Out of descriptors, the listener's knote is disabled. */
static bool accepting = true;
static bool retry; /* a descriptor is free again */

static bool stopping; /* since the first SIGINT or SIGTERM */

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

/* Starts a timer that fires once, and is gone then: 0, or -1 and errno. */
static int start_timer(int ident, int64_t milliseconds)
{
    struct kevent timer;

    EV_SET(&timer, ident, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, milliseconds,
           NULL);
    return kevent(kq, &timer, 1, NULL, 0, NULL);
}

/* Nanoseconds on a clock that is never set back, unlike the time of day. */
static int64_t now(void)
{
    struct timespec t;

    if (clock_gettime(CLOCK_MONOTONIC, &t) < 0)
        err(1, "clock_gettime");
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void list_remove(struct client *c)
{
    if (c->previous != NULL)
        c->previous->next = c->next;
    else
        least_recent = c->next;
    if (c->next != NULL)
        c->next->previous = c->previous;
    else
        most_recent = c->previous;
}

static void list_append(struct client *c)
{
    c->previous = most_recent;
    c->next = NULL;
    if (most_recent != NULL)
        most_recent->next = c;
    else
        least_recent = c;
    most_recent = c;
    c->last_active = now();
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
    list_append(c);
}

/* close() removes the knotes of a descriptor: nothing to unsubscribe. */
static void drop(struct client *c, const char *reason)
{
    hang_up(c->fd, reason, c->echoed);
    list_remove(c);
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
    /*
     * The timer may run still, when a client left before its time. Systems
     * differ in what EV_ADD does to it then, so it is deleted first.
     */
    change(RETRY_TIMER, EVFILT_TIMER, EV_DELETE, NULL);
    /* Not without the timer: with no client to leave we would stay deaf. */
    if (start_timer(RETRY_TIMER, RETRY_TIME) < 0 ||
        change(listener, EVFILT_READ, EV_DISABLE, NULL) < 0)
        return;
    accepting = false;
    retry = false;
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

/* This client is active: it moves to the other end of the list. */
static void touch(struct client *c)
{
    list_remove(c);
    list_append(c);
}

/* Says that no more will come. The client, told so, will close its side. */
static void finish(struct client *c)
{
    if (shutdown(c->fd, SHUT_WR) < 0)
        drop(c, "reset");
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
    if (stopping) /* our side is shut down: read on, for the end */
        return;
    touch(c);
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
    if (taken > 0)
        touch(c);
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
    else if (stopping)
        finish(c);
}

/* Answers one event of a socket. */
static void handle(int listener, const struct kevent *event)
{
    if (event->ident == (uintptr_t)listener)
        accept_clients(listener, event->data);
    else if (event->filter == EVFILT_READ)
        readable(event->udata);
    else
        writable(event->udata);
}

/*
 * Runs the idle timer while there are clients, until the time of the longest
 * silent is up. A message does not touch it, so it may fire too soon, never
 * too late.
 */
static void run_idle_timer(void)
{
    int64_t left;

    if (idle_timer_running || stopping || least_recent == NULL)
        return;
    /* Rounded up: a rest of 0 ms would fire in vain, or be refused. */
    left = least_recent->last_active + idle_time - now();
    left = left > 0 ? (left + 999999) / 1000000 : 1;
    idle_timer_running = start_timer(IDLE_TIMER, left) == 0;
}

/*
 * Closes the clients that have been silent too long, each after a last try.
 * Its event may wait in the next batch. And a client that reads slowly has
 * perhaps made room of which EVFILT_WRITE says nothing: Linux waits until a
 * third of the send buffer is free.
 */
static void drop_idle(void)
{
    int64_t time = now();
    struct client *c, *next;

    for (c = least_recent; c != NULL && time - c->last_active >= idle_time;
         c = next) {
        next = c->next;
        if (c->output != NULL)
            writable(c);
        else
            readable(c);
    }
    /* Who was active has left this end of the list. */
    while (least_recent != NULL &&
           time - least_recent->last_active >= idle_time)
        drop(least_recent, "idle");
}

/* The time for a graceful shutdown is up. */
static void cut_off(void)
{
    while (least_recent != NULL)
        drop(least_recent, "cut off");
}

/* The first signal begins the end, the second is the end. */
static void stop(int listener)
{
    struct client *c, *next;

    if (stopping)
        errx(1, "stopped at once");
    stopping = true;
    printf("stopping\n");
    close(listener);
    for (c = least_recent; c != NULL; c = next) {
        next = c->next;
        if (c->output == NULL)
            finish(c); /* else writable() does, when all is sent */
    }
    if (start_timer(STOP_TIMER, STOP_TIME) < 0)
        cut_off();
}

/* A timer has fired. */
static void expire(uintptr_t timer)
{
    switch (timer) {
    case IDLE_TIMER:
        idle_timer_running = false;
        if (!stopping) /* STOP_TIMER is the limit then */
            drop_idle();
        break;
    case STOP_TIMER:
        cut_off();
        break;
    case RETRY_TIMER:
        retry = true;
        break;
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
     * is here: a client has one knote enabled, so one event, and in this walk
     * only that closes it.
     */
    for (int i = 0; i < n; i++)
        if (events[i].filter == EVFILT_READ || events[i].filter == EVFILT_WRITE)
            handle(listener, &events[i]);
    /* These close any client, so they come when no event names one any more. */
    for (int i = 0; i < n; i++) {
        if (events[i].filter == EVFILT_TIMER)
            expire(events[i].ident);
        else if (events[i].filter == EVFILT_SIGNAL)
            stop(listener);
    }
    run_idle_timer();
    /* Accept again when a client has left, or when the timer says: try. */
    if (!accepting && retry && !stopping)
        accepting = change(listener, EVFILT_READ, EV_ENABLE, NULL) == 0;
}

/*
 * EVFILT_SIGNAL does not replace what a signal does, it only reports it. By
 * default these two end the process, so they are ignored first.
 */
static void watch_signal(int number)
{
    signal(number, SIG_IGN);
    if (change(number, EVFILT_SIGNAL, EV_ADD, NULL) < 0)
        err(1, "kevent");
}

int main(int argc, char **argv)
{
    long port = argc > 1 ? parse(argv[1], 0, 65535) : DEFAULT_PORT;
    long idle = argc > 2 ? parse(argv[2], 1, INT_MAX) : DEFAULT_IDLE;
    int listener;

    if (argc > 3 || port < 0 || idle < 0) {
        fprintf(stderr, "usage: %s [port [idle-ms]]\n", argv[0]);
        return 2;
    }
    idle_time = (int64_t)idle * 1000000;

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
    watch_signal(SIGINT);
    watch_signal(SIGTERM);
    listener = open_listener((int)port);
    if (fcntl(listener, F_SETFL, O_NONBLOCK) < 0)
        err(1, "fcntl");
    if (change(listener, EVFILT_READ, EV_ADD, NULL) < 0)
        err(1, "kevent");
    while (!stopping || least_recent != NULL)
        process_events(listener);
    return 0;
}
