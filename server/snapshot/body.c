#include "server/snapshot/body.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/base/table.h"

struct body_entry {
    struct body body; /* first: what others see */
    uint64_t hash;
    size_t refs;
    struct sts_str mx[]; /* then their bytes, then the text */
};

struct body_pool {
    unsigned refs;
    struct sts_table entries; /* by policy */
};

struct body_pool *body_pool_new(void)
{
    struct body_pool *pool = sts_must(calloc(1, sizeof(*pool)));

    pool->refs = 1;
    return pool;
}

struct body_pool *body_pool_ref(struct body_pool *pool)
{
    pool->refs++;
    return pool;
}

void body_pool_unref(struct body_pool *pool)
{
    if (!pool || --pool->refs)
        return;
    assert(!pool->entries.count);
    sts_table_fini(&pool->entries);
    free(pool);
}

size_t body_pool_count(const struct body_pool *pool)
{
    return pool->entries.count;
}

static uint64_t policy_hash(const struct sts_policy *policy)
{
    uint64_t hash = sts_hash_pair(policy->max_age, policy->mode);

    for (size_t i = 0; i < policy->mx_count; i++)
        hash = sts_hash_pair(hash, sts_hash(policy->mx[i]));
    return hash;
}

static bool body_has_policy(const void *entry, const void *policy)
{
    const struct sts_policy *a = &((const struct body_entry *)entry)->body.policy, *b = policy;
    bool equal = a->mode == b->mode && a->max_age == b->max_age && a->mx_count == b->mx_count;

    for (size_t i = 0; equal && i < a->mx_count; i++)
        equal = sts_str_eq(a->mx[i], b->mx[i]);
    return equal;
}

static char *body_copy(char *to, struct sts_str from, struct sts_str *out)
{
    if (from.len)
        memcpy(to, from.ptr, from.len);
    *out = (struct sts_str){to, from.len};
    return to + from.len;
}

static struct body_entry *body_entry_new(const struct sts_policy *policy, uint64_t hash)
{
    struct sts_buf text = {0};
    size_t count = policy->mx_count;

    sts_policy_render(&text, policy);
    size_t size =
        sts_add_size(sizeof(struct body_entry), sts_mul_size(count, sizeof(struct sts_str)));
    size = sts_add_size(size, text.len);
    for (size_t i = 0; i < count; i++)
        size = sts_add_size(size, policy->mx[i].len);
    struct body_entry *e = sts_must(calloc(1, size));
    char *at = (char *)(e->mx + count);
    for (size_t i = 0; i < count; i++)
        at = body_copy(at, policy->mx[i], &e->mx[i]);
    body_copy(at, sts_buf_str(&text), &e->body.text);
    e->body.policy = *policy;
    e->body.policy.mx = e->mx;
    e->hash = hash;
    sts_buf_fini(&text);
    return e;
}

const struct body *body_take(struct body_pool *pool, const struct sts_policy *policy)
{
    uint64_t hash = policy_hash(policy);
    struct body_entry *e = sts_table_find(&pool->entries, hash, body_has_policy, policy);

    if (!e) {
        e = body_entry_new(policy, hash);
        sts_table_add(&pool->entries, hash, e);
    }
    e->refs++;
    return &e->body;
}

void body_give(struct body_pool *pool, const struct body *body)
{
    struct body_entry *e = (struct body_entry *)body;

    if (--e->refs)
        return;
    sts_table_remove(&pool->entries, e->hash, body_has_policy, &body->policy);
    free(e);
}
