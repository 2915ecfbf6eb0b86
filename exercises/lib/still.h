/* The seconds stand still: only a client that leaves lets the server accept again. */
#include <time.h>

#define time(unused) ((time_t)1)
