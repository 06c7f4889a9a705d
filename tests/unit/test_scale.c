/* Unit tests of server/snapshot: what a change costs, counted, not timed; and that what is taken
 * over from the snapshot before is what resolving it anew would give. */
#include "tests/unit/folder.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/snapshot/snapshot.h"

#define MAIN                                                                                       \
    "listen: [{address: \"127.0.0.1:0\", tls: off}]\nledger: ledger.db\n"                          \
    "include: t.d/*.yaml\n"

enum { NOW = 1700000000, FILES = 10 };

struct fixture {
    char dir[64];
    struct sts_arena *arena;
    struct sts_diags diags;
    struct snapshot *snapshot; /* the last one built */
    struct snapshot *anew;     /* the same from nothing */
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    signal(SIGIO, SIG_IGN); /* of file_read_settled */
    strcpy(f->dir, "/tmp/scale-XXXXXX");
    f->arena = sts_arena_new();
    *state = f;
    return mkdtemp(f->dir) && chdir(f->dir) == 0 && mkdir("t.d", 0755) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    snapshot_unref(f->snapshot);
    snapshot_unref(f->anew);
    sts_arena_free(f->arena);
    int result = folder_remove(f->dir);
    free(f);
    return result;
}

/* A file of `count` tenants: "tFILE-I.example". */
static void put_tenants(int file, int count, const char *policy)
{
    char name[32];

    snprintf(name, sizeof(name), "t.d/%d.yaml", file);
    FILE *out = fopen(name, "w");
    assert_non_null(out);
    fputs("tenants:\n", out);
    for (int i = 0; i < count; i++)
        fprintf(out, "  t%d-%d.example: {%s}\n", file, i, policy);
    assert_int_equal(fclose(out), 0);
}

/* Its bytes are others, and nothing that anybody can set tells of it. */
static void put_unseen(const char *name, const char *text)
{
    struct stat st;

    assert_int_equal(stat(name, &st), 0);
    assert_int_equal(st.st_size, strlen(text));
    folder_put(name, text);
    const struct timespec times[] = {st.st_atim, st.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, name, times, 0), 0);
}

static struct snapshot *build(struct fixture *f, const struct snapshot *previous)
{
    const struct snapshot_input input = {
        .main_file = "main.yaml", .now = NOW, .previous = previous};

    sts_diags_init(&f->diags, f->arena);
    struct snapshot *s = snapshot_build(&input, &f->diags);
    assert_non_null(s);
    return s;
}

/* What compares with before is left out. */
static void render(struct sts_buf *out, const struct sts_diags *diags)
{
    for (const struct sts_diag *d = diags->first; d; d = d->next)
        if (strcmp(d->code, "tenant-removed") != 0 && strcmp(d->code, "mx-removed") != 0 &&
            strcmp(d->code, "max-age-shortened") != 0 && strcmp(d->code, "policies-held") != 0)
            sts_diag_render_text(out, d, false);
    sts_buf_add(out, STS_STR("."));
}

static void assert_same_diags(const struct sts_diags *a, const struct sts_diags *b)
{
    struct sts_buf x = {0}, y = {0};

    render(&x, a);
    render(&y, b);
    assert_string_equal(x.ptr, y.ptr);
    sts_buf_fini(&x);
    sts_buf_fini(&y);
}

static void assert_same_tenant(const struct snapshot *s, const struct snapshot *o, size_t i)
{
    const struct tenant *a = &s->tenants[i], *b = &o->tenants[i];
    struct sts_pos where = tenant_where(s, a), other = tenant_where(o, b);
    size_t reports, other_reports;

    assert_true(sts_str_eq(a->domain, b->domain));
    assert_true(sts_str_eq(tenant_host(a), tenant_host(b)));
    assert_true(sts_str_eq(tenant_body(a), tenant_body(b)));
    assert_true(sts_str_eq(where.source, other.source));
    assert_int_equal(where.line, other.line);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->kept, b->kept);
    assert_int_equal(a->retiring, b->retiring);
    assert_int_equal(tenant_policy(a)->mode, tenant_policy(b)->mode);
    assert_int_equal(tenant_policy(a)->max_age, tenant_policy(b)->max_age);
    assert_int_equal(tenant_policy(a)->mx_count, tenant_policy(b)->mx_count);
    tenant_reports(s, a, &reports);
    tenant_reports(o, b, &other_reports);
    assert_int_equal(reports, other_reports);
    assert_int_equal(a->file, b->file);
    assert_int_equal(a->nth, b->nth);
}

