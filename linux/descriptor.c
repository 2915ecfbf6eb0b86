/*
 * EVFILT_READ and EVFILT_WRITE: descriptors in epoll.
 *
 * epoll has one registration a descriptor, with one mask, and EPOLLET belongs
 * to the whole of it; kqueue has a knote a filter, EV_CLEAR or not. So each
 * filter has an epoll set of its own, and a knote is one registration: READ in
 * the queue's own set, WRITE in a second set that is nested in it.
 *
 * BSD programs close() without EV_DELETE. The kernel forgets the registration
 * then, and we do not hear of it; but it knows a registration by file and
 * number, so when the number comes to mean another file EPOLL_CTL_ADD succeeds
 * and EPOLL_CTL_MOD fails. Hence a knote that is disabled stays registered.
 */
#include "kqueue.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the table ---- */

static struct fd_knote *find(struct kqueue *kq, int fd, int which)
{
    return fd >= 0 && (size_t)fd < kq->table_size ? &kq->table[fd][which]
                                                  : NULL;
}

/* Have room for the number; 0 or an errno. */
static int grow_table(struct kqueue *kq, int fd)
{
    size_t need = (size_t)fd + 1, have = kq->table_size;
    if (need <= have)
        return 0;
    if (fcntl(fd, F_GETFD) < 0)
        return EBADF; /* no table for numbers that nobody has */
    size_t size = need < 2 * have ? 2 * have : need + 16;
    void *table = realloc(kq->table, size * sizeof *kq->table);
    if (table == NULL)
        return ENOMEM;
    kq->table = table;
    memset(kq->table + have, 0, (size - have) * sizeof *kq->table);
    kq->table_size = size;
    return 0;
}

static void forget(struct kqueue *kq, int fd, int which)
{
    struct fd_knote *k = find(kq, fd, which);
    kq->registered[which] -= k->flags != 0;
    memset(k, 0, sizeof *k);
}

/* The number is closed, or another file: its knotes went with the old one. */
static void forget_number(struct kqueue *kq, int fd)
{
    forget(kq, fd, READ);
    forget(kq, fd, WRITE);
}

/* ---- telling the kernel ---- */

/*
 * HUP and ERR cannot be masked (epoll_ctl(2)), but edge-triggered they come
 * once and cannot spin: so a disabled knote is. So is a quiet one, which would
 * report for ever and has nothing to deliver: a low-water mark is not reached,
 * a socket not connected.
 */
static int control(struct kqueue *kq, int op, int fd, int which,
                   const struct fd_knote *k)
{
    static const uint32_t bits[2] = {EPOLLIN | EPOLLRDHUP, EPOLLOUT};
    struct epoll_event item;
    item.events = k->flags & EV_DISABLE ? 0 : bits[which];
    if (k->flags & (EV_CLEAR | EV_DISABLE) || k->quiet)
        item.events |= EPOLLET;
    item.data.u64 = (uint64_t)k->generation << 32 | (uint32_t)fd;
    if (epoll_ctl(kq_set(kq, which), op, fd, &item) == 0)
        return 0;
    return errno == EINVAL ? EBADF : errno; /* the queue is no epoll set */
}

/* Errors that say: the number is not what was registered. */
static bool means_gone(int error)
{
    return error == EBADF || error == ENOENT || error == EPERM;
}

/*
 * Store a changed knote, and have the kernel look at the file anew: what came
 * in between is not lost, an edge is armed again.
 */
static int update(struct kqueue *kq, int fd, int which, struct fd_knote changed)
{
    int error = control(kq, EPOLL_CTL_MOD, fd, which, &changed);
    if (means_gone(error))
        forget_number(kq, fd);
    else if (error == 0)
        *find(kq, fd, which) = changed;
    return error;
}

/* ---- changes ---- */

static void set_knote(struct fd_knote *k, const struct kevent *kev)
{
    int64_t low = kev->fflags & NOTE_LOWAT ? kev->data : 0;
    k->udata = kev->udata;
    k->low_water = low > INT_MAX ? INT_MAX : low < 0 ? 0 : (int)low;
    k->quiet = false;
    if (k->flags == 0)
        k->flags = EV_ADD | (kev->flags & KIND_FLAGS);
    if (kev->flags & (EV_ENABLE | EV_DISABLE))
        k->flags = (unsigned short)((k->flags & ~EV_DISABLE) |
                                    (kev->flags & EV_DISABLE));
}

