/*
 * EVFILT_SIGNAL: a handler in front of the program's own, which counts and
 * rings the doorbell of each queue that asks.
 *
 * Why not signalfd(2): it delivers blocked signals only. Blocked, the
 * program's own handlers would never run, children would inherit the mask, and
 * signals in quick succession merge.
 */
#include "kqueue.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

/* How a signal was handled before the first knote for it came. */
static struct watched_signal {
    unsigned count, users;
    bool fired; /* atomic: its SA_RESETHAND handler has run */
    struct sigaction old;
} watched[_NSIG];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* users and old */
static unsigned total; /* atomic: signals counted, all together */

static uint64_t signal_bit(uintptr_t sig)
{
    return 1ull << (sig % 64);
}

static unsigned signal_count(const struct knote *kn)
{
    return __atomic_load_n(&watched[kn->kev.ident].count, __ATOMIC_SEQ_CST);
}

/* Do what the kernel would have done, had there been no handler. */
static void default_action(int sig)
{
    if (sig == SIGCHLD || sig == SIGCONT || sig == SIGURG || sig == SIGWINCH)
        return;
    struct sigaction standard, ours;
    sigset_t this_one, before;
    memset(&standard, 0, sizeof standard); /* SIG_DFL */
    sigaction(sig, &standard, &ours);
    raise(sig);
    sigemptyset(&this_one);
    sigaddset(&this_one, sig);
    pthread_sigmask(SIG_UNBLOCK, &this_one, &before); /* usually the end */
    pthread_sigmask(SIG_SETMASK, &before, NULL);      /* stopped, continued */
    sigaction(sig, &ours, NULL);
}

/* SIG_DFL and SIG_IGN are no addresses, whatever SA_SIGINFO says. */
static void pass_on(struct watched_signal *w, int sig, siginfo_t *info,
                    void *context)
{
    if (w->old.sa_handler == SIG_IGN)
        return;
    bool once = (w->old.sa_flags & (int)SA_RESETHAND) != 0;
    if (w->old.sa_handler == SIG_DFL ||
        (once && __atomic_exchange_n(&w->fired, true, __ATOMIC_SEQ_CST)))
        default_action(sig);
    else if (w->old.sa_flags & SA_SIGINFO)
        w->old.sa_sigaction(sig, info, context);
    else
        w->old.sa_handler(sig);
}

/*
 * Count, ring, then do what would have happened without us. A queue's number
 * that means another file by now makes epoll_ctl(2) fail, and nothing else.
 * It is not on POSIX's list of async-signal-safe functions, but a bare system
 * call, and that is what counts.
 */
static void on_signal(int sig, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    struct epoll_event item = {.events = EPOLLIN, .data.u64 = DOORBELL};
    __atomic_add_fetch(&watched[sig].count, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&total, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < KQ_BUCKETS; i++)
        for (struct kqueue *kq = kq_first(i); kq != NULL; kq = kq->next)
            if (__atomic_load_n(&kq->signals, __ATOMIC_SEQ_CST) &
                signal_bit((uintptr_t)sig))
                epoll_ctl(
                    kq->fd, EPOLL_CTL_MOD,
                    __atomic_load_n(&kq->helper[DOORBELL], __ATOMIC_ACQUIRE),
                    &item);
    errno = saved_errno;
    pass_on(&watched[sig], sig, info, context);
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
    __atomic_store_n(&watched[sig].fired, false, __ATOMIC_SEQ_CST);
    ours.sa_sigaction = on_signal;
    ours.sa_flags = (now.sa_flags | SA_SIGINFO) & ~(int)SA_RESETHAND;
    if (now.sa_handler == SIG_IGN || now.sa_handler == SIG_DFL)
        ours.sa_flags |= SA_RESTART;
    return sigaction(sig, &ours, NULL) < 0 ? errno : 0;
}

