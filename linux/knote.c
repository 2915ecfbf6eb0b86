/*
 * Knotes that epoll cannot hold (TIMER, SIGNAL, USER, regular files), in a
 * tree by (ident, filter); the ready list, in which those wait that have
 * something to report; the doorbell; and EVFILT_USER, which needs no more.
 *
 * The ready list lives in user space, where no sleeper sees it. So while it is
 * not empty, the doorbell is on: the eventfd, readable for ever, is asked for
 * EPOLLIN in the queue's epoll set. Off, it stays there with no events.
 */
#include "kqueue.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

/* ---- lists ---- */

void kq_list_init(struct link *list)
{
    list->prev = list->next = list;
}

bool kq_list_empty(const struct link *list)
{
    return list->next == list;
}

void kq_list_remove(struct link *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    kq_list_init(item);
}

void kq_list_append(struct link *list, struct link *item)
{
    item->prev = list->prev;
    item->next = list;
    list->prev->next = item;
    list->prev = item;
}

/* ---- the ready list and the doorbell ---- */

/* Ask the filter, and have the knote in the ready list or out of it. */
void kq_evaluate(struct kqueue *kq, struct knote *kn)
{
    if (kn->disabled || !kn->filter->active(kn))
        kq_list_remove(&kn->ready);
    else if (kq_list_empty(&kn->ready))
        kq_list_append(&kq->ready, &kn->ready);
}

/*
 * A signal that comes between the question and the epoll_ctl(2) has its ring
 * undone, so ask again until nothing changes.
 */
void kq_set_doorbell(struct kqueue *kq)
{
    for (;;) {
        kq_ask_signals(kq);
        uint32_t want = kq_list_empty(&kq->ready) ? 0 : EPOLLIN;
        if (want == kq->bell)
            return;
        struct epoll_event item = {.events = want, .data.u64 = DOORBELL};
        epoll_ctl(kq->fd, EPOLL_CTL_MOD, kq->helper[DOORBELL], &item);
        kq->bell = want;
    }
}

/* After delivery: FreeBSD kqueue_scan, the end of its loop. */
static void after_delivery(struct kqueue *kq, struct knote *kn)
{
    unsigned flags = kn->kev.flags;
    kq_list_remove(&kn->ready);
    if (flags & EV_ONESHOT) {
        kq_remove_knote(kq, kn);
        return;
    }
    if (flags & EV_CLEAR)
        kn->filter->delivered(kn);
    if (flags & EV_DISPATCH) {
        kn->disabled = true;
        kn->filter->touch(kq, kn, NULL);
    } else if (!(flags & EV_CLEAR))
        kq_list_append(&kq->ready, &kn->ready); /* level: others come first */
}

int kq_deliver(struct kqueue *kq, struct kevent *out, int room)
{
    int n = 0;
    while (n < room && !kq_list_empty(&kq->ready)) {
        struct knote *kn = (struct knote *)kq->ready.next;
        if (kn->turn == kq->turn)
            break; /* once round */
        kn->turn = kq->turn;
        if (!kn->filter->active(kn)) {
            kq_list_remove(&kn->ready);
            continue;
        }
        out[n++] = kn->kev;
        after_delivery(kq, kn);
    }
    return n;
}

/* ---- finding, making, changing ---- */

static int compare_knotes(const void *a, const void *b)
{
    const struct kevent *x = &((const struct knote *)a)->kev;
    const struct kevent *y = &((const struct knote *)b)->kev;
    if (x->ident != y->ident)
        return x->ident < y->ident ? -1 : 1;
    return x->filter - y->filter;
}

struct knote *kq_find_knote(struct kqueue *kq, const struct kevent *kev)
{
    struct knote key = {.kev = *kev};
    struct knote **found = tfind(&key, &kq->knotes, compare_knotes);
    return found ? *found : NULL;
}

static void free_knote(struct kqueue *kq, struct knote *kn)
{
    tdelete(kn, &kq->knotes, compare_knotes);
    kq_list_remove(&kn->ready);
    free(kn);
}

