/* Policy text to value, by the grammar of RFC 8461 §3.2. */
#include <string.h>

#include "mtasts/domain.h"
#include "mtasts/policy.h"

/* Where a single field was first seen, to point at when it is repeated. */
struct seen {
    bool present;
    struct sts_pos where;
};

struct parser {
    struct sts_arena *arena;
    struct sts_diags *diags;
    struct sts_pos pos;
    struct seen version, mode, max_age;
    struct sts_policy policy;
    struct sts_str *mx;
    size_t mx_capacity;
    bool warned_lf, warned_crlf;
};

static const char *const field_names[] = {"version", "mode", "mx", "max_age", NULL};

static struct sts_diag *report(struct parser *p, enum sts_severity severity, const char *code,
                               size_t column, const char *message, const char *help)
{
    struct sts_pos where = p->pos;
    where.column = (uint32_t)column + 1;
    struct sts_diag *diag = sts_diag_add(p->diags, severity, code, where, "%s", message);
    if (help)
        sts_diag_help(p->diags, diag, "%s", help);
    return diag;
}

/* The first of a repeated field counts (RFC 8461 §3.2); clients disagree, so it is reported. */
static bool first_time(struct parser *p, struct seen *seen, const char *name)
{
    if (!seen->present) {
        seen->present = true;
        seen->where = p->pos;
        seen->where.column = 1;
        return true;
    }
    struct sts_pos where = p->pos;
    where.column = 1;
    struct sts_diag *diag = sts_diag_add(p->diags, STS_WARNING, "policy-field-repeated", where,
                                         "\"%s\" is repeated; the first one counts", name);
    sts_diag_help(p->diags, diag,
                  "remove it: KumoMTA, checkdmarc and NCSC refuse the policy, "
                  "postfix-mta-sts-resolver and chasquid take the last");
    diag->related = seen->where;
    return false;
}

static void take_version(struct parser *p, struct sts_str value, size_t column)
{
    if (first_time(p, &p->version, "version") && !sts_str_is(value, "STSv1"))
        report(p, STS_ERROR, "policy-version", column, "version must be exactly STSv1",
               "write version: STSv1");
}

static void take_mode(struct parser *p, struct sts_str value, size_t column)
{
    if (!first_time(p, &p->mode, "mode") || sts_mode_from(value, &p->policy.mode))
        return;
    struct sts_pos where = p->pos;
    where.column = (uint32_t)column + 1;
    struct sts_diag *diag = sts_diag_add(p->diags, STS_ERROR, "policy-mode", where,
                                         "\"%.*s\" is not a mode", STS_ARG(value));
    const char *near = sts_suggest(value, sts_mode_names);
    if (near)
        sts_diag_help(p->diags, diag, "did you mean %s?", near);
    else
        sts_diag_help(p->diags, diag, "write enforce, testing or none");
}

static void take_max_age(struct parser *p, struct sts_str value, size_t column)
{
    unsigned long long seconds;

    if (!first_time(p, &p->max_age, "max_age"))
        return;
    if (sts_str_to_uint(value, 10, STS_MAX_AGE_LIMIT, &seconds))
        p->policy.max_age = (uint32_t)seconds;
    else
        report(p, STS_ERROR, "policy-max-age", column,
               "max_age must be 1 to 10 digits, at most 31557600 (seconds)",
               "write seconds without unit or sign, such as max_age: 2419200 (four weeks)");
}

static void take_mx(struct parser *p, struct sts_str value, size_t column)
{
    struct sts_pos where = p->pos;
    struct sts_str mx;

    where.column = (uint32_t)column + 1;
    if (!sts_mx_parse(p->arena, value, STS_DOMAIN_WIRE, where, p->diags, &mx))
        return;
    if (p->policy.mx_count == p->mx_capacity) {
        size_t capacity = p->mx_capacity ? p->mx_capacity * 2 : 8;
        struct sts_str *more = STS_ARRAY(p->arena, capacity, struct sts_str);
        if (p->policy.mx_count)
            memcpy(more, p->mx, p->policy.mx_count * sizeof(*more));
        p->mx = more;
        p->mx_capacity = capacity;
    }
    p->mx[p->policy.mx_count++] = mx;
}

/* sts-policy-ext-name, RFC 8461 §3.2. */
static bool is_field_name(struct sts_str name)
{
    if (name.len == 0 || name.len > 32 || !sts_is_alnum(name.ptr[0]))
        return false;
    for (size_t i = 1; i < name.len; i++) {
        char c = name.ptr[i];
        if (!sts_is_alnum(c) && c != '_' && c != '-' && c != '.')
            return false;
    }
    return true;
}

/* Octets of one well-formed UTF-8 sequence of 2 to 4 (RFC 3629 §4), or 0. */
static size_t utf8_sequence(const unsigned char *s, size_t left)
{
    size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;

    if (s[0] < 0xc2 || s[0] > 0xf4 || len > left)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xed && s[1] > 0x9f;
    bool too_high = s[0] == 0xf4 && s[1] > 0x8f;
    return overlong || surrogate || too_high ? 0 : len;
}

/* sts-policy-ext-value: visible at both ends, SP inside, UTF-8 (RFC 8461 §3.2). */
static bool is_extension_value(struct sts_str value)
{
    const unsigned char *s = (const unsigned char *)value.ptr;

    if (value.len == 0)
        return false;
    for (size_t i = 0; i < value.len;) {
        size_t step = 1;
        if (s[i] >= 0x80)
            step = utf8_sequence(s + i, value.len - i);
        else if (s[i] < 0x20 || s[i] == 0x7f)
            return false;
        if (step == 0)
            return false;
        i += step;
    }
    return true;
}

