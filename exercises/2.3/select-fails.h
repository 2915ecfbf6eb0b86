/*
 * Each second select() is interrupted by a signal, as soon as it is called: it
 * leaves the sets as they were. The others wait as long as they have to, so
 * nothing is ever quiet.
 */
#include <sys/types.h>
#include <sys/select.h>
#include <sys/time.h>

#include <errno.h>
#include <stddef.h>

static int select_fails(int count, fd_set *reading, fd_set *writing,
                        fd_set *special, struct timeval *patience)
{
    static int calls;

    (void)patience;
    if (calls++ % 2 != 0)
        return select(count, reading, writing, special, NULL);
    errno = EINTR;
    return -1;
}

#define select(count, reading, writing, special, patience) \
    select_fails(count, reading, writing, special, patience)
