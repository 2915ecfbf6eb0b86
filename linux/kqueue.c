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
 * file has kqueue() and the list of queues, kevent.c has kevent().
 *
 * Differences from FreeBSD that remain (kqueue(2) is the reference):
 *  - VNODE, PROC and the other filters: EINVAL. EV_EOF leaves fflags 0, since
 *    reading SO_ERROR would take the error away from the program. Flags that
 *    the header does not name are not returned.
 *  - EVFILT_READ data is 1 for listening UNIX sockets, kqueues and devices
 *    that have no byte count, and for UDP the size of the next datagram alone.
 *    A regular file that grows wakes no sleeper; each that is at its end costs a
 *    call one fstat(2).
 *  - A listener with EV_CLEAR fires again at the next kevent() after an
 *    accept(), not in one that waits already; a UNIX socket fires at each
 *    kevent() while connections are left.
 *  - NOTE_LOWAT on WRITE counts only if it is above the size of the buffer; on
 *    READ a larger SO_RCVLOWAT wins. WRITE data is an estimate. WRITE with
 *    EV_CLEAR fires again only once the buffer has been full (epoll(7)), and
 *    READ with EV_CLEAR not because a read() has left bytes in a pipe. A local
 *    shutdown(SHUT_WR) of a UNIX socket that is full is seen once it is not.
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
 *    EV_ADD and with bytes waiting (WRITE: with room), an event may say so with
 *    the old udata. Without a free descriptor the set stays, and kevent() looks
 *    every 10 ms.
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

#include <errno.h>
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

struct kqueue *kq_find(int fd)
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
    return is_open(kq) && !kq_registered(kq->fd, kq->helper[DOORBELL]);
}

bool kq_is_queue(int fd)
{
    struct kqueue *kq = kq_find(fd);
    return kq != NULL && is_open(kq) &&
           kq_registered(
               fd, __atomic_load_n(&kq->helper[DOORBELL], __ATOMIC_ACQUIRE));
}

/* Drop all state. The struct stays, for the next queue of this number. */
static void reset(struct kqueue *kq)
{
    kq_close_helpers(kq); /* first: its timerfd may be the program's by now */
    while (kq->knotes != NULL) /* the root's first member is the knote */
        kq_remove_knote(kq, *(struct knote **)kq->knotes);
    free(kq->table);
    free(kq->heap);
    free(kq->listeners);
    kq->table = NULL;
    kq->heap = NULL;
    kq->listeners = NULL;
    kq->table_size = kq->heap_size = kq->nlisteners = kq->listeners_size = 0;
    memset(kq->registered, 0, sizeof kq->registered);
    memset(kq->suspect, 0, sizeof kq->suspect);
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

/* From now on another process may hold open what this one closes. */
static void note_fork(void)
{
    __atomic_store_n(&kq_forked, true, __ATOMIC_RELAXED);
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
    note_fork();
}

__attribute__((constructor)) static void install_fork_handler(void)
{
    pthread_atfork(NULL, note_fork, forget_in_child);
}

/* Make the new epoll set a queue: 0 or an errno. */
static int adopt(int fd)
{
    struct kqueue *kq = kq_find(fd);
    if (kq == NULL) {
        kq = calloc(1, sizeof *kq);
        if (kq == NULL)
            return ENOMEM;
        pthread_mutex_init(&kq->lock, NULL);
        kq->fd = fd;
        memset(kq->helper, -1, sizeof kq->helper);
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
