/*
 * kqueue() and kevent() for Linux, on top of epoll.
 *
 * A kqueue is a table of subscriptions ("knotes"), one per (ident, filter).
 * Linux has the parts: epoll watches descriptors, timerfd turns time into a
 * descriptor, eventfd does it for anything else. So the kqueue descriptor IS
 * an epoll descriptor, which makes it pollable, nestable and freed by close(),
 * and the layer keeps what epoll has no room for: udata, and knotes that are no
 * descriptors. kevent() turns changes into epoll_ctl(2), waits in
 * epoll_wait(2), and translates what comes back:
 *
 *   READ      the queue's own epoll set       descriptor.c, readiness.c
 *   WRITE     a second set, nested in it      the same
 *   TIMER     a heap behind one timerfd       timer.c
 *   SIGNAL    a handler that counts           signal.c
 *   USER      a few words of memory           knote.c
 *   files     READ and WRITE of what epoll    file.c
 *             refuses: always ready
 *
 * The last four wait in a "ready list" while they are active; as long as it is
 * not empty an eventfd, the doorbell, is readable in the epoll set (knote.c).
 * Timerfd, eventfd and the second set are the queue's helpers (helper.c). This
 * file has the two calls and the list of queues.
 *
 * Differences from FreeBSD that remain (kqueue(2) is the reference):
 *  - VNODE, PROC and the other filters: EINVAL. EV_EOF leaves fflags 0, since
 *    reading SO_ERROR would take the error away from the program. Flags that
 *    the header does not name are not returned.
 *  - EVFILT_READ data is 1 for listening UNIX sockets, kqueues and devices
 *    that have no byte count, and for UDP the size of the next datagram alone.
 *    A regular file that grows wakes no sleeper.
 *  - A listener with EV_CLEAR fires again at the next kevent() after an
 *    accept(), not in one that waits already; on a UNIX socket only a new
 *    connection does.
 *  - NOTE_LOWAT on WRITE counts only if it is above the size of the buffer; on
 *    READ a larger SO_RCVLOWAT wins. WRITE data is an estimate. WRITE with
 *    EV_CLEAR fires again only once the buffer has been full (epoll(7)), and
 *    READ with EV_CLEAR not because a read() has left bytes in a pipe.
 *    A local shutdown(SHUT_WR) is seen once there is room.
 *  - A pipe's WRITE knote whose reader has gone stays, and EV_ADD still works.
 *  - A kqueue descriptor made by dup() is EBADF. In a child after fork() the
 *    number is EBADF for kevent(), but stays open until close() or exec().
 *    Queues nest four deep, not more.
 *  - Beside the kqueue descriptor there are three others, at high numbers. They
 *    are closed by the next kqueue() after close() of the queue.
 *  - A descriptor closed while a dup() or a child keeps the file open stays in
 *    the epoll set. Once it has shown up often enough the set is rebuilt; that
 *    repeats a pending EV_CLEAR event, and ends a nesting of this kqueue in
 *    another. If the number is another file within 10 ms, not yet given to
 *    EV_ADD and with bytes waiting, READ may say so with the old udata. Without
 *    a free descriptor the set stays, and kevent() looks every 10 ms.
 *  - Timers so long that FreeBSD's arithmetic wraps wait. NOTE_ABSTIME is
 *    converted once: later steps of the clock do not move it. A bad value when
 *    a timer is added again is EINVAL at once. No limit on their number.
 *  - A watched signal that was ignored gets a handler: poll(), sleep(), and
 *    kevent() return EINTR, also where its knote is disabled or in another
 *    queue; sigaction() shows it, and posix_spawn() children have the default
 *    action. A disposition set between EV_ADD and the first wait is noticed,
 *    later ones take the signal away from the kqueue; a handler set in between
 *    must not call the one it replaced. A blocked signal counts when it is
 *    unblocked; those that merge while pending count once. SIGKILL, SIGSTOP
 *    and numbers that are no signal: EINVAL.
 *  - Waits are rounded up to milliseconds (timers are not), and end with EINTR
 *    when the process is stopped and continued.
 *  - kevent() takes locks: it must not be called from a signal handler, nor may
 *    a handler that interrupts it at work, not waiting, leave by siglongjmp().
 *  - A list at a bad address may kill the process where FreeBSD says EFAULT,
 *    and the whole of eventlist may be written to, not only what is returned.
 */
#include "kqueue.h"

#include <sys/stat.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct kqueue *buckets[KQ_BUCKETS];
bool kq_forked;
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- the queues of the process ---- */

struct kqueue *kq_first(int bucket)
{
    return __atomic_load_n(&buckets[bucket], __ATOMIC_ACQUIRE);
}

static struct kqueue *find_kqueue(int fd)
{
    struct kqueue *kq = fd < 0 ? NULL : kq_first(fd % KQ_BUCKETS);
    while (kq != NULL && kq->fd != fd)
        kq = kq->next;
    return kq;
}

