/* Unit tests of server/snapshot: one builder, from files to an immutable bundle. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/snapshot/snapshot.h"
#include "server/sys/file.h"

#define PLAIN "listen: [{address: \"127.0.0.1:0\", tls: off}]\n"

struct fixture {
    char dir[64];
    struct sts_arena *arena;
    struct sts_diags diags;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    strcpy(f->dir, "/tmp/snapshot-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->arena = sts_arena_new();
    sts_diags_init(&f->diags, f->arena);
    *state = f;
    return 0;
}

static const char *path(struct fixture *f, const char *name)
{
    return sts_arena_printf(f->arena, "%s/%s", f->dir, name).ptr;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    const char *names[] = {"main.yaml", "a.yaml", "b.yaml", NULL};
    for (size_t i = 0; names[i]; i++)
        unlink(path(f, names[i]));
    assert_int_equal(rmdir(f->dir), 0);
    sts_arena_free(f->arena);
    free(f);
    return 0;
}

static void write_file(struct fixture *f, const char *name, const char *text)
{
    assert_int_equal(file_write_atomic(path(f, name), sts_str_from(text), 0644), 0);
}

static struct snapshot *build(struct fixture *f, const struct snapshot *previous)
{
    const struct snapshot_input input = {.main_file = path(f, "main.yaml"),
                                         .now = 1000,
                                         .previous = previous,
                                         .with_certificates = true};
    sts_diags_init(&f->diags, f->arena);
    return snapshot_build(&input, &f->diags);
}

static const struct sts_diag *find(const struct fixture *f, const char *code)
{
    for (const struct sts_diag *d = f->diags.first; d; d = d->next)
        if (strcmp(d->code, code) == 0)
            return d;
    return NULL;
}

static void builds_a_served_tenant(void **state)
{
    struct fixture *f = *state;
    write_file(f, "main.yaml", PLAIN "tenants: {example.org: {mode: testing, mx: [b.x, a.x]}}\n");
    struct snapshot *s = build(f, NULL);
    assert_non_null(s);
    const struct tenant *t = snapshot_find_host(s, STS_STR("mta-sts.example.org"));
    assert_non_null(t);
    assert_ptr_equal(t, snapshot_find_domain(s, STS_STR("example.org")));
    assert_int_equal(t->state, TENANT_SERVED);
    assert_true(sts_str_is(tenant_body(t),
                           "version: STSv1\r\nmode: testing\r\nmx: a.x\r\nmx: b.x\r\n"
                           "max_age: 2419200\r\n"));
    assert_null(snapshot_find_host(s, STS_STR("example.org")));
    assert_null(snapshot_find_domain(s, STS_STR("mta-sts.example.org")));
    assert_int_equal(s->generation, 1);
    snapshot_unref(s);
}

static void included_files_share_policies(void **state)
{
    struct fixture *f = *state;
    write_file(f, "main.yaml", PLAIN "include: [\"[ab].yaml\", a.yaml]\n");
    write_file(f, "a.yaml", "policies: {p: {mode: enforce, mx: [m.example.org]}}\n");
    write_file(f, "b.yaml", "tenants: {example.org: {policy: p}}\n");
    struct snapshot *s = build(f, NULL);
    assert_non_null(s);
    assert_int_equal(s->source_count, 3); /* a.yaml is named twice, read once */
    assert_int_equal(s->served, 1);
    snapshot_unref(s);
}

static void duplicates_across_files_are_errors(void **state)
{
    struct fixture *f = *state;
    write_file(f, "main.yaml", PLAIN "include: [a.yaml, b.yaml]\n");
    write_file(f, "a.yaml",
               "policies: {p: {mode: testing, mx: [m.example.org]}}\n"
               "tenants: {example.org: {policy: p}}\n");
    write_file(f, "b.yaml",
               "policies: {p: {mode: enforce, mx: [n.example.org]}}\n"
               "tenants: {EXAMPLE.org: {mode: none, mx: [n.example.org]}}\n");
    struct snapshot *s = build(f, NULL);
    assert_non_null(s);
    const struct sts_diag *tenant = find(f, "tenant-duplicate"),
                          *policy = find(f, "policy-duplicate");
    assert_non_null(tenant);
    assert_non_null(policy);
    assert_true(sts_str_ends(tenant->where.source, STS_STR("b.yaml")));
    assert_true(sts_str_ends(tenant->related.source, STS_STR("a.yaml")));
    assert_int_equal(s->tenant_count, 1);
    assert_int_equal(snapshot_find_domain(s, STS_STR("example.org"))->body->policy.mode,
                     STS_MODE_TESTING);
    snapshot_unref(s);
}

