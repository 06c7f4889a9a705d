/* Unit tests of server/policy: the text of a policy, RFC 8461 §3.2, rules P1 to P9 and P15 to P18.
 * Names (P10 to P14) are in test_domain.c, the value of a policy in test_policy_value.c. */
#include "tests/unit/test.h"

#include <string.h>

#include "mtasts/policy.h"

#define V    "version: STSv1\r\n"
#define M    "mode: enforce\r\n"
#define X    "mx: mx.example.org\r\n"
#define A    "max_age: 604800\r\n"
#define GOOD V M X A

/* A text and everything that is said of it, in order: "code@line:column", a space between, with
 * "!" in front of errors and "~" in front of notes. What has an error is no policy. */
struct text_case {
    struct sts_str body;
    const char *says;
};
#define CASE(text, expected)                                                                       \
    {                                                                                              \
        {(text), sizeof(text) - 1}, (expected)                                                     \
    }
#define END                                                                                        \
    {                                                                                              \
        {NULL, 0}, NULL                                                                            \
    }

static void describe(struct sts_buf *out, const struct sts_diags *diags)
{
    static const char *const marks[] = {"~", "", "!"};

    for (const struct sts_diag *d = diags->first; d; d = d->next) {
        sts_buf_printf(out, "%s%s%s", out->len ? " " : "", marks[d->severity], d->code);
        if (d->where.line)
            sts_buf_printf(out, "@%u:%u", d->where.line, d->where.column);
        assert_true(sts_str_is(d->where.source, "text"));
        assert_true(d->message.len > 0 && d->help.len > 0);
    }
    sts_buf_add(out, (struct sts_str){"\0", 1});
}

static bool parse(struct sts_arena *arena, struct sts_str body, struct sts_diags *diags,
                  struct sts_policy *out)
{
    sts_diags_init(diags, arena);
    return sts_policy_parse(arena, body, STS_STR("text"), diags, out);
}

static void walk(const struct text_case *cases)
{
    for (; cases->says; cases++) {
        struct sts_arena *arena = sts_arena_new();
        struct sts_policy policy = {.max_age = 7};
        struct sts_diags diags;
        struct sts_buf said = {0};
        bool good = parse(arena, cases->body, &diags, &policy);

        describe(&said, &diags);
        if (strcmp(said.ptr, cases->says) != 0)
            fail_msg("%.*s\nsaid:     %s\nexpected: %s", STS_ARG(cases->body), said.ptr,
                     cases->says);
        assert_int_equal(good, diags.errors == 0);
        if (!good)
            assert_int_equal(policy.max_age, 7); /* written on success only */
        sts_buf_fini(&said);
        sts_arena_free(arena);
    }
}

/* P1: errata 6253. CRLF by the prose, CRLF or LF by the grammar, the last one optional. */
static void p1_line_ends(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        CASE(GOOD, ""),
        CASE(V M X "max_age: 604800", ""),
        CASE("version: STSv1\nmode: enforce\nmx: mx.example.org\nmax_age: 604800\n",
             "policy-line-end@1:1"),
        CASE("version: STSv1\nmode: enforce\nmx: mx.example.org\nmax_age: 604800",
             "policy-line-end@1:1"),
        CASE("version: STSv1\n" M X A, "policy-mixed-line-ends@1:1"),
        CASE(V M X "max_age: 604800\n", "policy-mixed-line-ends@1:1"),
        CASE("version: STSv1\rmode: enforce\rmx: mx.example.org\rmax_age: 604800\r",
             "!policy-bare-cr@1:15 !policy-no-version !policy-no-mode !policy-no-max-age"),
        CASE(V M X "max_age: 604800\r", "!policy-bare-cr@4:16 !policy-no-max-age"),
        CASE(V M X "max_age: 604800\r\r\n", "!policy-bare-cr@4:16 !policy-no-max-age"),
        CASE(V M "mx: mx.example.org\rmx: b.example.org\r\n" A,
             "!policy-bare-cr@3:19 !policy-no-mx"),
        END};
    walk(cases);
}

