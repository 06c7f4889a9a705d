/* policies and tenants. */
#include <stdlib.h>
#include <string.h>

#include "mtasts/domain.h"
#include "server/base/memory.h"
#include "server/config/schema.h"

enum {
    /* A file of nothing but mistakes must not fill the memory with messages. */
    ERRORS_MAX = 10000
};

/* Words that people write for a mode and that no spelling correction finds. */
static const char *mode_meant(struct sts_str text)
{
    static const char *const words[][2] = {
        {"off", "none"},          {"no", "none"},         {"false", "none"},
        {"disabled", "none"},     {"null", "none"},       {"~", "none"},
        {"on", "enforce"},        {"yes", "enforce"},     {"true", "enforce"},
        {"strict", "enforce"},    {"reject", "enforce"},  {"report", "testing"},
        {"reporting", "testing"}, {"monitor", "testing"},
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (sts_str_eq_nocase(text, sts_str_from(words[i][0])))
            return words[i][1];
    return sts_suggest(text, sts_mode_names);
}

void bind_mode(struct binder *b, const struct yaml_node *node)
{
    struct sts_str text;

    b->decl->mode_where = node->where;
    b->decl->has_mode = true;
    if (!value_text(b, node, &text) || sts_mode_from(text, &b->decl->policy.mode))
        return;
    const char *near = mode_meant(text);
    struct sts_diag *diag =
        value_error(b, node, "policy-mode", "is not a mode", "write enforce, testing or none");
    if (near)
        sts_diag_help(b->diags, diag, "did you mean %s? (modes: enforce, testing, none)", near);
}

struct placed {
    struct sts_str mx;
    struct sts_pos where;
};

static int by_mx(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    int order = sts_str_cmp(x->mx, y->mx);
    if (order)
        return order;
    if (x->where.line != y->where.line)
        return x->where.line < y->where.line ? -1 : 1;
    return (x->where.column > y->where.column) - (x->where.column < y->where.column);
}

static bool same_list(const struct mx_list *a, const struct sts_str *mx, size_t count)
{
    bool same = a->mx && a->count == count;

    for (size_t i = 0; same && i < count; i++)
        same = sts_str_eq(a->mx[i], mx[i]);
    return same;
}

/* The list, in the arena of the source: once for those that have the same. */
static const struct sts_str *share_mx(struct binder *b, const struct sts_str *mx, size_t count)
{
    unsigned long long hash = count;

    for (size_t i = 0; i < count; i++)
        hash = hash * 31 + sts_str_hash(mx[i]);
    struct mx_list *shared = &b->shared_mx[hash % SHARED_SLOTS];
    if (same_list(shared, mx, count))
        return shared->mx;
    struct sts_str *copy = STS_ARRAY(b->arena, count, struct sts_str);
    for (size_t i = 0; i < count; i++)
        copy[i] = sts_arena_dup(b->arena, mx[i]);
    *shared = (struct mx_list){copy, count};
    return copy;
}

/* Canonical already here, once for all tenants that share the list. Of repeated ones the first
 * stays. */
static void keep_mx(struct binder *b, struct placed *list, size_t count)
{
    struct sts_str *mx = STS_ARRAY(b->scratch, count, struct sts_str);
    struct sts_pos *where = STS_ARRAY(b->arena, count, struct sts_pos);
    size_t kept = 0;

    if (count)
        qsort(list, count, sizeof(*list), by_mx);
    for (size_t i = 0; i < count; i++) {
        if (kept && sts_str_eq(mx[kept - 1], list[i].mx)) {
            struct sts_diag *diag =
                sts_diag_add(b->diags, STS_WARNING, "mx-repeated", list[i].where,
                             "%.*s is there twice", STS_ARG(list[i].mx));
            diag->related = where[kept - 1];
            sts_diag_help(b->diags, diag, "remove one of the two");
            continue;
        }
        mx[kept] = list[i].mx;
        where[kept++] = list[i].where;
    }
    b->decl->policy.mx = share_mx(b, mx, kept);
    b->decl->policy.mx_count = kept;
    b->decl->mx_where = where;
}

void bind_mx(struct binder *b, const struct yaml_node *node)
{
    const struct yaml_node *items;
    size_t n, count = 0;

    b->decl->has_mx = true;
    if (!value_list(b, node, &items, &n))
        return;
    struct placed *list = sts_must(malloc(sts_mul_size(n + 1, sizeof(*list))));
    for (size_t i = 0; i < n; i++) {
        struct sts_str text;
        if (!value_text(b, &items[i], &text) || !value_is_one(b, &items[i], ",") ||
            !sts_mx_parse(b->scratch, text, STS_DOMAIN_CONFIG, items[i].where, b->diags,
                          &list[count].mx))
            continue;
        list[count++].where = items[i].where;
    }
    keep_mx(b, list, count);
    free(list);
}

void bind_max_age(struct binder *b, const struct yaml_node *node)
{
    b->decl->max_age_where = node->where;
    b->decl->has_max_age = true;
    value_seconds(b, node, 0, UINT32_MAX, &b->decl->policy.max_age);
}

static struct sts_place place_of(struct sts_pos where)
{
    return (struct sts_place){where.line, where.column};
}

/* The name stays in the tree; keep_terms copies it. */
void bind_policy_name(struct binder *b, const struct yaml_node *node)
{
    b->tenant->policy_where = place_of(node->where);
    value_text(b, node, &b->terms.policy_name);
}

void bind_tenant_reports(struct binder *b, const struct yaml_node *node)
{
    b->terms.has_tls_reports = true;
    value_reports(b, node, &b->terms.tls_reports, &b->terms.tls_report_count);
}

void bind_retire(struct binder *b, const struct yaml_node *node)
{
    value_bool(b, node, &b->tenant->retire);
}

static const char policy_help[] = "write {mode: testing, mx: [mx1.example.org]}";
static const char tenant_help[] =
    "write {mode: testing, mx: [mx1.example.org]}, or {policy: NAME} with a name from policies:";

static void check_all_read(struct binder *b, const struct yaml_node *map, size_t count)
{
    if (count == map->count)
        return;
    sts_diag_add(b->diags, STS_ERROR, "config-too-many-errors", map->pairs[count].where,
                 "too many errors; the rest of the file was not read");
    b->source->broken = true;
}

void bind_policies(struct binder *b, const struct yaml_node *node)
{
    if (!value_is_map_of(b, node,
                         "write a line below for each, such as NAME: {mode: testing, mx: [...]}")) {
        b->source->broken = true;
        return;
    }
    struct sts_named_policy *policies = STS_ARRAY(b->arena, node->count, struct sts_named_policy);
    size_t count = 0;
    for (size_t i = 0; i < node->count && b->diags->errors < ERRORS_MAX; i++) {
        size_t errors = b->diags->errors;
        count++;
        policies[i].name = sts_arena_dup(b->arena, node->pairs[i].key);
        policies[i].where = node->pairs[i].where;
        b->decl = &policies[i].decl;
        if (value_is_map_of(b, &node->items[i], policy_help))
            schema_bind_map(b, &node->items[i], "policies.*");
        policies[i].broken = b->diags->errors != errors;
    }
    check_all_read(b, node, count);
    b->source->policies = policies;
    b->source->policy_count = count;
}

static bool refuse_key(struct binder *b, const struct yaml_pair *pair, const char *code,
                       const char *what, const char *help, struct sts_str domain)
{
    struct sts_diag *diag = sts_diag_add(b->diags, STS_ERROR, code, pair->where, "\"%.*s\" %s",
                                         STS_ARG(sts_str_sub(pair->key, 0, 300)), what);
    sts_diag_help(b->diags, diag, "%s%.*s", help, STS_ARG(domain));
    return false;
}

static bool tenant_domain(struct binder *b, const struct yaml_pair *pair, struct sts_str *out)
{
    static const struct sts_str prefixes[] = {
        {"mta-sts.", 8}, {"_mta-sts.", 9}, {"_smtp._tls.", 11}};

    /* The commonest mistake: hardly any mail domain is below such a label. */
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
        if (sts_str_eq_nocase(sts_str_sub(pair->key, 0, prefixes[i].len), prefixes[i]))
            return refuse_key(
                b, pair, "tenant-policy-host", "is a name for records, no mail domain",
                "write the mail domain: ", sts_str_sub(pair->key, prefixes[i].len, pair->key.len));
    if (sts_str_starts(pair->key, STS_STR("*")))
        return refuse_key(b, pair, "tenant-wildcard", "is no mail domain",
                          "each mail domain, subdomains too, is a tenant of its own (RFC 8461 "
                          "section 3.4)",
                          (struct sts_str){0});
    return sts_domain_parse(b->scratch, pair->key, STS_DOMAIN_CONFIG, pair->where, b->diags, out);
}

static void mark_tenant(struct sts_diag *from, struct sts_str domain)
{
    for (; from; from = from->next)
        from->tenant = domain;
}

static bool only_names(const struct sts_tenant_terms *terms)
{
    return !terms->decl.has_mode && !terms->decl.has_mx && !terms->decl.has_max_age &&
           !terms->has_tls_reports;
}

/* Most tenants name one of a few policies, and say no more. */
static const struct sts_tenant_terms *keep_terms(struct binder *b)
{
    const struct sts_tenant_terms *terms = &b->terms;
    struct sts_str name = terms->policy_name;
    const struct sts_tenant_terms **shared = &b->shared_terms[sts_str_hash(name) % SHARED_SLOTS];

    if (only_names(terms) && *shared && sts_str_eq((*shared)->policy_name, name))
        return *shared;
    struct sts_tenant_terms *kept = STS_NEW(b->arena, struct sts_tenant_terms);
    *kept = *terms;
    kept->policy_name = sts_arena_dup(b->arena, name);
    if (only_names(terms))
        *shared = kept;
    return kept;
}

static void bind_tenant(struct binder *b, const struct yaml_pair *pair,
                        const struct yaml_node *value, struct sts_tenant_decl *tenant)
{
    size_t errors = b->diags->errors;
    struct sts_diag **first = b->diags->tail;
    struct sts_str domain = STS_STR("");

    tenant->where = place_of(pair->where);
    b->tenant = tenant;
    b->terms = (struct sts_tenant_terms){0};
    b->decl = &b->terms.decl;
    tenant_domain(b, pair, &domain);
    struct sts_str host = sts_arena_join(b->arena, STS_STR(STS_HOST_LABEL), domain);
    tenant->domain = (struct sts_str){host.ptr + strlen(STS_HOST_LABEL), domain.len};
    if (value_is_map_of(b, value, tenant_help))
        schema_bind_map(b, value, "tenants.*");
    tenant->terms = keep_terms(b);
    tenant->broken = b->diags->errors != errors;
    mark_tenant(*first, tenant->domain);
}

static int bind_tenant_by_domain(const void *a, const void *b)
{
    const struct sts_tenant_decl *x = *(const struct sts_tenant_decl *const *)a;
    const struct sts_tenant_decl *y = *(const struct sts_tenant_decl *const *)b;
    int order = sts_str_cmp(x->domain, y->domain);
    return order ? order : (x > y) - (x < y);
}

/* The same domain in two spellings (U-label and A-label, upper case): the first one stays. */
static void check_duplicates(struct binder *b, struct sts_tenant_decl *tenants, size_t count)
{
    struct sts_tenant_decl **sorted =
        sts_must(malloc(sts_mul_size(count + 1, sizeof(struct sts_tenant_decl *))));

    for (size_t i = 0; i < count; i++)
        sorted[i] = &tenants[i];
    qsort(sorted, count, sizeof(struct sts_tenant_decl *), bind_tenant_by_domain);
    for (size_t i = 1; i < count; i++) {
        if (!sorted[i]->domain.len || !sts_str_eq(sorted[i - 1]->domain, sorted[i]->domain))
            continue;
        struct sts_diag *diag = sts_diag_add(
            b->diags, STS_ERROR, "tenant-duplicate", sts_source_pos(b->source, sorted[i]->where),
            "the tenant %.*s is there twice", STS_ARG(sorted[i]->domain));
        diag->related = sts_source_pos(b->source, sorted[i - 1]->where);
        sts_diag_help(b->diags, diag, "remove one of the two; the first one counts");
        sorted[i]->broken = true;
        sorted[i]->domain = (struct sts_str){0};
    }
    free(sorted);
}

void bind_tenants(struct binder *b, const struct yaml_node *node)
{
    if (!value_is_map_of(b, node,
                         "write a line below for each, such as example.org: {policy: NAME}")) {
        b->source->broken = true;
        return;
    }
    struct sts_tenant_decl *tenants = STS_ARRAY(b->arena, node->count, struct sts_tenant_decl);
    size_t count = 0;
    while (count < node->count && b->diags->errors < ERRORS_MAX) {
        bind_tenant(b, &node->pairs[count], &node->items[count], &tenants[count]);
        count++;
    }
    check_all_read(b, node, count);
    check_duplicates(b, tenants, count);
    b->source->tenants = tenants;
    b->source->tenant_count = count;
}
