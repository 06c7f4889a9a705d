/* A tenant with its named policy: what would be served. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mtasts/config.h"

struct fixture {
    struct sts_source *source;
    struct sts_arena *arena;
    struct sts_diags diags; /* of resolving alone */
    struct sts_policy policy;
};

static int set_up(void **state)
{
    *state = calloc(1, sizeof(struct fixture));
    return 0;
}

static void forget(struct fixture *f)
{
    sts_source_unref(f->source);
    sts_arena_free(f->arena);
    memset(f, 0, sizeof(*f));
}

static int tear_down(void **state)
{
    forget(*state);
    free(*state);
    return 0;
}

static bool resolve_tenant(struct fixture *f, size_t i)
{
    const struct sts_tenant_decl *decl = &f->source->tenants[i];
    const struct sts_named_policy *named = NULL;

    for (size_t j = 0; j < f->source->policy_count; j++)
        if (decl->terms->policy_name.len &&
            sts_str_eq(f->source->policies[j].name, decl->terms->policy_name))
            named = &f->source->policies[j];
    return sts_tenant_resolve(f->source, decl, named, &f->source->settings, &f->diags, &f->policy);
}

/* Parses, and resolves the first tenant. */
static bool resolve(struct fixture *f, const char *text)
{
    forget(f);
    f->source = sts_source_parse(sts_str_from(text), STS_STR("f.yaml"), true);
    f->arena = sts_arena_new();
    sts_diags_init(&f->diags, f->arena);
    f->policy.max_age = 4711;
    assert_true(f->source->tenant_count > 0);
    return resolve_tenant(f, 0);
}

static const struct sts_diag *assert_only(const struct fixture *f, const char *code, uint32_t line,
                                          uint32_t column)
{
    const struct sts_diag *diag = f->diags.first;
    assert_non_null(diag);
    assert_string_equal(diag->code, code);
    assert_null(diag->next);
    assert_int_equal(diag->where.line, line);
    assert_int_equal(diag->where.column, column);
    assert_true(diag->help.len > 0);
    assert_true(sts_str_eq(diag->tenant, f->source->tenants[0].domain));
    return diag;
}

static void assert_body(const struct sts_policy *policy, const char *expected)
{
    struct sts_buf body = {0};
    sts_policy_render(&body, policy);
    assert_true(sts_str_is(sts_buf_str(&body), expected));
    sts_buf_fini(&body);
}

#define REPORTS "contact: {tls_reports: \"mailto:tls@example.net\"}\n"

static void inline_policy(void **state)
{
    struct fixture *f = *state;
    assert_true(resolve(f, REPORTS "tenants:\n"
                                   "  example.org:\n"
                                   "    mode: enforce\n"
                                   "    mx: [MX2.example.org., mx1.example.org]\n"
                                   "    max_age: 8w\n"));
    assert_null(f->diags.first);
    assert_body(&f->policy, "version: STSv1\r\nmode: enforce\r\nmx: mx1.example.org\r\n"
                            "mx: mx2.example.org\r\nmax_age: 4838400\r\n");
}

static void named_policy_and_own_keys(void **state)
{
    static const struct {
        const char *own, *body;
    } cases[] = {
        {"", "version: STSv1\r\nmode: enforce\r\nmx: a.example\r\nmax_age: 4838400\r\n"},
        {", mode: none", "version: STSv1\r\nmode: none\r\nmx: a.example\r\nmax_age: 4838400\r\n"},
        {", mx: [b.example]",
         "version: STSv1\r\nmode: enforce\r\nmx: b.example\r\nmax_age: 4838400\r\n"},
        {", max_age: 5w",
         "version: STSv1\r\nmode: enforce\r\nmx: a.example\r\nmax_age: 3024000\r\n"},
        {", mode: none, mx: [], max_age: 1d", "version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n"},
    };
    struct fixture *f = *state;
    char text[400];

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        snprintf(text, sizeof(text),
                 REPORTS "policies: {p: {mode: enforce, mx: a.example, max_age: 8w}}\n"
                         "tenants: {example.org: {policy: p%s}}\n",
                 cases[i].own);
        assert_true(resolve(f, text));
        assert_int_equal(f->diags.errors, 0);
        assert_body(&f->policy, cases[i].body);
    }
}

static void standard_max_age(void **state)
{
    struct fixture *f = *state;
    assert_true(resolve(f, REPORTS "policies: {p: {mode: enforce}}\n"
                                   "tenants: {example.org: {policy: p, mx: a.example}}\n"));
    assert_int_equal(f->policy.max_age, 2419200);
    assert_null(f->diags.first);
}

static void what_is_missing(void **state)
{
    struct fixture *f = *state;
    assert_false(resolve(f, REPORTS "tenants:\n  example.org: {mx: [a.example]}\n"));
    assert_only(f, "policy-no-mode", 3, 3);
    assert_int_equal(f->policy.max_age, 4711); /* written on success only */
    assert_false(resolve(f, REPORTS "tenants:\n  example.org: {}\n"));
    assert_only(f, "policy-no-mode", 3, 3);
    assert_false(resolve(f, REPORTS "tenants:\n  example.org: {mode: enforce}\n"));
    assert_only(f, "mx-missing", 3, 3);
    assert_false(resolve(f, REPORTS "tenants:\n  example.org: {mode: enforce, mx: []}\n"));
    assert_only(f, "mx-missing", 3, 3);
}