static void take_extension(struct parser *p, struct sts_str name, struct sts_str value,
                           size_t column)
{
    if (!is_extension_value(value)) {
        report(p, STS_ERROR, "policy-extension-value", column,
               "the value of this unknown field is not allowed",
               "it must be printable UTF-8 and not empty (RFC 8461 section 3.2)");
        return;
    }
    struct sts_pos where = p->pos;
    where.column = 1;
    struct sts_diag *diag = sts_diag_add(p->diags, STS_WARNING, "policy-field-unknown", where,
                                         "unknown field \"%.*s\"", STS_ARG(name));
    const char *near = sts_suggest(name, field_names);
    if (near)
        sts_diag_help(p->diags, diag, "did you mean %s? Names are lower case only", near);
    else
        sts_diag_help(p->diags, diag, "remove it: checkdmarc and NCSC call it an error%s",
                      sts_str_find(value, ':', 0) < value.len
                          ? ", maddy refuses a policy with a colon in a value"
                          : "");
}

static void parse_line(struct parser *p, struct sts_str line)
{
    if (sts_str_trim(line).len == 0) {
        report(p, STS_ERROR, "policy-blank-line", 0, "blank line",
               "remove it: mox, postfix-tlspol and maddy refuse the whole policy");
        return;
    }
    size_t colon = sts_str_find(line, ':', 0);
    if (colon == line.len) {
        report(p, STS_ERROR, "policy-no-colon", 0, "this line is not a field: it has no colon",
               "write name: value; comments do not exist in a policy");
        return;
    }
    struct sts_str name = sts_str_sub(line, 0, colon);
    if (!is_field_name(name)) {
        report(p, STS_ERROR, "policy-field-name", 0, "this is not a field name",
               "no space before the name or the colon; letters, digits, _ - . only");
        return;
    }
    size_t start = colon + 1;
    while (start < line.len && (line.ptr[start] == ' ' || line.ptr[start] == '\t'))
        start++;
    struct sts_str value = sts_str_trim(sts_str_sub(line, start, line.len));
    if (value.len && start + value.len < line.len)
        report(p, STS_WARNING, "policy-trailing-space", start + value.len,
               "white space at the end of the line", "remove it: some checkers refuse it");
    if (sts_str_is(name, "version"))
        take_version(p, value, start);
    else if (sts_str_is(name, "mode"))
        take_mode(p, value, start);
    else if (sts_str_is(name, "max_age"))
        take_max_age(p, value, start);
    else if (sts_str_is(name, "mx"))
        take_mx(p, value, start);
    else
        take_extension(p, name, value, start);
}

static void note_line_end(struct parser *p, bool crlf)
{
    p->warned_crlf |= crlf;
    p->warned_lf |= !crlf;
}

static void parse_lines(struct parser *p, struct sts_str body)
{
    for (size_t from = 0; from < body.len;) {
        size_t lf = sts_str_find(body, '\n', from);
        size_t to = lf;
        if (lf < body.len) {
            bool crlf = lf > from && body.ptr[lf - 1] == '\r';
            to = crlf ? lf - 1 : lf;
            note_line_end(p, crlf);
        }
        p->pos.line++;
        parse_line(p, sts_str_sub(body, from, to));
        from = lf + 1;
    }
}

static void check_line_ends(struct parser *p)
{
    p->pos.line = 1;
    if (p->warned_lf && p->warned_crlf)
        report(p, STS_WARNING, "policy-mixed-line-ends", 0,
               "some lines end with CRLF, some with LF",
               "end every line with CRLF: checkdmarc misreads a mixture");
    else if (p->warned_lf)
        report(p, STS_WARNING, "policy-line-end", 0, "lines end with LF alone",
               "end every line with CRLF: MailPolicyExplainer refuses LF, Mimecast warns");
}

static void check_required(struct parser *p)
{
    p->pos.line = 0;
    if (!p->version.present)
        report(p, STS_ERROR, "policy-no-version", 0, "there is no version field",
               "add version: STSv1 as the first line");
    if (!p->mode.present)
        report(p, STS_ERROR, "policy-no-mode", 0, "there is no mode field",
               "add mode: testing, enforce or none");
    if (!p->max_age.present)
        report(p, STS_ERROR, "policy-no-max-age", 0, "there is no max_age field",
               "add max_age: 2419200 (four weeks)");
}

static bool check_size(struct parser *p, size_t len)
{
    p->pos.line = 0;
    if (len > STS_POLICY_MAX)
        report(p, STS_ERROR, "policy-too-large", 0, "the body is larger than 64 KiB",
               "senders need not accept it (RFC 8461 section 3.3)");
    else if (len > STS_POLICY_HARD_MAX)
        report(p, STS_ERROR, "policy-too-large", 0, "the body is larger than 10 KiB",
               "chasquid cuts it there without a word; use wildcards");
    return len <= STS_POLICY_MAX;
}

bool sts_policy_parse(struct sts_arena *arena, struct sts_str body, struct sts_str source,
                      struct sts_diags *diags, struct sts_policy *out)
{
    struct parser p = {.arena = arena, .diags = diags, .pos = {source, 0, 0}};
    size_t errors = diags->errors;

    if (!check_size(&p, body.len))
        return false;
    parse_lines(&p, body);
    check_line_ends(&p);
    check_required(&p);
    if (diags->errors != errors)
        return false;
    p.policy.mx = p.mx;
    if (p.policy.mx_count == 0 && p.policy.mode != STS_MODE_NONE) {
        p.pos.line = 0;
        report(&p, STS_ERROR, "policy-no-mx", 0, "there is no mx field",
               "add one for each mail server (RFC 8461 section 3.2)");
        return false;
    }
    sts_policy_canonicalise(arena, &p.policy);
    *out = p.policy;
    return true;
}
