/*
 * talk: a client that does exactly what a test says, one word after another.
 *
 *     talk PORT A open 1 A send hello A expect hello A shut A eof
 *
 * A capital letter names a group of clients; the words after it are for that
 * group, until the next letter. Within a word all clients of the group work at
 * once. A word that does not come true within the limit, or that finds
 * something else, ends the program with a message and status 1.
 *
 *     open N        N clients connect and join the group
 *     send TEXT     send the text
 *     expect TEXT   the next bytes that come are this text
 *     put N         send N more bytes of the client's stream, read nothing
 *     get N         the next N bytes that come are those of the stream
 *     rest          what was put and has not come back comes
 *     echo N        put N and rest at the same time
 *     fill          put until nothing more is taken
 *     pour N        put N more bytes, or as many of them as are taken
 *     flood         put what is taken until the connection is lost, read nothing
 *     shut          send no more: shutdown(SHUT_WR)
 *     eof           the server sends no more, without another byte
 *     end eof       the same after any number of right bytes of the stream
 *     end reset     the connection is lost, after any number of right bytes
 *     end any       either of both
 *     quiet MS      nothing comes, not a byte and no end, for so long
 *     reset         close, and let the server see a reset
 *     close         close
 *     ping R N MS   R times echo N; the median takes less than MS milliseconds
 *     lasted MS     the end came so long after the last send, or later
 *     within MS     less than this has passed since the last send
 *     mark          take this moment for that of the last send
 *     count         print how many bytes were put and how many came back
 *     buffer N      the receive buffer of clients that are opened after this
 *     sendbuffer N  their send buffer
 *     segment N     so many bytes a segment, at most, of clients opened after
 *                   this: 1460 are usual on Ethernet, loopback takes 65483
 *     pause MS      do nothing
 *     run COMMAND   bash -c COMMAND, which must succeed
 *     signal NAME   send STOP, CONT or TERM to the process SERVER_PID. After STOP
 *                   wait until it has stopped: it runs not one instruction more
 *     every MS N FOR   every MS milliseconds put N bytes and wait for them, for
 *                   FOR milliseconds; if they do not come, only wait for them
 *     drain FOR     for FOR milliseconds read what comes; the end may come too
 *     stay FOR      the same, but read nothing
 *     at MS         wait until so long after RECORD_START
 *
 * For a record (see record.h) the environment has RECORD, the file to write,
 * RECORD_START, the zero of the clock, and SERVER_RECORD, what the server
 * writes. Two words are for those who look at it:
 *
 *     scene NAME TEXT        this moment has a name; but first wait until the
 *                            server sleeps and its record is quiet
 *     next NAME WORDS TEXT   the next call with such words has a name
 *
 *     talk limits                     prints FD_SETSIZE
 *     talk clock                      prints the time of the record's clock
 *     talk alarm SECONDS PROGRAM...   becomes the program, which SIGALRM ends
 *                                     after so long
 *
 * The stream of a client is pseudo-random and differs from all others', so
 * that a byte lost, doubled or meant for another client is found.
 *
 * Every wait has a limit: -t seconds, 10 if not given. With -r MS too the server,
 * the process SERVER_PID, is known to have no timers: when it and its children
 * have slept for so long while a word waits, nothing will come. (On Linux;
 * elsewhere the limit holds.) Exit status: 0 all came true, 1 something did
 * not, 2 the script is wrong.
 */

#include <sys/types.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "buffers.h"

/* So long without room is taken for full; so much is taken for endless. */
enum { FULL_MS = 120, ENDLESS = 64 * 1024 * 1024 };

struct client {
    char name;
    int fd; /* -1 when closed */
    uint64_t key;
    uint64_t put, got;       /* bytes of the stream */
    uint64_t said, heard;    /* bytes of text, which are not of the stream */
    uint64_t put_to, got_to; /* where the word is done */
    int64_t spoke, ended;    /* ms * 1000: the last send, the end */
    bool done;               /* with this word */
    int port, number;        /* its own port; the how-manieth of its group */
    const char *state;       /* for the record: open, half, eof, ... */
    char told[120];          /* the last line about it in the record */
};

static struct client *clients;
static size_t count;
static struct pollfd *polled;
static size_t *polled_client;

static char group = 'A';
static struct sockaddr_in server;
static int receive_buffer, send_buffer, segment;
static int64_t limit = 10 * 1000000; /* microseconds */
static int64_t longest_rest;         /* of -r; 0: the server may have timers */