static void policies_that_cannot_be_used(void **state)
{
    struct fixture *f = *state;
    assert_false(resolve(f, "tenants:\n  example.org: {policy: none_such}\n"));
    assert_only(f, "policy-unknown", 2, 25);

    assert_false(resolve(f, "policies:\n  p: {mode: enforced, mx: a.example}\n"
                            "tenants:\n"
                            "  example.org: {policy: p}\n"
                            "  example.net: {mode: none, mx: a.example}\n"));
    const struct sts_diag *diag = assert_only(f, "policy-broken", 4, 25);
    assert_int_equal(diag->related.line, 2);
    assert_int_equal(diag->related.column, 3);
    assert_false(f->source->broken);
    assert_true(resolve_tenant(f, 1)); /* the neighbour does not use it */

    /* All its own keys are right, and still it names a broken policy: right or not at all. */
    assert_false(resolve(f, "policies:\n  p: {mode: enforced}\n"
                            "tenants:\n"
                            "  example.org: {policy: p, mode: none, mx: a.example}\n"));
    assert_only(f, "policy-broken", 4, 25);
}

static void a_broken_tenant_says_nothing_more(void **state)
{
    struct fixture *f = *state;
    assert_false(resolve(f, "tenants: {example.org: {mode: enforced}}\n"));
    assert_null(f->diags.first);
}

static void lints_point_at_the_field(void **state)
{
    struct fixture *f = *state;
    assert_true(resolve(f, REPORTS "policies:\n"
                                   "  p:\n"
                                   "    mx: [z.example, localhost, a.example]\n"
                                   "    max_age: 1w\n"
                                   "tenants:\n"
                                   "  example.org: {policy: p, mode: testing}\n"));
    const struct sts_diag *diag = f->diags.first;
    assert_string_equal(diag->code, "mx-single-label");
    assert_int_equal(diag->where.line, 4);
    assert_int_equal(diag->where.column, 21);
    diag = diag->next;
    assert_string_equal(diag->code, "mode-testing");
    assert_int_equal(diag->where.line, 7);
    assert_int_equal(diag->where.column, 34);
    assert_true(sts_str_is(diag->tenant, "example.org"));
    assert_null(diag->next);
}

static void errors_of_a_policy_name_the_tenant(void **state)
{
    struct fixture *f = *state;
    assert_false(resolve(f, REPORTS "policies:\n"
                                    "  p: {mode: enforce, mx: a.example, max_age: 60w}\n"
                                    "tenants:\n"
                                    "  example.org: {policy: p}\n"));
    const struct sts_diag *diag = assert_only(f, "max-age-above-limit", 3, 46);
    assert_int_equal(diag->related.line, 5);
    assert_int_equal(diag->related.column, 3);
}

static void max_age_out_of_range(void **state)
{
    struct fixture *f = *state;
    assert_true(resolve(f, REPORTS "tenants:\n"
                                   "  example.org: {mode: enforce, mx: a.example, max_age: "
                                   "31557600}\n"));
    assert_false(resolve(f, REPORTS "tenants:\n"
                                    "  example.org: {mode: enforce, mx: a.example, max_age: "
                                    "31557601}\n"));
    assert_only(f, "max-age-above-limit", 3, 56);
    assert_false(resolve(f, REPORTS "tenants:\n"
                                    "  example.org: {mode: enforce, mx: a.example, max_age: 0}\n"));
    assert_only(f, "max-age-zero", 3, 56);
}

static void reports(void **state)
{
    struct fixture *f = *state;
    assert_true(resolve(f, "tenants:\n  example.org: {mode: enforce, mx: a.example}\n"));
    assert_only(f, "tlsrpt-missing", 2, 23);
    assert_true(resolve(f, "tenants:\n  example.org: {mode: enforce, mx: a.example, "
                           "tls_reports: \"mailto:a@example.org\"}\n"));
    assert_null(f->diags.first);
    /* An empty list of one's own hides the common one. */
    assert_true(resolve(f, REPORTS "tenants:\n  example.org: {mode: enforce, mx: a.example, "
                                   "tls_reports: []}\n"));
    assert_only(f, "tlsrpt-missing", 3, 23);
}

static void policy_host_of_its_own(void **state)
{
    struct fixture *f = *state;
    assert_true(resolve(f, REPORTS "records: {policy_host: mta-sts.example.org}\n"
                                   "tenants:\n  example.org: {mode: enforce, mx: a.example}\n"));
    assert_only(f, "records-policy-host", 4, 3);
    assert_true(resolve(f, REPORTS "records: {policy_host: mta-sts.example.net}\n"
                                   "tenants:\n  example.org: {mode: enforce, mx: a.example}\n"));
    assert_null(f->diags.first);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(inline_policy),
        TEST(named_policy_and_own_keys),
        TEST(standard_max_age),
        TEST(what_is_missing),
        TEST(policies_that_cannot_be_used),
        TEST(a_broken_tenant_says_nothing_more),
        TEST(lints_point_at_the_field),
        TEST(errors_of_a_policy_name_the_tenant),
        TEST(max_age_out_of_range),
        TEST(reports),
        TEST(policy_host_of_its_own),
    };
    return cmocka_run_group_tests_name("resolve", tests, NULL, NULL);
}
