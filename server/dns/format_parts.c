/* What several formats need. */
#include "mtasts/domain.h"
#include "server/dns/format.h"

enum { STRING_MAX = 255, REASON_MAX = 1000 };

static bool is_plain(unsigned char c)
{
    return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

/* Inside quotes: \" and \\, and \DDD (decimal) for what could end the line. */
static void format_parts_add_string(struct sts_buf *out, struct sts_str part)
{
    size_t from = 0;

    for (size_t i = 0; i < part.len; i++) {
        unsigned char c = (unsigned char)part.ptr[i];
        if (is_plain(c))
            continue;
        sts_buf_add(out, sts_str_sub(part, from, i));
        sts_buf_printf(out, c == '"' || c == '\\' ? "\\%c" : "\\%03u", c);
        from = i + 1;
    }
    sts_buf_add(out, sts_str_sub(part, from, part.len));
}

void format_add_txt(struct sts_buf *out, struct sts_str value)
{
    for (size_t from = 0; from < value.len; from += STRING_MAX) {
        sts_buf_add_cstr(out, from ? " \"" : "\"");
        format_parts_add_string(out, sts_str_sub(value, from, from + STRING_MAX));
        sts_buf_add(out, STS_STR("\""));
    }
}

void format_add_rdata(struct sts_buf *out, const struct sts_record *r)
{
    switch (r->type) {
    case STS_RR_TXT:
        format_add_txt(out, r->value);
        break;
    case STS_RR_CAA: /* one string, and longer than 255 octets if need be (RFC 8659 §4.1.1) */
        sts_buf_printf(out, "0 issue \"%.*s\"", STS_ARG(r->value));
        break;
    case STS_RR_CNAME:
        sts_buf_printf(out, "%.*s.", STS_ARG(r->value));
        break;
    case STS_RR_A:
    case STS_RR_AAAA:
        sts_buf_add(out, r->value);
        break;
    }
}

void format_add_line(struct sts_buf *out, struct sts_str name, const struct sts_record *r)
{
    sts_buf_printf(out, "%.*s%s %u IN %s ", STS_ARG(name), sts_str_eq(name, r->owner) ? "." : "",
                   r->ttl, sts_rr_type_name(r->type));
    format_add_rdata(out, r);
}

struct sts_str format_relative(struct sts_str name, struct sts_str zone)
{
    if (sts_str_eq(name, zone))
        return STS_STR("@");
    return sts_domain_is_within(name, zone) ? sts_str_sub(name, 0, name.len - zone.len - 1) : name;
}

size_t format_rrset(const struct sts_record_set *set, size_t from)
{
    const struct sts_record *first = &set->records[from];
    size_t count = 1;

    while (from + count < set->count && set->records[from + count].type == first->type &&
           sts_str_eq(set->records[from + count].owner, first->owner))
        count++;
    return count;
}

void format_add_pending(struct sts_buf *out, const char *prefix, const struct sts_record_set *set)
{
    if (!set->pending.len)
        return;
    sts_buf_printf(out, "%s_mta-sts.%.*s is pending: ", prefix, STS_ARG(set->domain));
    sts_buf_add_escaped(out, set->pending, REASON_MAX);
    sts_buf_add(out, STS_STR("\n"));
}

void format_add_withdrawn(struct sts_buf *out, const char *prefix, const struct sts_record_set *set)
{
    for (size_t i = 0; i < set->count && set->withdrawn; i++) {
        const struct sts_record *r = &set->records[i];
        sts_buf_printf(out, "%sremove %.*s. %s ", prefix, STS_ARG(r->owner),
                       sts_rr_type_name(r->type));
        format_add_rdata(out, r);
        sts_buf_printf(out, ", because %.*s is no tenant any more\n", STS_ARG(set->domain));
    }
}

void format_add_literal(struct sts_buf *out, struct sts_str s)
{
    sts_buf_add(out, STS_STR("\""));
    for (size_t i = 0; i < s.len; i++)
        sts_buf_printf(out, "%s%c", s.ptr[i] == '"' || s.ptr[i] == '\\' ? "\\" : "", s.ptr[i]);
    sts_buf_add(out, STS_STR("\""));
}

uint32_t format_cloudflare_ttl(uint32_t ttl)
{
    if (ttl < 60)
        return 60;
    return ttl > 86400 ? 86400 : ttl;
}
