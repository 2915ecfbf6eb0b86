/*
 * trace.h: each system call of a server, in words, on stderr.
 *
 *     make step3-trace && build/step3-trace
 *
 * It is put in front of a server's source by the compiler's -include.
 *
 * What it prints reads like this:
 *
 *     -> fd 4 READ: add                     a change, submitted by the next
 *     kevent(3) = 1                         kevent(), which returned 1 event:
 *     <- fd 4 READ: 1 connection waiting    here it is
 *     accept(4) = 5
 *     recv(5) = 5 bytes
 *     send(5, 5 bytes) = 5
 *     kevent(3) =
 *
 * A call is printed before it is made, and what it returned after it, on the
 * same line. So a line without an end, like the last one, is where the server
 * sleeps. There are no times and no addresses: two runs print the same.
 *
 * It works by macros that look like the functions. They take arguments, since
 * `kevent` without any is also the name of a struct; and the headers that
 * declare the functions have to be read before the macros exist.
 */
#ifndef TRACE_H
#define TRACE_H

#include <sys/types.h>
#include <sys/event.h>
#include <sys/time.h>
#include <sys/select.h>
#include <sys/socket.h>

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* No server uses them all, and none should be warned about the others. */
#define TRACE static __attribute__((unused))

/* The lengths of the lists of kevent(). */
#ifdef __NetBSD__
typedef size_t trace_count;
#else
typedef int trace_count;
#endif

/* Where the words go: record.h puts them into a record. */
TRACE FILE *trace_to;

TRACE FILE *trace_output(void)
{
    return trace_to != NULL ? trace_to : stderr;
}

TRACE const char *trace_plural(intmax_t n)
{
    return n == 1 ? "" : "s";
}

/* Ends the line of a call that returned a number, or -1 and errno. It leaves
 * errno as it was, and so do the other functions that print after a call. */
TRACE void trace_result(intmax_t result, const char *remark)
{
    int error = errno;

    if (result == -1)
        fprintf(trace_output(), "-1 (%s)\n", strerror(error));
    else
        fprintf(trace_output(), "%jd%s\n", result, remark);
    errno = error;
}

/* ---- kevent: what both lists have in common ---------------------------- */

TRACE const char *trace_signal_name(uintmax_t number)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {
        {SIGHUP, "SIGHUP"},   {SIGINT, "SIGINT"},   {SIGQUIT, "SIGQUIT"},
        {SIGALRM, "SIGALRM"}, {SIGTERM, "SIGTERM"}, {SIGPIPE, "SIGPIPE"},
        {SIGCHLD, "SIGCHLD"}, {SIGUSR1, "SIGUSR1"}, {SIGUSR2, "SIGUSR2"},
    };
    size_t i;

    for (i = 0; i < sizeof names / sizeof *names; i++)
        if ((uintmax_t)names[i].number == number)
            return names[i].name;
    return NULL;
}

/* Filters are compared one by one: their numbers differ between the systems,
 * and on NetBSD they are unsigned, with 0 for EVFILT_READ. */
TRACE int trace_is_user(const struct kevent *k)
{
#ifdef EVFILT_USER
    return k->filter == EVFILT_USER;
#else
    (void)k;
    return 0;
#endif
}

/* Which subscription, ident and filter, as text of at most size bytes. */
TRACE void trace_name(char *text, size_t size, const struct kevent *k)
{
    uintmax_t ident = k->ident;

    if (k->filter == EVFILT_READ)
        snprintf(text, size, "fd %ju READ", ident);
    else if (k->filter == EVFILT_WRITE)
        snprintf(text, size, "fd %ju WRITE", ident);
    else if (k->filter == EVFILT_TIMER)
        snprintf(text, size, "timer %ju", ident);
    else if (trace_is_user(k))
        snprintf(text, size, "user %ju", ident);
    else if (k->filter != EVFILT_SIGNAL)
        snprintf(text, size, "ident %ju, filter %jd", ident,
                 (intmax_t)k->filter);
    else if (trace_signal_name(ident) != NULL)
        snprintf(text, size, "signal %s", trace_signal_name(ident));
    else
        snprintf(text, size, "signal %ju", ident);
}

