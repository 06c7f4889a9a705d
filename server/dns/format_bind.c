/* Zone files of BIND, NSD, Knot DNS and others (RFC 1035 §5): lines with absolute names, or with
 * names below an $ORIGIN. TXT and CAA data in quotes, TXT in strings of at most 255 octets. */
#include "server/dns/format.h"

static void format_bind_add_record(struct sts_buf *out, const struct sts_format_context *c,
                                   const struct sts_record_set *set, const struct sts_record *r)
{
    format_add_line(out, c->relative ? format_relative(r->owner, set->zone) : r->owner, r);
    sts_buf_add(out, STS_STR("\n"));
}

void format_bind(struct sts_buf *out, const struct sts_format_context *c,
                 const struct sts_record_set *set)
{
    if (c->relative && c->zone_begins)
        sts_buf_printf(out, "$ORIGIN %.*s.\n", STS_ARG(set->zone));
    sts_buf_printf(out, "; %.*s", STS_ARG(set->domain));
    if (!sts_str_eq(set->domain, set->zone))
        sts_buf_printf(out, ", in zone %.*s", STS_ARG(set->zone));
    sts_buf_add(out, STS_STR("\n"));
    for (size_t i = 0; i < set->count && !set->withdrawn; i++)
        format_bind_add_record(out, c, set, &set->records[i]);
    format_add_withdrawn(out, "; ", set);
    format_add_pending(out, "; ", set);
}
