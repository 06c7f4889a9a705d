#include "mtasts/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"

/* A small first block keeps a shard of one tenant cheap; later blocks grow to 64 KiB. */
enum { FIRST_BLOCK = 1024, LARGEST_BLOCK = 65536, ALIGN = alignof(max_align_t) };

/* Texts need no alignment: they are taken from the end. */
struct block {
    struct block *next;
    size_t size, used, texts; /* free is what is between those and these */
    alignas(max_align_t) char data[];
};

struct sts_arena {
    struct block *blocks; /* newest first */
    size_t next_size, total;
};

void *sts_must(void *allocated)
{
    if (!allocated) {
        fputs("mta-stsd: out of memory\n", stderr);
        abort();
    }
    return allocated;
}

size_t sts_add_size(size_t a, size_t b)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        sts_must(NULL);
    return sum;
}

size_t sts_mul_size(size_t a, size_t b)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product))
        sts_must(NULL);
    return product;
}

/* Room for one more, and then for twice as many. */
static size_t grown_capacity(size_t capacity)
{
    enum { FIRST_CAPACITY = 16 };
    return capacity ? sts_mul_size(capacity, 2) : FIRST_CAPACITY;
}

void *sts_heap_grow(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    *capacity = grown_capacity(*capacity);
    return sts_must(realloc(array, sts_mul_size(*capacity, size)));
}

struct sts_arena *sts_arena_new(void)
{
    struct sts_arena *a = sts_must(calloc(1, sizeof(*a)));
    a->next_size = FIRST_BLOCK;
    return a;
}

void sts_arena_free(struct sts_arena *a)
{
    if (!a)
        return;
    while (a->blocks) {
        struct block *next = a->blocks->next;
        free(a->blocks);
        a->blocks = next;
    }
    free(a);
}

void sts_arena_reset(struct sts_arena *a)
{
    struct block *kept = a->blocks;

    if (!kept)
        return;
    while (kept->next) {
        struct block *next = kept->next->next;
        a->total -= sizeof(struct block) + kept->next->size;
        free(kept->next);
        kept->next = next;
    }
    memset(kept->data, 0, kept->used);
    memset(kept->data + kept->texts, 0, kept->size - kept->texts);
    kept->used = 0;
    kept->texts = kept->size;
}

static struct block *add_block(struct sts_arena *a, size_t need)
{
    size_t size = need > a->next_size ? need : a->next_size;
    size_t bytes = sts_add_size(sizeof(struct block), size);
    struct block *b = sts_must(calloc(1, bytes));
    struct block **place = &a->blocks;

    /* One that is full at once leaves the newest to be filled. */
    if (size == need && *place)
        place = &(*place)->next;
    b->size = b->texts = size;
    b->next = *place;
    *place = b;
    a->total += bytes;
    if (a->next_size < LARGEST_BLOCK)
        a->next_size *= 2;
    return b;
}

void *sts_arena_alloc(struct sts_arena *a, size_t size)
{
    size_t need = sts_add_size(size ? size : 1, ALIGN - 1) / ALIGN * ALIGN;
    struct block *b = a->blocks;

    if (!b || b->texts - b->used < need)
        b = add_block(a, need);
    void *p = b->data + b->used;
    b->used += need;
    return p;
}

static char *alloc_text(struct sts_arena *a, size_t len)
{
    size_t need = sts_add_size(len, 1);
    struct block *b = a->blocks;

    if (!b || b->texts - b->used < need)
        b = add_block(a, need);
    b->texts -= need;
    return b->data + b->texts;
}

void *sts_arena_array(struct sts_arena *a, size_t count, size_t size)
{
    return sts_arena_alloc(a, sts_mul_size(count, size));
}

void *sts_arena_grow(struct sts_arena *a, void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    *capacity = grown_capacity(*capacity);
    void *more = sts_arena_array(a, *capacity, size);
    if (count)
        memcpy(more, array, sts_mul_size(count, size));
    return more;
}

struct sts_str sts_arena_dup(struct sts_arena *a, struct sts_str s)
{
    char *copy = alloc_text(a, s.len);
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    return (struct sts_str){copy, s.len};
}

struct sts_str sts_arena_join(struct sts_arena *arena, struct sts_str a, struct sts_str b)
{
    size_t len = sts_add_size(a.len, b.len);
    char *copy = alloc_text(arena, len);

    if (a.len)
        memcpy(copy, a.ptr, a.len);
    if (b.len)
        memcpy(copy + a.len, b.ptr, b.len);
    return (struct sts_str){copy, len};
}

struct sts_str sts_arena_printf(struct sts_arena *a, const char *fmt, ...)
{
    char most[256]; /* are shorter, and then written once */
    va_list ap, again;

    va_start(ap, fmt);
    va_copy(again, ap);
    int len = vsnprintf(most, sizeof(most), fmt, ap);
    va_end(ap);
    if (len < 0)
        abort();
    char *text = alloc_text(a, (size_t)len);
    if ((size_t)len < sizeof(most))
        memcpy(text, most, (size_t)len);
    else
        vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    return (struct sts_str){text, (size_t)len};
}

size_t sts_arena_size(const struct sts_arena *a)
{
    return a->total;
}
