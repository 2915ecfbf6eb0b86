/*
 * record.h: what trace.h prints, with the time, the line of the source, and
 * what lies in the kernel meanwhile. It is put in front of a server by the
 * compiler's -include, and includes trace.h. tools/record.sh makes a page of
 * the record.
 *
 *     RECORD=run.record build/step3-trace      instead of the words on stderr
 *
 * Each line of a record is TIME KIND and more; the time is in seconds on a
 * monotonic clock, from RECORD_START (so that several programs can share one
 * clock) or else from the first line. Awk splits it at blanks.
 *
 *     0.0000 source 03-kqueue-basic/server.c    which program this is
 *     0.1002 fd 3 listener backlog 1 readable   a descriptor, as it is now
 *     0.1002 fd 5 client port 40312 receive 5 send 0 readable writable
 *     0.1002 gone fd 5                          it is closed
 *     0.1002 knote fd 3 READ on ready           a subscription: on or off
 *     0.1002 knote timer 1 on due 60.1002       and when a timer expires
 *     0.1002 gone knote fd 3 READ
 *     0.1003 call 214 accept                    line 214 calls accept()
 *     0.1103 asleep accept(3) =                 it has not come back, and this
 *                                               is all that trace.h printed
 *     0.1203 words accept(3) = 5                it is back; trace.h's words
 *     0.1203 return
 *     0.1204 log client 5 connected             what the server itself prints
 *
 * A line about the state (fd, knote, gone) is there only if it differs from
 * the last one, and it comes before the call, asleep or return that it is for.
 *
 *     receive   bytes that recv() would find: FIONREAD, ioctl(2)
 *     send      bytes that the other side has not acknowledged: SIOCOUTQ on
 *               Linux (tcp(7)), FIONWRITE on FreeBSD and NetBSD (tty(4)),
 *               SO_NWRITE on macOS (getsockopt(2))
 *     backlog   connections that accept() would find: TCP_INFO on Linux
 *               (tcp(7)), SO_LISTENQLEN on FreeBSD (getsockopt(2))
 *     readable, writable    poll(2) says so: recv() or accept(), or send(),
 *               would not sleep; of a knote that is on, "ready" says the same
 *
 * What a system does not tell is left out. Asking changes nothing: no byte is
 * read, and SO_ERROR, which getsockopt() would take away, is not asked for.
 *
 * The state within a call that sleeps is seen by a thread, which looks every
 * TICK. A signal handler could not do that: it would make the call fail with
 * EINTR, or restart. All signals are blocked in the thread.
 */
#ifndef RECORD_H
#define RECORD_H

#include "trace.h"

#include <netinet/in.h>
#include <sys/ioctl.h>

#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include "buffers.h"

/* trace.h put its own in place of these. Here the functions are meant; what
 * the server gets is at the end. */
#undef kqueue
#undef kevent
#undef select
#undef listen
#undef accept
#undef recv
#undef send
#undef shutdown
#undef dup
#undef close
#undef printf
#undef warn

/* At most so many descriptors are looked at: a page shows no more. */
enum { RECORD_FDS = 64, RECORD_KNOTES = 2 * RECORD_FDS + 16 };
enum { RECORD_TICK = 10 * 1000 * 1000 }; /* nanoseconds */

/* A line about the state. It is written when it has changed. */
typedef char record_line[160];

enum record_kind { RECORD_QUEUE, RECORD_LISTENER, RECORD_CLIENT };

TRACE struct {
    int fd; /* -1: this place is free */
    enum record_kind kind;
    int port; /* of the client */
    short ready;
    record_line line;
} record_fds[RECORD_FDS];

TRACE struct {
    char name[64]; /* "": this place is free */
    intmax_t fd;   /* of a READ or WRITE, else -1 */
    short event;   /* that poll() knows it by */
    unsigned flags;
    int on;
    double due, period; /* of a timer; 0 when not known */
    record_line line;
} record_knotes[RECORD_KNOTES];

TRACE FILE *record_file; /* NULL: nobody wants a record */
TRACE double record_from;

/* The words of the call in progress: trace.h writes, the thread looks. */
TRACE char *record_words;
TRACE size_t record_words_length;

