/* A script for sh(1) that runs knotc(8) of Knot DNS, a transaction a zone: all of it or nothing.
 *
 * Not input for knotc itself: reading commands it goes on after an error, to the commit, and even
 * into somebody else's transaction; and it ends with 0. Data is as in zone files, one word of sh in
 * single quotes. A record withdrawn is removed only with the value that we announced. */
#include "server/dns/format.h"

void format_knot_begin(struct sts_buf *out, const struct sts_format_context *c)
{
    (void)c;
    sts_buf_add_cstr(out, "set -eu\n"
                          "trap 'exit 1' HUP INT TERM\n"
                          "# OWNER TYPE [DATA], if it is there: removing nothing is an error\n"
                          "remove() {\n"
                          "    if found=$(knotc zone-get \"$zone\" \"$1\" \"$2\"); then\n"
                          "        case $found in *\"${3-[}\"*) "
                          "knotc zone-unset \"$zone\" \"$@\" ;; esac\n"
                          "    fi\n"
                          "}\n");
}

static void add_remove(struct sts_buf *out, const struct sts_record *r, const char *type)
{
    sts_buf_printf(out, "remove '%.*s.' %s", STS_ARG(r->owner), type);
}

static void remove_old(struct sts_buf *out, const struct sts_record_set *set,
                       const struct sts_record *r)
{
    for (int type = STS_RR_TXT; type <= STS_RR_CAA; type++) {
        if (!format_replaces(set, r->owner, (enum sts_rr_type)type))
            continue;
        add_remove(out, r, sts_rr_type_name((enum sts_rr_type)type));
        sts_buf_add(out, STS_STR("\n"));
    }
}

static void format_knot_add_record(struct sts_buf *out, const struct sts_record_set *set, size_t i)
{
    const struct sts_record *r = &set->records[i];

    if (set->withdrawn) {
        add_remove(out, r, sts_rr_type_name(r->type));
    } else {
        if (format_owner_begins(set, i))
            remove_old(out, set, r);
        sts_buf_printf(out, "knotc zone-set \"$zone\" '%.*s.' %u %s", STS_ARG(r->owner), r->ttl,
                       sts_rr_type_name(r->type));
    }
    sts_buf_add(out, STS_STR(" "));
    format_add_rdata_sh(out, r);
    sts_buf_add(out, STS_STR("\n"));
}

void format_knot(struct sts_buf *out, const struct sts_format_context *c,
                 const struct sts_record_set *set)
{
    if (c->zone_begins)
        sts_buf_printf(out,
                       "\nzone='%.*s.'\n"
                       "knotc zone-begin \"$zone\"\n"
                       "trap 'knotc zone-abort \"$zone\"' EXIT\n",
                       STS_ARG(set->zone));
    sts_buf_printf(out, "# %.*s\n", STS_ARG(set->domain));
    format_add_pending(out, "# ", set);
    for (size_t i = 0; i < set->count; i++)
        format_knot_add_record(out, set, i);
    if (c->zone_ends)
        sts_buf_add_cstr(out, "knotc zone-commit \"$zone\"\ntrap - EXIT\n");
}
