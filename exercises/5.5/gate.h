/* A program whose main() begins when the file $GATE is there. */
#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor)) static void wait_at_gate(void)
{
    const char *gate = getenv("GATE");

    for (int i = 0; i < 2000 && gate != NULL && access(gate, F_OK) != 0; i++)
        usleep(10000);
}
