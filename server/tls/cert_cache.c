#include "server/tls/cert_cache.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"

enum {
    SHARDS = 16,   /* a lock is held for less than a microsecond */
    BUCKETS = 256, /* of a shard, at first */
};

struct entry {
    struct cert_objects objects; /* first: it stands for the entry outside */
    atomic_uint refs;
    struct entry *next; /* of its bucket */
    struct entry *newer, *older;
    unsigned char digest[32];
    size_t cost;
};

struct shard {
    pthread_mutex_t lock;
    struct entry **buckets;
    size_t size; /* of buckets, a power of two */
    struct entry *newest, *oldest;
    struct cert_cache_counts counts;
};

struct cert_cache {
    size_t budget; /* of one shard */
    struct shard shards[SHARDS];
};

/* Measured with OpenSSL 3.0 on full caches: X509 and key, what the key adds at its first signature,
 * and what the heap loses between them. */
static size_t cost_of(const struct cert_pair *pair)
{
    size_t objects = pair->info.key_type == CERT_RSA ? 9500 : 7000;
    return objects + sizeof(struct entry) + 3 * (size_t)pair->leaf_len;
}

struct cert_cache *cert_cache_new(size_t budget)
{
    struct cert_cache *cache = sts_must(calloc(1, sizeof(*cache)));

    cache->budget = budget / SHARDS;
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &cache->shards[i];
        pthread_mutex_init(&shard->lock, NULL);
        shard->size = BUCKETS;
        shard->buckets = sts_must(calloc(BUCKETS, sizeof(struct entry *)));
    }
    return cache;
}

static void entry_unref(struct entry *entry)
{
    if (atomic_fetch_sub_explicit(&entry->refs, 1, memory_order_acq_rel) != 1)
        return;
    cert_objects_drop(&entry->objects);
    free(entry);
}

void cert_cache_free(struct cert_cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &cache->shards[i];
        for (struct entry *entry = shard->newest, *older; entry; entry = older) {
            older = entry->older;
            entry_unref(entry);
        }
        free(shard->buckets);
        pthread_mutex_destroy(&shard->lock);
    }
    free(cache);
}

/* A digest is random already. */
static struct shard *shard_of(struct cert_cache *cache, const struct cert_pair *pair)
{
    return &cache->shards[pair->digest[0] % SHARDS];
}

static struct entry **bucket_of(const struct shard *shard, const unsigned char digest[32])
{
    size_t hash;

    memcpy(&hash, digest + 1, sizeof(hash));
    return &shard->buckets[hash & (shard->size - 1)];
}

static struct entry *cert_cache_find(const struct shard *shard, const unsigned char digest[32])
{
    struct entry *entry = *bucket_of(shard, digest);

    while (entry && memcmp(entry->digest, digest, sizeof(entry->digest)) != 0)
        entry = entry->next;
    return entry;
}

static void unlink_age(struct shard *shard, struct entry *entry)
{
    *(entry->newer ? &entry->newer->older : &shard->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &shard->oldest) = entry->newer;
}

static void make_newest(struct shard *shard, struct entry *entry)
{
    entry->newer = NULL;
    entry->older = shard->newest;
    *(shard->newest ? &shard->newest->newer : &shard->oldest) = entry;
    shard->newest = entry;
}

/* The entry of the pair, counted, or NULL. */
static struct entry *cert_cache_take(struct shard *shard, const struct cert_pair *pair)
{
    pthread_mutex_lock(&shard->lock);
    struct entry *entry = cert_cache_find(shard, pair->digest);
    if (entry) {
        atomic_fetch_add_explicit(&entry->refs, 1, memory_order_relaxed);
        unlink_age(shard, entry);
        make_newest(shard, entry);
        shard->counts.hits++;
    } else {
        shard->counts.misses++;
    }
    pthread_mutex_unlock(&shard->lock);
    return entry;
}

static void cert_cache_grow(struct shard *shard)
{
    struct entry **old = shard->buckets;
    size_t size = shard->size;

    shard->size = sts_mul_size(size, 2);
    shard->buckets = sts_must(calloc(shard->size, sizeof(struct entry *)));
    for (size_t i = 0; i < size; i++) {
        for (struct entry *entry = old[i], *next; entry; entry = next) {
            struct entry **bucket = bucket_of(shard, entry->digest);
            next = entry->next;
            entry->next = *bucket;
            *bucket = entry;
        }
    }
    free(old);
}

static void cert_cache_insert(struct shard *shard, struct entry *entry)
{
    if (shard->counts.entries >= shard->size)
        cert_cache_grow(shard);
    struct entry **bucket = bucket_of(shard, entry->digest);
    entry->next = *bucket;
    *bucket = entry;
    make_newest(shard, entry);
    shard->counts.entries++;
    shard->counts.bytes += entry->cost;
}

static void cert_cache_detach(struct shard *shard, struct entry *entry)
{
    struct entry **at = bucket_of(shard, entry->digest);

    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    unlink_age(shard, entry);
    shard->counts.entries--;
    shard->counts.bytes -= entry->cost;
    shard->counts.evicted++;
}

/* Puts it in unless another thread was faster, and lets go of what does not fit any more: that
 * which was asked for longest ago, or the new one itself when it alone is too much. */
static void cert_cache_put(struct cert_cache *cache, struct shard *shard, struct entry *entry)
{
    struct entry *gone = NULL;

    pthread_mutex_lock(&shard->lock);
    if (!cert_cache_find(shard, entry->digest)) {
        atomic_fetch_add_explicit(&entry->refs, 1, memory_order_relaxed);
        cert_cache_insert(shard, entry);
    }
    for (struct entry *oldest; (oldest = shard->oldest) && shard->counts.bytes > cache->budget;) {
        cert_cache_detach(shard, oldest);
        oldest->next = gone;
        gone = oldest;
    }
    pthread_mutex_unlock(&shard->lock);
    for (struct entry *next; gone; gone = next) {
        next = gone->next;
        entry_unref(gone);
    }
}

const struct cert_objects *cert_cache_get(struct cert_cache *cache, const struct cert_pair *pair)
{
    struct shard *shard = shard_of(cache, pair);
    struct entry *entry = cert_cache_take(shard, pair);
    struct cert_objects made;

    if (entry)
        return &entry->objects;
    if (!cert_pair_decode(pair, &made))
        return NULL;
    entry = sts_must(calloc(1, sizeof(*entry)));
    atomic_init(&entry->refs, 1);
    entry->objects = made;
    memcpy(entry->digest, pair->digest, sizeof(entry->digest));
    entry->cost = cost_of(pair);
    cert_cache_put(cache, shard, entry);
    return &entry->objects; /* the caller's reference. NOLINT(clang-analyzer-unix.Malloc) */
}

void cert_cache_drop(const struct cert_objects *objects)
{
    entry_unref((struct entry *)objects);
}

void cert_cache_count(struct cert_cache *cache, struct cert_cache_counts *out)
{
    *out = (struct cert_cache_counts){0};
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &cache->shards[i];
        pthread_mutex_lock(&shard->lock);
        out->hits += shard->counts.hits;
        out->misses += shard->counts.misses;
        out->evicted += shard->counts.evicted;
        out->entries += shard->counts.entries;
        out->bytes += shard->counts.bytes;
        pthread_mutex_unlock(&shard->lock);
    }
}
