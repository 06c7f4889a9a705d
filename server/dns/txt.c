/* The _mta-sts TXT record: RFC 8461 §3.1. */
#include <assert.h>

#include "server/dns/fields.h"

static const char *id_help(struct sts_str id)
{
    for (size_t i = 0; i < id.len; i++) {
        if (id.ptr[i] == '"' || id.ptr[i] == '\'')
            return "without quotes: letters and digits only (RFC 8461 section 3.1)";
        if (id.ptr[i] == ' ' || id.ptr[i] == '\t')
            return "write ; between the id and what follows";
        if (!sts_is_alnum(id.ptr[i]))
            return "letters and digits only: no - : . _ = (RFC 8461 section 3.1); write the time "
                   "as 20261123093000Z";
    }
    return id.len > STS_ID_MAX ? "at most 32 characters (RFC 8461 section 3.1)"
                               : "1 to 32 letters and digits (RFC 8461 section 3.1)";
}

static void txt_take_id(struct fields *f, const struct field *field, struct sts_str *id, bool *have)
{
    if (*have) {
        fields_report(f, STS_WARNING, "txt-id-repeated", field->name_at,
                      "id is repeated; the first one counts", "remove it: clients disagree");
        if (!fields_is_value(field->value)) /* by the grammar it is then an extension */
            fields_report(f, STS_ERROR, "txt-id", field->value_at, "this is not an id",
                          id_help(field->value));
        return;
    }
    *have = true;
    if (sts_id_check(field->value))
        *id = field->value;
    else
        fields_report(f, STS_ERROR, "txt-id", field->value_at, "this is not an id",
                      id_help(field->value));
}

bool sts_txt_parse(struct sts_arena *arena, struct sts_str value, struct sts_str source,
                   struct sts_diags *diags, struct sts_str *id)
{
    struct fields f = {value, source, diags, "txt", "v=STSv1", 0};
    size_t errors = diags->errors;
    struct sts_str found = {0};
    struct field field;
    bool have = false;

    if (!fields_begin(&f))
        return false;
    while (fields_next(&f, &field)) {
        if (sts_str_is(field.name, "id")) {
            txt_take_id(&f, &field, &found, &have);
            continue;
        }
        fields_check_extension(&f, &field, "id");
    }
    if (!have && diags->errors == errors)
        fields_report(&f, STS_ERROR, "txt-no-id", value.len, "there is no id",
                      "write v=STSv1; id=20261123093000Z;");
    if (diags->errors != errors)
        return false;
    *id = sts_arena_dup(arena, found);
    return true;
}

void sts_txt_render(struct sts_buf *out, struct sts_str id)
{
    assert(sts_id_check(id));
    sts_buf_printf(out, "v=STSv1; id=%.*s;", STS_ARG(id));
}

/* A record that only a blank keeps from being selected: the sender looks for "v=STSv1;" although
 * the grammar lets white space stand before the ";" (RFC 8461 §3.1, erratum 6285). */
static bool is_spaced(struct sts_str value, struct sts_str prefix)
{
    size_t version = prefix.len - 1, at = version;

    if (!sts_str_starts(value, sts_str_sub(prefix, 0, version)))
        return false;
    while (at < value.len && (value.ptr[at] == ' ' || value.ptr[at] == '\t'))
        at++;
    return at > version && at < value.len && value.ptr[at] == ';';
}

static bool select_none(bool spaced, bool tlsrpt, struct sts_str prefix, struct sts_pos where,
                        struct sts_diags *diags)
{
    struct sts_diag *diag =
        sts_diag_add(diags, STS_ERROR, tlsrpt ? "tlsrpt-none" : "txt-none", where,
                     "no TXT record begins with \"%.*s\"", STS_ARG(prefix));
    if (spaced)
        sts_diag_help(diags, diag, "remove the white space before the first ;");
    else
        sts_diag_help(diags, diag, "publish one (%s)",
                      tlsrpt ? "RFC 8460 section 3" : "RFC 8461 section 3.1");
    return false;
}

bool sts_txt_select(const struct sts_str *values, size_t count, struct sts_str prefix,
                    struct sts_pos where, struct sts_diags *diags, size_t *index)
{
    bool tlsrpt = sts_str_is(prefix, "v=TLSRPTv1;"), spaced = false;
    size_t matches = 0, last = 0;

    assert(tlsrpt || sts_str_is(prefix, "v=STSv1;"));
    for (size_t i = 0; i < count; i++) {
        spaced = spaced || is_spaced(values[i], prefix);
        if (sts_str_starts(values[i], prefix)) {
            matches++;
            last = i;
        }
    }
    if (matches == 0)
        return select_none(spaced, tlsrpt, prefix, where, diags);
    if (matches > 1) {
        struct sts_diag *diag =
            sts_diag_add(diags, STS_ERROR, tlsrpt ? "tlsrpt-several" : "txt-several", where,
                         "%zu TXT records begin with \"%.*s\": senders use none of them", matches,
                         STS_ARG(prefix));
        sts_diag_help(diags, diag, "keep exactly one (%s)",
                      tlsrpt ? "RFC 8460 section 3" : "RFC 8461 section 3.1");
        return false;
    }
    *index = last;
    return true;
}
