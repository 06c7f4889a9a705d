/* Zone file lines (RFC 1035 §5): absolute names, quoted TXT in strings of at most 255 octets. */
#include "server/dns/format.h"

enum { STRING_MAX = 255, COMMENT_MAX = 1000 };

/* Inside quotes: \" and \\, and \DDD (decimal) for what could end the line. */
static void add_octet(struct sts_buf *out, unsigned char c)
{
    if (c < ' ' || c >= 0x7f)
        sts_buf_printf(out, "\\%03u", c);
    else
        sts_buf_printf(out, "%s%c", c == '"' || c == '\\' ? "\\" : "", c);
}

static void add_txt(struct sts_buf *out, struct sts_str value)
{
    for (size_t from = 0; from < value.len; from += STRING_MAX) {
        struct sts_str part = sts_str_sub(value, from, from + STRING_MAX);
        sts_buf_add_cstr(out, from ? " \"" : "\"");
        for (size_t i = 0; i < part.len; i++)
            add_octet(out, (unsigned char)part.ptr[i]);
        sts_buf_add(out, STS_STR("\""));
    }
}

static void add_record(struct sts_buf *out, const struct sts_record *r)
{
    sts_buf_printf(out, "%.*s. %u IN %s ", STS_ARG(r->owner), r->ttl, sts_rr_type_name(r->type));
    if (r->type == STS_RR_TXT)
        add_txt(out, r->value);
    else
        sts_buf_printf(out, "%.*s%s", STS_ARG(r->value), r->type == STS_RR_CNAME ? "." : "");
    sts_buf_add(out, STS_STR("\n"));
}

/* A comment is one line, whatever the reason says. */
static void add_pending(struct sts_buf *out, const struct sts_record_set *set)
{
    sts_buf_printf(out, "; _mta-sts.%.*s is pending: ", STS_ARG(set->domain));
    sts_buf_add_escaped(out, set->pending, COMMENT_MAX);
    sts_buf_add(out, STS_STR("\n"));
}

void format_bind(struct sts_buf *out, const struct sts_record_set *sets, size_t count,
                 bool terminal)
{
    (void)terminal;
    for (size_t i = 0; i < count; i++) {
        sts_buf_printf(out, "; %.*s\n", STS_ARG(sets[i].domain));
        for (size_t j = 0; j < sets[i].count; j++)
            add_record(out, &sets[i].records[j]);
        if (sets[i].pending.len)
            add_pending(out, &sets[i]);
    }
}