/* What is being done, for messages. */
static int word_number;
static const char *word, *argument;

static char block[65536];

/* ---- Time and messages -------------------------------------------------- */

static int64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void fail(const struct client *c, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

static void fail(const struct client *c, const char *format, ...)
{
    va_list list;

    fflush(stdout);
    fprintf(stderr, "talk: word %d (%s%s%s): ", word_number, word,
            argument ? " " : "", argument ? argument : "");
    if (c)
        fprintf(stderr, "client %c, no. %ld of all: ", c->name,
                (long)(c - clients) + 1);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    if (c)
        fprintf(stderr, " (put %llu, got %llu)", (unsigned long long)c->put,
                (unsigned long long)c->got);
    fputc('\n', stderr);
    exit(1);
}

static void misuse(const char *what) __attribute__((noreturn));

static void misuse(const char *what)
{
    fprintf(stderr, "talk: word %d: %s: %s\n", word_number, word, what);
    exit(2);
}

/* ---- The record --------------------------------------------------------- */

/*
 * A line is TIME KIND and more, as in record.h:
 *
 *     0.5000 port B2 40312       the second client B has this port
 *     0.5000 client B2 open sent 5 got 0 receive 0 send 0 writable
 *     0.5000 does B put 5        clients B do this, until
 *     0.7000 done B              they have
 *     0.9000 scene full all four buffers are full
 *     0.9000 next off "WRITE: add" READ goes off
 *
 * A client is open; half after shut; then eof or reset, if the server ended
 * the connection, and closed, if it did itself. sent and got are bytes;
 * receive, send and writable are the kernel's state, as in record.h.
 */
static FILE *record;
static double record_start;

static void record_open(void)
{
    const char *name = getenv("RECORD"), *start = getenv("RECORD_START");

    if (name == NULL)
        return;
    record = fopen(name, "w");
    if (record == NULL)
        fail(NULL, "%s: %s", name, strerror(errno));
    if (start != NULL)
        record_start = strtod(start, NULL);
}

static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void tell(const char *format, ...)
{
    va_list list;

    if (record == NULL)
        return;
    fprintf(record, "%.6f ", (double)now() / 1e6 - record_start);
    va_start(list, format);
    vfprintf(record, format, list);
    va_end(list);
    fputc('\n', record);
    fflush(record);
}

static void tell_number(char *line, size_t size, const char *name, int number)
{
    size_t length = strlen(line);

    if (number >= 0)
        snprintf(line + length, size - length, " %s %d", name, number);
}

static void tell_client(struct client *c)
{
    char line[sizeof c->told], name[32] = "";

    if (c->number > 1)
        snprintf(name, sizeof name, "%d", c->number);
    snprintf(line, sizeof line, "client %c%s %s sent %llu got %llu", c->name,
             name, c->state, (unsigned long long)(c->put + c->said),
             (unsigned long long)(c->got + c->heard));
    if (c->fd >= 0) {
        struct pollfd p = {c->fd, POLLOUT, 0};
        tell_number(line, sizeof line, "receive", buffers_to_receive(c->fd));
        tell_number(line, sizeof line, "send", buffers_to_send(c->fd));
        if (poll(&p, 1, 0) > 0)
            strncat(line, " writable", sizeof line - strlen(line) - 1);
    }
    if (strcmp(line, c->told) == 0)
        return;
    if (strcmp(c->state, "open") == 0 && strstr(c->told, " open ") == NULL)
        tell("port %c%s %d", c->name, name, c->port);
    memcpy(c->told, line, sizeof line);
    tell("%s", line);
}

/* What has changed. */
static void tell_clients(void)
{
    for (size_t i = 0; record != NULL && i < count; i++)
        tell_client(&clients[i]);
}

static void tell_state(struct client *c, const char *state)
{
    c->state = state;
    tell_clients();
}

/* poll(), and with a record a look at all clients now and then. */
static int poll_and_tell(struct pollfd *list, nfds_t n, int milliseconds)
{
    const int tick = 10;
    int ready = 0;

    if (record == NULL)
        return poll(list, n, milliseconds);
    do {
        tell_clients();
        ready = poll(list, n, milliseconds < tick ? milliseconds : tick);
        milliseconds -= tick;
    } while (ready == 0 && milliseconds > 0);
    tell_clients();
    return ready;
}

/* ---- The stream --------------------------------------------------------- */

static char stream(const struct client *c, uint64_t at)
{
    uint64_t x = (at + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ c->key;

    x ^= x >> 31;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    return (char)(x >> 56);
}

static void compare(struct client *c, const char *data, size_t length)
{
    for (size_t i = 0; i < length; i++, c->got++) {
        if (data[i] != stream(c, c->got))
            fail(c, "byte %llu is wrong", (unsigned long long)c->got);
    }
}

/* ---- Waiting ------------------------------------------------------------ */

static bool chosen(const struct client *c)
{
    return c->name == group && c->fd >= 0;
}

static bool begin(void)
{
    bool any = false;

    for (size_t i = 0; i < count; i++) {
        clients[i].done = !chosen(&clients[i]);
        any |= !clients[i].done;
    }
    return any;
}

/*
 * Waits until a client that is not done has one of its events; they are what
 * wants() says. Returns how many have, 0 when the time is up.
 */
static size_t await(short (*wants)(const struct client *), int64_t until)
{
    nfds_t n = 0;
    int ready;

    for (size_t i = 0; i < count; i++) {
        if (clients[i].done)
            continue;
        polled[n].fd = clients[i].fd;
        polled[n].events = wants(&clients[i]);
        polled_client[n++] = i;
    }
    do {
        int64_t left = until - now();
        if (left < 0)
            left = 0;
        ready = poll_and_tell(polled, n, (int)((left + 999) / 1000));
    } while (ready < 0 && errno == EINTR);
    if (ready < 0)
        fail(NULL, "poll: %s", strerror(errno));
    return ready > 0 ? (size_t)n : 0;
}

static bool read_process(long pid, const char *file, char *text, size_t size)
{
    char name[64];
    FILE *stream;
    size_t n;

    snprintf(name, sizeof name, "/proc/%ld/%s", pid, file);
    stream = fopen(name, "r");
    if (stream == NULL)
        return false;
    n = fread(text, 1, size - 1, stream);
    text[n] = '\0';
    fclose(stream);
    return true;
}

/*
 * How often a process and its children have been given a processor; -1 if one
 * of them does not sleep, or if the system does not tell. proc(5): the state
 * stands in stat behind the last bracket, the number is the third of schedstat.
 */
static long long runs_of(long pid)
{
    char text[4096], file[64], *at, *end;
    long long runs, more;
    long child;

    if (!read_process(pid, "stat", text, sizeof text) ||
        (at = strrchr(text, ')')) == NULL || strncmp(at, ") S", 3) != 0 ||
        !read_process(pid, "schedstat", text, sizeof text) ||
        sscanf(text, "%*s %*s %lld", &runs) != 1)
        return -1;
    snprintf(file, sizeof file, "task/%ld/children", pid);
    if (!read_process(pid, file, text, sizeof text))
        return -1;
    for (at = text; (child = strtol(at, &end, 10)) > 0; at = end) {
        more = runs_of(child);
        if (more < 0)
            return -1;
        runs += more;
    }
    return runs;
}

/*
 * await() until so long after `since` as -t says, or until the server has slept
 * as long as -r says: it slept through all looks if it did not run in between.
 */
static size_t await_server(short (*wants)(const struct client *), int64_t since)
{
    const char *pid = getenv("SERVER_PID");
    int64_t end = since + limit, rested = now();
    long long last = -1;
    size_t n;

    if (longest_rest == 0)
        return await(wants, end);
    do {
        int64_t look = now() + 20 * 1000;
        long long runs;
        n = await(wants, look < end ? look : end);
        runs = n == 0 ? runs_of(atol(pid)) : -1;
        if (runs < 0 || runs != last)
            rested = now();
        last = runs;
    } while (n == 0 && now() < end && now() - rested < longest_rest);
    return n;
}

static const struct client *unfinished(void)
{
    for (size_t i = 0; i < count; i++) {
        if (!clients[i].done)
            return &clients[i];
    }
    return NULL;
}

/* ---- Transfers ---------------------------------------------------------- */

static bool blocked(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* Set while a word runs that takes the end of a connection as it comes. */
static bool end_may_come;

static bool send_some(struct client *c)
{
    size_t length = sizeof block;
    ssize_t n;

    if (c->put_to - c->put < length)
        length = (size_t)(c->put_to - c->put);
    for (size_t i = 0; i < length; i++)
        block[i] = stream(c, c->put + i);
    c->spoke = now();
    n = send(c->fd, block, length, 0);
    if (n < 0 && (blocked() || end_may_come))
        return false;
    if (n < 0)
        fail(c, "send: %s", strerror(errno));
    c->put += (uint64_t)n;
    tell_clients();
    return true;
}

static bool receive_some(struct client *c)
{
    size_t length = sizeof block;
    ssize_t n;

    if (c->got_to - c->got < length)
        length = (size_t)(c->got_to - c->got);
    n = recv(c->fd, block, length, 0);
    if (n < 0 && blocked())
        return false;
    if (n < 0)
        fail(c, "recv: %s", strerror(errno));
    if (n == 0)
        fail(c, "EOF too early");
    compare(c, block, (size_t)n);
    tell_clients();
    return true;
}

static short transfer_wants(const struct client *c)
{
    int events = 0;

    if (c->put < c->put_to)
        events |= POLLOUT;
    if (c->got < c->got_to)
        events |= POLLIN;
    return (short)events;
}

/* Each client sends and reads, at the same time, up to its goals. */
static void transfer(void)
{
    int64_t moved = now();

    for (;;) {
        size_t n;
        bool left = false;

        for (size_t i = 0; i < count; i++) {
            if (!clients[i].done && transfer_wants(&clients[i]) == 0)
                clients[i].done = true;
            left |= !clients[i].done;
        }
        if (!left)
            return;
        n = await_server(transfer_wants, moved);
        if (n == 0)
            fail(unfinished(), "nothing moves");
        for (size_t i = 0; i < n; i++) {
            struct client *c = &clients[polled_client[i]];
            short events = polled[i].revents;
            if ((events & ~POLLOUT) && c->got < c->got_to && receive_some(c))
                moved = now();
            if ((events & ~POLLIN) && c->put < c->put_to && send_some(c))
                moved = now();
        }
    }
}

static void set_goals(uint64_t more_put, uint64_t more_get, bool rest)
{
    if (!begin())
        misuse("no such client");
    for (size_t i = 0; i < count; i++) {
        struct client *c = &clients[i];
        if (c->done)
            continue;
        c->put_to = c->put + more_put;
        c->got_to = rest ? c->put_to : c->got + more_get;
    }
    transfer();
}

static short want_room(const struct client *c)
{
    (void)c;
    return POLLOUT;
}

/* Puts so many bytes, or as many as find room. */
static void pour(uint64_t most)
{
    int64_t moved = now();

    begin();
    for (size_t i = 0; i < count; i++) {
        clients[i].put_to = clients[i].put + most;
        clients[i].got_to = clients[i].got;
    }
    for (;;) {
        size_t n;
        for (size_t i = 0; i < count; i++)
            if (clients[i].put == clients[i].put_to)
                clients[i].done = true;
        n = unfinished() ? await(transfer_wants, moved + FULL_MS * 1000) : 0;
        if (n == 0)
            return;
        for (size_t i = 0; i < n; i++) {
            struct client *c = &clients[polled_client[i]];
            if (polled[i].revents && send_some(c))
                moved = now();
            if (c->put == c->put_to && most == ENDLESS)
                fail(c, "the server takes without end");
        }
    }
}

static void flood(void)
{
    if (!begin())
        misuse("no such client");
    end_may_come = true;
    while (unfinished()) {
        size_t n = await_server(want_room, now());
        if (n == 0)
            fail(unfinished(), "the connection is not lost");
        for (size_t i = 0; i < n; i++) {
            struct client *c = &clients[polled_client[i]];
            c->put_to = c->put + sizeof block;
            if (polled[i].revents & (POLLERR | POLLHUP))
                c->done = true;
            else if (polled[i].revents)
                send_some(c);
        }
    }
    end_may_come = false;
}

/* ---- Text --------------------------------------------------------------- */

static short want_bytes(const struct client *c)
{
    (void)c;
    return POLLIN;
}

/* Only this client is not done. */
static void only(struct client *c)
{
    for (size_t i = 0; i < count; i++)
        clients[i].done = &clients[i] != c;
}

static void send_text(struct client *c, const char *text)
{
    size_t left = strlen(text);

    only(c);
    while (left > 0) {
        ssize_t n;
        c->spoke = now();
        n = send(c->fd, text, left, 0);
        if (n < 0 && !blocked())
            fail(c, "send: %s", strerror(errno));
        if (n >= 0) {
            text += n;
            left -= (size_t)n;
            c->said += (uint64_t)n;
            tell_clients();
        } else if (await_server(want_room, now()) == 0) {
            fail(c, "no room");
        }
    }
}

static void expect_text(struct client *c, const char *text)
{
    size_t length = strlen(text), got = 0;

    only(c);
    if (length > sizeof block)
        misuse("too long");
    while (got < length) {
        ssize_t n;
        if (await_server(want_bytes, now()) == 0)
            fail(c, "%zu of %zu bytes came", got, length);
        n = recv(c->fd, block + got, length - got, 0);
        if (n < 0 && !blocked())
            fail(c, "recv: %s", strerror(errno));
        if (n == 0)
            fail(c, "EOF after %zu of %zu bytes", got, length);
        if (n > 0) {
            got += (size_t)n;
            c->heard += (uint64_t)n;
            tell_clients();
        }
    }
    if (memcmp(block, text, length) != 0)
        fail(c, "other bytes came: %.*s", (int)length, block);
}

/* ---- The end ------------------------------------------------------------ */

static void end(bool bytes_allowed, bool eof_allowed, bool reset_allowed)
{
    if (!begin())
        misuse("no such client");
    while (unfinished()) {
        size_t n = await_server(want_bytes, now());
        if (n == 0)
            fail(unfinished(), "no end");
        for (size_t i = 0; i < n; i++) {
            struct client *c = &clients[polled_client[i]];
            ssize_t got;
            if (polled[i].revents == 0)
                continue;
            got = recv(c->fd, block, sizeof block, 0);
            if (got < 0 && blocked())
                continue;
            c->ended = now();
            if (got > 0 && !bytes_allowed)
                fail(c, "%zd bytes too many came", got);
            if (got > 0) {
                compare(c, block, (size_t)got);
                tell_clients();
                continue;
            }
            tell_state(c, got == 0 ? "eof" : "reset");
            if (got == 0 && !eof_allowed)
                fail(c, "EOF");
            if (got < 0 && !reset_allowed)
                fail(c, "recv: %s", strerror(errno));
            c->done = true;
        }
    }
}

static void quiet(int64_t milliseconds)
{
    size_t n;

    if (!begin())
        misuse("no such client");
    n = await(want_bytes, now() + milliseconds * 1000);
    for (size_t i = 0; i < n; i++) {
        if (polled[i].revents)
            fail(&clients[polled_client[i]], "something came");
    }
}

/* Reads what is there, and takes the end as it comes. */
static void take(struct client *c)
{
    ssize_t n = recv(c->fd, block, sizeof block, 0);

    if (n < 0 && blocked())
        return;
    if (n > 0) {
        compare(c, block, (size_t)n);
        tell_clients();
        return;
    }
    tell_state(c, n == 0 ? "eof" : "reset");
    c->done = true;
}

static void take_all(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (polled[i].revents)
            take(&clients[polled_client[i]]);
    }
}

static short want_nothing(const struct client *c)
{
    (void)c;
    return 0; /* a reset is reported all the same */
}

/* The groups's words drain, reading, and stay, reading nothing. */
static void linger_for(int64_t milliseconds, bool reading)
{
    int64_t until = now() + milliseconds * 1000;

    begin();
    while (unfinished() && now() < until)
        take_all(await(reading ? want_bytes : want_nothing, until));
}

static void ask_every(int64_t milliseconds, uint64_t bytes, int64_t duration)
{
    int64_t next = now(), until = next + duration * 1000;

    begin();
    end_may_come = true;
    while (unfinished() && now() < until) {
        bool due = now() >= next;
        for (size_t i = 0; due && i < count; i++) {
            struct client *c = &clients[i];
            if (c->done || c->got < c->put)
                continue;
            c->put_to = c->put + bytes;
            send_some(c);
        }
        if (due)
            next = now() + milliseconds * 1000;
        take_all(await(want_bytes, next < until ? next : until));
    }
    end_may_come = false;
}

static void close_all(bool by_reset)
{
    struct linger linger = {1, 0};

    for (size_t i = 0; i < count; i++) {
        struct client *c = &clients[i];
        if (!chosen(c))
            continue;
        if (by_reset)
            setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        close(c->fd);
        c->fd = -1;
        tell_state(c, "closed");
    }
}

static void within(int64_t milliseconds)
{
    for (size_t i = 0; i < count; i++) {
        struct client *c = &clients[i];
        if (chosen(c) && now() - c->spoke >= milliseconds * 1000)
            fail(c, "that took %lld microseconds",
                 (long long)(now() - c->spoke));
    }
}

static void lasted(int64_t milliseconds)
{
    for (size_t i = 0; i < count; i++) {
        struct client *c = &clients[i];
        if (chosen(c) && c->ended - c->spoke < milliseconds * 1000)
            fail(c, "the end came after %lld microseconds",
                 (long long)(c->ended - c->spoke));
    }
}

/* ---- Opening ------------------------------------------------------------ */

static void *grown(void *old, size_t size)
{
    void *p = realloc(old, count * size);

    if (p == NULL)
        fail(NULL, "out of memory");
    return p;
}

static void set(int fd, int level, int option, int value)
{
    if (setsockopt(fd, level, option, &value, sizeof value) < 0)
        fail(NULL, "setsockopt: %s", strerror(errno));
}

static void open_one(void)
{
    struct sockaddr_in own;
    socklen_t length = sizeof own;
    struct client *c;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int error = 0;

    if (fd < 0)
        fail(NULL, "socket: %s", strerror(errno));
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    if (receive_buffer > 0)
        set(fd, SOL_SOCKET, SO_RCVBUF, receive_buffer);
    if (send_buffer > 0)
        set(fd, SOL_SOCKET, SO_SNDBUF, send_buffer);
    /* The BSDs and macOS refuse more than the default before connect(). */
    if (segment > 0)
        setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);

    count++;
    clients = grown(clients, sizeof *clients);
    polled = grown(polled, sizeof *polled);
    polled_client = grown(polled_client, sizeof *polled_client);
    c = &clients[count - 1];
    memset(c, 0, sizeof *c);
    c->name = group;
    c->fd = fd;
    c->spoke = now();
    c->state = "connecting";
    for (size_t i = 0; i < count; i++)
        c->number += clients[i].name == group;

    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0) {
        socklen_t size = sizeof error;
        error = errno;
        only(c);
        if (error == EINPROGRESS && await_server(want_room, now()) == 0)
            error = ETIMEDOUT;
        else if (error == EINPROGRESS)
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    }
    if (error != 0)
        fail(c, "connect: %s", strerror(error));
    /* What is measured is the server's Nagle, not this client's. */
    set(fd, IPPROTO_TCP, TCP_NODELAY, 1);

    /* No two clients alive at once have the same port, so nor this key. */
    if (getsockname(fd, (struct sockaddr *)&own, &length) < 0)
        fail(c, "getsockname: %s", strerror(errno));
    c->key = (own.sin_port + UINT64_C(1)) * UINT64_C(0x94d049bb133111eb);
    c->port = ntohs(own.sin_port);
    tell_state(c, "open");
}

