/* Terraform and OpenTofu (HCL, "Expressions: Strings and Templates"), for three providers:
 *
 *   terraform-aws         aws_route53_record: one resource a record set. The provider itself puts
 *                         the outer quotes around TXT: a value of several strings is a" "b.
 *   terraform-cloudflare  cloudflare_dns_record (provider 5): one resource a record, so addresses
 *                         and CAA have for_each. TXT in quotes, as the API wants it; no dot behind
 *                         names; a TTL of 60 seconds to a day.
 *   terraform-google      google_dns_record_set: one resource a record set, data as in a zone file.
 *
 * In strings " and \ take a backslash, ${ and %{ a second $ and %. A resource is named by owner and
 * type, with dots as underscores, so that names stay when others come and go. A zone is found by a
 * data source or, for Google, where its name is anybody's choice, given by a variable; each comes
 * once. What is pending is a comment; withdrawn is left out. The layout is that of `terraform fmt`.
 */
#include "server/dns/format.h"

enum { AWS_WIDTH = 7, GOOGLE_WIDTH = 12, CLOUDFLARE_WIDTH = 7 }; /* of the longest argument */

struct provider {
    const char *resource; /* its type */
    int width;
    const char *zone, *from, *member; /* argument = from.zone_NAMEmember */
    void (*add_zone)(struct sts_buf *out, struct sts_str zone);
    /* The arguments of a resource but the zone. */
    void (*add_rrset)(struct sts_buf *out, const struct sts_record *r, size_t count);
};

static void format_terraform_add_string(struct sts_buf *out, struct sts_str s)
{
    struct sts_buf literal = {0};

    format_add_literal(&literal, s);
    for (size_t i = 0; i < literal.len; i++) {
        struct sts_str one = sts_str_sub(sts_buf_str(&literal), i, i + 1);
        bool opens = i + 1 < literal.len && literal.ptr[i + 1] == '{';
        if (opens && (*one.ptr == '$' || *one.ptr == '%'))
            sts_buf_add(out, one);
        sts_buf_add(out, one);
    }
    sts_buf_fini(&literal);
}

/* Dots become underscores, which no domain has: different names stay different. */
static void add_identifier(struct sts_buf *out, struct sts_str name)
{
    for (size_t i = 0; i < name.len; i++)
        sts_buf_printf(out, "%c", name.ptr[i] == '.' ? '_' : name.ptr[i]);
}

static void add_lower(struct sts_buf *out, const char *s)
{
    for (; *s; s++)
        sts_buf_printf(out, "%c", sts_lower(*s));
}

static void add_list(struct sts_buf *out, const struct sts_record *r, size_t count,
                     void (*add_data)(struct sts_buf *out, const struct sts_record *r))
{
    sts_buf_add(out, STS_STR("["));
    for (size_t i = 0; i < count; i++) {
        sts_buf_add_cstr(out, i ? ", " : "");
        add_data(out, &r[i]);
    }
    sts_buf_add(out, STS_STR("]"));
}

static void add_rdata(struct sts_buf *out, const struct sts_record *r)
{
    struct sts_buf data = {0};

    format_add_rdata(&data, r);
    format_terraform_add_string(out, sts_buf_str(&data));
    sts_buf_fini(&data);
}

static void add_rdata_without_quotes(struct sts_buf *out, const struct sts_record *r)
{
    struct sts_buf data = {0};

    format_add_rdata(&data, r);
    format_terraform_add_string(out, r->type == STS_RR_TXT
                                         ? sts_str_sub(sts_buf_str(&data), 1, data.len - 1)
                                         : sts_buf_str(&data));
    sts_buf_fini(&data);
}

static void format_terraform_add_value(struct sts_buf *out, const struct sts_record *r)
{
    format_terraform_add_string(out, r->value);
}

/* The arguments that all have. */
static void add_common(struct sts_buf *out, const struct sts_record *r, int width, const char *dot,
                       uint32_t ttl)
{
    sts_buf_printf(out, "  %-*s = \"%.*s%s\"\n", width, "name", STS_ARG(r->owner), dot);
    sts_buf_printf(out, "  %-*s = \"%s\"\n", width, "type", sts_rr_type_name(r->type));
    sts_buf_printf(out, "  %-*s = %u\n", width, "ttl", ttl);
}

static void add_aws_zone(struct sts_buf *out, struct sts_str zone)
{
    sts_buf_add(out, STS_STR("data \"aws_route53_zone\" \"zone_"));
    add_identifier(out, zone);
    sts_buf_printf(out, "\" {\n  name = \"%.*s\"\n}\n", STS_ARG(zone));
}

static void add_aws(struct sts_buf *out, const struct sts_record *r, size_t count)
{
    add_common(out, r, AWS_WIDTH, "", r->ttl);
    sts_buf_add(out, STS_STR("  records = "));
    add_list(out, r, count, add_rdata_without_quotes);
    sts_buf_add(out, STS_STR("\n"));
}

