/*
 * kqueue() and kevent() for Linux, on top of epoll.
 *
 * A kqueue is a table of subscriptions ("knotes"), one per (ident, filter).
 * Linux has the parts: epoll watches descriptors, timerfd turns time into a
 * descriptor, eventfd does it for anything else. So the kqueue descriptor IS
 * an epoll descriptor, which makes it pollable, nestable and freed by close(),
 * and this file keeps what epoll has no room for: udata, the two filters of
 * one descriptor, and knotes that are no descriptors. kevent() turns changes
 * into epoll_ctl(2), waits in epoll_wait(2), and translates what comes back:
 *
 *   READ, WRITE   one epoll registration per descriptor, EPOLLIN and EPOLLOUT
 *   TIMER         a heap by deadline; one timerfd, set to the earliest
 *   SIGNAL        a sigaction(2) handler that counts and rings the doorbell
 *   USER, files   active knotes wait in a "ready list"; while it is not empty
 *                 the doorbell, an eventfd, is readable in the epoll set
 *
 * Differences from FreeBSD that remain (kqueue(2) is the reference):
 *  - VNODE, PROC and the other filters: EINVAL. EV_EOF leaves fflags 0, since
 *    reading SO_ERROR would take the error away from the program.
 *  - EVFILT_READ data is 1 for listening UNIX sockets, kqueues and devices
 *    that have no byte count, and for UDP the size of the next datagram alone.
 *    Writes to a regular file wake no sleeper. A file that is closed keeps its
 *    knote until the number is used for something else in EV_ADD.
 *  - NOTE_LOWAT on WRITE counts only if it is above the size of the buffer; on
 *    READ a larger SO_RCVLOWAT wins. WRITE data is an estimate. WRITE with
 *    EV_CLEAR fires again only once the buffer has been full (epoll(7)). A
 *    local shutdown(SHUT_WR) is not seen, or repeats READ with EV_CLEAR.
 *  - A change to one filter of a descriptor, or the delivery of its ONESHOT or
 *    DISPATCH knote, may repeat an EV_CLEAR event of the other filter.
 *  - A kqueue descriptor made by dup() is EBADF. In a child after fork() the
 *    number is EBADF for kevent(), but stays open until close() or exec().
 *  - Beside the kqueue descriptor there are others, made by kqueue() at high
 *    numbers: a timerfd (TIMER), a second epoll set (READ and WRITE of one
 *    descriptor, one with EV_CLEAR), and an eventfd for all queues (SIGNAL,
 *    USER, files). The first two are closed by the next kqueue() after close()
 *    of the queue.
 *  - A descriptor closed while a dup() or a child keeps the file open stays in
 *    the epoll set; once it shows up, the set is rebuilt. That repeats a
 *    pending EV_CLEAR event, and ends a nesting of this kqueue in another.
 *  - NOTE_ABSTIME is converted once: later steps of the clock do not move it.
 *    A bad value when a timer is added again is EINVAL at once.
 *  - A watched signal that was ignored gets a handler: poll(), sleep(), and
 *    kevent() on another queue return EINTR, sigaction() shows it, and
 *    posix_spawn() children have the default action. A
 *    disposition set between EV_ADD and the first wait is noticed, later ones
 *    take the signal away from the kqueue; a handler set in between must not
 *    call the one it replaced. A blocked signal counts when it is
 *    unblocked; those that merge while pending count once. SIGKILL, SIGSTOP
 *    and numbers that are no signal: EINVAL.
 *  - Waits are rounded up to milliseconds (timers are not). kevent() takes
 *    locks, so it must not be called from a signal handler.
 */
#define _GNU_SOURCE
#include <sys/event.h>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <search.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, BUCKETS = 64, STALE_LIMIT = 8, NS_PER_S = 1000000000 };

/* READ and WRITE of one descriptor, and the two epoll sets they may be in. */
enum { READ, WRITE };
enum { MAIN, SHADOW };

/* What epoll_data holds when its upper half, the generation, is 0. */
enum { DOORBELL, TIMERFD, SHADOWSET };

/* What a descriptor refers to, found out when an event leaves doubt. */
enum { UNKNOWN, STREAM, DATAGRAM, LISTENER, PIPE, OTHER };

/* Flags that EV_ADD stores; EV_ADD itself stands for "there is a knote". */
#define KIND_FLAGS (EV_ONESHOT | EV_CLEAR | EV_DISPATCH)

/* A knote of READ or WRITE. Small: a server has one per idle client. */
struct fd_knote {
    void *udata;
    int low_water;
    unsigned short flags; /* EV_ADD, EV_DISABLE, KIND_FLAGS; 0: no knote */
};

/*
 * One descriptor. The kernel's registration carries (generation, number); the
 * generation changes when the number comes to mean another file, so that an
 * event of the file before, still on its way, is told apart.
 */
struct descriptor {
    struct fd_knote knote[2];
    uint32_t generation;
    uint32_t mask[2]; /* as registered in MAIN and SHADOW; 0: it is not */
    unsigned char kind;
    unsigned char quiet; /* bit per set: edge-triggered for now, see settle() */
    unsigned char next;  /* filter whose turn it is when only one fits */
};

struct link {
    struct link *prev, *next;
};

/* A knote that epoll cannot hold: TIMER, SIGNAL, USER, regular files. */
struct knote {
    struct link ready;  /* in kqueue.ready while active; first, for the cast */
    struct knote *peer; /* in kqueue.asked */
    struct kevent kev;
    bool disabled;
    unsigned turn;    /* the last turn it was returned in */
    uint64_t count;   /* TIMER: expirations; USER: triggered; file: size */
    int64_t deadline; /* TIMER: CLOCK_MONOTONIC, ns */
    int64_t period;   /* TIMER: ns, 0 when it fires once */
    size_t slot;      /* TIMER: place in the heap + 1; 0 when not in it */
    unsigned seen;    /* SIGNAL: counter at the last delivery */
    dev_t device;     /* file: which one, and its size when last returned */
    ino_t inode;
    off_t size;
};

struct kqueue {
    struct kqueue *next; /* in its bucket; never freed, so no lock to look */
    int fd;
    pthread_mutex_t lock; /* all below; never held while waiting */
    unsigned epoch; /* atomic; odd while the number is a kqueue, else even */
    bool asks;      /* atomic: asked is not empty */
    unsigned turn;
    uint32_t generation; /* the last one given out */
    int set[2];          /* MAIN is fd, SHADOW -1 before it is needed */
    int timer_fd;
    int64_t timer_set; /* deadline in the timerfd, 0 for none */
    uint32_t bell;     /* epoll mask of the doorbell */
    bool bell_on, check_signals;
    uint64_t signals; /* atomic: those of enabled SIGNAL knotes */
    uint64_t suspect; /* a registration that should not be there any more */
    unsigned suspect_turn, suspect_hits;
    struct descriptor *descriptors;
    size_t ndescriptors;
    void *knotes;        /* tsearch(3) tree by (filter, ident) */
    struct knote *asked; /* SIGNAL and files: nobody tells, we must ask */
    struct knote **heap; /* TIMER */
    size_t nheap, heap_size;
    struct link ready; /* FIFO of active knotes */
};

/* How a signal was handled before the first knote for it came. */
struct watched_signal {
    unsigned count, users;
    struct sigaction old;
};

static struct kqueue *buckets[BUCKETS];
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct watched_signal watched[_NSIG];
static pthread_mutex_t process_lock = PTHREAD_MUTEX_INITIALIZER;
static int doorbell = -1; /* an eventfd, readable for ever once made */

