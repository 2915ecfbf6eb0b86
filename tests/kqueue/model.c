/*
 * kqueue(2) against a model of it.
 *
 *     kqueue_model [-s SEED] [-n OPERATIONS] [-v]     random operations
 *     kqueue_model -t [-s SEED] [-n ROUNDS]           threads on one queue
 *
 * Sockets, pipes, USER events and timers are opened, written to, read, shut
 * and closed, and their knotes added, changed and deleted, in an order that
 * the seed decides. After each operation the model knows for every knote
 * whether kevent() must return it, may, or must not; and what data, udata and
 * EV_EOF it has. When something differs, the seed and the last operations are
 * printed; the same seed does the same again, and -v prints all operations.
 *
 * Only the public interface is used. The model is FreeBSD's, from kqueue(2) and
 * sys/kern/kern_event.c; a comment names the function where it matters. "May"
 * stands where FreeBSD promises nothing, where another BSD differs from it, or
 * where the Linux layer says that it does: EV_CLEAR for EVFILT_WRITE.
 */
#include <sys/types.h>
#include <sys/ioctl.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include "../lib/program.h"
#include "portable.h"

enum { OBJECTS = 8, ENDS = 2 * OBJECTS, USERS = 4, TIMERS = 4 };
enum { KNOTES = 2 * ENDS + USERS + TIMERS, ROOM = 2 * KNOTES, TRACE = 40 };
enum { LIMIT_MS = 10000, SURE = 2048, STARVED = 200 };

#define KIND (EV_ONESHOT | EV_CLEAR | EV_DISPATCH)

enum { UNIX, TCP, PIPE };
enum verdict { NO, MAY, MUST };

/* One end of a connection. A pipe is read at end 0 and written at end 1. */
struct end {
    int fd, kind;
    bool open, reads, writes;
    bool eof;      /* the other end sends no more */
    bool shut;     /* this one does not */
    bool deserted; /* the other end is closed */
    size_t in;     /* bytes that wait to be read here */
    unsigned bits; /* writes that wait at the other end */
    enum verdict room;
};

struct knote {
    bool exists, disabled;
    unsigned kind;
    enum verdict active; /* something has happened since the last delivery */
    unsigned fflags;     /* of USER */
    bool triggered;
    bool soon; /* a timer that will fire, once */
    intptr_t udata;
    int starved; /* times that others were returned instead */
};

static struct end ends[ENDS];
static struct knote knotes[KNOTES];
static int kq;

static uint64_t seed = 1;
static unsigned long operation;
static bool verbose;
static intptr_t next_udata;
static char trace[TRACE][600];
static char bytes[65536];

/* ---- Messages ------------------------------------------------------------ */

static void __attribute__((format(printf, 1, 2))) note(const char *format, ...)
{
    char *line = trace[operation % TRACE];
    size_t used = strlen(line);
    va_list list;

    va_start(list, format);
    vsnprintf(line + used, sizeof trace[0] - used, format, list);
    va_end(list);
}

static void begin_operation(void)
{
    if (verbose && operation > 0)
        printf("%lu:%s\n", operation, trace[operation % TRACE]);
    operation++;
    trace[operation % TRACE][0] = '\0';
}

static void say_operations(void)
{
    unsigned long i = operation > TRACE ? operation - TRACE + 1 : 1;

    for (; i <= operation; i++)
        printf("    %lu:%s\n", i, trace[i % TRACE]);
    printf("seed %llu, operation %lu; again: build/kqueue_model -s %llu\n",
           (unsigned long long)seed, operation, (unsigned long long)seed);
}

static void need(bool so, const char *what)
{
    if (!so)
        bad("%s: %s", what, strerror(errno));
}

/* ---- Names of knotes ----------------------------------------------------- */

/* Ends have two knotes each: READ, WRITE. Then USER, then TIMER. */
static filter_t filter_of(int k)
{
    if (k < 2 * ENDS)
        return (filter_t)(k % 2 == 0 ? EVFILT_READ : EVFILT_WRITE);
    return (filter_t)(k < 2 * ENDS + USERS ? EVFILT_USER : EVFILT_TIMER);
}

static struct end *end_of(int k)
{
    return k < 2 * ENDS ? &ends[k / 2] : NULL;
}

static struct end *peer_of(const struct end *e)
{
    return &ends[(e - ends) ^ 1];
}

/* The numbers of USER and TIMER overlap those of descriptors on purpose. */
static uintptr_t ident_of(int k)
{
    return k < 2 * ENDS ? (uintptr_t)ends[k / 2].fd : (uintptr_t)(k % 4 + 3);
}

