/* Unit tests of server/base: slices, buffers, arenas, diagnostics. */
#include "tests/unit/test.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "mtasts/diag.h"
#include "server/base/json.h"

static void str_compares_by_length(void **state)
{
    (void)state;
    struct sts_str with_nul = {"ab\0c", 4};
    assert_false(sts_str_is(with_nul, "ab"));
    assert_true(sts_str_eq_nocase(STS_STR("EXAMPLE.org"), STS_STR("example.ORG")));
    assert_int_equal(sts_str_find(with_nul, 'c', 0), 3);
    assert_true(sts_str_cmp(STS_STR("a"), STS_STR("ab")) < 0);
    assert_true(sts_str_is(sts_str_trim(STS_STR(" \tx y\t ")), "x y"));
}

static void uint_refuses_all_but_digits(void **state)
{
    (void)state;
    unsigned long long n = 7;
    assert_true(sts_str_to_uint(STS_STR("0604800"), 10, 31557600, &n));
    assert_int_equal(n, 604800);
    const char *bad[] = {"", "+1", "-1", "1 ", "1.0", "0x1", "31557601", "99999999999", NULL};
    for (size_t i = 0; bad[i]; i++)
        assert_false(sts_str_to_uint(sts_str_from(bad[i]), 10, 31557600, &n));
    assert_false(sts_str_to_uint(STS_STR("99999999999999999999"), 30, ~0ULL, &n));
}

static void suggest_finds_typos_only(void **state)
{
    (void)state;
    const char *const keys[] = {"mode", "mx", "max_age", "policy", NULL};
    const char *const modes[] = {"enforce", "testing", "none", NULL};
    assert_string_equal(sts_suggest(STS_STR("maxage"), keys), "max_age");
    assert_string_equal(sts_suggest(STS_STR("nmx"), keys), "mx");
    assert_string_equal(sts_suggest(STS_STR("enforced"), modes), "enforce");
    assert_string_equal(sts_suggest(STS_STR("test"), modes), "testing");
    assert_null(sts_suggest(STS_STR("zebra"), modes));
    assert_null(sts_suggest(STS_STR(""), modes));
}

static void escaping_keeps_one_line(void **state)
{
    (void)state;
    struct sts_buf b = {0};
    sts_buf_add_escaped(&b, STS_STR("a\n\"\\\x80z"), 100);
    assert_string_equal(b.ptr, "a\\x0A\"\\x5C\\x80z");
    sts_buf_fini(&b);
    sts_buf_add_escaped(&b, STS_STR("abcdef"), 3);
    assert_string_equal(b.ptr, "abc...");
    sts_buf_fini(&b);
}

static void arena_is_zeroed_and_aligned(void **state)
{
    (void)state;
    struct sts_arena *a = sts_arena_new();
    for (size_t size = 0; size < 5000; size += 7) {
        unsigned char *p = sts_arena_alloc(a, size);
        assert_int_equal((size_t)p % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, size);
    }
    struct sts_str big = sts_arena_printf(a, "%0*d", 100000, 1);
    assert_int_equal(big.len, 100000);
    assert_true(sts_arena_size(a) > 100000);
    sts_arena_free(a);
}

/* Short texts are many: no alignment is paid for them, and none is lost for what stands beside. */
static void texts_in_an_arena_are_dense(void **state)
{
    enum { COUNT = 20000, LEN = 20 };
    struct sts_arena *a = sts_arena_new();
    char text[LEN + 1];

    (void)state;
    for (int i = 0; i < COUNT; i++) {
        snprintf(text, sizeof(text), "%020d", i);
        struct sts_str copy = sts_arena_dup(a, sts_str_from(text));
        assert_string_equal(copy.ptr, text);
        if (i % 1000 == 0) { /* larger than a block, and then less than one */
            assert_int_equal(*(char *)sts_arena_alloc(a, 1 << 17), 0);
            double *number = sts_arena_alloc(a, sizeof(*number));
            assert_int_equal((uintptr_t)number % sizeof(*number), 0);
            *number = i;
            assert_string_equal(copy.ptr, text);
        }
    }
    assert_true(sts_arena_size(a) < (COUNT / 1000 << 17) + COUNT * (LEN + 2) + 65536);
    sts_arena_reset(a);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(*(char *)sts_arena_alloc(a, 1), 0);
    sts_arena_free(a);
}