/* ---- Words -------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void ping(size_t rounds, uint64_t bytes, int64_t milliseconds)
{
    int64_t *times = calloc(rounds + 1, sizeof *times);

    if (times == NULL)
        fail(NULL, "out of memory");
    for (size_t i = 0; i < rounds; i++) {
        int64_t start = now();
        set_goals(bytes, 0, true);
        times[i] = now() - start;
    }
    qsort(times, rounds, sizeof *times, by_size);
    if (times[rounds / 2] >= milliseconds * 1000)
        fail(NULL, "%llu bytes took %lld microseconds (median)",
             (unsigned long long)bytes, (long long)times[rounds / 2]);
    free(times);
}

static void run(const char *command)
{
    int status;
    pid_t child;

    fflush(NULL);
    child = fork();
    if (child < 0)
        fail(NULL, "fork: %s", strerror(errno));
    if (child == 0) {
        signal(SIGPIPE, SIG_DFL);
        execlp("bash", "bash", "-c", command, (char *)NULL);
        _exit(127);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (status != 0)
        fail(NULL, "wait status %d", status);
}

/* The letter that ps has for it: T is stopped, everywhere. */
static char state_of(const char *pid)
{
    char command[64], letter = '?';
    FILE *ps;

    snprintf(command, sizeof command, "ps -o state= -p %ld", atol(pid));
    ps = popen(command, "r");
    if (ps == NULL || fscanf(ps, " %c", &letter) != 1)
        fail(NULL, "%s says nothing", command);
    pclose(ps);
    return letter;
}

