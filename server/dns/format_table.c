/* For people: aligned columns on a terminal, tab-separated fields otherwise. */
#include "server/dns/format.h"

static size_t widest(const struct sts_record_set *set, bool value)
{
    size_t width = value ? sizeof("VALUE") - 1 : sizeof("HOST") - 1;
    for (size_t i = 0; i < set->count; i++) {
        size_t len = value ? set->records[i].value.len : set->records[i].owner.len;
        if (len > width)
            width = len;
    }
    return width;
}

static void aligned(struct sts_buf *out, const struct sts_record_set *set)
{
    int host = (int)widest(set, false), value = (int)widest(set, true);

    sts_buf_printf(out, "%-*s  %-5s  %6s  %-*s  %s\n", host, "HOST", "TYPE", "TTL", value, "VALUE",
                   "PURPOSE");
    for (size_t i = 0; i < set->count; i++) {
        const struct sts_record *r = &set->records[i];
        sts_buf_printf(out, "%-*.*s  %-5s  %6u  %-*.*s  %s\n", host, STS_ARG(r->owner),
                       sts_rr_type_name(r->type), r->ttl, value, STS_ARG(r->value), r->purpose);
    }
}

static void tabbed(struct sts_buf *out, const struct sts_record_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct sts_record *r = &set->records[i];
        sts_buf_printf(out, "%.*s\t%s\t%u\t%.*s\n", STS_ARG(r->owner), sts_rr_type_name(r->type),
                       r->ttl, STS_ARG(r->value));
    }
}

void format_table(struct sts_buf *out, const struct sts_format_context *c,
                  const struct sts_record_set *set)
{
    if (c->terminal) {
        sts_buf_printf(out, "%s%.*s\n", c->index ? "\n" : "", STS_ARG(set->domain));
        aligned(out, set);
    } else {
        tabbed(out, set);
    }
    format_add_pending(out, "# ", set);
}
