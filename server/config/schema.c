#include "server/config/schema.h"

#include <string.h>

enum { KEYS_MAX = 64, MAP_MAX = 64 };

/* path, type, default, help, main file only, bind function */
#define SCHEMA(X)                                                                                  \
    X("listen", "list of addresses or maps", "[\"[::]:443\"]",                                     \
      "where to listen: ADDRESS:PORT, [IPv6]:PORT (with [::] also IPv4) or unix:/PATH", true,      \
      bind_listen)                                                                                 \
    X("listen.*.address", "address", "", "the address of one entry written as a map", true,        \
      bind_listen_address)                                                                         \
    X("listen.*.tls", "on or off", "on", "off serves plain HTTP, for use behind a TLS terminator", \
      true, bind_listen_tls)                                                                       \
    X("listen.*.proxy_protocol", "on or off", "off",                                               \
      "on expects PROXY protocol version 1 in front of each connection", true, bind_listen_proxy)  \
    X("certificates", "list of files or directories", "",                                          \
      "where certificates and keys are; they are matched by subjectAltName", true,                 \
      bind_certificates)                                                                           \
    X("ledger", "path", "/var/lib/mta-stsd/ledger.db",                                             \
      "the database of every policy ever served; it issues the ids", true, bind_ledger)            \
    X("contact", "map", "", "whom senders report to", true, bind_contact)                          \
    X("contact.tls_reports", "list of mailto: or https: URIs", "",                                 \
      "where TLS reports (RFC 8460) of every tenant go", true, bind_contact_reports)               \
    X("records", "map", "", "what the DNS records of the tenants say", true, bind_records)         \
    X("records.policy_host", "domain", "",                                                         \
      "the name that mta-sts.TENANT is a CNAME of; it points to this server", true,                \
      bind_policy_host)                                                                            \
    X("records.addresses", "list of IP addresses", "",                                             \
      "addresses of this server, for A and AAAA records instead of a CNAME", true, bind_addresses) \
    X("records.ttl", "duration", "5m", "TTL of the records", true, bind_ttl)                       \
    X("records.ttls", "map", "", "TTLs of single records, instead of records.ttl", true,           \
      bind_ttls)                                                                                   \
    X("records.ttls.host", "duration", "", "of mta-sts.TENANT", true, bind_ttl_host)               \
    X("records.ttls.id", "duration", "", "of _mta-sts.TENANT", true, bind_ttl_id)                  \
    X("records.ttls.tls_reports", "duration", "", "of _smtp._tls.TENANT", true,                    \
      bind_ttl_tls_reports)                                                                        \
    X("records.ttls.caa", "duration", "", "of the CAA records", true, bind_ttl_caa)                \
    X("records.delegation_zone", "domain", "",                                                     \
      "a zone of yours: tenants get CNAMEs into it, once, and the records are there", true,        \
      bind_delegation_zone)                                                                        \
    X("records.caa", "list of maps", "",                                                           \
      "who may issue certificates for mta-sts.TENANT; with addresses only", true, bind_caa)        \
    X("records.caa.*.issuer", "domain", "", "of the certificate authority", true, bind_caa_issuer) \
    X("records.caa.*.account_uri", "URI", "",                                                      \
      "the one account there that may ask for certificates (RFC 8657)", true,                      \
      bind_caa_account_uri)                                                                        \
    X("strict", "on or off", "off", "on refuses the whole configuration for any error", true,      \
      bind_strict)                                                                                 \
    X("access_log", "on or off", "on", "one log line for each request", true, bind_access_log)     \
    X("reload", "map", "", "when changed files are looked at", true, bind_reload)                  \
    X("reload.settle", "short duration", "250ms", "quiet time after the last change of a file",    \
      true, bind_settle)                                                                           \
    X("reload.settle_limit", "short duration", "2s", "time after the first change of a file",      \
      true, bind_settle_limit)                                                                     \
    X("reload.rescan", "duration", "60s",                                                          \
      "time between looks at file systems that tell of no change, such as NFS", true, bind_rescan) \
    X("on_change", "list: program and arguments", "",                                              \
      "run, without a shell, when ids changed; the records are JSON on its standard input", true,  \
      bind_on_change)                                                                              \
    X("limits", "map", "", "bounds on what clients may use", true, bind_limits)                    \
    X("limits.workers", "number", "0", "threads that serve; 0 means one for each processor", true, \
      bind_workers)                                                                                \
    X("limits.connections", "number", "10000",                                                     \
      "connections at a time; lowered to what the descriptor limit allows", true,                  \
      bind_connections)                                                                            \
    X("limits.connections_per_ip", "number", "256",                                                \
      "connections at a time of one IPv4 address or IPv6 /64; 0 means no limit", true,             \
      bind_connections_per_ip)                                                                     \
    X("limits.certificate_cache", "number", "128",                                                 \
      "MiB of memory for certificates that are ready to use; the others take 50 us more", true,    \
      bind_certificate_cache)                                                                      \
    X("limits.handshake_timeout", "duration", "5s", "time for a TLS handshake", true,              \
      bind_handshake_timeout)                                                                      \
    X("limits.request_timeout", "duration", "5s", "time for the head of a request", true,          \
      bind_request_timeout)                                                                        \
    X("limits.idle_timeout", "duration", "5s", "time between two requests of a connection", true,  \
      bind_idle_timeout)                                                                           \
    X("limits.lifetime", "duration", "30s", "time that a connection may last in all", true,        \
      bind_lifetime)                                                                               \
    X("limits.shutdown_timeout", "duration", "5s", "time for requests in flight when stopping",    \
      true, bind_shutdown_timeout)                                                                 \
    X("limits.on_change_timeout", "duration", "60s", "time for the program of on_change", true,    \
      bind_on_change_timeout)                                                                      \
    X("include", "list of file patterns", "",                                                      \
      "further files with policies and tenants, relative to this file", true, bind_include)        \
    X("policies", "map", "", "named policies, shared by many tenants", false, bind_policies)       \
    X("policies.*.mode", "enforce, testing or none", "",                                           \
      "what senders do when TLS or the name of a mail server cannot be verified", false,           \
      bind_mode)                                                                                   \
    X("policies.*.mx", "list of mx patterns", "",                                                  \
      "the names of the MX records, or *.DOMAIN for any one label below it", false, bind_mx)       \
    X("policies.*.max_age", "duration", "4w",                                                      \
      "how long senders keep the policy, at most 31557600s", false, bind_max_age)                  \
    X("tenants", "map", "", "policy domains: the part of mail addresses behind the @", false,      \
      bind_tenants)                                                                                \
    X("tenants.*.policy", "name", "", "the named policy it uses; its own keys override", false,    \
      bind_policy_name)                                                                            \
    X("tenants.*.mode", "enforce, testing or none", "", "as in policies", false, bind_mode)        \
    X("tenants.*.mx", "list of mx patterns", "", "as in policies", false, bind_mx)                 \
    X("tenants.*.max_age", "duration", "4w", "as in policies", false, bind_max_age)                \
    X("tenants.*.tls_reports", "list of mailto: or https: URIs", "",                               \
      "instead of contact.tls_reports; an empty list means none", false, bind_tenant_reports)      \
    X("tenants.*.retire", "on or off", "off",                                                      \
      "on withdraws the policy as RFC 8461 section 8.3 says, before the tenant is removed", false, \
      bind_retire)

