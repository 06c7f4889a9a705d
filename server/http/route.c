#include "server/http/route.h"

#include <assert.h>

#include "mtasts/domain.h"

static const struct sts_str resource = {"/.well-known/mta-sts.txt", 24};

/* Bytes of a request target: printable ASCII without space (RFC 9112 §3.2, RFC 3986 §2). */
static bool is_target(struct sts_str target)
{
    for (size_t i = 0; i < target.len; i++)
        if (target.ptr[i] <= ' ' || target.ptr[i] > '~')
            return false;
    return target.len > 0;
}

static bool route_is_port(struct sts_str port)
{
    unsigned long long value;

    /* RFC 3986 §3.2.3: the port may be empty. Which one it is does not matter: behind a load
     * balancer ours and the client's differ. */
    return port.len == 0 || sts_str_to_uint(port, 5, 65535, &value);
}

/* "[" IP-literal "]": can be nobody's policy host, but it is not malformed. */
static bool split_literal(struct sts_str authority, struct sts_str *host, struct sts_str *rest)
{
    size_t end = sts_str_find(authority, ']', 0);

    if (end == authority.len)
        return false;
    *host = sts_str_sub(authority, 0, end + 1);
    *rest = sts_str_sub(authority, end + 1, authority.len);
    for (size_t i = 1; i < end; i++) {
        char c = authority.ptr[i];
        if (!sts_is_alnum(c) && c != ':' && c != '.')
            return false;
    }
    return end > 1;
}

static bool is_name_byte(char c)
{
    return sts_is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

/* host [":" port] (RFC 9110 §7.2) to the canonical name. User information, a path, white space,
 * lists and everything else that some other parser could read differently is refused. */
static bool parse_authority(struct sts_str authority, char *buffer, size_t size,
                            struct sts_str *name)
{
    struct sts_str host, rest;

    if (authority.len > 0 && authority.ptr[0] == '[') {
        if (!split_literal(authority, &host, &rest))
            return false;
    } else {
        size_t colon = sts_str_find(authority, ':', 0);
        host = sts_str_sub(authority, 0, colon);
        rest = sts_str_sub(authority, colon, authority.len);
        for (size_t i = 0; i < host.len; i++)
            if (!is_name_byte(host.ptr[i]))
                return false;
    }
    if (rest.len > 0 && (rest.ptr[0] != ':' || !route_is_port(sts_str_sub(rest, 1, rest.len))))
        return false;
    if (host.len > 0 && host.ptr[host.len - 1] == '.') /* the root's dot */
        host.len--;
    if (host.len == 0 || host.len > STS_DOMAIN_MAX || host.len > size)
        return false;
    for (size_t i = 0; i < host.len; i++)
        buffer[i] = sts_lower(host.ptr[i]);
    *name = (struct sts_str){buffer, host.len};
    return true;
}

/* Splits the absolute-form (RFC 9112 §3.2.2) into authority and path; leaves other forms alone. */
static bool split_absolute(struct sts_str target, struct sts_str *authority, struct sts_str *path)
{
    static const struct sts_str schemes[] = {{"https://", 8}, {"http://", 7}};

    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        struct sts_str scheme = schemes[i];
        if (!sts_str_eq_nocase(sts_str_sub(target, 0, scheme.len), scheme))
            continue;
        size_t slash = sts_str_find(target, '/', scheme.len);
        size_t query = sts_str_find(target, '?', scheme.len);
        size_t end = slash < query ? slash : query;
        *authority = sts_str_sub(target, scheme.len, end);
        *path = sts_str_sub(target, end, target.len);
        return true;
    }
    return false;
}

enum route_result route_decide(const struct route_request *request, char *buffer, size_t size,
                               struct sts_str *name)
{
    struct sts_str authority, absolute, path = request->target;

    assert(size >= ROUTE_NAME_MAX);
    *name = (struct sts_str){0};
    if (request->malformed || request->announces_body || request->host_count != 1 ||
        request->method.len == 0 || !is_target(request->target) ||
        !parse_authority(request->authority, buffer, size, &authority))
        return ROUTE_BAD_REQUEST;

    if (split_absolute(request->target, &absolute, &path)) {
        /* RFC 9112 §3.2.2 lets the target's authority win over Host. We want them equal: one
         * request has one host, whoever reads it. */
        char other[ROUTE_NAME_MAX];
        struct sts_str target_host;
        if (!parse_authority(absolute, other, sizeof(other), &target_host) ||
            !sts_str_eq(target_host, authority))
            return ROUTE_BAD_REQUEST;
    } else if (path.ptr[0] != '/' && !sts_str_is(path, "*")) {
        return ROUTE_BAD_REQUEST; /* authority-form, or no form of RFC 9112 §3.2 at all */
    }

    *name = authority;
    if (request->host.len > 0 && !sts_str_eq(request->host, authority))
        return ROUTE_MISDIRECTED; /* RFC 9110 §15.5.20 */
    if (!sts_str_eq(sts_str_sub(path, 0, sts_str_find(path, '?', 0)), resource))
        return ROUTE_NOT_FOUND;
    if (!sts_str_is(request->method, "GET") && !sts_str_is(request->method, "HEAD"))
        return ROUTE_BAD_METHOD;
    return ROUTE_POLICY;
}
