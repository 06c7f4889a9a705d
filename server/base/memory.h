/* Out of memory ends the program with a message: every input is capped long before. */
#ifndef MTASTS_BASE_MEMORY_H
#define MTASTS_BASE_MEMORY_H

#include <stddef.h>

void *sts_must(void *allocated);         /* aborts on NULL */
size_t sts_add_size(size_t a, size_t b); /* aborts on overflow */
size_t sts_mul_size(size_t a, size_t b); /* aborts on overflow */

#endif
