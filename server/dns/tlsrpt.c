/* The _smtp._tls TXT record: RFC 8460 §3. */
#include <assert.h>
#include <string.h>

#include "mtasts/domain.h"
#include "server/dns/fields.h"

static bool refuse(struct sts_diags *diags, struct sts_pos where, const char *code,
                   struct sts_str uri, const char *what, const char *help)
{
    struct sts_diag *diag = sts_diag_add(diags, STS_ERROR, code, where, "\"%.*s\" %s",
                                         STS_ARG(sts_str_sub(uri, 0, 200)), what);
    sts_diag_help(diags, diag, "%s", help);
    return false;
}

/* URI characters of RFC 3986 §2 without "," "!" ";" (RFC 8460 §3: percent-encode them), and without
 * "=", at which some parsers split the record. */
static bool check_characters(struct sts_str uri, struct sts_pos where, struct sts_diags *diags)
{
    static const char allowed[] = "-._~:/?#[]@$&'()*+%";

    for (size_t i = 0; i < uri.len; i++) {
        char c = uri.ptr[i];
        if (c == '!' || c == ';' || c == ',')
            return refuse(diags, where, "tlsrpt-uri-reserved", uri, "contains one of , ! ;",
                          "write %2C for a comma, %21 for !, %3B for ; (RFC 8460 section 3); "
                          "size suffixes such as !10m do not exist here");
        if (c == '=')
            return refuse(diags, where, "tlsrpt-uri-reserved", uri,
                          "contains =", "some parsers split the record there; write %3D");
        if (!sts_is_alnum(c) && (c == '\0' || !strchr(allowed, c)))
            return refuse(diags, where, "tlsrpt-uri-character", uri,
                          "contains a character that no URI has",
                          "percent-encode it (RFC 3986 section 2.1)");
        if (c == '%' && (i + 2 >= uri.len || !strchr("0123456789abcdefABCDEF", uri.ptr[i + 1]) ||
                         !strchr("0123456789abcdefABCDEF", uri.ptr[i + 2])))
            return refuse(diags, where, "tlsrpt-uri-character", uri,
                          "has a % without two hex digits", "write %25 for a percent sign");
    }
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

static bool check_mailto(struct sts_str uri, struct sts_pos where, struct sts_diags *diags)
{
    struct sts_str address = sts_str_sub(uri, strlen("mailto:"), uri.len);
    size_t question = sts_str_find(address, '?', 0);
    address = sts_str_sub(address, 0, question);
    size_t at = sts_str_find(address, '@', 0);

    if (at == 0 || at == address.len || !is_host(sts_str_sub(address, at + 1, address.len)))
        return refuse(diags, where, "tlsrpt-uri-address", uri, "has no valid mail address",
                      "write mailto:name@example.org");
    return true;
}

static bool check_https(struct sts_str uri, struct sts_pos where, struct sts_diags *diags)
{
    struct sts_str rest = sts_str_sub(uri, strlen("https://"), uri.len);
    size_t end = 0;

    while (end < rest.len && !strchr("/?#:", rest.ptr[end]))
        end++;
    if (!is_host(sts_str_sub(rest, 0, end)))
        return refuse(diags, where, "tlsrpt-uri-host", uri, "has no valid host",
                      "write https://host.example.org/path");
    return true;
}

bool sts_rua_check(struct sts_str uri, struct sts_pos where, struct sts_diags *diags)
{
    if (uri.len == 0 || uri.len > 512)
        return refuse(diags, where, "tlsrpt-uri", uri, "is empty or too long",
                      "write mailto:name@example.org");
    if (!check_characters(uri, where, diags))
        return false;
    if (sts_str_starts(uri, STS_STR("mailto:")))
        return check_mailto(uri, where, diags);
    if (sts_str_starts(uri, STS_STR("https://")))
        return check_https(uri, where, diags);
    if (sts_str_find(uri, ':', 0) == uri.len && sts_str_find(uri, '@', 0) < uri.len)
        return refuse(diags, where, "tlsrpt-uri-scheme", uri, "is an address without a scheme",
                      "write mailto: in front");
    return refuse(diags, where, "tlsrpt-uri-scheme", uri, "is not a mailto: or https: URI",
                  "only these two schemes, in lower case, are used (RFC 8460 section 3)");
}

static bool take_rua(struct sts_arena *arena, struct fields *f, const struct field *field,
                     struct sts_tlsrpt *out)
{
    struct sts_str *rua = STS_ARRAY(arena, field->value.len + 1, struct sts_str);
    size_t count = 0, errors = f->diags->errors;

    for (size_t from = 0; from <= field->value.len;) {
        size_t comma = sts_str_find(field->value, ',', from);
        struct sts_str raw = sts_str_sub(field->value, from, comma);
        struct sts_str uri = sts_str_trim(raw);
        struct sts_pos where = {f->source, 1, (uint32_t)(field->value_at + from) + 1};
        if (uri.len != raw.len)
            fields_report(f, STS_WARNING, "tlsrpt-list-space", field->value_at + from,
                          "white space in the list of URIs", "separate them by a comma alone");
        if (sts_rua_check(uri, where, f->diags))
            rua[count++] = sts_arena_dup(arena, uri);
        from = comma + 1;
    }
    out->rua = rua;
    out->rua_count = count;
    return f->diags->errors == errors;
}

bool sts_tlsrpt_parse(struct sts_arena *arena, struct sts_str value, struct sts_str source,
                      struct sts_diags *diags, struct sts_tlsrpt *out)
{
    struct fields f = {value, source, diags, "tlsrpt", "v=TLSRPTv1", 0};
    size_t errors = diags->errors;
    struct sts_tlsrpt found = {0};
    struct field field;
    bool have = false;

    if (!fields_begin(&f))
        return false;
    while (fields_next(&f, &field)) {
        if (!sts_str_is(field.name, "rua")) {
            fields_check_extension(&f, &field);
            continue;
        }
        if (have)
            fields_report(&f, STS_WARNING, "tlsrpt-rua-repeated", field.name_at, "rua is repeated",
                          "write one rua with a comma-separated list");
        else
            take_rua(arena, &f, &field, &found);
        have = true;
    }
    if (!have && diags->errors == errors)
        fields_report(&f, STS_ERROR, "tlsrpt-no-rua", value.len, "there is no rua",
                      "write v=TLSRPTv1; rua=mailto:name@example.org");
    if (diags->errors != errors)
        return false;
    *out = found;
    return true;
}

void sts_tlsrpt_render(struct sts_buf *out, const struct sts_str *rua, size_t rua_count)
{
    assert(rua_count > 0);
    sts_buf_add(out, STS_STR("v=TLSRPTv1; rua="));
    for (size_t i = 0; i < rua_count; i++) {
        for (size_t j = 0; j < rua[i].len; j++)
            assert(rua[i].ptr[j] > ' ' && rua[i].ptr[j] < 0x7f &&
                   !strchr(",;!\"\\", rua[i].ptr[j]));
        if (i)
            sts_buf_add(out, STS_STR(","));
        sts_buf_add(out, rua[i]);
    }
}