/* P2: no empty line, no line of white space, no comment. */
static void p2_every_line_is_a_field(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        CASE("", "!policy-empty"),
        CASE("\n", "!policy-blank-line@1:1 policy-line-end@1:1 !policy-no-version !policy-no-mode "
                   "!policy-no-max-age"),
        CASE("\r\n" GOOD, "!policy-blank-line@1:1 policy-version-not-first@2:1"),
        CASE(V "\r\n" M X A, "!policy-blank-line@2:1"),
        CASE(GOOD "\r\n", "!policy-blank-line@5:1"),
        CASE(GOOD " ", "!policy-blank-line@5:1"),
        CASE(V M " \t \r\n" X A, "!policy-blank-line@3:1"),
        CASE("# a comment\r\n" GOOD, "!policy-comment@1:1 policy-version-not-first@2:1"),
        CASE(GOOD "; mode: none\r\n", "!policy-comment@5:1"),
        CASE(GOOD "// mode: none\r\n", "!policy-comment@5:1"),
        CASE(GOOD "hello\r\n", "!policy-no-colon@5:1"),
        CASE(V "mode=enforce\r\n" X A, "!policy-no-colon@2:1 !policy-no-mode"),
        CASE("\xef\xbb\xbf" GOOD, "!policy-bom@1:1"),
        CASE("\xef\xbb\xbf\r\n" GOOD,
             "!policy-bom@1:1 !policy-blank-line@1:4 policy-version-not-first@2:1"),
        CASE("\xef\xbb\xbfmode: x\r\n" V X A,
             "!policy-bom@1:1 !policy-mode@1:10 policy-version-not-first@2:1"),
        END};
    walk(cases);
}

/* P3: any or no WSP behind the colon and at the end of a line, none before name or colon. */
static void p3_white_space(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        CASE("version:STSv1\r\nmode:\t enforce\r\nmx:   mx.example.org\r\nmax_age:604800\r\n", ""),
        CASE("version: STSv1 \t\r\n" M X A, "policy-trailing-space@1:15"),
        CASE(V M X "max_age: 604800 ", "policy-trailing-space@4:16"),
        CASE(" version: STSv1\r\n" M X A, "!policy-leading-space@1:1 !policy-no-version"),
        CASE(V "\tmode: enforce\r\n" X A, "!policy-leading-space@2:1 !policy-no-mode"),
        CASE(V "mode : enforce\r\n" X A, "!policy-space-before-colon@2:5 !policy-no-mode"),
        CASE(V "mode \t: enforce\r\n" X A, "!policy-space-before-colon@2:5 !policy-no-mode"),
        CASE(V "mode:\r\n enforce\r\n" X A, "!policy-mode@2:6 !policy-leading-space@3:1"),
        CASE(V M "mx: a.example.org b.example.org\r\n" A, "!domain-space@3:5"),
        END};
    walk(cases);
}

/* P4: names in lower case only; anything else is an unknown field. */
static void p4_names(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        CASE("Version: STSv1\r\n" M X A, "policy-field-unknown@1:1 !policy-no-version"),
        CASE(V "MODE: enforce\r\n" X A, "policy-field-unknown@2:1 !policy-no-mode"),
        CASE(V M "Mx: mx.example.org\r\n" A, "policy-field-unknown@3:1 !policy-no-mx"),
        CASE(V M X "maxage: 604800\r\n", "policy-field-unknown@4:1 !policy-no-max-age"),
        CASE(V M "nmx: mx.example.org\r\n" A, "policy-field-unknown@3:1 !policy-no-mx"),
        CASE(GOOD "-x: 1\r\n", "!policy-field-name@5:1"),
        CASE(GOOD ": 1\r\n", "!policy-field-name@5:1"),
        CASE(GOOD "a b: 1\r\n", "!policy-field-name@5:1"),
        CASE(GOOD "\xc3\xbc: 1\r\n", "!policy-field-name@5:1"),
        CASE(GOOD "a2345678901234567890123456789012: 1\r\n", "policy-field-unknown@5:1"),
        CASE(GOOD "a23456789012345678901234567890123: 1\r\n", "!policy-field-name@5:1"),
        END};
    walk(cases);
}

