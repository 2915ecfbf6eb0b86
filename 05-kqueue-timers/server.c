/*
 * Step 5: time, and the end.
 *
 * A queue reports more than descriptors. EVFILT_TIMER publishes an event when
 * a time has passed, EVFILT_SIGNAL when a signal was sent to this process.
 *
 * Idle clients. One timer each would be simple, but every message would have
 * to restart one, and OpenBSD allows a process 1024 timers. One timer is
 * enough, with the clients in order of their last activity:
 *
 *     longest silent                              just active
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
 * to do the same: close() with bytes unread, or with more to come, makes the
 * kernel send a reset, which can destroy what is still on its way to the
 * client. A last timer bounds that wait, and a second signal ends it at once.
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

/* A client waits for EVFILT_WRITE while it has output, else for EVFILT_READ. */
struct client {
    int fd;
    bool gone; /* closed in this batch of events */
    unsigned long long echoed;
    char *output;  /* what send() did not take, or NULL */
    size_t length; /* of output */
    size_t sent;   /* of length */
    struct client *next;
    struct client *previous;
    int64_t last_active; /* see now() */
};

/* The clients, the longest silent first: a ring that this one closes. */
static struct client clients = {.previous = &clients, .next = &clients};

static int kq;
static bool want_clients = true; /* false while descriptors are used up */
static bool listening = true;    /* is the listener's knote enabled? */
static bool stopping;            /* after the first SIGINT or SIGTERM */

/* By timer: is it set? */
static bool running[RETRY_TIMER + 1];
static int64_t idle_time; /* nanoseconds */

/* What the next kevent() submits. The last place is for the listener. */
static struct kevent changes[MAX_EVENTS];
static int nchanges;

/* The clients closed in this batch, linked by next. */
static struct client *gone;

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

    /* Port 0 means any free port: only the kernel knows which it took. */
    if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        err(1, "getsockname");
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    return fd;
}

