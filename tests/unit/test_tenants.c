/* The tenants of a source: what is read, and whom a mistake hurts. */
#include "tests/unit/config_source.h"

static void tenants_in_file_order(void **state)
{
    const struct sts_source *s = parse(state, "tenants:\n"
                                              "  Z.example.: {mode: none}\n"
                                              "  b\xc3\xbc"
                                              "cher.example: {policy: p}\n"
                                              "  a.example:\n"
                                              "    mode: enforce\n"
                                              "    mx: [Mx2.Example., \"*.b\xc3\xbc"
                                              "cher.example\"]\n"
                                              "    max_age: 1w\n"
                                              "    tls_reports: []\n");
    assert_int_equal(s->diags.errors, 0);
    assert_int_equal(s->tenant_count, 3);
    assert_true(sts_str_is(s->tenants[0].domain, "z.example"));
    assert_true(sts_str_is(s->tenants[1].domain, "xn--bcher-kva.example"));
    assert_true(sts_str_is(s->tenants[1].terms->policy_name, "p"));
    assert_int_equal(s->tenants[1].policy_where.column, 28);
    const struct sts_tenant_decl *t = &s->tenants[2];
    assert_int_equal(t->where.line, 4);
    assert_true(t->terms->decl.has_mode && t->terms->decl.has_mx && t->terms->decl.has_max_age);
    assert_int_equal(t->terms->decl.policy.mode, STS_MODE_ENFORCE);
    assert_int_equal(t->terms->decl.policy.max_age, 604800);
    assert_int_equal(t->terms->decl.policy.mx_count, 2);
    assert_true(sts_str_is(t->terms->decl.policy.mx[1], "mx2.example"));
    assert_true(sts_str_is(t->terms->decl.policy.mx[0], "*.xn--bcher-kva.example"));
    assert_int_equal(t->terms->decl.mx_where[1].line, 6);
    assert_true(t->terms->has_tls_reports);
    assert_int_equal(t->terms->tls_report_count, 0);
    assert_false(s->tenants[0].terms->has_tls_reports);
}

/* Bytes a tenant, in a file of them: what a hosting provider has. */
static size_t size_of_tenants(int count)
{
    struct sts_buf text = {0};

    sts_buf_add_cstr(&text, "tenants:\n");
    for (int i = 0; i < count; i++)
        sts_buf_printf(&text, "  t%07d.example: {policy: p%d}\n", i, i % 100);
    struct sts_source *s = sts_source_parse(sts_buf_str(&text), STS_STR("f.yaml"), true);
    assert_int_equal(s->tenant_count, count);
    assert_ptr_equal(s->tenants[0].terms, s->tenants[100].terms);
    assert_true(sts_str_is(s->tenants[count - 1].terms->policy_name, "p99"));
    size_t size = sts_arena_size(s->arena);
    sts_source_unref(s);
    sts_buf_fini(&text);
    return size;
}

static void tenants_that_name_a_policy_are_small(void **state)
{
    (void)state;
    assert_true((size_of_tenants(20000) - size_of_tenants(10000)) / 10000 <= 80);
}

/* Each mistake breaks its tenant, and nothing else. */
static void errors_in_a_tenant_stay_there(void **state)
{
    static const struct {
        const char *tenant, *code;
        uint32_t column;
    } cases[] = {
        {"a.example: {mode: off}", "policy-mode", 21},
        {"a.example: {mode: }", "value-type", 21},
        {"a.example: {mode: [none]}", "value-type", 21},
        {"a.example: {max_age: 1 week}", "value-duration", 24},
        {"a.example: {mx: [mx_1.example]}", "domain-underscore", 20},
        {"a.example: {mx: [mx.example, {a: b}]}", "value-type", 32},
        {"a.example: {mx: 'a.example,b.example'}", "value-joined", 19},
        {"a.example: {mx: {}}", "value-type", 19},
        {"a.example: {nmx: []}", "key-unknown", 15},
        {"a.example: {mode: none, mode: none}", "key-duplicate", 27},
        {"a.example: {policy: [a]}", "value-type", 23},
        {"a.example: {tls_reports: a@example.org}", "tlsrpt-uri-scheme", 28},
        {"a.example: standard", "value-type", 14},
        {"a.example:", "value-type", 13},
        {"a.example: []", "value-type", 14},
        {"mta-sts.a.example: {mode: none}", "tenant-policy-host", 3},
        {"_mta-sts.a.example: {mode: none}", "tenant-policy-host", 3},
        {"MTA-STS.a.example: {mode: none}", "tenant-policy-host", 3},
        {"'*.a.example': {mode: none}", "tenant-wildcard", 3},
        {"user@a.example: {mode: none}", "domain-mail-address", 3},
        {"192.0.2.1: {mode: none}", "domain-ip-address", 3},
        {"'': {mode: none}", "domain-empty", 3},
    };
    char text[256];

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        snprintf(text, sizeof(text), "tenants:\n  %s\n  z.example: {mode: none}\n",
                 cases[i].tenant);
        const struct sts_source *s = parse(state, text);
        assert_error(s, cases[i].code, 2, cases[i].column);
        assert_false(s->broken);
        assert_int_equal(s->tenant_count, 2);
        assert_true(s->tenants[0].broken);
        assert_false(s->tenants[1].broken);
        if (s->tenants[0].domain.len)
            assert_true(sts_str_eq(s->diags.first->tenant, s->tenants[0].domain));
    }
}

