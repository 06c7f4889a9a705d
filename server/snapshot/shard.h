/* Shard: what the tenants of one source came to, with what was said of them. The next snapshot
 * takes it over instead of resolving them again, while the source, the settings and the named
 * policies are the same. A source with a tenant that is refused or kept has no such shard: what
 * that one serves depends on more than files.
 *
 * For one thread. */
#ifndef MTASTS_SNAPSHOT_SHARD_H
#define MTASTS_SNAPSHOT_SHARD_H

#include "mtasts/config.h"
#include "server/snapshot/body.h"

struct shard_tenant {
    const struct body *body;              /* NULL: a declaration without a domain */
    const struct sts_named_policy *named; /* that it was resolved with, or NULL */
};

struct shard {
    unsigned refs;
    struct body_pool *pool;
    struct sts_diags *diags;     /* what is said of its file; packed, NULL: nothing */
    struct sts_diags *elsewhere; /* what is said of other files, where the policies are that its
                                    tenants name: others may say the same */
    const void *mark;            /* of who compares the shards of two builds */
    bool whole;                  /* every tenant is good, and so it may be used again */
    size_t count;
    struct shard_tenant tenants[]; /* as those of the source */
};

struct shard *shard_new(struct body_pool *pool, size_t count);
struct shard *shard_ref(struct shard *shard);
void shard_unref(struct shard *shard); /* NULL is fine */

#endif