static void close_helper(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Put a descriptor of our own in the epoll set; -1 and errno if it fails. */
static int add_helper(struct kqueue *kq, int fd, uint64_t name)
{
    struct epoll_event item = {.events = EPOLLIN, .data.u64 = name};
    if (fd >= 0 && epoll_ctl(kq->fd, EPOLL_CTL_ADD, fd, &item) < 0) {
        int error = errno;
        close_helper(&fd);
        errno = error;
    }
    return fd;
}

/*
 * Moves a descriptor of our own to the highest number below 1024 that is free,
 * or the next one above: those that open() and accept() give the program are
 * then the ones that it would see on a BSD.
 */
static int out_of_the_way(int fd)
{
    struct rlimit limit;
    int moved = -1, number = 1024;
    if (fd < 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return fd;
    if (limit.rlim_cur < (rlim_t)number)
        number = (int)limit.rlim_cur;
    while (moved < 0 && --number > fd)
        moved = fcntl(fd, F_DUPFD_CLOEXEC, number);
    if (moved < 0)
        return fd;
    close(fd);
    return moved;
}

/* ---- the doorbell and the ready list ---- */

static int open_doorbell(void)
{
    pthread_mutex_lock(&process_lock);
    int fd = __atomic_load_n(&doorbell, __ATOMIC_ACQUIRE);
    if (fd < 0) {
        fd = out_of_the_way(eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
        __atomic_store_n(&doorbell, fd, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&process_lock);
    return fd;
}

static void unqueue(struct knote *kn)
{
    kn->ready.prev->next = kn->ready.next;
    kn->ready.next->prev = kn->ready.prev;
    kn->ready.prev = kn->ready.next = &kn->ready;
}

static void enqueue(struct kqueue *kq, struct knote *kn)
{
    unqueue(kn);
    kn->ready.prev = kq->ready.prev;
    kn->ready.next = &kq->ready;
    kq->ready.prev->next = &kn->ready;
    kq->ready.prev = &kn->ready;
}

/* Is the number still the file that the knote was made for? */
static bool file_status(const struct knote *kn, struct stat *now)
{
    return fstat((int)kn->kev.ident, now) == 0 && now->st_ino == kn->inode &&
           now->st_dev == kn->device;
}

/* Bytes between the offset and the end; ready means that there are some. */
static bool file_ready(struct knote *kn)
{
    struct stat now;
    if (!file_status(kn, &now))
        return false;
    kn->kev.data = 1;
    if (kn->kev.filter == EVFILT_READ && S_ISREG(now.st_mode))
        kn->kev.data = now.st_size - lseek((int)kn->kev.ident, 0, SEEK_CUR);
    if (kn->kev.flags & EV_CLEAR && kn->size == now.st_size)
        return false;
    kn->count = (uint64_t)now.st_size;
    return kn->kev.data > 0;
}

static uint64_t signal_bit(uintptr_t sig)
{
    return 1ull << (sig % 64);
}

static unsigned signal_count(const struct knote *kn)
{
    return __atomic_load_n(&watched[kn->kev.ident].count, __ATOMIC_SEQ_CST);
}

/* The filter's own question, asked at each change and at each delivery. */
static bool is_active(struct knote *kn)
{
    switch (kn->kev.filter) {
    case EVFILT_SIGNAL:
        kn->kev.data = (int64_t)(signal_count(kn) - kn->seen);
        return kn->kev.data != 0;
    case EVFILT_TIMER:
        kn->kev.data = (int64_t)kn->count;
        return kn->count != 0;
    case EVFILT_USER:
        return kn->count != 0;
    default:
        return file_ready(kn);
    }
}

static void evaluate(struct kqueue *kq, struct knote *kn)
{
    if (kn->disabled || !is_active(kn))
        unqueue(kn);
    else if (kn->ready.next == &kn->ready)
        enqueue(kq, kn);
}

/* Have each SIGNAL knote look at its counter; say which ones want to know. */
static void ask_signals(struct kqueue *kq)
{
    uint64_t wanted = 0;
    if (kq->asked == NULL && kq->signals == 0)
        return;
    for (struct knote *kn = kq->asked; kn != NULL; kn = kn->peer)
        if (kn->kev.filter == EVFILT_SIGNAL && !kn->disabled)
            wanted |= signal_bit(kn->kev.ident);
    __atomic_store_n(&kq->signals, wanted, __ATOMIC_SEQ_CST);
    for (struct knote *kn = kq->asked; kn != NULL; kn = kn->peer)
        if (kn->kev.filter == EVFILT_SIGNAL)
            evaluate(kq, kn);
}

/*
 * Make the kqueue descriptor readable while knotes wait in the ready list: a
 * thread that sleeps in kevent(), or a poll() on the kqueue, must notice what
 * lives in user space only. A signal that comes between the question and the
 * epoll_ctl(2) would be lost, so ask again until nothing changes.
 */
static int set_doorbell(struct kqueue *kq)
{
    for (;;) {
        ask_signals(kq);
        uint32_t want = kq->ready.next != &kq->ready ? EPOLLIN : 0;
        if (want == kq->bell &&
            (kq->bell_on || (want == 0 && kq->asked == NULL)))
            return 0;
        int fd = open_doorbell();
        int op = kq->bell_on ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
        struct epoll_event item = {.events = want, .data.u64 = DOORBELL};
        if (fd < 0 || epoll_ctl(kq->fd, op, fd, &item) < 0)
            return errno;
        kq->bell = want;
        kq->bell_on = true;
    }
}

/* ---- TIMER: a binary heap of deadlines behind one timerfd ---- */

static int64_t now_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

static int64_t add_clamped(int64_t a, int64_t b)
{
    return a > INT64_MAX - b ? INT64_MAX : a + b;
}

static void heap_put(struct kqueue *kq, size_t i, struct knote *kn)
{
    kq->heap[i] = kn;
    kn->slot = i + 1;
}

/* Move kn from the hole at i to where its deadline belongs. */
static void heap_sift(struct kqueue *kq, size_t i, struct knote *kn)
{
    for (; i > 0 && kq->heap[(i - 1) / 2]->deadline > kn->deadline;
         i = (i - 1) / 2)
        heap_put(kq, i, kq->heap[(i - 1) / 2]);
    for (size_t child; (child = 2 * i + 1) < kq->nheap; i = child) {
        if (child + 1 < kq->nheap &&
            kq->heap[child + 1]->deadline < kq->heap[child]->deadline)
            child++;
        if (kq->heap[child]->deadline >= kn->deadline)
            break;
        heap_put(kq, i, kq->heap[child]);
    }
    heap_put(kq, i, kn);
}

static void heap_remove(struct kqueue *kq, struct knote *kn)
{
    if (kn->slot == 0)
        return;
    size_t hole = kn->slot - 1;
    kn->slot = 0;
    struct knote *last = kq->heap[--kq->nheap];
    if (last != kn)
        heap_sift(kq, hole, last);
}

static int heap_insert(struct kqueue *kq, struct knote *kn)
{
    if (kq->nheap == kq->heap_size) {
        size_t size = kq->heap_size ? 2 * kq->heap_size : 16;
        void *heap = realloc(kq->heap, size * sizeof(*kq->heap));
        if (heap == NULL)
            return ENOMEM;
        kq->heap = heap;
        kq->heap_size = size;
    }
    heap_sift(kq, kq->nheap++, kn);
    return 0;
}

/*
 * Point the timerfd at the earliest deadline. Setting it again also makes an
 * expired one unreadable, as read(2) would (timerfd_create(2)).
 */
static int set_timer(struct kqueue *kq)
{
    int64_t top = kq->nheap > 0 ? kq->heap[0]->deadline : 0;
    if (top == kq->timer_set)
        return 0;
    struct itimerspec when = {
        .it_value = {.tv_sec = top / NS_PER_S, .tv_nsec = top % NS_PER_S}};
    timerfd_settime(kq->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
    kq->timer_set = top;
    return 0;
}

/*
 * Count the periods that are over. Deadlines advance by whole periods from the
 * first one, so a timer does not drift.
 */
static void advance_timer(struct knote *kn, int64_t now)
{
    if (kn->deadline == 0 || kn->deadline > now)
        return;
    int64_t n = kn->period > 0 ? 1 + (now - kn->deadline) / kn->period : 1;
    kn->count += (uint64_t)n;
    kn->deadline =
        kn->period > 0 ? add_clamped(kn->deadline, n * kn->period) : 0;
}

/* A disabled timer runs on, but out of the heap: it shall wake nobody. */
static int schedule_timer(struct kqueue *kq, struct knote *kn)
{
    int error = 0;
    heap_remove(kq, kn);
    if (!kn->disabled) {
        advance_timer(kn, now_ns(CLOCK_MONOTONIC));
        if (kn->deadline != 0)
            error = heap_insert(kq, kn);
    }
    return error ? error : set_timer(kq);
}

/*
 * Activate what is due, at most `room` knotes. What is left keeps the timerfd
 * as it is: expired, readable, and so back in the next turn.
 */
static void expire_timers(struct kqueue *kq, int room)
{
    int64_t now = now_ns(CLOCK_MONOTONIC);
    for (; kq->nheap > 0 && kq->heap[0]->deadline <= now; room--) {
        struct knote *kn = kq->heap[0];
        if (room <= 0)
            return;
        advance_timer(kn, now);
        if (kn->deadline != 0)
            heap_sift(kq, 0, kn);
        else
            heap_remove(kq, kn);
        evaluate(kq, kn);
    }
    set_timer(kq);
}

/* (Re)start a timer. FreeBSD: sys/kern/kern_event.c, filt_timervalidate. */
static int start_timer(struct kqueue *kq, struct knote *kn,
                       const struct kevent *kev)
{
    static const int64_t units[] = {1000000, NS_PER_S, 1000000, 0, 1000,
                                    0,       0,        0,       1};
    unsigned unit = kev->fflags & ~(unsigned)NOTE_ABSTIME;
    bool absolute = (kev->fflags & NOTE_ABSTIME) != 0;
    bool once = (kn->kev.flags & EV_ONESHOT) != 0;
    if (kev->data < 0 || unit > NOTE_NSECONDS || units[unit] == 0)
        return EINVAL;
    int64_t n = kev->data == 0 && !once ? 1 : kev->data;
    int64_t ns = n > INT64_MAX / units[unit] ? INT64_MAX : n * units[unit];
    if (absolute)
        ns -= now_ns(CLOCK_REALTIME);
    kn->count = 0;
    kn->deadline = add_clamped(now_ns(CLOCK_MONOTONIC), ns < 0 ? 0 : ns);
    kn->period = absolute || once ? 0 : ns;
    return schedule_timer(kq, kn);
}

/* ---- SIGNAL: a handler in front of the program's own ---- */

/* Do what the kernel would have done, had there been no handler. */
static void default_action(int sig)
{
    if (sig == SIGCHLD || sig == SIGCONT || sig == SIGURG || sig == SIGWINCH)
        return;
    struct sigaction standard, ours;
    sigset_t this_one, before;
    memset(&standard, 0, sizeof(standard)); /* SIG_DFL */
    sigaction(sig, &standard, &ours);
    raise(sig);
    sigemptyset(&this_one);
    sigaddset(&this_one, sig);
    pthread_sigmask(SIG_UNBLOCK, &this_one, &before); /* usually the end */
    pthread_sigmask(SIG_SETMASK, &before, NULL);      /* stopped, continued */
    sigaction(sig, &ours, NULL);
}

/*
 * Count, ring the doorbell of each kqueue that asks, then do what would have
 * happened without us. A kqueue number that means another file by now makes
 * epoll_ctl(2) fail, and nothing else.
 *
 * Why not signalfd(2): it delivers blocked signals only. Blocked, the
 * program's own handlers would never run, children would inherit the mask, and
 * signals in quick succession merge. epoll_ctl(2) is not on POSIX's list of
 * async-signal-safe functions, but a bare system call, and that is what counts.
 */
static void on_signal(int sig, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    struct epoll_event item = {.events = EPOLLIN, .data.u64 = DOORBELL};
    int bell = __atomic_load_n(&doorbell, __ATOMIC_ACQUIRE);
    struct watched_signal *w = &watched[sig];
    __atomic_add_fetch(&w->count, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < BUCKETS; i++) {
        struct kqueue *kq = __atomic_load_n(&buckets[i], __ATOMIC_ACQUIRE);
        for (; kq != NULL; kq = kq->next)
            if (__atomic_load_n(&kq->signals, __ATOMIC_SEQ_CST) &
                signal_bit((uintptr_t)sig))
                epoll_ctl(kq->fd, EPOLL_CTL_MOD, bell, &item);
    }
    errno = saved_errno;
    if (w->old.sa_flags & SA_SIGINFO)
        w->old.sa_sigaction(sig, info, context);
    else if (w->old.sa_handler == SIG_DFL)
        default_action(sig);
    else if (w->old.sa_handler != SIG_IGN)
        w->old.sa_handler(sig);
}

/*
 * Put on_signal in place, unless it is. FreeBSD does not record an ignored
 * SIGCHLD, and a handler would turn off the automatic reaping of children.
 */
static int install_handler(int sig)
{
    struct sigaction now, ours;
    if (sig == SIGKILL || sig == SIGSTOP || sigaction(sig, NULL, &now) < 0)
        return EINVAL;
    if (now.sa_sigaction == on_signal || /* even put back by signal(3) */
        (sig == SIGCHLD && now.sa_handler == SIG_IGN))
        return 0;
    watched[sig].old = ours = now;
    ours.sa_sigaction = on_signal;
    ours.sa_flags |= SA_SIGINFO;
    if (now.sa_handler == SIG_IGN || now.sa_handler == SIG_DFL)
        ours.sa_flags |= SA_RESTART;
    return sigaction(sig, &ours, NULL) < 0 ? errno : 0;
}

static void restore_handler(int sig)
{
    struct sigaction now;
    if (sigaction(sig, NULL, &now) == 0 && now.sa_sigaction == on_signal)
        sigaction(sig, &watched[sig].old, NULL);
}

static int watch_signal(struct kqueue *kq, struct knote *kn)
{
    if (kn->kev.ident == 0 || kn->kev.ident >= _NSIG)
        return EINVAL;
    kn->seen = signal_count(kn);
    pthread_mutex_lock(&process_lock);
    int error = install_handler((int)kn->kev.ident);
    watched[kn->kev.ident].users += !error;
    pthread_mutex_unlock(&process_lock);
    kq->check_signals = true;
    return error;
}

static void unwatch_signal(int sig)
{
    pthread_mutex_lock(&process_lock);
    if (--watched[sig].users == 0)
        restore_handler(sig);
    pthread_mutex_unlock(&process_lock);
}

/* Programs call signal(SIGINT, SIG_IGN) before EV_ADD or right after it. */
static void check_handlers(struct kqueue *kq)
{
    pthread_mutex_lock(&process_lock);
    for (struct knote *kn = kq->asked; kn != NULL; kn = kn->peer)
        if (kn->kev.filter == EVFILT_SIGNAL)
            install_handler((int)kn->kev.ident);
    pthread_mutex_unlock(&process_lock);
    kq->check_signals = false;
}

/* ---- knotes that are no descriptors ---- */

static int compare_knotes(const void *a, const void *b)
{
    const struct kevent *x = &((const struct knote *)a)->kev;
    const struct kevent *y = &((const struct knote *)b)->kev;
    if (x->ident != y->ident)
        return x->ident < y->ident ? -1 : 1;
    return x->filter - y->filter;
}

static struct knote *find_knote(struct kqueue *kq, const struct kevent *kev)
{
    struct knote key = {.kev = *kev};
    struct knote **found = tfind(&key, &kq->knotes, compare_knotes);
    return found ? *found : NULL;
}

static void remove_knote(struct kqueue *kq, struct knote *kn)
{
    struct knote **at = &kq->asked;
    while (*at != NULL && *at != kn)
        at = &(*at)->peer;
    if (*at != NULL)
        *at = kn->peer;
    __atomic_store_n(&kq->asks, kq->asked != NULL, __ATOMIC_RELAXED);
    tdelete(kn, &kq->knotes, compare_knotes);
    unqueue(kn);
    heap_remove(kq, kn);
    if (kn->kev.filter == EVFILT_SIGNAL)
        unwatch_signal((int)kn->kev.ident);
    free(kn);
}

/* Start what the filter needs; on error add_knote() undoes it. */
static int attach(struct kqueue *kq, struct knote *kn, const struct kevent *kev)
{
    struct stat now;
    kn->kev.fflags = 0;
    if (tsearch(kn, &kq->knotes, compare_knotes) == NULL)
        return ENOMEM;
    if (kev->filter == EVFILT_TIMER) {
        if (!(kev->fflags & NOTE_ABSTIME))
            kn->kev.flags |= EV_CLEAR;
        return start_timer(kq, kn, kev);
    }
    if (open_doorbell() < 0)
        return errno;
    if (kev->filter == EVFILT_USER) { /* a NOTE_TRIGGER here does nothing */
        kn->kev.fflags = kev->fflags & NOTE_FFLAGSMASK;
        return 0;
    }
    kn->peer = kq->asked;
    kq->asked = kn;
    __atomic_store_n(&kq->asks, true, __ATOMIC_RELAXED);
    if (kev->filter == EVFILT_SIGNAL) {
        kn->kev.flags |= EV_CLEAR;
        return 0;
    }
    if (fstat((int)kev->ident, &now) < 0)
        return errno;
    kn->device = now.st_dev;
    kn->inode = now.st_ino;
    kn->size = -1;
    return 0;
}

static int add_knote(struct kqueue *kq, const struct kevent *kev)
{
    struct knote *kn = calloc(1, sizeof(*kn));
    if (kn == NULL)
        return ENOMEM;
    kn->kev = *kev;
    kn->kev.flags &= KIND_FLAGS;
    kn->disabled = (kev->flags & EV_DISABLE) != 0;
    kn->ready.prev = kn->ready.next = &kn->ready;
    int error = kev->filter == EVFILT_SIGNAL ? watch_signal(kq, kn) : 0;
    if (error) {
        free(kn);
        return error;
    }
    error = attach(kq, kn, kev);
    if (error)
        remove_knote(kq, kn);
    else
        evaluate(kq, kn);
    return error;
}

/* FreeBSD: sys/kern/kern_event.c, filt_usertouch. */
static void touch_user(struct knote *kn, const struct kevent *kev)
{
    unsigned bits = kev->fflags & NOTE_FFLAGSMASK;
    if (kev->fflags & NOTE_TRIGGER)
        kn->count = 1;
    switch (kev->fflags & NOTE_FFCTRLMASK) {
    case NOTE_FFAND:
        kn->kev.fflags &= bits;
        break;
    case NOTE_FFOR:
        kn->kev.fflags |= bits;
        break;
    case NOTE_FFCOPY:
        kn->kev.fflags = bits;
        break;
    }
    kn->kev.data = kev->data;
    if (kev->flags & EV_CLEAR)
        kn->count = 0;
}

/*
 * A change to a knote that exists: udata is replaced, the kind is not
 * (FreeBSD kqueue_register). A timer runs on unless EV_ADD restarts it.
 */
static int change_knote(struct kqueue *kq, struct knote *kn,
                        const struct kevent *kev)
{
    int error = 0;
    if (kn == NULL)
        return kev->flags & EV_ADD ? add_knote(kq, kev) : ENOENT;
    if (kev->flags & EV_DELETE) {
        remove_knote(kq, kn);
        return set_timer(kq);
    }
    if (kev->filter == EVFILT_USER)
        touch_user(kn, kev);
    if (kev->flags & (EV_ENABLE | EV_DISABLE))
        kn->disabled = (kev->flags & EV_DISABLE) != 0;
    if (kev->filter == EVFILT_TIMER)
        error = kev->flags & EV_ADD ? start_timer(kq, kn, kev)
                                    : schedule_timer(kq, kn);
    if (error)
        return error;
    kn->kev.udata = kev->udata;
    kn->size = -1; /* a file is looked at anew, EV_CLEAR or not */
    if (kn->kev.filter == EVFILT_SIGNAL)
        kq->check_signals = true;
    evaluate(kq, kn);
    return 0;
}

/* After delivery: FreeBSD kqueue_scan, the end of its loop. */
static void after_delivery(struct kqueue *kq, struct knote *kn)
{
    unsigned flags = kn->kev.flags;
    unqueue(kn);
    if (flags & EV_ONESHOT) {
        remove_knote(kq, kn);
        return;
    }
    if (flags & EV_CLEAR) {
        kn->seen += (unsigned)kn->kev.data;
        kn->size = (off_t)kn->count;
        kn->count = 0;
    }
    if (flags & EV_DISPATCH) {
        kn->disabled = true;
        if (kn->kev.filter == EVFILT_TIMER)
            schedule_timer(kq, kn);
    } else if (!(flags & EV_CLEAR))
        enqueue(kq, kn); /* level-triggered: to the tail, others come first */
}

static int deliver_ready(struct kqueue *kq, struct kevent *out, int room)
{
    int n = 0;
    while (n < room && kq->ready.next != &kq->ready) {
        struct knote *kn = (struct knote *)kq->ready.next;
        if (kn->turn == kq->turn)
            break; /* once round */
        kn->turn = kq->turn;
        if (!is_active(kn)) {
            unqueue(kn);
            continue;
        }
        out[n++] = kn->kev;
        after_delivery(kq, kn);
    }
    return n;
}

/* ---- READ and WRITE: descriptors in epoll ---- */

static struct descriptor *find_descriptor(struct kqueue *kq, int fd)
{
    return fd >= 0 && (size_t)fd < kq->ndescriptors ? &kq->descriptors[fd]
                                                    : NULL;
}

static struct descriptor *get_descriptor(struct kqueue *kq, int fd)
{
    size_t need = (size_t)fd + 1, have = kq->ndescriptors;
    if (need > have) {
        if (fcntl(fd, F_GETFD) < 0)
            return NULL; /* EBADF; no table for numbers that nobody has */
        size_t size = need < 2 * have ? 2 * have : need + 16;
        struct descriptor *table =
            realloc(kq->descriptors, size * sizeof(*table));
        if (table == NULL)
            return NULL;
        memset(table + have, 0, (size - have) * sizeof(*table));
        kq->descriptors = table;
        kq->ndescriptors = size;
    }
    return &kq->descriptors[fd];
}

static bool has_knotes(const struct descriptor *d)
{
    return (d->knote[READ].flags | d->knote[WRITE].flags) != 0;
}

/* Forget the knotes; the kernel forgot the registration at close(2). */
static void drop_descriptor(struct descriptor *d)
{
    memset(d, 0, sizeof(*d));
}

/* Errors of epoll_ctl(2) that say: the number is not what was registered. */
static bool means_gone(int error)
{
    return error == EBADF || error == ENOENT || error == EPERM;
}

/*
 * The epoll masks that the knotes call for.
 * - EPOLLET belongs to a registration, not to a bit of it: an edge for IN
 *   would report OUT again. So when there are two knotes and EV_CLEAR among
 *   them, WRITE moves to the shadow set, an epoll set nested in the main one.
 * - A knote that is disabled stays registered, or reuse of the number would
 *   go unseen. HUP and ERR cannot be masked (epoll_ctl(2)), but edge-triggered
 *   they come once and cannot spin.
 */
static void wanted_masks(const struct descriptor *d, uint32_t want[2])
{
    static const uint32_t bits[2] = {EPOLLIN | EPOLLRDHUP, EPOLLOUT};
    const struct fd_knote *r = &d->knote[READ], *w = &d->knote[WRITE];
    bool split = r->flags && w->flags && ((r->flags | w->flags) & EV_CLEAR);
    bool used[2] = {has_knotes(d), split};
    want[MAIN] = want[SHADOW] = 0;
    for (int which = READ; which <= WRITE; which++) {
        int set = which == WRITE && split ? SHADOW : MAIN;
        unsigned flags = d->knote[which].flags;
        if (flags != 0 && !(flags & EV_DISABLE))
            want[set] |= bits[which];
        if (flags & EV_CLEAR)
            want[set] |= EPOLLET;
    }
    for (int set = MAIN; set <= SHADOW; set++)
        if (used[set] && (want[set] == 0 || d->quiet & 1u << set))
            want[set] |= EPOLLET;
}

/*
 * Bring the kernel in line with the knotes. `force` names the sets (a bit
 * each) to tell even if nothing differs: EPOLL_CTL_MOD looks at the file anew,
 * re-arms an edge, and fails when the number is closed (EBADF) or means
 * another file by now (ENOENT).
 */
static int sync_masks(struct kqueue *kq, int fd, struct descriptor *d,
                      unsigned force)
{
    uint32_t want[2];
    wanted_masks(d, want);
    if (want[SHADOW] != 0 && kq->set[SHADOW] < 0)
        kq->set[SHADOW] = add_helper(
            kq, out_of_the_way(epoll_create1(EPOLL_CLOEXEC)), SHADOWSET);
    if (want[SHADOW] != 0 && kq->set[SHADOW] < 0)
        return errno;
    for (int set = MAIN; set <= SHADOW; set++) {
        if (want[set] == d->mask[set] &&
            (want[set] == 0 || !(force & 1u << set)))
            continue;
        struct epoll_event item = {.events = want[set],
                                   .data.u64 = (uint64_t)d->generation << 32 |
                                               (uint32_t)fd};
        int op = want[set] == 0      ? EPOLL_CTL_DEL
                 : d->mask[set] == 0 ? EPOLL_CTL_ADD
                                     : EPOLL_CTL_MOD;
        if (epoll_ctl(kq->set[set], op, fd, &item) < 0)
            return errno == EINVAL ? EBADF : errno; /* kq is no epoll set */
        d->mask[set] = want[set];
    }
    return 0;
}

static void set_knote(struct fd_knote *k, const struct kevent *kev)
{
    int64_t low = kev->fflags & NOTE_LOWAT ? kev->data : 0;
    k->udata = kev->udata;
    k->low_water = low > INT_MAX ? INT_MAX : low < 0 ? 0 : (int)low;
    if (k->flags == 0)
        k->flags = EV_ADD | (kev->flags & KIND_FLAGS);
    if (kev->flags & (EV_ENABLE | EV_DISABLE))
        k->flags = (unsigned short)((k->flags & ~EV_DISABLE) |
                                    (kev->flags & EV_DISABLE));
}

/* Register the number as a file not seen before: EEXIST says it was. */
static int add_fresh(struct kqueue *kq, int fd, struct descriptor *d, int which,
                     const struct kevent *kev)
{
    struct descriptor fresh;
    memset(&fresh, 0, sizeof(fresh));
    if (++kq->generation == 0)
        kq->generation = 1;
    fresh.generation = kq->generation;
    set_knote(&fresh.knote[which], kev);
    int error = sync_masks(kq, fd, &fresh, 0);
    if (error == EEXIST && !has_knotes(d)) {
        fresh.mask[MAIN] = EPOLLET; /* dup2() brought a closed file back */
        error = sync_masks(kq, fd, &fresh, 1u << MAIN);
    }
    if (error == 0)
        *d = fresh;
    return error;
}

/*
 * EV_ADD. BSD programs close() without EV_DELETE, so a knote that is there may
 * belong to a file long gone. Ask the kernel in the order that makes the
 * likely case one call: ADD succeeds only on a new file, MOD only on the old.
 */
static int add_filter(struct kqueue *kq, int fd, int which,
                      const struct kevent *kev)
{
    struct descriptor *d = get_descriptor(kq, fd);
    if (d == NULL)
        return errno;
    int error = ENOENT;
    if (has_knotes(d) && d->knote[which].flags == 0) {
        struct descriptor before = *d;
        set_knote(&d->knote[which], kev);
        error = sync_masks(kq, fd, d, 1u << MAIN);
        if (error != 0 && !means_gone(error)) {
            d->knote[which] = before.knote[which];
            return error;
        }
    }
    if (error == ENOENT) {
        error = add_fresh(kq, fd, d, which, kev);
        if (error == EEXIST) {
            int set = which == WRITE && d->mask[SHADOW] ? SHADOW : MAIN;
            set_knote(&d->knote[which], kev);
            d->quiet &= (unsigned char)~(1u << set);
            return sync_masks(kq, fd, d,
                              d->mask[set] & EPOLLET ? 1u << set : 0);
        }
    }
    if (means_gone(error))
        drop_descriptor(d);
    return error;
}

/* EV_ENABLE, EV_DISABLE, EV_DELETE or a plain change. */
static int modify_filter(struct kqueue *kq, int fd, struct descriptor *d,
                         int which, const struct kevent *kev)
{
    int set = which == WRITE && d->mask[SHADOW] ? SHADOW : MAIN;
    if (kev->flags & EV_DELETE)
        memset(&d->knote[which], 0, sizeof(d->knote[which]));
    else
        set_knote(&d->knote[which], kev);
    d->quiet &= (unsigned char)~(1u << set);
    int error = sync_masks(kq, fd, d, 1u << set);
    if (means_gone(error))
        drop_descriptor(d);
    return error == EPERM ? ENOENT : error;
}

/* A file knote outlives its file if the program just closed it. */
static struct knote *find_file(struct kqueue *kq, const struct kevent *kev)
{
    struct stat now;
    struct knote *kn = kq->asked ? find_knote(kq, kev) : NULL;
    if (kn == NULL || file_status(kn, &now))
        return kn;
    remove_knote(kq, kn);
    return NULL;
}

static int change_filter(struct kqueue *kq, const struct kevent *kev)
{
    int which = kev->filter == EVFILT_WRITE ? WRITE : READ;
    if (kev->ident > INT_MAX)
        return EBADF;
    int fd = (int)kev->ident;
    if (fd == kq->fd)
        return EINVAL;
    struct knote *kn = find_file(kq, kev);
    if (kn != NULL)
        return change_knote(kq, kn, kev);
    struct descriptor *d = find_descriptor(kq, fd);
    bool present = d != NULL && d->knote[which].flags != 0;
    if (present && (kev->flags & EV_DELETE || !(kev->flags & EV_ADD)))
        return modify_filter(kq, fd, d, which, kev);
    if (!(kev->flags & EV_ADD))
        return fcntl(fd, F_GETFD) < 0 ? EBADF : ENOENT;
    int error = add_filter(kq, fd, which, kev);
    return error == EPERM ? add_knote(kq, kev) : error;
}

/* ---- from epoll events to kevents ---- */

static int kind_of(struct descriptor *d, int fd)
{
    int type;
    struct stat st;
    socklen_t len = sizeof(type);
    if (d->kind != UNKNOWN)
        return d->kind;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0)
        d->kind = type == SOCK_STREAM ? STREAM : DATAGRAM;
    else
        d->kind = fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) ? PIPE : OTHER;
    return d->kind;
}

static bool is_socket(struct descriptor *d, int fd)
{
    int kind = kind_of(d, fd);
    return kind == STREAM || kind == DATAGRAM || kind == LISTENER;
}

/* Is the number still the file that was registered? ADD changes nothing. */
static bool same_file(int epoll_fd, int fd)
{
    struct epoll_event none = {.events = 0, .data.u64 = DOORBELL};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &none) < 0)
        return errno == EEXIST;
    epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    return false;
}

/*
 * Bytes to read or connections to accept; -1 if the descriptor is closed.
 * ioctl_list(2): FIONREAD is EINVAL on a listener. Its queue length is in
 * TCP_INFO (tcp(7)); UNIX sockets do not tell theirs.
 */
static int readable(struct descriptor *d, int fd)
{
    int n = 1;
    struct tcp_info info;
    socklen_t len = sizeof(info);
    if (d->kind != LISTENER) {
        if (ioctl(fd, FIONREAD, &n) == 0)
            return n;
        if (errno == EBADF)
            return -1;
        if (errno != EINVAL || !is_socket(d, fd))
            return 1;
        d->kind = LISTENER;
    }
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0)
        return (int)info.tcpi_unacked;
    return errno == EBADF ? -1 : 1;
}

