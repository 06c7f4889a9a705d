/* A thousand tenants share a policy, and the policy has a warning: it is said once, at its place in
 * the policy, not a thousand times. Errors are never dropped, each tells of a tenant not served. */
#include <string.h>

#include "server/snapshot/parts.h"

/* What is looked for, and where it is counted. */
struct repeated_key {
    struct repeated *repeated;
    const struct sts_diag *diag;
};

static bool repeated_is_same(const void *value, const void *key)
{
    const struct repeated_key *wanted = key;
    const struct sts_diag *a = value, *b = wanted->diag;

    wanted->repeated->compared++;
    return a->where.line == b->where.line && a->where.column == b->where.column &&
           strcmp(a->code, b->code) == 0 && sts_str_eq(a->where.source, b->where.source) &&
           sts_str_eq(a->message, b->message);
}

/* Of all that is compared. Tenants of a file each say the same at the same place, and those of one
 * file say it at many places: whatever is left out here makes them meet in one slot. */
static uint64_t repeated_hash(const struct sts_diag *diag)
{
    uint64_t place = (uint64_t)diag->where.line << 32 | diag->where.column;
    uint64_t where = sts_hash_pair(sts_hash(diag->where.source), place);
    uint64_t what = sts_hash_pair(sts_hash(diag->message), sts_hash(sts_str_from(diag->code)));

    return sts_hash_pair(where, what);
}

static bool repeated_add(struct repeated *r, const struct sts_diag *diag)
{
    const struct repeated_key key = {r, diag};
    uint64_t hash = repeated_hash(diag);

    if (sts_table_find(&r->diags, hash, repeated_is_same, &key))
        return false;
    sts_table_add(&r->diags, hash, (void *)diag);
    return true;
}

void repeated_append(struct repeated *r, struct sts_diags *to, const struct sts_diags *from)
{
    for (const struct sts_diag *diag = from->first; diag; diag = diag->next)
        if (diag->severity == STS_ERROR || repeated_add(r, diag))
            sts_diags_add_copy(to, diag);
}

void repeated_note(struct repeated *r, const struct sts_diags *diags)
{
    for (const struct sts_diag *diag = diags->first; diag; diag = diag->next)
        if (diag->severity != STS_ERROR)
            repeated_add(r, diag);
}

void repeated_split(struct repeated *all, const struct sts_diags *said, struct sts_str file,
                    struct shard *shard)
{
    struct repeated repeated = {0};
    struct sts_diags own, other;

    if (!said->first)
        return;
    sts_diags_init(&own, said->arena);
    sts_diags_init(&other, said->arena);
    for (const struct sts_diag *diag = said->first; diag; diag = diag->next)
        if (diag->severity == STS_ERROR || repeated_add(&repeated, diag))
            sts_diags_add_copy(sts_str_eq(diag->where.source, file) ? &own : &other, diag);
    all->compared += repeated.compared;
    repeated_fini(&repeated);
    shard->diags = sts_diags_pack(&own);
    shard->elsewhere = sts_diags_pack(&other);
}

void repeated_fini(struct repeated *r)
{
    sts_table_fini(&r->diags);
    *r = (struct repeated){0};
}
