/* For people and DNS providers' web forms. On a terminal a block for each name and type: the value
 * stands last on a line of its own, so that the terminal's wrapping adds nothing to what is copied.
 * Otherwise lines of four fields with a tab between, for scripts: host, type, TTL, value; what
 * begins with # is a remark. TXT values are bare: a form adds the quotes that it needs. */
#include "server/dns/format.h"

static struct sts_str format_table_host(const struct sts_format_context *c,
                                        const struct sts_record_set *set,
                                        const struct sts_record *r)
{
    return c->relative ? format_relative(r->owner, set->zone) : r->owner;
}

static void format_table_heading(struct sts_buf *out, const struct sts_format_context *c,
                                 const struct sts_record_set *set)
{
    sts_buf_printf(out, "%s%.*s", c->index ? "\n" : "", STS_ARG(set->domain));
    if (!sts_str_eq(set->domain, set->zone))
        sts_buf_printf(out, ", in zone %.*s", STS_ARG(set->zone));
    sts_buf_add_cstr(out, set->withdrawn ? " is no tenant any more; remove:\n" : "\n");
}

static void format_table_block(struct sts_buf *out, const struct sts_format_context *c,
                               const struct sts_record_set *set, size_t from, size_t count)
{
    const struct sts_record *r = &set->records[from];
    struct sts_str name = format_table_host(c, set, r),
                   relative = format_relative(r->owner, set->zone);

    sts_buf_printf(out, "\n  %s\n    Host   %.*s", r->purpose, STS_ARG(name));
    if (!sts_str_eq(name, relative)) /* which of them a form wants, nobody can know */
        sts_buf_printf(out, "  or  %.*s", STS_ARG(relative));
    sts_buf_printf(out, "\n    Type   %s%s\n    TTL    %u\n", sts_rr_type_name(r->type),
                   r->type == STS_RR_CAA ? ", flags 0, tag issue" : "", r->ttl);
    for (size_t i = from; i < from + count; i++)
        sts_buf_printf(out, "    Value  %.*s\n", STS_ARG(set->records[i].value));
}

static void format_table_blocks(struct sts_buf *out, const struct sts_format_context *c,
                                const struct sts_record_set *set)
{
    size_t count;

    format_table_heading(out, c, set);
    for (size_t i = 0; i < set->count; i += count) {
        count = format_rrset(set, i);
        format_table_block(out, c, set, i, count);
    }
    if (set->pending.len)
        sts_buf_add_cstr(out, "\n");
    format_add_pending(out, "  ", set);
}

static void format_table_tabbed(struct sts_buf *out, const struct sts_format_context *c,
                                const struct sts_record_set *set)
{
    for (size_t i = 0; i < set->count && !set->withdrawn; i++) {
        const struct sts_record *r = &set->records[i];
        sts_buf_printf(out, "%.*s\t%s\t%u\t%s%.*s%s\n", STS_ARG(format_table_host(c, set, r)),
                       sts_rr_type_name(r->type), r->ttl, r->type == STS_RR_CAA ? "0 issue \"" : "",
                       STS_ARG(r->value), r->type == STS_RR_CAA ? "\"" : "");
    }
    format_add_withdrawn(out, "# ", set);
    format_add_pending(out, "# ", set);
}

void format_table(struct sts_buf *out, const struct sts_format_context *c,
                  const struct sts_record_set *set)
{
    if (c->terminal)
        format_table_blocks(out, c, set);
    else
        format_table_tabbed(out, c, set);
}
