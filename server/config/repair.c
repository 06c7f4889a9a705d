/* Policy bodies from anywhere, as people and other programs wrote them, into policies that may be
 * configured. The text is written anew line by line, as RFC 8461 §3.2 wants it, and then judged by
 * the parser that judges all policies: so there is nothing that only this file accepts. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mtasts/config.h"
#include "mtasts/domain.h"

enum field { VERSION, MODE, MX, MAX_AGE, FIELDS };
static const char *const names[] = {"version", "mode", "mx", "max_age", NULL};

struct repair {
    struct sts_arena *arena;
    struct sts_diags *diags;
    struct sts_pos pos;
    struct sts_buf text; /* all but the version */
    uint32_t *lines;     /* where each line of it was */
    size_t count, capacity;
    bool present[FIELDS];
    struct sts_str version;
    uint32_t version_line;
    bool lf;
};

#define SAY(r, ...) sts_diag_add((r)->diags, STS_WARNING, __VA_ARGS__)

static void repair_add_line(struct repair *r, const char *name, struct sts_str value)
{
    r->lines = sts_arena_grow(r->arena, r->lines, r->count, &r->capacity, sizeof(*r->lines));
    r->lines[r->count++] = r->pos.line;
    sts_buf_printf(&r->text, "%s%s", name ? name : "", name ? ": " : "");
    sts_buf_add(&r->text, value);
    sts_buf_add_cstr(&r->text, "\r\n");
}

/* Spelt another way: "Max-Age", "maxAge", "MX". */
static bool repair_spells(struct sts_str word, const char *name)
{
    for (size_t i = 0; i < word.len; i++) {
        if (word.ptr[i] == '-' || word.ptr[i] == '_')
            continue;
        name += *name == '_';
        if (!*name || sts_lower(word.ptr[i]) != *name++)
            return false;
    }
    return !*name && word.len;
}

static enum field field_of(struct sts_str word)
{
    size_t i = 0;

    while (i < FIELDS && !repair_spells(word, names[i]))
        i++;
    return (enum field)i;
}

/* --- Values --- */
static void repair_take_version(struct repair *r, struct sts_str value)
{
    if (!sts_str_is(value, "STSv1") && sts_str_eq_nocase(value, STS_STR("STSv1"))) {
        SAY(r, "import-version", r->pos, "the version is written STSv1");
        value = STS_STR("STSv1");
    }
    r->version = value;
    r->version_line = r->pos.line;
}

static void repair_take_mode(struct repair *r, struct sts_str value)
{
    for (const char *const *name = sts_mode_names; *name; name++) {
        if (sts_str_is(value, *name) || !sts_str_eq_nocase(value, sts_str_from(*name)))
            continue;
        SAY(r, "import-mode", r->pos, "modes are lower case: %s", *name);
        value = sts_str_from(*name);
        break;
    }
    repair_add_line(r, "mode", value);
}

static bool is_number(struct sts_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!sts_is_digit(s.ptr[i]))
            return false;
    return s.len > 0;
}

enum { ONE_DAY = 86400 };

static void repair_take_max_age(struct repair *r, struct sts_str value)
{
    unsigned long long seconds = 0;
    uint32_t duration = 0;

    if (is_number(value)) {
        if (!sts_str_to_uint(value, 19, ~0ull, &seconds))
            seconds = ~0ull;
    } else if (sts_duration_parse(value, &duration)) {
        seconds = duration;
        SAY(r, "import-max-age", r->pos, "max_age is a number of seconds: %llu", seconds);
    } else {
        repair_add_line(r, "max_age", value);
        return;
    }
    if (seconds > STS_MAX_AGE_LIMIT || seconds == 0) {
        seconds = seconds ? STS_MAX_AGE_LIMIT : ONE_DAY;
        SAY(r, "import-max-age", r->pos, "max_age %s: %llu is used",
            seconds == ONE_DAY ? "0 is refused by some senders"
                               : "is above the limit of RFC 8461 section 3.2",
            seconds);
    }
    repair_add_line(r, "max_age", sts_arena_printf(r->arena, "%llu", seconds));
}

