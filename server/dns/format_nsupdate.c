/* Input of nsupdate(1) and knsupdate(1): dynamic updates (RFC 2136), data as in zone files.
 *
 * One transaction a zone. What a name of ours can have is deleted and what it should have added, so
 * that a second run changes nothing. A server passes over a CNAME beside other records and over
 * what is below a zone cut without a word (RFC 2136 §3.4.2.2), so prerequisites refuse both.
 * A record withdrawn is deleted only with the value that we announced.
 *
 * A transaction is one message of at most 65535 octets: it ends after SETS_MAX tenants, and who
 * needs more than SET_MAX octets has one alone. */
#include "server/dns/format.h"

enum { SETS_MAX = 16, SET_MAX = 3800, LINES_MAX = 8, FIXED = 32, STRING_MAX = 255 };

/* Octets of the set in a message, at most: names are counted as if nothing compressed them. */
static size_t message_size(const struct sts_record_set *set)
{
    size_t size = 0;

    for (size_t i = 0; i < set->count; i++) {
        const struct sts_record *r = &set->records[i];
        size_t lines = format_owner_begins(set, i) ? LINES_MAX : 1;
        size += lines * (r->owner.len + FIXED) + r->value.len + r->value.len / STRING_MAX;
    }
    return size;
}

static void format_nsupdate_add_line(struct sts_buf *out, const char *command, struct sts_str owner,
                                     const char *type)
{
    sts_buf_printf(out, "%s %.*s. %s\n", command, STS_ARG(owner), type);
}

static void format_nsupdate_prerequisites(struct sts_buf *out, const struct sts_record_set *set,
                                          struct sts_str owner)
{
    if (!sts_str_eq(owner, set->zone))
        format_nsupdate_add_line(out, "prereq nxrrset", owner, "NS");
    if (!format_has(set, owner, STS_RR_CNAME))
        return;
    format_nsupdate_add_line(out, "prereq nxrrset", owner, "MX");
    if (format_is_host(owner))
        format_nsupdate_add_line(out, "prereq nxrrset", owner, "TXT");
}

static void delete_old(struct sts_buf *out, const struct sts_record_set *set, struct sts_str owner)
{
    for (int type = STS_RR_TXT; type <= STS_RR_CAA; type++)
        if (format_replaces(set, owner, (enum sts_rr_type)type))
            format_nsupdate_add_line(out, "update delete", owner,
                                     sts_rr_type_name((enum sts_rr_type)type));
}

static void format_nsupdate_update(struct sts_buf *out, const struct sts_record_set *set, size_t i)
{
    const struct sts_record *r = &set->records[i];

    if (set->withdrawn) {
        sts_buf_printf(out, "update delete %.*s. %s ", STS_ARG(r->owner),
                       sts_rr_type_name(r->type));
    } else {
        if (format_owner_begins(set, i)) {
            format_nsupdate_prerequisites(out, set, r->owner);
            delete_old(out, set, r->owner);
        }
        sts_buf_printf(out, "update add %.*s. %u %s ", STS_ARG(r->owner), r->ttl,
                       sts_rr_type_name(r->type));
    }
    format_add_rdata(out, r);
    sts_buf_add(out, STS_STR("\n"));
}

static void open_if(bool now, struct sts_buf *out, const struct sts_record_set *set)
{
    if (now)
        sts_buf_printf(out, "zone %.*s.\n", STS_ARG(set->zone));
}

static void send_if(bool now, struct sts_buf *out)
{
    if (now)
        sts_buf_add(out, STS_STR("send\n"));
}

void format_nsupdate(struct sts_buf *out, const struct sts_format_context *c,
                     const struct sts_record_set *set)
{
    bool alone = message_size(set) > SET_MAX;
    bool first = c->zone_begins || c->index % SETS_MAX == 0;
    bool last = c->zone_ends || c->index % SETS_MAX == SETS_MAX - 1;

    send_if(alone && !first, out);
    open_if(alone || first, out, set);
    sts_buf_printf(out, "; %.*s\n", STS_ARG(set->domain));
    format_add_pending(out, "; ", set);
    for (size_t i = 0; i < set->count; i++)
        format_nsupdate_update(out, set, i);
    send_if(alone || last, out);
    open_if(alone && !last, out, set);
}
