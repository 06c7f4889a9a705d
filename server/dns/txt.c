/* The _mta-sts TXT record: RFC 8461 §3.1. */
#include <assert.h>

#include "server/dns/fields.h"

static const char *id_help(struct sts_str id)
{
    if (id.len > STS_ID_MAX)
        return "at most 32 characters (RFC 8461 section 3.1)";
    for (size_t i = 0; i < id.len; i++)
        if (!sts_is_alnum(id.ptr[i]))
            return "letters and digits only: no - : . _ = (RFC 8461 section 3.1); write the time "
                   "as "
                   "20261123093000Z";
    return "1 to 32 letters and digits (RFC 8461 section 3.1)";
}

static void take_id(struct fields *f, const struct field *field, struct sts_str *id, bool *have)
{
    if (*have) {
        fields_report(f, STS_WARNING, "txt-id-repeated", field->name_at,
                      "id is repeated; the first one counts", "remove it: clients disagree");
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
            take_id(&f, &field, &found, &have);
            continue;
        }
        if (sts_str_eq_nocase(field.name, STS_STR("id")))
            fields_report(&f, STS_WARNING, "txt-id-case", field.name_at,
                          "field names are case-sensitive", "write id=");
        fields_check_extension(&f, &field);
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

bool sts_txt_select(const struct sts_str *values, size_t count, struct sts_str prefix,
                    struct sts_pos where, struct sts_diags *diags, size_t *index)
{
    size_t matches = 0, last = 0;

    for (size_t i = 0; i < count; i++)
        if (sts_str_starts(values[i], prefix)) {
            matches++;
            last = i;
        }
    if (matches == 1) {
        *index = last;
        return true;
    }
    if (matches == 0) {
        struct sts_diag *diag = sts_diag_add(diags, STS_ERROR, "txt-none", where,
                                             "no TXT record begins with \"%.*s\"", STS_ARG(prefix));
        sts_diag_help(diags, diag, "publish one (RFC 8461 section 3.1)");
    } else {
        struct sts_diag *diag =
            sts_diag_add(diags, STS_ERROR, "txt-several", where,
                         "%zu TXT records begin with \"%.*s\": senders use none of them", matches,
                         STS_ARG(prefix));
        sts_diag_help(diags, diag, "keep exactly one (RFC 8461 section 3.1)");
    }
    return false;
}