static void send_signal(const char *name)
{
    int64_t end = now() + limit;
    const char *pid = getenv("SERVER_PID");
    int number = strcmp(name, "STOP") == 0   ? SIGSTOP
                 : strcmp(name, "CONT") == 0 ? SIGCONT
                 : strcmp(name, "TERM") == 0 ? SIGTERM
                                             : 0;

    if (number == 0)
        misuse("STOP, CONT or TERM");
    /* 0 and negative numbers would mean groups of processes. */
    if (pid == NULL || atol(pid) <= 1)
        misuse("SERVER_PID is not set");
    if (kill((pid_t)atol(pid), number) < 0)
        fail(NULL, "kill: %s", strerror(errno));
    while (number == SIGSTOP && state_of(pid) != 'T')
        if (now() > end)
            fail(NULL, "the server has not stopped");
}

static void each(void (*act)(struct client *, const char *), const char *text)
{
    for (size_t i = 0; i < count; i++) {
        if (chosen(&clients[i]))
            act(&clients[i], text);
    }
}

static void shut(struct client *c, const char *unused)
{
    (void)unused;
    if (shutdown(c->fd, SHUT_WR) < 0)
        fail(c, "shutdown: %s", strerror(errno));
    tell_state(c, "half");
}

static void mark(struct client *c, const char *unused)
{
    (void)unused;
    c->spoke = now();
}

