/*
 * The time of day is set by an hour with every look at it. What asks the clock
 * that is never set back does not see it.
 */
#include <sys/types.h>
#include <sys/time.h>
#include <time.h>

static time_t hours_on;

static __attribute__((unused)) int set_clock_gettime(clockid_t id,
                                                     struct timespec *t)
{
    int result = clock_gettime(id, t);

    if (id == CLOCK_REALTIME)
        t->tv_sec += hours_on += 3600;
    return result;
}
static __attribute__((unused)) int set_gettimeofday(struct timeval *t)
{
    int result = gettimeofday(t, NULL);

    t->tv_sec += hours_on += 3600;
    return result;
}
static __attribute__((unused)) time_t set_time(time_t *t)
{
    time_t result = time(NULL) + (hours_on += 3600);

    if (t != NULL)
        *t = result;
    return result;
}
#define clock_gettime(id, t)  set_clock_gettime(id, t)
#define gettimeofday(t, zone) set_gettimeofday(t)
#define time(t)               set_time(t)