static void a_broken_tenant_is_known_and_refused(void **state)
{
    struct fixture *f = *state;
    write_file(f, "main.yaml",
               PLAIN "tenants:\n  a.example: {mode: x, mx: [m.example.org]}\n"
                     "  b.example: {mode: none, mx: [m.example.org]}\n");
    struct snapshot *s = build(f, NULL);
    assert_non_null(s);
    assert_int_equal(s->served, 1);
    assert_int_equal(s->refused, 1);
    const struct tenant *t = snapshot_find_host(s, STS_STR("mta-sts.a.example"));
    assert_int_equal(t->state, TENANT_REFUSED);
    assert_int_equal(tenant_body(t).len, 0);
    snapshot_unref(s);
}

static void strict_refuses_everything(void **state)
{
    struct fixture *f = *state;
    write_file(f, "main.yaml", PLAIN "strict: on\ntenants: {a.example: {mode: x, mx: [m.x]}}\n");
    assert_null(build(f, NULL));
    assert_non_null(find(f, "policy-mode"));
    write_file(f, "main.yaml", PLAIN "strict: on\ntenants: {a.example: {mode: none}}\n");
    struct snapshot *s = build(f, NULL); /* warnings are not errors */
    assert_non_null(s);
    snapshot_unref(s);
}

static void an_unusable_main_file_gives_nothing(void **state)
{
    struct fixture *f = *state;
    assert_null(build(f, NULL));
    assert_non_null(find(f, "file-unreadable"));
    write_file(f, "main.yaml", "");
    assert_null(build(f, NULL));
    write_file(f, "main.yaml", "limits: {workers: many}\n");
    assert_null(build(f, NULL));
    /* Its places outlive the refused snapshot (checked by the address sanitizer). */
    assert_true(sts_str_ends(f->diags.first->where.source, STS_STR("main.yaml")));
}

static void a_broken_include_serves_the_rest(void **state)
{
    struct fixture *f = *state;
    write_file(f, "main.yaml",
               PLAIN "include: [a.yaml, b.yaml, c.yaml, nothing-*.yaml]\n"
                     "tenants: {m.example: {mode: none, mx: [m.example]}}\n");
    write_file(f, "a.yaml", "strict: on\ntenants: {a.example: {mode: none, mx: [m.example]}}\n");
    assert_int_equal(mkfifo(path(f, "b.yaml"), 0600), 0);
    struct snapshot *s = build(f, NULL);
    assert_non_null(s);
    assert_int_equal(s->served, 1);
    assert_non_null(find(f, "key-main-only"));
    assert_non_null(find(f, "file-unreadable"));
    assert_non_null(find(f, "include-missing"));
    assert_int_equal(find(f, "include-empty")->severity, STS_WARNING);
    /* Nothing of a file with an error outside its tenants is used; its host stays known. */
    assert_int_equal(snapshot_find_domain(s, STS_STR("a.example"))->state, TENANT_REFUSED);
    snapshot_unref(s);
}