static void print_count(struct client *c, const char *unused)
{
    (void)unused;
    printf("%c %llu %llu\n", c->name, (unsigned long long)c->put,
           (unsigned long long)c->got);
    fflush(stdout);
}

/* The next word of the script, as an argument of this one. */
static char **script;

static const char *next_text(void)
{
    if (*script == NULL)
        misuse("an argument is missing");
    argument = *script++;
    word_number++;
    return argument;
}

static long next_number(void)
{
    const char *text = next_text();
    char *last;
    long n = strtol(text, &last, 10);

    if (last == text || *last != '\0' || n < 0)
        misuse("a number is needed");
    return n;
}

static bool is(const char *text)
{
    return strcmp(word, text) == 0;
}

static void end_as(const char *how)
{
    bool eof = strcmp(how, "eof") == 0, reset = strcmp(how, "reset") == 0;

    if (strcmp(how, "any") == 0)
        eof = reset = true;
    if (!eof && !reset)
        misuse("eof, reset or any");
    end(true, eof, reset);
}

static void pause_for(long milliseconds)
{
    poll_and_tell(NULL, 0, (int)milliseconds);
}

/* Waits until so long after the zero of the record's clock. */
static void wait_until(long milliseconds)
{
    double left =
        record_start + (double)milliseconds / 1e3 - (double)now() / 1e6;

    if (left > 0)
        pause_for((long)(left * 1000));
}

