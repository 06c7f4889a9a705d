#include "server/snapshot/shard.h"

#include <stdlib.h>

#include "server/base/memory.h"

struct shard *shard_new(struct body_pool *pool, size_t count)
{
    size_t tenants = sts_mul_size(count, sizeof(struct shard_tenant));
    struct shard *shard = sts_must(calloc(1, sts_add_size(sizeof(*shard), tenants)));

    shard->refs = 1;
    shard->pool = body_pool_ref(pool);
    shard->count = count;
    return shard;
}

struct shard *shard_ref(struct shard *shard)
{
    shard->refs++;
    return shard;
}

void shard_unref(struct shard *shard)
{
    if (!shard || --shard->refs)
        return;
    for (size_t i = 0; i < shard->count; i++)
        if (shard->tenants[i].body)
            body_give(shard->pool, shard->tenants[i].body);
    body_pool_unref(shard->pool);
    free(shard->diags);
    free(shard->elsewhere);
    free(shard);
}