/* The next snapshot; it is what one is that knows of none before. */
static const struct snapshot *next(struct fixture *f)
{
    struct snapshot *s = build(f, f->snapshot);
    struct sts_diags said = f->diags;

    snapshot_unref(f->snapshot);
    f->snapshot = s;
    snapshot_unref(f->anew);
    f->anew = build(f, NULL);
    assert_same_diags(&said, &f->diags);
    assert_int_equal(s->tenant_count, f->anew->tenant_count);
    assert_int_equal(s->served, f->anew->served);
    assert_int_equal(s->duplicates, f->anew->duplicates);
    assert_int_equal(body_pool_count(s->bodies), body_pool_count(f->anew->bodies));
    for (size_t i = 0; i < s->tenant_count; i++) {
        assert_same_tenant(s, f->anew, i);
        assert_ptr_equal(snapshot_find_host(s, tenant_host(&s->tenants[i])), &s->tenants[i]);
        assert_ptr_equal(snapshot_find_domain(s, s->tenants[i].domain), &s->tenants[i]);
    }
    f->diags = said;
    return s;
}

static const struct tenant *tenant(const struct fixture *f, const char *domain)
{
    return snapshot_find_domain(f->snapshot, sts_str_from(domain));
}

static size_t reports(const struct fixture *f, const char *domain)
{
    size_t count;

    tenant_reports(f->snapshot, tenant(f, domain), &count);
    return count;
}

static size_t said(const struct fixture *f, const char *code)
{
    size_t count = 0;

    for (const struct sts_diag *d = f->diags.first; d; d = d->next)
        count += strcmp(d->code, code) == 0;
    return count;
}

/* What one changed tenant costs among `files` files of FILES tenants. */
static struct snapshot_work change_one(struct fixture *f, int files)
{
    folder_put("main.yaml", MAIN "policies: {p: {mode: testing, mx: [mx.example.org]}}\n");
    for (int i = 0; i < files; i++)
        put_tenants(i, FILES, "policy: p");
    struct snapshot *before = build(f, NULL);
    assert_int_equal(before->served, files * FILES);
    assert_int_equal(before->work.parsed, files + 1);
    assert_int_equal(before->work.resolved, files * FILES);
    assert_int_equal(body_pool_count(before->bodies), 1);
    put_tenants(files / 2, FILES, "policy: p, max_age: 1w");
    struct snapshot *after = build(f, before);
    struct snapshot_work work = after->work;
    assert_int_equal(after->changes.changed, FILES);
    assert_int_equal(after->served, files * FILES);
    assert_int_equal(body_pool_count(after->bodies), 2);
    snapshot_unref(before);
    assert_int_equal(body_pool_count(after->bodies), 2);
    snapshot_unref(after);
    return work;
}

static void a_change_costs_the_same_among_more_tenants(void **state)
{
    struct fixture *f = *state;
    struct snapshot_work few = change_one(f, 100), many = change_one(f, 1000);

    assert_int_equal(few.parsed, 1);
    assert_int_equal(few.resolved, FILES);
    assert_int_equal(many.parsed, few.parsed);
    assert_int_equal(many.resolved, few.resolved);
}

/* Bytes of a snapshot, and of the one that takes over from it. */
static void sizes(struct fixture *f, int count, size_t bytes[2])
{
    folder_put("main.yaml",
               MAIN "policies: {p: {mode: testing, mx: [mx.example.org], max_age: 60}}\n");
    put_tenants(0, count, "policy: p");
    put_tenants(1, 1, "policy: p");
    struct snapshot *before = build(f, NULL);
    put_tenants(1, 1, "mode: none");
    struct snapshot *after = build(f, before);
    assert_int_equal(after->work.resolved, 1);
    bytes[0] = sts_arena_size(before->arena);
    bytes[1] = sts_arena_size(after->arena);
    snapshot_unref(before);
    snapshot_unref(after);
}