static struct sts_diags sample(struct sts_arena *a)
{
    struct sts_diags d;
    sts_diags_init(&d, a);
    struct sts_pos where = {STS_STR("a.yaml"), 3, 7};
    struct sts_diag *diag = sts_diag_add(&d, STS_ERROR, "key-unknown", where, "bad \"%s\"", "x\ny");
    sts_diag_help(&d, diag, "use %s", "mx");
    diag->related = (struct sts_pos){STS_STR("b.yaml"), 1, 2};
    sts_diag_add(&d, STS_NOTE, "odd", (struct sts_pos){STS_STR("\xff.yaml"), 0, 0}, "note");
    return d;
}

static void diagnostics_render_as_text(void **state)
{
    (void)state;
    struct sts_arena *a = sts_arena_new();
    struct sts_diags d = sample(a);
    struct sts_buf out = {0};
    for (struct sts_diag *diag = d.first; diag; diag = diag->next)
        sts_diag_render_text(&out, diag, false);
    assert_string_equal(out.ptr, "a.yaml:3:7: error: bad \"x\\x0Ay\" [key-unknown]\n"
                                 "    help: use mx\n"
                                 "    b.yaml:1:2: see also here\n"
                                 "\\xFF.yaml: note: note [odd]\n");
    assert_int_equal(d.errors, 1);
    assert_int_equal(d.notes, 1);
    sts_buf_fini(&out);
    sts_arena_free(a);
}

static void diagnostics_render_as_json(void **state)
{
    (void)state;
    struct sts_arena *a = sts_arena_new();
    struct sts_diags d = sample(a), copy;
    sts_diags_init(&copy, a);
    sts_diags_append(&copy, &d);
    struct sts_buf out = {0};
    sts_diags_render_json(&out, &copy);
    json_t *parsed = json_loadb(out.ptr, out.len, 0, NULL);
    assert_non_null(parsed);
    assert_int_equal(json_array_size(parsed), 2);
    json_t *first = json_array_get(parsed, 0);
    assert_string_equal(json_string_value(json_object_get(first, "code")), "key-unknown");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(first, "related"), "line")),
                     1);
    json_decref(parsed);
    sts_buf_fini(&out);
    sts_arena_free(a);
}

/* Rendered as text they are the same, whatever bytes are in them. */
static void diagnostics_come_back_from_json(void **state)
{
    (void)state;
    struct sts_arena *a = sts_arena_new();
    struct sts_diags from, to;
    sts_diags_init(&from, a);
    sts_diags_init(&to, a);
    struct sts_pos where = {STS_STR("dir/a file.yaml"), 7, 3}, nowhere = {0};
    struct sts_diag *diag =
        sts_diag_add(&from, STS_ERROR, "some-code", where, "bad \n \x80 %s", "\\");
    sts_diag_help(&from, diag, "write \"good\"");
    diag->related = (struct sts_pos){STS_STR("b.yaml"), 1, 1};
    diag->tenant = STS_STR("example.org");
    sts_diag_add(&from, STS_WARNING, "other-code", nowhere, "no place");
    sts_diag_add(&from, STS_NOTE, "note-code", (struct sts_pos){STS_STR("x"), 0, 0}, "a note");
    json_t *json = sts_diags_json(&from);
    assert_true(sts_diags_from_json(&to, json));
    json_decref(json);
    assert_int_equal(to.errors, 1);
    assert_int_equal(to.warnings, 1);
    assert_int_equal(to.notes, 1);
    assert_true(sts_str_is(to.first->tenant, "example.org"));
    struct sts_buf before = {0}, after = {0};
    for (diag = from.first; diag; diag = diag->next)
        sts_diag_render_text(&before, diag, false);
    for (diag = to.first; diag; diag = diag->next)
        sts_diag_render_text(&after, diag, false);
    assert_string_equal(before.ptr, after.ptr);
    sts_buf_fini(&before);
    sts_buf_fini(&after);
    sts_arena_free(a);
}

