/* The fields of a policy, one function each. */
#include "server/policy/parser.h"

#include <stdlib.h>
#include <string.h>

#include "mtasts/domain.h"
#include "server/policy/text.h"

const char *const sts_parser_field_names[] = {[FIELD_VERSION] = "version",
                                              [FIELD_MODE] = "mode",
                                              [FIELD_MX] = "mx",
                                              [FIELD_MAX_AGE] = "max_age",
                                              [FIELDS] = NULL};

struct sts_pos sts_parser_at(const struct parser *p, size_t column)
{
    return (struct sts_pos){p->pos.source, p->pos.line, (uint32_t)(p->shift + column) + 1};
}

struct sts_diag *sts_parser_report(struct parser *p, enum sts_severity severity, const char *code,
                                   size_t column, const char *message, const char *help)
{
    struct sts_pos where = p->pos.line ? sts_parser_at(p, column) : p->pos;
    struct sts_diag *diag = sts_diag_add(p->diags, severity, code, where, "%s", message);

    if (help)
        sts_diag_help(p->diags, diag, "%s", help);
    return diag;
}

void sts_parser_note_near(struct parser *p, struct sts_str name)
{
    const char *near = sts_suggest(sts_str_trim(name), sts_parser_field_names);

    for (size_t i = 0; i < FIELDS; i++)
        if (near == sts_parser_field_names[i] && !p->seen[i].near.line)
            p->seen[i].near = sts_parser_at(p, 0);
}

static void parse_field_take_version(struct parser *p, struct sts_str value, size_t column)
{
    if (sts_str_is(value, "STSv1"))
        return;
    sts_parser_report(p, STS_ERROR, "policy-version", column, "version must be exactly STSv1",
                      "write version: STSv1");
}

static void parse_field_take_mode(struct parser *p, struct sts_str value, size_t column)
{
    if (sts_mode_from(value, &p->policy.mode))
        return;
    struct sts_diag *diag =
        sts_diag_add(p->diags, STS_ERROR, "policy-mode", sts_parser_at(p, column),
                     "\"%.*s\" is not a mode", STS_ARG(sts_str_sub(value, 0, 100)));
    const char *near = sts_suggest(value, sts_mode_names);
    if (near)
        sts_diag_help(p->diags, diag, "did you mean %s? Modes are lower case only", near);
    else
        sts_diag_help(p->diags, diag, "write enforce, testing or none");
}

/* The grammar allows 10 digits; erratum 7282 proposes 8, what the limit needs. */
static void parse_field_take_max_age(struct parser *p, struct sts_str value, size_t column)
{
    unsigned long long seconds;

    if (!sts_str_to_uint(value, 10, 9999999999, &seconds))
        sts_parser_report(
            p, STS_ERROR, "policy-max-age", column, "max_age must be 1 to 10 digits",
            "write seconds without unit or sign, such as max_age: 2419200 (four weeks)");
    else if (seconds > STS_MAX_AGE_LIMIT)
        sts_parser_report(
            p, STS_ERROR, "policy-max-age-above-limit", column,
            "max_age is above 31557600 seconds, the limit of RFC 8461 section 3.2",
            "write 31557600 or less: postfix-mta-sts-resolver and checkdmarc refuse more");
    else
        p->policy.max_age = (uint32_t)seconds;
    if (value.len > 1 && value.ptr[0] == '0' && p->policy.max_age)
        sts_parser_report(p, STS_NOTE, "policy-max-age-zeros", column, "max_age has leading zeros",
                          "write the number without them");
}

static void parse_field_take_mx(struct parser *p, struct sts_str value, size_t column)
{
    struct mx_entry entry = {.where = sts_parser_at(p, column)};

    if (!sts_mx_parse(p->arena, value, STS_DOMAIN_WIRE, entry.where, p->diags, &entry.mx))
        return;
    p->mx = sts_arena_grow(p->arena, p->mx, p->mx_count, &p->mx_capacity, sizeof(*p->mx));
    p->mx[p->mx_count++] = entry;
}

