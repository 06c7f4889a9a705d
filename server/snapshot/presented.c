/* Which certificates a snapshot presents. One may be that of many tenants, and a tenant may have
 * two of them. */
#include <stdlib.h>

#include "server/base/memory.h"
#include "server/snapshot/parts.h"
#include "server/tls/cert_pair.h"

static int presented_by_address(const void *a, const void *b)
{
    const struct presented *x = a, *y = b;
    uintptr_t p = (uintptr_t)x->pair, q = (uintptr_t)y->pair;

    if (p == q) { /* tenants are one array, sorted by domain */
        p = (uintptr_t)x->tenant;
        q = (uintptr_t)y->tenant;
    }
    return (p > q) - (p < q);
}

static size_t presented_unite(struct presented *list, size_t count)
{
    size_t kept = 0;

    qsort(list, count, sizeof(*list), presented_by_address);
    for (size_t i = 0; i < count; i++) {
        if (kept && list[kept - 1].pair == list[i].pair)
            list[kept - 1].tenants++;
        else
            list[kept++] = list[i];
    }
    return kept;
}

/* The tenant of before is looked for from `*from` on; NULL: it was not served. */
static const struct tenant *served_before(const struct snapshot *previous, const struct tenant *t,
                                          size_t *from)
{
    const struct tenant *all = previous->tenants;

    while (*from < previous->tenant_count && sts_str_cmp(all[*from].domain, t->domain) < 0)
        ++*from;
    bool there = *from < previous->tenant_count && sts_str_eq(all[*from].domain, t->domain);
    return there && all[*from].state == TENANT_SERVED ? &all[*from] : NULL;
}

struct presented *snapshot_presented(const struct snapshot *s, const struct snapshot *previous,
                                     size_t *count)
{
    struct presented *list = sts_must(malloc(sts_mul_size(2 * s->tenant_count + 1, sizeof(*list))));
    size_t n = 0, from = 0;

    for (size_t i = 0; i < s->tenant_count; i++) {
        const struct tenant *t = &s->tenants[i];
        const struct tenant *old = previous ? served_before(previous, t, &from) : NULL;
        struct cert_identity is = t->identity,
                             was = old ? old->identity : (struct cert_identity){0};
        if (t->state != TENANT_SERVED || (previous && !old))
            continue;
        if (is.ec && is.ec != was.ec)
            list[n++] = (struct presented){is.ec, t, 1};
        if (is.rsa && is.rsa != was.rsa)
            list[n++] = (struct presented){is.rsa, t, 1};
    }
    *count = presented_unite(list, n);
    return list;
}

const struct tenant *presented_tenant(const struct snapshot *s, struct sts_str name)
{
    bool host = sts_str_starts(name, STS_STR(STS_HOST_LABEL));
    size_t dot = sts_str_find(name, '.', 0);

    if (!host && !sts_str_starts(name, STS_STR("*.")))
        return NULL;
    return tenant_among(s, s->tenant_count, sts_str_sub(name, dot + 1, name.len));
}

static bool presented_by_any(const struct snapshot *s, const struct cert_pair *pair)
{
    bool any = false;

    for (size_t i = 0; i < pair->name_count && !any; i++) {
        const struct tenant *t = presented_tenant(s, pair->names[i]);
        any = t && (t->identity.ec == pair || t->identity.rsa == pair);
    }
    return any;
}

void presented_drop_needless(struct build *b, struct sts_diag **at)
{
    const struct snapshot *s = b->snapshot;

    while (*at) {
        const struct cert_pair *gone = cert_store_gone(s->certificates, (*at)->where.source);
        if (!gone || presented_by_any(s, gone)) {
            at = &(*at)->next;
            continue;
        }
        *at = (*at)->next;
        b->diags->warnings--;
    }
    b->diags->tail = at;
}
