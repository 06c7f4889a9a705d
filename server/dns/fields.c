#include "server/dns/fields.h"

#include <string.h>

enum { STRING_MAX = 255 };

static const char *fields_pick(const struct fields *f, const char *txt, const char *tlsrpt)
{
    return strcmp(f->prefix, "txt") == 0 ? txt : tlsrpt;
}

struct sts_diag *fields_report(struct fields *f, enum sts_severity severity, const char *code,
                               size_t at, const char *message, const char *help)
{
    struct sts_pos where = {f->source, 1, (uint32_t)at + 1};
    struct sts_diag *diag = sts_diag_add(f->diags, severity, code, where, "%s", message);
    if (help)
        sts_diag_help(f->diags, diag, "%s", help);
    return diag;
}

static bool fields_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static size_t skip_blank(const struct fields *f, size_t at)
{
    while (at < f->value.len && fields_is_blank(f->value.ptr[at]))
        at++;
    return at;
}

static bool check_bytes(struct fields *f)
{
    for (size_t i = 0; i < f->value.len; i++) {
        unsigned char c = (unsigned char)f->value.ptr[i];
        if ((c < 0x20 && c != '\t') || c >= 0x7f) {
            fields_report(f, STS_ERROR, fields_pick(f, "txt-character", "tlsrpt-character"), i,
                          "this byte is not printable ASCII",
                          "the record is US-ASCII on one line (RFC 8461 section 3.1)");
            return false;
        }
    }
    if (f->value.len > STRING_MAX)
        fields_report(f, STS_WARNING, fields_pick(f, "txt-long", "tlsrpt-long"), STRING_MAX,
                      "the value is longer than one character-string (255 octets)",
                      fields_pick(f, "shorten it: Courier reads one string only",
                                  "shorten it: some parsers read one string only"));
    return true;
}

static bool wrong_version(struct fields *f, struct sts_str version)
{
    const char *code = fields_pick(f, "txt-version", "tlsrpt-version");
    struct sts_str begin = sts_str_sub(f->value, 0, version.len);

    if (f->value.len && (f->value.ptr[0] == '"' || f->value.ptr[0] == '\''))
        fields_report(f, STS_ERROR, fields_pick(f, "txt-quoted", "tlsrpt-quoted"), 0,
                      "the value is in quotes",
                      "quotes belong to the zone file only; remove them here");
    else if (f->value.len && fields_is_blank(f->value.ptr[0]))
        fields_report(f, STS_ERROR, code, 0, "white space before the version",
                      "the value must begin with the version");
    else if (sts_str_eq_nocase(begin, version))
        fields_report(f, STS_ERROR, code, 0, "the version is case-sensitive",
                      fields_pick(f, "write v=STSv1", "write v=TLSRPTv1"));
    else
        fields_report(f, STS_ERROR, code, 0, "the value does not begin with the version",
                      fields_pick(f, "begin with v=STSv1;", "begin with v=TLSRPTv1;"));
    return false;
}

bool fields_begin(struct fields *f)
{
    struct sts_str version = sts_str_from(f->version);

    if (!check_bytes(f))
        return false;
    if (!sts_str_starts(f->value, version))
        return wrong_version(f, version);
    size_t at = skip_blank(f, version.len);
    if (sts_str_starts(sts_str_sub(f->value, at, f->value.len), STS_STR("\\;"))) {
        fields_report(f, STS_ERROR, fields_pick(f, "txt-escaped", "tlsrpt-escaped"), at,
                      "there is a backslash before ;",
                      "backslashes belong to some zone editors only; remove them here");
        return false;
    }
    if (at == f->value.len || f->value.ptr[at] != ';') {
        fields_report(f, STS_ERROR, fields_pick(f, "txt-no-semicolon", "tlsrpt-no-semicolon"), at,
                      "there is no ; behind the version",
                      fields_pick(f, "write v=STSv1; id=...;", "write v=TLSRPTv1; rua=..."));
        return false;
    }
    if (at > version.len) {
        fields_report(f, STS_ERROR,
                      fields_pick(f, "txt-space-before-semicolon", "tlsrpt-space-before-semicolon"),
                      version.len, "white space before the first ;",
                      "remove it: senders select records that begin with the version and ; "
                      "directly behind it (RFC 8461 section 3.1, erratum 6285)");
        return false;
    }
    f->at = at;
    return true;
}

