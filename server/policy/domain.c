/* Domains: from what people write to the canonical lower-case A-label. */
#include "mtasts/domain.h"

#include <idn2.h>
#include <libpsl.h>
#include <stdlib.h>
#include <string.h>

#include "server/policy/names.h"

enum { INPUT_MAX = 1024 };

static bool domain_refuse(struct sts_diags *diags, struct sts_pos where, const char *code,
                          struct sts_str in, const char *what, const char *help)
{
    struct sts_diag *diag = sts_diag_add(diags, STS_ERROR, code, where, "\"%.*s\" %s",
                                         STS_ARG(sts_str_sub(in, 0, 300)), what);
    if (help)
        sts_diag_help(diags, diag, "%s", help);
    return false;
}

static bool is_ascii(struct sts_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] >= 0x80)
            return false;
    return true;
}

/* How many octets from `from` on are in `set`. */
static size_t domain_span(struct sts_str s, size_t from, const char *set)
{
    size_t i = from;
    while (i < s.len && s.ptr[i] && strchr(set, s.ptr[i]))
        i++;
    return i - from;
}

/* IPv4, IPv6 with an optional zone, a prefix, or the bracketed literal: never a host name. */
static bool looks_like_address(struct sts_str s)
{
    size_t dots = 0, colons = 0;

    for (size_t i = 0; i < s.len; i++) {
        dots += s.ptr[i] == '.';
        colons += s.ptr[i] == ':';
    }
    size_t hex = domain_span(s, 0, "0123456789abcdefABCDEF:./");
    return s.ptr[0] == '[' ||
           (dots >= 3 && sts_is_digit(s.ptr[0]) && domain_span(s, 0, "0123456789./") == s.len) ||
           (colons > 1 && (hex == s.len || s.ptr[hex] == '%'));
}

static bool check_printable(struct sts_str in, struct sts_pos where, struct sts_diags *diags)
{
    for (size_t i = 0; i < in.len; i++) {
        unsigned char c = (unsigned char)in.ptr[i];
        if (c == ' ')
            return domain_refuse(diags, where, "domain-space", in, "contains a space",
                                 "write one bare host name, without a preference or comment");
        if (c < ' ' || c == 0x7f) {
            struct sts_diag *diag = sts_diag_add(
                diags, STS_ERROR, "domain-control-character", where,
                "the name contains the control character 0x%02X (octet %zu)", (unsigned)c, i + 1);
            sts_diag_help(diags, diag, "write one bare host name");
            return false;
        }
    }
    return true;
}

/* The mistakes people make, said plainly before the grammar says it dryly. */
static bool check_shape(struct sts_str in, struct sts_pos where, struct sts_diags *diags)
{
    static const struct {
        char sign;
        const char *code, *what, *help;
    } mistakes[] = {
        {'/', "domain-url", "is a URL or path, not a host name",
         "write the host name alone, without https:// and path"},
        {'@', "domain-mail-address", "is a mail address, not a domain",
         "write the part behind the @"},
        {',', "domain-list", "is a list, not one host name", "write one name in each entry"},
        {';', "domain-list", "is a list, not one host name", "write one name in each entry"},
        {':', "domain-port", "has a port", "write the host name alone; mail goes to port 25"},
    };

    if (in.len == 0)
        return domain_refuse(diags, where, "domain-empty", in, "is not a domain: it is empty",
                             "write a name such as example.org");
    if (in.len > INPUT_MAX)
        return domain_refuse(diags, where, "domain-too-long", in, "is longer than 253 octets",
                             "RFC 1035 section 2.3.4 allows 253 octets");
    if (!check_printable(in, where, diags))
        return false;
    if (looks_like_address(in))
        return domain_refuse(diags, where, "domain-ip-address", in,
                             "is an IP address, not a host name",
                             "write the host name; MTA-STS works with names alone");
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(*mistakes); i++)
        if (sts_str_find(in, mistakes[i].sign, 0) < in.len)
            return domain_refuse(diags, where, mistakes[i].code, in, mistakes[i].what,
                                 mistakes[i].help);
    return true;
}

