/* YAML bytes to a tree with places, and everything that is refused. */
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

#include "server/config/yaml_tree.h"

struct fixture {
    struct sts_arena *arena;
    struct sts_diags diags;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->arena = sts_arena_new();
    sts_diags_init(&f->diags, f->arena);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    sts_arena_free(f->arena);
    free(f);
    return 0;
}

static struct yaml_node *parse(struct fixture *f, struct sts_str text)
{
    return yaml_tree_parse(f->arena, text, STS_STR("f.yaml"), &f->diags);
}

static void assert_at(struct sts_pos where, uint32_t line, uint32_t column)
{
    assert_true(sts_str_is(where.source, "f.yaml"));
    assert_int_equal(where.line, line);
    assert_int_equal(where.column, column);
}

/* Exactly one error with this code, at this place. */
static void assert_refused(struct fixture *f, struct sts_str text, const char *code, uint32_t line,
                           uint32_t column)
{
    sts_diags_init(&f->diags, f->arena);
    assert_null(parse(f, text));
    assert_int_equal(f->diags.errors, 1);
    assert_string_equal(f->diags.first->code, code);
    assert_at(f->diags.first->where, line, column);
    assert_true(f->diags.first->help.len > 0);
}

static void every_node_has_its_place(void **state)
{
    struct fixture *f = *state;
    const struct yaml_node *root = parse(f, STS_STR("a: 1\n"
                                                    "b:\n"
                                                    "  - \"two\"\n"
                                                    "  - {c: 'three'}\n"
                                                    "\xc3\xbc: x\n"));
    assert_non_null(root);
    assert_int_equal(root->kind, YAML_MAP);
    assert_int_equal(root->count, 3);
    assert_at(root->pairs[0].where, 1, 1);
    assert_at(root->items[0].where, 1, 4);
    assert_false(root->items[0].quoted);
    const struct yaml_node *list = yaml_tree_get(root, "b");
    assert_int_equal(list->kind, YAML_LIST);
    assert_int_equal(list->count, 2);
    assert_true(list->items[0].quoted);
    assert_true(sts_str_is(list->items[0].text, "two"));
    assert_at(list->items[0].where, 3, 5);
    assert_at(list->items[1].pairs[0].where, 4, 6);
    assert_true(sts_str_is(list->items[1].items[0].text, "three"));
    assert_at(root->items[2].where, 5, 4); /* columns count characters */
    assert_null(yaml_tree_get(root, "c"));
    assert_null(yaml_tree_get(&root->items[0], "a"));
    assert_int_equal(f->diags.errors, 0);
}

static void scalars_stay_text(void **state)
{
    static const char *const same[] = {"off", "null", "~", "0x10", "1e3", "2001-01-01", "<<"};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(same) / sizeof(*same); i++) {
        struct sts_str text = sts_arena_printf(f->arena, "a: %s\n", same[i]);
        const struct yaml_node *root = parse(f, text);
        assert_non_null(root);
        assert_true(sts_str_is(root->items[0].text, same[i]));
    }
}

static void empty_is_no_error(void **state)
{
    struct fixture *f = *state;
    assert_null(parse(f, STS_STR("")));
    assert_null(parse(f, (struct sts_str){NULL, 0}));
    assert_null(parse(f, STS_STR("# only a comment\n")));
    assert_null(parse(f, STS_STR("---\n")));
    assert_null(parse(f, STS_STR("---\n...\n")));
    assert_int_equal(f->diags.errors, 0);
    assert_non_null(parse(f, STS_STR("''\n")));
}

static void line_ends_and_byte_order_mark(void **state)
{
    struct fixture *f = *state;
    const struct yaml_node *root = parse(f, STS_STR("a: 1\r\nb: 2\r\n"));
    assert_non_null(root);
    assert_true(sts_str_is(root->items[0].text, "1"));
    assert_at(root->pairs[1].where, 2, 1);
    root = parse(f, STS_STR("\xef\xbb\xbf"
                            "a: 1\n"));
    assert_non_null(root);
    assert_true(sts_str_is(root->pairs[0].key, "a"));
    assert_at(root->pairs[0].where, 1, 1);
}

static void syntax_errors_have_place_and_help(void **state)
{
    struct fixture *f = *state;
    assert_refused(f, STS_STR("a:\n\tb: 1\n"), "yaml-syntax", 2, 1);
    assert_non_null(strstr(f->diags.first->help.ptr, "tabs"));
    assert_refused(f, STS_STR("a: b: c\n"), "yaml-syntax", 1, 5);
    assert_refused(f, STS_STR("a: [1, 2\nb: 3\n"), "yaml-syntax", 2, 2);
    assert_refused(f, STS_STR("mx: [*.example.org]\n"), "yaml-syntax", 1, 7);
    assert_non_null(strstr(f->diags.first->help.ptr, "quotes"));
    assert_refused(f, STS_STR("a: 'open\n"), "yaml-syntax", 2, 1);
    assert_refused(f, STS_STR("a:\n  b: 1\n c: 2\n"), "yaml-syntax", 3, 2);
    assert_refused(f, STS_STR("a: @x\n"), "yaml-syntax", 1, 4);
    assert_refused(f, STS_STR("a: \"\\q\"\n"), "yaml-syntax", 1, 5);
}

