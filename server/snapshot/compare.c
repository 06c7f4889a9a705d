/* Two states side by side: what a build changes. Both are sorted by domain. */
#include "server/snapshot/parts.h"

static bool same_paths(const struct sts_path *a, size_t a_count, const struct sts_path *b,
                       size_t b_count)
{
    bool same = a_count == b_count;

    for (size_t i = 0; same && i < a_count; i++)
        same = sts_str_eq(a[i].path, b[i].path) && a[i].where.line == b[i].where.line &&
               a[i].where.column == b[i].where.column;
    return same;
}

bool snapshot_same_paths(const struct sts_settings *a, const struct sts_settings *b)
{
    return same_paths(a->include, a->include_count, b->include, b->include_count) &&
           same_paths(a->certificates, a->certificate_count, b->certificates, b->certificate_count);
}

static bool same_tenant(const struct tenant *a, const struct tenant *b)
{
    return sts_str_eq(a->domain, b->domain) && tenant_same_body(a, b) && a->state == b->state &&
           a->held == b->held && a->kept == b->kept && a->retiring == b->retiring &&
           a->identity.ec == b->identity.ec && a->identity.rsa == b->identity.rsa;
}

bool snapshot_same(const struct snapshot *a, const struct snapshot *b)
{
    bool same = a->source_count == b->source_count && a->tenant_count == b->tenant_count;

    /* An unchanged file is the same source, shared. */
    for (size_t i = 0; same && i < a->source_count; i++)
        same = a->sources[i].source == b->sources[i].source &&
               a->sources[i].kept == b->sources[i].kept &&
               file_id_same(a->sources[i].directory, b->sources[i].directory);
    for (size_t i = 0; same && i < a->tenant_count; i++)
        same = same_tenant(&a->tenants[i], &b->tenants[i]);
    return same;
}

/* What was served before, as one list whatever it comes from. */
struct before {
    const struct snapshot *previous;
    const struct served *served;
    size_t next;
};

static bool is_live(const struct tenant *t)
{
    return t->state != TENANT_REFUSED;
}

/* Its domain and body into `out`, with the tenant where there is one. */
static bool next_before(struct before *before, struct snapshot_change *out)
{
    const struct snapshot *p = before->previous;

    if (!p) {
        if (!before->served || before->next == before->served->count)
            return false;
        const struct served_tenant *t = &before->served->tenants[before->next++];
        *out = (struct snapshot_change){.domain = t->domain, .body = t->body};
        return true;
    }
    while (before->next < p->tenant_count && !is_live(&p->tenants[before->next]))
        before->next++;
    if (before->next == p->tenant_count)
        return false;
    const struct tenant *t = &p->tenants[before->next++];
    *out = (struct snapshot_change){.domain = t->domain, .body = tenant_body(t), .before = t};
    return true;
}

static void visit_added(const struct tenant *t, snapshot_visit_change *visit, void *data)
{
    const struct snapshot_change added = {.kind = CHANGE_ADDED, .domain = t->domain, .tenant = t};
    if (is_live(t))
        visit(data, &added);
}

/* `t`: the tenant now, or NULL. */
static void visit_other(struct snapshot_change *change, const struct tenant *t,
                        snapshot_visit_change *visit, void *data)
{
    bool same = t && (change->before ? tenant_same_body(change->before, t)
                                     : sts_str_eq(change->body, tenant_body(t)));

    change->kind = t ? CHANGE_CHANGED : CHANGE_REMOVED;
    change->tenant = t;
    if (!same)
        visit(data, change);
}

void snapshot_each_change(const struct snapshot *s, const struct snapshot *previous,
                          const struct served *served, snapshot_visit_change *visit, void *data)
{
    struct before before = {previous, served, 0};
    struct snapshot_change change;
    size_t k = 0;

    while (next_before(&before, &change)) {
        struct sts_str domain = change.domain;
        while (k < s->tenant_count && sts_str_cmp(s->tenants[k].domain, domain) < 0)
            visit_added(&s->tenants[k++], visit, data);
        bool there = k < s->tenant_count && sts_str_eq(s->tenants[k].domain, domain);
        visit_other(&change, there && is_live(&s->tenants[k]) ? &s->tenants[k] : NULL, visit, data);
        k += there;
    }
    while (k < s->tenant_count)
        visit_added(&s->tenants[k++], visit, data);
}
