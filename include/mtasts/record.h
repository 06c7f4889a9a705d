/* DNS: the values of the _mta-sts (RFC 8461 §3.1) and _smtp._tls (RFC 8460 §3) TXT records, policy
 * ids, and the record set of a tenant with its output formats (a table). */
#ifndef MTASTS_RECORD_H
#define MTASTS_RECORD_H

#include <time.h>

#include "mtasts/arena.h"
#include "mtasts/diag.h"
#include "mtasts/policy.h"

#define STS_ID_MAX 32 /* RFC 8461 §3.1 */

/* 1 to 32 of A-Z a-z 0-9 (RFC 8461 §3.1). */
bool sts_id_check(struct sts_str id);
/* YYYYMMDDhhmmss (UTC of `changed`) + first eight hex digits of the digest + "Z"; 23 characters
 * and a NUL. `changed` is clamped to the years 1970 to 9999. */
void sts_id_render(time_t changed, const unsigned char digest[STS_DIGEST_LEN],
                   char out[STS_ID_MAX + 1]);
/* The time an id of ours was made, or false when it is not of that form. */
bool sts_id_time(struct sts_str id, time_t *out);

/* The value of a TXT record: character-strings already joined (RFC 8461 §3.1). Errors are what
 * makes the record unusable, warnings what hurts some senders (codes "txt-...", "tlsrpt-..."). */
bool sts_txt_parse(struct sts_arena *arena, struct sts_str value, struct sts_str source,
                   struct sts_diags *diags, struct sts_str *id);
struct sts_tlsrpt {
    const struct sts_str *rua; /* URIs as written, RFC 8460 §3 */
    size_t rua_count;
};
bool sts_tlsrpt_parse(struct sts_arena *arena, struct sts_str value, struct sts_str source,
                      struct sts_diags *diags, struct sts_tlsrpt *out);
/* One rua URI: mailto: or https:, no unescaped , ! ; (RFC 8460 §3). Code "tlsrpt-uri...". */
bool sts_rua_check(struct sts_str uri, struct sts_pos where, struct sts_diags *diags);

/* Of all TXT values at one name, the single one that a sender selects (RFC 8461 §3.1: those that
 * begin "v=STSv1;", exactly one). `prefix` is "v=STSv1;" or "v=TLSRPTv1;". False with a diagnostic
 * when none or several remain. */
bool sts_txt_select(const struct sts_str *values, size_t count, struct sts_str prefix,
                    struct sts_pos where, struct sts_diags *diags, size_t *index);

/* "v=STSv1; id=ID;" and "v=TLSRPTv1; rua=U1,U2": the forms that every known sender accepts. Values
 * must have passed the checks above; this asserts it. */
void sts_txt_render(struct sts_buf *out, struct sts_str id);
void sts_tlsrpt_render(struct sts_buf *out, const struct sts_str *rua, size_t rua_count);

enum sts_rr_type { STS_RR_TXT, STS_RR_CNAME, STS_RR_A, STS_RR_AAAA, STS_RR_CAA };
const char *sts_rr_type_name(enum sts_rr_type type);

struct sts_record {
    struct sts_str owner; /* absolute name without the trailing dot */
    enum sts_rr_type type;
    uint32_t ttl;         /* seconds */
    struct sts_str value; /* TXT: the value, unquoted; CNAME: absolute without trailing dot;
                             A, AAAA: the address as text; CAA: the value of the property `issue`
                             (RFC 8659 §4.2), unquoted, flags 0 */
    const char *purpose;  /* a clause for people, static */
};

/* Who edits the zone that records are for. With delegation (RFC 8461 §8.2) a tenant has CNAMEs that
 * never change again, and everything else is in a zone of the provider. */
enum sts_side { STS_SIDE_TENANT, STS_SIDE_PROVIDER };

