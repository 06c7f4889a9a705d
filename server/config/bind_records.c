/* What the DNS records of tenants say: the map `records`. */
#include <arpa/inet.h>

#include "server/config/schema.h"

enum { CAA_MAX = 20, URI_MAX = 500 };

void bind_records(struct binder *b, const struct yaml_node *node)
{
    if (value_is_map(b, node))
        schema_bind_map(b, node, "records");
}

void bind_policy_host(struct binder *b, const struct yaml_node *node)
{
    value_domain(b, node, &b->source->settings.policy_host);
}

static bool check_address(struct binder *b, const struct yaml_node *node, struct sts_str *out)
{
    unsigned char raw[sizeof(struct in6_addr)];
    struct sts_str text;

    if (!value_string(b, node, &text))
        return false;
    int family = sts_str_find(text, ':', 0) < text.len ? AF_INET6 : AF_INET;
    if (inet_pton(family, text.ptr, raw) != 1) {
        value_error(b, node, "address", "is not an IP address",
                    "write an IPv4 or IPv6 address without port, such as 192.0.2.1");
        return false;
    }
    char canonical[INET6_ADDRSTRLEN];
    *out =
        sts_arena_dup(b->arena, sts_str_from(inet_ntop(family, raw, canonical, sizeof(canonical))));
    return true;
}

void bind_addresses(struct binder *b, const struct yaml_node *node)
{
    const struct yaml_node *items;
    size_t n, kept = 0;

    if (!value_list(b, node, &items, &n))
        return;
    struct sts_str *addresses = STS_ARRAY(b->arena, n, struct sts_str);
    for (size_t i = 0; i < n; i++)
        if (check_address(b, &items[i], &addresses[kept]))
            kept++;
    b->source->settings.addresses = addresses;
    b->source->settings.address_count = kept;
}

static void bind_one_ttl(struct binder *b, const struct yaml_node *node, uint32_t *out)
{
    value_seconds(b, node, 1, 604800, out);
}

void bind_ttl(struct binder *b, const struct yaml_node *node)
{
    bind_one_ttl(b, node, &b->source->settings.ttl);
}

void bind_ttls(struct binder *b, const struct yaml_node *node)
{
    if (value_is_map(b, node))
        schema_bind_map(b, node, "records.ttls");
}

void bind_ttl_host(struct binder *b, const struct yaml_node *node)
{
    bind_one_ttl(b, node, &b->source->settings.ttl_host);
}

void bind_ttl_id(struct binder *b, const struct yaml_node *node)
{
    bind_one_ttl(b, node, &b->source->settings.ttl_id);
}

void bind_ttl_tls_reports(struct binder *b, const struct yaml_node *node)
{
    bind_one_ttl(b, node, &b->source->settings.ttl_tls_reports);
}

void bind_ttl_caa(struct binder *b, const struct yaml_node *node)
{
    bind_one_ttl(b, node, &b->source->settings.ttl_caa);
}

void bind_delegation_zone(struct binder *b, const struct yaml_node *node)
{
    value_domain(b, node, &b->source->settings.delegation_zone);
}

void bind_caa_issuer(struct binder *b, const struct yaml_node *node)
{
    value_domain(b, node, &b->caa->issuer);
}

void bind_caa_account_uri(struct binder *b, const struct yaml_node *node)
{
    struct sts_str text;

    if (!value_string(b, node, &text))
        return;
    if (!sts_str_starts(text, STS_STR("https://")) || text.len > URI_MAX ||
        !sts_caa_check_uri(text)) {
        value_error(b, node, "caa-account-uri", "is not the address of an account",
                    "write the https: URI that the ACME client shows, without blanks and ;");
        return;
    }
    b->caa->account_uri = text;
}

static void bind_caa_entry(struct binder *b, const struct yaml_node *node, struct sts_caa *entry)
{
    b->caa = entry;
    if (value_is_map_of(b, node, "write {issuer: letsencrypt.org}")) {
        schema_bind_map(b, node, "records.caa.*");
        if (!yaml_tree_get(node, "issuer"))
            value_error(b, node, "caa-issuer", "has no issuer",
                        "write issuer: and the domain of the authority, as it says itself");
    }
    b->caa = NULL;
}

void bind_caa(struct binder *b, const struct yaml_node *node)
{
    bool one = node->kind != YAML_LIST;
    size_t count = one ? 1 : node->count;

    if (count > CAA_MAX) {
        value_error(b, node, "value-too-many", "has more than 20 entries", "write fewer");
        return;
    }
    struct sts_caa *entries = STS_ARRAY(b->arena, count, struct sts_caa);
    for (size_t i = 0; i < count; i++)
        bind_caa_entry(b, one ? node : &node->items[i], &entries[i]);
    b->source->settings.caa = entries;
    b->source->settings.caa_count = count;
}