/* The size of the server's record, if its last line says "asleep"; else -1. */
static long asleep_at(const char *name)
{
    static char tail[4096];
    FILE *file = fopen(name, "r");
    char *line, *kind;
    size_t n;
    long size;

    if (file == NULL)
        fail(NULL, "%s: %s", name, strerror(errno));
    fseek(file, 0, SEEK_END);
    size = ftell(file);
    fseek(file, size > 4095 ? size - 4095 : 0, SEEK_SET);
    n = fread(tail, 1, sizeof tail - 1, file);
    fclose(file);
    if (n == 0 || tail[n - 1] != '\n') /* being written */
        return -1;
    tail[n - 1] = '\0';
    line = strrchr(tail, '\n');
    kind = line != NULL ? strchr(line, ' ') : NULL;
    return kind != NULL && strncmp(kind, " asleep ", 8) == 0 ? size : -1;
}

/* The server's record looks every 10 ms: what is so after ten times that, with
 * nothing new, stays so until somebody does something. */
static void settle(void)
{
    const char *name = getenv("SERVER_RECORD");
    int64_t since = now(), until = since + limit;
    long last = -1;

    if (name == NULL)
        misuse("SERVER_RECORD is not set");
    while (last == -1 || now() - since < 100 * 1000) {
        long size = asleep_at(name);
        if (size == -1 || size != last)
            since = now();
        last = size;
        if (now() >= until)
            fail(NULL, "the server does not come to rest");
        pause_for(10);
    }
}

