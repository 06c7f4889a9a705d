#include "server/tls/cert_index.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/sys/file.h"
#include "server/tls/cert_record.h"
#include "server/tls/cert_sum.h"

enum { USUAL = 1500 /* bytes of a pair's record */ };

struct cert_known {
    struct sts_str front; /* of the body */
    uint64_t at;
    uint32_t record;
};

struct cert_index {
    struct sts_arena *arena;
    struct cert_pack *pack;
    struct cert_table pairs;   /* certificate file -> struct cert_known */
    struct cert_table folders; /* of those that are the only ones there -> struct cert_known */
    struct cert_table chains;  /* digest -> struct cert_chain, referenced */
};

static struct sts_str cert_index_folder_of(struct sts_str file)
{
    size_t name = file_basename(file).len;

    return sts_str_sub(file, 0, file.len > name ? file.len - name - 1 : 0);
}

static void take_pair(struct cert_index *index, uint64_t at, struct sts_str body)
{
    struct record_pair record;
    struct sts_str front;

    if (!record_front(body, &front) || !record_take_pair(front, &record))
        return;
    front = sts_arena_dup(index->arena, front);
    record_take_pair(front, &record);
    struct cert_known *known = cert_table_find(&index->pairs, record.file);
    if (!known) {
        known = STS_NEW(index->arena, struct cert_known);
        cert_table_add(&index->pairs, record.file, known);
    }
    *known = (struct cert_known){front, at, (uint32_t)body.len};
    if (record.fixed.folder && file_basename(record.key_name).len == record.key_name.len)
        cert_table_add(&index->folders, cert_index_folder_of(record.file), known);
}

static void cert_index_take(void *data, enum cert_record kind, uint64_t at, struct sts_str body)
{
    struct cert_index *index = data;

    if (kind == CERT_RECORD_PAIR) {
        take_pair(index, at, body);
    } else if (kind == CERT_RECORD_CHAIN) {
        struct cert_chain *chain = record_take_chain(body);
        if (chain && !cert_table_add(&index->chains, cert_sum_str(chain->digest), chain))
            cert_chain_unref(chain);
    }
}

struct cert_index *cert_index_read(const char *path)
{
    struct cert_pack *pack = cert_pack_open(path);

    if (!pack)
        return NULL;
    struct cert_index *index = sts_must(calloc(1, sizeof(*index)));
    index->arena = sts_arena_new();
    index->pack = pack;
    cert_table_reserve(&index->pairs, cert_pack_size(pack) / USUAL);
    cert_table_reserve(&index->folders, cert_pack_size(pack) / USUAL);
    cert_pack_walk(pack, cert_index_take, index);
    return index;
}

void cert_index_free(struct cert_index *index)
{
    if (!index)
        return;
    for (size_t i = 0; i < index->chains.size; i++)
        cert_chain_unref(index->chains.slots[i].value);
    cert_table_fini(&index->chains);
    cert_table_fini(&index->pairs);
    cert_table_fini(&index->folders);
    cert_pack_unref(index->pack);
    sts_arena_free(index->arena);
    free(index);
}

size_t cert_index_count(const struct cert_index *index)
{
    return index->pairs.count;
}

struct cert_pack *cert_index_pack(const struct cert_index *index)
{
    return index->pack;
}

struct cert_chain *cert_index_chain(const struct cert_index *index, struct sts_str digest)
{
    return cert_table_find(&index->chains, digest);
}

static struct record_pair record_of(const struct cert_known *known)
{
    struct record_pair record = {0};

    record_take_pair(known->front, &record); /* as it did when it was read */
    return record;
}

const struct cert_known *cert_index_find(const struct cert_index *index, struct sts_str file,
                                         struct sts_str key_file)
{
    const struct cert_known *known = cert_table_find(&index->pairs, file);

    return known && sts_str_eq(record_of(known).key_name, cert_key_name(file, key_file)) ? known
                                                                                         : NULL;
}

const struct cert_known *cert_index_in_folder(const struct cert_index *index, struct sts_str path,
                                              const struct stat *now)
{
    const struct cert_known *known = cert_table_find(&index->folders, path);

    return known && record_of(known).fixed.folder == cert_seen_folder_now(now) ? known : NULL;
}

void cert_known_names(const struct cert_known *known, struct sts_str *file, struct sts_str *key)
{
    struct record_pair record = record_of(known);

    *file = file_basename(record.file);
    *key = record.key_name;
}

bool cert_known_seen(const struct cert_known *known, const struct stat st[2])
{
    return cert_seen_is(record_of(known).fixed.seen, st);
}

bool cert_known_has(const struct cert_known *known, const unsigned char digest[32])
{
    return memcmp(record_of(known).fixed.digest, digest, 32) == 0;
}

struct cert_pair *cert_known_pair(const struct cert_index *index, const struct cert_known *known,
                                  struct sts_str file, struct sts_str key_file)
{
    static const unsigned char none[32];
    struct record_pair record = record_of(known);
    struct cert_chain *chain = cert_index_chain(index, cert_sum_str(record.fixed.chain));

    if (!chain && memcmp(record.fixed.chain, none, sizeof(none)) != 0)
        return NULL; /* its record was not good */
    struct cert_pair *pair = cert_pair_new(file, key_file);
    if (!record_describe(&record, chain, pair)) {
        cert_pair_unref(pair);
        return NULL;
    }
    cert_leaf_settle(pair, index->pack, known->at, known->record);
    return pair;
}
