/* Where the bytes of leaves are: in memory until the pack has them. */
#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/sys/log.h"
#include "server/tls/cert_pack.h"
#include "server/tls/cert_pair.h"

struct cert_slab {
    atomic_uint refs;
    size_t size, used;
    unsigned char bytes[];
};

/* Held while a leaf moves, and while it is looked up where it is: for a copy at most. */
enum { LOCKS = 16 };
static pthread_mutex_t locks[LOCKS] = {[0 ... LOCKS - 1] = PTHREAD_MUTEX_INITIALIZER};

static pthread_mutex_t *lock_of(const struct cert_pair *pair)
{
    return &locks[pair->digest[0] % LOCKS];
}

struct cert_slab *cert_slab_new(size_t size)
{
    struct cert_slab *slab = sts_must(malloc(sts_add_size(sizeof(*slab), size)));

    atomic_init(&slab->refs, 1);
    slab->size = size;
    slab->used = 0;
    return slab;
}

void cert_slab_unref(struct cert_slab *slab)
{
    if (slab && atomic_fetch_sub_explicit(&slab->refs, 1, memory_order_acq_rel) == 1)
        free(slab);
}

bool cert_leaf_keep(struct cert_pair *pair, struct cert_slab *slab, struct sts_str leaf)
{
    if (slab->size - slab->used < leaf.len)
        return false;
    unsigned char *at = slab->bytes + slab->used;
    memcpy(at, leaf.ptr, leaf.len);
    slab->used += leaf.len;
    atomic_fetch_add_explicit(&slab->refs, 1, memory_order_relaxed);
    pair->slab = slab;
    pair->leaf = at;
    pair->leaf_len = (uint32_t)leaf.len;
    pair->record = 0;
    return true;
}

void cert_leaf_drop(struct cert_pair *pair)
{
    if (pair->record)
        cert_pack_unref(pair->pack);
    else
        cert_slab_unref(pair->slab);
}

void cert_leaf_settle(struct cert_pair *pair, struct cert_pack *pack, uint64_t at, uint32_t record)
{
    struct cert_pack *old_pack = NULL;
    struct cert_slab *old_slab = NULL;

    pthread_mutex_lock(lock_of(pair));
    if (pair->record)
        old_pack = pair->pack;
    else
        old_slab = pair->slab;
    pair->pack = cert_pack_ref(pack);
    pair->at = at;
    pair->record = record;
    pthread_mutex_unlock(lock_of(pair));
    cert_pack_unref(old_pack);
    cert_slab_unref(old_slab);
}

bool cert_leaf_is_in(const struct cert_pair *pair, const struct cert_pack *pack)
{
    return pair->record && pair->pack == pack;
}

/* As long as the files are what the pair was made of. */
static bool get_from_file(const struct cert_pair *pair, struct sts_buf *out)
{
    unsigned char digest[32];
    char space[CERT_PATH_MAX];
    struct sts_buf leaf = {0};
    bool good = cert_reread(pair->info.file, cert_pair_key_file(pair, space), digest, &leaf) == 0 &&
                memcmp(digest, pair->digest, sizeof(digest)) == 0;

    if (good)
        sts_buf_add(out, sts_buf_str(&leaf));
    sts_buf_fini(&leaf);
    return good;
}

static void cert_place_say_lost(const struct cert_pair *pair, bool found)
{
    struct log_line line;

    log_begin(&line, found ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, "certificate-index");
    log_str(&line, "file", pair->info.file);
    log_cstr(&line, "message",
             found ? "its copy beside the ledger is damaged; the file is read instead"
                   : "its copy beside the ledger is damaged, and the file is another one by now: "
                     "clients are refused until that is loaded");
    log_end(&line);
}

bool cert_leaf_get(const struct cert_pair *pair, struct sts_buf *out)
{
    struct cert_pack *pack = NULL;
    struct sts_buf body = {0};
    uint64_t at = 0;
    size_t record = 0;

    pthread_mutex_lock(lock_of(pair));
    if (pair->record) {
        pack = cert_pack_ref(pair->pack);
        at = pair->at;
        record = pair->record;
    } else {
        sts_buf_add(out, (struct sts_str){(const char *)pair->leaf, pair->leaf_len});
    }
    pthread_mutex_unlock(lock_of(pair));
    if (!pack)
        return true;
    /* The digest is the first, the leaf the last of the body. */
    bool good = cert_pack_read(pack, at, record, &body) && body.len >= pair->leaf_len &&
                body.len >= sizeof(pair->digest) &&
                memcmp(body.ptr, pair->digest, sizeof(pair->digest)) == 0;
    if (good)
        sts_buf_add(out, sts_str_sub(sts_buf_str(&body), body.len - pair->leaf_len, body.len));
    sts_buf_fini(&body);
    if (!good) {
        good = get_from_file(pair, out);
        if (cert_pack_fail(pack) || !good)
            cert_place_say_lost(pair, good);
    }
    cert_pack_unref(pack);
    return good;
}