/*
 * 1: ready, 0: not, -1: the event belongs to a file closed before.
 *   data       IN           peer FIN        IN|RDHUP (OUT stays)
 *   both shut  IN|RDHUP|HUP RST             IN|OUT|RDHUP|HUP|ERR
 *   pipe, writer gone: HUP  not connected:  OUT|HUP, where BSD reports nothing
 */
static int read_ready(struct kqueue *kq, int fd, struct descriptor *d,
                      uint32_t events, struct kevent *out)
{
    if (!(events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
        return 0;
    int n = readable(d, fd);
    if (n < 0 || (n == 0 && !same_file(kq->fd, fd)))
        return -1;
    bool eof = (events & EPOLLRDHUP) != 0;
    if (!eof && events & EPOLLHUP) {
        if (is_socket(d, fd))
            return 0;
        eof = true;
    }
    out->data = n;
    out->flags = eof ? EV_EOF : 0;
    if (eof || events & EPOLLERR)
        return 1;
    if (n == 0) { /* another thread took it, or an empty datagram, or tty ^D */
        int kind = kind_of(d, fd);
        return kind != STREAM && kind != LISTENER && kind != PIPE;
    }
    return n >= d->knote[READ].low_water || d->kind == LISTENER;
}

/*
 * Free space, as near as Linux tells: SO_MEMINFO (linux/sock_diag.h: [2] is
 * wmem_alloc, [3] sndbuf, [5] wmem_queued), or the pipe's size less its fill.
 */
static int64_t writable(int fd, int64_t *capacity)
{
    uint32_t m[16] = {0};
    socklen_t len = sizeof(m);
    int64_t used = 0;
    int fill;
    *capacity = INT_MAX;
    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, m, &len) == 0)
        *capacity = m[3], used = m[2] > m[5] ? m[2] : m[5];
    else if (errno == EBADF)
        return -1;
    else if (fcntl(fd, F_GETPIPE_SZ) > 0 && ioctl(fd, FIONREAD, &fill) == 0)
        *capacity = fcntl(fd, F_GETPIPE_SZ), used = fill;
    else
        return 1;
    return *capacity > used ? *capacity - used : 1;
}

