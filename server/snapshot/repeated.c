/* A thousand tenants share a policy, and the policy has a warning: it is said once, at its place in
 * the policy, not a thousand times. Errors are never dropped, each tells of a tenant not served. */
#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/snapshot/parts.h"

enum { FIRST_SIZE = 64 };

static bool same(const struct sts_diag *a, const struct sts_diag *b)
{
    return a->where.line == b->where.line && a->where.column == b->where.column &&
           strcmp(a->code, b->code) == 0 && sts_str_eq(a->where.source, b->where.source) &&
           sts_str_eq(a->message, b->message);
}

static unsigned long long repeated_mix(unsigned long long hash, unsigned long long value)
{
    hash = (hash ^ value) * 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 32;
}

/* Of all that `same` compares. Tenants of a file each say the same at the same place, and those of
 * one file say it at many places: whatever is left out here makes them meet in one slot. */
static unsigned long long repeated_hash(const struct sts_diag *diag)
{
    unsigned long long hash = sts_str_hash(diag->message);

    hash = repeated_mix(hash, sts_str_hash(sts_str_from(diag->code)));
    hash = repeated_mix(hash, sts_str_hash(diag->where.source));
    return repeated_mix(hash, (unsigned long long)diag->where.line << 32 | diag->where.column);
}

/* The slot of the like of `diag`, or the empty one where it belongs. */
static const struct sts_diag **slot(struct repeated *r, const struct sts_diag *diag)
{
    size_t i = (size_t)repeated_hash(diag) & (r->size - 1);

    for (; r->slots[i]; i = (i + 1) & (r->size - 1)) {
        r->compared++;
        if (same(r->slots[i], diag))
            break;
    }
    return &r->slots[i];
}

static void grow(struct repeated *r)
{
    struct repeated larger = {
        .size = r->size ? r->size * 2 : FIRST_SIZE, .count = r->count, .compared = r->compared};

    larger.slots = sts_must(calloc(larger.size, sizeof(*larger.slots)));
    for (size_t i = 0; i < r->size; i++)
        if (r->slots[i])
            *slot(&larger, r->slots[i]) = r->slots[i];
    free(r->slots);
    *r = larger;
}

static bool said_before(struct repeated *r, const struct sts_diag *diag)
{
    if (r->count * 2 >= r->size)
        grow(r);
    const struct sts_diag **found = slot(r, diag);
    if (*found)
        return true;
    *found = diag;
    r->count++;
    return false;
}

void repeated_append(struct repeated *r, struct sts_diags *to, const struct sts_diags *from)
{
    for (const struct sts_diag *diag = from->first; diag; diag = diag->next) {
        struct sts_diag one = *diag;
        if (diag->severity != STS_ERROR && said_before(r, diag))
            continue;
        one.next = NULL;
        sts_diags_append(to, &(struct sts_diags){.first = &one});
    }
}

void repeated_fini(struct repeated *r)
{
    free(r->slots);
    *r = (struct repeated){0};
}