TRACE void trace_which(const char *arrow, const struct kevent *k)
{
    char name[64];

    trace_name(name, sizeof name, k);
    fprintf(trace_output(), "%s %s: ", arrow, name);
}

/* ---- kevent: changes --------------------------------------------------- */

/* Prints the flags in words; those without a word as a number. */
TRACE void trace_flags(unsigned flags)
{
    static const struct {
        unsigned bit;
        const char *word;
    } words[] = {
        {EV_ADD, "add"},           {EV_DELETE, "delete"},
        {EV_ENABLE, "enable"},     {EV_DISABLE, "disable"},
        {EV_ONESHOT, "once"},      {EV_CLEAR, "clear"},
        {EV_DISPATCH, "dispatch"}, {EV_RECEIPT, "receipt asked"},
    };
    const char *separator = "";
    size_t i;

    for (i = 0; i < sizeof words / sizeof *words; i++) {
        if ((flags & words[i].bit) == 0)
            continue;
        fprintf(trace_output(), "%s%s", separator, words[i].word);
        separator = ", ";
        flags &= ~words[i].bit;
    }
    if (flags != 0 || *separator == '\0')
        fprintf(trace_output(), "%sflags 0x%x", separator, flags);
}

/* The units are bits on FreeBSD and macOS, but numbers on OpenBSD and NetBSD
 * (milliseconds 0, nanoseconds 3), and not every system has all of them. So
 * collect the bits that units use, then compare the whole. */
TRACE unsigned trace_unit_mask(void)
{
    unsigned mask = 0;

#ifdef NOTE_SECONDS
    mask |= NOTE_SECONDS;
#endif
#ifdef NOTE_MSECONDS
    mask |= NOTE_MSECONDS;
#endif
#ifdef NOTE_USECONDS
    mask |= NOTE_USECONDS;
#endif
#ifdef NOTE_NSECONDS
    mask |= NOTE_NSECONDS;
#endif
    return mask;
}

TRACE const char *trace_unit(unsigned unit)
{
    if (unit == 0)
        return "ms";
#ifdef NOTE_SECONDS
    if (unit == NOTE_SECONDS)
        return "s";
#endif
#ifdef NOTE_MSECONDS
    if (unit == NOTE_MSECONDS)
        return "ms";
#endif
#ifdef NOTE_USECONDS
    if (unit == NOTE_USECONDS)
        return "us";
#endif
#ifdef NOTE_NSECONDS
    if (unit == NOTE_NSECONDS)
        return "ns";
#endif
    return "units";
}

/* Prints the time of a timer; returns the bits of fflags that are left. */
TRACE unsigned trace_time(const struct kevent *k)
{
    unsigned left = k->fflags, absolute = 0, unit;

#if defined NOTE_ABSTIME
    absolute = NOTE_ABSTIME;
#elif defined NOTE_ABSOLUTE
    absolute = NOTE_ABSOLUTE;
#endif
    unit = left & trace_unit_mask();
    fprintf(trace_output(), ", %s%jd %s", left & absolute ? "at " : "",
            (intmax_t)k->data, trace_unit(unit));
    return left & ~(absolute | trace_unit_mask());
}

/* NOTE_TRIGGER, if this change sets a user event off. */
TRACE unsigned trace_trigger(const struct kevent *k)
{
#ifdef EVFILT_USER
    if (trace_is_user(k))
        return k->fflags & NOTE_TRIGGER;
#else
    (void)k;
#endif
    return 0;
}