static const char *name_of(int k)
{
    static char text[4][40];
    static int turn;
    static const char *const kinds[] = {"unix", "tcp", "pipe"};

    turn = (turn + 1) % 4;
    if (k < 2 * ENDS)
        snprintf(text[turn], sizeof text[0], "%s %d(%d) %s",
                 kinds[ends[k / 2].kind], k / 2, ends[k / 2].fd,
                 k % 2 == 0 ? "READ" : "WRITE");
    else
        snprintf(text[turn], sizeof text[0], "%s %d",
                 k < 2 * ENDS + USERS ? "USER" : "TIMER", k % 4 + 3);
    return text[turn];
}

static int find(const struct kevent *event)
{
    for (int k = 0; k < KNOTES; k++)
        if (event->filter == filter_of(k) && event->ident == ident_of(k) &&
            (end_of(k) == NULL || end_of(k)->open))
            return k;
    bad("an event of nobody: ident %lu, filter %d", (unsigned long)event->ident,
        (int)event->filter);
}

/* ---- The model: what must be returned ------------------------------------ */

/* Is what the filter asks for so, now? */
static enum verdict condition(int k)
{
    const struct end *e = end_of(k);
    const struct knote *n = &knotes[k];

    if (e == NULL)
        return n->triggered ? MUST : n->soon ? MAY : NO;
    if (k % 2 == 0)
        return e->in > 0 || e->eof ? MUST : NO;
    if (e->deserted && e->kind != TCP)
        return MUST;
    /* After shutdown(SHUT_WR) there is EV_EOF, on Linux only with room. */
    if (e->shut)
        return e->kind == TCP || e->room == MUST ? MUST : MAY;
    return e->room;
}

static enum verdict expected(int k)
{
    const struct knote *n = &knotes[k];
    const struct end *e = end_of(k);
    enum verdict ready = condition(k);

    if (!n->exists || n->disabled)
        return NO;
    /* kqueue_scan() does not ask the filter again for a ONESHOT knote. */
    if (ready == NO)
        return (n->kind & EV_ONESHOT) && n->active != NO ? MAY : NO;
    /*
     * TCP wakes when it likes: each acknowledgement makes room anew, and bytes
     * can be counted a moment before their wake-up comes (sorwakeup).
     */
    if (n->kind & EV_CLEAR && e != NULL && e->kind == TCP)
        return n->active == MUST ? ready : MAY;
    if (n->kind & EV_CLEAR && e != NULL)
        return n->active < ready ? n->active : ready;
    return ready;
}

static void activate(int k, enum verdict how)
{
    if (knotes[k].exists && knotes[k].active < how)
        knotes[k].active = how;
}

/* Something has come for this end, or the end of it. */
static void activate_read(const struct end *e, enum verdict how)
{
    activate(2 * (int)(e - ends), how);
}

static void activate_write(const struct end *e, enum verdict how)
{
    activate(2 * (int)(e - ends) + 1, how);
}

static void check_event(int k, const struct kevent *event)
{
    const struct knote *n = &knotes[k];
    const struct end *e = end_of(k);
    bool eof = (event->flags & EV_EOF) != 0;

    if (event->flags & EV_ERROR)
        bad("%s: EV_ERROR %ld", name_of(k), (long)event->data);
    if ((intptr_t)event->udata != n->udata)
        bad("%s: udata %ld and not %ld", name_of(k), (long)event->udata,
            (long)n->udata);
    /* kqueue_scan(): USER with EV_ONESHOT comes without fflags and data. */
    if (filter_of(k) == (filter_t)EVFILT_USER &&
        (event->fflags & NOTE_FFLAGSMASK) != n->fflags &&
        !(n->kind & EV_ONESHOT && event->fflags == 0))
        bad("%s: fflags %#x and not %#x", name_of(k), event->fflags, n->fflags);
    if (filter_of(k) == (filter_t)EVFILT_TIMER && event->data < 1)
        bad("%s: data %ld", name_of(k), (long)event->data);
    /* What a ONESHOT knote says may be old, see expected(). */
    if (e == NULL || condition(k) == NO)
        return;
    if (k % 2 == 0 && eof != e->eof)
        bad("%s: EV_EOF is %d", name_of(k), eof);
    if (k % 2 == 0 && (size_t)event->data != e->in && !(n->kind & EV_ONESHOT))
        bad("%s: data %ld and not %zu", name_of(k), (long)event->data, e->in);
    /* When the table of TIME_WAIT is full, the other side of a TCP connection
       is forgotten at close(), and a late packet is answered by a reset. */
    if (k % 2 == 1 && eof != (e->deserted || e->shut) &&
        !(e->kind == TCP && e->deserted))
        bad("%s: EV_EOF is %d", name_of(k), eof);
    if (k % 2 == 1 && event->data < 1 && !eof && !(n->kind & EV_ONESHOT))
        bad("%s: data %ld", name_of(k), (long)event->data);
}