const struct sts_key sts_keys[] = {
#define ROW(path, type, standard, help, main_only, bind) {path, type, standard, help, main_only},
    SCHEMA(ROW)
#undef ROW
        {NULL, NULL, NULL, NULL, false},
};

static schema_bind *const binds[] = {
#define ROW(path, type, standard, help, main_only, bind) bind,
    SCHEMA(ROW)
#undef ROW
};

/* The last part of `path` when the rest is `prefix`, else NULL. */
static const char *schema_below(const char *path, const char *prefix)
{
    size_t len = strlen(prefix);
    if (strncmp(path, prefix, len) != 0)
        return NULL;
    const char *rest = path + len;
    if (len && *rest++ != '.')
        return NULL;
    return strchr(rest, '.') ? NULL : rest;
}

/* What people call a key of ours elsewhere. */
static const struct {
    const char *word, *key;
} synonyms[] = {
    {"domains", "tenants"},    {"domain", "tenants"},      {"cert", "certificates"},
    {"certs", "certificates"}, {"tls", "certificates"},    {"rua", "tls_reports"},
    {"tlsrpt", "tls_reports"}, {"tls_rpt", "tls_reports"}, {"hosts", "mx"},
    {"mx_hosts", "mx"},        {"database", "ledger"},     {"bind", "listen"},
    {"includes", "include"},   {"template", "policy"},     {"ttl", "max_age"},
};

static const char *schema_synonym(struct sts_str word, const char *const *known)
{
    for (size_t i = 0; i < sizeof(synonyms) / sizeof(*synonyms); i++)
        for (size_t j = 0; sts_str_is(word, synonyms[i].word) && known[j]; j++)
            if (strcmp(known[j], synonyms[i].key) == 0)
                return known[j];
    return NULL;
}