static bool is_open(struct kqueue *kq)
{
    return __atomic_load_n(&kq->epoch, __ATOMIC_ACQUIRE) & 1;
}

/* The program has closed it when the doorbell is no member any more. */
static bool is_gone(struct kqueue *kq)
{
    return is_open(kq) && !kq_registered(kq->fd, kq->bell_fd);
}

bool kq_is_queue(int fd)
{
    struct kqueue *kq = find_kqueue(fd);
    return kq != NULL && is_open(kq) &&
           kq_registered(fd, __atomic_load_n(&kq->bell_fd, __ATOMIC_ACQUIRE));
}

/* Drop all state. The struct stays, for the next queue of this number. */
static void reset(struct kqueue *kq)
{
    while (kq->knotes != NULL) /* the root's first member is the knote */
        kq_remove_knote(kq, *(struct knote **)kq->knotes);
    free(kq->table);
    free(kq->heap);
    free(kq->listeners);
    kq_close_helpers(kq);
    kq->table = NULL;
    kq->heap = NULL;
    kq->listeners = NULL;
    kq->table_size = kq->heap_size = kq->nlisteners = kq->listeners_size = 0;
    memset(kq->registered, 0, sizeof(kq->registered));
    memset(kq->suspect, 0, sizeof(kq->suspect));
    __atomic_store_n(&kq->asks, false, __ATOMIC_RELAXED);
    if (kq->epoch & 1)
        __atomic_store_n(&kq->epoch, kq->epoch + 1, __ATOMIC_RELEASE);
}

/* close(2) of a queue tells nobody: look which are gone. */
static void sweep(void)
{
    for (int i = 0; i < KQ_BUCKETS; i++)
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
    for (int i = 0; i < KQ_BUCKETS; i++) {
        for (struct kqueue *kq = buckets[i]; kq != NULL; kq = kq->next)
            if (is_open(kq))
                kq_close_helpers(kq);
        buckets[i] = NULL;
    }
    table_lock = unlocked;
    kq_forget_signals();
}

static void note_fork(void)
{
    __atomic_store_n(&kq_forked, true, __ATOMIC_RELAXED);
}

__attribute__((constructor)) static void install_fork_handler(void)
{
    pthread_atfork(NULL, note_fork, forget_in_child);
}

/* Make the new epoll set a queue: 0 or an errno. */
static int adopt(int fd)
{
    struct kqueue *kq = find_kqueue(fd);
    if (kq == NULL) {
        kq = calloc(1, sizeof(*kq));
        if (kq == NULL)
            return ENOMEM;
        pthread_mutex_init(&kq->lock, NULL);
        kq->fd = kq->set[READ] = fd;
        kq->set[WRITE] = kq->timer_fd = kq->bell_fd = -1;
        kq_list_init(&kq->ready);
        kq_list_init(&kq->files);
        kq_list_init(&kq->signal_knotes);
        kq->next = buckets[fd % KQ_BUCKETS];
        __atomic_store_n(&buckets[fd % KQ_BUCKETS], kq, __ATOMIC_RELEASE);
    }
    pthread_mutex_lock(&kq->lock);
    reset(kq);
    int error = kq_open_helpers(kq);
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
    if (fd >= 0)
        close(fd);
    errno = error;
    return -1;
}

/* ---- changes ---- */

