/* Output formats of record sets: one file each, listed in format.c. What several of them need is
 * here: quoting as in zone files, names relative to a zone, records of one name and type. */
#ifndef MTASTS_DNS_FORMAT_H
#define MTASTS_DNS_FORMAT_H

#include "mtasts/record.h"

typedef void format_set(struct sts_buf *out, const struct sts_format_context *c,
                        const struct sts_record_set *set);
typedef void format_edge(struct sts_buf *out, const struct sts_format_context *c);

format_set format_table, format_bind, format_json;
format_edge format_json_begin, format_json_end;
format_set format_nsupdate, format_knot, format_powerdns;
format_edge format_knot_begin, format_powerdns_begin;
format_set format_html;
format_edge format_html_begin, format_html_end;
format_set format_csv, format_octodns, format_dnscontrol, format_route53, format_cloudflare;
format_set format_terraform_aws, format_terraform_cloudflare, format_terraform_google;
format_set format_markdown;
format_edge format_csv_begin;

/* `value` in quotes, as strings of at most 255 octets with a blank between: TXT data in zone files
 * (RFC 1035 §5.1) and in what takes their syntax. */
void format_add_txt(struct sts_buf *out, struct sts_str value);
/* The data of a record as in a zone file: absolute names with a dot, TXT and CAA in quotes. */
void format_add_rdata(struct sts_buf *out, const struct sts_record *r);
/* The whole record as in a zone file, without a line end. `name`: its owner, absolute or as
 * format_relative gives it. */
void format_add_line(struct sts_buf *out, struct sts_str name, const struct sts_record *r);

/* The name as seen from the zone: without it, "@" for the zone itself; absolute names, without the
 * final dot, stay when they are outside of it. */
struct sts_str format_relative(struct sts_str name, struct sts_str zone);
/* How many records from this one on have its name and type. */
size_t format_rrset(const struct sts_record_set *set, size_t from);

/* "PREFIX_mta-sts.DOMAIN is pending: WHY" and a line end, when there is a reason: a comment in most
 * formats, and one line whatever the reason says. */
void format_add_pending(struct sts_buf *out, const char *prefix, const struct sts_record_set *set);
/* "PREFIXremove NAME TYPE DATA, because DOMAIN is no tenant any more" and a line end, for each
 * record of a withdrawn set: a comment in formats that list what should be there. */
void format_add_withdrawn(struct sts_buf *out, const char *prefix,
                          const struct sts_record_set *set);

/* For formats that change a zone (format_replace.c). */
bool format_owner_begins(const struct sts_record_set *set, size_t i); /* the first of its name */
bool format_has(const struct sts_record_set *set, struct sts_str owner, enum sts_rr_type type);
bool format_is_host(struct sts_str owner); /* mta-sts.SOMETHING, which has addresses or a CNAME */
/* Whether what the zone has of this name and type goes when the set comes: also what the name had
 * in place of it, as the CNAME of an earlier delegation. */
bool format_replaces(const struct sts_record_set *set, struct sts_str owner, enum sts_rr_type type);
/* One word for sh(1) in single quotes, whatever is in it. */
void format_add_sh(struct sts_buf *out, struct sts_str word);
void format_add_rdata_sh(struct sts_buf *out, const struct sts_record *r);
/* `s` in double quotes, with a backslash in front of " and \: C-like literals. */
void format_add_literal(struct sts_buf *out, struct sts_str s);
/* What Cloudflare takes: 60 seconds to a day (API reference, DNS records, ttl). */
uint32_t format_cloudflare_ttl(uint32_t ttl);

/* Documents of a limited size, for tools that take only so much at once: one a line, and what they
 * begin and end with. c->batch holds how full the present one is. */
struct format_batch {
    const char *name; /* the key of the list that is filled */
    size_t limit;
};
/* To be called before a part of the list: ends a document that is too full for `cost` more, begins
 * one if there is none, or writes the comma. `head` comes first in each: members with a comma. What
 * costs nothing stays with what came before. */
void format_batch_next(struct sts_buf *out, const struct sts_format_context *c,
                       const struct format_batch *batch, struct sts_str head, size_t cost);
void format_batch_end(struct sts_buf *out, const struct sts_format_context *c);

#endif
