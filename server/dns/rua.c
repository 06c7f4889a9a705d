#include "server/dns/rua.h"

#include <string.h>

#include "mtasts/domain.h"

enum { URI_MAX = 512, SHOWN_MAX = 200 };

/* One URI under judgement. */
struct rua {
    struct sts_str uri;
    struct sts_pos where;
    struct sts_diags *diags;
    enum sts_severity pedantic;
};

static bool rua_report(const struct rua *r, enum sts_severity severity, const char *code,
                       const char *what, const char *help)
{
    struct sts_diag *diag = sts_diag_add(r->diags, severity, code, r->where, "\"%.*s\" %s",
                                         STS_ARG(sts_str_sub(r->uri, 0, SHOWN_MAX)), what);
    sts_diag_help(r->diags, diag, "%s", help);
    return severity != STS_ERROR;
}

static bool rua_refuse(const struct rua *r, const char *code, const char *what, const char *help)
{
    return rua_report(r, STS_ERROR, code, what, help);
}

static int hex_digit(char c)
{
    if (sts_is_digit(c))
        return c - '0';
    c = sts_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that "%XX" at `at` stands for, or -1. */
static int percent_byte(struct sts_str s, size_t at)
{
    if (s.len - at < 3 || hex_digit(s.ptr[at + 1]) < 0 || hex_digit(s.ptr[at + 2]) < 0)
        return -1;
    return hex_digit(s.ptr[at + 1]) * 16 + hex_digit(s.ptr[at + 2]);
}

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c);
}

/* URI characters of RFC 3986 §2 without "," "!" ";" (RFC 8460 §3: percent-encode them). */
static bool check_characters(const struct rua *r)
{
    bool equals = false;

    for (size_t i = 0; i < r->uri.len; i++) {
        char c = r->uri.ptr[i];
        if (is_one_of(c, "!;,"))
            return rua_refuse(r, "tlsrpt-uri-reserved", "contains one of , ! ;",
                              "write %2C for a comma, %21 for !, %3B for ; (RFC 8460 section 3); "
                              "size suffixes such as !10m do not exist here");
        if (!sts_is_alnum(c) && !is_one_of(c, "-._~:/?#[]@$&'()*+%="))
            return rua_refuse(r, "tlsrpt-uri-character", "contains a character that no URI has",
                              "percent-encode it (RFC 3986 section 2.1)");
        if (c == '%' && percent_byte(r->uri, i) < 0)
            return rua_refuse(r, "tlsrpt-uri-character", "has a % without two hex digits",
                              "write %25 for a percent sign");
        equals = equals || c == '=';
    }
    if (equals)
        return rua_report(r, r->pedantic, "tlsrpt-uri-reserved",
                          "contains =", "some parsers split the record there; write %3D");
    return true;
}

static bool is_host(struct sts_str host)
{
    struct sts_arena *arena = sts_arena_new();
    struct sts_diags ignored;
    struct sts_str canonical;

    sts_diags_init(&ignored, arena);
    bool good =
        sts_domain_parse(arena, host, STS_DOMAIN_WIRE, (struct sts_pos){0}, &ignored, &canonical) &&
        sts_domain_labels(canonical) > 1;
    sts_arena_free(arena);
    return good;
}

/* The part before "@" as RFC 6068 §2 writes it: a dot-atom, other characters percent-encoded. A
 * control character would end up in the header of a mail. */
static bool is_local_part(struct sts_str local)
{
    bool dot = true; /* where no dot may stand */

    for (size_t i = 0; i < local.len; i++) {
        char c = local.ptr[i];
        if (c == '.' && dot)
            return false;
        dot = c == '.';
        if (!sts_is_alnum(c) && !is_one_of(c, "-._~$'*+%"))
            return false;
        int byte = c == '%' ? percent_byte(local, i) : 'x';
        if (byte < ' ' || byte >= 0x7f)
            return false;
    }
    return !dot;
}

