/* Unit tests of server/policy: what a policy is worth once parsed, its one rendering, and
 * its digest. */
#include "tests/unit/test.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mtasts/domain.h"
#include "mtasts/policy.h"
#include "tests/unit/random.h"

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

static void values_come_out_canonical(void **state)
{
    (void)state;
    struct sts_arena *arena = sts_arena_new();
    struct sts_policy policy;
    struct sts_diags diags;
    struct sts_lint_context places = {.tlsrpt_known = true};
    const struct sts_str body =
        STS_STR(V "mode: testing\r\nmx: mx2.example.org\r\nmx: MX1.Example.Org\r\n"
                  "mx: *.example.net\r\nmx: mx2.example.org\r\nmax_age: 86400\r\n");

    sts_diags_init(&diags, arena);
    assert_true(sts_policy_parse_places(arena, body, STS_STR("text"), &diags, &policy, &places));
    assert_int_equal(policy.mode, STS_MODE_TESTING);
    assert_int_equal(policy.max_age, 86400);
    assert_int_equal(policy.mx_count, 3);
    assert_true(sts_str_is(policy.mx[0], "*.example.net"));
    assert_true(sts_str_is(policy.mx[1], "mx1.example.org"));
    assert_true(sts_str_is(policy.mx[2], "mx2.example.org"));
    /* and each value has its place, the first one of a repeated mx */
    assert_int_equal(places.mode_where.line, 2);
    assert_int_equal(places.mode_where.column, 7);
    assert_int_equal(places.max_age_where.line, 7);
    assert_int_equal(places.mx_where[0].line, 5);
    assert_int_equal(places.mx_where[1].line, 4);
    assert_int_equal(places.mx_where[2].line, 3);
    assert_true(places.tlsrpt_known);
    assert_int_equal(diags.first->related.line, 3);
    sts_arena_free(arena);
}

static void modes_have_exact_names(void **state)
{
    (void)state;
    enum sts_mode mode = STS_MODE_NONE;

    for (size_t i = 0; sts_mode_names[i]; i++) {
        assert_true(sts_mode_from(sts_str_from(sts_mode_names[i]), &mode));
        assert_string_equal(sts_mode_name(mode), sts_mode_names[i]);
    }
    assert_int_equal(mode, STS_MODE_ENFORCE);
    assert_false(sts_mode_from(STS_STR("None"), &mode));
    assert_false(sts_mode_from(STS_STR(""), &mode));
    assert_false(sts_mode_from(STS_STR("none\0"), &mode));
    assert_int_equal(mode, STS_MODE_ENFORCE);
}

static struct sts_policy policy_of(struct sts_arena *arena, enum sts_mode mode, uint32_t max_age,
                                   const char *const *mx)
{
    size_t n = 0;
    while (mx[n])
        n++;
    struct sts_str *names = STS_ARRAY(arena, n, struct sts_str);
    for (size_t i = 0; i < n; i++)
        names[i] = sts_str_from(mx[i]);
    struct sts_policy policy = {mode, max_age, names, n};
    sts_policy_canonicalise(arena, &policy);
    return policy;
}

/* RFC 8461 §3.2: CRLF after every line; the order is our own, so equal policies are equal bytes. */
static void rendering_is_exact(void **state)
{
    (void)state;
    struct sts_arena *arena = sts_arena_new();
    const char *const mx[] = {"mx2.example.org", "*.example.net", "mx1.example.org",
                              "mx2.example.org", NULL};
    const char *const no_mx[] = {NULL};
    struct sts_policy enforce = policy_of(arena, STS_MODE_ENFORCE, STS_MAX_AGE_LIMIT, mx);
    struct sts_policy none = policy_of(arena, STS_MODE_NONE, 0, no_mx);
    struct sts_buf out = {0};

    sts_policy_render(&out, &enforce);
    assert_true(sts_str_is(sts_buf_str(&out), "version: STSv1\r\nmode: enforce\r\n"
                                              "mx: *.example.net\r\nmx: mx1.example.org\r\n"
                                              "mx: mx2.example.org\r\nmax_age: 31557600\r\n"));
    sts_buf_fini(&out);
    sts_policy_render(&out, &none);
    assert_true(sts_str_is(sts_buf_str(&out), "version: STSv1\r\nmode: none\r\nmax_age: 0\r\n"));
    sts_buf_fini(&out);
    sts_arena_free(arena);
}

