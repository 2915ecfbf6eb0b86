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

static int helper_number(struct kqueue *kq, uint32_t name)
{
    const int *number = name == DOORBELL  ? &kq->bell_fd
                        : name == TIMERFD ? &kq->timer_fd
                                          : &kq->set[WRITE];
    return __atomic_load_n(number, __ATOMIC_ACQUIRE);
}

/* Put a helper in one of the sets; 0 or an errno. */
int kq_add_helper(struct kqueue *kq, int which, uint32_t name)
{
    bool reports = which == READ && name != DOORBELL;
    struct epoll_event item = {.events = reports ? EPOLLIN : 0,
                               .data.u64 = name};
    if (epoll_ctl(kq->set[which], EPOLL_CTL_ADD, helper_number(kq, name),
                  &item) < 0)
        return errno;
    return 0;
}

/* Take a descriptor just made, or -1 and errno, for a helper. */
static int adopt(struct kqueue *kq, int *number, int fd, uint32_t name)
{
    int error = fd < 0 ? errno : 0;
    if (error == 0) {
        __atomic_store_n(number, out_of_the_way(fd), __ATOMIC_RELEASE);
        error = kq_add_helper(kq, READ, name);
    }
    if (error == 0 && name != WRITE_SET)
        error = kq_add_helper(kq, WRITE, name);
    if (error != 0 && fd >= 0) {
        close(*number);
        __atomic_store_n(number, -1, __ATOMIC_RELEASE);
    }
    return error;
}

/* All of them: 0, or an errno. The eventfd is readable for ever. */
int kq_open_helpers(struct kqueue *kq)
{
    int error =
        adopt(kq, &kq->set[WRITE], epoll_create1(EPOLL_CLOEXEC), WRITE_SET);
    if (error == 0)
        error =
            adopt(kq, &kq->timer_fd,
                  timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
                  TIMERFD);
    if (error == 0)
        error = adopt(kq, &kq->bell_fd, eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK),
                      DOORBELL);
    kq->bell = 0;
    kq->timer_set = 0;
    return error;
}

void kq_close_helpers(struct kqueue *kq)
{
    int set = kq->set[WRITE], timer = kq->timer_fd, bell = kq->bell_fd;
    bool own_timer = kq_registered(set, timer);
    bool own_bell = kq_registered(set, bell);
    if (own_timer)
        close(timer);
    if (own_bell)
        close(bell);
    if (own_timer || own_bell)
        close(set);
    __atomic_store_n(&kq->set[WRITE], -1, __ATOMIC_RELEASE);
    __atomic_store_n(&kq->timer_fd, -1, __ATOMIC_RELEASE);
    __atomic_store_n(&kq->bell_fd, -1, __ATOMIC_RELEASE);
}

/* Is the number a helper of some queue? A BSD knows no such descriptor. */
bool kq_is_helper(int fd)
{
    if (fd < __atomic_load_n(&lowest, __ATOMIC_ACQUIRE) ||
        fd > __atomic_load_n(&highest, __ATOMIC_ACQUIRE))
        return false;
    for (int i = 0; i < KQ_BUCKETS; i++)
        for (struct kqueue *kq = kq_first(i); kq != NULL; kq = kq->next) {
            int set = helper_number(kq, WRITE_SET);
            int timer = helper_number(kq, TIMERFD);
            if (fd == set && kq_registered(set, timer))
                return true;
            if ((fd == timer || fd == helper_number(kq, DOORBELL)) &&
                kq_registered(set, fd))
                return true;
        }
    return false;
}
