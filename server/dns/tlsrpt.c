/* The _smtp._tls TXT record: RFC 8460 §3. */
#include <assert.h>
#include <string.h>

#include "server/dns/fields.h"
#include "server/dns/rua.h"

static void take_rua(struct sts_arena *arena, struct fields *f, const struct field *field,
                     struct sts_tlsrpt *out)
{
    struct sts_str *rua = STS_ARRAY(arena, field->value.len + 1, struct sts_str);
    size_t count = 0;

    for (size_t from = 0; from <= field->value.len;) {
        size_t comma = sts_str_find(field->value, ',', from);
        struct sts_str raw = sts_str_sub(field->value, from, comma);
        struct sts_str uri = sts_str_trim(raw);
        size_t at = uri.len ? (size_t)(uri.ptr - f->value.ptr) : field->value_at + from;
        struct sts_pos where = {f->source, 1, (uint32_t)at + 1};
        if (uri.len != raw.len)
            fields_report(f, STS_WARNING, "tlsrpt-list-space", field->value_at + from,
                          "white space in the list of URIs", "separate them by a comma alone");
        if (rua_check(uri, where, f->diags, STS_WARNING))
            rua[count++] = sts_arena_dup(arena, uri);
        from = comma + 1;
    }
    out->rua = rua;
    out->rua_count = count;
}

bool sts_tlsrpt_parse(struct sts_arena *arena, struct sts_str value, struct sts_str source,
                      struct sts_diags *diags, struct sts_tlsrpt *out)
{
    struct fields f = {value, source, diags, "tlsrpt", "v=TLSRPTv1", 0};
    size_t errors = diags->errors;
    struct sts_tlsrpt found = {0}, repeated;
    struct field field;
    bool have = false;

    if (!fields_begin(&f))
        return false;
    while (fields_next(&f, &field)) {
        if (!sts_str_is(field.name, "rua")) {
            fields_check_extension(&f, &field, "rua");
            continue;
        }
        if (have)
            fields_report(&f, STS_WARNING, "tlsrpt-rua-repeated", field.name_at, "rua is repeated",
                          "write one rua with a comma-separated list");
        take_rua(arena, &f, &field, have ? &repeated : &found);
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