static void add_google_zone(struct sts_buf *out, struct sts_str zone)
{
    sts_buf_add(out, STS_STR("variable \"zone_"));
    add_identifier(out, zone);
    sts_buf_printf(out,
                   "\" {\n  description = \"name of the managed zone of %.*s\"\n"
                   "  type        = string\n}\n",
                   STS_ARG(zone));
}

static void add_google(struct sts_buf *out, const struct sts_record *r, size_t count)
{
    add_common(out, r, GOOGLE_WIDTH, ".", r->ttl);
    sts_buf_add(out, STS_STR("  rrdatas      = "));
    add_list(out, r, count, add_rdata);
    sts_buf_add(out, STS_STR("\n"));
}

static void add_cloudflare_zone(struct sts_buf *out, struct sts_str zone)
{
    sts_buf_add(out, STS_STR("data \"cloudflare_zone\" \"zone_"));
    add_identifier(out, zone);
    sts_buf_printf(out, "\" {\n  filter = {\n    name = \"%.*s\"\n  }\n}\n", STS_ARG(zone));
}

static bool has_many(const struct sts_record *r)
{
    return r->type != STS_RR_TXT && r->type != STS_RR_CNAME;
}

/* One resource holds one record, known by its value when a name can have several. */
static void add_cloudflare(struct sts_buf *out, const struct sts_record *r, size_t count)
{
    (void)count;
    add_common(out, r, CLOUDFLARE_WIDTH, "", format_cloudflare_ttl(r->ttl));
    sts_buf_add(out, STS_STR("  proxied = false\n"));
    if (r->type == STS_RR_CAA)
        sts_buf_add(out, STS_STR("  data    = { flags = 0, tag = \"issue\", value = each.value }"));
    else
        sts_buf_add(out, STS_STR("  content = "));
    if (r->type == STS_RR_TXT)
        add_rdata(out, r);
    else if (r->type == STS_RR_CNAME)
        format_terraform_add_value(out, r);
    else if (r->type != STS_RR_CAA)
        sts_buf_add(out, STS_STR("each.value"));
    sts_buf_add(out, STS_STR("\n"));
}

static const struct provider
    aws = {"aws_route53_record", AWS_WIDTH,    "zone_id", "data.aws_route53_zone",
           ".zone_id",           add_aws_zone, add_aws},
    cloudflare = {"cloudflare_dns_record", CLOUDFLARE_WIDTH, "zone_id",
                  "data.cloudflare_zone",  ".zone_id",       add_cloudflare_zone,
                  add_cloudflare},
    google = {"google_dns_record_set", GOOGLE_WIDTH, "managed_zone", "var", "",
              add_google_zone,         add_google};

static void add_resource(struct sts_buf *out, const struct provider *p,
                         const struct sts_record_set *set, size_t from, size_t count)
{
    const struct sts_record *r = &set->records[from];

    sts_buf_add(out, STS_STR("\n"));
    if (p == &cloudflare && format_cloudflare_ttl(r->ttl) != r->ttl)
        sts_buf_printf(out, "# a TTL of %u is not possible here\n", r->ttl);
    sts_buf_printf(out, "resource \"%s\" \"", p->resource);
    add_identifier(out, r->owner);
    sts_buf_add(out, STS_STR("_"));
    add_lower(out, sts_rr_type_name(r->type));
    sts_buf_add(out, STS_STR("\" {\n"));
    if (p == &cloudflare && has_many(r)) {
        sts_buf_add(out, STS_STR("  for_each = toset("));
        add_list(out, r, count, format_terraform_add_value);
        sts_buf_add(out, STS_STR(")\n\n"));
    }
    sts_buf_printf(out, "  %-*s = %s.zone_", p->width, p->zone, p->from);
    add_identifier(out, set->zone);
    sts_buf_printf(out, "%s\n", p->member);
    p->add_rrset(out, r, count);
    sts_buf_add(out, STS_STR("}\n"));
}

static void format_terraform(struct sts_buf *out, const struct sts_format_context *c,
                             const struct provider *p, const struct sts_record_set *set)
{
    if (c->zone_begins) {
        sts_buf_add_cstr(out, c->index ? "\n" : "");
        p->add_zone(out, set->zone);
    }
    format_add_pending(out, "\n# ", set);
    format_add_withdrawn(out, "\n# ", set);
    for (size_t i = 0, count; !set->withdrawn && i < set->count; i += count) {
        count = format_rrset(set, i);
        add_resource(out, p, set, i, count);
    }
}

void format_terraform_aws(struct sts_buf *out, const struct sts_format_context *c,
                          const struct sts_record_set *set)
{
    format_terraform(out, c, &aws, set);
}

void format_terraform_cloudflare(struct sts_buf *out, const struct sts_format_context *c,
                                 const struct sts_record_set *set)
{
    format_terraform(out, c, &cloudflare, set);
}

void format_terraform_google(struct sts_buf *out, const struct sts_format_context *c,
                             const struct sts_record_set *set)
{
    format_terraform(out, c, &google, set);
}
