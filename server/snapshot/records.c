/* The DNS records of one tenant. */
#include "server/snapshot/snapshot.h"

void snapshot_records(struct sts_arena *arena, const struct snapshot *s, const struct tenant *t,
                      const char *id, const char *pending, struct sts_record_set *out)
{
    const struct sts_settings *settings = &s->settings;
    const struct sts_record_input input = {
        .domain = t->domain,
        .id = sts_str_from(id),
        .pending = sts_str_from(pending),
        .ttl = settings->ttl,
        .policy_host = settings->policy_host,
        .addresses = settings->addresses,
        .address_count = settings->address_count,
        .rua = t->tls_reports,
        .rua_count = t->tls_report_count,
    };

    sts_record_set_make(arena, &input, out);
}