static int apply(struct kqueue *kq, struct kevent *kev)
{
    if ((kev->flags & EV_ENABLE) && (kev->flags & EV_DISABLE))
        return EINVAL;
    switch (kev->filter) {
    case EVFILT_READ:
    case EVFILT_WRITE:
        return kq_change_descriptor(kq, kev);
    case EVFILT_TIMER:
        return kq_change_knote(kq, &kq_timer, kev);
    case EVFILT_SIGNAL:
        return kq_change_knote(kq, &kq_signal, kev);
    case EVFILT_USER:
        return kq_change_knote(kq, &kq_user, kev);
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
    kq_set_doorbell(kq);
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

/* ---- waiting and collecting ---- */

/*
 * epoll_wait(2), into the list that the caller has given for kevents: a call
 * fills the list, however long, and takes no memory. The items go to its very
 * end, and it is filled from the front. An item is smaller than a kevent, and
 * a slot is reserved for each, so none is overwritten before it is read.
 */
static int fetch(int set, struct kevent *out, int room, int ms)
{
    struct epoll_event *end = (struct epoll_event *)(void *)(out + room);
    int n = epoll_wait(set, end - room, room, ms);
    for (int i = n < room ? n : 0; i-- > 0;)
        end[i - n] = end[i - room];
    return n;
}

static int translate(struct kqueue *kq, int which, int n, struct kevent *out,
                     int room);

static int dispatch(struct kqueue *kq, int which,
                    const struct epoll_event *item, struct kevent *out,
                    int room)
{
    if (item->data.u64 >> 32 != 0)
        return kq_descriptor_event(kq, item, which, out);
    if (item->data.u64 == WRITE_SET)
        return translate(kq, WRITE, fetch(kq->set[WRITE], out, room, 0), out,
                         room);
    if (item->data.u64 == TIMERFD)
        kq_expire_timers(kq, room);
    else
        kq->bell = EPOLLIN; /* on_signal() may have rung it */
    kq_ask_signals(kq);
    return kq_deliver(kq, out, room);
}

/*
 * Every item that epoll has returned must yield its event now or be reported
 * again, so a slot stays reserved for each that is still to come.
 */
static int translate(struct kqueue *kq, int which, int n, struct kevent *out,
                     int room)
{
    int used = 0;
    for (; n > 0; n--) {
        struct epoll_event item; /* a copy: its memory is a kevent's */
        memcpy(&item, (char *)(out + room) - (size_t)n * sizeof(item),
               sizeof(item));
        used += dispatch(kq, which, &item, out + used, room - used - (n - 1));
    }
    return used;
}

/* A batch: what the first wait has returned. */
static int collect(struct kqueue *kq, int n, struct kevent *out, int room)
{
    int used = 0;
    kq->turn++;
    kq->now = (uint32_t)(kq_now(CLOCK_MONOTONIC_COARSE) / 1000000);
    /* A signal whose handler ran as epoll_wait() returned: it came first. */
    if (!kq_list_empty(&kq->signal_knotes)) {
        kq_ask_signals(kq);
        used = kq_deliver(kq, out, room - n);
    }
    used += translate(kq, READ, n, out + used, room - used);
    kq->stuck = !kq_rebuild_sets(kq);
    kq_set_doorbell(kq);
    return used;
}

/* What must be looked at before a wait, since no kernel event tells it. */
static void before_wait(struct kqueue *kq)
{
    pthread_mutex_lock(&kq->lock);
    kq_check_handlers(kq);
    kq_ask_files(kq);
    kq_ask_listeners(kq);
    kq_set_doorbell(kq);
    bool asks =
        kq->check_signals || !kq_list_empty(&kq->files) || kq->nlisteners > 0;
    __atomic_store_n(&kq->asks, asks, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&kq->lock);
}

/* Milliseconds for epoll_wait(2), rounded up: waking early would be wrong. */
static int remaining_ms(int64_t deadline)
{
    int64_t ns = deadline - kq_now(CLOCK_MONOTONIC);
    int64_t ms = ns / 1000000 + (ns % 1000000 > 0);
    return ns <= 0 ? 0 : ms > INT_MAX ? INT_MAX : (int)ms;
}

static int64_t deadline_of(const struct timespec *timeout)
{
    int64_t s = timeout->tv_sec, max = INT64_MAX / NS_PER_S - 1;
    return kq_add_clamped(kq_now(CLOCK_MONOTONIC),
                          (s > max ? max : s) * NS_PER_S + timeout->tv_nsec);
}

/*
 * After a signal the queue is looked at once more, without waiting: the signal
 * itself may be an event. Events of closed files alone must outlast neither
 * that nor the timeout, hence `idle`.
 */
static int wait_for_events(struct kqueue *kq, unsigned epoch,
                           struct kevent *out, int room,
                           const struct timespec *timeout)
{
    bool poll_only = timeout && timeout->tv_sec == 0 && timeout->tv_nsec == 0;
    bool interrupted = false;
    int64_t deadline = timeout && !poll_only ? deadline_of(timeout) : 0;
    for (int idle = 0; idle < 64;) {
        int ms = poll_only || interrupted ? 0
                 : timeout == NULL        ? -1
                                          : remaining_ms(deadline);
        bool stuck = false;
        int n = fetch(kq->fd, out, room, ms), used = 0;
        if (n < 0 && errno != EINTR) {
            errno = errno == EINVAL ? EBADF : errno; /* not an epoll set */
            return -1;
        }
        interrupted = interrupted || n < 0;
        if (n > 0) {
            pthread_mutex_lock(&kq->lock);
            bool same = kq->epoch == epoch;
            used = same ? collect(kq, n, out, room) : -1;
            stuck = kq->stuck;
            pthread_mutex_unlock(&kq->lock);
            errno = same ? errno : EBADF;
        }
        if (used != 0)
            return used;
        if (n == 0 && ms == 0)
            break;
        idle += ms == 0;
        if (stuck && ms != 0) /* no sleep in epoll_wait(2) any more: look */
            interrupted = poll(NULL, 0, 10) < 0;
    }
    errno = EINTR;
    return interrupted ? -1 : 0;
}

/* ---- kevent() ---- */

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