/* The lock is for all of the above, and for these. */
TRACE pthread_mutex_t record_lock = PTHREAD_MUTEX_INITIALIZER;
TRACE unsigned long record_calls; /* so many have begun */
TRACE int record_in_call;

/* ---- Writing ------------------------------------------------------------ */

TRACE double record_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9 - record_from;
}

TRACE __attribute__((format(printf, 1, 2))) void
record_write(const char *format, ...)
{
    va_list list;

    fprintf(record_file, "%.6f ", record_now());
    va_start(list, format);
    vfprintf(record_file, format, list);
    va_end(list);
    fputc('\n', record_file);
}

/* Writes a line about the state if it is not what was written last; 1 if so. */
TRACE int record_if_new(char *last, const char *line)
{
    if (strcmp(last, line) == 0)
        return 0;
    snprintf(last, sizeof(record_line), "%s", line);
    record_write("%s", line);
    return 1;
}

/* ---- Descriptors -------------------------------------------------------- */

TRACE void record_add_fd(int fd, enum record_kind kind, int port)
{
    int i;

    for (i = 0; i < RECORD_FDS; i++) {
        if (record_fds[i].fd != -1)
            continue;
        record_fds[i].fd = fd;
        record_fds[i].kind = kind;
        record_fds[i].port = port;
        record_fds[i].line[0] = '\0';
        return;
    }
}

TRACE void record_remove_fd(int fd)
{
    int i;

    for (i = 0; i < RECORD_FDS; i++) {
        if (record_fds[i].fd == fd) {
            record_write("gone fd %d", fd);
            record_fds[i].fd = -1;
        }
    }
}

/* Adds " NAME NUMBER" to a line, unless the system does not tell (-1). */
TRACE void record_number(char *line, const char *name, int number)
{
    size_t length = strlen(line);

    if (number >= 0)
        snprintf(line + length, sizeof(record_line) - length, " %s %d", name,
                 number);
}

/* The state of one descriptor; 1 if it has changed. */
TRACE int record_look_at(int i)
{
    int fd = record_fds[i].fd;
    struct pollfd p = {fd, POLLIN | POLLOUT, 0};
    record_line line;
    size_t length;

    if (record_fds[i].kind == RECORD_QUEUE) {
        snprintf(line, sizeof line, "fd %d queue", fd);
        return record_if_new(record_fds[i].line, line);
    }
    if (poll(&p, 1, 0) < 0)
        p.revents = 0;
    if (p.revents & (POLLHUP | POLLERR))
        p.revents |= POLLIN | POLLOUT; /* no call would sleep */
    record_fds[i].ready = p.revents;
    if (record_fds[i].kind == RECORD_LISTENER) {
        snprintf(line, sizeof line, "fd %d listener", fd);
        record_number(line, "backlog", buffers_backlog(fd));
        p.revents &= ~POLLOUT; /* nothing is ever sent */
    } else {
        snprintf(line, sizeof line, "fd %d client", fd);
        record_number(line, "port", record_fds[i].port);
        record_number(line, "receive", buffers_to_receive(fd));
        record_number(line, "send", buffers_to_send(fd));
    }
    length = strlen(line);
    snprintf(line + length, sizeof line - length, "%s%s",
             p.revents & POLLIN ? " readable" : "",
             p.revents & POLLOUT ? " writable" : "");
    return record_if_new(record_fds[i].line, line);
}

/* ---- Knotes: known from the changes that went by ------------------------ */

TRACE void record_remove_knote(int i)
{
    if (record_knotes[i].line[0] != '\0')
        record_write("gone knote %s", record_knotes[i].name);
    record_knotes[i].name[0] = '\0';
}

/* close() takes them along. */
TRACE void record_remove_knotes(int fd)
{
    int i;

    for (i = 0; i < RECORD_KNOTES; i++)
        if (record_knotes[i].name[0] != '\0' && record_knotes[i].fd == fd)
            record_remove_knote(i);
}

/* The place of the one with this name, "" for a free one; or -1. */
TRACE int record_find_knote(const char *name)
{
    int i;

    for (i = 0; i < RECORD_KNOTES; i++)
        if (strcmp(record_knotes[i].name, name) == 0)
            return i;
    return -1;
}