/* The end of the loop in kqueue_scan(). */
static void delivered(int k)
{
    struct knote *n = &knotes[k];

    n->starved = 0;
    n->soon = false;
    if (n->kind & EV_ONESHOT) {
        memset(n, 0, sizeof *n);
        return;
    }
    if (n->kind & EV_CLEAR) {
        n->active = NO;
        n->triggered = false;
    }
    /* kern_event.c, NetBSD: EV_CLEAR wins, which a timer always has. */
    if (n->kind & EV_DISPATCH &&
        !(SYSTEM == NETBSD &&
          (n->kind & EV_CLEAR || filter_of(k) == (filter_t)EVFILT_TIMER)))
        n->disabled = true;
}

/* ---- Collecting ---------------------------------------------------------- */

static int must_come(void)
{
    int n = 0;

    for (int k = 0; k < KNOTES; k++)
        n += expected(k) == MUST;
    return n;
}

static void take_events(const struct kevent *events, int n, bool seen[KNOTES])
{
    for (int i = 0; i < n; i++) {
        int k = find(&events[i]);
        note(" [%s", name_of(k));
        if (seen[k])
            bad("%s: twice", name_of(k));
        seen[k] = true;
        if (expected(k) == NO)
            bad("%s: is returned, and must not be", name_of(k));
        check_event(k, &events[i]);
        delivered(k);
        note("]");
    }
}

static bool is_tcp(int k)
{
    return end_of(k) != NULL && end_of(k)->kind == TCP;
}

/* Events of TCP may need a moment, in any system; others may not. */
static void only_late(const bool seen[KNOTES], const bool must[KNOTES])
{
    for (int k = 0; k < KNOTES; k++)
        if (must[k] && !seen[k] && !is_tcp(k))
            bad("%s: must be returned, and is not", name_of(k));
}

/*
 * Checks n events. With room for all, none may be missing; with less, there
 * must be one at least, and in the long run it must be the turn of each.
 */
static void compare(const struct kevent *events, int n, int room)
{
    static const struct timespec none = {0, 0}, moment = {0, 1000000};
    struct kevent more[ROOM];
    bool seen[KNOTES] = {false}, must[KNOTES];
    int missing = 0;

    for (int tries = 0;; tries++) {
        missing = 0;
        for (int k = 0; k < KNOTES; k++)
            must[k] = expected(k) == MUST;
        take_events(events, n, seen);
        for (int k = 0; k < KNOTES; k++)
            missing += must[k] && !seen[k];
        if (missing == 0 || (room < ROOM && n > 0))
            break;
        only_late(seen, must);
        for (int k = 0; k < KNOTES && tries == LIMIT_MS; k++)
            if (must[k] && !seen[k])
                bad("%s: must be returned, and is not", name_of(k));
        nanosleep(&moment, NULL);
        memset(seen, 0, sizeof seen);
        events = more;
        room = ROOM;
        n = kevent(kq, NULL, 0, more, ROOM, &none);
        need(n >= 0, "kevent");
    }
    for (int k = 0; k < KNOTES && missing > 0; k++)
        if (must[k] && !seen[k] && !is_tcp(k) && ++knotes[k].starved > STARVED)
            bad("%s: others are always returned instead", name_of(k));
}

static int random_room(void)
{
    static const int rooms[] = {1, 1, 2, 3, 5, ROOM, ROOM, ROOM};

    return rooms[chance(8)];
}

static void collect(void)
{
    static const struct timespec none = {0, 0};
    struct kevent events[ROOM];
    int room = random_room(), n;

    note(" collect %d", room);
    if (chance(8) == 0 && must_come() > 0) {
        struct pollfd p = {.fd = kq, .events = POLLIN};
        if (poll(&p, 1, LIMIT_MS) != 1)
            bad("poll() does not find the queue ready");
    }
    n = kevent(kq, NULL, 0, events, room, &none);
    need(n >= 0, "kevent");
    compare(events, n, room);
}

/* One at a time, everything that is ready has its turn: see compare(). */
static void collect_in_turn(void)
{
    static const struct timespec none = {0, 0};

    note(" collect in turn");
    for (int i = 0; i < 2 * STARVED && must_come() > 1; i++) {
        struct kevent event;
        size_t used = strlen(trace[operation % TRACE]);
        int n = kevent(kq, NULL, 0, &event, 1, &none);
        need(n >= 0, "kevent");
        compare(&event, n, 1);
        if (i > 4)
            trace[operation % TRACE][used] = '\0';
    }
}

/* ---- Changes ------------------------------------------------------------- */

static bool number_in_use(int fd)
{
    for (int i = 0; i < ENDS; i++)
        if (ends[i].open && ends[i].fd == fd)
            return true;
    return fcntl(fd, F_GETFD) >= 0;
}

