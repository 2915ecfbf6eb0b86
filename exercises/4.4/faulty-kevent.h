/*
 * A kevent() that has no memory for some changes, and says so as kernels do: with an
 * entry in the eventlist for each, and no events beside them. In the environment,
 * FAILS=add: the READ of the third descriptor, the listener being the first; FAILS=keep:
 * what the first client wants whose output has to be kept, READ off and WRITE on;
 * FAILS=late: the WRITE of the sixtieth client whose output has to be kept.
 */
#include <sys/types.h>
#include <sys/event.h>
#include <sys/time.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int faulty_change(const struct kevent *k)
{
    static int added, failed, kept;
    static uintptr_t first, seen[2];

    if (strcmp(getenv("FAILS"), "add") == 0) {
        if (k->filter != EVFILT_READ || !(k->flags & EV_ADD) || added == 3 ||
            (added > 0 && k->ident == seen[0]) ||
            (added > 1 && k->ident == seen[1]))
            return 0;
        if (added < 2)
            seen[added] = k->ident;
        return ++added == 3;
    }
    if (!(k->filter == EVFILT_READ && (k->flags & (EV_DISABLE | EV_DELETE))) &&
        !(k->filter == EVFILT_WRITE && (k->flags & (EV_ADD | EV_ENABLE)) &&
          !(k->flags & EV_DISABLE)))
        return 0;
    if (strcmp(getenv("FAILS"), "late") == 0)
        return k->filter == EVFILT_WRITE && ++kept == 60;
    if (first == 0)
        first = k->ident;
    return k->ident == first && failed++ < 2;
}

static int faulty_kevent(int kq, const struct kevent *changes, int n,
                         struct kevent *events, int room,
                         const struct timespec *timeout)
{
    static struct kevent passed[4096];
    static const struct timespec at_once = {0, 0};
    int failed = 0, receipts = 0, left = 0, more = 0;

    for (int i = 0; i < n && i < 4096; i++) {
        struct kevent k = changes[i];
        if (faulty_change(&k)) {
            if (failed == room) { /* what is behind it is not made */
                kevent(kq, passed, left, NULL, 0, NULL);
                errno = ENOMEM;
                return -1;
            }
            k.flags = EV_ERROR;
            k.data = ENOMEM;
            events[failed++] = k;
        } else {
            receipts |= k.flags & EV_RECEIPT;
            passed[left++] = k;
        }
    }
    if (failed == 0)
        return kevent(kq, changes, n, events, room, timeout);
    if (receipts)
        more =
            kevent(kq, passed, left, events + failed, room - failed, &at_once);
    else
        kevent(kq, passed, left, NULL, 0, NULL);
    return failed + (more > 0 ? more : 0);
}
#define kevent(...) faulty_kevent(__VA_ARGS__)
