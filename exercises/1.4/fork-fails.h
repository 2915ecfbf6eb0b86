/* The first fork() fails, as where no process is left. */
#include <sys/types.h>

#include <errno.h>
#include <unistd.h>

static pid_t fork_fails(void)
{
    static int calls;

    if (calls++ > 0)
        return fork();
    errno = EAGAIN;
    return -1;
}

#define fork fork_fails
