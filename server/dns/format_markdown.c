/* Markdown, to be mailed to a customer as it is or rendered: a section a tenant with a table of
 * what to enter (GitHub Flavored Markdown, "Tables", which all common renderers read).
 *
 * Names and values are code spans, so nothing in them is markup. With a ` or | in it, which code
 * spans in tables do not hold alike everywhere, a value is <code> with character references. In
 * sentences, what could be markup is escaped. What the provider has to do next is not the
 * customer's affair: steps are left out. */
#include <string.h>

#include "server/dns/format.h"

enum { REASON_MAX = 1000 };

static void add_code(struct sts_buf *out, struct sts_str s)
{
    if (sts_str_find(s, '`', 0) == s.len && sts_str_find(s, '|', 0) == s.len) {
        sts_buf_printf(out, "`%.*s`", STS_ARG(s));
        return;
    }
    sts_buf_add(out, STS_STR("<code>"));
    for (size_t i = 0; i < s.len; i++)
        sts_buf_printf(out, sts_is_alnum(s.ptr[i]) ? "%c" : "&#%u;", (unsigned char)s.ptr[i]);
    sts_buf_add(out, STS_STR("</code>"));
}

static void format_markdown_add_text(struct sts_buf *out, struct sts_str s)
{
    struct sts_buf line = {0};

    sts_buf_add_escaped(&line, s, REASON_MAX);
    for (size_t i = 0; i < line.len; i++)
        if (strchr("\\`*_[]", line.ptr[i]))
            sts_buf_printf(out, "\\%c", line.ptr[i]);
        else if (strchr("<>&~|", line.ptr[i]))
            sts_buf_printf(out, "&#%u;", (unsigned char)line.ptr[i]);
        else
            sts_buf_printf(out, "%c", line.ptr[i]);
    sts_buf_fini(&line);
}

static void add_table(struct sts_buf *out, const struct sts_format_context *c,
                      const struct sts_record_set *set)
{
    sts_buf_add(out, STS_STR("\n| Host | Type | TTL | Value |\n| --- | --- | --- | --- |\n"));
    for (size_t i = 0; i < set->count; i++) {
        const struct sts_record *r = &set->records[i];
        sts_buf_add(out, STS_STR("| "));
        add_code(out, c->relative ? format_relative(r->owner, set->zone) : r->owner);
        sts_buf_printf(out, " | %s | %u | ", sts_rr_type_name(r->type), r->ttl);
        if (r->type == STS_RR_CAA)
            sts_buf_add(out, STS_STR("0 issue "));
        add_code(out, r->value);
        sts_buf_add(out, STS_STR(" |\n"));
    }
}

static const char *format_markdown_request(const struct sts_record_set *set)
{
    if (set->withdrawn)
        return "This domain has no MTA-STS policy any more. Please delete, in the zone ";
    return set->count == 1 ? "Please enter this DNS record in the zone "
                           : "Please enter these DNS records, in this order, in the zone ";
}

static void format_markdown_add_records(struct sts_buf *out, const struct sts_format_context *c,
                                        const struct sts_record_set *set)
{
    sts_buf_printf(out, "\n%s", format_markdown_request(set));
    add_code(out, set->zone);
    sts_buf_add_cstr(out, set->withdrawn
                              ? ":\n"
                              : ".\nAn older record of the same name and type is replaced.\n");
    add_table(out, c, set);
    if (!set->withdrawn && set->id.len) /* RFC 8461 §8.1: served first, announced second */
        sts_buf_printf(out,
                       "\nThe last record announces the policy: enter it when the others are in "
                       "place and\n<https://mta-sts.%.*s/.well-known/mta-sts.txt>\nshows the "
                       "policy.\n",
                       STS_ARG(set->domain));
}

static void format_markdown_add_pending(struct sts_buf *out, const struct sts_record_set *set)
{
    sts_buf_add(out, STS_STR("\nThe record that announces the policy, `_mta-sts."));
    sts_buf_printf(out, "%.*s`, is not ready: ", STS_ARG(set->domain));
    format_markdown_add_text(out, set->pending);
    sts_buf_add(out, STS_STR(". Please leave\nit as it is until you hear from us.\n"));
}

void format_markdown(struct sts_buf *out, const struct sts_format_context *c,
                     const struct sts_record_set *set)
{
    sts_buf_printf(out, "%s## MTA-STS for %.*s\n", c->index ? "\n" : "", STS_ARG(set->domain));
    if (set->count)
        format_markdown_add_records(out, c, set);
    if (set->pending.len)
        format_markdown_add_pending(out, set);
}
