/* mx patterns: a domain with an optional "*." in front (RFC 8461 §3.2), and how they match (§4.1).
 */
#include <string.h>

#include "mtasts/domain.h"

static const struct sts_str star = {"*.", 2};

bool sts_mx_parse(struct sts_arena *arena, struct sts_str in, enum sts_domain_form form,
                  struct sts_pos where, struct sts_diags *diags, struct sts_str *out)
{
    struct sts_str domain;

    if (sts_str_is(in, "*") || sts_str_is(in, "*.")) {
        struct sts_diag *diag = sts_diag_add(diags, STS_ERROR, "mx-bare-wildcard", where,
                                             "\"%.*s\" alone is not an mx", STS_ARG(in));
        sts_diag_help(diags, diag, "write *.example.org, or name each mail server");
        return false;
    }
    bool wild = sts_str_starts(in, star);
    struct sts_str rest = wild ? sts_str_sub(in, star.len, in.len) : in;
    if (!sts_domain_parse(arena, rest, form, where, diags, &domain))
        return false;
    if (!wild) {
        *out = domain;
        return true;
    }
    if (domain.len + star.len > STS_DOMAIN_MAX) {
        struct sts_diag *diag =
            sts_diag_add(diags, STS_ERROR, "domain-too-long", where,
                         "\"*.%.*s\" is longer than 253 octets", STS_ARG(domain));
        sts_diag_help(diags, diag, "RFC 1035 section 2.3.4 allows 253 octets");
        return false;
    }
    *out = sts_arena_printf(arena, "*.%.*s", STS_ARG(domain));
    return true;
}

bool sts_mx_matches(struct sts_str pattern, struct sts_str host)
{
    if (!sts_str_starts(pattern, star))
        return sts_str_eq(pattern, host);
    size_t dot = sts_str_find(host, '.', 0);
    return dot > 0 && dot < host.len &&
           sts_str_eq(sts_str_sub(pattern, star.len, pattern.len),
                      sts_str_sub(host, dot + 1, host.len));
}

bool sts_mx_covers(struct sts_str wide, struct sts_str narrow)
{
    if (sts_str_eq(wide, narrow))
        return true;
    /* A wildcard is never covered by another one: each stands for exactly one label. */
    return !sts_str_starts(narrow, star) && sts_mx_matches(wide, narrow);
}
