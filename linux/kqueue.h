/*
 * What the modules of the kqueue layer share; kqueue.c says how they work.
 *
 * Every name with external linkage begins with kq: the layer is linked into
 * programs that have names of their own.
 */
#ifndef KQUEUE_LINUX_KQUEUE_H
#define KQUEUE_LINUX_KQUEUE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sys/event.h>
#include <sys/epoll.h>

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NS_PER_S = 1000000000 };

/* The two filters of descriptors; each has an epoll set of its own. */
enum { READ, WRITE };

/* A queue's helpers. epoll_data holds this when its upper half, the generation,
   is 0. */
enum { WRITE_SET, TIMERFD, DOORBELL, HELPERS };

/* Flags that the first EV_ADD stores and each event returns. */
#define KIND_FLAGS (EV_ONESHOT | EV_CLEAR | EV_DISPATCH | EV_RECEIPT)

struct kqueue;
struct knote;

/*
 * What a filter does, as struct filterops in FreeBSD's sys/event.h. The caller
 * holds the lock of the queue.
 */
struct kq_filter {
    /* A knote is made: 0 or an errno, then nothing is left behind. */
    int (*attach)(struct kqueue *, struct knote *, const struct kevent *);
    /* A change to a knote that exists; NULL: its delivery has disabled it. */
    int (*touch)(struct kqueue *, struct knote *, const struct kevent *);
    /* Has it happened? Fills in what the event says: data, fflags. */
    bool (*active)(struct knote *);
    /* An event with EV_CLEAR has been returned. */
    void (*delivered)(struct knote *);
    void (*detach)(struct kqueue *, struct knote *);
};

struct link {
    struct link *prev, *next;
};

/* A knote that epoll cannot hold: TIMER, SIGNAL, USER, regular files. */
struct knote {
    struct link ready;   /* in kqueue.ready while active; first, for the cast */
    struct link sibling; /* in kqueue.signal_knotes or kqueue.files */
    const struct kq_filter *filter;
    struct kevent kev; /* as it will be returned */
    bool disabled;
    unsigned turn; /* the last turn it was returned in */
    union {
        struct {
            uint64_t count;   /* expirations */
            int64_t deadline; /* CLOCK_MONOTONIC, ns; 0: it fires no more */
            int64_t period;   /* ns, 0 when it fires once */
            size_t slot;      /* place in the heap + 1; 0: not in it */
        } timer;
        struct {
            unsigned seen; /* the counter at the last delivery */
        } signal;
        struct {
            bool triggered;
            unsigned fflags;
            int64_t data;
        } user;
        struct {
            dev_t device; /* which file the number meant */
            ino_t inode;
            off_t size, told; /* when last looked at, and last returned */
        } file;
    } state; /* the filter's own */
};

/*
 * A knote of READ or WRITE, small and in a table by number: a server has one
 * an idle client. The kernel's registration carries (generation, number); an
 * event of a knote that is no more, still on its way, is told by the first.
 */
struct fd_knote {
    void *udata;
    int low_water;
    uint32_t generation;
    unsigned short flags; /* EV_ADD, EV_DISABLE, KIND_FLAGS; 0: no knote */
    unsigned char kind;   /* what the number refers to, see readiness.c */
    bool quiet;           /* edge-triggered for now, see descriptor.c */
    uint32_t checked;     /* when the kernel was asked, see readiness.c */
};

/* A listener with EV_CLEAR that was returned with connections waiting. */
struct kq_listener {
    int fd;
    uint32_t generation;
    int left;
};

/* A registration that should not be there any more. */
struct kq_suspect {
    uint64_t key;
    unsigned turn, hits;
};

struct kqueue {
    struct kqueue *next; /* in its bucket; never freed, so no lock to look */
    int fd;
    pthread_mutex_t lock; /* all below; never held while waiting */
    unsigned epoch; /* atomic; odd while the number is a kqueue, else even */
    bool asks;      /* atomic: there is something to ask before a wait */
    unsigned turn;  /* counts the batches */
    uint32_t now;   /* of the batch: ms, coarse */
    bool stuck;     /* events of closed files come and cannot be stopped */

