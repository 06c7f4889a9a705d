/* Unit tests of server/policy: what else is said of a text: what was meant, and its size. */
#include "tests/unit/test.h"

#include <string.h>

#include "mtasts/policy.h"

#define V    "version: STSv1\r\n"
#define M    "mode: enforce\r\n"
#define X    "mx: mx.example.org\r\n"
#define A    "max_age: 604800\r\n"
#define GOOD V M X A

static bool parse(struct sts_arena *arena, struct sts_str body, struct sts_diags *diags,
                  struct sts_policy *out)
{
    sts_diags_init(diags, arena);
    return sts_policy_parse(arena, body, STS_STR("text"), diags, out);
}

/* What is wrong is said together with what was probably meant. */
static void near_misses_are_pointed_at(void **state)
{
    (void)state;
    static const struct {
        struct sts_str body;
        const char *code, *help;
        uint32_t line; /* of the line that was meant, or 0 */
    } cases[] = {
        {STS_STR("Version: STSv1\r\n" M X A), "policy-no-version", "version: STSv1", 1},
        {STS_STR("Version: STSv1\r\n" M X A), "policy-field-unknown", "did you mean version", 0},
        {STS_STR(V "mode : enforce\r\n" X A), "policy-no-mode", "mode:", 2},
        {STS_STR(V "mode = enforce\r\n" X A), "policy-no-mode", "mode:", 2},
        {STS_STR(V M "nmx: a.example.org\r\n" A), "policy-no-mx", "mail server", 3},
        {STS_STR(V M "nmx: a.example.org\r\n" A), "policy-field-unknown", "did you mean mx", 0},
        {STS_STR(V M X "maxage: 1\r\n"), "policy-field-unknown", "did you mean max_age", 0},
        {STS_STR(V M X "maxage: 1\r\n"), "policy-no-max-age", "max_age: 2419200", 4},
        {STS_STR(V "mode: enforced\r\n" X A), "policy-mode", "did you mean enforce?", 0},
        {STS_STR(V "mode: Testing\r\n" X A), "policy-mode", "did you mean testing?", 0},
        {STS_STR(V "mode: zebra\r\n" X A), "policy-mode", "enforce, testing or none", 0},
        {STS_STR(GOOD "note: a:b\r\n"), "policy-field-unknown", "maddy", 0},
        {STS_STR(GOOD "x: \xc3\xbc\r\n"), "policy-field-unknown", "postfix-mta-sts-resolver", 0},
        {STS_STR(GOOD "x: y\r\n"), "policy-field-unknown", "checkdmarc and NCSC", 0},
        {STS_STR(GOOD "\r\n"), "policy-blank-line", "mox, postfix-tlspol and maddy", 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct sts_arena *arena = sts_arena_new();
        struct sts_policy policy;
        struct sts_diags diags;
        parse(arena, cases[i].body, &diags, &policy);
        const struct sts_diag *diag = diags.first;
        while (diag && strcmp(diag->code, cases[i].code) != 0)
            diag = diag->next;
        assert_non_null(diag);
        assert_non_null(strstr(diag->help.ptr, cases[i].help));
        assert_int_equal(diag->related.line, cases[i].line);
        sts_arena_free(arena);
    }
}

/* GOOD, and unknown fields of one line each until the text has `len` octets. */
static void sized(struct sts_buf *out, size_t len)
{
    enum { LINE = 500 };

    sts_buf_add(out, STS_STR(GOOD));
    while (out->len + LINE + 10 < len)
        sts_buf_printf(out, "x: %0*d\r\n", LINE - 5, 1);
    sts_buf_printf(out, "x: %0*d\r\n", (int)(len - out->len) - 5, 1);
    assert_int_equal(out->len, len);
}

static void expect_size(size_t len, const char *code, bool good)
{
    struct sts_arena *arena = sts_arena_new();
    struct sts_policy policy;
    struct sts_diags diags;
    struct sts_buf body = {0};
    const char *said = NULL;

    sized(&body, len);
    assert_int_equal(parse(arena, sts_buf_str(&body), &diags, &policy), good);
    for (struct sts_diag *d = diags.first; d; d = d->next)
        if (strcmp(d->code, "policy-field-unknown") != 0) {
            assert_null(said);
            said = d->code;
        }
    if (code)
        assert_string_equal(said, code);
    else
        assert_null(said);
    sts_buf_fini(&body);
    sts_arena_free(arena);
}

/* RFC 8461 §3.3: 64 KiB are a sender's limit; chasquid's is 10 KiB. */
static void sizes(void **state)
{
    (void)state;
    expect_size(4096, NULL, true);
    expect_size(4097, "policy-large", true);
    expect_size(10240, "policy-large", true);
    expect_size(10241, "policy-too-large", false);
    expect_size(65536, "policy-too-large", false);
    expect_size(65537, "policy-too-large", false);

    struct sts_buf line = {0};
    struct sts_arena *arena = sts_arena_new();
    struct sts_policy policy;
    struct sts_diags diags;
    sts_buf_add(&line, STS_STR(GOOD));
    sts_buf_printf(&line, "x: %01021d\r\n", 1);
    assert_true(parse(arena, sts_buf_str(&line), &diags, &policy));
    assert_string_equal(diags.first->code, "policy-long-line");
    assert_int_equal(diags.first->where.line, 5);
    sts_buf_fini(&line);
    sts_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(near_misses_are_pointed_at),
        cmocka_unit_test(sizes),
    };
    return cmocka_run_group_tests_name("policy_hints", tests, NULL, NULL);
}
