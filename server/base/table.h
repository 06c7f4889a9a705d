/* The one hash table of the program: from keys to pointers, open addressing.
 *
 * The table keeps hashes and pointers; what a key is, the caller knows, who gives the hash of the
 * key that is looked for and a function that compares. A look-up allocates nothing. Values are
 * borrowed. Everything that lies in files or comes from the network is chosen by strangers, who
 * must not be able to choose where it lies in a table: so hashes are made by sts_hash, whose key
 * is another in each process. */
#ifndef MTASTS_BASE_TABLE_H
#define MTASTS_BASE_TABLE_H

#include <stdint.h>

#include "mtasts/str.h"

struct sts_table_slot {
    uint64_t hash;
    void *value; /* NULL: the slot is free */
};

/* All zero is empty and valid. */
struct sts_table {
    struct sts_table_slot *slots;
    size_t size;  /* of slots: 0 or a power of two */
    size_t count; /* of values */
};

/* Whether `value`, which lies in the table, has this key. */
typedef bool sts_table_match(const void *value, const void *key);

/* SipHash-2-4 (Aumasson and Bernstein, 2012) of the bytes. */
uint64_t sts_hash(struct sts_str bytes);
/* The same of two numbers: for keys of several parts, hash by hash. */
uint64_t sts_hash_pair(uint64_t first, uint64_t second);
/* The same with a key that the caller gives, for tests: 16 bytes. */
uint64_t sts_hash_keyed(const unsigned char key[16], struct sts_str bytes);

/* The value with this key, or NULL. */
void *sts_table_find(const struct sts_table *table, uint64_t hash, sts_table_match *match,
                     const void *key);
/* Puts in a value, never NULL, whose key is not there yet. */
void sts_table_add(struct sts_table *table, uint64_t hash, void *value);
/* Takes out the value with this key and returns it; NULL when there is none. */
void *sts_table_remove(struct sts_table *table, uint64_t hash, sts_table_match *match,
                       const void *key);
/* Makes room for `count` values in all, so that adding them does not grow the table again. */
void sts_table_reserve(struct sts_table *table, size_t count);
/* All values, in no order: begins with *at = 0, ends with NULL. Nothing may be added or removed
 * meanwhile. */
void *sts_table_next(const struct sts_table *table, size_t *at);
/* Frees the slots, not the values; the table is empty and valid afterwards. */
void sts_table_fini(struct sts_table *table);

#endif
