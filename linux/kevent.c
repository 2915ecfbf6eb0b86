/*
 * kevent(): applies the changes, waits in epoll_wait(2), and has each module
 * translate what comes back.
 */
#include "kqueue.h"

#include <sys/stat.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>

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

enum { MOST = 1 << 24 }; /* items a call; epoll_wait(2) has a limit too */

/*
 * epoll_wait(2), into the list that the caller has given for kevents: a call
 * fills the list, however long, and takes no memory. The items go to its very
 * end, and it is filled from the front. An item is smaller than a kevent, and
 * a slot is reserved for each, so none is overwritten before it is read.
 */
static int fetch(int set, struct kevent *out, int room, int ms)
{
    struct epoll_event *end = (struct epoll_event *)(void *)(out + room);
    int n = epoll_wait(set, end - room, room < MOST ? room : MOST, ms);
    for (int i = n < room ? n : 0; i-- > 0;)
        end[i - n] = end[i - room];
    return n;
}

static int dispatch(struct kqueue *kq, int which,
                    const struct epoll_event *item, struct kevent *out,
                    int room)
{
    if (item->data.u64 >> 32 != 0)
        return kq_descriptor_event(kq, item, which, out);
    if (item->data.u64 == TIMERFD)
        kq_expire_timers(kq, room);
    else
        kq->bell = EPOLLIN; /* on_signal() may have rung it */
    kq_ask_signals(kq);
    return kq_deliver(kq, out, room);
}

/*
 * Every item that epoll has returned must yield its event now or be reported
 * again, so a slot stays reserved for each that is still to come. WRITE comes
 * last: of one descriptor, FreeBSD activates it after READ.
 */
static int translate(struct kqueue *kq, int which, int n, struct kevent *out,
                     int room)
{
    int used = 0;
    bool writes = false;
    for (; n > 0; n--) {
        struct epoll_event item; /* a copy: its memory is a kevent's */
        memcpy(&item, (char *)(out + room) - (size_t)n * sizeof item,
               sizeof item);
        if (item.data.u64 == WRITE_SET)
            writes = true;
        else
            used += dispatch(kq, which, &item, out + used,
                             room - used - (n - 1) - writes);
    }
    if (writes) {
        out += used;
        room -= used;
        n = fetch(kq_set(kq, WRITE), out, room, 0);
        used += translate(kq, WRITE, n, out, room);
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
    if (kq->suspect[READ].hits + kq->suspect[WRITE].hits > 0)
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
    struct kqueue *kq = kq_find(fd);
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
