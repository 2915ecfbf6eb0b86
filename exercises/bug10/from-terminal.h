/*
 * As from a terminal: what a shell starts in the background has SIGINT ignored, and hands
 * that on to the server.
 */
#include <signal.h>

static __attribute__((constructor)) void from_terminal(void)
{
    signal(SIGINT, SIG_DFL);
}