/* P5, P18: what must be there; order is free; even `none` needs version and max_age. */
static void p5_required_fields(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        CASE(M X A, "!policy-no-version"),
        CASE(V X A, "!policy-no-mode"),
        CASE(V M A, "!policy-no-mx"),
        CASE(V M X, "!policy-no-max-age"),
        CASE(V "mode: testing\r\n" A, "!policy-no-mx"),
        CASE(A X M V, "policy-version-not-first@4:1"),
        CASE(V X A M X, "mx-repeated@5:5"),
        CASE(V "mode: none\r\n" A, ""),
        CASE(V "mode: none\r\n" X A, ""),
        CASE(V "mode: none\r\n", "!policy-no-max-age"),
        CASE("mode: none\r\n" A, "!policy-no-version"),
        CASE(V "mode: none\r\nmx: a_b\r\n" A, "!domain-underscore@3:5"),
        END};
    walk(cases);
}

/* P6: the first of a repeated field counts, also when a later one is nonsense. */
static void p6_repeated_fields(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        CASE(V V M X A, "policy-field-repeated@2:1"),
        CASE(GOOD "mode: bogus\r\n", "policy-field-repeated@5:1"),
        CASE(GOOD "max_age: -1\r\n", "policy-field-repeated@5:1"),
        CASE(V "mode: bogus\r\n" M X A, "!policy-mode@2:7 policy-field-repeated@3:1"),
        CASE(V M X "mx: MX.example.org\r\n" A, "mx-repeated@4:5"),
        END};
    walk(cases);

    struct sts_arena *arena = sts_arena_new();
    struct sts_policy policy;
    struct sts_diags diags;
    assert_true(parse(arena, STS_STR(GOOD "max_age: 1\r\nmode: none\r\n"), &diags, &policy));
    assert_int_equal(policy.mode, STS_MODE_ENFORCE);
    assert_int_equal(policy.max_age, 604800);
    assert_int_equal(diags.first->related.line, 4);
    assert_non_null(strstr(diags.first->help.ptr, "KumoMTA"));
    sts_arena_free(arena);
}

/* P7, P8, P9: the values; errata 7282 about digits. */
static void p7_p8_values(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        CASE("version: STSv2\r\n" M X A, "!policy-version@1:10"),
        CASE("version: stsv1\r\n" M X A, "!policy-version@1:10"),
        CASE("version:\r\n" M X A, "!policy-version@1:9"),
        CASE(V "mode: Enforce\r\n" X A, "!policy-mode@2:7"),
        CASE(V "mode: enforced\r\n" X A, "!policy-mode@2:7"),
        CASE(V "mode: \r\n" X A, "!policy-mode@2:7"),
        CASE(V "mode: enforce; x\r\n" X A, "!policy-mode@2:7"),
        CASE(V M X "max_age: 0\r\n", ""),
        CASE(V M X "max_age: 31557600\r\n", ""),
        CASE(V M X "max_age: 0000604800\r\n", "~policy-max-age-zeros@4:10"),
        CASE(V M X "max_age: 31557601\r\n", "!policy-max-age-above-limit@4:10"),
        CASE(V M X "max_age: 4294967296\r\n", "!policy-max-age-above-limit@4:10"),
        CASE(V M X "max_age: 9999999999\r\n", "!policy-max-age-above-limit@4:10"),
        CASE(V M X "max_age: 00000604800\r\n", "!policy-max-age@4:10"),
        CASE(V M X "max_age: 18446744073709551617\r\n", "!policy-max-age@4:10"),
        CASE(V M X "max_age: 4w\r\n", "!policy-max-age@4:10"),
        CASE(V M X "max_age: +1\r\n", "!policy-max-age@4:10"),
        CASE(V M X "max_age: 604800.0\r\n", "!policy-max-age@4:10"),
        CASE(V M X "max_age: 604,800\r\n", "!policy-max-age@4:10"),
        CASE(V M X "max_age: 0x100\r\n", "!policy-max-age@4:10"),
        CASE(V M X "max_age:\r\n", "!policy-max-age@4:9"),
        CASE(V M X "max_age: \xd9\xa1\r\n", "!policy-max-age@4:10"), /* a digit of another script */
        END};
    walk(cases);
}