static void a_tenant_in_a_snapshot_is_small(void **state)
{
    size_t few[2], many[2];

    sizes(*state, 1000, few);
    sizes(*state, 10000, many);
    for (int i = 0; i < 2; i++)
        assert_true((many[i] - few[i]) / 9000 < 80);
}

static void nothing_changed_costs_nothing(void **state)
{
    struct fixture *f = *state;

    folder_put("main.yaml", MAIN);
    for (int i = 0; i < 3; i++)
        put_tenants(i, FILES, "mode: none");
    next(f);
    const struct snapshot *s = next(f);
    assert_int_equal(s->work.parsed, 0);
    assert_int_equal(s->work.resolved, 0);
}

static void files_that_come_and_go_move_the_others(void **state)
{
    struct fixture *f = *state;

    folder_put("main.yaml", MAIN "tenants: {m.example: {mode: none}}\n");
    put_tenants(5, 3, "mode: none");
    put_tenants(6, 3, "mode: testing, mx: [mx.example.org]");
    next(f);
    put_tenants(1, 4, "mode: testing, mx: [mx.example.org]");
    assert_int_equal(next(f)->work.resolved, 4);
    assert_int_equal(unlink("t.d/5.yaml"), 0);
    assert_int_equal(next(f)->work.resolved, 0);
    put_tenants(5, 2, "mode: none");
    put_tenants(6, 2, "mode: none");
    assert_int_equal(next(f)->work.resolved, 4);
    assert_int_equal(f->snapshot->tenant_count, 9);
}

static void a_named_policy_changes_for_those_who_name_it(void **state)
{
    struct fixture *f = *state;

    folder_put("main.yaml", MAIN);
    folder_put("t.d/p.yaml", "policies: {p: {mode: testing, mx: [mx.example.org]}}\n");
    folder_put("t.d/q.yaml", "policies: {q: {mode: none}}\n");
    put_tenants(1, 2, "policy: p");
    put_tenants(2, 3, "policy: q");
    put_tenants(3, 4, "mode: none");
    next(f);
    folder_put("t.d/p.yaml", "policies: {p: {mode: enforce, mx: [mx.example.org]}}\n");
    assert_int_equal(next(f)->work.resolved, 2);
    assert_int_equal(tenant_policy(tenant(f, "t1-0.example"))->mode, STS_MODE_ENFORCE);
    /* One of the same name that comes later, and takes the place of the first when that goes. */
    folder_put("t.d/r.yaml", "policies: {p: {mode: none}}\n");
    assert_int_equal(next(f)->work.resolved, 0);
    assert_int_equal(said(f, "policy-duplicate"), 1);
    assert_int_equal(unlink("t.d/p.yaml"), 0);
    assert_int_equal(next(f)->work.resolved, 2);
    assert_int_equal(tenant_policy(tenant(f, "t1-0.example"))->mode, STS_MODE_NONE);
}

static void settings_count_for_all(void **state)
{
    struct fixture *f = *state;

    folder_put("main.yaml", MAIN);
    put_tenants(1, 2, "mode: none");
    next(f);
    assert_int_equal(reports(f, "t1-0.example"), 0);
    folder_put("main.yaml", MAIN "contact: {tls_reports: \"mailto:a@example.org\"}\n");
    assert_int_equal(next(f)->work.resolved, 2);
    assert_int_equal(reports(f, "t1-0.example"), 1);
}

/* A warning of a policy of many is said once: by the next when the first one goes. */
static void what_was_said_is_said_again(void **state)
{
    struct fixture *f = *state;

    folder_put("main.yaml",
               MAIN "policies: {p: {mode: testing, mx: [mx.example.org], max_age: 60}}\n");
    put_tenants(1, 2, "policy: p");
    put_tenants(2, 2, "policy: p");
    next(f);
    assert_int_equal(said(f, "max-age-below-day"), 1);
    assert_int_equal(next(f)->work.resolved, 0);
    assert_int_equal(said(f, "max-age-below-day"), 1);
    put_tenants(1, 2, "mode: none");
    assert_int_equal(next(f)->work.resolved, 2);
    assert_int_equal(said(f, "max-age-below-day"), 1);
    put_tenants(2, 2, "mode: none");
    next(f);
    assert_int_equal(said(f, "max-age-below-day"), 0);
}

