/*
 * Step 1: the system calls of a server.
 *
 * A TCP server takes six calls, in this order:
 *
 *     socket   make an endpoint; the kernel returns a descriptor for it
 *     bind     give it an address
 *     listen   from now on the kernel completes connections by itself and
 *              queues them; the endpoint is a listener, the queue its backlog
 *     accept   take the first connection from the backlog: a second
 *              descriptor, for the conversation with that one client
 *     recv     take bytes that the client sent from the receive buffer
 *     send     put bytes for the client into the send buffer
 *
 *                      kernel                          this process
 *     client A ----> [ receive buffer of A ] --recv-->
 *              <---- [ send buffer of A    ] <--send--  serve(A)
 *     client B ----> [ backlog: B, C ]                 (not accepted yet)
 *     client C ---->
 *
 * accept(), recv() and send() block: the process sleeps until there is a
 * connection, a byte, or room. So this server talks to one client at a time.
 *
 * The flaw: B and C are connected, and what they send waits in the kernel,
 * but nobody reads it before A leaves. An idle client keeps everyone waiting.
 */

#include <sys/types.h>
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

/* Serves one client to its end; meanwhile all others wait. */
static void serve(int client)
{
    unsigned long long echoed = 0;
    ssize_t n;

    while ((n = echo(client)) > 0)
        echoed += (unsigned long long)n;
    hang_up(client, n == 0 ? "closed" : "reset", echoed);
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
    for (;;) {
        int client = accept_client(listener);
        if (client >= 0)
            serve(client);
    }
}