static int write_ready(struct kqueue *kq, int fd, struct descriptor *d,
                       uint32_t events, struct kevent *out)
{
    if (!(events & (EPOLLOUT | EPOLLHUP | EPOLLERR)))
        return 0;
    int64_t capacity;
    out->data = writable(fd, &capacity);
    if (out->data < 0 || !same_file(kq->fd, fd))
        return -1;
    bool eof = (events & EPOLLHUP) != 0;
    if (eof && !(events & EPOLLRDHUP) && is_socket(d, fd)) {
        struct pollfd now = {.fd = fd, .events = POLLRDHUP};
        if (poll(&now, 1, 0) < 1 || !(now.revents & POLLRDHUP))
            return 0; /* not connected yet */
    }
    eof = eof || (events & EPOLLERR && !is_socket(d, fd));
    out->flags = eof ? EV_EOF : 0;
    return eof || d->knote[WRITE].low_water <= capacity;
}

/*
 * Leave the registration fit for the next turn. A level-triggered one that
 * reported but has nothing to deliver (a low-water mark not reached, a socket
 * not connected) would report for ever: make it quiet, that is edge-triggered,
 * until there is. MOD looks anew, so what came in between is not lost.
 */
static void settle(struct kqueue *kq, int fd, struct descriptor *d, int set,
                   int delivered)
{
    unsigned bit = 1u << set;
    if (delivered > 0)
        d->quiet &= (unsigned char)~bit;
    else if (!(d->mask[set] & EPOLLET))
        d->quiet |= (unsigned char)bit;
    if (means_gone(sync_masks(kq, fd, d, 0)))
        drop_descriptor(d);
}

