#include "server/http/proxy.h"

#include <arpa/inet.h>
#include <string.h>

/* Takes the next field, which a single space or the end of the line must end. */
static bool next_field(struct sts_str *line, struct sts_str *field)
{
    size_t space = sts_str_find(*line, ' ', 0);

    *field = sts_str_sub(*line, 0, space);
    *line = sts_str_sub(*line, space + 1, line->len);
    return field->len > 0;
}

static bool parse_address(struct sts_str text, int family, struct in6_addr *out)
{
    char buffer[INET6_ADDRSTRLEN];
    struct in_addr v4;

    if (text.len == 0 || text.len >= sizeof(buffer) || sts_str_find(text, 0, 0) != text.len)
        return false;
    memcpy(buffer, text.ptr, text.len);
    buffer[text.len] = 0;
    if (family == AF_INET6)
        return inet_pton(AF_INET6, buffer, out) == 1;
    if (inet_pton(AF_INET, buffer, &v4) != 1)
        return false;
    memset(out, 0, sizeof(*out));
    memset(out->s6_addr + 10, 0xff, 2);
    memcpy(out->s6_addr + 12, &v4, sizeof(v4));
    return true;
}

static bool proxy_parse_port(struct sts_str text, uint16_t *out)
{
    unsigned long long value;

    if (text.len > 1 && text.ptr[0] == '0')
        return false;
    if (!sts_str_to_uint(text, 5, 65535, &value))
        return false;
    *out = (uint16_t)value;
    return true;
}

static bool proxy_parse_line(struct sts_str line, struct proxy_client *out)
{
    struct sts_str word, family, source, destination, source_port;
    struct proxy_client client = {.known = true};
    struct in6_addr ours;
    uint16_t port;
    int af;

    if (!next_field(&line, &word) || !sts_str_is(word, "PROXY") || !next_field(&line, &family))
        return false;
    if (sts_str_is(family, "UNKNOWN")) { /* the rest is to be ignored */
        *out = (struct proxy_client){0};
        return true;
    }
    if (sts_str_is(family, "TCP4"))
        af = AF_INET;
    else if (sts_str_is(family, "TCP6"))
        af = AF_INET6;
    else
        return false;
    if (!next_field(&line, &source) || !next_field(&line, &destination) ||
        !next_field(&line, &source_port))
        return false;
    if (!parse_address(source, af, &client.address) || !parse_address(destination, af, &ours) ||
        !proxy_parse_port(source_port, &client.port) || !proxy_parse_port(line, &port))
        return false;
    *out = client;
    return true;
}

enum proxy_result proxy_parse(struct sts_str bytes, struct proxy_client *out, size_t *len)
{
    static const struct sts_str start = {"PROXY ", 6};
    struct sts_str window = sts_str_sub(bytes, 0, PROXY_MAX);
    size_t end = sts_str_find(window, '\n', 0);

    if (!sts_str_starts(window, sts_str_sub(start, 0, window.len)))
        return PROXY_BAD; /* at the first byte: a TLS or HTTP client that came without a proxy */
    if (end == window.len)
        return window.len == PROXY_MAX ? PROXY_BAD : PROXY_INCOMPLETE;
    if (window.ptr[end - 1] != '\r' || !proxy_parse_line(sts_str_sub(window, 0, end - 1), out))
        return PROXY_BAD;
    *len = end + 1;
    return PROXY_OK;
}
