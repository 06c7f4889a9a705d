/* server/config turns the bytes of a YAML file into settings, policies and tenants with the place
 * of each. This is its middle: one list of all keys (schema.c), from which binding, did-you-mean
 * and the reference are made. A new option is a row there, a bind function, a line in
 * config/mta-stsd.yaml and one in mta-stsd.yaml(5); tests/unit/test_schema.c compares them. */
#ifndef MTASTS_CONFIG_SCHEMA_H
#define MTASTS_CONFIG_SCHEMA_H

#include "mtasts/config.h"
#include "server/config/yaml_tree.h"

enum { SHARED_SLOTS = 256 };

struct mx_list {
    const struct sts_str *mx; /* canonical */
    size_t count;
};

/* What is being filled while a file is bound. */
struct binder {
    struct sts_source *source;
    struct sts_arena *arena;
    struct sts_arena *scratch; /* ends with the tree */
    struct sts_diags *diags;
    struct sts_listen *listen;       /* the entry, inside listen */
    struct sts_caa *caa;             /* the entry, inside records.caa */
    struct sts_policy_decl *decl;    /* inside a policy or tenant */
    struct sts_tenant_decl *tenant;  /* inside a tenant... */
    struct sts_tenant_terms terms;   /* ...and what it says */
    struct sts_named_policy *policy; /* inside a named policy */
    /* What many have, by hash; the newest of each slot. */
    const struct sts_tenant_terms *shared_terms[SHARED_SLOTS];
    struct mx_list shared_mx[SHARED_SLOTS];
};

typedef void schema_bind(struct binder *b, const struct yaml_node *node);

/* Binds every key of `map` by the rows "PREFIX.key" ("" for the top level); reports unknown keys
 * with the nearest known one. */
void schema_bind_map(struct binder *b, const struct yaml_node *map, const char *prefix);

/* The bind function of each key, named in the list of schema.c. */
schema_bind bind_listen, bind_listen_address, bind_listen_tls, bind_listen_proxy;
schema_bind bind_certificates, bind_include, bind_ledger, bind_contact, bind_contact_reports;
schema_bind bind_records, bind_policy_host, bind_addresses, bind_ttl, bind_strict, bind_access_log;
schema_bind bind_ttls, bind_ttl_host, bind_ttl_id, bind_ttl_tls_reports, bind_ttl_caa;
schema_bind bind_delegation_zone, bind_caa, bind_caa_issuer, bind_caa_account_uri;
schema_bind bind_limits, bind_workers, bind_connections, bind_connections_per_ip;
schema_bind bind_certificate_cache;
schema_bind bind_handshake_timeout, bind_request_timeout, bind_idle_timeout, bind_lifetime;
schema_bind bind_shutdown_timeout, bind_on_change_timeout;
schema_bind bind_reload, bind_settle, bind_settle_limit, bind_rescan, bind_on_change;
schema_bind bind_policies, bind_tenants, bind_mode, bind_mx, bind_max_age, bind_policy_name;
schema_bind bind_tenant_reports, bind_retire;

/* --- values (value.c) --- */
struct sts_diag *value_error(struct binder *b, const struct yaml_node *node, const char *code,
                             const char *message, const char *help);
bool value_domain(struct binder *b, const struct yaml_node *node, struct sts_str *out);
/* value_string without a copy. */
bool value_text(struct binder *b, const struct yaml_node *node, struct sts_str *out);
bool value_string(struct binder *b, const struct yaml_node *node, struct sts_str *out);
bool value_bool(struct binder *b, const struct yaml_node *node, bool *out);
bool value_uint(struct binder *b, const struct yaml_node *node, uint32_t least, uint32_t most,
                uint32_t *out);
bool value_seconds(struct binder *b, const struct yaml_node *node, uint32_t least, uint32_t most,
                   uint32_t *out);
bool value_milliseconds(struct binder *b, const struct yaml_node *node, uint32_t least,
                        uint32_t most, uint32_t *out);
bool value_is_map(struct binder *b, const struct yaml_node *node);
bool value_is_map_of(struct binder *b, const struct yaml_node *node, const char *help);
/* False, with an error, for a list that was written as one text. */
bool value_is_one(struct binder *b, const struct yaml_node *node, const char *separator);
/* A list of scalars; one scalar alone is a list of one. Items borrow the tree. */
bool value_list(struct binder *b, const struct yaml_node *node, const struct yaml_node **items,
                size_t *count);
/* Checked rua URIs (RFC 8460 §3). */
bool value_reports(struct binder *b, const struct yaml_node *node, const struct sts_str **out,
                   size_t *count);

#endif