/* Which alone tells a diagnostic from the others: its file, its column or its line. */
enum notes { NOTES_IN_FILES, NOTES_IN_COLUMNS, NOTES_IN_LINES };

static size_t compared_for(enum notes kind, int count)
{
    struct fixture *f;
    char name[32];
    FILE *out = NULL;

    assert_int_equal(set_up((void **)&f), 0);
    folder_put("main.yaml", MAIN);
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "t.d/%d.yaml", kind == NOTES_IN_FILES ? i : 0);
        if (kind == NOTES_IN_FILES || i == 0) {
            out = fopen(name, "w");
            assert_non_null(out);
            fputs("tenants: {", out);
        }
        fprintf(out, "t%d.example: {mode: testing, mx: [m%d.example.org], max_age: 2w}", i, i);
        bool last = kind == NOTES_IN_FILES || i == count - 1;
        fputs(last ? "}\n" : kind == NOTES_IN_COLUMNS ? ", " : ",\n  ", out);
        if (last)
            assert_int_equal(fclose(out), 0);
    }
    f->snapshot = build(f, NULL);
    assert_int_equal(f->snapshot->served, count);
    assert_in_range(sts_diags_count(&f->diags), count, 3 * count);
    size_t compared = f->snapshot->work.compared;
    assert_int_equal(tear_down((void **)&f), 0);
    return compared;
}

/* Every tenant has a note of its own, which was said of no other one before. */
static void notes_of_many_are_found_by_a_hash(void **state)
{
    enum { FEW = 1000, MANY = 10000 };

    (void)state;
    for (enum notes kind = NOTES_IN_FILES; kind <= NOTES_IN_LINES; kind++) {
        assert_in_range(compared_for(kind, FEW), 0, 10 * FEW);
        assert_in_range(compared_for(kind, MANY), 0, 10 * MANY);
    }
}

/* A policy of more tenants than anybody reads warnings of: the rest is a number. */
static void a_policy_of_all_changes(void **state)
{
    enum { MANY = 1200, SAID = 1000 };
    struct fixture *f = *state;
    const struct sts_diag *last = NULL;

    folder_put("main.yaml",
               MAIN "policies: {p: {mode: testing, mx: [a.example.org, b.example.org]}}\n");
    put_tenants(1, MANY, "policy: p");
    next(f);
    folder_put("main.yaml", MAIN "policies: {p: {mode: testing, mx: [a.example.org]}}\n");
    const struct snapshot *s = next(f);
    assert_int_equal(s->changes.changed, MANY);
    assert_int_equal(said(f, "mx-removed"), SAID);
    assert_int_equal(said(f, "policies-held"), 1);
    for (const struct sts_diag *d = f->diags.first; d; d = d->next)
        last = strcmp(d->code, "policies-held") == 0 ? d : last;
    assert_true(sts_str_ends(last->message, STS_STR("of 200 more tenants")));
    /* Back again nobody is hurt. */
    folder_put("main.yaml",
               MAIN "policies: {p: {mode: testing, mx: [a.example.org, b.example.org]}}\n");
    assert_int_equal(next(f)->changes.changed, MANY);
    assert_int_equal(said(f, "mx-removed") + said(f, "policies-held"), 0);
    /* Removed ones are counted the same way; those of mode none were held by nobody. */
    put_tenants(1, 1, "policy: p");
    assert_int_equal(next(f)->changes.removed, MANY - 1);
    assert_int_equal(said(f, "tenant-removed"), SAID);
    put_tenants(1, MANY, "mode: none");
    next(f);
    put_tenants(1, 1, "mode: none");
    assert_int_equal(next(f)->changes.removed, MANY - 1);
    assert_int_equal(said(f, "tenant-removed") + said(f, "policies-held"), 0);
}

