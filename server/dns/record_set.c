/* The record set of a tenant, in the order of publication: the policy host first, the TXT that
 * announces the policy last (RFC 8461 §8.1). */
#include <string.h>

#include "mtasts/record.h"

const char *sts_rr_type_name(enum sts_rr_type type)
{
    static const char *const names[] = {"TXT", "CNAME", "A", "AAAA"};
    return names[type];
}

static struct sts_str owner(struct sts_arena *arena, const char *label, struct sts_str domain)
{
    return sts_arena_printf(arena, "%s.%.*s", label, STS_ARG(domain));
}

static size_t add_policy_host(struct sts_arena *arena, const struct sts_record_input *in,
                              struct sts_record *records)
{
    struct sts_str host = owner(arena, "mta-sts", in->domain);

    if (in->policy_host.len && !sts_str_eq(in->policy_host, host)) {
        records[0] =
            (struct sts_record){host, STS_RR_CNAME, in->ttl, sts_arena_dup(arena, in->policy_host),
                                "where the policy is served"};
        return 1;
    }
    for (size_t i = 0; i < in->address_count; i++) {
        bool v6 = sts_str_find(in->addresses[i], ':', 0) < in->addresses[i].len;
        records[i] = (struct sts_record){host, v6 ? STS_RR_AAAA : STS_RR_A, in->ttl,
                                         sts_arena_dup(arena, in->addresses[i]),
                                         "where the policy is served"};
    }
    return in->address_count;
}

void sts_record_set_make(struct sts_arena *arena, const struct sts_record_input *in,
                         struct sts_record_set *out)
{
    struct sts_record *records = STS_ARRAY(arena, in->address_count + 3, struct sts_record);
    size_t count = add_policy_host(arena, in, records);
    struct sts_buf value = {0};

    if (in->rua_count) {
        sts_tlsrpt_render(&value, in->rua, in->rua_count);
        records[count++] =
            (struct sts_record){owner(arena, "_smtp._tls", in->domain), STS_RR_TXT, in->ttl,
                                sts_arena_dup(arena, sts_buf_str(&value)), "where TLS reports go"};
        sts_buf_fini(&value);
    }
    if (in->id.len) {
        sts_txt_render(&value, in->id);
        records[count++] =
            (struct sts_record){owner(arena, "_mta-sts", in->domain), STS_RR_TXT, in->ttl,
                                sts_arena_dup(arena, sts_buf_str(&value)), "announces the policy"};
        sts_buf_fini(&value);
    }
    *out = (struct sts_record_set){.domain = sts_arena_dup(arena, in->domain),
                                   .id = sts_arena_dup(arena, in->id),
                                   .pending = sts_arena_dup(arena, in->pending),
                                   .records = records,
                                   .count = count};
}
