/* DNSControl: JavaScript to be included in dnsconfig.js behind the D() of the zone ("D_EXTEND" in
 * its language reference). One D_EXTEND a tenant; a zone may have any number.
 *
 * Values are string literals; DNSControl escapes and splits TXT itself, and wants a final dot on
 * absolute names. < is written \u003c, so that no literal ends a script element. There is no comma
 * behind the last argument: its interpreter knows ECMAScript 5. What is pending is a comment;
 * withdrawn is left out. */
#include "server/dns/format.h"

static void format_dnscontrol_add_string(struct sts_buf *out, struct sts_str s)
{
    struct sts_buf literal = {0};

    format_add_literal(&literal, s);
    for (size_t i = 0; i < literal.len; i++)
        if (literal.ptr[i] == '<')
            sts_buf_add(out, STS_STR("\\u003c"));
        else
            sts_buf_add(out, sts_str_sub(sts_buf_str(&literal), i, i + 1));
    sts_buf_fini(&literal);
}

static void format_dnscontrol_add_value(struct sts_buf *out, const struct sts_record *r)
{
    struct sts_buf name = {0};

    if (r->type == STS_RR_CAA)
        sts_buf_add(out, STS_STR("\"issue\", "));
    if (r->type == STS_RR_CNAME)
        sts_buf_printf(&name, "%.*s.", STS_ARG(r->value));
    format_dnscontrol_add_string(out, name.len ? sts_buf_str(&name) : r->value);
    sts_buf_fini(&name);
}

void format_dnscontrol(struct sts_buf *out, const struct sts_format_context *c,
                       const struct sts_record_set *set)
{
    (void)c;
    sts_buf_printf(out, "// %.*s\n", STS_ARG(set->domain));
    format_add_pending(out, "// ", set);
    format_add_withdrawn(out, "// ", set);
    if (set->withdrawn || !set->count)
        return;
    sts_buf_printf(out, "D_EXTEND(\"%.*s\"", STS_ARG(set->zone));
    for (size_t i = 0; i < set->count; i++) {
        const struct sts_record *r = &set->records[i];
        sts_buf_printf(out, ",\n    %s(\"%.*s\", ", sts_rr_type_name(r->type),
                       STS_ARG(format_relative(r->owner, set->zone)));
        format_dnscontrol_add_value(out, r);
        sts_buf_printf(out, ", TTL(%u))", r->ttl);
    }
    sts_buf_add(out, STS_STR("\n);\n"));
}