/*
 * An event for a file closed before. Once may be a race between threads; one
 * that comes again and again is kept alive by a dup, see rebuild().
 */
static int note_stale(struct kqueue *kq, uint64_t key)
{
    if (key == kq->suspect) {
        kq->suspect_hits++;
        kq->suspect_turn = kq->turn;
    } else if (kq->turn - kq->suspect_turn > STALE_LIMIT) {
        kq->suspect = key;
        kq->suspect_hits = 1;
        kq->suspect_turn = kq->turn;
    }
    return 0;
}

/*
 * One epoll event gives up to two kevents. If just one fits, READ and WRITE
 * take turns; the other is level-triggered then (see wanted_masks) and will be
 * reported again.
 */
static int descriptor_event(struct kqueue *kq, const struct epoll_event *item,
                            int set, struct kevent *out, int room)
{
    int fd = (int)(uint32_t)item->data.u64, n = 0;
    struct descriptor *d = find_descriptor(kq, fd);
    if (d == NULL || d->generation != item->data.u64 >> 32 || !d->mask[set])
        return note_stale(kq, item->data.u64);
    bool split = d->mask[SHADOW] != 0, changed = d->quiet != 0;
    int first = room < 2 ? d->next : READ;
    for (int i = 0; i < 2 && n < room; i++) {
        int which = first ^ i;
        struct fd_knote *k = &d->knote[which];
        if (k->flags == 0 || k->flags & EV_DISABLE ||
            set != (which == WRITE && split ? SHADOW : MAIN))
            continue;
        memset(&out[n], 0, sizeof(out[n]));
        int ready = which == READ
                        ? read_ready(kq, fd, d, item->events, &out[n])
                        : write_ready(kq, fd, d, item->events, &out[n]);
        if (ready < 0) {
            drop_descriptor(d);
            return note_stale(kq, item->data.u64);
        }
        if (ready == 0)
            continue;
        out[n].ident = (uintptr_t)fd;
        out[n].filter = which == READ ? EVFILT_READ : EVFILT_WRITE;
        out[n].flags |= k->flags & KIND_FLAGS;
        out[n++].udata = k->udata;
        d->next = (unsigned char)!which;
        changed |= (k->flags & (EV_ONESHOT | EV_DISPATCH)) != 0;
        if (k->flags & EV_ONESHOT)
            memset(k, 0, sizeof(*k));
        else if (k->flags & EV_DISPATCH)
            k->flags |= EV_DISABLE;
    }
    if (changed || n == 0)
        settle(kq, fd, d, set, n);
    return n;
}

