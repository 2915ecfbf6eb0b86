/*
 * Step 2: wait for many.
 *
 * Step 1 slept inside a call that concerns one client. select(2) sleeps until
 * one of many descriptors is ready: the listener when a connection waits in
 * its backlog, a client when it has bytes to read or has ended. The call that
 * follows then does not sleep, unless what was ready is gone by then.
 *
 * The set of descriptors is an fd_set, an array of bits, one for each number
 * below FD_SETSIZE (mostly 1024, so 128 bytes). select() overwrites it with
 * its answer. So each turn of the loop does all of this, as the article
 * counts it:
 *
 *     1. copy the master set into a temporary one     128 bytes, first copy
 *     2. call select()
 *     3. the kernel copies the set in                 second copy
 *     4. it asks every descriptor in the set; one becomes ready
 *     5. the kernel copies the answer out             third copy
 *     6. walk over all the bits to find those set     up to 1024 bits
 *
 *     descriptor  0 1 2 3 4 5 6 7 8
 *     master      . . . 1 1 1 . 1 .     what we want to know about
 *     ready       . . . . . 1 . . .     what select() answers
 *
 * The flaws: the copies and the walk cost the same whether one client speaks
 * or all do. A descriptor of FD_SETSIZE or more has no bit. Out of descriptors
 * accept() fails and the loop spins. And a client that sends but never reads
 * still blocks everyone: our send buffer for it fills up, and send() waits.
 */

#include <sys/types.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEFAULT_PORT = 9999 };

/*
 * One buffer serves every client, because nothing stays in it between two
 * calls. Its size matters: a message that takes several rounds of recv() and
 * send() leaves in several segments, and each one can wait for a timer of TCP
 * (see TCP_NODELAY below).
 */
static char buffer[64 * 1024];

/* The descriptors to wait for, the highest of them, the bytes echoed to each. */
static fd_set master;
static int highest;
static unsigned long long totals[FD_SETSIZE];

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
    if (spare >= FD_SETSIZE)
        errx(1, "select() takes only descriptors below %d", (int)FD_SETSIZE);
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

/* Adds a client to those that the next select() waits for. */
static void add_client(int client)
{
    /*
     * FD_SET() does not check: beyond the end of the set it would write into
     * whatever lies behind it. A higher descriptor cannot be served here.
     */
    if (client >= FD_SETSIZE) {
        warnx("client %d: select() takes only descriptors below %d", client,
              (int)FD_SETSIZE);
        hang_up(client, "refused", 0);
        return;
    }
    totals[client] = 0;
    FD_SET(client, &master);
    if (client > highest)
        highest = client;
}

/* Answers a client that select() found ready. */
static void serve(int client)
{
    ssize_t n = echo(client);

    if (n > 0) {
        totals[client] += (unsigned long long)n;
        return;
    }
    /* A closed descriptor left in the set would make select() fail: EBADF. */
    FD_CLR(client, &master);
    while (!FD_ISSET(highest, &master))
        highest--;
    hang_up(client, n == 0 ? "closed" : "reset", totals[client]);
}

/* Waits until something is ready, and answers it: once round the event loop. */
static void process_events(int listener)
{
    fd_set ready = master;
    int last = highest;

    if (select(last + 1, &ready, NULL, NULL, NULL) < 0) {
        if (errno == EINTR)
            return;
        err(1, "select");
    }
    /*
     * A client accepted during the walk can take over the number of one that
     * was closed during the walk, whose bit may still be set in ready. Here
     * it cannot: the listener has the lowest number, so we accept first.
     */
    for (int fd = listener; fd <= last; fd++) {
        if (!FD_ISSET(fd, &ready))
            continue;
        if (fd != listener) {
            serve(fd);
        } else {
            int client = accept_client(listener);
            if (client >= 0)
                add_client(client);
        }
    }
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

    listener = open_listener((int)port);
    FD_ZERO(&master);
    FD_SET(listener, &master);
    highest = listener;
    for (;;)
        process_events(listener);
}