/* A first build reads them by threads: nothing but the time may be different. */
static void many_files_are_taken_in_order(void **state)
{
    enum { FILES = 64, BROKEN = 7, EMPTY = 20, UNREADABLE = 33, DAMAGED = 50 };
    struct fixture *f = *state;
    char text[120], *said = NULL;

    write_file(f, "main.yaml", PLAIN "include: [\"00.yaml\", \"[0-9]*.yaml\", \"*5.yaml\"]\n");
    for (int i = 0; i < FILES; i++) {
        snprintf(text, sizeof(text), "tenants: {t%d.example: {mode: %s, mx: [m.example]}}\n", i,
                 i == DAMAGED ? "often" : "none");
        const char *name = sts_arena_printf(f->arena, "%02d.yaml", i).ptr;
        if (i == UNREADABLE)
            assert_int_equal(mkfifo(path(f, name), 0600), 0);
        else
            write_file(f, name, i == BROKEN ? "strict: on\n" : i == EMPTY ? "# none\n" : text);
    }
    for (int pass = 0; pass < 4; pass++) {
        struct snapshot *s = build(f, NULL);
        struct sts_buf out = {0};
        for (const struct sts_diag *d = f->diags.first; d; d = d->next)
            sts_buf_printf(&out, "%.*s %s\n", STS_ARG(d->where.source), d->code);
        assert_true(!said || strcmp(said, out.ptr) == 0);
        free(said);
        said = out.ptr;
        assert_int_equal(s->work.read, 1 + FILES);
        assert_int_equal(s->work.parsed, FILES);
        assert_int_equal(s->served, FILES - 4);
        assert_int_equal(s->source_count, FILES); /* but the one that cannot be read */
        for (size_t i = 1; i < s->source_count; i++) {
            snprintf(text, sizeof(text), "/%02zu.yaml", i <= UNREADABLE ? i - 1 : i);
            assert_true(sts_str_ends(s->sources[i].source->name, sts_str_from(text)));
        }
        snapshot_unref(s);
    }
    assert_non_null(strstr(said, "07.yaml key-main-only"));
    assert_non_null(strstr(said, "20.yaml "));
    assert_non_null(find(f, "file-unreadable"));
    assert_non_null(strstr(said, "50.yaml "));
    free(said);
    for (int i = 0; i < FILES; i++)
        unlink(path(f, sts_arena_printf(f->arena, "%02d.yaml", i).ptr));
}

static const struct sts_source *source_of(const struct snapshot *s, const char *name)
{
    for (size_t i = 0; i < s->source_count; i++)
        if (sts_str_ends(s->sources[i].source->name, sts_str_from(name)))
            return s->sources[i].source;
    return NULL;
}

static void unchanged_files_are_shared(void **state)
{
    struct fixture *f = *state;
    write_file(f, "main.yaml", PLAIN "include: [a.yaml, b.yaml]\n");
    write_file(f, "a.yaml", "tenants: {a.example: {mode: none, mx: [m.example]}}\n");
    write_file(f, "b.yaml", "tenants: {b.example: {mode: none, mx: [m.example]}}\n");
    struct snapshot *first = build(f, NULL);
    /* Same bytes, new inode and time: still the same source. */
    write_file(f, "a.yaml", "tenants: {a.example: {mode: none, mx: [m.example]}}\n");
    write_file(f, "b.yaml", "tenants: {b.example: {mode: testing, mx: [m.example]}}\n");
    struct snapshot *second = build(f, first);
    assert_int_equal(second->generation, 2);
    assert_ptr_equal(source_of(first, "a.yaml"), source_of(second, "a.yaml"));
    assert_ptr_not_equal(source_of(first, "b.yaml"), source_of(second, "b.yaml"));
    snapshot_unref(first); /* what is shared lives on in the second */
    assert_int_equal(snapshot_find_domain(second, STS_STR("a.example"))->state, TENANT_SERVED);
    assert_int_equal(snapshot_find_domain(second, STS_STR("b.example"))->body->policy.mode,
                     STS_MODE_TESTING);
    snapshot_unref(second);
}