/* Seconds until a timer expires, if it is told in milliseconds. */
TRACE double record_period(const struct kevent *k)
{
    if (k->filter != EVFILT_TIMER || k->fflags != 0)
        return 0;
    return (double)k->data / 1000;
}

TRACE void record_change(const struct kevent *k)
{
    char name[64];
    int i;

    trace_name(name, sizeof name, k);
    i = record_find_knote(name);
    if (i == -1 && (k->flags & EV_ADD)) {
        i = record_find_knote("");
        if (i == -1)
            return;
        memset(&record_knotes[i], 0, sizeof *record_knotes);
        memcpy(record_knotes[i].name, name, sizeof name);
        record_knotes[i].fd = -1;
        if (k->filter == EVFILT_READ || k->filter == EVFILT_WRITE)
            record_knotes[i].fd = (intmax_t)k->ident;
        record_knotes[i].event = k->filter == EVFILT_READ ? POLLIN : POLLOUT;
        record_knotes[i].on = 1;
    }
    if (i == -1)
        return;
    if (k->flags & EV_ADD) {
        record_knotes[i].flags = k->flags;
        record_knotes[i].period = record_period(k);
        record_knotes[i].due = record_now() + record_knotes[i].period;
    }
    if (k->flags & EV_ENABLE)
        record_knotes[i].on = 1;
    if (k->flags & EV_DISABLE)
        record_knotes[i].on = 0;
    if (k->flags & EV_DELETE)
        record_remove_knote(i);
}

/* What an event does to its knote. A change that failed leaves none. */
TRACE void record_event(const struct kevent *k)
{
    char name[64];
    int i, receipt = (k->flags & EV_ERROR) != 0;

    trace_name(name, sizeof name, k);
    i = record_find_knote(name);
    if (i == -1 || (receipt && k->data == 0))
        return;
    if (receipt || (record_knotes[i].flags & EV_ONESHOT))
        record_remove_knote(i);
    else if (record_knotes[i].flags & EV_DISPATCH)
        record_knotes[i].on = 0;
    else if (record_knotes[i].period > 0)
        record_knotes[i].due += record_knotes[i].period * (double)k->data;
}

TRACE int record_is_ready(int i)
{
    int j;

    if (record_knotes[i].period > 0)
        return record_knotes[i].due <= record_now();
    for (j = 0; j < RECORD_FDS; j++)
        if (record_fds[j].fd >= 0 && record_fds[j].fd == record_knotes[i].fd)
            return (record_fds[j].ready & record_knotes[i].event) != 0;
    return 0;
}

/* The state of one knote; 1 if it has changed. */
TRACE int record_look_at_knote(int i)
{
    record_line line;
    size_t length;

    snprintf(line, sizeof line, "knote %.63s %s%s", record_knotes[i].name,
             record_knotes[i].on ? "on" : "off",
             record_knotes[i].on && record_is_ready(i) ? " ready" : "");
    length = strlen(line);
    if (record_knotes[i].period > 0)
        snprintf(line + length, sizeof line - length, " due %.6f",
                 record_knotes[i].due);
    return record_if_new(record_knotes[i].line, line);
}

/* All of the state; how many lines have changed. */
TRACE int record_state(void)
{
    int i, changed = 0;

    for (i = 0; i < RECORD_FDS; i++)
        if (record_fds[i].fd != -1)
            changed += record_look_at(i);
    for (i = 0; i < RECORD_KNOTES; i++)
        if (record_knotes[i].name[0] != '\0')
            changed += record_look_at_knote(i);
    return changed;
}

/* ---- Asleep ------------------------------------------------------------- */

/* Writes the last line of the words so far. */
TRACE void record_asleep(void)
{
    char *line;

    flockfile(trace_to);
    fflush(trace_to);
    line = strrchr(record_words, '\n');
    line = line != NULL ? line + 1 : record_words;
    record_write("asleep %s", line);
    funlockfile(trace_to);
}

/* The thread. A call in progress at two ticks sleeps. */
TRACE void *record_watch(void *unused)
{
    const struct timespec tick = {0, RECORD_TICK};
    unsigned long seen = 0, written = 0;

    (void)unused;
    for (;;) {
        nanosleep(&tick, NULL);
        pthread_mutex_lock(&record_lock);
        if (record_in_call && record_calls == seen) {
            if (record_state() > 0 || written != seen)
                record_asleep();
            written = seen;
            fflush(record_file);
        }
        seen = record_calls;
        pthread_mutex_unlock(&record_lock);
    }
    return NULL;
}

