/* SIGUSR1 comes between what the server does and its first wait for events. */
#include <sys/types.h>
#include <sys/event.h>
#include <sys/time.h>
#include <signal.h>
#include <stddef.h>

static int interrupted_kevent(int kq, const struct kevent *changes, int n,
                              struct kevent *events, int size,
                              const struct timespec *timeout)
{
    static int waits;

    if (size > 1 && ++waits == 1)
        raise(SIGUSR1);
    return kevent(kq, changes, n, events, size, timeout);
}
#define kevent(a, b, c, d, e, f) interrupted_kevent(a, b, c, d, e, f)
