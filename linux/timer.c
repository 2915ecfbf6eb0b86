/*
 * EVFILT_TIMER: a binary heap of deadlines behind one timerfd, which is set to
 * the earliest. So a queue has any number of timers for one descriptor.
 */
#include "kqueue.h"

#include <sys/timerfd.h>

#include <errno.h>
#include <stdlib.h>
#include <time.h>

int64_t kq_now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

int64_t kq_add_clamped(int64_t a, int64_t b)
{
    return a > INT64_MAX - b ? INT64_MAX : a + b;
}

/* ---- the heap ---- */

static void heap_put(struct kqueue *kq, size_t i, struct knote *kn)
{
    kq->heap[i] = kn;
    kn->state.timer.slot = i + 1;
}

/* Move kn from the hole at i to where its deadline belongs. */
static void heap_sift(struct kqueue *kq, size_t i, struct knote *kn)
{
    int64_t deadline = kn->state.timer.deadline;
    for (; i > 0 && kq->heap[(i - 1) / 2]->state.timer.deadline > deadline;
         i = (i - 1) / 2)
        heap_put(kq, i, kq->heap[(i - 1) / 2]);
    for (size_t child; (child = 2 * i + 1) < kq->nheap; i = child) {
        if (child + 1 < kq->nheap && kq->heap[child + 1]->state.timer.deadline <
                                         kq->heap[child]->state.timer.deadline)
            child++;
        if (kq->heap[child]->state.timer.deadline >= deadline)
            break;
        heap_put(kq, i, kq->heap[child]);
    }
    heap_put(kq, i, kn);
}

static void heap_remove(struct kqueue *kq, struct knote *kn)
{
    if (kn->state.timer.slot == 0)
        return;
    size_t hole = kn->state.timer.slot - 1;
    kn->state.timer.slot = 0;
    struct knote *last = kq->heap[--kq->nheap];
    if (last != kn)
        heap_sift(kq, hole, last);
}

static int heap_insert(struct kqueue *kq, struct knote *kn)
{
    if (kq->nheap == kq->heap_size) {
        size_t size = kq->heap_size ? 2 * kq->heap_size : 16;
        void *heap = realloc(kq->heap, size * sizeof *kq->heap);
        if (heap == NULL)
            return ENOMEM;
        kq->heap = heap;
        kq->heap_size = size;
    }
    heap_sift(kq, kq->nheap++, kn);
    return 0;
}

/* ---- the timerfd ---- */

/*
 * Point the timerfd at the earliest deadline. Setting it again also makes an
 * expired one unreadable, as read(2) would (timerfd_create(2)).
 */
void kq_set_timer(struct kqueue *kq)
{
    int64_t top = kq->nheap > 0 ? kq->heap[0]->state.timer.deadline : 0;
    if (top == kq->timer_set)
        return;
    struct itimerspec when = {
        .it_value = {.tv_sec = top / NS_PER_S, .tv_nsec = top % NS_PER_S}};
    timerfd_settime(kq->helper[TIMERFD], TFD_TIMER_ABSTIME, &when, NULL);
    kq->timer_set = top;
}

/*
 * Count the periods that are over. Deadlines advance by whole periods from the
 * first one, so a timer does not drift.
 */
static void advance(struct knote *kn, int64_t now)
{
    int64_t deadline = kn->state.timer.deadline,
            period = kn->state.timer.period;
    if (deadline == 0 || deadline > now)
        return;
    int64_t n = period > 0 ? 1 + (now - deadline) / period : 1;
    kn->state.timer.count += (uint64_t)n;
    kn->state.timer.deadline =
        period > 0 ? kq_add_clamped(deadline, n * period) : 0;
}

/* A disabled timer runs on, but out of the heap: it shall wake nobody. */
static int schedule(struct kqueue *kq, struct knote *kn)
{
    int error = 0;
    heap_remove(kq, kn);
    if (!kn->disabled) {
        advance(kn, kq_now(CLOCK_MONOTONIC));
        if (kn->state.timer.deadline != 0)
            error = heap_insert(kq, kn);
    }
    kq_set_timer(kq);
    return error;
}

/*
 * Activate what is due, at most `room` knotes. What is left keeps the timerfd
 * as it is: expired, readable, and so back in the next turn.
 */
void kq_expire_timers(struct kqueue *kq, int room)
{
    int64_t now = kq_now(CLOCK_MONOTONIC);
    for (; kq->nheap > 0 && kq->heap[0]->state.timer.deadline <= now; room--) {
        struct knote *kn = kq->heap[0];
        if (room <= 0)
            return;
        advance(kn, now);
        if (kn->state.timer.deadline != 0)
            heap_sift(kq, 0, kn);
        else
            heap_remove(kq, kn);
        kq_evaluate(kq, kn);
    }
    kq_set_timer(kq);
}

/* ---- the filter ---- */

/* (Re)start a timer. FreeBSD: sys/kern/kern_event.c, filt_timervalidate. */
static int start(struct kqueue *kq, struct knote *kn, const struct kevent *kev)
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
        ns -= kq_now(CLOCK_REALTIME);
    kn->state.timer.count = 0;
    kn->state.timer.deadline =
        kq_add_clamped(kq_now(CLOCK_MONOTONIC), ns < 0 ? 0 : ns);
    kn->state.timer.period = absolute || once ? 0 : ns;
    return schedule(kq, kn);
}

static int timer_attach(struct kqueue *kq, struct knote *kn,
                        const struct kevent *kev)
{
    if (!(kev->fflags & NOTE_ABSTIME))
        kn->kev.flags |= EV_CLEAR;
    return start(kq, kn, kev);
}

/* It runs on unless EV_ADD restarts it. */
static int timer_touch(struct kqueue *kq, struct knote *kn,
                       const struct kevent *kev)
{
    return kev != NULL && kev->flags & EV_ADD ? start(kq, kn, kev)
                                              : schedule(kq, kn);
}

static bool timer_active(struct knote *kn)
{
    kn->kev.data = (int64_t)kn->state.timer.count;
    return kn->state.timer.count != 0;
}

static void timer_delivered(struct knote *kn)
{
    kn->state.timer.count = 0;
}

static void timer_detach(struct kqueue *kq, struct knote *kn)
{
    heap_remove(kq, kn);
    kq_set_timer(kq);
}

const struct kq_filter kq_timer = {timer_attach, timer_touch, timer_active,
                                   timer_delivered, timer_detach};
