/* The objects of the pairs that were presented last, ready for the next handshake: at most so many
 * bytes of them. Keyed by the digest of the files, so that a reload empties nothing. Any thread. */
#ifndef MTASTS_TLS_CERT_CACHE_H
#define MTASTS_TLS_CERT_CACHE_H

#include "server/tls/cert_pair.h"

struct cert_cache;

struct cert_cache_counts {
    uint64_t hits, misses, evicted;
    size_t entries, bytes; /* held now; bytes are an estimate of what they take in all */
};

struct cert_cache *cert_cache_new(size_t budget);
void cert_cache_free(struct cert_cache *cache);
/* The objects of the pair, counted: they stay when they are evicted meanwhile. NULL when they
 * cannot be made. */
const struct cert_objects *cert_cache_get(struct cert_cache *cache, const struct cert_pair *pair);
void cert_cache_drop(const struct cert_objects *objects);
void cert_cache_count(struct cert_cache *cache, struct cert_cache_counts *out);

#endif
