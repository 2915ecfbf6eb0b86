/* A timer of three seconds, that of the stop, fires after 300 ms. */
#include <sys/types.h>
#include <sys/event.h>
#include <sys/time.h>

static int quick_kevent(int kq, const struct kevent *changes, int n,
                        struct kevent *events, int room,
                        const struct timespec *limit)
{
    struct kevent copy[64];

    for (int i = 0; i < n && n <= 64; i++) {
        copy[i] = changes[i];
        if (copy[i].filter == EVFILT_TIMER && copy[i].data == 3000)
            copy[i].data = 300;
    }
    return kevent(kq, n > 0 && n <= 64 ? copy : changes, n, events, room,
                  limit);
}
#define kevent(a, b, c, d, e, f) quick_kevent(a, b, c, d, e, f)
