/*
 * The descriptors that a queue has beside its own: an epoll set for WRITE, a
 * timerfd and an eventfd. All are opened by kqueue(), so that nothing fails
 * later for want of one, and moved to high numbers, so that open() and
 * accept() give the program the numbers that it would see on a BSD.
 *
 * The program may close any number without a word, ours too (closefrom(3)),
 * and open a file that gets it. So before a helper is closed, it must be proved
 * to be still the helper: timerfd and eventfd are members of the WRITE set,
 * without events, and the kernel knows a member by file and number.
 */
#include "kqueue.h"

#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/timerfd.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

/* No other number is a helper's: most changes need not look any further. */
static int lowest = INT_MAX, highest = -1;

/*
 * Is fd, the number, a member of this set as the file that it is now? ADD says
 * EEXIST then, and changes nothing.
 */
bool kq_registered(int set, int fd)
{
    struct epoll_event none = {.events = EPOLLET, .data.u64 = DOORBELL};
    if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &none) < 0)
        return errno == EEXIST;
    epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL);
    return false;
}

/* The highest number below 1024 that is free, or the next one above. */
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
    if (moved >= 0) {
        close(fd);
        fd = moved;
    }
    if (fd < lowest)
        __atomic_store_n(&lowest, fd, __ATOMIC_RELEASE);
    if (fd > highest)
        __atomic_store_n(&highest, fd, __ATOMIC_RELEASE);
    return fd;
}

/* Number `name` of the queue's helpers, which any thread may look at. */
static int number(struct kqueue *kq, int name)
{
    return __atomic_load_n(&kq->helper[name], __ATOMIC_ACQUIRE);
}

/* Put a helper in one of the sets; 0 or an errno. */
int kq_add_helper(struct kqueue *kq, int which, int name)
{
    bool reports = which == READ && name != DOORBELL;
    struct epoll_event item = {.events = reports ? EPOLLIN : 0,
                               .data.u64 = (uint64_t)name};
    if (epoll_ctl(kq_set(kq, which), EPOLL_CTL_ADD, number(kq, name), &item))
        return errno;
    return 0;
}

static int open_helper(int name)
{
    switch (name) {
    case WRITE_SET:
        return epoll_create1(EPOLL_CLOEXEC);
    case TIMERFD:
        return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    default: /* readable for ever */
        return eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    }
}

/* All of them: 0, or an errno. */
int kq_open_helpers(struct kqueue *kq)
{
    int error = 0;
    for (int name = WRITE_SET; name < HELPERS && error == 0; name++) {
        int fd = out_of_the_way(open_helper(name));
        if (fd < 0)
            return errno;
        __atomic_store_n(&kq->helper[name], fd, __ATOMIC_RELEASE);
        error = kq_add_helper(kq, READ, name);
        if (error == 0 && name != WRITE_SET)
            error = kq_add_helper(kq, WRITE, name);
    }
    kq->bell = 0;
    kq->timer_set = 0;
    return error;
}

/* The WRITE set is proved by any member. */
static bool is_ours(struct kqueue *kq, int name)
{
    int set = number(kq, WRITE_SET);
    return name == WRITE_SET ? kq_registered(set, number(kq, TIMERFD)) ||
                                   kq_registered(set, number(kq, DOORBELL))
                             : kq_registered(set, number(kq, name));
}

void kq_close_helpers(struct kqueue *kq)
{
    bool ours[HELPERS];
    for (int name = WRITE_SET; name < HELPERS; name++)
        ours[name] = is_ours(kq, name);
    for (int name = WRITE_SET; name < HELPERS; name++) {
        if (ours[name])
            close(kq->helper[name]);
        __atomic_store_n(&kq->helper[name], -1, __ATOMIC_RELEASE);
    }
}

/* Is it a helper of some queue? A BSD knows no such descriptor. */
bool kq_is_helper(int fd)
{
    if (fd < __atomic_load_n(&lowest, __ATOMIC_ACQUIRE) ||
        fd > __atomic_load_n(&highest, __ATOMIC_ACQUIRE))
        return false;
    for (int i = 0; i < KQ_BUCKETS; i++)
        for (struct kqueue *kq = kq_first(i); kq != NULL; kq = kq->next)
            for (int name = WRITE_SET; name < HELPERS; name++)
                if (fd == number(kq, name) && is_ours(kq, name))
                    return true;
    return false;
}
