/* Body: a policy and its text, once for all tenants that have it, and for all snapshots.
 *
 * Counted: whoever gets one gives it back. For one thread; a snapshot that holds some of a pool
 * holds the pool. */
#ifndef MTASTS_SNAPSHOT_BODY_H
#define MTASTS_SNAPSHOT_BODY_H

#include "mtasts/policy.h"

struct body_pool;

struct body {
    struct sts_policy policy; /* its mx are its own */
    struct sts_str text;      /* as it is served */
};

struct body_pool *body_pool_new(void);
struct body_pool *body_pool_ref(struct body_pool *pool);
/* NULL is fine. The last one frees; every body must have been given back. */
void body_pool_unref(struct body_pool *pool);
size_t body_pool_count(const struct body_pool *pool);

/* The body of the policy (canonical); rendered when nobody has it yet. */
const struct body *body_take(struct body_pool *pool, const struct sts_policy *policy);
void body_give(struct body_pool *pool, const struct body *body);

#endif