/*
 * EV_ADD. A knote that is there may belong to a file long gone. Ask the kernel
 * in the order that makes the likely case one call: ADD succeeds only on a file
 * that it does not know, and then whatever the number had is stale.
 */
static int add(struct kqueue *kq, int fd, int which, struct kevent *kev)
{
    int error = grow_table(kq, fd);
    if (error)
        return error;
    struct fd_knote fresh = {.udata = NULL}, *k = find(kq, fd, which);
    struct fd_knote *other = find(kq, fd, !which);
    fresh.generation = ++kq->generation ? kq->generation : ++kq->generation;
    set_knote(&fresh, kev);
    error = control(kq, EPOLL_CTL_ADD, fd, which, &fresh);
    if (error == EEXIST && k->flags != 0) {
        fresh = *k;
        set_knote(&fresh, kev);
        return update(kq, fd, which, fresh);
    }
    if (error == EEXIST) /* dup2() brought a closed file back */
        error = control(kq, EPOLL_CTL_MOD, fd, which, &fresh);
    if (means_gone(error))
        forget_number(kq, fd);
    if (error)
        return error;
    if (other->flags != 0 &&
        (k->flags != 0 || !kq_registered(kq_set(kq, !which), fd)))
        forget(kq, fd, !which);
    forget(kq, fd, which);
    *k = fresh;
    kq->registered[which]++;
    kev->fflags = 0;
    return 0;
}

int kq_change_descriptor(struct kqueue *kq, struct kevent *kev)
{
    int which = kev->filter == EVFILT_WRITE ? WRITE : READ;
    if (kev->ident > INT_MAX)
        return EBADF;
    int fd = (int)kev->ident;
    if (fd == kq->fd)
        return EINVAL;
    if (kq_is_helper(fd))
        return EBADF;
    if (kq_find_file(kq, kev) != NULL)
        return kq_change_knote(kq, &kq_file, kev);
    struct fd_knote *k = find(kq, fd, which);
    if (kev->flags & EV_ADD && !(k && k->flags && kev->flags & EV_DELETE)) {
        if (which == WRITE && kq_is_queue(fd))
            return EINVAL;
        int error = add(kq, fd, which, kev);
        return error == EPERM ? kq_change_knote(kq, &kq_file, kev) : error;
    }
    if (k == NULL || k->flags == 0)
        return fcntl(fd, F_GETFD) < 0 ? EBADF : ENOENT;
    if (kev->flags & EV_DELETE) {
        int error = control(kq, EPOLL_CTL_DEL, fd, which, k);
        forget(kq, fd, which);
        return error == EPERM ? ENOENT : error;
    }
    struct fd_knote changed = *k;
    set_knote(&changed, kev);
    int error = update(kq, fd, which, changed);
    return error == EPERM ? ENOENT : error;
}

/* ---- events ---- */

static void remember_listener(struct kqueue *kq, int fd, uint32_t generation,
                              int left)
{
    for (size_t i = 0; i < kq->nlisteners; i++)
        if (kq->listeners[i].generation == generation) {
            kq->listeners[i].left = left;
            return;
        }
    if (kq->nlisteners == kq->listeners_size) {
        size_t size = 2 * kq->listeners_size + 4;
        void *list = realloc(kq->listeners, size * sizeof *kq->listeners);
        if (list == NULL)
            return;
        kq->listeners = list;
        kq->listeners_size = size;
    }
    kq->listeners[kq->nlisteners++] =
        (struct kq_listener){fd, generation, left};
    __atomic_store_n(&kq->asks, true, __ATOMIC_RELAXED);
}

/*
 * On a BSD accept() wakes an EV_CLEAR listener again while connections are
 * left; in epoll only a new connection does. So before a wait, those that
 * were returned are asked whether some have been taken since, and armed again.
 * A UNIX socket does not tell, and is armed in any case: better once too often.
 */
void kq_ask_listeners(struct kqueue *kq)
{
    for (size_t i = kq->nlisteners; i-- > 0;) {
        struct kq_listener *l = &kq->listeners[i];
        struct fd_knote *k = find(kq, l->fd, READ);
        bool same = k->flags != 0 && k->generation == l->generation;
        int left = same ? kq_readable(k, l->fd) : 0;
        bool counts = same && kq_counts_connections(k);
        if (left > 0 && (left < l->left || !counts))
            update(kq, l->fd, READ, *k);
        if (left > 0 && counts)
            l->left = left;
        else
            *l = kq->listeners[--kq->nlisteners];
    }
}

