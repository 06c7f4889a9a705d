/* Arena: memory that lives and dies together. A source shard, a snapshot, a command each own one;
 * everything reachable from them is allocated here and never freed alone. Out of memory aborts:
 * every input is capped before it reaches an arena. */
#ifndef MTASTS_ARENA_H
#define MTASTS_ARENA_H

#include "mtasts/str.h"

struct sts_arena;

struct sts_arena *sts_arena_new(void);
void sts_arena_free(struct sts_arena *a); /* NULL is fine */
/* Empty again: what came from it is gone, some of its memory stays for the next. */
void sts_arena_reset(struct sts_arena *a);
/* Zeroed, aligned for any type, never NULL (size 0 included). */
void *sts_arena_alloc(struct sts_arena *a, size_t size);
/* Zeroed array; aborts on overflow of count * size. */
void *sts_arena_array(struct sts_arena *a, size_t count, size_t size);
/* The growing array: `array`, which is from this arena (or NULL) and has `count` items of `size`
 * bytes and room for *capacity of them, copied to where there is room for one more if there is
 * none. */
void *sts_arena_grow(struct sts_arena *a, void *array, size_t count, size_t *capacity, size_t size);
/* A copy, with a NUL behind it that does not count in len. */
struct sts_str sts_arena_dup(struct sts_arena *a, struct sts_str s);
/* `a` and `b` as one, likewise. */
struct sts_str sts_arena_join(struct sts_arena *arena, struct sts_str a, struct sts_str b);
struct sts_str sts_arena_printf(struct sts_arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
size_t sts_arena_size(const struct sts_arena *a); /* bytes taken from the heap */

#define STS_NEW(arena, type)          ((type *)sts_arena_alloc((arena), sizeof(type)))
#define STS_ARRAY(arena, count, type) ((type *)sts_arena_array((arena), (count), sizeof(type)))

#endif
