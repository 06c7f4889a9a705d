/* listen: where to serve. */
#include <arpa/inet.h>
#include <string.h>
#include <sys/un.h>

#include "server/config/schema.h"

enum { ENTRIES_MAX = 64 };

static const char address_help[] =
    "write \"[::]:443\", \"192.0.2.1:443\" or \"unix:/run/mta-stsd.sock\" (in quotes)";

static bool is_address(struct sts_arena *arena, int family, struct sts_str host)
{
    unsigned char raw[sizeof(struct in6_addr)];
    return inet_pton(family, sts_arena_dup(arena, host).ptr, raw) == 1;
}

static bool parse_unix(struct binder *b, const struct yaml_node *node)
{
    struct sts_str path = sts_str_sub(node->text, strlen("unix:"), node->text.len);

    if (path.len == 0 || path.len >= sizeof(((struct sockaddr_un *)0)->sun_path) ||
        path.ptr[0] != '/') {
        value_error(b, node, "listen-address", "is not the absolute path of a socket",
                    address_help);
        return false;
    }
    b->listen->is_unix = true;
    b->listen->host = sts_arena_dup(b->arena, path);
    return true;
}

static bool bind_listen_parse_port(struct binder *b, const struct yaml_node *node,
                                   struct sts_str port)
{
    unsigned long long number;

    if (!sts_str_to_uint(port, 5, UINT16_MAX, &number)) {
        value_error(b, node, "listen-address", "has no port from 0 to 65535", address_help);
        return false;
    }
    b->listen->port = (uint16_t)number;
    return true;
}

void bind_listen_address(struct binder *b, const struct yaml_node *node)
{
    struct sts_str text;

    if (!value_string(b, node, &text))
        return;
    b->listen->address = text;
    if (sts_str_starts(text, STS_STR("unix:"))) {
        parse_unix(b, node);
        return;
    }
    bool v6 = text.ptr[0] == '[';
    size_t end = v6 ? sts_str_find(text, ']', 0) : sts_str_find(text, ':', 0);
    struct sts_str host = sts_str_sub(text, v6, end);
    size_t colon = end + v6;
    if (end == text.len || colon >= text.len || text.ptr[colon] != ':') {
        value_error(b, node, "listen-address", "is not an address with a port", address_help);
        return;
    }
    if (!is_address(b->arena, v6 ? AF_INET6 : AF_INET, host)) {
        value_error(b, node, "listen-address", "does not begin with an IP address", address_help);
        return;
    }
    b->listen->host = sts_arena_dup(b->arena, host);
    bind_listen_parse_port(b, node, sts_str_sub(text, colon + 1, text.len));
}

void bind_listen_tls(struct binder *b, const struct yaml_node *node)
{
    value_bool(b, node, &b->listen->tls);
}

void bind_listen_proxy(struct binder *b, const struct yaml_node *node)
{
    value_bool(b, node, &b->listen->proxy_protocol);
}

static void bind_entry(struct binder *b, const struct yaml_node *node, struct sts_listen *entry)
{
    *entry = (struct sts_listen){.where = node->where, .tls = true};
    b->listen = entry;
    if (node->kind == YAML_SCALAR) {
        bind_listen_address(b, node);
    } else if (value_is_map(b, node)) {
        schema_bind_map(b, node, "listen.*");
        if (!yaml_tree_get(node, "address"))
            value_error(b, node, "listen-address", "has no address", address_help);
    }
    b->listen = NULL;
}

static bool same_socket(const struct sts_listen *a, const struct sts_listen *b)
{
    return a->host.len && a->is_unix == b->is_unix && sts_str_eq(a->host, b->host) &&
           a->port == b->port && (a->is_unix || a->port);
}

static void check_repeated(struct binder *b, const struct sts_listen *entries, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t j = 0; j < i; j++) {
            if (!same_socket(&entries[i], &entries[j]))
                continue;
            struct sts_diag *diag = sts_diag_add(b->diags, STS_ERROR, "listen-duplicate",
                                                 entries[i].where, "\"%.*s\" is there twice",
                                                 STS_ARG(sts_str_sub(entries[i].address, 0, 200)));
            diag->related = entries[j].where;
            sts_diag_help(b->diags, diag, "remove one of the two");
            break;
        }
}

void bind_listen(struct binder *b, const struct yaml_node *node)
{
    bool one = node->kind != YAML_LIST;
    size_t count = one ? 1 : node->count;
    struct sts_listen *entries = STS_ARRAY(b->arena, count, struct sts_listen);

    if (count == 0)
        value_error(b, node, "listen-address", "is an empty list", address_help);
    if (count > ENTRIES_MAX) {
        value_error(b, node, "value-too-many", "has more than 64 entries", "listen on fewer");
        return;
    }
    for (size_t i = 0; i < count; i++)
        bind_entry(b, one ? node : &node->items[i], &entries[i]);
    check_repeated(b, entries, count);
    b->source->settings.listen = entries;
    b->source->settings.listen_count = count;
}
