/* Two snapshots side by side. */
#include "server/snapshot/parts.h"

static bool same_tenant(const struct tenant *a, const struct tenant *b)
{
    return sts_str_eq(a->domain, b->domain) && sts_str_eq(a->body, b->body) &&
           a->state == b->state && a->kept == b->kept && a->retiring == b->retiring &&
           a->identity.ec == b->identity.ec && a->identity.rsa == b->identity.rsa;
}

bool snapshot_same(const struct snapshot *a, const struct snapshot *b)
{
    bool same = a->source_count == b->source_count && a->tenant_count == b->tenant_count;

    /* An unchanged file is the same source, shared. */
    for (size_t i = 0; same && i < a->source_count; i++)
        same = a->sources[i].source == b->sources[i].source;
    for (size_t i = 0; same && i < a->tenant_count; i++)
        same = same_tenant(&a->tenants[i], &b->tenants[i]);
    return same;
}
