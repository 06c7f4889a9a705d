/* Out of memory ends the program with a message: every input is capped long before. */
#ifndef MTASTS_BASE_MEMORY_H
#define MTASTS_BASE_MEMORY_H

#include <stddef.h>

void *sts_must(void *allocated);         /* aborts on NULL */
size_t sts_add_size(size_t a, size_t b); /* aborts on overflow */
size_t sts_mul_size(size_t a, size_t b); /* aborts on overflow */

/* The growing array, on the heap: `array`, which has `count` items of `size` bytes and room for
 * *capacity of them, moved to where there is room for one more if there is none. NULL and 0 are an
 * empty array; free() ends it. sts_arena_grow (mtasts/arena.h) is the same in an arena. */
void *sts_heap_grow(void *array, size_t count, size_t *capacity, size_t size);

#endif
