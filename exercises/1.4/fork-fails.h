/* The first fork() of the first process fails, and the third, as where no process is left. */
#include <sys/types.h>

#include <errno.h>
#include <unistd.h>

static pid_t fork_fails(void)
{
    static pid_t first;
    static int calls;

    if (first == 0)
        first = getpid();
    if (getpid() != first || calls++ % 2 != 0)
        return fork();
    errno = EAGAIN;
    return -1;
}

#define fork fork_fails