static bool policy_eq(const struct sts_policy *a, const struct sts_policy *b)
{
    if (a->mode != b->mode || a->max_age != b->max_age || a->mx_count != b->mx_count)
        return false;
    for (size_t i = 0; i < a->mx_count; i++)
        if (!sts_str_eq(a->mx[i], b->mx[i]))
            return false;
    return true;
}

/* From few enough values that equal policies happen. */
static struct sts_policy random_policy(struct sts_arena *arena, uint64_t *seed, uint32_t variety)
{
    static const char *const names[] = {
        "mx",           "*.example", "a-b.example.org", "*.xn--mnchen-3ya.de", "mx1.example.org",
        "1.example.net"};
    struct sts_policy policy = {.mode = (enum sts_mode)random_below(seed, 3),
                                .max_age = random_below(seed, 2)
                                               ? random_below(seed, variety)
                                               : STS_MAX_AGE_LIMIT - random_below(seed, variety)};
    size_t n = random_below(seed, variety < 10 ? 4 : 30) + (policy.mode != STS_MODE_NONE);
    struct sts_str *mx = STS_ARRAY(arena, n, struct sts_str);

    for (size_t i = 0; i < n; i++) {
        const char *name =
            names[random_below(seed, variety < 10 ? 2 : sizeof(names) / sizeof(*names))];
        mx[i] = variety < 10 || random_below(seed, 2)
                    ? sts_str_from(name)
                    : sts_arena_printf(arena, "h%u.example.com", random_below(seed, variety));
    }
    policy.mx = mx;
    policy.mx_count = n;
    sts_policy_canonicalise(arena, &policy);
    return policy;
}

/* parse(render(p)) is p, without a word about it. */
static void parse_undoes_render(void **state)
{
    (void)state;
    uint64_t seed = 61;

    for (int round = 0; round < 3000; round++) {
        struct sts_arena *arena = sts_arena_new();
        struct sts_policy policy = random_policy(arena, &seed, 100000), again;
        struct sts_diags diags;
        struct sts_buf body = {0};

        sts_policy_render(&body, &policy);
        assert_true(parse(arena, sts_buf_str(&body), &diags, &again));
        assert_null(diags.first);
        assert_true(policy_eq(&policy, &again));
        sts_buf_fini(&body);
        sts_arena_free(arena);
    }
}

static void digests_are_equal_iff_policies_are(void **state)
{
    (void)state;
    uint64_t seed = 3;
    size_t equal = 0;

    for (int round = 0; round < 4000; round++) {
        struct sts_arena *arena = sts_arena_new();
        unsigned char first[STS_DIGEST_LEN], second[STS_DIGEST_LEN];
        struct sts_policy a = random_policy(arena, &seed, 2);
        struct sts_policy b = random_policy(arena, &seed, 2);

        sts_policy_digest(&a, first);
        sts_policy_digest(&b, second);
        assert_int_equal(policy_eq(&a, &b), memcmp(first, second, STS_DIGEST_LEN) == 0);
        equal += policy_eq(&a, &b);
        sts_arena_free(arena);
    }
    assert_true(equal > 20);
}

/* The digest is the SHA-256 of the bytes that are served: anyone can check it with sha256sum. */
static void digest_is_of_the_rendered_bytes(void **state)
{
    (void)state;
    /* printf 'version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n' | sha256sum */
    static const char expected[] =
        "94815eb6141fb6e5526888bf66f98f7601f01c8cd79778e9e21493bdcaf38be8";
    struct sts_policy policy = {.mode = STS_MODE_NONE, .max_age = 86400};
    unsigned char digest[STS_DIGEST_LEN];
    char hex[2 * STS_DIGEST_LEN + 1];

    sts_policy_digest(&policy, digest);
    for (size_t i = 0; i < STS_DIGEST_LEN; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(hex, expected);
}

/* Line ends, order, case, repetition, unknown fields: another text, the same policy. */
static void formatting_does_not_change_the_digest(void **state)
{
    (void)state;
    static const char *const texts[] = {
        V M "mx: a.example.org\r\nmx: b.example.org\r\n" A,
        "version:STSv1\nmode:enforce\nmx:b.example.org\nmx:a.example.org\nmax_age:604800",
        A "mx: B.EXAMPLE.ORG\r\n" M "mx: a.example.org\r\nmx: A.example.org\r\n" V,
        V M "mx: a.example.org\r\nmx: b.example.org \t\r\n" A "x-note: hello\r\nmode: none\r\n",
        V M "mx: a.example.org\r\nmx: b.example.org\r\nmax_age: 0000604800\r\n",
    };
    unsigned char first[STS_DIGEST_LEN], digest[STS_DIGEST_LEN];

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct sts_arena *arena = sts_arena_new();
        struct sts_policy policy;
        struct sts_diags diags;
        assert_true(parse(arena, sts_str_from(texts[i]), &diags, &policy));
        sts_policy_digest(&policy, i ? digest : first);
        if (i)
            assert_memory_equal(digest, first, STS_DIGEST_LEN);
        sts_arena_free(arena);
    }
}

