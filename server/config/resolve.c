/* A tenant with its named policy applied: the policy that would be served. */
#include <string.h>

#include "mtasts/config.h"

enum { MAX_AGE_STANDARD = 28 * 86400 };

static struct sts_diag *resolve_report(struct sts_diags *diags, const struct sts_tenant_decl *decl,
                                       struct sts_pos where, const char *code, const char *message,
                                       const char *help)
{
    struct sts_diag *diag = sts_diag_add(diags, STS_ERROR, code, where, "%s", message);
    diag->tenant = decl->domain;
    sts_diag_help(diags, diag, "%s", help);
    return diag;
}

static bool resolve_check_name(const struct sts_source *source, const struct sts_tenant_decl *decl,
                               const struct sts_named_policy *named, struct sts_diags *diags)
{
    struct sts_str name = decl->terms->policy_name;

    if (!name.len || (named && !named->broken))
        return true;
    struct sts_diag *diag =
        sts_diag_add(diags, STS_ERROR, named ? "policy-broken" : "policy-unknown",
                     sts_source_pos(source, decl->policy_where), "the policy \"%.*s\" %s",
                     STS_ARG(name), named ? "has errors" : "is not defined");
    diag->tenant = decl->domain;
    sts_diag_help(diags, diag, "%s",
                  named ? "mend the policy" : "define it under policies:, in any of the files");
    if (named)
        diag->related = named->where;
    return false;
}

/* Tenant first, then the named policy. */
static bool resolve_merge(const struct sts_tenant_decl *decl, struct sts_pos where,
                          const struct sts_named_policy *named, struct sts_diags *diags,
                          struct sts_policy_decl *out)
{
    static const struct sts_policy_decl nothing;
    const struct sts_policy_decl *own = &decl->terms->decl, *base = named ? &named->decl : &nothing;
    const struct sts_policy_decl *mode = own->has_mode ? own : base;
    const struct sts_policy_decl *mx = own->has_mx ? own : base;
    const struct sts_policy_decl *max_age = own->has_max_age ? own : base;

    *out = (struct sts_policy_decl){
        .policy = {.mode = mode->policy.mode,
                   .max_age = max_age->has_max_age ? max_age->policy.max_age : MAX_AGE_STANDARD,
                   .mx = mx->policy.mx,
                   .mx_count = mx->policy.mx_count},
        .mode_where = mode->mode_where,
        .max_age_where = max_age->max_age_where,
        .mx_where = mx->mx_where};
    /* RFC 8461 section 8.3. The mx stay: some senders refuse a policy without them. */
    if (decl->retire) {
        out->policy.mode = STS_MODE_NONE;
        out->policy.max_age = STS_RETIRE_MAX_AGE;
        out->mode_where = out->max_age_where = where;
    }
    if (mode->has_mode || decl->retire)
        return true;
    resolve_report(diags, decl, where, "policy-no-mode", "this tenant has no mode",
                   "write mode: testing, enforce or none, or policy: with the name of a policy");
    return false;
}

/* RFC 8461 section 8.2: the CNAME leads to the provider; to itself it leads nowhere. */
static void check_policy_host(const struct sts_tenant_decl *decl, struct sts_pos where,
                              const struct sts_settings *settings, struct sts_diags *diags)
{
    static const struct sts_str label = {"mta-sts.", 8};
    struct sts_str host = settings->policy_host;

    if (!sts_str_starts(host, label) ||
        !sts_str_eq(sts_str_sub(host, label.len, host.len), decl->domain))
        return;
    struct sts_diag *diag =
        sts_diag_add(diags, STS_WARNING, "records-policy-host", where,
                     "records.policy_host is %.*s: its CNAME would point to itself", STS_ARG(host));
    sts_diag_help(diags, diag, "name another host there, or use records.addresses");
}

static void check_delegation(const struct sts_tenant_decl *decl, struct sts_pos where,
                             const struct sts_settings *settings, struct sts_diags *diags)
{
    struct sts_str zone = settings->delegation_zone;

    if (!zone.len || sts_record_can_delegate(decl->domain, zone))
        return;
    struct sts_diag *diag =
        sts_diag_add(diags, STS_WARNING, "delegation-no-room", where,
                     "_smtp._tls.%.*s.%.*s has more than 253 octets, so nothing is delegated",
                     STS_ARG(decl->domain), STS_ARG(zone));
    sts_diag_help(diags, diag, "this tenant gets all records itself; or use a shorter zone");
}

bool sts_tenant_resolve(const struct sts_source *source, const struct sts_tenant_decl *decl,
                        const struct sts_named_policy *named, const struct sts_settings *settings,
                        struct sts_diags *diags, struct sts_policy *out)
{
    const struct sts_tenant_terms *terms = decl->terms;
    struct sts_pos where = sts_source_pos(source, decl->where);
    struct sts_policy_decl merged;
    struct sts_diag **first = diags->tail;

    if (decl->broken || !resolve_check_name(source, decl, named, diags) ||
        !resolve_merge(decl, where, named, diags, &merged))
        return false;
    const struct sts_policy policy = merged.policy;
    size_t reports = terms->has_tls_reports ? terms->tls_report_count : settings->tls_report_count;
    const struct sts_lint_context context = {.domain = decl->domain,
                                             .tlsrpt_known = true,
                                             .has_tlsrpt = reports > 0,
                                             .where = where,
                                             .mode_where = merged.mode_where,
                                             .max_age_where = merged.max_age_where,
                                             .mx_where = merged.mx_where};
    bool good = sts_policy_lint(&policy, &context, diags);
    check_policy_host(decl, where, settings, diags);
    check_delegation(decl, where, settings, diags);
    for (struct sts_diag *diag = *first; diag; diag = diag->next) {
        diag->tenant = decl->domain;
        /* An error in a policy of many says which of them it hurts. */
        if (named && diag->severity == STS_ERROR && !diag->related.line)
            diag->related = where;
    }
    if (good)
        *out = policy;
    return good;
}
