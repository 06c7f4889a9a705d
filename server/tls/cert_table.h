/* A growing hash table from slices to pointers. Keys are borrowed and must outlive the table. */
#ifndef MTASTS_TLS_CERT_TABLE_H
#define MTASTS_TLS_CERT_TABLE_H

#include <stdint.h>

#include "mtasts/str.h"

struct cert_slot {
    const char *key;
    uint32_t len, hash; /* of the key */
    void *value;        /* NULL: the slot is free */
};

/* All zero is empty and valid. */
struct cert_table {
    struct cert_slot *slots;
    size_t size, count;
};

void *cert_table_find(const struct cert_table *table, struct sts_str key); /* NULL when absent */
/* Keeps an earlier value of the same key; true when this one was put in. */
bool cert_table_add(struct cert_table *table, struct sts_str key, void *value);
/* Room for so many in all, so that none is more than is needed. */
void cert_table_reserve(struct cert_table *table, size_t count);
void cert_table_fini(struct cert_table *table);

#endif
