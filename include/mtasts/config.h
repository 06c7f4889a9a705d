/* The configuration: YAML bytes to values, with the place of each value kept.
 *
 * One YAML file becomes one source (shard): its own arena, policies, tenants, diagnostics. The
 * main file additionally holds the settings. Sources are immutable after parsing and are shared
 * between snapshots by reference count. Named policies may live in another source, so a tenant is
 * resolved against all sources later (sts_tenant_resolve). */
#ifndef MTASTS_CONFIG_H
#define MTASTS_CONFIG_H

#include "mtasts/arena.h"
#include "mtasts/diag.h"
#include "mtasts/policy.h"
#include "mtasts/record.h"

#define STS_HOST_LABEL "mta-sts." /* of the host that serves the policy, RFC 8461 §3.2 */
#define STS_SOURCE_MAX (8u << 20) /* bytes of one YAML file */

/* One `listen` entry. */
struct sts_listen {
    struct sts_pos where;
    struct sts_str address; /* as written: "[::]:443", "192.0.2.1:443", "unix:/path" */
    struct sts_str host;    /* numeric address without brackets, or the path of a unix socket */
    uint16_t port;          /* 0: any free one */
    bool is_unix;
    bool tls;            /* default true */
    bool proxy_protocol; /* default false; PROXY protocol v1 expected on each connection */
};

struct sts_path {
    struct sts_pos where;
    struct sts_str path; /* as written; relative to the main file's directory */
};

/* Settings of the main file; every field has its default when absent. */
struct sts_settings {
    const struct sts_listen *listen;
    size_t listen_count;
    const struct sts_path *certificates;
    size_t certificate_count;
    const struct sts_path *include; /* glob patterns */
    size_t include_count;
    struct sts_path ledger;
    const struct sts_str *tls_reports; /* contact.tls_reports: default rua URIs of every tenant */
    size_t tls_report_count;
    struct sts_str policy_host;      /* records.policy_host: canonical domain, or empty */
    const struct sts_str *addresses; /* records.addresses: IPv4/IPv6 literals */
    size_t address_count;
    uint32_t ttl;                                        /* records.ttl, seconds; default 300 */
    uint32_t ttl_host, ttl_tls_reports, ttl_id, ttl_caa; /* records.ttls; 0: as ttl */
    struct sts_str delegation_zone; /* records.delegation_zone: canonical domain, or empty */
    const struct sts_caa *caa;
    size_t caa_count;
    bool strict;                     /* any error refuses the whole configuration */
    uint32_t workers;                /* 0: one a core */
    uint32_t max_connections;        /* in all; lowered to what the descriptor limit allows */
    uint32_t max_connections_per_ip; /* 0: no limit */
    uint32_t certificate_cache;      /* MiB */
    uint32_t handshake_timeout, request_timeout, idle_timeout, lifetime, shutdown_timeout; /* s */
    bool access_log;               /* default true: one line per request */
    uint32_t settle, settle_limit; /* reload.*: milliseconds without a further event, and at most */
    uint32_t rescan;               /* reload.rescan: seconds between looks without an event */
    const struct sts_str *on_change; /* program (an absolute path) and its arguments, no shell */
    size_t on_change_count;          /* 0: none */
    struct sts_pos on_change_where;
    uint32_t on_change_timeout; /* seconds */
};

/* A policy as written: each field may be absent. Used for `policies:` entries and tenants. */
struct sts_policy_decl {
    bool has_mode, has_max_age, has_mx;
    struct sts_policy policy; /* mx canonical: sorted bytewise, without duplicates */
    struct sts_pos mode_where, max_age_where;
    const struct sts_pos *mx_where; /* per mx */
};

struct sts_named_policy {
    struct sts_pos where;
    struct sts_str name;
    struct sts_policy_decl decl;
    bool broken; /* an error in it was reported; tenants that use it cannot be served */
};

/* What a tenant says. Those that only name a policy share one of these. */
struct sts_tenant_terms {
    struct sts_str policy_name;  /* `policy:`, or empty */
    struct sts_policy_decl decl; /* fields here override the named policy's */
    bool has_tls_reports;
    const struct sts_str *tls_reports; /* overrides contact.tls_reports; may be empty */
    size_t tls_report_count;
};

/* A place in the file of the source. */
struct sts_place {
    uint32_t line, column;
};

/* There may be a million. */
struct sts_tenant_decl {
    struct sts_str domain; /* canonical policy domain, and before it in memory: STS_HOST_LABEL */
    const struct sts_tenant_terms *terms; /* never NULL */
    struct sts_place where;
    struct sts_place policy_where; /* of the policy's name */
    bool retire;                   /* serve mode none and max_age 86400 instead, RFC 8461 §8.3 */
    bool broken; /* an error in it was reported; it must not be served from this source */
};

struct sts_source {
    struct sts_str name; /* file name as given */
    unsigned refs;
    struct sts_arena *arena;
    struct sts_diags diags;
    bool is_main;
    bool broken; /* an error outside any single tenant: nothing of it may be used */
    bool empty;  /* nothing in it but white space and comments */
    struct sts_settings settings; /* main only */
    const struct sts_named_policy *policies;
    size_t policy_count;
    const struct sts_tenant_decl *tenants; /* in file order */
    size_t tenant_count;
};

/* Parses one file's bytes. Never NULL: problems are in ->diags, ->broken and tenants' ->broken.
 * `text` is borrowed for the call only. `is_main` selects the schema (settings allowed). */
struct sts_source *sts_source_parse(struct sts_str text, struct sts_str name, bool is_main);
struct sts_source *sts_source_ref(struct sts_source *source);
void sts_source_unref(struct sts_source *source); /* NULL is fine; single-threaded */

struct sts_pos sts_source_pos(const struct sts_source *source, struct sts_place place);

/* A tenant of `source` with its named policy applied, validated and linted.
 * `named` is the policy that its policy_name refers to, or NULL (an error is reported when the
 * name is not empty). `settings` gives the TLS-RPT default for the lints. The result
 * borrows from `decl` and `named`. False when the tenant cannot be served. */
bool sts_tenant_resolve(const struct sts_source *source, const struct sts_tenant_decl *decl,
                        const struct sts_named_policy *named, const struct sts_settings *settings,
                        struct sts_diags *diags, struct sts_policy *out);

/* max_age of a policy that is being retired, seconds: short, and above what senders complain of. */
#define STS_RETIRE_MAX_AGE 86400u

/* "90", "90s", "15m", "12h", "7d", "4w" to seconds; false when not of that form or above 2^32-1. */
bool sts_duration_parse(struct sts_str text, uint32_t *seconds);

/* A policy body from anywhere (sts_policy_parse is for what is served) into one that may be
 * configured. What is wrong in form only is corrected, each correction a warning ("import-...");
 * what would have to be guessed is an error, and the result false. */
bool sts_policy_repair(struct sts_arena *arena, struct sts_str body, struct sts_str source,
                       struct sts_diags *diags, struct sts_policy *out);

/* The schema table: drives binding, `check`'s messages, the reference and the man page. */
struct sts_key {
    const char *path;     /* "listen", "records.ttl", "tenants.*.mode" */
    const char *type;     /* "list of addresses", "duration", ... for people */
    const char *standard; /* default as text, or "" when required or empty */
    const char *help;     /* one sentence */
    bool main_only;       /* not allowed in included files */
};
extern const struct sts_key sts_keys[]; /* ends with path NULL */

#endif
