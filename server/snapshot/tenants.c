/* Tenants of all sources: named policies found, resolved, rendered, certified. */
#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/snapshot/parts.h"
#include "server/sys/file.h"

static int by_name(const void *a, const void *b)
{
    const struct sts_named_policy *x = *(const struct sts_named_policy *const *)a;
    const struct sts_named_policy *y = *(const struct sts_named_policy *const *)b;
    return sts_str_cmp(x->name, y->name);
}

static void collect_policies(struct build *b)
{
    const struct snapshot *s = b->snapshot;
    size_t total = 0, kept = 0;

    for (size_t i = 0; i < s->source_count; i++)
        total += s->sources[i].source->policy_count;
    b->policies = STS_ARRAY(s->arena, total, const struct sts_named_policy *);
    for (size_t i = 0; i < s->source_count; i++)
        for (size_t j = 0; j < s->sources[i].source->policy_count; j++)
            b->policies[kept++] = &s->sources[i].source->policies[j];
    qsort(b->policies, total, sizeof(*b->policies), by_name);
    b->policy_count = total;
    b->policy_names = STS_ARRAY(s->arena, total + 1, const char *);
    for (size_t i = 0; i < total; i++)
        b->policy_names[i] = b->policies[i]->name.ptr; /* from an arena, so NUL-terminated */
    for (size_t i = 1; i < total; i++) {
        if (!sts_str_eq(b->policies[i - 1]->name, b->policies[i]->name))
            continue;
        struct sts_diag *diag =
            sts_diag_add(b->diags, STS_ERROR, "policy-duplicate", b->policies[i]->where,
                         "the policy \"%.*s\" is defined twice", STS_ARG(b->policies[i]->name));
        diag->related = b->policies[i - 1]->where;
        sts_diag_help(b->diags, diag, "rename or remove one of the two");
    }
}

static bool belongs(const struct sts_source *source, const struct sts_named_policy *policy)
{
    uintptr_t from = (uintptr_t)source->policies, at = (uintptr_t)policy;
    return at >= from && at < from + source->policy_count * sizeof(*policy);
}

/* Of several policies of one name the first counts, so that a file cannot take away another's. But
 * a tenant whose own file has one of the others most likely means that one: neither is right for
 * it, and it is refused as with a policy that has errors. */
static const struct sts_named_policy *
find_policy(const struct build *b, const struct sts_source *source, struct sts_str name)
{
    const struct sts_named_policy key = {.name = name}, *pointer = &key;
    const struct sts_named_policy **end = b->policies + b->policy_count;

    if (!name.len || !b->policy_count)
        return NULL;
    const struct sts_named_policy **found =
        bsearch(&pointer, b->policies, b->policy_count, sizeof(*b->policies), by_name);
    if (!found)
        return NULL;
    while (found > b->policies && sts_str_eq(found[-1]->name, name))
        found--;
    for (const struct sts_named_policy **other = found + 1;
         other < end && sts_str_eq((*other)->name, name); other++) {
        if (!belongs(source, *other))
            continue;
        struct sts_named_policy *lost = STS_NEW(b->snapshot->arena, struct sts_named_policy);
        *lost = **other;
        lost->broken = true;
        return lost;
    }
    return *found;
}

/* `report` is what resolving said about a name that no file defines. */
static void suggest_policy(struct build *b, struct sts_str name, struct sts_diag *report)
{
    /* Each one looks at all names; after a hundred, one more is of no help. */
    const char *near = b->suggestions++ < 100 ? sts_suggest(name, b->policy_names) : NULL;
    if (near && report)
        sts_diag_help(b->diags, report, "did you mean %s?", near);
}

static void build_tenant(struct build *b, const struct snapshot_source *from,
                         const struct sts_tenant_decl *decl, struct tenant *t)
{
    const struct sts_source *source = from->source;
    struct snapshot *s = b->snapshot;
    struct sts_buf body = {0};

    t->domain = decl->domain;
    t->host = sts_arena_printf(s->arena, "mta-sts.%.*s", STS_ARG(decl->domain));
    t->where = decl->where;
    t->tls_reports = decl->has_tls_reports ? decl->tls_reports : s->settings.tls_reports;
    t->tls_report_count =
        decl->has_tls_reports ? decl->tls_report_count : s->settings.tls_report_count;
    t->state = TENANT_REFUSED;
    t->retiring = decl->retire;
    /* Of a file with an error outside its tenants nothing is used; its hosts stay known. */
    if (source->broken) {
        tenant_keep(b, t, KEPT_BROKEN);
        return;
    }
    const struct sts_named_policy *named = find_policy(b, source, decl->policy_name);
    struct sts_diag **report = b->diags->tail;
    bool good = sts_tenant_resolve(decl, named, &s->settings, b->diags, &t->policy);
    if (!named && decl->policy_name.len)
        suggest_policy(b, decl->policy_name, *report);
    if (named)
        repeated_drop(&b->repeated, b->diags, report);
    if (!good) {
        tenant_keep(b, t, KEPT_BROKEN);
        return;
    }
    t->state = TENANT_SERVED;
    t->kept = from->kept;
    sts_policy_render(&body, &t->policy);
    t->body = sts_arena_dup(s->arena, sts_buf_str(&body));
    sts_buf_fini(&body);
}