static void what_is_no_diagnostics_is_refused_whole(void **state)
{
    (void)state;
    struct sts_arena *a = sts_arena_new();
    struct sts_diags diags;
    sts_diags_init(&diags, a);
    const char *bad[] = {"{}",
                         "[7]",
                         "[{}]",
                         "[{\"severity\":\"error\",\"code\":\"c\"}]",
                         "[{\"severity\":\"fatal\",\"code\":\"c\",\"message\":\"m\"}]",
                         "[{\"severity\":\"note\",\"code\":\"c\",\"message\":\"m\"},{\"code\":7}]",
                         NULL};
    for (size_t i = 0; bad[i]; i++) {
        json_t *json = json_loads(bad[i], 0, NULL);
        assert_non_null(json);
        assert_false(sts_diags_from_json(&diags, json));
        json_decref(json);
    }
    assert_false(sts_diags_from_json(&diags, NULL));
    assert_null(diags.first);
    json_t *hostile = json_loads(
        "[{\"severity\":\"note\",\"code\":\"c\",\"message\":\"\\u001b[2J\\n\"}]", 0, NULL);
    assert_true(sts_diags_from_json(&diags, hostile));
    assert_true(sts_str_is(diags.first->message, "\\x1B[2J\\x0A"));
    json_decref(hostile);
    sts_arena_free(a);
}

static void an_arena_is_used_again(void **state)
{
    struct sts_arena *a = sts_arena_new();

    (void)state;
    sts_arena_reset(a);
    for (int round = 0; round < 100; round++) {
        for (size_t size = 1; size < 5000; size *= 2) {
            char *p = sts_arena_alloc(a, size);
            for (size_t i = 0; i < size; i++)
                assert_int_equal(p[i], 0);
            memset(p, 'x', size);
        }
        assert_true(sts_arena_size(a) < 32768);
        sts_arena_reset(a);
    }
    assert_true(sts_str_is(sts_arena_join(a, STS_STR("a."), STS_STR("b")), "a.b"));
    sts_arena_free(a);
}

/* One piece of memory, whatever becomes of what it was made of. */
static void diagnostics_are_packed(void **state)
{
    struct sts_arena *a = sts_arena_new();
    struct sts_diags d;
    char file[] = "f.yaml", other[] = "main.yaml";

    (void)state;
    sts_diags_init(&d, a);
    assert_null(sts_diags_pack(&d));
    for (int i = 0; i < 3; i++) {
        struct sts_pos where = {sts_str_from(i == 1 ? other : file), (uint32_t)i, 1};
        struct sts_diag *diag =
            sts_diag_add(&d, i == 2 ? STS_NOTE : STS_ERROR, "code", where, "message %d", i);
        diag->tenant = sts_arena_printf(a, "t%d.example", i);
        if (i == 1)
            diag->related = (struct sts_pos){sts_str_from(file), 9, 9};
        else
            sts_diag_help(&d, diag, "help %d", i);
    }
    struct sts_diags *packed = sts_diags_pack(&d);
    struct sts_buf before = {0}, after = {0};
    sts_diags_render_json(&before, &d);
    sts_arena_free(a);
    file[0] = other[0] = 'x';
    sts_diags_render_json(&after, packed);
    assert_string_equal(after.ptr, before.ptr);
    assert_int_equal(packed->errors, 2);
    assert_int_equal(packed->notes, 1);
    sts_buf_fini(&before);
    sts_buf_fini(&after);
    free(packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_arena_is_used_again),
        cmocka_unit_test(texts_in_an_arena_are_dense),
        cmocka_unit_test(str_compares_by_length),
        cmocka_unit_test(uint_refuses_all_but_digits),
        cmocka_unit_test(suggest_finds_typos_only),
        cmocka_unit_test(escaping_keeps_one_line),
        cmocka_unit_test(arena_is_zeroed_and_aligned),
        cmocka_unit_test(diagnostics_are_packed),
        cmocka_unit_test(diagnostics_render_as_text),
        cmocka_unit_test(diagnostics_render_as_json),
        cmocka_unit_test(diagnostics_come_back_from_json),
        cmocka_unit_test(what_is_no_diagnostics_is_refused_whole),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
