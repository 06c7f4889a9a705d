/* Policy text to value, by the grammar of RFC 8461 §3.2: the lines and what they need as a whole.
 */
#include "mtasts/policy.h"

#include "server/policy/parser.h"
#include "server/policy/text.h"

enum { LINE_WARN = 1023, BODY_WARN = 4096 };

static const struct sts_str bom = {"\xef\xbb\xbf", 3};

/* False when the line cannot be a field whatever its name: it has been reported. */
static bool check_octets(struct parser *p, struct sts_str line)
{
    size_t at = sts_text_find_control(line);

    if (at == line.len)
        return true;
    if (line.ptr[at] == '\r')
        sts_parser_report(p, STS_ERROR, "policy-bare-cr", at, "CR without LF does not end a line",
                          "end every line with CRLF (RFC 8461 section 3.2)");
    else
        sts_parser_report(p, STS_ERROR, "policy-control-character", at,
                          line.ptr[at] ? "control character" : "NUL",
                          "remove it: no field may contain one (RFC 8461 section 3.2)");
    return false;
}

static bool starts_comment(struct sts_str line)
{
    return line.ptr[0] == '#' || line.ptr[0] == ';' || sts_str_starts(line, STS_STR("//"));
}

/* False when what stands before the colon is no field name: it has been reported. */
static bool parse_check_name(struct parser *p, struct sts_str line, size_t colon)
{
    struct sts_str name = sts_str_sub(line, 0, colon);

    if (sts_text_is_blank(line.ptr[0]))
        sts_parser_report(p, STS_ERROR, "policy-leading-space", 0,
                          "white space before the field name",
                          "remove it: lines cannot be continued, mox and postfix-tlspol refuse it");
    else if (starts_comment(line))
        sts_parser_report(p, STS_ERROR, "policy-comment", 0, "comments do not exist in a policy",
                          "remove the line: maddy and postfix-tlspol refuse the whole policy");
    else if (colon == line.len)
        sts_parser_report(p, STS_ERROR, "policy-no-colon", 0,
                          "this line is not a field: it has no colon",
                          "write name: value; KumoMTA and maddy refuse the whole policy");
    else if (colon && sts_text_is_blank(line.ptr[colon - 1]))
        sts_parser_report(p, STS_ERROR, "policy-space-before-colon", sts_str_trim(name).len,
                          "white space before the colon",
                          "remove it: mox refuses the whole policy");
    else if (!sts_is_field_name(name))
        sts_parser_report(p, STS_ERROR, "policy-field-name", 0, "this is not a field name",
                          "a letter or digit, then up to 31 of letters, digits, _ - and .");
    else
        return true;
    return false;
}

static void parse_field(struct parser *p, struct sts_str line)
{
    size_t colon = sts_str_find(line, ':', 0);
    struct sts_str name = sts_str_sub(line, 0, colon);

    if (!check_octets(p, line) || !parse_check_name(p, line, colon)) {
        /* "mode = enforce" has no colon, and is still where the mode was meant to be. */
        size_t equals = sts_str_find(name, '=', 0);
        sts_parser_note_near(p, sts_str_sub(name, 0, equals));
        return;
    }
    size_t start = colon + 1;
    while (start < line.len && sts_text_is_blank(line.ptr[start]))
        start++;
    struct sts_str value = sts_str_trim(sts_str_sub(line, start, line.len));
    if (value.len && start + value.len < line.len)
        sts_parser_report(p, STS_WARNING, "policy-trailing-space", start + value.len,
                          "white space at the end of the line",
                          "remove it: RFC 8461 section 3.2 allows it, not every receiver does");
    sts_parser_take(p, name, value, start);
}

static void parse_one_line(struct parser *p, struct sts_str line)
{
    p->shift = 0;
    if (p->pos.line == 1 && sts_str_starts(line, bom)) {
        sts_parser_report(p, STS_ERROR, "policy-bom", 0, "the text begins with a byte order mark",
                          "save it as plain ASCII: no sender finds the version behind it");
        p->shift = bom.len;
        line = sts_str_sub(line, bom.len, line.len);
    }
    if (sts_str_trim(line).len == 0) {
        sts_parser_report(p, STS_ERROR, "policy-blank-line", 0, "blank line",
                          "remove it: mox, postfix-tlspol and maddy refuse the whole policy");
        return;
    }
    if (line.len > LINE_WARN)
        sts_parser_report(p, STS_WARNING, "policy-long-line", 0,
                          "the line is longer than 1023 octets",
                          "make it shorter: Courier reads no more");
    parse_field(p, line);
}