static int shadow_events(struct kqueue *kq, struct kevent *out, int room)
{
    struct epoll_event items[64];
    int used = 0;
    int n = epoll_wait(kq->set[SHADOW], items, room < 64 ? room : 64, 0);
    for (int i = 0; i < n; i++)
        used += descriptor_event(kq, &items[i], SHADOW, out + used, 1);
    return used;
}

static int dispatch(struct kqueue *kq, const struct epoll_event *item,
                    struct kevent *out, int room)
{
    if (item->data.u64 >> 32 != 0)
        return descriptor_event(kq, item, MAIN, out, room);
    if (item->data.u64 == SHADOWSET)
        return shadow_events(kq, out, room);
    if (item->data.u64 == TIMERFD)
        expire_timers(kq, room);
    else
        kq->bell = EPOLLIN; /* on_signal() may have rung it, see set_doorbell */
    ask_signals(kq);
    return deliver_ready(kq, out, room);
}

/*
 * Make a new epoll set under the same number. epoll keys a registration by
 * (open file, number): if a dup or a child holds the file open, closing the
 * number leaves a registration that reports and cannot be removed (epoll(7),
 * questions and answers). The old set's doorbell wakes who sleeps on it.
 */
static void rebuild(struct kqueue *kq)
{
    struct epoll_event item = {.events = EPOLLIN, .data.u64 = DOORBELL};
    int fresh = epoll_create1(EPOLL_CLOEXEC), bell = open_doorbell();
    if (fresh < 0 || bell < 0) {
        close_helper(&fresh);
        return;
    }
    for (int fd = 0; (size_t)fd < kq->ndescriptors; fd++) {
        struct descriptor *d = &kq->descriptors[fd];
        if (d->mask[MAIN] != 0 && !same_file(kq->fd, fd))
            drop_descriptor(d);
    }
    epoll_ctl(kq->fd, kq->bell_on ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, bell, &item);
    int moved = dup3(fresh, kq->fd, O_CLOEXEC);
    close(fresh);
    if (moved < 0)
        return;
    close_helper(&kq->set[SHADOW]);
    kq->bell_on = false;
    item.data.u64 = TIMERFD;
    if (kq->timer_fd >= 0)
        epoll_ctl(kq->fd, EPOLL_CTL_ADD, kq->timer_fd, &item);
    for (int fd = 0; (size_t)fd < kq->ndescriptors; fd++) {
        struct descriptor *d = &kq->descriptors[fd];
        if (d->mask[MAIN] == 0)
            continue;
        d->mask[MAIN] = d->mask[SHADOW] = 0;
        if (sync_masks(kq, fd, d, 0) != 0)
            drop_descriptor(d);
    }
}