/* P10, P12, P16: a bad value of a known field is an error of that field, never an extension. */
static void p16_known_names_have_rules(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        CASE(V M "mx: mx.example.org.\r\n" A, "!domain-trailing-dot@3:5"),
        CASE(V M "mx: m\xc3\xbcnchen.de\r\n" A, "!domain-u-label@3:5"),
        CASE(V M "mx: 192.0.2.1\r\n" A, "!domain-ip-address@3:5"),
        CASE(V M "mx:*\r\n" A, "!mx-bare-wildcard@3:4"),
        CASE(V M "mx:\r\n" A, "!domain-empty@3:4"),
        CASE(V M "mx: a.example.org, b.example.org\r\n" A, "!domain-space@3:5"),
        CASE(V M "mx: a_b.example.org\r\nmx: -.example.org\r\n" A,
             "!domain-underscore@3:5 !domain-hyphen@4:5"),
        END};
    walk(cases);
}

/* P15, P16, P17: unknown fields are accepted when well-formed. */
static void p15_extensions(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        CASE(GOOD "foo: bar\r\n", "policy-field-unknown@5:1"),
        CASE(GOOD "f_o-o.1: a b: c!\r\n", "policy-field-unknown@5:1"),
        CASE(GOOD "foo: \xc3\xbc\xe2\x82\xac\xf0\x9f\x92\xa9\r\n", "policy-field-unknown@5:1"),
        CASE(GOOD "foo: \xf4\x8f\xbf\xbf\r\n", "policy-field-unknown@5:1"),
        CASE(GOOD "foo: a\xc2\x85z\r\n", "policy-field-unknown@5:1 policy-extension-control@5:6"),
        CASE(GOOD "foo:\r\n", "!policy-extension-value@5:5"),
        CASE(GOOD "foo: \t\r\n", "!policy-extension-value@5:7"),
        CASE(GOOD "foo: a\tb\r\n", "!policy-extension-value@5:6"),
        CASE(GOOD "foo: \xff\r\n", "!policy-extension-value@5:6"),
        CASE(GOOD "foo: \x80\r\n", "!policy-extension-value@5:6"),
        CASE(GOOD "foo: \xc3\r\n", "!policy-extension-value@5:6"),
        CASE(GOOD "foo: \xe2\x82\r\n", "!policy-extension-value@5:6"),
        CASE(GOOD "foo: \xc3(\r\n", "!policy-extension-value@5:6"),
        CASE(GOOD "foo: \xc0\xaf\r\n", "!policy-extension-value@5:6"),
        CASE(GOOD "foo: \xe0\x9f\xbf\r\n", "!policy-extension-value@5:6"),
        CASE(GOOD "foo: \xf0\x8f\xbf\xbf\r\n", "!policy-extension-value@5:6"),
        CASE(GOOD "foo: \xed\xa0\x80\r\n", "!policy-extension-value@5:6"),
        CASE(GOOD "foo: \xf4\x90\x80\x80\r\n", "!policy-extension-value@5:6"),
        CASE(GOOD "foo: \xf5\x80\x80\x80\r\n", "!policy-extension-value@5:6"),
        END};
    walk(cases);
}

/* P15: control characters stand in no field; NUL cuts the text of C programs short. */
static void p15_control_characters(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        CASE(GOOD "foo: a\0b\r\n", "!policy-control-character@5:7"),
        CASE(GOOD "foo: a\x7f\r\n", "!policy-control-character@5:7"),
        CASE(GOOD "foo: \x1b[0m\r\n", "!policy-control-character@5:6"),
        CASE(V "mode: enforce\0\r\n" X A, "!policy-control-character@2:14 !policy-no-mode"),
        CASE(GOOD "\0", "!policy-control-character@5:1"),
        CASE(V M "mx: mx.example.org\v\r\n" A, "!policy-control-character@3:19 !policy-no-mx"),
        END};
    walk(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p1_line_ends),       cmocka_unit_test(p2_every_line_is_a_field),
        cmocka_unit_test(p3_white_space),     cmocka_unit_test(p4_names),
        cmocka_unit_test(p5_required_fields), cmocka_unit_test(p6_repeated_fields),
        cmocka_unit_test(p7_p8_values),       cmocka_unit_test(p16_known_names_have_rules),
        cmocka_unit_test(p15_extensions),     cmocka_unit_test(p15_control_characters),
    };
    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