/* What is to be done for a tenant, and from when on, beside its records. */
enum sts_step_state {
    STS_STEP_DONE, /* `at`: since when */
    STS_STEP_NOW,  /* may be done, or waits for somebody; `at`: since when, or 0 */
    STS_STEP_WAIT, /* `at`: the earliest time at which it is safe; 0: not before another step */
};
struct sts_step {
    enum sts_step_state state;
    const char *code; /* static, kebab-case */
    time_t at;        /* 0: not known */
    struct sts_str text;
};

/* All records of one tenant on one side, in the order in which they should be published; records
 * of one name and type stand together. */
struct sts_record_set {
    struct sts_str domain;
    struct sts_str zone;    /* that the records belong to */
    struct sts_str id;      /* empty while no id is committed */
    struct sts_str pending; /* why the _mta-sts record is not among the records, or empty */
    bool withdrawn; /* no tenant any more: what was announced, the only record, is to be removed */
    const struct sts_record *records;
    size_t count;
    /* For people; NULL or 0 when not known. */
    const char *state; /* "served", "kept", "retiring", "no-certificate" */
    const char *mode;  /* of the policy that is served */
    uint32_t max_age;  /* seconds */
    const struct sts_step *steps;
    size_t step_count;
};

/* Certificates for mta-sts.<domain> may be issued by these alone (RFC 8659, RFC 8657 §3). */
struct sts_caa {
    struct sts_str issuer;      /* canonical domain */
    struct sts_str account_uri; /* sts_caa_check_uri, or empty */
};
/* Printable ASCII that can stand in a CAA value: no blank, semicolon, quote or backslash. */
bool sts_caa_check_uri(struct sts_str uri);

/* What a record set is made from. */
struct sts_record_input {
    struct sts_str domain;
    struct sts_str id;              /* empty: no _mta-sts TXT is made */
    struct sts_str pending;         /* goes into the set as it is */
    struct sts_str zone;            /* of the tenant's records; empty: sts_domain_zone(domain) */
    struct sts_str delegation_zone; /* of the provider's; empty: the tenant has all records */
    enum sts_side side;
    uint32_t ttl_host, ttl_tls_reports, ttl_id, ttl_caa; /* seconds */
    struct sts_str policy_host;      /* CNAME target of mta-sts.<domain>, or empty */
    const struct sts_str *addresses; /* A/AAAA of mta-sts.<domain> when there is no policy_host */
    size_t address_count;
    const struct sts_caa *caa; /* not used with a policy_host: there the CAA of that name counts */
    size_t caa_count;
    const struct sts_str *rua;
    size_t rua_count;
};
/* Without records on the provider's side when nothing is delegated, and when a name would be too
 * long for it: then all records are the tenant's. */
void sts_record_set_make(struct sts_arena *arena, const struct sts_record_input *in,
                         struct sts_record_set *out);
/* Whether the names below the delegation zone are not too long (RFC 1035 §2.3.4). */
bool sts_record_can_delegate(struct sts_str domain, struct sts_str delegation_zone);

/* Where a format stands in its output. */
struct sts_format_context {
    bool terminal; /* people read it: columns are aligned */
    bool relative; /* names relative to the zone, where the format leaves the choice */
    time_t now;
    size_t index;                /* sets before this one */
    bool zone_begins, zone_ends; /* this set is the first, the last of its zone */
    size_t *batch; /* the format's own, 0 at the beginning: how full its present document is */
};

/* An output format: one file. Sets come one by one, those of one zone together, so that a million
 * of them need no more memory than one. */
struct sts_record_format {
    const char *name;
    const char *description; /* one clause for --help */
    void (*set)(struct sts_buf *out, const struct sts_format_context *c,
                const struct sts_record_set *set);
    void (*begin)(struct sts_buf *out, const struct sts_format_context *c); /* NULL: nothing */
    void (*end)(struct sts_buf *out, const struct sts_format_context *c);   /* index: all sets */
    bool with_steps; /* it shows the steps of each set, so they are worth looking for */
};
extern const struct sts_record_format sts_record_formats[]; /* ends with name NULL */
const struct sts_record_format *sts_record_format_find(struct sts_str name);

#endif