/*
 * Translate a batch. Every item epoll returned must yield its events now or be
 * reported again, so one slot stays reserved for each item still to come.
 */
static int collect(struct kqueue *kq, const struct epoll_event *items, int n,
                   struct kevent *out, int room)
{
    int used = 0;
    kq->turn++;
    /* A signal whose handler ran as epoll_wait() returned: it came first. */
    if (kq->asked != NULL) {
        ask_signals(kq);
        used = deliver_ready(kq, out, room - n);
    }
    for (int i = 0; i < n; i++)
        used += dispatch(kq, &items[i], out + used, room - used - (n - i - 1));
    if (kq->suspect_hits > STALE_LIMIT) {
        rebuild(kq);
        kq->suspect_hits = 0;
    }
    set_doorbell(kq);
    return used;
}

/* ---- kqueue(), kevent() ---- */

static struct kqueue *find_kqueue(int fd)
{
    struct kqueue *kq = NULL;
    if (fd >= 0)
        kq = __atomic_load_n(&buckets[fd % BUCKETS], __ATOMIC_ACQUIRE);
    while (kq != NULL && kq->fd != fd)
        kq = kq->next;
    return kq;
}

/* Drop all state: the program closed the kqueue. The struct stays. */
static void reset(struct kqueue *kq)
{
    while (kq->knotes != NULL) /* the root's first member is the knote */
        remove_knote(kq, *(struct knote **)kq->knotes);
    free(kq->descriptors);
    free(kq->heap);
    close_helper(&kq->timer_fd);
    close_helper(&kq->set[SHADOW]);
    kq->descriptors = NULL;
    kq->heap = NULL;
    kq->ndescriptors = kq->heap_size = 0;
    kq->timer_set = 0;
    kq->bell = 0;
    kq->bell_on = false;
    ask_signals(kq);
    if (kq->epoch & 1)
        __atomic_store_n(&kq->epoch, kq->epoch + 1, __ATOMIC_RELEASE);
}

/* Has the program closed it? The timerfd, if still registered, says no. */
static bool is_gone(struct kqueue *kq)
{
    return (kq->epoch & 1) && !same_file(kq->fd, kq->timer_fd);
}

static void sweep(void)
{
    for (int i = 0; i < BUCKETS; i++)
        for (struct kqueue *kq = buckets[i]; kq != NULL; kq = kq->next) {
            pthread_mutex_lock(&kq->lock);
            if (is_gone(kq))
                reset(kq);
            pthread_mutex_unlock(&kq->lock);
        }
}

/*
 * A kqueue does not survive fork(2): its number means nothing in the child.
 * Other threads may have held locks, so nothing is freed, all is forgotten.
 */
static void forget_in_child(void)
{
    pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    for (int i = 0; i < BUCKETS; i++) {
        for (struct kqueue *kq = buckets[i]; kq != NULL; kq = kq->next) {
            close_helper(&kq->timer_fd);
            close_helper(&kq->set[SHADOW]);
        }
        buckets[i] = NULL;
    }
    table_lock = process_lock = unlocked;
    for (int sig = 1; sig < _NSIG; sig++) {
        if (watched[sig].users > 0)
            restore_handler(sig);
        watched[sig].users = 0;
    }
    close_helper(&doorbell);
}

__attribute__((constructor)) static void install_fork_handler(void)
{
    pthread_atfork(NULL, NULL, forget_in_child);
}

/*
 * All descriptors that the queue will need, whatever it holds, so that nothing
 * fails later for want of one. 0, or an errno.
 */
static int open_helpers(struct kqueue *kq)
{
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    kq->timer_fd = add_helper(kq, out_of_the_way(timer), TIMERFD);
    if (kq->timer_fd < 0)
        return errno;
    int set = epoll_create1(EPOLL_CLOEXEC);
    kq->set[SHADOW] = add_helper(kq, out_of_the_way(set), SHADOWSET);
    if (kq->set[SHADOW] < 0 || open_doorbell() < 0)
        return errno;
    return 0;
}

