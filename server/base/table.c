#include "server/base/table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "server/base/memory.h"

enum { SMALLEST = 16 };

/* --- SipHash ------------------------------------------------------------------------------- */

struct sip {
    uint64_t v0, v1, v2, v3;
};

static uint64_t sip_rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static void sip_rounds(struct sip *s, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        s->v0 += s->v1;
        s->v2 += s->v3;
        s->v1 = sip_rotate(s->v1, 13) ^ s->v0;
        s->v3 = sip_rotate(s->v3, 16) ^ s->v2;
        s->v0 = sip_rotate(s->v0, 32);
        s->v2 += s->v1;
        s->v0 += s->v3;
        s->v1 = sip_rotate(s->v1, 17) ^ s->v2;
        s->v3 = sip_rotate(s->v3, 21) ^ s->v0;
        s->v2 = sip_rotate(s->v2, 32);
    }
}

static struct sip sip_begin(const unsigned char key[16])
{
    uint64_t k0, k1;

    memcpy(&k0, key, sizeof(k0));
    memcpy(&k1, key + sizeof(k0), sizeof(k1));
    return (struct sip){k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du,
                        k0 ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u};
}

static void sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_rounds(s, 2);
    s->v0 ^= word;
}

static uint64_t sip_end(struct sip *s)
{
    s->v2 ^= 0xff;
    sip_rounds(s, 4);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

uint64_t sts_hash_keyed(const unsigned char key[16], struct sts_str bytes)
{
    struct sip s = sip_begin(key);
    size_t whole = bytes.len - bytes.len % sizeof(uint64_t);
    uint64_t word;

    for (size_t at = 0; at < whole; at += sizeof(word)) {
        memcpy(&word, bytes.ptr + at, sizeof(word));
        sip_word(&s, word);
    }
    word = (uint64_t)bytes.len << 56;
    for (size_t i = 0; i < bytes.len - whole; i++)
        word |= (uint64_t)(unsigned char)bytes.ptr[whole + i] << 8 * i;
    sip_word(&s, word);
    return sip_end(&s);
}

/* The kernel gives each process 16 random bytes, at a place that is known without asking it. The C
 * library makes other secrets of them, and no hash leaves the process. */
static const unsigned char *process_key(void)
{
    return (const unsigned char *)getauxval(AT_RANDOM);
}

uint64_t sts_hash(struct sts_str bytes)
{
    return sts_hash_keyed(process_key(), bytes);
}

uint64_t sts_hash_pair(uint64_t first, uint64_t second)
{
    const uint64_t both[] = {first, second};
    return sts_hash((struct sts_str){(const char *)both, sizeof(both)});
}

/* --- The table ----------------------------------------------------------------------------- */

static size_t table_home(const struct sts_table *table, uint64_t hash)
{
    return (size_t)hash & (table->size - 1);
}

static size_t table_after(const struct sts_table *table, size_t at)
{
    return (at + 1) & (table->size - 1);
}

static void table_put(struct sts_table *table, uint64_t hash, void *value)
{
    size_t at = table_home(table, hash);

    while (table->slots[at].value)
        at = table_after(table, at);
    table->slots[at] = (struct sts_table_slot){hash, value};
}

static void table_resize(struct sts_table *table, size_t size)
{
    struct sts_table other = {.size = size, .count = table->count};

    other.slots = sts_must(calloc(size, sizeof(*other.slots)));
    for (size_t i = 0; i < table->size; i++)
        if (table->slots[i].value)
            table_put(&other, table->slots[i].hash, table->slots[i].value);
    free(table->slots);
    *table = other;
}

void sts_table_reserve(struct sts_table *table, size_t count)
{
    size_t size = table->size ? table->size : SMALLEST;

    /* At most three quarters are full, so that a free slot is near. */
    while (size - size / 4 < count)
        size = sts_mul_size(size, 2);
    if (size != table->size)
        table_resize(table, size);
}

/* Where the value with this key lies; table->size when it is not there. */
static size_t table_search(const struct sts_table *table, uint64_t hash, sts_table_match *match,
                           const void *key)
{
    if (!table->count)
        return table->size;
    for (size_t at = table_home(table, hash); table->slots[at].value; at = table_after(table, at))
        if (table->slots[at].hash == hash && match(table->slots[at].value, key))
            return at;
    return table->size;
}

void *sts_table_find(const struct sts_table *table, uint64_t hash, sts_table_match *match,
                     const void *key)
{
    size_t at = table_search(table, hash, match, key);
    return at < table->size ? table->slots[at].value : NULL;
}

void sts_table_add(struct sts_table *table, uint64_t hash, void *value)
{
    assert(value);
    sts_table_reserve(table, table->count + 1);
    table_put(table, hash, value);
    table->count++;
}

void *sts_table_remove(struct sts_table *table, uint64_t hash, sts_table_match *match,
                       const void *key)
{
    size_t gap = table_search(table, hash, match, key);

    if (gap == table->size)
        return NULL;
    void *value = table->slots[gap].value;
    /* What follows moves up where a search would otherwise end at the gap. */
    for (size_t at = table_after(table, gap); table->slots[at].value; at = table_after(table, at)) {
        size_t from_home = (at - table_home(table, table->slots[at].hash)) & (table->size - 1);
        if (from_home >= ((at - gap) & (table->size - 1))) {
            table->slots[gap] = table->slots[at];
            gap = at;
        }
    }
    table->slots[gap] = (struct sts_table_slot){0};
    table->count--;
    return value;
}

void *sts_table_next(const struct sts_table *table, size_t *at)
{
    while (*at < table->size) {
        void *value = table->slots[(*at)++].value;
        if (value)
            return value;
    }
    return NULL;
}

void sts_table_fini(struct sts_table *table)
{
    free(table->slots);
    *table = (struct sts_table){0};
}
