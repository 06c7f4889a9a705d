/* For people: aligned columns on a terminal, tab-separated fields otherwise. */
#include "server/dns/format.h"

enum { COMMENT_MAX = 1000 };

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

/* A comment is one line, whatever the reason says. */
static void add_pending(struct sts_buf *out, const struct sts_record_set *set)
{
    sts_buf_printf(out, "# _mta-sts.%.*s is pending: ", STS_ARG(set->domain));
    sts_buf_add_escaped(out, set->pending, COMMENT_MAX);
    sts_buf_add(out, STS_STR("\n"));
}

void format_table(struct sts_buf *out, const struct sts_record_set *sets, size_t count,
                  bool terminal)
{
    for (size_t i = 0; i < count; i++) {
        if (terminal)
            sts_buf_printf(out, "%s%.*s\n", i ? "\n" : "", STS_ARG(sets[i].domain));
        if (terminal)
            aligned(out, &sets[i]);
        else
            tabbed(out, &sets[i]);
        if (sets[i].pending.len)
            add_pending(out, &sets[i]);
    }
}