/*
 * An event for a knote that is no more. Now and then two threads have fetched
 * the same one. But if a dup or a child keeps a closed file open, its
 * registration cannot be removed, since its number means another file or none
 * (epoll(7), questions and answers), and level-triggered it is back in each
 * turn. Some of that is borne: a child will soon read what there is. In the end
 * the set is rebuilt; the limit grows with what that costs.
 */
static int note_stale(struct kqueue *kq, int which, uint64_t key)
{
    struct kq_suspect *s = &kq->suspect[which];
    if (key == s->key) {
        s->hits++;
        s->turn = kq->turn;
    } else if (kq->turn - s->turn > 8) {
        *s = (struct kq_suspect){.key = key, .hits = 1, .turn = kq->turn};
    }
    return 0;
}

static int ready(struct kqueue *kq, int fd, int which, struct fd_knote *k,
                 uint32_t events, struct kevent *out)
{
    return which == READ ? kq_read_ready(kq, fd, k, events, out)
                         : kq_write_ready(kq, fd, k, events, out);
}

/* Returns how many kevents an epoll event has given: 0 or 1. */
int kq_descriptor_event(struct kqueue *kq, const struct epoll_event *item,
                        int which, struct kevent *out)
{
    int fd = (int)(uint32_t)item->data.u64;
    struct fd_knote *k = find(kq, fd, which);
    if (k == NULL || k->flags == 0 || k->generation != item->data.u64 >> 32)
        return note_stale(kq, which, item->data.u64);
    if (k->flags & EV_DISABLE)
        return 0;
    memset(out, 0, sizeof *out);
    int active = ready(kq, fd, which, k, item->events, out);
    if (active < 0) {
        forget_number(kq, fd);
        return note_stale(kq, which, item->data.u64);
    }
    bool quiet = !active && !(k->flags & EV_CLEAR);
    if (active) {
        out->ident = (uintptr_t)fd;
        out->filter = which == READ ? EVFILT_READ : EVFILT_WRITE;
        out->flags |= k->flags & KIND_FLAGS;
        out->udata = k->udata;
        if (k->flags & EV_CLEAR && kq_is_listener(k) && out->data > 0)
            remember_listener(kq, fd, k->generation, (int)out->data);
    }
    if (active && k->flags & EV_ONESHOT) {
        control(kq, EPOLL_CTL_DEL, fd, which, k);
        forget(kq, fd, which);
    } else if (quiet != k->quiet || (active && k->flags & EV_DISPATCH)) {
        struct fd_knote changed = *k;
        changed.quiet = quiet;
        if (active && k->flags & EV_DISPATCH)
            changed.flags |= EV_DISABLE;
        update(kq, fd, which, changed);
    }
    return active;
}

/* ---- a set without stale registrations ---- */

/*
 * Make a new epoll set under the same number; false if there is no descriptor
 * for it. The old one's doorbell wakes who sleeps on it.
 */
static bool rebuild(struct kqueue *kq, int which)
{
    struct epoll_event bell = {.events = EPOLLIN, .data.u64 = DOORBELL};
    int fresh = epoll_create1(EPOLL_CLOEXEC), old = kq_set(kq, which);
    if (fresh < 0)
        return false;
    for (int fd = 0; (size_t)fd < kq->table_size; fd++)
        if (kq->table[fd][which].flags != 0 && !kq_registered(old, fd))
            forget_number(kq, fd);
    epoll_ctl(kq->fd, EPOLL_CTL_MOD, kq->helper[DOORBELL], &bell);
    kq->bell = which == READ ? 0 : EPOLLIN;
    dup3(fresh, old, O_CLOEXEC);
    close(fresh);
    kq_add_helper(kq, which, DOORBELL);
    kq_add_helper(kq, which, TIMERFD);
    kq_add_helper(kq, READ, WRITE_SET);
    for (int fd = 0; (size_t)fd < kq->table_size; fd++)
        if (kq->table[fd][which].flags != 0 &&
            control(kq, EPOLL_CTL_ADD, fd, which, &kq->table[fd][which]))
            forget_number(kq, fd);
    return true;
}

/* Returns false while a set reports in vain, and cannot be rebuilt. */
bool kq_rebuild_sets(struct kqueue *kq)
{
    bool good = true;
    for (int which = READ; which <= WRITE; which++) {
        struct kq_suspect *s = &kq->suspect[which];
        if (s->hits <= 8 + kq->registered[which] / 4 || kq->turn != s->turn)
            continue;
        if (rebuild(kq, which))
            s->hits = 0;
        else
            good = false;
    }
    return good;
}
