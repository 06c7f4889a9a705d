/* Unit tests of the lint table: what RFC 8461 allows and a real sender or checker does not like. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <string.h>

#include "mtasts/domain.h"
#include "mtasts/policy.h"

enum { HOUR = 3600, DAY = 86400, WEEK = 7 * DAY };

struct lint_case {
    enum sts_mode mode;
    uint32_t max_age;
    const char *mx[6];
    const char *domain; /* "" when not known */
    const char *says;   /* codes in order, "!" before errors, "~" before notes */
    enum { UNKNOWN, WITH, WITHOUT } tlsrpt;
};

static const char *const marks[] = {"~", "", "!"};
static const struct sts_pos here = {{"f", 1}, 9, 1};

static struct sts_policy policy_of(struct sts_arena *arena, const struct lint_case *c)
{
    struct sts_policy policy = {c->mode, c->max_age, NULL, 0};
    struct sts_str *mx = STS_ARRAY(arena, 6, struct sts_str);

    while (policy.mx_count < 6 && c->mx[policy.mx_count]) {
        mx[policy.mx_count] = sts_str_from(c->mx[policy.mx_count]);
        policy.mx_count++;
    }
    policy.mx = mx;
    sts_policy_canonicalise(arena, &policy);
    return policy;
}

static const struct sts_lint *row(const char *code)
{
    const struct sts_lint *lint = sts_lints;
    while (lint->code && strcmp(lint->code, code) != 0)
        lint++;
    assert_non_null(lint->code);
    return lint;
}

static bool reached[100]; /* by row: each must be, by some case */

static void walk(const struct lint_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct lint_case *c = &cases[i];
        struct sts_arena *arena = sts_arena_new();
        struct sts_policy policy = policy_of(arena, c);
        struct sts_lint_context context = {.domain = sts_str_from(c->domain),
                                           .tlsrpt_known = c->tlsrpt != UNKNOWN,
                                           .has_tlsrpt = c->tlsrpt == WITH,
                                           .where = here};
        struct sts_buf said = {0};
        struct sts_diags diags;

        sts_diags_init(&diags, arena);
        bool good = sts_policy_lint(&policy, &context, &diags);
        for (struct sts_diag *d = diags.first; d; d = d->next) {
            const struct sts_lint *lint = row(d->code);
            reached[lint - sts_lints] = true;
            sts_buf_printf(&said, "%s%s%s", said.len ? " " : "", marks[d->severity], d->code);
            assert_int_equal(d->severity, lint->severity);
            assert_int_equal(d->where.line, 9);
            assert_non_null(strstr(d->message.ptr, lint->why));
            assert_non_null(strstr(d->help.ptr, lint->fix));
            bool named = strcmp(lint->hurts, "you") != 0 && strcmp(lint->hurts, "nobody") != 0;
            assert_int_equal(named, strstr(d->help.ptr, "(hurts: ") != NULL);
            assert_true(!named || strstr(d->help.ptr, lint->hurts));
        }
        sts_buf_add(&said, (struct sts_str){"\0", 1});
        if (strcmp(said.ptr, c->says) != 0)
            fail_msg("case %zu said: %s\nexpected: %s", i, said.ptr, c->says);
        assert_int_equal(good, diags.errors == 0);
        sts_buf_fini(&said);
        sts_arena_free(arena);
    }
}

#define WALK(cases) walk(cases, sizeof(cases) / sizeof(*(cases)))
#define MX                                                                                         \
    {                                                                                              \
        "mx.example.org"                                                                           \
    }

static void a_good_policy_is_quiet(void **state)
{
    (void)state;
    static const struct lint_case cases[] = {
        {STS_MODE_ENFORCE, 4 * WEEK, MX, "example.org", "", WITH},
        {STS_MODE_ENFORCE, 4 * WEEK, MX, "", "", UNKNOWN},
        {STS_MODE_ENFORCE, STS_MAX_AGE_LIMIT, {"*.mail.example.org"}, "example.org", "", WITH},
        {STS_MODE_NONE, DAY, MX, "example.org", "", WITHOUT},
    };
    WALK(cases);
}

/* P5, P18, C8: mode none without mx is legal, and refused by some that then go on enforcing. */
static void missing_mx(void **state)
{
    (void)state;
    static const struct lint_case cases[] = {
        {STS_MODE_NONE, DAY, {NULL}, "example.org", "mx-missing-none", WITH},
        {STS_MODE_ENFORCE, 4 * WEEK, {NULL}, "example.org", "!mx-missing", WITH},
        {STS_MODE_TESTING, 4 * WEEK, {NULL}, "example.org", "!mx-missing ~mode-testing", WITH},
    };
    WALK(cases);
    assert_non_null(strstr(row("mx-missing-none")->hurts, "Stalwart, chasquid"));
}

