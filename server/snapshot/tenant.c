/* What a tenant is, as far as it is not kept for each: said by its source, or one for many. */
#include <string.h>

#include "server/snapshot/snapshot.h"

_Static_assert(sizeof(struct tenant) <= 56, "there may be a million of them, twice");

struct sts_str tenant_host(const struct tenant *t)
{
    static const size_t label = sizeof(STS_HOST_LABEL) - 1;
    return (struct sts_str){t->domain.ptr - label, t->domain.len + label};
}

struct sts_str tenant_body(const struct tenant *t)
{
    return t->body ? t->body->text : (struct sts_str){0};
}

bool tenant_same_body(const struct tenant *a, const struct tenant *b)
{
    return a->body == b->body || sts_str_eq(tenant_body(a), tenant_body(b));
}

const struct sts_policy *tenant_policy(const struct tenant *t)
{
    static const struct sts_policy none;
    return t->body ? &t->body->policy : &none;
}

struct sts_pos tenant_where(const struct snapshot *s, const struct tenant *t)
{
    if (t->orphan)
        return (struct sts_pos){s->main_file, 0, 0};
    const struct sts_source *source = s->sources[t->file].source;
    return sts_source_pos(source, source->tenants[t->nth].where);
}

const struct sts_str *tenant_reports(const struct snapshot *s, const struct tenant *t,
                                     size_t *count)
{
    const struct sts_tenant_terms *terms =
        t->orphan ? NULL : s->sources[t->file].source->tenants[t->nth].terms;
    bool own = terms && terms->has_tls_reports;

    *count = own ? terms->tls_report_count : s->settings.tls_report_count;
    return own ? terms->tls_reports : s->settings.tls_reports;
}
