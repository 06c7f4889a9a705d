/* The DNS records of one tenant. */
#include "server/snapshot/snapshot.h"

const char *tenant_state_name(const struct tenant *t)
{
    if (t->state == TENANT_REFUSED)
        return "refused";
    if (t->state == TENANT_NO_CERTIFICATE)
        return "no-certificate";
    if (t->kept)
        return "kept";
    return t->retiring ? "retiring" : "served";
}

enum sts_side snapshot_changing_side(const struct snapshot *s, struct sts_str domain)
{
    struct sts_str zone = s->settings.delegation_zone;
    return zone.len && sts_record_can_delegate(domain, zone) ? STS_SIDE_PROVIDER : STS_SIDE_TENANT;
}

struct sts_str snapshot_id_name(struct sts_arena *arena, const struct snapshot *s,
                                struct sts_str domain)
{
    bool delegated = snapshot_changing_side(s, domain) == STS_SIDE_PROVIDER;
    struct sts_str zone = delegated ? s->settings.delegation_zone : (struct sts_str){0};
    return sts_arena_printf(arena, "_mta-sts.%.*s%s%.*s", STS_ARG(domain), delegated ? "." : "",
                            STS_ARG(zone));
}

static uint32_t ttl_of(const struct sts_settings *settings, uint32_t own)
{
    return own ? own : settings->ttl;
}

uint32_t snapshot_id_ttl(const struct snapshot *s)
{
    return ttl_of(&s->settings, s->settings.ttl_id);
}

void snapshot_records(struct sts_arena *arena, const struct snapshot *s,
                      const struct snapshot_records_input *in, struct sts_record_set *out)
{
    const struct sts_settings *settings = &s->settings;
    const struct tenant *t = in->tenant;
    size_t rua_count;
    const struct sts_str *rua = tenant_reports(s, t, &rua_count);
    const struct sts_record_input input = {
        .domain = t->domain,
        .id = sts_str_from(in->id),
        .pending = sts_str_from(in->pending),
        .zone = in->zone,
        .delegation_zone = settings->delegation_zone,
        .side = in->side,
        .ttl_host = ttl_of(settings, settings->ttl_host),
        .ttl_tls_reports = ttl_of(settings, settings->ttl_tls_reports),
        .ttl_id = ttl_of(settings, settings->ttl_id),
        .ttl_caa = ttl_of(settings, settings->ttl_caa),
        .policy_host = settings->policy_host,
        .addresses = settings->addresses,
        .address_count = settings->address_count,
        .caa = settings->caa,
        .caa_count = settings->caa_count,
        .rua = rua,
        .rua_count = rua_count,
    };

    sts_record_set_make(arena, &input, out);
    out->state = tenant_state_name(t);
    out->mode = sts_mode_name(tenant_policy(t)->mode);
    out->max_age = tenant_policy(t)->max_age;
}