static int adopt(int fd)
{
    struct kqueue *kq = find_kqueue(fd);
    if (kq == NULL) {
        kq = calloc(1, sizeof(*kq));
        if (kq == NULL)
            return ENOMEM;
        pthread_mutex_init(&kq->lock, NULL);
        kq->fd = kq->set[MAIN] = fd;
        kq->timer_fd = kq->set[SHADOW] = -1;
        kq->ready.prev = kq->ready.next = &kq->ready;
        kq->next = buckets[fd % BUCKETS];
        __atomic_store_n(&buckets[fd % BUCKETS], kq, __ATOMIC_RELEASE);
    }
    pthread_mutex_lock(&kq->lock);
    reset(kq);
    int error = open_helpers(kq);
    if (error != 0)
        reset(kq);
    else
        __atomic_store_n(&kq->epoch, kq->epoch + 1, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&kq->lock);
    return error;
}

/*
 * Make a kqueue; close() frees it. Returns a close-on-exec descriptor, or -1
 * and errno: EMFILE, ENFILE, ENOMEM. FreeBSD kqueue(2), epoll_create1(2).
 */
int kqueue(void)
{
    pthread_mutex_lock(&table_lock);
    sweep();
    int fd = epoll_create1(EPOLL_CLOEXEC);
    int error = fd < 0 ? errno : adopt(fd);
    pthread_mutex_unlock(&table_lock);
    if (error == 0)
        return fd;
    close_helper(&fd);
    errno = error;
    return -1;
}

static int apply(struct kqueue *kq, const struct kevent *kev)
{
    if ((kev->flags & EV_ENABLE) && (kev->flags & EV_DISABLE))
        return EINVAL;
    switch (kev->filter) {
    case EVFILT_READ:
    case EVFILT_WRITE:
        return change_filter(kq, kev);
    case EVFILT_TIMER:
    case EVFILT_SIGNAL:
    case EVFILT_USER:
        return change_knote(kq, find_knote(kq, kev), kev);
    default:
        return EINVAL;
    }
}

/*
 * Apply the changes in order. Returns the number of entries written (errors
 * and receipts), -1 for an error, or -2 for a receipt, that found no room:
 * then the changes behind it are not applied. The lists may be one array.
 */
static int apply_changes(struct kqueue *kq, const struct kevent *changes, int n,
                         struct kevent *out, int room)
{
    int used = 0;
    for (int i = 0; i < n && used >= 0; i++) {
        struct kevent kev = changes[i];
        kev.flags &= (unsigned short)~EV_SYSFLAGS;
        int error = kev.filter == 0 ? 0 : apply(kq, &kev);
        if (kev.filter == 0 || (error == 0 && !(kev.flags & EV_RECEIPT)))
            continue;
        if (used == room) {
            errno = error;
            used = error ? -1 : -2;
        } else {
            kev.flags = EV_ERROR;
            kev.data = error;
            out[used++] = kev;
        }
    }
    int saved_errno = errno;
    set_doorbell(kq);
    errno = saved_errno;
    return used;
}

static int apply_locked(struct kqueue *kq, unsigned epoch,
                        const struct kevent *changes, int n, struct kevent *out,
                        int room)
{
    int used = -1;
    pthread_mutex_lock(&kq->lock);
    if (kq->epoch == epoch)
        used = apply_changes(kq, changes, n, out, room);
    else
        errno = EBADF; /* closed by another thread, just now */
    pthread_mutex_unlock(&kq->lock);
    return used;
}

/* Milliseconds for epoll_wait(2), rounded up: waking early would be wrong. */
static int remaining_ms(int64_t deadline)
{
    int64_t ns = deadline - now_ns(CLOCK_MONOTONIC);
    int64_t ms = ns / 1000000 + (ns % 1000000 > 0);
    return ns <= 0 ? 0 : ms > INT_MAX ? INT_MAX : (int)ms;
}

/* What must be looked at before a wait, since no kernel event tells it. */
static void before_wait(struct kqueue *kq)
{
    pthread_mutex_lock(&kq->lock);
    if (kq->check_signals)
        check_handlers(kq);
    for (struct knote *kn = kq->asked; kn != NULL; kn = kn->peer)
        evaluate(kq, kn);
    set_doorbell(kq);
    pthread_mutex_unlock(&kq->lock);
}

static int wait_for_events(struct kqueue *kq, unsigned epoch,
                           struct kevent *out, int room,
                           const struct timespec *timeout)
{
    struct epoll_event items[BATCH];
    bool poll_only = timeout && timeout->tv_sec == 0 && timeout->tv_nsec == 0;
    bool interrupted = false;
    int idle = 0;
    int64_t deadline = 0;
    if (timeout != NULL && !poll_only) {
        int64_t s = timeout->tv_sec, max = INT64_MAX / NS_PER_S - 1;
        deadline =
            add_clamped(now_ns(CLOCK_MONOTONIC),
                        (s > max ? max : s) * NS_PER_S + timeout->tv_nsec);
    }
    for (;;) {
        int ms = poll_only || interrupted ? 0
                 : timeout == NULL        ? -1
                                          : remaining_ms(deadline);
        int n = epoll_wait(kq->fd, items, room < BATCH ? room : BATCH, ms);
        if (n < 0 && errno != EINTR) {
            errno = errno == EINVAL ? EBADF : errno; /* not an epoll set */
            return -1;
        }
        interrupted = interrupted || n < 0;
        if (n > 0) {
            pthread_mutex_lock(&kq->lock);
            bool same = kq->epoch == epoch;
            int used = same ? collect(kq, items, n, out, room) : -1;
            pthread_mutex_unlock(&kq->lock);
            errno = same ? errno : EBADF;
            /* Events of closed files alone must not outlast the timeout. */
            if (used != 0 || (ms == 0 && !interrupted && ++idle > BATCH))
                return used;
        } else if (n == 0 && interrupted) {
            errno = EINTR;
            return -1;
        } else if (n == 0 && ms == 0) {
            return 0;
        }
    }
}

/* epoll sets have no file type: fstat(2) tells when it is another file now. */
static bool is_anonymous(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == 0;
}

/*
 * Apply nchanges changes, then wait for up to nevents events; a NULL timeout
 * waits for ever. Returns the number of entries in eventlist, 0 after the
 * timeout, or -1 and errno: EBADF (no kqueue), EINVAL (a count, timeout,
 * filter or flag), EFAULT, ENOENT (no such knote), EINTR (the changes have
 * been applied), EMFILE, ENOMEM. Source: FreeBSD kqueue(2).
 */
int kevent(int fd, const struct kevent *changelist, int nchanges,
           struct kevent *eventlist, int nevents,
           const struct timespec *timeout)
{
    struct kqueue *kq = find_kqueue(fd);
    unsigned epoch = kq ? __atomic_load_n(&kq->epoch, __ATOMIC_ACQUIRE) : 0;
    int used = 0;
    int error = nchanges < 0 || nevents < 0 ? EINVAL
                : (nchanges > 0 && changelist == NULL) ||
                        (nevents > 0 && eventlist == NULL)
                    ? EFAULT
                    : 0;
    bool told = nevents > 0 || /* the kernel will say if fd is closed */
                (nchanges > 0 && changelist &&
                 (changelist->filter == EVFILT_READ ||
                  changelist->filter == EVFILT_WRITE));
    if (!(epoch & 1) || (!told && !is_anonymous(fd)))
        error = EBADF;
    if (error) {
        errno = error;
        return -1;
    }
    if (nchanges > 0)
        used =
            apply_locked(kq, epoch, changelist, nchanges, eventlist, nevents);
    if (used != 0 || nevents == 0)
        return used == -2 ? 0 : used;
    if (timeout != NULL && (timeout->tv_sec < 0 || timeout->tv_nsec < 0 ||
                            timeout->tv_nsec >= NS_PER_S)) {
        errno = EINVAL;
        return -1;
    }
    if (__atomic_load_n(&kq->asks, __ATOMIC_RELAXED))
        before_wait(kq);
    return wait_for_events(kq, epoch, eventlist, nevents, timeout);
}
