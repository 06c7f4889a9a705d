/* Import: policies that exist as files into tenants in YAML. Shared by the files of `import`. */
#ifndef MTASTS_CLI_IMPORT_H
#define MTASTS_CLI_IMPORT_H

#include "mtasts/policy.h"
#include "mtasts/record.h"

struct import_tenant {
    struct sts_str domain; /* canonical */
    struct sts_str path;   /* of its file */
    struct sts_policy policy;
    unsigned char digest[STS_DIGEST_LEN];
    struct sts_str id; /* announced by the zone file, or empty */
    size_t shared;     /* number of the named policy it shares with others, or 0 */
};

/* --- import_find.c --- */
/* A file that may be a policy; `body` is borrowed for the visit. */
typedef void import_visit(void *data, struct sts_str path, struct sts_str body);
/* Visits FILE, or the files of DIR in the layouts that import_domain knows, in the order of their
 * names. Links in DIR are not followed. False when something given cannot be read. */
bool import_find(struct sts_arena *arena, const char *name, struct sts_diags *diags,
                 import_visit *visit, void *data);
/* The policy domain that a path says: .../mta-sts.DOMAIN/.well-known/mta-sts.txt,
 * mta-sts.DOMAIN.txt or DOMAIN.txt. */
bool import_domain(struct sts_arena *arena, struct sts_str path, struct sts_diags *diags,
                   struct sts_str *out);

/* --- import_zone.c --- */
struct zone_value {
    struct sts_str domain; /* that the record _mta-sts.DOMAIN is for */
    struct sts_str text;   /* of the TXT record, strings joined; not used for a CNAME */
    struct sts_pos where;
    bool is_alias;
};
struct zone {
    struct zone_value *values; /* sorted by domain, then as in the file */
    size_t count;
    struct sts_str *apexes; /* where the zones in the file begin */
    size_t apex_count;
};
/* All _mta-sts records of a master file (RFC 1035 §5). False when it cannot be read. */
bool zone_read(struct sts_arena *arena, const char *path, struct sts_diags *diags,
               struct zone *out);
/* Sets the ids of tenants (sorted by domain), and says where records and policies do not fit. */
void zone_match(struct sts_arena *arena, const struct zone *zone, const char *path,
                struct import_tenant *tenants, size_t count, struct sts_diags *diags);

/* --- import_yaml.c --- */
/* Tenants sorted by domain; policies that several share become named ones. */
void import_yaml(struct sts_buf *out, struct sts_arena *arena, struct import_tenant *tenants,
                 size_t count);

#endif