/* Takes one client from the backlog, or returns -1. */
static int accept_client(int listener)
{
    static int reported;
    int on = 1;
    int client = accept(listener, NULL, NULL);

    if (client < 0) {
        /*
         * ECONNABORTED: the client left while it waited in the backlog.
         * EINTR: a signal came. EAGAIN: the backlog is empty. All are
         * harmless. Any other error is reported once, not each time that the
         * caller tries again; it looks at errno.
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
     * On macOS this fails with EINVAL when the client has gone already.
     */
    if (setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0) {
        warn("setsockopt TCP_NODELAY");
        close(client);
        errno = ECONNABORTED; /* for the caller it is the same */
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

/* Subscribes to a descriptor or another ident; 0, or -1 and errno. */
static int subscribe(int ident, int filter)
{
    struct kevent change, answer;

    /*
     * When a change fails and the eventlist has room, kevent() returns not -1
     * but an event with EV_ERROR in flags and the errno in data. EV_RECEIPT
     * asks for such an answer in any case, with data 0 for success. It also
     * keeps this call from returning events, which belong in the main loop.
     */
    EV_SET(&change, ident, filter, EV_ADD | EV_RECEIPT, 0, 0, NULL);
    if (kevent(kq, &change, 1, &answer, 1, NULL) < 0)
        return -1;
    if ((answer.flags & EV_ERROR) && answer.data != 0) {
        errno = (int)answer.data;
        return -1;
    }
    return 0;
}

/* Nanoseconds on a clock that is never set back, unlike the time of day. */
static int64_t now(void)
{
    struct timespec t;

    if (clock_gettime(CLOCK_MONOTONIC, &t) < 0)
        err(1, "clock_gettime");
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void leave_ring(struct client *c)
{
    c->previous->next = c->next;
    c->next->previous = c->previous;
}

static void join_ring(struct client *c)
{
    c->previous = clients.previous;
    c->next = &clients;
    c->previous->next = c;
    clients.previous = c;
    c->last_active = now();
}

/*
 * Starts a timer that fires once, unless it runs already: the systems differ
 * in what a second EV_ADD does to a running timer. It has a kevent() of its
 * own, since it is started once in a while, not at each message.
 */
static bool start_timer(int ident, int64_t milliseconds)
{
    struct kevent timer;

    if (running[ident])
        return true;
    EV_SET(&timer, ident, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, milliseconds,
           NULL);
    running[ident] = kevent(kq, &timer, 1, NULL, 0, NULL) == 0;
    return running[ident];
}

/*
 * Runs the idle timer while there are clients. A message does not touch it:
 * when it fires, the first client may have spoken, and it is started again.
 */
static void keep_time(void)
{
    int64_t left;

    if (running[IDLE_TIMER] || stopping || clients.next == &clients)
        return;
    /* Rounded up: a rest of 0 ms would fire in vain, or be refused. */
    left = clients.next->last_active + idle_time - now();
    left = left > 0 ? (left + 999999) / 1000000 : 1;
    start_timer(IDLE_TIMER, left);
}

/*
 * Closes a client. The struct stays until the batch ends: an event further
 * down in the batch can still carry its address. The number is free at once,
 * and the next accept() may reuse it; that does no harm, since events are
 * matched by udata, not by number.
 */
static void drop(struct client *c, const char *reason)
{
    hang_up(c->fd, reason, c->echoed);
    leave_ring(c);
    free(c->output);
    c->gone = true;
    c->next = gone;
    gone = c;
    want_clients = true; /* there is a descriptor again */
}

/* A change of a client was refused, for want of kernel memory perhaps. */
static void refuse(struct client *c, int error)
{
    if (c->gone)
        return;
    errno = error;
    warn("client %d", c->fd);
    drop(c, "refused");
}

/*
 * Submits the gathered changes before their time, because the list is full.
 * One by one, without an eventlist: then kevent() returns -1 where the change
 * fails, and waits for nothing.
 */
static void submit(void)
{
    for (int i = 0; i < nchanges; i++) {
        struct client *c = changes[i].udata;
        if (!c->gone && kevent(kq, &changes[i], 1, NULL, 0, NULL) < 0)
            refuse(c, errno);
    }
    nchanges = 0;
}

/* Adds a change to the list. */
static void change(struct client *c, int filter, int flags)
{
    if (nchanges == MAX_EVENTS - 1)
        submit();
    /* Always the same udata: a change overwrites what the knote had. */
    EV_SET(&changes[nchanges], c->fd, filter, flags, 0, 0, c);
    nchanges++;
}

/* Subscribes to a client; from now on the kernel reports it by itself. */
static void add_client(int client)
{
    struct client *c = calloc(1, sizeof *c);

    /* On the BSDs and macOS accept() hands O_NONBLOCK down, on Linux not. */
    if (c == NULL || fcntl(client, F_SETFL, O_NONBLOCK) < 0) {
        warn("client %d", client);
        hang_up(client, "refused", 0);
        free(c);
        return;
    }
    c->fd = client;
    join_ring(c);
    keep_time();
    change(c, EVFILT_READ, EV_ADD);
}

/* Takes what waits in the backlog; data is the kernel's hint how many. */
static void accept_clients(int listener, intmax_t data)
{
    /*
     * Not all of a flood: the clients that we have want their turn. But one
     * in any case: data is 0 when FreeBSD reports an error of the listener,
     * and accept() takes that away.
     */
    for (int i = 0; i == 0 || (i < data && i < MAX_EVENTS); i++) {
        int client = accept_client(listener);
        if (client >= 0) {
            add_client(client);
            continue;
        }
        switch (errno) {
        case EAGAIN: /* the hint was too high */
            return;
        case EMFILE: /* this process has used up its descriptors */
        case ENFILE: /* the whole system has */
        case ENOBUFS:
        case ENOMEM:
            /*
             * The connection stays in the backlog, so the listener stays
             * ready, and the loop would spin. Look away until a descriptor
             * is free. (macOS closes the connection instead.) The timer tries
             * again; without one, a client that leaves; else we try at once.
             */
            want_clients = !start_timer(RETRY_TIMER, RETRY_TIME) &&
                           clients.next == &clients;
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

/* Keeps what the client did not take, and waits until it takes more. */
static void keep(struct client *c, const char *data, size_t length)
{
    c->output = malloc(length);
    if (c->output == NULL) {
        refuse(c, errno);
        return;
    }
    memcpy(c->output, data, length);
    c->length = length;
    c->sent = 0;
    change(c, EVFILT_READ, EV_DISABLE);
    change(c, EVFILT_WRITE, EV_ADD);
}

/* This client is active: it goes to the end of the ring. */
static void touch(struct client *c)
{
    leave_ring(c);
    join_ring(c);
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
    change(c, EVFILT_WRITE, EV_DELETE);
    change(c, EVFILT_READ, EV_ENABLE);
    if (stopping && !c->gone)
        finish(c);
}

/*
 * Closes the clients that have been silent too long, each after a last try.
 * Its event may wait further down in the batch. And a client that reads slowly
 * has perhaps made room of which EVFILT_WRITE says nothing: Linux waits until
 * a third of the send buffer is free.
 */
static void drop_idle(void)
{
    int64_t time = now();
    struct client *c;

    while ((c = clients.next) != &clients &&
           time - c->last_active >= idle_time) {
        if (c->output != NULL)
            writable(c);
        else
            readable(c);
        if (!c->gone && time - c->last_active >= idle_time)
            drop(c, "idle");
    }
}

/* The time for a clean stop is up. */
static void cut_off(void)
{
    while (clients.next != &clients)
        drop(clients.next, "cut off");
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
    for (c = clients.next; c != &clients; c = next) {
        next = c->next;
        if (c->output == NULL)
            finish(c); /* else writable() does, when all is sent */
    }
    if (!start_timer(STOP_TIMER, STOP_TIME))
        cut_off();
}

static void expire(uintptr_t timer)
{
    running[timer] = false;
    switch (timer) {
    case IDLE_TIMER:
        if (!stopping) /* STOP_TIMER is the limit then */
            drop_idle();
        keep_time();
        break;
    case STOP_TIMER:
        cut_off();
        break;
    case RETRY_TIMER:
        want_clients = true;
        break;
    }
}

/* Answers one event that is not a client's. */
static void handle_other(int listener, const struct kevent *event)
{
    if (event->filter == EVFILT_TIMER)
        expire(event->ident);
    else if (event->filter == EVFILT_SIGNAL)
        stop(listener);
    else if (event->flags & EV_ERROR)
        listening = !listening; /* not done; end_batch() tries again */
    else if (!stopping)
        accept_clients(listener, event->data);
}

/* Answers one event. */
static void handle(int listener, const struct kevent *event)
{
    struct client *c = event->udata;

    if (c == NULL)
        handle_other(listener, event);
    else if (c->gone) /* a stale event */
        return;
    else if (event->flags & EV_ERROR)
        refuse(c, (int)event->data);
    else if (event->filter == EVFILT_READ)
        readable(c);
    else
        writable(c);
}

/* No event can name the clients that are gone any more: frees them. */
static void end_batch(int listener)
{
    int kept = 0;

    /*
     * Nor may a change name them. Its descriptor is closed, or worse, it is
     * another client's by now.
     */
    for (int i = 0; i < nchanges; i++) {
        struct client *c = changes[i].udata;
        if (!c->gone)
            changes[kept++] = changes[i];
    }
    nchanges = kept;
    while (gone != NULL) {
        struct client *c = gone;
        gone = c->next;
        free(c);
    }
    if (want_clients != listening && !stopping) {
        listening = want_clients;
        EV_SET(&changes[nchanges], listener, EVFILT_READ,
               listening ? EV_ENABLE : EV_DISABLE, 0, 0, NULL);
        nchanges++;
    }
}

/* One turn: submit the changes, sleep until something happened, answer it. */
static void turn(int listener)
{
    static struct kevent events[MAX_EVENTS];
    int n = kevent(kq, changes, nchanges, events, MAX_EVENTS, NULL);

    /* EINTR too comes after all changes were applied: not twice, then. */
    nchanges = 0;
    if (n < 0 && errno != EINTR)
        err(1, "kevent");
    for (int i = 0; i < n; i++)
        handle(listener, &events[i]);
    end_batch(listener);
}

/*
 * EVFILT_SIGNAL does not replace what a signal does, it only reports it. By
 * default these two end the process, so they are ignored first.
 */
static void watch_signal(int number)
{
    signal(number, SIG_IGN);
    if (subscribe(number, EVFILT_SIGNAL) < 0)
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
    if (subscribe(listener, EVFILT_READ) < 0)
        err(1, "kevent");
    while (!stopping || clients.next != &clients)
        turn(listener);
    return 0;
}