/* filt_usertouch() */
static void touch_user(struct knote *n, const struct kevent *c)
{
    unsigned control = c->fflags & NOTE_FFCTRLMASK;
    unsigned bits = c->fflags & NOTE_FFLAGSMASK;

    if (c->fflags & NOTE_TRIGGER)
        n->triggered = true;
    n->fflags = control == NOTE_FFAND    ? n->fflags & bits
                : control == NOTE_FFOR   ? n->fflags | bits
                : control == NOTE_FFCOPY ? bits
                                         : n->fflags;
    if (c->flags & EV_CLEAR)
        n->triggered = false;
}

/* What the change must lead to: 0 or an error. Applies it to the model. */
static int apply(int k, const struct kevent *c)
{
    struct knote *n = &knotes[k];
    const struct end *e = end_of(k);
    bool fresh = !n->exists;

    if (e && !e->open)
        return EBADF;
    if (fresh && !(c->flags & EV_ADD))
        return ENOENT;
    if (c->flags & EV_DELETE) {
        memset(n, 0, sizeof *n);
        return 0;
    }
    if (fresh) {
        memset(n, 0, sizeof *n);
        n->exists = true;
        n->kind = c->flags & KIND; /* and never changes */
        n->fflags = c->fflags & NOTE_FFLAGSMASK;
    } else if (filter_of(k) == (filter_t)EVFILT_USER) {
        touch_user(n, c);
    }
    n->udata = (intptr_t)c->udata;
    if (c->flags & (EV_ENABLE | EV_DISABLE))
        n->disabled = (c->flags & EV_DISABLE) != 0;
    /* kqueue_register(), done_ev_add: the filter is asked, unless disabled */
    if (!n->disabled)
        activate(k, condition(k));
    else if (SYSTEM == NETBSD && fresh) /* asked before it is disabled */
        activate(k, condition(k) == NO ? NO : MAY);
    if (filter_of(k) == (filter_t)EVFILT_TIMER && fresh)
        n->soon = c->data == 1;
    return 0;
}

static unsigned random_kind(void)
{
    static const unsigned kinds[] = {
        0,        0,          0,           EV_CLEAR,
        EV_CLEAR, EV_ONESHOT, EV_DISPATCH, EV_CLEAR | EV_DISPATCH};

    return kinds[chance(8)];
}

static unsigned random_action(const struct knote *n)
{
    unsigned x = chance(10);

    if (x < (n->exists ? 2u : 7u))
        return EV_ADD | random_kind() | (chance(4) ? 0 : EV_DISABLE) |
               (chance(8) ? 0 : EV_RECEIPT);
    if (x < 4)
        return EV_DELETE;
    return x < 7 ? EV_ENABLE : x < 9 ? EV_DISABLE : 0;
}

/* A change that means the same in all systems with this interface. */
static bool sensible(int k, unsigned flags)
{
    const struct end *e = end_of(k);

    if (e == NULL)
        return true;
    /* The other filter of a pipe's end differs between systems. */
    if (e->kind == PIPE && (k % 2 == 0 ? !e->reads : !e->writes))
        return false;
    /* filt_pipeattach: EPIPE */
    if (e->kind == PIPE && k % 2 == 1 && e->deserted && (flags & EV_ADD))
        return false;
    return e->open || !number_in_use(e->fd);
}

static bool random_change(struct kevent *c, int *which)
{
    int k = (int)chance(chance(3) == 0 ? KNOTES : 2 * ENDS);
    const struct knote *n = &knotes[k];
    unsigned flags = random_action(n), fflags = 0;
    int64_t data = 0;

    if (!sensible(k, flags))
        return false;
    if (filter_of(k) == (filter_t)EVFILT_USER) {
        static const unsigned control[] = {NOTE_FFNOP, NOTE_FFAND, NOTE_FFOR,
                                           NOTE_FFCOPY};
        fflags = control[chance(4)] | chance(0x1000000);
        if (n->exists && chance(2))
            fflags |= NOTE_TRIGGER; /* in the first EV_ADD systems differ */
        else if (!n->exists)
            fflags &= NOTE_FFLAGSMASK;
    }
    if (filter_of(k) == (filter_t)EVFILT_TIMER) {
        if (flags & EV_ADD && n->exists)
            flags = EV_DELETE; /* changing one that runs: systems differ */
        data = flags & EV_ONESHOT ? 1 : 3600000;
    }
    flags &= ~(unsigned)EV_RECEIPT;
    /* A timer's period counts from here, and not in the model. */
    EV_SET(c, ident_of(k), filter_of(k), (flags_t)flags, (fflags_t)fflags,
           (data_t)data, UDATA(++next_udata));
    *which = k;
    note(" {%s flags %#x fflags %#x}", name_of(k), flags, fflags);
    return true;
}

/* Alone, without room for an answer. */
static void change_alone(void)
{
    struct kevent c;
    int k, error, got;

    if (!random_change(&c, &k))
        return;
    error = apply(k, &c);
    got = kevent(kq, &c, 1, NULL, 0, NULL) == 0 ? 0 : errno;
    if (got != error)
        bad("error %d (%s) and not %d", got, strerror(got), error);
}

