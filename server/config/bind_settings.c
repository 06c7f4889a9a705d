/* The settings of the main file. Defaults stand in the schema (a test compares) and in
 * settings_defaults. */
#include "server/config/bind_settings.h"

void settings_defaults(struct sts_settings *s)
{
    static const struct sts_listen standard = {
        .address = {"[::]:443", 8}, .host = {"::", 2}, .port = 443, .tls = true};

    *s = (struct sts_settings){
        .listen = &standard,
        .listen_count = 1,
        .ledger = {.path = STS_STR("/var/lib/mta-stsd/ledger.db")},
        .ttl = 300,
        .access_log = true,
        .max_connections = 10000,
        .max_connections_per_ip = 256,
        .certificate_cache = 128,
        .handshake_timeout = 5,
        .request_timeout = 5,
        .idle_timeout = 5,
        .lifetime = 30,
        .shutdown_timeout = 5,
        .settle = 250,
        .settle_limit = 2000,
        .rescan = 60,
        .on_change_timeout = 60,
    };
}

static void bind_paths(struct binder *b, const struct yaml_node *node, const struct sts_path **out,
                       size_t *count)
{
    const struct yaml_node *items;
    size_t n, kept = 0;

    if (!value_list(b, node, &items, &n))
        return;
    struct sts_path *paths = STS_ARRAY(b->arena, n, struct sts_path);
    for (size_t i = 0; i < n; i++)
        if (value_string(b, &items[i], &paths[kept].path))
            paths[kept++].where = items[i].where;
    *out = paths;
    *count = kept;
}

void bind_certificates(struct binder *b, const struct yaml_node *node)
{
    struct sts_settings *s = &b->source->settings;
    bind_paths(b, node, &s->certificates, &s->certificate_count);
}

void bind_include(struct binder *b, const struct yaml_node *node)
{
    struct sts_settings *s = &b->source->settings;
    bind_paths(b, node, &s->include, &s->include_count);
}

void bind_ledger(struct binder *b, const struct yaml_node *node)
{
    b->source->settings.ledger.where = node->where;
    value_string(b, node, &b->source->settings.ledger.path);
}

void bind_contact(struct binder *b, const struct yaml_node *node)
{
    if (value_is_map(b, node))
        schema_bind_map(b, node, "contact");
}

void bind_contact_reports(struct binder *b, const struct yaml_node *node)
{
    struct sts_settings *s = &b->source->settings;
    value_reports(b, node, &s->tls_reports, &s->tls_report_count);
}

void bind_strict(struct binder *b, const struct yaml_node *node)
{
    value_bool(b, node, &b->source->settings.strict);
}

void bind_access_log(struct binder *b, const struct yaml_node *node)
{
    value_bool(b, node, &b->source->settings.access_log);
}

void bind_limits(struct binder *b, const struct yaml_node *node)
{
    if (value_is_map(b, node))
        schema_bind_map(b, node, "limits");
}

void bind_workers(struct binder *b, const struct yaml_node *node)
{
    value_uint(b, node, 0, 256, &b->source->settings.workers);
}

void bind_connections(struct binder *b, const struct yaml_node *node)
{
    value_uint(b, node, 1, 1000000, &b->source->settings.max_connections);
}

void bind_connections_per_ip(struct binder *b, const struct yaml_node *node)
{
    value_uint(b, node, 0, 1000000, &b->source->settings.max_connections_per_ip);
}

void bind_certificate_cache(struct binder *b, const struct yaml_node *node)
{
    value_uint(b, node, 0, 1000000, &b->source->settings.certificate_cache);
}

void bind_handshake_timeout(struct binder *b, const struct yaml_node *node)
{
    value_seconds(b, node, 1, 60, &b->source->settings.handshake_timeout);
}

void bind_request_timeout(struct binder *b, const struct yaml_node *node)
{
    value_seconds(b, node, 1, 60, &b->source->settings.request_timeout);
}

void bind_idle_timeout(struct binder *b, const struct yaml_node *node)
{
    value_seconds(b, node, 1, 60, &b->source->settings.idle_timeout);
}

void bind_lifetime(struct binder *b, const struct yaml_node *node)
{
    value_seconds(b, node, 1, 3600, &b->source->settings.lifetime);
}

void bind_shutdown_timeout(struct binder *b, const struct yaml_node *node)
{
    value_seconds(b, node, 1, 300, &b->source->settings.shutdown_timeout);
}

void bind_on_change_timeout(struct binder *b, const struct yaml_node *node)
{
    value_seconds(b, node, 1, 3600, &b->source->settings.on_change_timeout);
}

void bind_reload(struct binder *b, const struct yaml_node *node)
{
    if (value_is_map(b, node))
        schema_bind_map(b, node, "reload");
}

void bind_settle(struct binder *b, const struct yaml_node *node)
{
    value_milliseconds(b, node, 0, 60000, &b->source->settings.settle);
}

void bind_settle_limit(struct binder *b, const struct yaml_node *node)
{
    value_milliseconds(b, node, 0, 600000, &b->source->settings.settle_limit);
}

void bind_rescan(struct binder *b, const struct yaml_node *node)
{
    value_seconds(b, node, 1, 86400, &b->source->settings.rescan);
}

void bind_on_change(struct binder *b, const struct yaml_node *node)
{
    struct sts_settings *s = &b->source->settings;
    const struct yaml_node *items;
    size_t n, kept = 0;

    s->on_change_where = node->where;
    if (!value_list(b, node, &items, &n))
        return;
    struct sts_str *argv = STS_ARRAY(b->arena, n, struct sts_str);
    for (size_t i = 0; i < n; i++)
        if (value_string(b, &items[i], &argv[kept]))
            kept++;
    if (kept && argv[0].ptr[0] != '/') {
        value_error(b, &items[0], "value-path", "is not an absolute path",
                    "write a list: [/path/of/program, argument, ...]; it runs without a shell");
        return;
    }
    s->on_change = argv;
    s->on_change_count = kept;
}