    int helper[HELPERS]; /* atomic; helper.c */

    /* READ and WRITE: descriptor.c. */
    struct fd_knote (*table)[2]; /* by number */
    size_t table_size;
    uint32_t generation; /* the last one given out */
    unsigned registered[2];
    struct kq_suspect suspect[2];
    struct kq_listener *listeners;
    size_t nlisteners, listeners_size;

    /* The other knotes: knote.c. */
    void *knotes;      /* tsearch(3) tree by (ident, filter) */
    struct link ready; /* FIFO of active ones */
    uint32_t bell;     /* epoll mask of the doorbell */

    struct knote **heap; /* timer.c */
    size_t nheap, heap_size;
    int64_t timer_set; /* deadline in the timerfd, 0 for none */

    struct link files; /* file.c */

    struct link signal_knotes; /* signal.c */
    uint64_t signals;          /* atomic: those of enabled knotes */
    unsigned signals_seen;
    bool check_signals;
};

/* READ's set is the queue itself; WRITE's is nested in it. */
static inline int kq_set(const struct kqueue *kq, int which)
{
    return which == READ ? kq->fd : kq->helper[WRITE_SET];
}

/* ---- kqueue.c ---- */

extern bool kq_forked; /* atomic: this process or its parent has forked */

struct kqueue *kq_first(int bucket);
struct kqueue *kq_find(int fd);
bool kq_is_queue(int fd);

enum { KQ_BUCKETS = 64 };

/* ---- helper.c ---- */

int kq_open_helpers(struct kqueue *kq);
void kq_close_helpers(struct kqueue *kq);
bool kq_is_helper(int fd);
bool kq_registered(int set, int fd);
int kq_add_helper(struct kqueue *kq, int which, int name);

/* ---- knote.c ---- */

extern const struct kq_filter kq_user;

void kq_list_init(struct link *list);
void kq_list_append(struct link *list, struct link *item);
void kq_list_remove(struct link *item);
bool kq_list_empty(const struct link *list);

struct knote *kq_find_knote(struct kqueue *kq, const struct kevent *kev);
int kq_change_knote(struct kqueue *kq, const struct kq_filter *filter,
                    struct kevent *kev);
void kq_remove_knote(struct kqueue *kq, struct knote *kn);
void kq_evaluate(struct kqueue *kq, struct knote *kn);
int kq_deliver(struct kqueue *kq, struct kevent *out, int room);
void kq_set_doorbell(struct kqueue *kq);

#define KNOTE_OF_SIBLING(item) \
    ((struct knote *)((char *)(item)-offsetof(struct knote, sibling)))

/* ---- timer.c, signal.c, file.c ---- */

extern const struct kq_filter kq_timer, kq_signal, kq_file;

int64_t kq_now(clockid_t clock);
int64_t kq_add_clamped(int64_t a, int64_t b);
void kq_expire_timers(struct kqueue *kq, int room);
void kq_set_timer(struct kqueue *kq);

void kq_ask_signals(struct kqueue *kq);
void kq_check_handlers(struct kqueue *kq);
void kq_forget_signals(void);

void kq_ask_files(struct kqueue *kq);
struct knote *kq_find_file(struct kqueue *kq, const struct kevent *kev);

/* ---- descriptor.c ---- */

int kq_change_descriptor(struct kqueue *kq, struct kevent *kev);
int kq_descriptor_event(struct kqueue *kq, const struct epoll_event *item,
                        int which, struct kevent *out);
void kq_ask_listeners(struct kqueue *kq);
bool kq_rebuild_sets(struct kqueue *kq);

/* ---- readiness.c ---- */

int kq_readable(struct fd_knote *k, int fd);
int kq_read_ready(struct kqueue *kq, int fd, struct fd_knote *k,
                  uint32_t events, struct kevent *out);
int kq_write_ready(struct kqueue *kq, int fd, struct fd_knote *k,
                   uint32_t events, struct kevent *out);
bool kq_is_listener(const struct fd_knote *k);
bool kq_counts_connections(const struct fd_knote *k);

#endif