static void change_with_receipt(void)
{
    struct kevent c, answer;
    int k, error, n;

    if (!random_change(&c, &k))
        return;
    note(" receipt");
    error = apply(k, &c);
    c.flags |= EV_RECEIPT;
    n = kevent(kq, &c, 1, &answer, 1, NULL);
    need(n == 1, "no receipt");
    if (!(answer.flags & EV_ERROR) || answer.data != error ||
        answer.ident != c.ident || answer.filter != c.filter ||
        answer.udata != c.udata)
        bad("receipt: flags %#x, data %ld and not %d", answer.flags,
            (long)answer.data, error);
}

/* Several, with room: all errors are returned, or else events. */
static void change_and_collect(void)
{
    static const struct timespec none = {0, 0};
    struct kevent c[5], events[ROOM];
    int errors[5], count = 0, failed = 0, k, n, wanted = 1 + (int)chance(5);

    for (int i = 0; i < wanted; i++) {
        if (!random_change(&c[count], &k))
            continue;
        errors[count] = apply(k, &c[count]);
        failed += errors[count++] != 0;
    }
    n = kevent(kq, c, count, events, ROOM, &none);
    need(n >= 0, "kevent");
    if (failed == 0) {
        compare(events, n, ROOM);
        return;
    }
    if (n != failed)
        bad("%d entries and not %d errors", n, failed);
    for (int i = 0, at = 0; i < count; i++) {
        if (errors[i] == 0)
            continue;
        if (!(events[at].flags & EV_ERROR) || events[at].data != errors[i] ||
            events[at].udata != c[i].udata)
            bad("change %d: data %ld and not %d", i, (long)events[at].data,
                errors[i]);
        at++;
    }
}

/* Several without room: up to the first error. */
static void change_until_error(void)
{
    struct kevent c[5];
    int count = 0, wanted = 1 + (int)chance(5), error = 0, got;

    while (count < wanted) {
        int k;
        if (random_change(&c[count], &k) && error == 0)
            error = apply(k, &c[count++]);
        else
            wanted--;
    }
    got = kevent(kq, c, count, NULL, 0, NULL) == 0 ? 0 : errno;
    if (got != error)
        bad("error %d (%s) and not %d", got, strerror(got), error);
}

/* ---- Opening, reading, writing, closing ---------------------------------- */

static struct end *random_end(void)
{
    return &ends[chance(ENDS)];
}

static void await(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};

    if (poll(&p, 1, LIMIT_MS) != 1)
        bad("poll() waits in vain");
}

/* What was sent over TCP is there. */
static void await_bytes(const struct end *e)
{
    struct timespec moment = {0, 1000000};
    int n = -1;

    for (int i = 0; i < LIMIT_MS; i++) {
        need(ioctl(e->fd, FIONREAD, &n) == 0, "FIONREAD");
        if ((size_t)n == e->in)
            return;
        if (i > 100)
            nanosleep(&moment, NULL);
    }
    bad("%d bytes arrive and not %zu", n, e->in);
}