/* The last line of defence: a value that is not canonical ends the process, never in a body. */
static bool render_aborts(const struct sts_policy *policy)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        struct sts_buf out = {0};
        signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr))
            _exit(2);
        sts_policy_render(&out, policy);
        _exit(0);
    }
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void rendering_refuses_what_is_not_canonical(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "a.example.org\r\nmode: none",
        "a b.example.org",
        "a:25",
        "A.example.org",
        "a_b.org",
        "m\xc3\xbcnchen.de",
        "example.org.",
        ".a",
        "a..b",
        "*",
        "*.",
        "a.*.org",
        "*.*.org",
        "-a.org",
        "a-.org",
        "a.org\t",
    };
    const struct sts_str unsorted[] = {STS_STR("b.org"), STS_STR("a.org")};
    const struct sts_str twice[] = {STS_STR("a.org"), STS_STR("a.org")};
    const struct sts_str with_nul = STS_STR("a.org\0");
    struct sts_str one = STS_STR("a.org");
    struct sts_policy policy = {STS_MODE_ENFORCE, 1, &one, 1};

    assert_false(render_aborts(&policy));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        one = sts_str_from(bad[i]);
        if (!render_aborts(&policy))
            fail_msg("rendered: %s", bad[i]);
    }
    one = with_nul;
    assert_true(render_aborts(&policy));
    assert_true(render_aborts(&(struct sts_policy){STS_MODE_ENFORCE, 1, unsorted, 2}));
    assert_true(render_aborts(&(struct sts_policy){STS_MODE_ENFORCE, 1, twice, 2}));
    assert_true(render_aborts(&(struct sts_policy){STS_MODE_NONE, STS_MAX_AGE_LIMIT + 1, NULL, 0}));
    assert_true(render_aborts(&(struct sts_policy){(enum sts_mode)3, 1, NULL, 0}));
}

/* Random edits of a good text: whatever is accepted renders to lines of the four fields only, and
 * parses back to itself. */
static void no_value_escapes_its_line(void **state)
{
    (void)state;
    static const char bytes[] = "\r\n\t :.*-_,;=#amxv019\xc3\xbc\xff\x7f\x1b";
    uint64_t seed = 2018;
    size_t accepted = 0;

    for (int round = 0; round < 20000; round++) {
        char text[] = V M "mx: *.example.org\r\n" X A;
        size_t len = sizeof(text) - 1;
        for (uint32_t edits = 1 + random_below(&seed, 3); edits > 0; edits--)
            text[random_below(&seed, (uint32_t)len)] =
                bytes[random_below(&seed, sizeof(bytes))]; /* its NUL included */
        len -= random_below(&seed, 4) == 0 ? random_below(&seed, 5) : 0;

        struct sts_arena *arena = sts_arena_new();
        struct sts_policy policy, again;
        struct sts_diags diags;
        if (parse(arena, (struct sts_str){text, len}, &diags, &policy)) {
            struct sts_buf body = {0};
            size_t lines = 0;
            sts_policy_render(&body, &policy);
            for (size_t i = 0; i < body.len; i++) {
                char c = body.ptr[i];
                assert_true((c >= ' ' && c < 0x7f) || c == '\r' || c == '\n');
                lines += c == '\n';
            }
            assert_int_equal(lines, policy.mx_count + 3);
            assert_true(parse(arena, sts_buf_str(&body), &diags, &again));
            assert_true(policy_eq(&policy, &again));
            sts_buf_fini(&body);
            accepted++;
        }
        sts_arena_free(arena);
    }
    assert_true(accepted > 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_out_canonical),
        cmocka_unit_test(modes_have_exact_names),
        cmocka_unit_test(rendering_is_exact),
        cmocka_unit_test(parse_undoes_render),
        cmocka_unit_test(digests_are_equal_iff_policies_are),
        cmocka_unit_test(digest_is_of_the_rendered_bytes),
        cmocka_unit_test(formatting_does_not_change_the_digest),
        cmocka_unit_test(rendering_refuses_what_is_not_canonical),
        cmocka_unit_test(no_value_escapes_its_line),
    };
    return cmocka_run_group_tests_name("policy_value", tests, NULL, NULL);
}