static bool transfer_word(void)
{
    if (is("put")) {
        set_goals((uint64_t)next_number(), 0, false);
    } else if (is("get")) {
        set_goals(0, (uint64_t)next_number(), false);
    } else if (is("rest")) {
        set_goals(0, 0, true);
    } else if (is("echo")) {
        set_goals((uint64_t)next_number(), 0, true);
    } else if (is("fill")) {
        pour(ENDLESS);
    } else if (is("pour")) {
        pour((uint64_t)next_number());
    } else if (is("flood")) {
        flood();
    } else if (is("send")) {
        each(send_text, next_text());
    } else if (is("expect")) {
        each(expect_text, next_text());
    } else if (is("ping")) {
        long rounds = next_number(), bytes = next_number();
        ping((size_t)rounds, (uint64_t)bytes, next_number());
    } else if (is("every")) {
        long period = next_number(), bytes = next_number();
        ask_every(period, (uint64_t)bytes, next_number());
    } else {
        return false;
    }
    return true;
}

static bool other_word(void)
{
    if (is("open"))
        for (long n = next_number(); n > 0; n--)
            open_one();
    else if (is("shut"))
        each(shut, NULL);
    else if (is("eof"))
        end(false, true, false);
    else if (is("end"))
        end_as(next_text());
    else if (is("quiet"))
        quiet(next_number());
    else if (is("reset") || is("close"))
        close_all(is("reset"));
    else if (is("lasted"))
        lasted(next_number());
    else if (is("within"))
        within(next_number());
    else if (is("mark"))
        each(mark, NULL);
    else if (is("count"))
        each(print_count, NULL);
    else if (is("buffer"))
        receive_buffer = (int)next_number();
    else if (is("sendbuffer"))
        send_buffer = (int)next_number();
    else if (is("segment"))
        segment = (int)next_number();
    else if (is("pause"))
        pause_for(next_number());
    else if (is("at"))
        wait_until(next_number());
    else if (is("drain") || is("stay"))
        linger_for(next_number(), is("drain"));
    else if (is("run"))
        run(next_text());
    else if (is("signal"))
        send_signal(next_text());
    else
        return false;
    return true;
}

