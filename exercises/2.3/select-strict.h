/*
 * A select() that is as strict as POSIX allows: what is no time is EINVAL, and
 * the time that it was given stays as it was. One that asks again and again is
 * told so.
 */
#include <sys/types.h>
#include <sys/select.h>
#include <sys/time.h>

#include <errno.h>
#include <stddef.h>
#include <stdio.h>

static int select_strict(int count, fd_set *reading, fd_set *writing,
                         fd_set *special, struct timeval *patience)
{
    static int calls;
    struct timeval t;

    if (++calls == 100)
        fprintf(stderr, "select() is called again and again\n");
    if (patience == NULL)
        return select(count, reading, writing, special, NULL);
    t = *patience;
    if (t.tv_sec < 0 || t.tv_usec < 0 || t.tv_usec >= 1000000) {
        fprintf(stderr, "select() with tv_sec %ld, tv_usec %ld: no time\n",
                (long)t.tv_sec, (long)t.tv_usec);
        errno = EINVAL;
        return -1;
    }
    return select(count, reading, writing, special, &t);
}

#define select(count, reading, writing, special, patience) \
    select_strict(count, reading, writing, special, patience)