/* A removed one is an alarm: however many others changed in front of it, it is named. */
static void a_removed_tenant_is_named(void **state)
{
    enum { MANY = 1100 };
    struct fixture *f = *state;

    folder_put("main.yaml",
               MAIN "policies: {p: {mode: testing, mx: [a.example.org, b.example.org]}}\n");
    put_tenants(1, MANY, "policy: p");
    put_tenants(2, 1, "policy: p");
    next(f);
    folder_put("main.yaml", MAIN "policies: {p: {mode: testing, mx: [a.example.org]}}\n");
    assert_int_equal(unlink("t.d/2.yaml"), 0);
    assert_int_equal(next(f)->changes.removed, 1);
    assert_int_equal(said(f, "tenant-removed"), 1);
    assert_int_equal(said(f, "policies-held"), 1);
}

static void the_other_of_two_comes_back(void **state)
{
    struct fixture *f = *state;

    folder_put("main.yaml", MAIN);
    folder_put("t.d/1.yaml", "tenants: {a.example: {mode: none}, b.example: {mode: none}}\n");
    folder_put("t.d/2.yaml", "tenants: {b.example: {mode: none}, c.example: {mode: none}}\n");
    next(f);
    assert_int_equal(f->snapshot->duplicates, 1);
    assert_int_equal(next(f)->duplicates, 1);
    folder_put("t.d/1.yaml", "tenants: {a.example: {mode: none}}\n");
    next(f);
    assert_int_equal(f->snapshot->duplicates, 0);
    assert_true(sts_str_is(tenant_where(f->snapshot, tenant(f, "b.example")).source, "t.d/2.yaml"));
    /* And again, with one of the two taken over: the one that it was served from last. */
    folder_put("t.d/1.yaml", "tenants: {a.example: {mode: none}, b.example: {mode: testing}}\n");
    struct snapshot *s = build(f, f->snapshot);
    assert_int_equal(s->duplicates, 1);
    assert_int_equal(said(f, "tenant-duplicate"), 1);
    const struct tenant *b = snapshot_find_domain(s, STS_STR("b.example"));
    assert_true(sts_str_is(tenant_where(s, b).source, "t.d/2.yaml"));
    snapshot_unref(s);
}

/* Any few edits after each other, of any kind. */
static void random_edits(void **state)
{
    static const char *const policies[] = {"mode: none",
                                           "policy: p",
                                           "policy: q",
                                           "policy: p, mode: none",
                                           "mode: testing, mx: [a.example.org, b.example.org]",
                                           "policy: q, retire: on"};
    static const char *const shared[] = {"t.d/p.yaml", "t.d/z.yaml"};
    struct fixture *f = *state;
    char name[32];

    srand(7);
    folder_put("main.yaml", MAIN "policies: {p: {mode: testing, mx: [m.example.org]}}\n");
    folder_put("t.d/z.yaml", "policies: {q: {mode: testing, mx: [q.example.org]}}\n");
    for (int i = 0; i < 300; i++) {
        int file = rand() % 8;
        snprintf(name, sizeof(name), "t.d/%d.yaml", file);
        switch (rand() % 5) {
        case 0:
            unlink(name);
            break;
        case 1:
            folder_put(shared[rand() % 2],
                       rand() % 2
                           ? "policies: {q: {mode: testing, mx: [q.example.org]}}\n"
                           : "policies: {q: {mode: enforce, mx: [q.example.org], max_age: 60}}\n");
            break;
        default:
            put_tenants(file, 1 + rand() % 5, policies[rand() % 6]);
        }
        if (access("t.d/z.yaml", F_OK) == 0)
            next(f);
    }
}

/* As a server looks, `later` seconds from now. */
static const struct snapshot *look(struct fixture *f, enum snapshot_look how, time_t later,
                                   const char *touched)
{
    const struct file_name file = {file_identify("t.d"), sts_str_from(touched)};
    const struct snapshot_input input = {.main_file = "main.yaml",
                                         .now = time(NULL) + later,
                                         .previous = f->snapshot,
                                         .look = how,
                                         .touched = {.files = &file, .count = touched != NULL}};

    sts_diags_init(&f->diags, f->arena);
    struct snapshot *s = snapshot_build(&input, &f->diags);
    assert_non_null(s);
    snapshot_unref(f->snapshot);
    f->snapshot = s;
    return s;
}

