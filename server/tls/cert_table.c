#include "server/tls/cert_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"

enum { SMALLEST = 16 };

/* By words: paths are long, and there are a hundred thousand of them at a start. */
static uint32_t cert_table_hash(struct sts_str key)
{
    uint64_t h = key.len, word;
    size_t at = 0;

    for (; key.len - at >= sizeof(word); at += sizeof(word)) {
        memcpy(&word, key.ptr + at, sizeof(word));
        h = (h ^ word) * 0x9E3779B97F4A7C15u;
        h ^= h >> 32;
    }
    for (; at < key.len; at++)
        h = (h ^ (unsigned char)key.ptr[at]) * 0x100000001B3u;
    h *= 0x9E3779B97F4A7C15u;
    return (uint32_t)(h >> 32);
}

static size_t cert_table_home(const struct cert_table *table, uint32_t hash)
{
    return (size_t)((uint64_t)hash * table->size >> 32);
}

static size_t cert_table_next(const struct cert_table *table, size_t at)
{
    return at + 1 < table->size ? at + 1 : 0;
}

/* The slot of this key, or the one that it would be put in. */
static struct cert_slot *cert_table_slot_of(const struct cert_table *table, struct sts_str key,
                                            uint32_t hash)
{
    for (size_t at = cert_table_home(table, hash);; at = cert_table_next(table, at)) {
        struct cert_slot *slot = &table->slots[at];
        if (!slot->value || (slot->hash == hash && slot->len == key.len &&
                             (key.len == 0 || memcmp(slot->key, key.ptr, key.len) == 0)))
            return slot;
    }
}

static void cert_table_resize(struct cert_table *table, size_t size)
{
    struct cert_table other = {.size = size, .count = table->count};

    assert(size > table->count && size <= UINT32_MAX);
    /* Written to now: pages that are read first, and written later, are given twice. */
    other.slots = sts_must(
        aligned_alloc(_Alignof(struct cert_slot), sts_mul_size(size, sizeof(struct cert_slot))));
    memset(other.slots, 0, size * sizeof(struct cert_slot));
    for (size_t i = 0; i < table->size; i++) {
        const struct cert_slot *old = &table->slots[i];
        size_t at = cert_table_home(&other, old->hash);
        if (!old->value)
            continue;
        while (other.slots[at].value)
            at = cert_table_next(&other, at);
        other.slots[at] = *old;
    }
    free(table->slots);
    *table = other;
}

void cert_table_reserve(struct cert_table *table, size_t count)
{
    size_t size = count + count / 3 + SMALLEST;

    if (size > table->size)
        cert_table_resize(table, size);
}

void *cert_table_find(const struct cert_table *table, struct sts_str key)
{
    return table->size ? cert_table_slot_of(table, key, cert_table_hash(key))->value : NULL;
}

bool cert_table_add(struct cert_table *table, struct sts_str key, void *value)
{
    assert(value && key.len <= UINT32_MAX);
    if (table->count + 1 > table->size / 4 * 3)
        cert_table_resize(table, table->size ? table->size + table->size / 2 : SMALLEST);
    uint32_t h = cert_table_hash(key);
    struct cert_slot *slot = cert_table_slot_of(table, key, h);
    if (slot->value)
        return false;
    *slot = (struct cert_slot){key.ptr, (uint32_t)key.len, h, value};
    table->count++;
    return true;
}

void cert_table_fini(struct cert_table *table)
{
    free(table->slots);
    *table = (struct cert_table){0};
}