static void a_tenant_that_breaks_keeps_its_last_good_policy(void **state)
{
    struct fixture *f = *state;
    write_file(f, "main.yaml", PLAIN "tenants: {a.example: {mode: enforce, mx: [m.example]}}\n");
    struct snapshot *first = build(f, NULL);
    write_file(f, "main.yaml",
               PLAIN "tenants: {a.example: {mode: x, mx: [n.example]},\n"
                     "  b.example: {mode: x}}\n");
    struct snapshot *second = build(f, first);
    assert_non_null(find(f, "tenant-kept"));
    struct sts_str body = sts_arena_dup(f->arena, tenant_body(&first->tenants[0]));
    snapshot_unref(first); /* what is kept is a copy */
    struct snapshot *third = build(f, second);
    snapshot_unref(second);
    const struct tenant *t = snapshot_find_domain(third, STS_STR("a.example"));
    assert_int_equal(t->state, TENANT_SERVED);
    assert_true(t->kept);
    assert_true(sts_str_eq(tenant_body(t), body));
    assert_true(sts_str_is(tenant_policy(t)->mx[0], "m.example"));
    assert_int_equal(third->kept, 1);
    assert_int_equal(third->refused, 1); /* b.example was never good */
    write_file(f, "main.yaml", PLAIN "tenants: {a.example: {mode: none, mx: [n.example]}}\n");
    struct snapshot *mended = build(f, third);
    assert_false(mended->tenants[0].kept);
    assert_int_equal(mended->tenants[0].body->policy.mode, STS_MODE_NONE);
    snapshot_unref(third);
    snapshot_unref(mended);
}

static void many_tenants_are_found(void **state)
{
    struct fixture *f = *state;
    struct sts_buf text = {0};
    enum { COUNT = 5000 };

    sts_buf_add_cstr(&text, PLAIN "policies: {p: {mode: none, mx: [m.example]}}\ntenants:\n");
    for (int i = 0; i < COUNT; i++)
        sts_buf_printf(&text, "  t%d.example: {policy: p}\n", i);
    write_file(f, "main.yaml", text.ptr);
    sts_buf_fini(&text);
    struct snapshot *s = build(f, NULL);
    assert_int_equal(s->served, COUNT);
    for (int i = 0; i < COUNT; i++) {
        struct sts_str host = sts_arena_printf(f->arena, "mta-sts.t%d.example", i);
        const struct tenant *t = snapshot_find_host(s, host);
        assert_non_null(t);
        assert_true(sts_str_eq(tenant_host(t), host));
    }
    assert_null(snapshot_find_host(s, STS_STR("mta-sts.t5000.example")));
    snapshot_unref(s);
}

static void tls_without_certificate_is_not_served(void **state)
{
    struct fixture *f = *state;
    write_file(f, "main.yaml", "tenants: {a.example: {mode: none, mx: [m.example]}}\n");
    struct snapshot *s = build(f, NULL);
    assert_non_null(s);
    assert_int_equal(s->without_certificate, 1);
    assert_true(sts_str_is(find(f, "tenant-no-certificate")->tenant, "a.example"));
    snapshot_unref(s);
}

/* Nobody holds a policy that nobody could fetch. */
static void what_was_never_served_may_go(void **state)
{
    struct fixture *f = *state;
    write_file(f, "main.yaml",
               "tenants: {a.example: {mode: enforce, mx: [m.example], max_age: 4w},"
               " b.example: {mode: enforce, mx: [m.example], max_age: 4w}}\n");
    struct snapshot *s = build(f, NULL);
    assert_int_equal(s->without_certificate, 2);
    write_file(f, "main.yaml",
               "tenants: {b.example: {mode: enforce, mx: [m.example], max_age: 4w}}\n");
    struct snapshot *next = build(f, s);
    assert_int_equal(next->changes.removed, 1);
    assert_null(find(f, "tenant-removed"));
    snapshot_unref(next);
    snapshot_unref(s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(builds_a_served_tenant),
        TEST(included_files_share_policies),
        TEST(duplicates_across_files_are_errors),
        TEST(a_broken_tenant_is_known_and_refused),
        TEST(strict_refuses_everything),
        TEST(an_unusable_main_file_gives_nothing),
        TEST(a_broken_include_serves_the_rest),
        TEST(many_files_are_taken_in_order),
        TEST(unchanged_files_are_shared),
        TEST(a_tenant_that_breaks_keeps_its_last_good_policy),
        TEST(many_tenants_are_found),
        TEST(tls_without_certificate_is_not_served),
        TEST(what_was_never_served_may_go),
    };
    return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
