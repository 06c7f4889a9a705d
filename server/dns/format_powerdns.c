/* A script for sh(1) that runs pdnsutil(1) of the PowerDNS Authoritative Server, for the backends
 * that it can edit. It knows no transactions: the records come in the order of publication, and the
 * first error ends the script.
 *
 * Names are relative to the zone, as pdnsutil wants them. Data is as in zone files, one word of sh
 * in single quotes. A record withdrawn is removed with all TXT records of its name, because
 * pdnsutil removes no single one. */
#include "server/dns/format.h"

void format_powerdns_begin(struct sts_buf *out, const struct sts_format_context *c)
{
    (void)c;
    sts_buf_add_cstr(out, "set -eu\n");
}

static void format_powerdns_add_command(struct sts_buf *out, const char *command,
                                        const struct sts_record_set *set,
                                        const struct sts_record *r, enum sts_rr_type type)
{
    sts_buf_printf(out, "pdnsutil %s '%.*s' '%.*s' %s", command, STS_ARG(set->zone),
                   STS_ARG(format_relative(r->owner, set->zone)), sts_rr_type_name(type));
}

/* What stays is replaced; the rest has to go first, a CNAME is refused beside it. */
static void delete_others(struct sts_buf *out, const struct sts_record_set *set,
                          const struct sts_record *r)
{
    for (int i = STS_RR_TXT; i <= STS_RR_CAA; i++) {
        enum sts_rr_type type = (enum sts_rr_type)i;
        if (!format_replaces(set, r->owner, type) || format_has(set, r->owner, type))
            continue;
        format_powerdns_add_command(out, "delete-rrset", set, r, type);
        sts_buf_add(out, STS_STR("\n"));
    }
}

static void format_powerdns_replace(struct sts_buf *out, const struct sts_record_set *set,
                                    size_t from, size_t count)
{
    const struct sts_record *r = &set->records[from];

    if (format_owner_begins(set, from))
        delete_others(out, set, r);
    format_powerdns_add_command(out, "replace-rrset", set, r, r->type);
    sts_buf_printf(out, " %u", r->ttl);
    for (size_t i = from; i < from + count; i++) {
        sts_buf_add(out, STS_STR(" "));
        format_add_rdata_sh(out, &set->records[i]);
    }
    sts_buf_add(out, STS_STR("\n"));
}

void format_powerdns(struct sts_buf *out, const struct sts_format_context *c,
                     const struct sts_record_set *set)
{
    size_t count;

    sts_buf_printf(out, "%s# %.*s\n", c->zone_begins ? "\n" : "", STS_ARG(set->domain));
    format_add_pending(out, "# ", set);
    for (size_t i = 0; i < set->count; i += count) {
        count = format_rrset(set, i);
        if (set->withdrawn) {
            format_powerdns_add_command(out, "delete-rrset", set, &set->records[i],
                                        set->records[i].type);
            sts_buf_add(out, STS_STR("\n"));
        } else {
            format_powerdns_replace(out, set, i, count);
        }
    }
    if (c->zone_ends)
        sts_buf_printf(out, "pdnsutil increase-serial '%.*s'\npdnsutil rectify-zone '%.*s'\n",
                       STS_ARG(set->zone), STS_ARG(set->zone));
}