static void parse_lines(struct parser *p, struct sts_str body)
{
    for (size_t from = 0; from < body.len;) {
        size_t lf = sts_str_find(body, '\n', from);
        size_t to = lf;
        if (lf < body.len) {
            bool crlf = lf > from && body.ptr[lf - 1] == '\r';
            to = crlf ? lf - 1 : lf;
            p->has_crlf |= crlf;
            p->has_lf |= !crlf;
        }
        p->pos.line++;
        parse_one_line(p, sts_str_sub(body, from, to));
        from = lf + 1;
    }
}

static void check_line_ends(struct parser *p)
{
    p->pos.line = 1;
    p->shift = 0;
    if (p->has_lf && p->has_crlf)
        sts_parser_report(p, STS_WARNING, "policy-mixed-line-ends", 0,
                          "some lines end with CRLF, some with LF",
                          "end every line with CRLF: checkdmarc misreads a mixture");
    else if (p->has_lf)
        sts_parser_report(
            p, STS_WARNING, "policy-line-end", 0, "lines end with LF alone",
            "end every line with CRLF: MailPolicyExplainer refuses LF, Mimecast warns");
}

static void check_required(struct parser *p)
{
    static const struct {
        enum field field;
        const char *code, *message, *help;
    } required[] = {
        {FIELD_VERSION, "policy-no-version", "there is no version field",
         "add version: STSv1 as the first line"},
        {FIELD_MODE, "policy-no-mode", "there is no mode field",
         "add mode: testing, enforce or none"},
        {FIELD_MX, "policy-no-mx", "there is no mx field",
         "add one for each mail server (RFC 8461 section 3.2)"},
        {FIELD_MAX_AGE, "policy-no-max-age", "there is no max_age field",
         "add max_age: 2419200 (four weeks)"},
    };
    const struct seen *version = &p->seen[FIELD_VERSION];

    p->pos.line = 0;
    for (size_t i = 0; i < sizeof(required) / sizeof(*required); i++) {
        const struct seen *seen = &p->seen[required[i].field];
        bool optional = required[i].field == FIELD_MX && p->policy.mode == STS_MODE_NONE;
        if (!seen->present && !optional)
            sts_parser_report(p, STS_ERROR, required[i].code, 0, required[i].message,
                              required[i].help)
                ->related = seen->near;
    }
    if (version->present && version->name.line > 1)
        sts_diag_help(p->diags,
                      sts_diag_add(p->diags, STS_WARNING, "policy-version-not-first", version->name,
                                   "version is not the first line"),
                      "put it first: Google expects it there");
}

static bool check_size(struct parser *p, size_t len)
{
    if (len == 0)
        sts_parser_report(p, STS_ERROR, "policy-empty", 0, "the policy is empty",
                          "write version, mode, mx and max_age (RFC 8461 section 3.2)");
    else if (len > STS_POLICY_MAX)
        sts_parser_report(p, STS_ERROR, "policy-too-large", 0, "the body is larger than 64 KiB",
                          "senders need not accept it (RFC 8461 section 3.3)");
    else if (len > STS_POLICY_HARD_MAX)
        sts_parser_report(p, STS_ERROR, "policy-too-large", 0, "the body is larger than 10 KiB",
                          "chasquid cuts it there without a word; use wildcards");
    return len > 0 && len <= STS_POLICY_MAX;
}

/* What a large canonical form costs is a lint; this one is large by its extensions. */
static void check_extra_size(struct parser *p, size_t len)
{
    struct sts_buf canonical = {0};

    sts_policy_render(&canonical, &p->policy);
    if (len > BODY_WARN && canonical.len <= BODY_WARN)
        sts_parser_report(
            p, STS_WARNING, "policy-large", 0, "the body is larger than 4 KiB",
            "remove fields that RFC 8461 does not know: aykevl warns, chasquid cuts at "
            "10 KiB");
    sts_buf_fini(&canonical);
}

bool sts_policy_parse_places(struct sts_arena *arena, struct sts_str body, struct sts_str source,
                             struct sts_diags *diags, struct sts_policy *out,
                             struct sts_lint_context *places)
{
    struct parser p = {.arena = arena, .diags = diags, .pos = {source, 0, 0}};
    size_t errors = diags->errors;

    if (!check_size(&p, body.len))
        return false;
    parse_lines(&p, body);
    check_line_ends(&p);
    check_required(&p);
    const struct sts_pos *mx_where = sts_parser_finish_mx(&p);
    if (diags->errors != errors)
        return false;
    check_extra_size(&p, body.len);
    places->where = (struct sts_pos){source, 0, 0};
    places->mode_where = p.seen[FIELD_MODE].where;
    places->max_age_where = p.seen[FIELD_MAX_AGE].where;
    places->mx_where = mx_where;
    *out = p.policy;
    return true;
}

bool sts_policy_parse(struct sts_arena *arena, struct sts_str body, struct sts_str source,
                      struct sts_diags *diags, struct sts_policy *out)
{
    struct sts_lint_context places = {0};
    return sts_policy_parse_places(arena, body, source, diags, out, &places);
}