static enum sts_mode mode_of(const struct fixture *f, const char *domain)
{
    assert_non_null(tenant(f, domain));
    return tenant_policy(tenant(f, domain))->mode;
}

#define NONE "tenants: {b.example: {mode: none, mx: [m.example.org]}, c.example: {mode: none}}\n"
#define TESTING                                                                                    \
    "tenants: {b.example: {mode: testing, mx: [m.example.org]}}\n#....................\n"

static void stat_is_enough_when_it_is_old(void **state)
{
    struct fixture *f = *state;

    folder_put("main.yaml", MAIN);
    folder_put("t.d/a.yaml", "tenants: {a.example: {mode: none}}\n");
    folder_put("t.d/b.yaml", NONE);
    assert_int_equal(look(f, LOOK_STAT, 100, NULL)->work.read, 3);
    assert_int_equal(look(f, LOOK_STAT, 100, NULL)->work.read, 1);
    assert_int_equal(f->snapshot->source_count, 3);
    put_unseen("t.d/b.yaml", TESTING);
    assert_int_equal(look(f, LOOK_STAT, 100, NULL)->work.read, 2);
    assert_int_equal(f->snapshot->work.parsed, 1);
    assert_int_equal(mode_of(f, "b.example"), STS_MODE_TESTING);
    /* Who asks gets them read. */
    assert_int_equal(look(f, LOOK_READ, 100, NULL)->work.read, 3);
    assert_int_equal(f->snapshot->work.parsed, 0);
}

static void what_is_young_is_read(void **state)
{
    struct fixture *f = *state;

    folder_put("main.yaml", MAIN);
    folder_put("t.d/a.yaml", "tenants: {a.example: {mode: none}}\n");
    look(f, LOOK_STAT, 0, NULL);
    assert_int_equal(look(f, LOOK_STAT, 100, NULL)->work.read, 2);
    assert_int_equal(look(f, LOOK_STAT, 100, NULL)->work.read, 1);
}

static void what_is_broken_is_read_each_time(void **state)
{
    struct fixture *f = *state;

    folder_put("main.yaml", MAIN);
    folder_put("t.d/a.yaml", "tenants: {a.example: {mode: none}}\n");
    look(f, LOOK_STAT, 100, NULL);
    folder_put("t.d/a.yaml", "tenants: [\n");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(look(f, LOOK_STAT, 100, NULL)->work.read, 2);
        assert_int_equal(said(f, "source-kept"), 1);
        assert_int_equal(tenant(f, "a.example")->kept, KEPT_BROKEN);
    }
}