static bool has_code(const struct sts_diags *diags, const char *code)
{
    return diags->first && strcmp(diags->first->code, code) == 0;
}

static void take_one_mx(struct repair *r, struct sts_str value)
{
    struct sts_diags scratch;
    struct sts_str mx, wanted = value;

    sts_diags_init(&scratch, r->arena);
    if (sts_str_starts(value, STS_STR(".")) && value.len > 1)
        wanted = sts_arena_printf(r->arena, "*%.*s", STS_ARG(value));
    if (!sts_mx_parse(r->arena, wanted, STS_DOMAIN_CONFIG, r->pos, &scratch, &mx)) {
        if (has_code(&scratch, "domain-ip-address"))
            SAY(r, "import-mx", r->pos, "an address never matches an MX, and is left out: %.*s",
                STS_ARG(value));
        else
            repair_add_line(r, "mx", value);
        return;
    }
    if (!sts_str_eq_nocase(mx, value))
        SAY(r, "import-mx", r->pos, "%.*s is written %.*s", STS_ARG(value), STS_ARG(mx));
    repair_add_line(r, "mx", mx);
}

static bool is_between(char c)
{
    return c == ',' || c == ' ' || c == '\t';
}

static void repair_take_mx(struct repair *r, struct sts_str value)
{
    size_t from = 0, found = 0;

    while (from < value.len) {
        size_t to = from;
        while (to < value.len && !is_between(value.ptr[to]))
            to++;
        if (to > from && found++ == 1)
            SAY(r, "import-mx", r->pos, "several mx in one line get a line each");
        if (to > from)
            take_one_mx(r, sts_str_sub(value, from, to));
        from = to + 1;
    }
    if (!found)
        repair_add_line(r, "mx", value);
}

/* --- Lines --- */
static struct sts_str repair_unquoted(struct repair *r, struct sts_str value)
{
    char quote = value.len > 1 ? value.ptr[0] : 0;

    if ((quote != '"' && quote != '\'') || value.ptr[value.len - 1] != quote)
        return value;
    SAY(r, "import-line", r->pos, "quotes are no part of a value");
    return sts_str_trim(sts_str_sub(value, 1, value.len - 1));
}

static void take_field(struct repair *r, enum field field, struct sts_str value)
{
    static void (*const take[])(struct repair *,
                                struct sts_str) = {[VERSION] = repair_take_version,
                                                   [MODE] = repair_take_mode,
                                                   [MX] = repair_take_mx,
                                                   [MAX_AGE] = repair_take_max_age};

    if (r->present[field] && field != MX) {
        SAY(r, "import-field-repeated", r->pos, "%s is repeated: the first one counts",
            names[field]);
        return;
    }
    r->present[field] = true;
    take[field](r, value);
}

/* Where the name ends: at the colon, or at what people take for one. */
static size_t find_separator(struct sts_str line)
{
    size_t colon = sts_str_find(line, ':', 0), equals = sts_str_find(line, '=', 0);
    size_t at = colon < equals ? colon : equals, blank = 0;

    if (at < line.len)
        return at;
    while (blank < line.len && line.ptr[blank] != ' ' && line.ptr[blank] != '\t')
        blank++;
    return field_of(sts_str_sub(line, 0, blank)) < FIELDS ? blank : line.len;
}

static void unknown_field(struct repair *r, struct sts_str name)
{
    struct sts_diag *diag =
        SAY(r, "import-field-dropped", r->pos, "the field \"%.*s\" is left out: RFC 8461 has none",
            STS_ARG(sts_str_sub(name, 0, 100)));
    const char *near = sts_suggest(name, names);
    if (near)
        sts_diag_help(r->diags, diag, "did you mean %s?", near);
}