/* ---- Begin and end of a call -------------------------------------------- */

/* Creates the file, at a number out of the way of those that the server gets,
 * if so many are allowed. */
TRACE FILE *record_create(const char *name)
{
    int low = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0666), high;
    FILE *file = NULL;

    if (low != -1) {
        high = fcntl(low, F_DUPFD_CLOEXEC, 200);
        if (high != -1)
            close(low);
        file = fdopen(high != -1 ? high : low, "w");
    }
    if (file == NULL)
        err(1, "%s", name);
    return file;
}

/* Opens the record, if one is wanted. */
TRACE void record_open(const char *source)
{
    static int asked;
    const char *name = getenv("RECORD"), *start = getenv("RECORD_START");
    sigset_t all, before;
    pthread_t thread;
    int i;

    if (asked++ || name == NULL)
        return;
    record_file = record_create(name);
    for (i = 0; i < RECORD_FDS; i++)
        record_fds[i].fd = -1;
    record_from = start != NULL ? strtod(start, NULL) : record_now();
    record_write("source %s", source);

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    errno = pthread_create(&thread, NULL, record_watch, NULL);
    if (errno != 0)
        err(1, "pthread_create");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Before a call. With no record wanted it does nothing, nor does the next. */
TRACE void record_begin(const char *source, int line, const char *name)
{
    record_open(source);
    if (record_file == NULL)
        return;
    pthread_mutex_lock(&record_lock);
    record_state();
    record_write("call %d %s", line, name);
    fflush(record_file);
    trace_to = open_memstream(&record_words, &record_words_length);
    if (trace_to == NULL)
        err(1, "open_memstream");
    record_calls++;
    record_in_call = 1;
    pthread_mutex_unlock(&record_lock);
}

/* Right after the call, before its effects are noted. */
TRACE void record_back(void)
{
    if (record_file == NULL)
        return;
    pthread_mutex_lock(&record_lock);
    record_in_call = 0;
}

TRACE void record_end(void)
{
    int error = errno;
    char *line;

    if (record_file == NULL)
        return;
    record_state();
    fclose(trace_to);
    for (line = strtok(record_words, "\n"); line; line = strtok(NULL, "\n"))
        record_write("words %s", line);
    free(record_words);
    record_write("return");
    fflush(record_file);
    pthread_mutex_unlock(&record_lock);
    errno = error;
}

/* ---- The calls ---------------------------------------------------------- */

/* Where in the source a call stands. */
#define RECORD_PLACE __FILE__, __LINE__

TRACE int record_kqueue(const char *source, int line)
{
    int kq;

    record_begin(source, line, "kqueue");
    kq = trace_kqueue();
    record_back();
    if (record_file != NULL && kq >= 0)
        record_add_fd(kq, RECORD_QUEUE, -1);
    record_end();
    return kq;
}

TRACE int record_kevent(const char *source, int line, int kq,
                        const struct kevent *changes, trace_count nchanges,
                        struct kevent *events, trace_count nevents,
                        const struct timespec *timeout)
{
    trace_count i;
    int n;

    record_begin(source, line, "kevent");
    if (record_file != NULL) {
        pthread_mutex_lock(&record_lock);
        for (i = 0; i < nchanges; i++)
            record_change(&changes[i]);
        pthread_mutex_unlock(&record_lock);
    }
    n = trace_kevent(kq, changes, nchanges, events, nevents, timeout);
    record_back();
    for (i = 0; record_file != NULL && n > 0 && i < (trace_count)n; i++)
        record_event(&events[i]);
    record_end();
    return n;
}

TRACE int record_select(const char *source, int line, int count,
                        fd_set *reading, fd_set *writing, fd_set *failing,
                        struct timeval *timeout)
{
    int n;

    record_begin(source, line, "select");
    n = trace_select(count, reading, writing, failing, timeout);
    record_back();
    record_end();
    return n;
}

/* listen() is not traced, but says which descriptor is the listener. */
TRACE int record_listen(const char *source, int fd, int backlog)
{
    int result = listen(fd, backlog), error = errno;

    record_open(source);
    if (record_file != NULL && result == 0) {
        pthread_mutex_lock(&record_lock);
        record_add_fd(fd, RECORD_LISTENER, -1);
        pthread_mutex_unlock(&record_lock);
    }
    errno = error;
    return result;
}

/* The port of the other side, or -1 when it has gone already. */
TRACE int record_port(int fd)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;

    if (getpeername(fd, (struct sockaddr *)&address, &length) == -1)
        return -1;
    return ntohs(address.sin_port);
}

