/* The index for the next start: what is new goes behind what is there. */
#include <errno.h>
#include <stdlib.h>

#include "server/base/memory.h"
#include "server/tls/cert_index.h"
#include "server/tls/cert_record.h"

enum {
    FLUSH = 1 << 20,     /* bytes written at a time */
    WORTH_IT = 64 << 10, /* bytes of no use that are left alone */
};

/* A pair whose record is on the way. */
struct moved {
    struct cert_pair *pair;
    uint64_t at;
    uint32_t record;
};

struct writer {
    struct cert_pack *pack;
    struct moved *moved;
    size_t count, capacity;
    struct sts_buf leaf, body;
};

static void cert_index_write_note(struct writer *w, struct moved moved)
{
    w->moved = sts_heap_grow(w->moved, w->count, &w->capacity, sizeof(*w->moved));
    w->moved[w->count++] = moved;
}

static void put_chain(struct cert_pack *pack, const struct cert_chain *chain)
{
    struct sts_buf body = {0};

    if (!chain || cert_pack_has_chain(pack, chain->digest))
        return;
    record_put_chain(&body, chain);
    cert_pack_add(pack, CERT_RECORD_CHAIN, sts_buf_str(&body));
    sts_buf_fini(&body);
}

/* What is too large for a record stays in memory, and is found out again. */
static int cert_index_write_put_pair(struct writer *w, struct cert_pair *pair)
{
    w->leaf.len = w->body.len = 0;
    if (!cert_leaf_get(pair, &w->leaf) || !record_put_pair(&w->body, pair, sts_buf_str(&w->leaf)) ||
        w->body.len > CERT_RECORD_MAX)
        return 0;
    put_chain(w->pack, pair->chain);
    uint64_t at = cert_pack_add(w->pack, CERT_RECORD_PAIR, sts_buf_str(&w->body));
    cert_index_write_note(w, (struct moved){pair, at, (uint32_t)w->body.len});
    return cert_pack_waiting(w->pack) < FLUSH ? 0 : cert_pack_flush(w->pack);
}

/* The pack has them: memory may go. */
static void cert_index_write_settle(const struct writer *w)
{
    for (size_t i = 0; i < w->count; i++) {
        const struct moved *m = &w->moved[i];
        cert_leaf_settle(m->pair, w->pack, m->at, m->record);
        m->pair->stale = false;
    }
}

static void writer_fini(struct writer *w)
{
    free(w->moved);
    sts_buf_fini(&w->leaf);
    sts_buf_fini(&w->body);
}

static bool cert_index_write_is_there(const struct cert_pair *pair, const struct cert_pack *pack)
{
    return !pair->stale && cert_leaf_is_in(pair, pack);
}

static int cert_index_write_append(struct cert_pack *pack, struct cert_pair *const *pairs,
                                   size_t count)
{
    struct writer w = {.pack = pack};
    int result = 0;

    for (size_t i = 0; i < count && result == 0; i++)
        if (!cert_index_write_is_there(pairs[i], pack))
            result = cert_index_write_put_pair(&w, pairs[i]);
    if (result == 0)
        result = cert_pack_flush(pack);
    if (result == 0)
        cert_index_write_settle(&w);
    writer_fini(&w);
    return result;
}

/* Pairs go over to the new file when all of them are in it. */
static int write_anew(struct cert_pack **pack, const char *path, struct cert_pair *const *pairs,
                      size_t count)
{
    struct cert_pack *next = cert_pack_new(path);
    struct writer w = {.pack = next};
    int result = next ? 0 : -1;

    for (size_t i = 0; i < count && result == 0; i++)
        result = cert_index_write_put_pair(&w, pairs[i]);
    if (result == 0)
        result = cert_pack_flush(next);
    if (result == 0)
        result = cert_pack_put_in_place(next);
    int error = errno;
    if (result == 0) {
        cert_index_write_settle(&w);
        cert_pack_unref(*pack);
        *pack = next;
    } else {
        cert_pack_unref(next);
    }
    writer_fini(&w);
    errno = error;
    return result;
}

int cert_index_write(struct cert_pack **pack, const char *path, struct cert_pair *const *pairs,
                     size_t count)
{
    uint64_t used = 0;
    size_t fresh = 0;

    if (!*pack || !cert_pack_is_usable(*pack, path))
        return write_anew(pack, path, pairs, count);
    for (size_t i = 0; i < count; i++) {
        if (cert_index_write_is_there(pairs[i], *pack))
            used += cert_pack_record_size(pairs[i]->record);
        else
            fresh++;
    }
    uint64_t unused = cert_pack_size(*pack) - used;
    if (unused > WORTH_IT && unused > used)
        return write_anew(pack, path, pairs, count);
    return fresh ? cert_index_write_append(*pack, pairs, count) : 0;
}