/* P8, P9: only the most severe floor is reported, each at its edge. */
static void max_age_floors(void **state)
{
    (void)state;
    static const struct lint_case cases[] = {
        {STS_MODE_ENFORCE, 0, MX, "", "!max-age-zero", UNKNOWN},
        {STS_MODE_NONE, 0, MX, "", "!max-age-zero", UNKNOWN},
        {STS_MODE_ENFORCE, 1, MX, "", "max-age-below-day", UNKNOWN},
        {STS_MODE_ENFORCE, DAY - 1, MX, "", "max-age-below-day", UNKNOWN},
        {STS_MODE_NONE, HOUR, MX, "", "max-age-below-day", UNKNOWN},
        {STS_MODE_TESTING, HOUR, MX, "", "max-age-below-day ~mode-testing", UNKNOWN},
        {STS_MODE_ENFORCE, DAY, MX, "", "max-age-below-week", UNKNOWN},
        {STS_MODE_ENFORCE, WEEK - 1, MX, "", "max-age-below-week", UNKNOWN},
        {STS_MODE_ENFORCE, WEEK, MX, "", "max-age-below-fortnight", UNKNOWN},
        {STS_MODE_ENFORCE, 2 * WEEK - 1, MX, "", "max-age-below-fortnight", UNKNOWN},
        {STS_MODE_ENFORCE, 2 * WEEK, MX, "", "~max-age-below-four-weeks", UNKNOWN},
        {STS_MODE_ENFORCE, 4 * WEEK - 1, MX, "", "~max-age-below-four-weeks", UNKNOWN},
        {STS_MODE_TESTING, DAY, MX, "", "~mode-testing", UNKNOWN},
        {STS_MODE_NONE, DAY, MX, "", "", UNKNOWN},
        {STS_MODE_ENFORCE, STS_MAX_AGE_LIMIT + 1, MX, "", "!max-age-above-limit", UNKNOWN},
        {STS_MODE_ENFORCE, UINT32_MAX, MX, "", "!max-age-above-limit", UNKNOWN},
    };
    WALK(cases);
    assert_non_null(strstr(row("max-age-below-day")->hurts, "Google, Mimecast"));
    assert_non_null(strstr(row("max-age-below-week")->hurts, "Mimecast"));
    assert_non_null(strstr(row("max-age-below-fortnight")->hurts, "NCSC"));
    assert_non_null(strstr(row("max-age-below-four-weeks")->hurts, "aykevl"));
}

/* P11, P14, RFC 8461 §10.4. */
static void patterns(void **state)
{
    (void)state;
    static const struct lint_case cases[] = {
        {STS_MODE_ENFORCE, 4 * WEEK, {"*.com"}, "example.com", "mx-public-suffix", WITH},
        {STS_MODE_ENFORCE, 4 * WEEK, {"*.co.uk"}, "", "mx-public-suffix", WITH},
        {STS_MODE_ENFORCE, 4 * WEEK, {"*.github.io"}, "", "mx-public-suffix", WITH},
        {STS_MODE_ENFORCE, 4 * WEEK, {"*.localdomain"}, "", "mx-public-suffix", WITH},
        /* one label says more than being a suffix does */
        {STS_MODE_ENFORCE,
         4 * WEEK,
         {"*.com"},
         "com",
         "domain-single-label mx-public-suffix",
         WITH},
        {STS_MODE_ENFORCE, 4 * WEEK, {"*.example.org"}, "example.org", "~mx-own-domain", WITH},
        {STS_MODE_ENFORCE, 4 * WEEK, {"*.example.org"}, "example.com", "", WITH},
        {STS_MODE_ENFORCE, 4 * WEEK, {"*.example.org"}, "", "", WITH},
        {STS_MODE_ENFORCE, 4 * WEEK, {"example.org"}, "example.org", "", WITH},
        {STS_MODE_ENFORCE, 4 * WEEK, {"localhost"}, "example.org", "mx-single-label", WITH},
        {STS_MODE_ENFORCE,
         4 * WEEK,
         {"*.m.example.org", "a.m.example.org"},
         "",
         "~mx-covered",
         WITH},
        {STS_MODE_ENFORCE,
         4 * WEEK,
         {"*.m.example.org", "a.b.m.example.org", "m.example.org", "*.a.m.example.org",
          "a.m.example.org", "b.m.example.org"},
         "",
         "~mx-covered ~mx-covered",
         WITH},
        {STS_MODE_ENFORCE, 4 * WEEK, {"a.m.example.org", "b.m.example.org"}, "", "", WITH},
    };
    WALK(cases);
}

static void policy_domains(void **state)
{
    (void)state;
    static const struct lint_case cases[] = {
        {STS_MODE_ENFORCE, 4 * WEEK, MX, "co.uk", "domain-public-suffix", WITH},
        {STS_MODE_ENFORCE, 4 * WEEK, MX, "localhost", "domain-single-label", WITH},
        {STS_MODE_ENFORCE, 4 * WEEK, MX, "example.co.uk", "", WITH},
    };
    WALK(cases);

    /* RFC 1035 §2.3.4: "_smtp._tls." is 11 octets, so 242 are left. */
    char name[300];
    struct lint_case edge = {STS_MODE_ENFORCE, 4 * WEEK, MX, name, "", WITH};
    memset(name, 'a', sizeof(name));
    for (size_t i = 60; i < 240; i += 60)
        name[i] = '.';
    name[242] = '\0';
    walk(&edge, 1);
    name[242] = 'a';
    name[243] = '\0';
    edge.says = "!domain-no-room";
    walk(&edge, 1);
}

