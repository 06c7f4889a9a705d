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

/* NULL: no file declares it. */
static const struct sts_tenant_decl *declaration(const struct snapshot *s, const struct tenant *t)
{
    return t->orphan ? NULL : &s->sources[t->file].source->tenants[t->nth];
}

struct sts_pos tenant_where(const struct snapshot *s, const struct tenant *t)
{
    const struct sts_tenant_decl *decl = declaration(s, t);
    return decl ? decl->where : (struct sts_pos){s->main_file, 0, 0};
}

const struct sts_str *tenant_reports(const struct snapshot *s, const struct tenant *t,
                                     size_t *count)
{
    const struct sts_tenant_decl *decl = declaration(s, t);
    bool own = decl && decl->has_tls_reports;

    *count = own ? decl->tls_report_count : s->settings.tls_report_count;
    return own ? decl->tls_reports : s->settings.tls_reports;
}
