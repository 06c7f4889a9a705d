/* octoDNS: the file of a zone for its YamlProvider ("Records" in the octoDNS documentation).
 * Several zones are several documents, each with the name of its file.
 *
 * A key is the name relative to the zone ('' for the zone itself), its value one record set, or a
 * list when there are several types. Strings are YAML's in single quotes, where only ' is doubled;
 * octoDNS wants ; in TXT escaped as \;, splits long ones itself, and wants keys in order
 * (enforce_order): they are within a tenant. What is pending is a comment; withdrawn is left out.
 */
#include "server/dns/format.h"

static void format_octodns_add_string(struct sts_buf *out, struct sts_str s, bool txt)
{
    sts_buf_add(out, STS_STR("'"));
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '\'')
            sts_buf_add(out, STS_STR("'"));
        if (txt && s.ptr[i] == ';')
            sts_buf_add(out, STS_STR("\\"));
        sts_buf_printf(out, "%c", s.ptr[i]);
    }
    sts_buf_add(out, STS_STR("'"));
}

static void format_octodns_add_value(struct sts_buf *out, const struct sts_record *r)
{
    struct sts_buf name = {0};

    switch (r->type) {
    case STS_RR_CNAME:
        sts_buf_printf(&name, "%.*s.", STS_ARG(r->value));
        format_octodns_add_string(out, sts_buf_str(&name), false);
        break;
    case STS_RR_CAA:
        sts_buf_add(out, STS_STR("{flags: 0, tag: issue, value: "));
        format_octodns_add_string(out, r->value, false);
        sts_buf_add(out, STS_STR("}"));
        break;
    case STS_RR_TXT:
    case STS_RR_A:
    case STS_RR_AAAA:
        format_octodns_add_string(out, r->value, r->type == STS_RR_TXT);
        break;
    }
    sts_buf_add(out, STS_STR("\n"));
    sts_buf_fini(&name);
}

static void add_rrset(struct sts_buf *out, const struct sts_record *r, size_t count, bool in_list)
{
    sts_buf_printf(out, "  %sttl: %u\n", in_list ? "- " : "", r->ttl);
    const char *indent = in_list ? "    " : "  ";
    sts_buf_printf(out, "%stype: %s\n", indent, sts_rr_type_name(r->type));
    sts_buf_printf(out, count == 1 ? "%svalue: " : "%svalues:\n", indent);
    for (size_t i = 0; i < count; i++) {
        if (count > 1)
            sts_buf_printf(out, "%s- ", indent);
        format_octodns_add_value(out, &r[i]);
    }
}

/* All records of a name, under its key. */
static void format_octodns_add_name(struct sts_buf *out, const struct sts_record_set *set,
                                    struct sts_str owner)
{
    struct sts_str key = format_relative(owner, set->zone);
    size_t rrsets = 0;

    if (sts_str_is(key, "@"))
        key.len = 0;
    for (size_t i = 0; i < set->count; i += format_rrset(set, i))
        rrsets += sts_str_eq(set->records[i].owner, owner);
    format_octodns_add_string(out, key, false);
    sts_buf_add(out, STS_STR(":\n"));
    for (size_t i = 0; i < set->count; i += format_rrset(set, i))
        if (sts_str_eq(set->records[i].owner, owner))
            add_rrset(out, &set->records[i], format_rrset(set, i), rrsets > 1);
}

/* The next name behind `last`, or NULL. */
static const struct sts_str *format_octodns_next_name(const struct sts_record_set *set,
                                                      struct sts_str last)
{
    const struct sts_str *next = NULL;

    for (size_t i = 0; i < set->count; i++) {
        const struct sts_str *owner = &set->records[i].owner;
        if (sts_str_cmp(*owner, last) > 0 && (!next || sts_str_cmp(*owner, *next) < 0))
            next = owner;
    }
    return next;
}

void format_octodns(struct sts_buf *out, const struct sts_format_context *c,
                    const struct sts_record_set *set)
{
    if (c->zone_begins) {
        sts_buf_printf(out, "---\n# %.*s.yaml\n", STS_ARG(set->zone));
        if (!c->zone_ends)
            sts_buf_add(out,
                        STS_STR("# several tenants: the provider needs enforce_order: false\n"));
    }
    format_add_pending(out, "# ", set);
    format_add_withdrawn(out, "# ", set);
    if (set->withdrawn)
        return;
    const struct sts_str *owner = format_octodns_next_name(set, (struct sts_str){0});
    for (; owner; owner = format_octodns_next_name(set, *owner))
        format_octodns_add_name(out, set, *owner);
}
