/* A program that needs a while before its main() begins. */
#include <unistd.h>

__attribute__((constructor)) static void start_slowly(void)
{
    usleep(400000);
}