static int by_domain(const void *a, const void *b)
{
    return sts_str_cmp(((const struct tenant *)a)->domain, ((const struct tenant *)b)->domain);
}

/* One domain in two files: neither can be told to be the right one. What was served before counts,
 * so that a new file takes no tenant over; else the first, as files were read in order. */
static bool counts_before(const struct build *b, const struct tenant *a, const struct tenant *other)
{
    bool served = tenant_is_as_before(b, a), other_served = tenant_is_as_before(b, other);

    if (served != other_served)
        return served;
    if ((a->kept == KEPT_NOT) != (other->kept == KEPT_NOT))
        return a->kept == KEPT_NOT;
    return a->order < other->order;
}

static void drop_duplicates(struct build *b)
{
    struct snapshot *s = b->snapshot;
    size_t kept = 0;

    for (size_t i = 0; i < s->tenant_count; i++) {
        struct tenant *t = &s->tenants[i];
        if (kept == 0 || !sts_str_eq(s->tenants[kept - 1].domain, t->domain)) {
            s->tenants[kept++] = *t;
            continue;
        }
        struct tenant *first = &s->tenants[kept - 1];
        if (counts_before(b, t, first)) {
            struct tenant swap = *first;
            *first = *t;
            *t = swap;
        }
        struct sts_diag *diag = sts_diag_add(b->diags, STS_ERROR, "tenant-duplicate", t->where,
                                             "the tenant %.*s is there twice", STS_ARG(t->domain));
        diag->tenant = t->domain;
        diag->related = first->where;
        sts_diag_help(b->diags, diag, "remove one of the two; %s counts",
                      first->order < t->order ? "the first one" : "the one that was served before");
    }
    s->tenant_count = kept;
}

static void sort(struct snapshot *s)
{
    if (s->tenant_count)
        qsort(s->tenants, s->tenant_count, sizeof(*s->tenants), by_domain);
}

static int to_domain(const void *key, const void *tenant)
{
    return sts_str_cmp(*(const struct sts_str *)key, ((const struct tenant *)tenant)->domain);
}

const struct tenant *tenant_among(const struct snapshot *s, size_t count, struct sts_str domain)
{
    return count ? bsearch(&domain, s->tenants, count, sizeof(*s->tenants), to_domain) : NULL;
}

void tenants_build(struct build *b)
{
    struct snapshot *s = b->snapshot;
    size_t total = missing_count(b);

    collect_policies(b);
    for (size_t i = 0; i < s->source_count; i++)
        total += s->sources[i].source->tenant_count;
    s->tenants = STS_ARRAY(s->arena, total, struct tenant);
    for (size_t i = 0; i < s->source_count; i++) {
        const struct sts_source *source = s->sources[i].source;
        for (size_t j = 0; j < source->tenant_count; j++) {
            if (!source->tenants[j].domain.len)
                continue;
            s->tenants[s->tenant_count].order = s->tenant_count;
            build_tenant(b, &s->sources[i], &source->tenants[j], &s->tenants[s->tenant_count++]);
        }
    }
    sort(s);
    drop_duplicates(b);
    tenants_keep_missing(b);
    sort(s);
    repeated_fini(&b->repeated);
}

static bool any_tls(const struct sts_settings *settings)
{
    for (size_t i = 0; i < settings->listen_count; i++)
        if (settings->listen[i].tls)
            return true;
    return false;
}

static bool is_kept(const struct cert_store *store, const struct cert_identity *id)
{
    return (id->ec && cert_store_is_kept(store, id->ec)) ||
           (id->rsa && cert_store_is_kept(store, id->rsa));
}

static void certify(struct build *b, struct tenant *t)
{
    struct snapshot *s = b->snapshot;

    if (cert_store_find(s->certificates, t->host, &t->identity)) {
        s->incomplete |= is_kept(s->certificates, &t->identity);
        return;
    }
    if (t->state != TENANT_SERVED)
        return;
    t->state = TENANT_NO_CERTIFICATE;
    s->incomplete |= cert_store_may_mend(s->certificates);
    t->held = tenant_was_current(b, t);
    struct sts_str why = cert_store_why_not(s->certificates, s->arena, t->host);
    struct sts_diag *diag =
        sts_diag_add(b->diags, STS_ERROR, "tenant-no-certificate", t->where,
                     "%.*s has no usable certificate: %.*s", STS_ARG(t->host), STS_ARG(why));
    diag->tenant = t->domain;
    sts_diag_help(b->diags, diag,
                  "put a certificate for %.*s below one of certificates:", STS_ARG(t->host));
}

struct sts_str snapshot_certificate_index(const struct snapshot *s, struct sts_arena *arena)
{
    struct sts_str ledger = file_resolve(arena, s->base_dir, s->settings.ledger.path);
    return sts_arena_printf(arena, "%.*s.certs", STS_ARG(ledger));
}

void tenants_certify(struct build *b)
{
    struct snapshot *s = b->snapshot;
    const struct snapshot *previous = b->input->previous;

    if (!b->input->with_certificates || !any_tls(&s->settings))
        return;
    s->certificates =
        cert_store_load(s->settings.certificates, s->settings.certificate_count, s->base_dir,
                        snapshot_certificate_index(s, s->arena).ptr,
                        previous ? previous->certificates : NULL, b->input->now, b->diags);
    for (size_t i = 0; i < s->tenant_count; i++)
        certify(b, &s->tenants[i]);
}
