#include "server/sys/heap.h"

#include <malloc.h>

/* Tables of a snapshot are larger, what lives longer is smaller. */
enum { OWN_PAGES = 256 << 10 };

/* Left to itself, malloc takes tables among everything else as soon as one of that size was freed,
 * and leaves a hole of many megabytes at each change. */
void heap_init(void)
{
    mallopt(M_MMAP_THRESHOLD, OWN_PAGES);
}

void heap_trim(void)
{
    malloc_trim(0);
}