/* RFC 8460: only known to be missing when somebody looked. */
static void reporting_address(void **state)
{
    (void)state;
    static const struct lint_case cases[] = {
        {STS_MODE_ENFORCE, 4 * WEEK, MX, "example.org", "tlsrpt-missing", WITHOUT},
        {STS_MODE_ENFORCE, 4 * WEEK, MX, "example.org", "", UNKNOWN},
        {STS_MODE_TESTING, 4 * WEEK, MX, "example.org", "~mode-testing", WITHOUT},
    };
    WALK(cases);
}

/* The rendered body of `n` names of 50 octets each. */
static void lint_many(size_t n, const char *code, bool good)
{
    struct sts_arena *arena = sts_arena_new();
    struct sts_str *mx = STS_ARRAY(arena, n, struct sts_str);
    const struct sts_lint_context context = {.where = here};
    struct sts_diags diags;

    for (size_t i = 0; i < n; i++)
        mx[i] = sts_arena_printf(arena, "h%05zu.%032d.example.org", i, 0);
    struct sts_policy policy = {STS_MODE_ENFORCE, 4 * WEEK, mx, n};
    sts_diags_init(&diags, arena);
    assert_int_equal(sts_policy_lint(&policy, &context, &diags), good);
    if (code) {
        assert_string_equal(diags.first->code, code);
        assert_null(diags.first->next);
        reached[row(code) - sts_lints] = true;
    } else {
        assert_null(diags.first);
    }
    sts_arena_free(arena);
}

/* RFC 8461 §3.3, chasquid. A hundred thousand names are answered at once, not after minutes. */
static void body_sizes(void **state)
{
    (void)state;
    lint_many(60, NULL, true);
    lint_many(80, "body-large", true);
    lint_many(200, "body-huge", false);
    lint_many(99999, "body-huge", false);
}

static void places_are_those_of_the_values(void **state)
{
    (void)state;
    struct sts_arena *arena = sts_arena_new();
    const struct sts_str mx[] = {STS_STR("*.com"), STS_STR("localhost")};
    const struct sts_pos mx_where[] = {{STS_STR("f"), 5, 9}, {STS_STR("f"), 0, 0}};
    const struct sts_policy policy = {STS_MODE_TESTING, 60, mx, 2};
    const struct sts_lint_context context = {.where = here,
                                             .mode_where = {STS_STR("f"), 2, 3},
                                             .max_age_where = {STS_STR("f"), 4, 1},
                                             .mx_where = mx_where};
    static const struct {
        const char *code;
        uint32_t line;
    } expected[] = {{"mx-public-suffix", 5},
                    {"mx-single-label", 9}, /* not known: where the policy is */
                    {"max-age-below-day", 4},
                    {"mode-testing", 2}};
    struct sts_diags diags;

    sts_diags_init(&diags, arena);
    assert_true(sts_policy_lint(&policy, &context, &diags));
    const struct sts_diag *d = diags.first;
    for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++, d = d->next) {
        assert_string_equal(d->code, expected[i].code);
        assert_int_equal(d->where.line, expected[i].line);
    }
    assert_null(d);
    assert_true(sts_str_starts(diags.first->message, STS_STR("*.com: ")));
    sts_arena_free(arena);
}

/* What the manual and `help lints` print. Runs last: every row was reached by a case above. */
static void every_row_is_whole_and_reached(void **state)
{
    (void)state;
    size_t rows = 0;

    for (const struct sts_lint *lint = sts_lints; lint->code; lint++, rows++) {
        for (const char *c = lint->code; *c; c++)
            assert_true((*c >= 'a' && *c <= 'z') || *c == '-');
        assert_true(*lint->hurts && *lint->why && *lint->fix);
        assert_null(strchr(lint->why, '\n'));
        assert_ptr_equal(row(lint->code), lint); /* unique */
        if (!reached[rows])
            fail_msg("no case reaches %s", lint->code);
    }
    assert_in_range(rows, 15, sizeof(reached));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_policy_is_quiet),
        cmocka_unit_test(missing_mx),
        cmocka_unit_test(max_age_floors),
        cmocka_unit_test(patterns),
        cmocka_unit_test(policy_domains),
        cmocka_unit_test(reporting_address),
        cmocka_unit_test(body_sizes),
        cmocka_unit_test(places_are_those_of_the_values),
        cmocka_unit_test(every_row_is_whole_and_reached),
    };
    return cmocka_run_group_tests_name("lint", tests, NULL, NULL);
}