/* What a writer has open says nothing by its stat. */
static void what_is_open_is_not_trusted(void **state)
{
    struct fixture *f = *state;

    folder_put("main.yaml", MAIN);
    folder_put("t.d/a.yaml", "tenants: {a.example: {mode: none}}\n");
    int fd = open("t.d/a.yaml", O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(look(f, LOOK_STAT, 100, NULL)->served, 1);
    assert_int_equal(close(fd), 0);
    assert_int_equal(look(f, LOOK_STAT, 100, NULL)->work.read, 2);
}

static bool knows(const struct fixture *f, const char *directory, const char *name)
{
    const struct file_name touched = {file_identify(directory), sts_str_from(name)};
    return snapshot_knows(f->snapshot, &(struct snapshot_touched){.files = &touched, .count = 1});
}

static void only_touched_files_are_looked_at(void **state)
{
    struct fixture *f = *state;

    folder_put("main.yaml", MAIN);
    folder_put("t.d/a.yaml", "tenants: {a.example: {mode: none}}\n");
    folder_put("t.d/b.yaml", NONE);
    folder_put("t.d/d.yaml", "tenants: {d.example: {mode: none}}\n");
    look(f, LOOK_STAT, 0, NULL);
    assert_true(knows(f, "t.d", "a.yaml"));
    folder_put("t.d/b.yaml", TESTING);
    folder_put("t.d/d.yaml", "tenants: {e.example: {mode: none}}\n");
    assert_int_equal(look(f, LOOK_TOLD, 0, "b.yaml")->work.read, 2);
    assert_int_equal(f->snapshot->work.parsed, 1);
    assert_int_equal(f->snapshot->work.resolved, 1);
    assert_int_equal(mode_of(f, "b.example"), STS_MODE_TESTING);
    assert_null(tenant(f, "c.example"));
    assert_non_null(tenant(f, "d.example")); /* nobody told */
    look(f, LOOK_STAT, 0, NULL);
    assert_null(tenant(f, "d.example"));
    assert_non_null(tenant(f, "e.example"));
    /* Other settings: all tenants, but no other file. */
    folder_put("main.yaml", MAIN "strict: on\n");
    folder_put("t.d/a.yaml", "tenants: {f.example: {mode: none}}\n");
    assert_int_equal(look(f, LOOK_TOLD, 0, "b.yaml")->work.read, 2);
    assert_int_equal(f->snapshot->work.parsed, 1);
    assert_int_equal(f->snapshot->work.resolved, 3);
    assert_non_null(tenant(f, "a.example"));
    /* It may lead elsewhere, or is told of by another line: everything. */
    folder_put("main.yaml", "# longer\n" MAIN "strict: on\n");
    look(f, LOOK_TOLD, 0, "b.yaml");
    assert_non_null(tenant(f, "f.example"));
    folder_put("t.d/a.yaml", "tenants: {g.example: {mode: none}}\n");
    folder_put("main.yaml", "# longer\n" MAIN "strict: on\n");
    look(f, LOOK_TOLD, 0, "b.yaml");
    assert_null(tenant(f, "g.example"));
    folder_put("main.yaml", "# longer\n" MAIN "certificates: [elsewhere]\n");
    look(f, LOOK_TOLD, 0, "b.yaml");
    assert_non_null(tenant(f, "g.example"));
}

static void what_asks_for_more_is_not_known(void **state)
{
    struct fixture *f = *state;

    folder_put("main.yaml", MAIN);
    folder_put("t.d/a.yaml", "tenants: {a.example: {mode: none}}\n");
    folder_put("t.d/b.yaml", NONE);
    look(f, LOOK_STAT, 0, NULL);
    assert_true(knows(f, "t.d", "a.yaml") && knows(f, "t.d", "b.yaml"));
    assert_true(knows(f, ".", "main.yaml"));
    assert_false(knows(f, "t.d", "c.yaml"));
    assert_false(knows(f, ".", "a.yaml")); /* a new one of that name */
    assert_int_equal(rename("t.d/a.yaml", "elsewhere"), 0);
    assert_false(knows(f, "t.d", "a.yaml"));
    assert_int_equal(symlink("../elsewhere", "t.d/a.yaml"), 0);
    assert_false(knows(f, "t.d", "a.yaml"));
    assert_true(knows(f, "t.d", "b.yaml"));
    assert_int_equal(rename("main.yaml", "main"), 0);
    assert_int_equal(symlink("main", "main.yaml"), 0);
    assert_false(knows(f, ".", "main.yaml"));
    folder_put("t.d/b.yaml", "");
    look(f, LOOK_STAT, 0, NULL);
    assert_int_equal(said(f, "source-kept"), 1);
    assert_false(knows(f, "t.d", "b.yaml"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_change_costs_the_same_among_more_tenants),
        TEST(a_tenant_in_a_snapshot_is_small),
        TEST(nothing_changed_costs_nothing),
        TEST(files_that_come_and_go_move_the_others),
        TEST(a_named_policy_changes_for_those_who_name_it),
        TEST(settings_count_for_all),
        TEST(what_was_said_is_said_again),
        cmocka_unit_test(notes_of_many_are_found_by_a_hash),
        TEST(a_policy_of_all_changes),
        TEST(a_removed_tenant_is_named),
        TEST(the_other_of_two_comes_back),
        TEST(random_edits),
        TEST(stat_is_enough_when_it_is_old),
        TEST(what_is_young_is_read),
        TEST(what_is_broken_is_read_each_time),
        TEST(what_is_open_is_not_trusted),
        TEST(only_touched_files_are_looked_at),
        TEST(what_asks_for_more_is_not_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