static void restore_handler(int sig)
{
    struct sigaction now, old = watched[sig].old;
    if (__atomic_load_n(&watched[sig].fired, __ATOMIC_SEQ_CST)) {
        old.sa_handler = SIG_DFL; /* as the kernel has it after the handler */
        old.sa_flags &= ~SA_SIGINFO;
    }
    if (sigaction(sig, NULL, &now) == 0 && now.sa_sigaction == on_signal)
        sigaction(sig, &old, NULL);
}

/* Programs call signal(SIGINT, SIG_IGN) before EV_ADD or right after it. */
void kq_check_handlers(struct kqueue *kq)
{
    struct link *at = kq->signal_knotes.next;
    if (!kq->check_signals)
        return;
    pthread_mutex_lock(&lock);
    for (; at != &kq->signal_knotes; at = at->next)
        install_handler((int)KNOTE_OF_SIBLING(at)->kev.ident);
    pthread_mutex_unlock(&lock);
    kq->check_signals = false;
}

/* In a child after fork(2): other threads may have held the lock. */
void kq_forget_signals(void)
{
    pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    lock = unlocked;
    for (int sig = 1; sig < _NSIG; sig++) {
        if (watched[sig].users > 0)
            restore_handler(sig);
        watched[sig].users = 0;
    }
}

/* ---- the filter ---- */

/*
 * Tell on_signal which signals are wanted. Call before the knotes are asked: a
 * signal that comes in between is then either counted already, or rings.
 */
static void want_signals(struct kqueue *kq)
{
    uint64_t wanted = 0;
    struct link *at = kq->signal_knotes.next;
    for (; at != &kq->signal_knotes; at = at->next)
        if (!KNOTE_OF_SIBLING(at)->disabled)
            wanted |= signal_bit(KNOTE_OF_SIBLING(at)->kev.ident);
    __atomic_store_n(&kq->signals, wanted, __ATOMIC_SEQ_CST);
    if (wanted)
        __atomic_store_n(&kq->asks, true, __ATOMIC_RELAXED);
}

/* Have each knote look at its counter, if any signal has come at all. */
void kq_ask_signals(struct kqueue *kq)
{
    unsigned now = __atomic_load_n(&total, __ATOMIC_SEQ_CST);
    struct link *at = kq->signal_knotes.next;
    if (now == kq->signals_seen)
        return;
    kq->signals_seen = now;
    for (; at != &kq->signal_knotes; at = at->next)
        kq_evaluate(kq, KNOTE_OF_SIBLING(at));
}

static int signal_attach(struct kqueue *kq, struct knote *kn,
                         const struct kevent *kev)
{
    if (kev->ident == 0 || kev->ident >= _NSIG)
        return EINVAL;
    kn->kev.flags |= EV_CLEAR;
    kn->state.signal.seen = signal_count(kn);
    pthread_mutex_lock(&lock);
    int error = install_handler((int)kev->ident);
    watched[kev->ident].users += !error;
    pthread_mutex_unlock(&lock);
    if (error)
        return error;
    kq_list_append(&kq->signal_knotes, &kn->sibling);
    kq->check_signals = true;
    want_signals(kq);
    return 0;
}

static int signal_touch(struct kqueue *kq, struct knote *kn,
                        const struct kevent *kev)
{
    (void)kn;
    if (kev != NULL)
        kq->check_signals = true;
    want_signals(kq);
    return 0;
}

static bool signal_active(struct knote *kn)
{
    kn->kev.data = (int64_t)(signal_count(kn) - kn->state.signal.seen);
    return kn->kev.data != 0;
}

static void signal_delivered(struct knote *kn)
{
    kn->state.signal.seen += (unsigned)kn->kev.data;
}

static void signal_detach(struct kqueue *kq, struct knote *kn)
{
    int sig = (int)kn->kev.ident;
    kq_list_remove(&kn->sibling);
    want_signals(kq);
    pthread_mutex_lock(&lock);
    if (--watched[sig].users == 0)
        restore_handler(sig);
    pthread_mutex_unlock(&lock);
}

const struct kq_filter kq_signal = {signal_attach, signal_touch, signal_active,
                                    signal_delivered, signal_detach};
