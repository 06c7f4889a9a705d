/* Comma-separated values (RFC 4180) for spreadsheets and scripts, with a header line. A field with
 * a comma or a quote stands in quotes, quotes in it are doubled. Lines end with LF, which every
 * reader takes.
 *
 * status: "publish"; "remove" for the record of a withdrawn set; "pending" with the reason as note,
 * and no record, when the _mta-sts record is not ready. */
#include <string.h>

#include "server/dns/format.h"

static void format_csv_add_field(struct sts_buf *out, struct sts_str s)
{
    bool quoted = false;

    for (size_t i = 0; i < s.len; i++)
        quoted = quoted || strchr(",\"\n", s.ptr[i]);
    sts_buf_add_cstr(out, quoted ? "\"" : "");
    for (size_t i = 0; i < s.len; i++)
        sts_buf_printf(out, "%s%c", s.ptr[i] == '"' ? "\"" : "", s.ptr[i]);
    sts_buf_add_cstr(out, quoted ? "\"," : ",");
}

void format_csv_begin(struct sts_buf *out, const struct sts_format_context *c)
{
    (void)c;
    sts_buf_add(out, STS_STR("zone,name,relative_name,type,ttl,value,domain,status,note\n"));
}

static void format_csv_add_pending(struct sts_buf *out, const struct sts_record_set *set)
{
    struct sts_buf reason = {0};

    sts_buf_add_escaped(&reason, set->pending, 1000);
    format_csv_add_field(out, set->zone);
    sts_buf_add(out, STS_STR(",,,,,"));
    format_csv_add_field(out, set->domain);
    sts_buf_add(out, STS_STR("pending,"));
    format_csv_add_field(out, sts_buf_str(&reason));
    out->ptr[out->len - 1] = '\n';
    sts_buf_fini(&reason);
}

void format_csv(struct sts_buf *out, const struct sts_format_context *c,
                const struct sts_record_set *set)
{
    (void)c;
    for (size_t i = 0; i < set->count; i++) {
        const struct sts_record *r = &set->records[i];
        format_csv_add_field(out, set->zone);
        format_csv_add_field(out, r->owner);
        format_csv_add_field(out, format_relative(r->owner, set->zone));
        sts_buf_printf(out, "%s,%u,", sts_rr_type_name(r->type), r->ttl);
        format_csv_add_field(out, r->value);
        format_csv_add_field(out, set->domain);
        sts_buf_printf(out, "%s,%s\n", set->withdrawn ? "remove" : "publish", r->purpose);
    }
    if (set->pending.len)
        format_csv_add_pending(out, set);
}