/* Accepted and ignored by the letter (RFC 8461 §3.2), not by everyone. */
static void take_extension(struct parser *p, struct sts_str name, struct sts_str value,
                           size_t column)
{
    if (!sts_text_is_extension(value)) {
        sts_parser_report(p, STS_ERROR, "policy-extension-value", column,
                          "the value of this unknown field is not allowed",
                          "it must be printable UTF-8 and not empty (RFC 8461 section 3.2)");
        return;
    }
    struct sts_diag *diag =
        sts_diag_add(p->diags, STS_WARNING, "policy-field-unknown", sts_parser_at(p, 0),
                     "unknown field \"%.*s\"", STS_ARG(name));
    const char *near = sts_suggest(name, sts_parser_field_names);
    bool colon = sts_str_find(value, ':', 0) < value.len;
    sts_diag_help(p->diags, diag, "%s%s%sremove it: checkdmarc and NCSC call it an error%s%s",
                  near ? "did you mean " : "", near ? near : "",
                  near ? " (lower case only)? Otherwise " : "",
                  colon ? ", maddy refuses a policy with a colon in a value" : "",
                  sts_text_is_ascii(value) ? "" : ", postfix-mta-sts-resolver reads ASCII only");
    if (sts_text_has_c1(value))
        sts_parser_report(p, STS_WARNING, "policy-extension-control", column,
                          "the value has a control character (U+0080 to U+009F)",
                          "remove it: the grammar of RFC 8461 section 3.2 contradicts itself here");
    sts_parser_note_near(p, name);
}

/* The first of a repeated field counts (RFC 8461 §3.2); clients disagree, so it is reported. */
static void report_repeated(struct parser *p, const struct seen *seen, const char *name)
{
    struct sts_diag *diag =
        sts_diag_add(p->diags, STS_WARNING, "policy-field-repeated", sts_parser_at(p, 0),
                     "\"%s\" is repeated; the first one counts", name);
    sts_diag_help(p->diags, diag,
                  "remove it: KumoMTA, checkdmarc and NCSC refuse the policy, "
                  "postfix-mta-sts-resolver, chasquid and Halon take the last");
    diag->related = seen->name;
}

void sts_parser_take(struct parser *p, struct sts_str name, struct sts_str value, size_t column)
{
    static void (*const take[])(struct parser *, struct sts_str, size_t) = {
        [FIELD_VERSION] = parse_field_take_version,
        [FIELD_MODE] = parse_field_take_mode,
        [FIELD_MX] = parse_field_take_mx,
        [FIELD_MAX_AGE] = parse_field_take_max_age,
    };

    for (size_t i = 0; i < FIELDS; i++) {
        if (!sts_str_is(name, sts_parser_field_names[i]))
            continue;
        struct seen *seen = &p->seen[i];
        if (seen->present && i != FIELD_MX) {
            report_repeated(p, seen, sts_parser_field_names[i]);
            return;
        }
        if (!seen->present)
            *seen = (struct seen){true, sts_parser_at(p, column), sts_parser_at(p, 0), seen->near};
        take[i](p, value, column);
        return;
    }
    take_extension(p, name, value, column);
}

static int by_name_and_line(const void *a, const void *b)
{
    const struct mx_entry *x = a, *y = b;
    int order = sts_str_cmp(x->mx, y->mx);

    return order ? order : (x->where.line > y->where.line) - (x->where.line < y->where.line);
}

const struct sts_pos *sts_parser_finish_mx(struct parser *p)
{
    struct sts_str *names = STS_ARRAY(p->arena, p->mx_count, struct sts_str);
    struct sts_pos *places = STS_ARRAY(p->arena, p->mx_count, struct sts_pos);
    size_t kept = 0;

    if (p->mx_count)
        qsort(p->mx, p->mx_count, sizeof(*p->mx), by_name_and_line);
    for (size_t i = 0; i < p->mx_count; i++) {
        if (kept && sts_str_eq(names[kept - 1], p->mx[i].mx)) {
            struct sts_diag *diag =
                sts_diag_add(p->diags, STS_WARNING, "mx-repeated", p->mx[i].where,
                             "%.*s is there twice", STS_ARG(p->mx[i].mx));
            diag->related = places[kept - 1];
            sts_diag_help(p->diags, diag, "remove one of the two");
            continue;
        }
        names[kept] = p->mx[i].mx;
        places[kept++] = p->mx[i].where;
    }
    p->policy.mx = names;
    p->policy.mx_count = kept;
    return places;
}
