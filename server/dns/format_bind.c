/* Zone file lines (RFC 1035 §5): absolute names, quoted TXT in strings of at most 255 octets. */
#include "server/dns/format.h"

void format_bind(struct sts_buf *out, const struct sts_format_context *c,
                 const struct sts_record_set *set)
{
    (void)c;
    sts_buf_printf(out, "; %.*s\n", STS_ARG(set->domain));
    for (size_t i = 0; i < set->count; i++) {
        const struct sts_record *r = &set->records[i];
        sts_buf_printf(out, "%.*s. %u IN %s ", STS_ARG(r->owner), r->ttl,
                       sts_rr_type_name(r->type));
        format_add_rdata(out, r);
        sts_buf_add(out, STS_STR("\n"));
    }
    format_add_pending(out, "; ", set);
}