/* Exactly one address: RFC 6068 would allow several, but their comma cannot stand here. */
static bool check_mailto(const struct rua *r, struct sts_str rest)
{
    struct sts_str address = sts_str_sub(rest, 0, sts_str_find(rest, '?', 0));
    size_t at = sts_str_find(address, '@', 0);

    if (at == address.len || !is_local_part(sts_str_sub(address, 0, at)) ||
        !is_host(sts_str_sub(address, at + 1, address.len)))
        return rua_refuse(r, "tlsrpt-uri-address", "has no valid mail address",
                          "write mailto:name@example.org");
    return true;
}

static bool rua_is_port(struct sts_str port)
{
    unsigned long long number;
    return sts_str_to_uint(port, 5, 65535, &number) && number > 0;
}

static bool check_https(const struct rua *r, struct sts_str rest)
{
    size_t end = 0;

    while (end < rest.len && !is_one_of(rest.ptr[end], "/?#"))
        end++;
    struct sts_str authority = sts_str_sub(rest, 0, end);
    size_t colon = sts_str_find(authority, ':', 0);
    if (!is_host(sts_str_sub(authority, 0, colon)))
        return rua_refuse(r, "tlsrpt-uri-host", "has no valid host",
                          "write https://host.example.org/path");
    if (colon < authority.len && !rua_is_port(sts_str_sub(authority, colon + 1, authority.len)))
        return rua_refuse(r, "tlsrpt-uri-host", "has no valid port",
                          "write a number from 1 to 65535, or leave it out");
    for (size_t i = end; i < rest.len; i++)
        if (is_one_of(rest.ptr[i], "#[]"))
            return rua_refuse(r, "tlsrpt-uri-character", "has one of # [ ] behind the host",
                              "percent-encode it (RFC 3986 section 2.1)");
    return true;
}

static bool rua_begins(struct sts_str uri, struct sts_str scheme)
{
    return sts_str_eq_nocase(sts_str_sub(uri, 0, scheme.len), scheme);
}

static bool check_scheme(const struct rua *r, struct sts_str scheme, struct sts_str *rest)
{
    *rest = sts_str_sub(r->uri, scheme.len, r->uri.len);
    return sts_str_starts(r->uri, scheme) ||
           rua_report(r, r->pedantic, "tlsrpt-uri-scheme", "has its scheme in upper case",
                      "write mailto: and https: in lower case");
}

bool rua_check(struct sts_str uri, struct sts_pos where, struct sts_diags *diags,
               enum sts_severity pedantic)
{
    const struct rua r = {uri, where, diags, pedantic};
    struct sts_str rest;

    if (uri.len == 0)
        return rua_refuse(&r, "tlsrpt-uri", "is empty", "write mailto:name@example.org");
    if (uri.len > URI_MAX &&
        !rua_report(&r, pedantic, "tlsrpt-uri", "is longer than 512 characters",
                    "some readers take short ones only"))
        return false;
    if (!check_characters(&r))
        return false;
    if (rua_begins(uri, STS_STR("mailto:")))
        return check_scheme(&r, STS_STR("mailto:"), &rest) && check_mailto(&r, rest);
    if (rua_begins(uri, STS_STR("https://")))
        return check_scheme(&r, STS_STR("https://"), &rest) && check_https(&r, rest);
    if (sts_str_find(uri, ':', 0) == uri.len && sts_str_find(uri, '@', 0) < uri.len)
        return rua_refuse(&r, "tlsrpt-uri-scheme", "is an address without a scheme",
                          "write mailto: in front");
    return rua_refuse(&r, "tlsrpt-uri-scheme", "is not a mailto: or https: URI",
                      "only these two schemes, in lower case, are used (RFC 8460 section 3)");
}

bool sts_rua_check(struct sts_str uri, struct sts_pos where, struct sts_diags *diags)
{
    return rua_check(uri, where, diags, STS_ERROR);
}