static bool to_a_labels(struct sts_arena *arena, struct sts_str in, struct sts_pos where,
                        struct sts_diags *diags, struct sts_str *out)
{
    struct sts_str copy = sts_arena_dup(arena, in);
    char *ascii = NULL;
    int rc = idn2_to_ascii_8z(copy.ptr, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);

    if (rc != IDN2_OK) {
        struct sts_diag *diag = sts_diag_add(diags, STS_ERROR, "domain-idna", where,
                                             "\"%.*s\" is not a valid internationalised domain: %s",
                                             STS_ARG(sts_str_sub(in, 0, 300)), idn2_strerror(rc));
        sts_diag_help(diags, diag, "write the U-label or A-label (xn--...) as registered");
        return false;
    }
    *out = sts_arena_dup(arena, sts_str_from(ascii));
    idn2_free(ascii);
    return true;
}

static bool check_label(struct sts_str label, struct sts_str whole, struct sts_pos where,
                        struct sts_diags *diags)
{
    if (label.len == 0)
        return domain_refuse(diags, where, "domain-empty-label", whole,
                             "has an empty label (two dots in a row, or a dot at an end)",
                             "write labels joined by single dots, such as mx1.example.org");
    if (label.len > STS_LABEL_MAX)
        return domain_refuse(diags, where, "domain-label-too-long", whole,
                             "has a label of more than 63 octets",
                             "RFC 1035 section 2.3.4 allows 63");
    if (label.ptr[0] == '-' || label.ptr[label.len - 1] == '-')
        return domain_refuse(diags, where, "domain-hyphen", whole,
                             "has a label that begins or ends with a hyphen",
                             "hyphens stand inside a label only (RFC 5321 section 4.1.2)");
    for (size_t i = 0; i < label.len; i++) {
        char c = label.ptr[i];
        if (c == '_')
            return domain_refuse(
                diags, where, "domain-underscore", whole, "contains an underscore",
                "host names have letters, digits and hyphens (RFC 5321 section 4.1.2)");
        if (c == '*')
            return domain_refuse(
                diags, where, "domain-wildcard", whole, "has a * where none is allowed",
                "only an mx may have one, as its whole left-most label: *.example.org");
        if (!sts_is_alnum(c) && c != '-')
            return domain_refuse(
                diags, where, "domain-character", whole,
                "contains a character that no host name has",
                "host names have letters, digits and hyphens (RFC 5321 section 4.1.2)");
    }
    return true;
}

static bool check_labels(struct sts_str name, struct sts_pos where, struct sts_diags *diags)
{
    for (size_t from = 0; from <= name.len;) {
        size_t dot = sts_str_find(name, '.', from);
        if (!check_label(sts_str_sub(name, from, dot), name, where, diags))
            return false;
        from = dot + 1;
    }
    return true;
}

/* A top label of digits alone is an address or a part of one, also when it comes out of IDNA
 * mapping (full-width digits); no such top-level domain exists (RFC 3696 §2). */
static bool check_top_label(struct sts_str name, struct sts_pos where, struct sts_diags *diags)
{
    size_t i = name.len;

    while (i > 0 && sts_is_digit(name.ptr[i - 1]))
        i--;
    if (i == name.len || (i > 0 && name.ptr[i - 1] != '.'))
        return true;
    return domain_refuse(diags, where, "domain-ip-address", name,
                         "ends in a number: this is an IP address or part of one, not a host name",
                         "senders compare names of MX records; write the host name");
}

bool sts_name_check_wire(struct sts_str name)
{
    if (name.len == 0 || name.len > STS_DOMAIN_MAX)
        return false;
    for (size_t from = 0; from <= name.len;) {
        size_t dot = sts_str_find(name, '.', from);
        struct sts_str label = sts_str_sub(name, from, dot);
        if (label.len == 0 || label.len > STS_LABEL_MAX || label.ptr[0] == '-' ||
            label.ptr[label.len - 1] == '-')
            return false;
        for (size_t i = 0; i < label.len; i++)
            if (!sts_is_digit(label.ptr[i]) && label.ptr[i] != '-' &&
                !(label.ptr[i] >= 'a' && label.ptr[i] <= 'z'))
                return false;
        from = dot + 1;
    }
    return true;
}