/* The path of a key of this name in another map, or NULL: right key, wrong place. */
static const char *schema_elsewhere(const struct binder *b, struct sts_str key)
{
    const char *found = NULL;

    for (size_t i = 0; sts_keys[i].path; i++) {
        const char *dot = strrchr(sts_keys[i].path, '.');
        bool allowed = b->source->is_main || !sts_keys[i].main_only;
        /* The last one: of policies and tenants, tenants is what most people mean. */
        if (allowed && sts_str_is(key, dot ? dot + 1 : sts_keys[i].path))
            found = sts_keys[i].path;
    }
    return found;
}

static void schema_unknown_help(struct binder *b, struct sts_diag *diag, struct sts_str key,
                                const char *const *known)
{
    const char *near = schema_synonym(key, known);
    const char *other = schema_elsewhere(b, key);
    struct sts_buf list = {0};

    if (!near && !other)
        near = sts_suggest(key, known);
    if (sts_str_is(key, "version") || sts_str_is(key, "id")) {
        sts_diag_help(b->diags, diag, "remove it; mta-stsd writes it by itself");
    } else if (sts_str_find(key, ':', 0) < key.len) {
        sts_diag_help(b->diags, diag, "YAML wants a space behind the colon: key: value");
    } else if (near) {
        sts_diag_help(b->diags, diag, "did you mean %s?", near);
    } else if (other) {
        sts_diag_help(b->diags, diag, "this key belongs elsewhere: %s", other);
    } else {
        for (size_t i = 0; known[i]; i++)
            sts_buf_printf(&list, "%s%s", i ? ", " : "", known[i]);
        sts_diag_help(b->diags, diag, "known here: %s", list.ptr ? list.ptr : "nothing");
    }
    sts_buf_fini(&list);
}

static void unknown_key(struct binder *b, const struct yaml_pair *pair, const char *prefix)
{
    const char *known[KEYS_MAX] = {NULL};
    size_t count = 0;

    for (size_t i = 0; sts_keys[i].path && count + 1 < KEYS_MAX; i++) {
        const char *name = schema_below(sts_keys[i].path, prefix);
        if (name && (b->source->is_main || !sts_keys[i].main_only))
            known[count++] = name;
    }
    struct sts_diag *diag =
        sts_diag_add(b->diags, STS_ERROR, "key-unknown", pair->where, "unknown key \"%.*s\"",
                     STS_ARG(sts_str_sub(pair->key, 0, 200)));
    schema_unknown_help(b, diag, pair->key, known);
}

static size_t find_key(const struct yaml_pair *pair, const char *prefix)
{
    size_t i = 0;

    for (; sts_keys[i].path; i++) {
        const char *name = schema_below(sts_keys[i].path, prefix);
        if (name && sts_str_is(pair->key, name))
            break;
    }
    return i;
}

/* `seen` has the first place of each known key: of a repeated one the first value counts. */
static void bind_pair(struct binder *b, const struct yaml_pair *pair, const struct yaml_node *value,
                      const char *prefix, const struct yaml_pair **seen)
{
    size_t i = find_key(pair, prefix);

    if (!sts_keys[i].path) {
        unknown_key(b, pair, prefix);
        return;
    }
    if (seen[i]) {
        struct sts_diag *diag = sts_diag_add(b->diags, STS_ERROR, "key-duplicate", pair->where,
                                             "the key \"%.*s\" is there twice", STS_ARG(pair->key));
        diag->related = seen[i]->where;
        sts_diag_help(b->diags, diag, "remove one of the two");
        b->source->broken |= !*prefix;
        return;
    }
    seen[i] = pair;
    if (b->source->is_main || !sts_keys[i].main_only) {
        binds[i](b, value);
        return;
    }
    struct sts_diag *diag = sts_diag_add(b->diags, STS_ERROR, "key-main-only", pair->where,
                                         "\"%s\" belongs into the main file", sts_keys[i].path);
    sts_diag_help(b->diags, diag, "included files hold policies and tenants only");
}

/* Errors inside policies and tenants break those alone; any other breaks the source. */
static bool stays_local(struct sts_str key)
{
    return sts_str_is(key, "policies") || sts_str_is(key, "tenants");
}

void schema_bind_map(struct binder *b, const struct yaml_node *map, const char *prefix)
{
    const struct yaml_pair *seen[sizeof(sts_keys) / sizeof(*sts_keys)] = {NULL};
    bool top = !*prefix;

    for (size_t i = 0; i < map->count; i++) {
        size_t errors = b->diags->errors;
        /* Known keys are fewer, so beyond them everything is unknown or repeated. */
        if (i == MAP_MAX) {
            sts_diag_add(b->diags, STS_ERROR, "value-too-many", map->pairs[i].where,
                         "too many keys; the rest of this map was not read");
            b->source->broken |= top;
            break;
        }
        bind_pair(b, &map->pairs[i], &map->items[i], prefix, seen);
        if (top && b->diags->errors != errors && (!stays_local(map->pairs[i].key)))
            b->source->broken = true;
    }
}