static void take_text(struct repair *r, struct sts_str raw, struct sts_str line)
{
    size_t at = find_separator(line);

    if (at == line.len) {
        repair_add_line(r, NULL, line); /* for the parser to refuse */
        return;
    }
    struct sts_str name = sts_str_trim(sts_str_sub(line, 0, at));
    enum field field = field_of(name);
    if (field == FIELDS) {
        unknown_field(r, name);
        return;
    }
    if (!sts_str_is(name, names[field]))
        SAY(r, "import-field-name", r->pos, "the field is written %s", names[field]);
    if (raw.ptr != line.ptr || name.len != at || line.ptr[at] != ':')
        SAY(r, "import-line", r->pos, "a line is a name, a colon and the value");
    take_field(r, field, repair_unquoted(r, sts_str_trim(sts_str_sub(line, at + 1, line.len))));
}

static void take_line(struct repair *r, struct sts_str raw)
{
    static const struct sts_str bom = {"\xef\xbb\xbf", 3};

    r->pos.line++;
    if (r->pos.line == 1 && sts_str_starts(raw, bom)) {
        SAY(r, "import-line", r->pos, "the byte order mark is left out");
        raw = sts_str_sub(raw, bom.len, raw.len);
    }
    struct sts_str line = sts_str_trim(raw);
    if (!line.len)
        SAY(r, "import-blank-line", r->pos, "the blank line is left out");
    else if (line.ptr[0] == '#' || line.ptr[0] == ';' || sts_str_starts(line, STS_STR("//")))
        SAY(r, "import-comment", r->pos, "the comment is left out");
    else
        take_text(r, raw, line);
}

static void take_lines(struct repair *r, struct sts_str body)
{
    bool cr = false;

    for (size_t from = 0; from < body.len;) {
        size_t to = from;
        while (to < body.len && body.ptr[to] != '\n' && body.ptr[to] != '\r')
            to++;
        take_line(r, sts_str_sub(body, from, to));
        bool crlf = to + 1 < body.len && body.ptr[to] == '\r' && body.ptr[to + 1] == '\n';
        r->lf |= to < body.len && body.ptr[to] == '\n';
        cr |= to < body.len && body.ptr[to] == '\r' && !crlf;
        from = to + (crlf ? 2 : 1);
    }
    r->pos.line = 0;
    if (cr)
        SAY(r, "import-line-ends", r->pos, "CR alone does not end a line: CRLF does");
    if (r->lf)
        sts_diag_add(r->diags, STS_NOTE, "import-line-ends", r->pos,
                     "lines end with LF: CRLF is served");
}

static struct sts_pos repair_original(const struct repair *r, struct sts_pos pos)
{
    if (pos.line)
        pos.line = pos.line == 1             ? r->version_line
                   : pos.line - 2 < r->count ? r->lines[pos.line - 2]
                                             : 0;
    return pos;
}

/* What the parser says about the new text, told of the old one. */
static bool repair_judge(struct repair *r, struct sts_policy *out)
{
    struct sts_diags said;
    struct sts_buf text = {0};

    sts_diags_init(&said, r->arena);
    sts_buf_printf(&text, "version: %.*s\r\n", STS_ARG(r->version));
    sts_buf_add(&text, sts_buf_str(&r->text));
    bool good = sts_policy_parse(r->arena, sts_buf_str(&text), r->pos.source, &said, out);
    sts_buf_fini(&text);
    for (struct sts_diag *d = said.first; d; d = d->next) {
        d->where = repair_original(r, d->where);
        d->related = repair_original(r, d->related);
    }
    sts_diags_append(r->diags, &said);
    return good;
}

bool sts_policy_repair(struct sts_arena *arena, struct sts_str body, struct sts_str source,
                       struct sts_diags *diags, struct sts_policy *out)
{
    struct repair r = {.arena = arena, .diags = diags, .pos = {source, 0, 0}};

    if (!body.len) {
        sts_diag_add(diags, STS_ERROR, "policy-empty", r.pos, "the policy is empty");
        return false;
    }
    take_lines(&r, body);
    if (!r.present[VERSION]) {
        SAY(&r, "import-version", r.pos, "there is no version: STSv1 is meant");
        r.version = STS_STR("STSv1");
    }
    bool good = repair_judge(&r, out);
    sts_buf_fini(&r.text);
    return good;
}