static void only_utf8_text(void **state)
{
    struct fixture *f = *state;
    assert_refused(f, STS_STR("a: 1\nb: \xff\n"), "yaml-encoding", 2, 4);
    assert_refused(f, STS_STR("\xc3\xbc: \xc3("), "yaml-encoding", 1, 5);
    assert_refused(f, STS_STR("a: \xed\xa0\x80\n"), "yaml-encoding", 1, 4); /* a surrogate */
    assert_refused(f, STS_STR("\xff\xfe\x61\x00"), "yaml-encoding", 1, 1);  /* UTF-16 */
    assert_refused(f, STS_STR("a: \0\n"), "yaml-control", 1, 4);
    assert_refused(f, STS_STR("a: \x1b[1m\n"), "yaml-control", 1, 4);
}

static void values_are_one_line(void **state)
{
    struct fixture *f = *state;
    assert_refused(f, STS_STR("a: \"x\\0y\"\n"), "yaml-control", 1, 4);
    assert_refused(f, STS_STR("a: \"x\\ny\"\n"), "yaml-control", 1, 4);
    assert_refused(f, STS_STR("a: |\n  x\n"), "yaml-control", 1, 4);
    assert_refused(f, STS_STR("\"a\\r\": 1\n"), "yaml-control", 1, 1);
    const struct yaml_node *root = parse(f, STS_STR("a: one\n  two\n"));
    assert_non_null(root);
    assert_true(sts_str_is(root->items[0].text, "one two"));
}

static void what_we_do_not_support(void **state)
{
    struct fixture *f = *state;
    assert_refused(f, STS_STR("a: &x 1\n"), "yaml-anchor", 1, 4);
    assert_refused(f, STS_STR("a: &x [1]\n"), "yaml-anchor", 1, 4);
    assert_refused(f, STS_STR("a: &x {b: 1}\n"), "yaml-anchor", 1, 4);
    assert_refused(f, STS_STR("a: *x\n"), "yaml-anchor", 1, 4);
    assert_refused(f, STS_STR("a:\n  <<: 1\n"), "yaml-anchor", 2, 3);
    assert_refused(f, STS_STR("a: !!str 1\n"), "yaml-tag", 1, 4);
    assert_refused(f, STS_STR("a: !x 'y'\n"), "yaml-tag", 1, 4);
    assert_refused(f, STS_STR("a: ! y\n"), "yaml-tag", 1, 4);
    assert_refused(f, STS_STR("a: !!seq [1]\n"), "yaml-tag", 1, 4);
    assert_refused(f, STS_STR("a: !!map {}\n"), "yaml-tag", 1, 4);
    assert_refused(f, STS_STR("a: 1\n---\nb: 1\n"), "yaml-documents", 2, 1);
    assert_refused(f, STS_STR("[a]: 1\n"), "yaml-key", 1, 1);
    assert_refused(f, STS_STR("{{a: 1}: 1}\n"), "yaml-key", 1, 2);
    assert_refused(f, STS_STR("*x : 1\n"), "yaml-key", 1, 1);
}

static struct sts_str repeat(struct sts_buf *b, const char *unit, size_t times, const char *end)
{
    for (size_t i = 0; i < times; i++)
        sts_buf_add_cstr(b, unit);
    sts_buf_add_cstr(b, end);
    return sts_buf_str(b);
}

static void depth_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct sts_buf good = {0}, bad = {0}, hostile = {0};

    assert_non_null(parse(f, repeat(&good, "[", 16, "]]]]]]]]]]]]]]]]")));
    assert_refused(f, repeat(&bad, "[", 17, "]]]]]]]]]]]]]]]]]"), "yaml-too-deep", 1, 17);
    assert_null(parse(f, repeat(&hostile, "[", 1000000, "")));
    assert_true(f->diags.errors > 0);
    sts_buf_fini(&good);
    sts_buf_fini(&bad);
    sts_buf_fini(&hostile);
}

static void node_count_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct sts_buf b = {0};

    sts_buf_add_cstr(&b, "[");
    assert_null(parse(f, repeat(&b, "a,", 2000000, "]")));
    assert_int_equal(f->diags.errors, 1);
    assert_string_equal(f->diags.first->code, "yaml-too-many");
    sts_buf_fini(&b);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_node_has_its_place), TEST(scalars_stay_text),
        TEST(empty_is_no_error),        TEST(line_ends_and_byte_order_mark),
        TEST(only_utf8_text),           TEST(syntax_errors_have_place_and_help),
        TEST(values_are_one_line),      TEST(what_we_do_not_support),
        TEST(depth_is_bounded),         TEST(node_count_is_bounded),
    };
    return cmocka_run_group_tests_name("yaml", tests, NULL, NULL);
}