void kq_remove_knote(struct kqueue *kq, struct knote *kn)
{
    kn->filter->detach(kq, kn);
    free_knote(kq, kn);
}

static int add_knote(struct kqueue *kq, const struct kq_filter *filter,
                     const struct kevent *kev)
{
    struct knote *kn = calloc(1, sizeof *kn);
    if (kn == NULL)
        return ENOMEM;
    kn->filter = filter;
    kn->kev = *kev;
    kn->kev.flags &= KIND_FLAGS;
    kn->kev.fflags = 0;
    kn->disabled = (kev->flags & EV_DISABLE) != 0;
    kq_list_init(&kn->ready);
    kq_list_init(&kn->sibling);
    if (tsearch(kn, &kq->knotes, compare_knotes) == NULL) {
        free(kn);
        return ENOMEM;
    }
    int error = filter->attach(kq, kn, kev);
    if (error)
        free_knote(kq, kn);
    else
        kq_evaluate(kq, kn);
    return error;
}

/*
 * One change, as FreeBSD kqueue_register: of a knote that exists, udata is
 * replaced and the kind is not. A new one is answered with fflags 0.
 */
int kq_change_knote(struct kqueue *kq, const struct kq_filter *filter,
                    struct kevent *kev)
{
    struct knote *kn = kq_find_knote(kq, kev);
    if (kn == NULL && !(kev->flags & EV_ADD))
        return ENOENT;
    if (kn == NULL) {
        int error = add_knote(kq, filter, kev);
        kev->fflags = 0;
        return error;
    }
    if (kev->flags & EV_DELETE) {
        kq_remove_knote(kq, kn);
        return 0;
    }
    if (kev->flags & (EV_ENABLE | EV_DISABLE))
        kn->disabled = (kev->flags & EV_DISABLE) != 0;
    int error = kn->filter->touch(kq, kn, kev);
    if (error)
        return error;
    kn->kev.udata = kev->udata;
    kq_evaluate(kq, kn);
    return 0;
}

/* ---- EVFILT_USER. FreeBSD: sys/kern/kern_event.c, filt_user ---- */

static int user_attach(struct kqueue *kq, struct knote *kn,
                       const struct kevent *kev)
{
    (void)kq;
    kn->state.user.fflags =
        kev->fflags; /* all bits; a NOTE_TRIGGER here is naught */
    kn->state.user.data = kev->data;
    return 0;
}

static int user_touch(struct kqueue *kq, struct knote *kn,
                      const struct kevent *kev)
{
    (void)kq;
    if (kev == NULL)
        return 0;
    unsigned bits = kev->fflags & NOTE_FFLAGSMASK;
    if (kev->fflags & NOTE_TRIGGER)
        kn->state.user.triggered = true;
    switch (kev->fflags & NOTE_FFCTRLMASK) {
    case NOTE_FFAND:
        kn->state.user.fflags &= bits;
        break;
    case NOTE_FFOR:
        kn->state.user.fflags |= bits;
        break;
    case NOTE_FFCOPY:
        kn->state.user.fflags = bits;
        break;
    }
    kn->state.user.data = kev->data;
    if (kev->flags & EV_CLEAR)
        kn->state.user.triggered = false;
    return 0;
}

/* FreeBSD does not ask a ONESHOT knote again: it says fflags 0 and data 0. */
static bool user_active(struct knote *kn)
{
    bool once = (kn->kev.flags & EV_ONESHOT) != 0;
    kn->kev.fflags = once ? 0 : kn->state.user.fflags;
    kn->kev.data = once ? 0 : kn->state.user.data;
    return kn->state.user.triggered;
}

static void user_delivered(struct knote *kn)
{
    kn->state.user.triggered = false;
}

static void user_detach(struct kqueue *kq, struct knote *kn)
{
    (void)kq;
    (void)kn;
}

const struct kq_filter kq_user = {user_attach, user_touch, user_active,
                                  user_delivered, user_detach};