TRACE void trace_change(const struct kevent *k)
{
    unsigned trigger = trace_trigger(k), left = k->fflags & ~trigger;

    trace_which("->", k);
    if (k->flags != 0 || !trigger)
        trace_flags(k->flags);
    if (trigger)
        fprintf(trace_output(), "%strigger", k->flags != 0 ? ", " : "");
    if (k->filter == EVFILT_TIMER && (k->flags & EV_ADD)) {
        left = trace_time(k);
    } else if ((k->filter == EVFILT_READ || k->filter == EVFILT_WRITE) &&
               (left & NOTE_LOWAT)) {
        fprintf(trace_output(), ", from %jd byte%s on", (intmax_t)k->data,
                trace_plural(k->data));
        left &= ~(unsigned)NOTE_LOWAT;
    }
    if (left != 0)
        fprintf(trace_output(), ", fflags 0x%x", left);
    fputc('\n', trace_output());
}

/* ---- kevent: events ---------------------------------------------------- */

/* What data counts for EVFILT_READ depends on the socket: connections for a
 * listener, bytes for others. Where that cannot be asked, it stays a number. */
TRACE void trace_readable(const struct kevent *k)
{
    int listens = 0;
    socklen_t size = sizeof listens;
    intmax_t data = k->data;
    const char *s = trace_plural(data);

    if (data == 0 && (k->flags & EV_EOF))
        return;
    if (getsockopt((int)k->ident, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) ==
        -1)
        fprintf(trace_output(), "data %jd", data);
    else if (listens)
        fprintf(trace_output(), "%jd connection%s waiting", data, s);
    else
        fprintf(trace_output(), "%jd byte%s to read", data, s);
    if (k->flags & EV_EOF)
        fputs(", then ", trace_output());
}

/* EOF comes with the error of the socket, if there is one, in fflags. */
TRACE void trace_eof(const struct kevent *k)
{
    if ((k->flags & EV_EOF) == 0)
        return;
    fputs("EOF", trace_output());
    if (k->fflags != 0)
        fprintf(trace_output(), " (%s)", strerror((int)k->fflags));
}

TRACE void trace_event(const struct kevent *k)
{
    intmax_t data = k->data;
    const char *s = trace_plural(data);

    trace_which("<-", k);
    if ((k->flags & EV_ERROR) && data == 0) {
        fputs("done (receipt)", trace_output());
    } else if (k->flags & EV_ERROR) {
        fprintf(trace_output(), "error: %s", strerror((int)data));
    } else if (k->filter == EVFILT_READ) {
        trace_readable(k);
        trace_eof(k);
    } else if (k->filter == EVFILT_WRITE) {
        fprintf(trace_output(), "room for %jd byte%s%s", data, s,
                k->flags & EV_EOF ? ", but " : "");
        trace_eof(k);
    } else if (k->filter == EVFILT_TIMER) {
        fprintf(trace_output(), "expired %jd time%s", data, s);
    } else if (k->filter == EVFILT_SIGNAL) {
        fprintf(trace_output(), "%jd time%s", data, s);
    } else if (trace_is_user(k)) {
        fprintf(trace_output(), "triggered, fflags 0x%x", (unsigned)k->fflags);
    } else {
        fprintf(trace_output(), "flags 0x%x, fflags 0x%x, data %jd",
                (unsigned)k->flags, (unsigned)k->fflags, data);
    }
    fputc('\n', trace_output());
}

/* ---- The calls --------------------------------------------------------- */

TRACE int trace_kqueue(void)
{
    int kq;

    fputs("kqueue() = ", trace_output());
    kq = kqueue();
    trace_result(kq, "");
    return kq;
}

TRACE int trace_kevent(int kq, const struct kevent *changes,
                       trace_count nchanges, struct kevent *events,
                       trace_count nevents, const struct timespec *timeout)
{
    trace_count i;
    int n, error;

    for (i = 0; i < nchanges; i++)
        trace_change(&changes[i]);
    fprintf(trace_output(), "kevent(%d) = ", kq);
    n = kevent(kq, changes, nchanges, events, nevents, timeout);
    error = errno;
    trace_result(n, n == 0 && nevents > 0 ? " (time-out)" : "");
    for (i = 0; n > 0 && i < (trace_count)n; i++)
        trace_event(&events[i]);
    errno = error;
    return n;
}