/* One listener for all pairs, so that they use up no ports of the system. */
static void tcp_pair(int fd[2])
{
    static struct sockaddr_in a = {.sin_family = AF_INET};
    static int listener = -1;
    socklen_t length = sizeof a;
    int large = 1 << 20, small = 8192, on = 1;

    if (listener < 0) {
        listener = socket(AF_INET, SOCK_STREAM, 0);
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        /* Room for all that fill() sends, in however many pieces: else some
           of it waits on the other side for a window. Handed down. */
        setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &large, sizeof large);
        need(listener >= 0 &&
                 bind(listener, (struct sockaddr *)&a, length) == 0 &&
                 listen(listener, 1) == 0 &&
                 getsockname(listener, (struct sockaddr *)&a, &length) == 0,
             "listener");
    }
    fd[0] = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd[0], SOL_SOCKET, SO_RCVBUF, &large, sizeof large);
    need(connect(fd[0], (struct sockaddr *)&a, length) == 0, "connect");
    fd[1] = accept(listener, NULL, NULL);
    need(fd[1] >= 0, "accept");
    for (int i = 0; i < 2; i++) {
        setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
        setsockopt(fd[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
}

static void open_object(int i)
{
    int fd[2], kind = (int)chance(5) % 3;

    if (kind == UNIX)
        need(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0, "socketpair");
    else if (kind == PIPE)
        need(pipe(fd) == 0, "pipe");
    else
        tcp_pair(fd);
    for (int j = 0; j < 2; j++) {
        struct end *e = &ends[2 * i + j];
        memset(e, 0, sizeof *e);
        e->fd = fd[j];
        e->kind = kind;
        e->open = true;
        e->reads = kind != PIPE || j == 0;
        e->writes = kind != PIPE || j == 1;
        e->room = MUST;
        fcntl(fd[j], F_SETFL, O_NONBLOCK);
    }
    note(" open kind %d as %d, %d", kind, fd[0], fd[1]);
}

static void read_from(struct end *e, size_t most)
{
    struct end *p = peer_of(e);
    size_t want = e->in < most ? e->in : most;

    if (!e->open || !e->reads || want == 0)
        return;
    note(" read %zu from %d", want, e->fd);
    while (want > 0) {
        ssize_t n =
            read(e->fd, bytes, want < sizeof bytes ? want : sizeof bytes);
        need(n > 0, "read");
        e->in -= (size_t)n;
        want -= (size_t)n;
    }
    if (e->in == 0) {
        activate_write(p, p->room == NO ? MUST : MAY);
        p->room = MUST;
        p->bits = 0;
    } else {
        activate_write(p, MAY);
        p->room = p->room == NO ? MAY : p->room;
        if (e->kind == PIPE)
            activate_read(e, MAY); /* pipe_read(), a BSD: bytes are left */
    }
}

static void wrote(struct end *e, size_t n)
{
    struct end *p = peer_of(e);

    p->in += n;
    e->bits++;
    if (e->room == MUST && (p->in > SURE || e->bits > 4))
        e->room = MAY;
    activate_read(p, MUST);
    if (e->kind == PIPE)
        activate_write(e, MAY); /* pipe_write(), a BSD: room is left */
    if (e->kind == TCP)
        await_bytes(p);
}

static bool may_write(const struct end *e)
{
    return e->open && e->writes && !e->shut && !e->deserted;
}

static void write_to(struct end *e)
{
    size_t length = 1 + chance(chance(4) ? 100 : 4000);
    ssize_t n;

    if (!may_write(e))
        return;
    n = write(e->fd, bytes, length);
    note(" write %zd to %d", n, e->fd);
    if (n < 0)
        need(errno == EAGAIN && (e->room != MUST || e->kind == TCP), "write");
    if (n > 0) {
        wrote(e, (size_t)n);
    } else {
        e->room = e->kind == TCP ? MAY : NO;
        activate_read(peer_of(e), MAY); /* Linux: pipe_write() wakes anyway */
    }
}

/* Until there is no room, not for a byte. */
static void fill(struct end *e)
{
    size_t length = 16384;

    if (!may_write(e))
        return;
    note(" fill %d", e->fd);
    while (length > 0) {
        ssize_t n = write(e->fd, bytes, length);
        if (n > 0)
            wrote(e, (size_t)n);
        else
            length /= 4;
    }
    activate_read(peer_of(e), MAY);
    /* TCP makes room when acknowledgements come. */
    e->room = e->kind == TCP ? MAY : NO;
}

static void shut_end(struct end *e)
{
    struct end *p = peer_of(e);

    if (!e->open || e->kind == PIPE || e->shut || e->deserted)
        return;
    if (e->kind == TCP)
        read_from(p, SIZE_MAX);
    note(" shut %d", e->fd);
    need(shutdown(e->fd, SHUT_WR) == 0, "shutdown");
    e->shut = true;
    activate_write(e, MAY);
    activate_read(e, MAY); /* Linux: sk_state_change() wakes for anything */
    p->eof = true;
    activate_read(p, MUST);
    activate_write(p, MAY);
    if (e->kind == TCP)
        await(p->fd, POLLIN);
}

static void simple_change(uintptr_t ident, int filter, unsigned flags)
{
    struct kevent c;

    EV_SET(&c, ident, (filter_t)filter, (flags_t)flags, 0, 3600000, UDATA(0));
    need(kevent(kq, &c, 1, NULL, 0, NULL) == 0, "kevent");
}

/*
 * A pipe's writer whose reader goes: FreeBSD tells it once and deletes the
 * knote, NetBSD and OpenBSD do not tell it at all.
 */
static void forget_writer(const struct end *e)
{
    int k = 2 * (int)(e - ends) + 1;

    if (e->kind != PIPE || !e->open || !e->writes || !knotes[k].exists)
        return;
    note(" forget %s", name_of(k));
    simple_change((uintptr_t)e->fd, EVFILT_WRITE, EV_DELETE);
    memset(&knotes[k], 0, sizeof knotes[k]);
}

/* close() takes the knotes of the number with it (knote_fdclose). */
static void close_end(struct end *e)
{
    static const struct linger reset = {1, 0};
    struct end *p = peer_of(e);
    int k = 2 * (int)(e - ends);

    if (!e->open)
        return;
    if (e->kind != PIPE)
        read_from(e, SIZE_MAX); /* else the other end would see a reset */
    if (e->kind == TCP && p->open)
        read_from(p, SIZE_MAX);
    /* Nobody is left to see a reset, and it leaves no TIME_WAIT behind. */
    if (e->kind == TCP && !p->open)
        setsockopt(e->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    forget_writer(p);
    note(" close %d", e->fd);
    need(close(e->fd) == 0, "close");
    e->open = false;
    memset(&knotes[k], 0, 2 * sizeof knotes[0]);
    if (!p->open)
        return;
    activate_read(p, p->eof ? MAY : MUST);
    activate_write(p, e->kind == TCP || p->deserted ? MAY : MUST);
    p->eof = p->reads;
    p->deserted = true;
    if (e->kind == TCP)
        await(p->fd, POLLIN);
}

/*
 * An implementation may open descriptors of its own when they are needed. Here
 * all are, so that a number that was closed stays closed until it is reused.
 */
static void new_queue(void)
{
    int fd[2];

    note(" new queue");
    close(kq);
    memset(knotes, 0, sizeof knotes);
    kq = kqueue();
    need(kq >= 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0, "new queue");
    simple_change(1, EVFILT_USER, EV_ADD);
    simple_change(1, EVFILT_TIMER, EV_ADD);
    simple_change((uintptr_t)fd[0], EVFILT_READ, EV_ADD | EV_CLEAR);
    simple_change((uintptr_t)fd[0], EVFILT_WRITE, EV_ADD | EV_CLEAR);
    simple_change(1, EVFILT_USER, EV_DELETE);
    simple_change(1, EVFILT_TIMER, EV_DELETE);
    close(fd[0]);
    close(fd[1]);
}

/* A timer that is about to fire does. */
static void await_timer(void)
{
    for (int k = 2 * ENDS + USERS; k < KNOTES; k++) {
        int64_t tries = 0;
        if (!knotes[k].soon || knotes[k].disabled)
            continue;
        note(" await %s", name_of(k));
        while (knotes[k].soon) {
            static const struct timespec none = {0, 0}, moment = {0, 1000000};
            struct kevent events[ROOM];
            int n;
            nanosleep(&moment, NULL);
            n = kevent(kq, NULL, 0, events, ROOM, &none);
            need(n >= 0, "kevent");
            compare(events, n, ROOM);
            if (++tries > LIMIT_MS)
                bad("%s does not fire", name_of(k));
        }
    }
}

static void change(void)
{
    switch (chance(4)) {
    case 0:
        change_alone();
        break;
    case 1:
        change_with_receipt();
        break;
    case 2:
        change_and_collect();
        break;
    case 3:
        change_until_error();
        break;
    }
}

static void work(void)
{
    unsigned x = chance(1000);
    struct end *e = random_end();

    if (!e->open && !peer_of(e)->open && x < 500)
        open_object((int)(e - ends) / 2);
    else if (x < 460)
        change();
    else if (x < 700)
        write_to(e);
    else if (x < 900)
        read_from(e, chance(2) ? SIZE_MAX : 1 + chance(3000));
    else if (x < 920)
        fill(e);
    else if (x < 940)
        shut_end(e);
    else if (x < 996)
        close_end(e);
    else if (x < 998)
        await_timer();
    else if (x < 999)
        collect_in_turn();
    else
        new_queue();
}

static void run_model(unsigned long operations)
{
    kq = -1;
    new_queue();
    while (operation < operations) {
        begin_operation();
        work();
        if (chance(5) < 3)
            collect();
    }
    printf("seed %llu: %lu operations\n", (unsigned long long)seed, operation);
}

/* ---- Threads ------------------------------------------------------------- */

/*
 * Waiters take events from one queue; workers add, change, trigger and close.
 * A worker goes on when a waiter has seen what it did: a wake-up that is lost
 * ends the test. Meddlers change knotes that nobody waits for.
 */
enum { WORKERS = 3, WAITERS = 2, STOP = 9999 };

struct worker {
    pthread_mutex_t lock;
    pthread_cond_t seen;
    long events; /* that waiters have seen for it */
};

static struct worker workers[WORKERS];
static unsigned long rounds = 1000;

static void submit(uintptr_t ident, int filter, unsigned flags, unsigned fflags,
                   struct worker *worker)
{
    struct kevent c;

    EV_SET(&c, ident, (filter_t)filter, (flags_t)flags, (fflags_t)fflags, 0,
           UDATA(worker));
    if (kevent(kq, &c, 1, NULL, 0, NULL) < 0)
        bad("change of %lu, filter %d, flags %#x: %s", (unsigned long)ident,
            filter, flags, strerror(errno));
}

static void *wait_for_events(void *unused)
{
    for (;;) {
        struct kevent events[3];
        int n = kevent(kq, NULL, 0, events, 3, NULL);
        need(n >= 0, "kevent");
        for (int i = 0; i < n; i++) {
            struct worker *w = (struct worker *)(intptr_t)events[i].udata;
            if (events[i].flags & EV_ERROR)
                bad("EV_ERROR %ld", (long)events[i].data);
            if (w == NULL)
                return unused; /* STOP, not deleted: the others see it too */
            pthread_mutex_lock(&w->lock);
            w->events++;
            pthread_cond_signal(&w->seen);
            pthread_mutex_unlock(&w->lock);
        }
    }
}

static void await_events(struct worker *w, long wanted, const char *what)
{
    struct timespec end;
    int error = 0;

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += LIMIT_MS / 1000;
    pthread_mutex_lock(&w->lock);
    while (w->events < wanted && error == 0)
        error = pthread_cond_timedwait(&w->seen, &w->lock, &end);
    if (w->events != wanted)
        bad("%s: %ld events and not %ld", what, w->events, wanted);
    pthread_mutex_unlock(&w->lock);
}

/* ONESHOT: exactly one waiter sees it, once. Then DISPATCH, twice. */
static void *do_work(void *argument)
{
    struct worker *w = argument;
    uintptr_t own = 100 + (uintptr_t)(w - workers);
    long events = 0;

    submit(own, EVFILT_USER, EV_ADD | EV_CLEAR, 0, w);
    for (unsigned long i = 0; i < rounds; i++) {
        int fd[2];
        need(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0, "socketpair");
        submit((uintptr_t)fd[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, w);
        need(write(fd[1], "x", 1) == 1, "write");
        await_events(w, ++events, "ONESHOT");
        submit((uintptr_t)fd[0], EVFILT_READ, EV_ADD | EV_DISPATCH, 0, w);
        await_events(w, ++events, "DISPATCH");
        submit((uintptr_t)fd[0], EVFILT_READ, EV_ENABLE, 0, w);
        await_events(w, ++events, "EV_ENABLE");
        submit(own, EVFILT_USER, 0, NOTE_TRIGGER, w);
        await_events(w, ++events, "USER");
        close(fd[0]); /* without EV_DELETE */
        close(fd[1]);
    }
    submit(own, EVFILT_USER, EV_DELETE, 0, w);
    return NULL;
}

static void *meddle(void *unused)
{
    for (unsigned long i = 0; i < rounds; i++) {
        int fd[2];
        need(pipe(fd) == 0, "pipe");
        submit((uintptr_t)fd[0], EVFILT_READ, EV_ADD, 0, &workers[0]);
        submit((uintptr_t)fd[0], EVFILT_READ, EV_DISABLE, 0, &workers[0]);
        submit(200, EVFILT_TIMER, EV_ADD | EV_DISABLE, 0, &workers[0]);
        submit(201, EVFILT_USER, EV_ADD | EV_DISABLE, 0, &workers[0]);
        submit(201, EVFILT_USER, 0, NOTE_TRIGGER, &workers[0]);
        if (i % 2 == 0)
            submit((uintptr_t)fd[0], EVFILT_READ, EV_DELETE, 0, &workers[0]);
        submit(200, EVFILT_TIMER, EV_DELETE, 0, &workers[0]);
        submit(201, EVFILT_USER, EV_DELETE, 0, &workers[0]);
        close(fd[0]);
        close(fd[1]);
    }
    return unused;
}

static void run_threads(void)
{
    pthread_t thread[WORKERS + WAITERS + 1];
    int n = 0;

    kq = kqueue();
    need(kq >= 0, "kqueue");
    for (int i = 0; i < WAITERS; i++)
        pthread_create(&thread[n++], NULL, wait_for_events, NULL);
    for (int i = 0; i < WORKERS; i++) {
        pthread_mutex_init(&workers[i].lock, NULL);
        pthread_cond_init(&workers[i].seen, NULL);
    }
    for (int i = 0; i < WORKERS; i++)
        pthread_create(&thread[n++], NULL, do_work, &workers[i]);
    pthread_create(&thread[n++], NULL, meddle, NULL);
    for (int i = WAITERS; i < n; i++)
        pthread_join(thread[i], NULL);
    submit(STOP, EVFILT_USER, EV_ADD, 0, NULL);
    submit(STOP, EVFILT_USER, 0, NOTE_TRIGGER, NULL);
    for (int i = 0; i < WAITERS; i++)
        pthread_join(thread[i], NULL);
    printf("threads: %lu rounds\n", rounds);
}

int main(int argc, char **argv)
{
    unsigned long n = 0;
    bool threads = false;
    int option;

    while ((option = getopt(argc, argv, "s:n:tv")) != -1) {
        if (option == 's')
            seed = strtoull(optarg, NULL, 10);
        else if (option == 'n')
            n = strtoul(optarg, NULL, 10);
        else if (option == 't')
            threads = true;
        else if (option == 'v')
            verbose = true;
        else
            return 2;
    }
    if (!HAVE_USER) {
        printf("this system has no EVFILT_USER\n");
        return 77;
    }
    signal(SIGPIPE, SIG_IGN);
    seed_chance(seed);
    if (!threads) {
        say_where = say_operations;
        run_model(n > 0 ? n : 100000);
        return 0;
    }
    rounds = n > 0 ? n : rounds;
    run_threads();
    return 0;
}