TRACE int record_accept(const char *source, int line, int listener,
                        struct sockaddr *address, socklen_t *length)
{
    int fd, error;

    record_begin(source, line, "accept");
    fd = trace_accept(listener, address, length);
    error = errno;
    record_back();
    if (record_file != NULL && fd >= 0)
        record_add_fd(fd, RECORD_CLIENT, record_port(fd));
    errno = error;
    record_end();
    return fd;
}

TRACE ssize_t record_recv(const char *source, int line, int fd, void *data,
                          size_t length, int flags)
{
    ssize_t n;

    record_begin(source, line, "recv");
    n = trace_recv(fd, data, length, flags);
    record_back();
    record_end();
    return n;
}

TRACE ssize_t record_send(const char *source, int line, int fd,
                          const void *data, size_t length, int flags)
{
    ssize_t n;

    record_begin(source, line, "send");
    n = trace_send(fd, data, length, flags);
    record_back();
    record_end();
    return n;
}

TRACE int record_shutdown(const char *source, int line, int fd, int how)
{
    int result;

    record_begin(source, line, "shutdown");
    result = trace_shutdown(fd, how);
    record_back();
    record_end();
    return result;
}

TRACE int record_dup(const char *source, int line, int fd)
{
    int result;

    record_begin(source, line, "dup");
    result = trace_dup(fd);
    record_back();
    record_end();
    return result;
}

/* The number may be another's as soon as close() is back: it goes first. */
TRACE int record_close(const char *source, int line, int fd)
{
    int result;

    record_begin(source, line, "close");
    if (record_file != NULL) {
        pthread_mutex_lock(&record_lock);
        record_remove_knotes(fd);
        record_remove_fd(fd);
        pthread_mutex_unlock(&record_lock);
    }
    result = trace_close(fd);
    record_back();
    record_end();
    return result;
}

/* ---- The log ------------------------------------------------------------ */

/* Notes a line of the log. The last byte may be a newline. */
TRACE void record_log(const char *text)
{
    if (record_file == NULL)
        return;
    pthread_mutex_lock(&record_lock);
    record_write("log %.*s", (int)strcspn(text, "\n"), text);
    fflush(record_file);
    pthread_mutex_unlock(&record_lock);
}

TRACE __attribute__((format(printf, 1, 2))) int
record_printf(const char *format, ...)
{
    char text[256];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    record_log(text);
    return fputs(text, stdout);
}

TRACE __attribute__((format(printf, 1, 2))) void record_warn(const char *format,
                                                             ...)
{
    int error = errno;
    char text[256], line[400];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    snprintf(line, sizeof line, "%s: %s", text, strerror(error));
    record_log(line);
    errno = error;
    warn("%s", text);
}

#define kqueue()         record_kqueue(RECORD_PLACE)
#define kevent(...)      record_kevent(RECORD_PLACE, __VA_ARGS__)
#define select(...)      record_select(RECORD_PLACE, __VA_ARGS__)
#define listen(fd, most) record_listen(__FILE__, fd, most)
#define accept(...)      record_accept(RECORD_PLACE, __VA_ARGS__)
#define recv(...)        record_recv(RECORD_PLACE, __VA_ARGS__)
#define send(...)        record_send(RECORD_PLACE, __VA_ARGS__)
#define shutdown(...)    record_shutdown(RECORD_PLACE, __VA_ARGS__)
#define dup(...)         record_dup(RECORD_PLACE, __VA_ARGS__)
#define close(...)       record_close(RECORD_PLACE, __VA_ARGS__)
#define printf(...)      record_printf(__VA_ARGS__)
#define warn(...)        record_warn(__VA_ARGS__)

#endif
