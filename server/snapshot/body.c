#include "server/snapshot/body.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"

enum { FIRST_SIZE = 64 };

struct entry {
    struct body body; /* first: what others see */
    struct entry *next;
    unsigned long long hash;
    size_t refs;
    struct sts_str mx[]; /* then their bytes, then the text */
};

struct body_pool {
    unsigned refs;
    struct entry **slots; /* chains; power of two */
    size_t size, count;
};

struct body_pool *body_pool_new(void)
{
    struct body_pool *pool = sts_must(calloc(1, sizeof(*pool)));

    pool->refs = 1;
    pool->size = FIRST_SIZE;
    pool->slots = sts_must(calloc(pool->size, sizeof(*pool->slots)));
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
    assert(!pool->count);
    free(pool->slots);
    free(pool);
}

size_t body_pool_count(const struct body_pool *pool)
{
    return pool->count;
}

static unsigned long long hash_of(const struct sts_policy *policy)
{
    unsigned long long hash = policy->max_age * 31ull + policy->mode;

    for (size_t i = 0; i < policy->mx_count; i++)
        hash = hash * 31 + sts_str_hash(policy->mx[i]);
    return hash;
}

static bool same(const struct sts_policy *a, const struct sts_policy *b)
{
    bool equal = a->mode == b->mode && a->max_age == b->max_age && a->mx_count == b->mx_count;

    for (size_t i = 0; equal && i < a->mx_count; i++)
        equal = sts_str_eq(a->mx[i], b->mx[i]);
    return equal;
}

static void grow(struct body_pool *pool)
{
    size_t size = sts_mul_size(pool->size, 2);
    struct entry **larger = sts_must(calloc(size, sizeof(*larger)));

    for (size_t i = 0; i < pool->size; i++)
        for (struct entry *e = pool->slots[i], *next; e; e = next) {
            next = e->next;
            e->next = larger[e->hash & (size - 1)];
            larger[e->hash & (size - 1)] = e;
        }
    free(pool->slots);
    pool->slots = larger;
    pool->size = size;
}

static char *copy(char *to, struct sts_str from, struct sts_str *out)
{
    if (from.len)
        memcpy(to, from.ptr, from.len);
    *out = (struct sts_str){to, from.len};
    return to + from.len;
}

static struct entry *entry_new(const struct sts_policy *policy, unsigned long long hash)
{
    struct sts_buf text = {0};
    size_t count = policy->mx_count;

    sts_policy_render(&text, policy);
    size_t size = sts_add_size(sizeof(struct entry), sts_mul_size(count, sizeof(struct sts_str)));
    size = sts_add_size(size, text.len);
    for (size_t i = 0; i < count; i++)
        size = sts_add_size(size, policy->mx[i].len);
    struct entry *e = sts_must(calloc(1, size));
    char *at = (char *)(e->mx + count);
    for (size_t i = 0; i < count; i++)
        at = copy(at, policy->mx[i], &e->mx[i]);
    copy(at, sts_buf_str(&text), &e->body.text);
    e->body.policy = *policy;
    e->body.policy.mx = e->mx;
    e->hash = hash;
    sts_buf_fini(&text);
    return e;
}

const struct body *body_take(struct body_pool *pool, const struct sts_policy *policy)
{
    unsigned long long hash = hash_of(policy);
    struct entry *e = pool->slots[hash & (pool->size - 1)];

    while (e && !(e->hash == hash && same(&e->body.policy, policy)))
        e = e->next;
    if (!e) {
        if (pool->count >= pool->size)
            grow(pool);
        e = entry_new(policy, hash);
        e->next = pool->slots[hash & (pool->size - 1)];
        pool->slots[hash & (pool->size - 1)] = e;
        pool->count++;
    }
    e->refs++;
    return &e->body;
}

void body_give(struct body_pool *pool, const struct body *body)
{
    struct entry *e = (struct entry *)body, **at;

    if (--e->refs)
        return;
    at = &pool->slots[e->hash & (pool->size - 1)];
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    pool->count--;
    free(e);
}