/* Prints the descriptors of a set, the first 16 of them; nothing if it has
 * none. */
TRACE void trace_set(const char *name, int count, const fd_set *set,
                     const char **separator)
{
    int fd, found = 0;

    for (fd = 0; set != NULL && fd < count; fd++) {
        if (!FD_ISSET(fd, set))
            continue;
        if (found == 0)
            fprintf(trace_output(), "%s%s", *separator, name);
        if (++found <= 16)
            fprintf(trace_output(), " %d", fd);
        *separator = ", ";
    }
    if (found > 16)
        fprintf(trace_output(), " and %d more", found - 16);
}

TRACE void trace_sets(int count, const fd_set *reading, const fd_set *writing,
                      const fd_set *failing)
{
    const char *separator = "";

    trace_set("read", count, reading, &separator);
    trace_set("write", count, writing, &separator);
    trace_set("except", count, failing, &separator);
}

TRACE int trace_select(int count, fd_set *reading, fd_set *writing,
                       fd_set *failing, struct timeval *timeout)
{
    int n, error;

    fputs("select(", trace_output());
    trace_sets(count, reading, writing, failing);
    fputs(") = ", trace_output());
    n = select(count, reading, writing, failing, timeout);
    if (n <= 0) {
        trace_result(n, " (time-out)");
        return n;
    }
    error = errno;
    fprintf(trace_output(), "%d (", n);
    trace_sets(count, reading, writing, failing);
    fputs(")\n", trace_output());
    errno = error;
    return n;
}

TRACE int trace_accept(int listener, struct sockaddr *address,
                       socklen_t *length)
{
    int fd;

    fprintf(trace_output(), "accept(%d) = ", listener);
    fd = accept(listener, address, length);
    trace_result(fd, "");
    return fd;
}

TRACE ssize_t trace_recv(int fd, void *data, size_t length, int flags)
{
    ssize_t n;

    fprintf(trace_output(), "recv(%d) = ", fd);
    n = recv(fd, data, length, flags);
    trace_result(n, n == 0 ? " (EOF)" : n == 1 ? " byte" : " bytes");
    return n;
}

TRACE ssize_t trace_send(int fd, const void *data, size_t length, int flags)
{
    ssize_t n;

    fprintf(trace_output(), "send(%d, %zu byte%s) = ", fd, length,
            length == 1 ? "" : "s");
    n = send(fd, data, length, flags);
    trace_result(n, "");
    return n;
}

TRACE int trace_shutdown(int fd, int how)
{
    int result;

    fprintf(trace_output(), "shutdown(%d, %s) = ", fd,
            how == SHUT_RD   ? "SHUT_RD"
            : how == SHUT_WR ? "SHUT_WR"
                             : "SHUT_RDWR");
    result = shutdown(fd, how);
    trace_result(result, "");
    return result;
}

TRACE int trace_dup(int fd)
{
    int result;

    fprintf(trace_output(), "dup(%d) = ", fd);
    result = dup(fd);
    trace_result(result, "");
    return result;
}

TRACE int trace_close(int fd)
{
    int result;

    fprintf(trace_output(), "close(%d) = ", fd);
    result = close(fd);
    trace_result(result, "");
    return result;
}

/* With `...` an argument may contain a comma, as in &(struct timespec){1, 0}.
 * Some systems define some of these names as macros already. */
#undef kqueue
#undef kevent
#undef select
#undef accept
#undef recv
#undef send
#undef shutdown
#undef close
#undef dup
#define kqueue()      trace_kqueue()
#define kevent(...)   trace_kevent(__VA_ARGS__)
#define select(...)   trace_select(__VA_ARGS__)
#define accept(...)   trace_accept(__VA_ARGS__)
#define recv(...)     trace_recv(__VA_ARGS__)
#define send(...)     trace_send(__VA_ARGS__)
#define shutdown(...) trace_shutdown(__VA_ARGS__)
#define close(...)    trace_close(__VA_ARGS__)
#define dup(...)      trace_dup(__VA_ARGS__)

#endif