/* Sorted with their places; of repeated ones the first stays. */
static void mx_are_canonical(void **state)
{
    const struct sts_source *s = parse(state, "policies:\n"
                                              "  p:\n"
                                              "    mx:\n"
                                              "      - b.example\n"
                                              "      - A.example\n"
                                              "      - B.example.\n"
                                              "      - b.example\n"
                                              "  q: {mx: [c.example, c.example]}\n");
    const struct sts_policy_decl *decl = &s->policies[0].decl;
    const struct sts_diag *diag = find(&s->diags, "mx-repeated");

    assert_int_equal(s->diags.errors, 0);
    assert_int_equal(decl->policy.mx_count, 2);
    assert_true(sts_str_is(decl->policy.mx[0], "a.example"));
    assert_int_equal(decl->mx_where[0].line, 5);
    assert_true(sts_str_is(decl->policy.mx[1], "b.example"));
    assert_int_equal(decl->mx_where[1].line, 4);
    assert_int_equal(s->diags.warnings, 3);
    assert_int_equal(s->policies[1].decl.policy.mx_count, 1);
    assert_int_equal(diag->where.line, 6);
    assert_int_equal(diag->related.line, 4);
    assert_int_equal(diag->next->where.line, 7);
    assert_false(s->policies[0].broken);
}

static void repeated_tenants(void **state)
{
    const struct sts_source *s = parse(state, "tenants:\n"
                                              "  b\xc3\xbc"
                                              "cher.example: {mode: enforce}\n"
                                              "  a.example: {mode: none}\n"
                                              "  XN--BCHER-KVA.example.: {mode: none}\n"
                                              "  a.example: {mode: testing}\n");
    assert_int_equal(s->diags.errors, 2);
    const struct sts_diag *diag = find(&s->diags, "tenant-duplicate");
    assert_int_equal(diag->where.line, 5);
    assert_int_equal(diag->related.line, 3);
    assert_int_equal(diag->next->where.line, 4);
    assert_int_equal(diag->next->related.line, 2);
    assert_false(s->broken);
    assert_false(s->tenants[0].broken);
    assert_false(s->tenants[1].broken);
    assert_true(s->tenants[2].broken && !s->tenants[2].domain.len);
    assert_true(s->tenants[3].broken && !s->tenants[3].domain.len);
    /* A whole section twice is no slip of one tenant. */
    assert_true(parse(state, "tenants: {}\ntenants: {}\n")->broken);
}

static void hostile_sizes(void **state)
{
    struct sts_buf text = {0};
    (void)state;

    /* Hundreds of thousands of mistakes do not become as many messages. */
    sts_buf_add_cstr(&text, "tenants:\n");
    for (int i = 0; i < 300000; i++)
        sts_buf_printf(&text, "  %d_:\n", i);
    struct sts_source *s = sts_source_parse(sts_buf_str(&text), STS_STR("f.yaml"), true);
    assert_true(s->broken);
    assert_non_null(find(&s->diags, "config-too-many-errors"));
    assert_true(s->diags.errors < 11000);
    sts_source_unref(s);

    text.len = 0;
    sts_buf_add_cstr(&text, "tenants:\n  a.example: {");
    for (int i = 0; i < 300000; i++)
        sts_buf_printf(&text, "k%d: x, ", i);
    sts_buf_add_cstr(&text, "}\n  b.example: {mode: none}\n");
    s = sts_source_parse(sts_buf_str(&text), STS_STR("f.yaml"), true);
    assert_non_null(find(&s->diags, "value-too-many"));
    assert_true(s->diags.errors < 100);
    assert_true(s->tenants[0].broken);
    assert_false(s->tenants[1].broken || s->broken);
    sts_source_unref(s);

    text.len = 0;
    sts_buf_add_cstr(&text, "tenants:\n  a.example: {mode: none, mx: [");
    for (int i = 0; i < 1001; i++)
        sts_buf_printf(&text, "m%d.example, ", i);
    sts_buf_add_cstr(&text, "]}\n");
    s = sts_source_parse(sts_buf_str(&text), STS_STR("f.yaml"), true);
    assert_error(s, "value-too-many", 2, 31);
    assert_true(s->tenants[0].broken);
    sts_source_unref(s);
    sts_buf_fini(&text);
}

static void a_hundred_thousand_tenants_fit(void **state)
{
    struct sts_buf text = {0};

    (void)state;
    sts_buf_add_cstr(&text, "tenants:\n");
    for (int i = 0; i < 100000; i++)
        sts_buf_printf(&text, "  customer-%d.example: {mode: none, mx: [mx.example.org]}\n", i);
    assert_true(text.len < STS_SOURCE_MAX);
    struct sts_source *s = sts_source_parse(sts_buf_str(&text), STS_STR("f.yaml"), true);
    assert_int_equal(s->diags.errors, 0);
    assert_int_equal(s->tenant_count, 100000);
    assert_true(sts_str_is(s->tenants[99999].domain, "customer-99999.example"));
    sts_source_unref(s);
    sts_buf_fini(&text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(tenants_in_file_order),
        TEST(tenants_that_name_a_policy_are_small),
        TEST(errors_in_a_tenant_stay_there),
        TEST(repeated_tenants),
        TEST(mx_are_canonical),
        TEST(hostile_sizes),
        TEST(a_hundred_thousand_tenants_fit),
    };
    return cmocka_run_group_tests_name("tenants", tests, NULL, NULL);
}
