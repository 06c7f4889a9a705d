#include "server/tls/cert_table.h"

#include <assert.h>
#include <stdlib.h>

#include "server/base/memory.h"

enum { SMALLEST = 16 };

static struct cert_slot *slot_of(const struct cert_table *table, struct sts_str key)
{
    size_t mask = table->size - 1;
    size_t at = (size_t)sts_str_hash(key) & mask;

    while (table->slots[at].value && !sts_str_eq(table->slots[at].key, key))
        at = (at + 1) & mask;
    return &table->slots[at];
}

static void grow(struct cert_table *table)
{
    struct cert_table bigger = {.size = table->size ? sts_mul_size(table->size, 2) : SMALLEST,
                                .count = table->count};

    bigger.slots = sts_must(calloc(bigger.size, sizeof(*bigger.slots)));
    for (size_t i = 0; i < table->size; i++)
        if (table->slots[i].value)
            *slot_of(&bigger, table->slots[i].key) = table->slots[i];
    free(table->slots);
    *table = bigger;
}

void *cert_table_find(const struct cert_table *table, struct sts_str key)
{
    return table->size ? slot_of(table, key)->value : NULL;
}

bool cert_table_add(struct cert_table *table, struct sts_str key, void *value)
{
    assert(value);
    if (table->count + 1 > table->size / 2)
        grow(table);
    struct cert_slot *slot = slot_of(table, key);
    if (slot->value)
        return false;
    *slot = (struct cert_slot){key, value};
    table->count++;
    return true;
}

void cert_table_fini(struct cert_table *table)
{
    free(table->slots);
    *table = (struct cert_table){0};
}