static struct sts_str domain_lower(struct sts_arena *arena, struct sts_str in)
{
    char *copy = sts_arena_alloc(arena, in.len + 1);
    for (size_t i = 0; i < in.len; i++)
        copy[i] = sts_lower(in.ptr[i]);
    return (struct sts_str){copy, in.len};
}

static bool has_a_label(struct sts_str lowered)
{
    for (size_t from = 0; from <= lowered.len; from = sts_str_find(lowered, '.', from) + 1)
        if (sts_str_starts(sts_str_sub(lowered, from, lowered.len), STS_STR("xn--")))
            return true;
    return false;
}

/* Without the dot that ends a fully qualified name, where that is a matter of taste. */
static bool strip_dot(struct sts_str *name, enum sts_domain_form form, struct sts_pos where,
                      struct sts_diags *diags)
{
    if (name->len < 2 || name->ptr[name->len - 1] != '.')
        return true;
    if (form == STS_DOMAIN_WIRE)
        return domain_refuse(
            diags, where, "domain-trailing-dot", *name, "ends with a dot",
            "leave the dot away: with it mox refuses the policy, others match nothing");
    *name = sts_str_sub(*name, 0, name->len - 1);
    return true;
}

/* What claims to be an A-label must be one, as the registry would say (RFC 5891 §4.2). libidn2
 * checks the way back by itself by default; names that compare bytewise must not depend on it. */
static bool check_a_labels(struct sts_arena *arena, struct sts_str name, struct sts_pos where,
                           struct sts_diags *diags)
{
    struct sts_str again;

    if (!has_a_label(name))
        return true;
    if (!to_a_labels(arena, name, where, diags, &again))
        return false;
    return sts_str_eq(name, again) ||
           domain_refuse(diags, where, "domain-idna", name,
                         "has an A-label that stands for another name",
                         "write the U-label or A-label (xn--...) as registered");
}

bool sts_domain_parse(struct sts_arena *arena, struct sts_str in, enum sts_domain_form form,
                      struct sts_pos where, struct sts_diags *diags, struct sts_str *out)
{
    struct sts_str name = in;

    if (!check_shape(in, where, diags) || !strip_dot(&name, form, where, diags))
        return false;
    if (!is_ascii(name)) {
        if (form == STS_DOMAIN_WIRE)
            return domain_refuse(diags, where, "domain-u-label", in, "is not ASCII",
                                 "write the A-label, xn--... (RFC 8461 section 3.2)");
        if (!to_a_labels(arena, name, where, diags, &name))
            return false;
    }
    name = domain_lower(arena, name);
    if (!check_labels(name, where, diags) || !check_top_label(name, where, diags))
        return false;
    if (name.len > STS_DOMAIN_MAX)
        return domain_refuse(diags, where, "domain-too-long", in, "is longer than 253 octets",
                             "RFC 1035 section 2.3.4 allows 253 octets");
    if (!check_a_labels(arena, name, where, diags))
        return false;
    *out = name;
    return true;
}

/* libpsl wants a string. */
static bool copy_name(char name[STS_DOMAIN_MAX + 1], struct sts_str domain)
{
    if (domain.len == 0 || domain.len > STS_DOMAIN_MAX)
        return false;
    memcpy(name, domain.ptr, domain.len);
    name[domain.len] = '\0';
    return true;
}

bool sts_domain_is_public_suffix(struct sts_str domain)
{
    char name[STS_DOMAIN_MAX + 1];
    return copy_name(name, domain) && psl_is_public_suffix(psl_builtin(), name) != 0;
}

struct sts_str sts_domain_zone(struct sts_str domain)
{
    char name[STS_DOMAIN_MAX + 1];
    const char *zone = copy_name(name, domain) ? psl_registrable_domain(psl_builtin(), name) : NULL;
    return zone ? sts_str_sub(domain, (size_t)(zone - name), domain.len) : domain;
}

bool sts_domain_is_within(struct sts_str domain, struct sts_str zone)
{
    if (!zone.len || !sts_str_ends(domain, zone))
        return false;
    return domain.len == zone.len || domain.ptr[domain.len - zone.len - 1] == '.';
}

size_t sts_domain_labels(struct sts_str domain)
{
    size_t labels = domain.len != 0;
    for (size_t i = 0; i < domain.len; i++)
        labels += domain.ptr[i] == '.';
    return labels;
}
