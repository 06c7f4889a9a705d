/* The record set of a tenant, in the order of publication: the policy host first, the TXT that
 * announces the policy last (RFC 8461 §8.1). */
#include <string.h>

#include "mtasts/domain.h"
#include "mtasts/record.h"

static const char host_label[] = "mta-sts", reports_label[] = "_smtp._tls", id_label[] = "_mta-sts";
static const char host_purpose[] = "where the policy is served";
static const char reports_purpose[] = "where TLS reports go";
static const char id_purpose[] = "announces the policy";

struct making {
    struct sts_arena *arena;
    const struct sts_record_input *in;
    struct sts_str base; /* what the labels are put in front of */
    struct sts_record *records;
    size_t count;
};

const char *sts_rr_type_name(enum sts_rr_type type)
{
    static const char *const names[] = {"TXT", "CNAME", "A", "AAAA", "CAA"};
    return names[type];
}

bool sts_caa_check_uri(struct sts_str uri)
{
    if (!uri.len)
        return false;
    for (size_t i = 0; i < uri.len; i++)
        if (uri.ptr[i] <= ' ' || uri.ptr[i] >= 0x7f || strchr(";\"\\", uri.ptr[i]))
            return false;
    return true;
}

bool sts_record_can_delegate(struct sts_str domain, struct sts_str delegation_zone)
{
    /* "_smtp._tls." is the longest; the dot between the two names. */
    return sizeof(reports_label) + domain.len + 1 + delegation_zone.len <= STS_DOMAIN_MAX;
}

static bool is_delegated(const struct sts_record_input *in)
{
    return in->delegation_zone.len && sts_record_can_delegate(in->domain, in->delegation_zone);
}

static struct sts_str record_set_owner(struct making *m, const char *label, struct sts_str base)
{
    return sts_arena_printf(m->arena, "%s.%.*s", label, STS_ARG(base));
}

static void record_set_add(struct making *m, const char *label, enum sts_rr_type type, uint32_t ttl,
                           struct sts_str value, const char *purpose)
{
    m->records[m->count++] =
        (struct sts_record){record_set_owner(m, label, m->base), type, ttl, value, purpose};
}

static void add_addresses(struct making *m)
{
    const struct sts_record_input *in = m->in;

    /* Records of one type stand together. */
    for (int v6 = 0; v6 < 2; v6++)
        for (size_t i = 0; i < in->address_count; i++) {
            struct sts_str address = in->addresses[i];
            if ((sts_str_find(address, ':', 0) < address.len) == v6)
                record_set_add(m, host_label, v6 ? STS_RR_AAAA : STS_RR_A, in->ttl_host,
                               sts_arena_dup(m->arena, address), host_purpose);
        }
}

static void add_caa(struct making *m)
{
    const struct sts_record_input *in = m->in;

    for (size_t i = 0; i < in->caa_count; i++) {
        const struct sts_caa *caa = &in->caa[i];
        const char *parameter = caa->account_uri.len ? "; accounturi=" : "";
        record_set_add(m, host_label, STS_RR_CAA, in->ttl_caa,
                       sts_arena_printf(m->arena, "%.*s%s%.*s", STS_ARG(caa->issuer), parameter,
                                        STS_ARG(caa->account_uri)),
                       "who may issue its certificate");
    }
}

static bool has_host_cname(const struct sts_record_input *in)
{
    return in->policy_host.len &&
           !(sts_str_starts(in->policy_host, STS_STR("mta-sts.")) &&
             sts_str_eq(sts_str_sub(in->policy_host, sizeof(host_label), in->policy_host.len),
                        in->domain));
}

/* Nothing may stand beside a CNAME, so a CAA goes with addresses only. */
static void add_host(struct making *m)
{
    if (has_host_cname(m->in)) {
        record_set_add(m, host_label, STS_RR_CNAME, m->in->ttl_host,
                       sts_arena_dup(m->arena, m->in->policy_host), host_purpose);
        return;
    }
    add_addresses(m);
    add_caa(m);
}

static void add_reports(struct making *m)
{
    struct sts_buf value = {0};

    if (!m->in->rua_count)
        return;
    sts_tlsrpt_render(&value, m->in->rua, m->in->rua_count);
    record_set_add(m, reports_label, STS_RR_TXT, m->in->ttl_tls_reports,
                   sts_arena_dup(m->arena, sts_buf_str(&value)), reports_purpose);
    sts_buf_fini(&value);
}

static void add_id(struct making *m)
{
    struct sts_buf value = {0};

    if (!m->in->id.len)
        return;
    sts_txt_render(&value, m->in->id);
    record_set_add(m, id_label, STS_RR_TXT, m->in->ttl_id,
                   sts_arena_dup(m->arena, sts_buf_str(&value)), id_purpose);
    sts_buf_fini(&value);
}

/* What a tenant writes once: each name leads to the same name below the provider's zone. */
static void add_delegation(struct making *m, struct sts_str provider)
{
    const struct sts_record_input *in = m->in;

    if (has_host_cname(in))
        add_host(m);
    else if (in->address_count)
        record_set_add(m, host_label, STS_RR_CNAME, in->ttl_host,
                       record_set_owner(m, host_label, provider), host_purpose);
    record_set_add(m, reports_label, STS_RR_CNAME, in->ttl_tls_reports,
                   record_set_owner(m, reports_label, provider), reports_purpose);
    record_set_add(m, id_label, STS_RR_CNAME, in->ttl_id, record_set_owner(m, id_label, provider),
                   id_purpose);
}

static void record_set_add_all(struct making *m)
{
    const struct sts_record_input *in = m->in;
    bool delegated = is_delegated(in), provider = in->side == STS_SIDE_PROVIDER;
    struct sts_str below = delegated ? sts_arena_printf(m->arena, "%.*s.%.*s", STS_ARG(in->domain),
                                                        STS_ARG(in->delegation_zone))
                                     : (struct sts_str){0};

    m->base = provider ? below : in->domain;
    if (delegated && !provider) {
        add_delegation(m, below);
        return;
    }
    if (provider && !delegated)
        return;
    if (!provider || !has_host_cname(in))
        add_host(m);
    add_reports(m);
    add_id(m);
}

static struct sts_str zone_of(const struct sts_record_input *in)
{
    if (in->side == STS_SIDE_PROVIDER)
        return in->delegation_zone;
    return in->zone.len ? in->zone : sts_domain_zone(in->domain);
}

void sts_record_set_make(struct sts_arena *arena, const struct sts_record_input *in,
                         struct sts_record_set *out)
{
    size_t most = in->address_count + in->caa_count + 3;
    struct making m = {
        .arena = arena, .in = in, .records = STS_ARRAY(arena, most, struct sts_record)};

    record_set_add_all(&m);
    *out = (struct sts_record_set){.domain = sts_arena_dup(arena, in->domain),
                                   .zone = sts_arena_dup(arena, zone_of(in)),
                                   .id = sts_arena_dup(arena, in->id),
                                   .pending = sts_arena_dup(arena, in->pending),
                                   .records = m.records,
                                   .count = m.count};
}