bool fields_is_value(struct sts_str value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] <= ' ' || value.ptr[i] >= 0x7f || value.ptr[i] == '=' ||
            value.ptr[i] == ';')
            return false;
    return value.len > 0;
}

/* The end of the value: nothing but one final ";" and white space may stand there. */
static bool at_end(struct fields *f, size_t at)
{
    if (at < f->value.len)
        return false;
    if (f->at + 1 < f->value.len)
        fields_report(f, STS_WARNING, fields_pick(f, "txt-tail", "tlsrpt-tail"), f->at + 1,
                      "white space behind the last ;",
                      fields_pick(f, "remove it: KumoMTA fails on it", "remove it"));
    f->at = f->value.len;
    return true;
}

/* T3: white space stands around ";" only, and not at the very end. */
static bool check_space(struct fields *f, struct sts_str field, size_t equals, bool last)
{
    size_t at = (size_t)(field.ptr - f->value.ptr);
    const char *what = "white space around the =";

    if (equals > 0 && fields_is_blank(field.ptr[equals - 1]))
        at += sts_str_trim(sts_str_sub(field, 0, equals)).len;
    else if (equals + 1 < field.len && fields_is_blank(field.ptr[equals + 1]))
        at += equals + 1;
    else if (last && fields_is_blank(field.ptr[field.len - 1])) {
        at += sts_str_trim(field).len;
        what = "white space at the end of the record";
    } else
        return true;
    fields_report(f, STS_ERROR, fields_pick(f, "txt-space", "tlsrpt-space"), at, what,
                  "remove it (RFC 8461 section 3.1)");
    return false;
}

bool fields_next(struct fields *f, struct field *out)
{
    if (f->at >= f->value.len)
        return false;
    size_t from = skip_blank(f, f->at + 1);
    if (at_end(f, from))
        return false;
    size_t to = sts_str_find(f->value, ';', from);
    struct sts_str field = sts_str_sub(f->value, from, to);
    size_t equals = sts_str_find(field, '=', 0);
    if (equals == field.len) {
        fields_report(f, STS_ERROR, fields_pick(f, "txt-field", "tlsrpt-field"), from,
                      field.len ? "this is not a field: it has no =" : "a field is empty",
                      fields_pick(f, "write name=value, fields separated by one ;",
                                  "write name=value, fields separated by one ;, URIs by a comma"));
        f->at = f->value.len;
        return false;
    }
    struct sts_str value = sts_str_sub(field, equals + 1, field.len);
    if (!check_space(f, field, equals, to == f->value.len)) {
        f->at = f->value.len;
        return false;
    }
    *out =
        (struct field){sts_str_sub(field, 0, equals), sts_str_trim(value), from, from + equals + 1};
    f->at = to;
    return true;
}

static const char *fields_unknown_help(const struct fields *f, const struct field *field,
                                       const char *known)
{
    const char *const names[] = {known, NULL};

    if (sts_str_eq_nocase(field->name, sts_str_from(known)))
        return fields_pick(
            f, "names are case-sensitive: write id=", "names are case-sensitive: write rua=");
    if (sts_suggest(field->name, names))
        return fields_pick(f, "did you mean id?", "did you mean rua?");
    return fields_pick(f, "remove it: checkdmarc reports it, senders ignore it",
                       "remove it: senders ignore it");
}

bool fields_check_extension(struct fields *f, const struct field *field, const char *known)
{
    if (!sts_is_field_name(field->name) || !fields_is_value(field->value)) {
        fields_report(f, STS_ERROR, fields_pick(f, "txt-extension", "tlsrpt-extension"),
                      field->name_at, "this unknown field is malformed",
                      "a name of up to 32 letters, digits, _ - . and a value without space and =");
        return false;
    }
    fields_report(f, STS_WARNING, fields_pick(f, "txt-unknown", "tlsrpt-unknown"), field->name_at,
                  "unknown field", fields_unknown_help(f, field, known));
    return true;
}