static bool record_word(void)
{
    if (is("scene")) {
        const char *name = next_text();
        settle();
        tell("scene %s %s", name, next_text());
    } else if (is("next")) {
        const char *name = next_text(), *words = next_text();
        tell("next %s \"%s\" %s", name, words, next_text());
    } else {
        return false;
    }
    return true;
}

/* What a group does, for the record: the word and its first argument. */
static bool tell_word(void)
{
    static const char *const bare[] = {"rest", "fill",  "flood", "shut",
                                       "eof",  "reset", "close"};
    static const char *const told[] = {
        "open", "send",  "expect", "put",  "get",   "echo", "quiet",
        "end",  "drain", "every",  "stay", "pause", "pour"};

    for (size_t i = 0; i < sizeof bare / sizeof *bare; i++) {
        if (is(bare[i])) {
            tell("does %c %s", group, word);
            return true;
        }
    }
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        if (is(told[i])) {
            tell("does %c %s %s", group, word, *script ? *script : "");
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    long port;

    word = "talk";
    if (argc == 1 || (argv[1][0] == '-' && argv[1][1] != 't')) {
        fprintf(stderr,
                "usage: %s [-t seconds [-r milliseconds]] port word...\n"
                "    %s 9999 A open 2 echo 1000 shut eof\n"
                "The words are listed at the top of tools/talk.c.\n",
                argv[0], argv[0]);
        return 2;
    }
    if (argc == 2 && strcmp(argv[1], "limits") == 0) {
        printf("%d\n", (int)FD_SETSIZE);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "clock") == 0) {
        printf("%.6f\n", (double)now() / 1e6);
        return 0;
    }
    script = argv + 1;
    if (argc > 2 && strcmp(argv[1], "-t") == 0) {
        script++;
        limit = next_number() * 1000000;
    }
    if (argc > 4 && strcmp(*script, "-r") == 0) {
        script++;
        longest_rest = next_number() * 1000;
        if (getenv("SERVER_PID") == NULL)
            misuse("-r: SERVER_PID is not set");
    }
    if (argc > 3 && strcmp(argv[1], "alarm") == 0) {
        script++;
        alarm((unsigned)next_number());
        execvp(*script, script);
        fail(NULL, "%s", strerror(errno));
    }
    port = next_number();
    signal(SIGPIPE, SIG_IGN);
    alarm(120); /* the last resort */

    memset(&server, 0, sizeof server);
    server.sin_family = AF_INET;
    server.sin_port = htons((in_port_t)port);
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    record_open();
    while (*script != NULL) {
        bool told = false;

        word = *script++;
        argument = NULL;
        word_number++;
        if (word[0] >= 'A' && word[0] <= 'Z' && word[1] == '\0')
            group = word[0];
        else if ((told = tell_word(), !transfer_word()) && !other_word() &&
                 !record_word())
            misuse("no such word");
        if (told)
            tell("done %c", group);
    }
    return 0;
}
