/* Unit tests of server/snapshot: what stays when a file or a tenant cannot be used, what goes, and
 * what is said of it. */
#include "tests/unit/folder.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/snapshot/snapshot.h"

#define MAIN    "listen: [{address: \"127.0.0.1:0\", tls: off}]\nledger: ledger.db\n"
#define INCLUDE "include: tenants.d/*.yaml\n"

enum { NOW = 1700000000, WEEK = 604800 };

struct fixture {
    char dir[64];
    struct sts_arena *arena;
    struct sts_diags diags;
    struct snapshot *snapshot; /* the last one built */
    enum snapshot_look look;   /* of the next one... */
    struct snapshot_touched touched;
    time_t now;        /* ...and when it is built; 0: NOW */
    const char *main;  /* NULL: "main.yaml" */
    bool forget_files; /* as a ledger of before */
    struct ledger *ledger;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    strcpy(f->dir, "/tmp/keep-XXXXXX");
    f->arena = sts_arena_new();
    *state = f;
    return mkdtemp(f->dir) && chdir(f->dir) == 0 && mkdir("tenants.d", 0755) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    snapshot_unref(f->snapshot);
    ledger_close(f->ledger);
    sts_arena_free(f->arena);
    int result = folder_remove(f->dir);
    free(f);
    return result;
}

static bool build_with(struct fixture *f, bool with_ledger)
{
    const struct snapshot_input input = {.main_file = f->main ? f->main : "main.yaml",
                                         .now = f->now ? f->now : NOW,
                                         .previous = f->snapshot,
                                         .look = f->look,
                                         .touched = f->touched,
                                         .ledger = f->ledger,
                                         .with_ledger = with_ledger};

    sts_diags_init(&f->diags, f->arena);
    struct snapshot *next = snapshot_build(&input, &f->diags);
    if (!next)
        return false;
    snapshot_unref(f->snapshot);
    f->snapshot = next;
    return true;
}

static bool build(struct fixture *f)
{
    return build_with(f, false);
}

/* As after a start: no snapshot before, only the ledger. */
static bool restart(struct fixture *f)
{
    snapshot_unref(f->snapshot);
    f->snapshot = NULL;
    return build_with(f, true);
}

/* What the snapshot serves becomes what the ledger calls current. */
static void commit(struct fixture *f)
{
    struct ledger_entry *entries =
        STS_ARRAY(f->arena, f->snapshot->tenant_count, struct ledger_entry);
    size_t count = 0;

    struct ledger *ledger = ledger_open("ledger.db", LEDGER_WRITE, (struct sts_pos){0}, &f->diags);
    assert_non_null(ledger);
    for (size_t i = 0; i < f->snapshot->tenant_count; i++)
        if (f->snapshot->tenants[i].state == TENANT_SERVED)
            entries[count++] = (struct ledger_entry){
                f->snapshot->tenants[i].domain, tenant_policy(&f->snapshot->tenants[i]),
                f->forget_files ? (struct sts_str){0}
                                : tenant_stored_file(f->snapshot, &f->snapshot->tenants[i])};
    assert_true(ledger_serve(ledger, entries, count, NOW, &f->diags));
    ledger_close(ledger);
}

static size_t said(const struct fixture *f, const char *code)
{
    size_t count = 0;

    for (const struct sts_diag *d = f->diags.first; d; d = d->next)
        count += strcmp(d->code, code) == 0;
    return count;
}

static const char *message(const struct fixture *f, const char *code)
{
    for (const struct sts_diag *d = f->diags.first; d; d = d->next)
        if (strcmp(d->code, code) == 0)
            return d->message.ptr;
    return "";
}

/* The tenant is served with this mx; returns why it is kept. */
static enum tenant_kept serves(const struct fixture *f, const char *domain, const char *mx)
{
    const struct tenant *t = snapshot_find_domain(f->snapshot, sts_str_from(domain));

    assert_non_null(t);
    assert_int_equal(t->state, TENANT_SERVED);
    assert_int_equal(t->body->policy.mx_count, 1);
    assert_true(sts_str_is(t->body->policy.mx[0], mx));
    struct sts_buf body = {0};
    sts_policy_render(&body, &t->body->policy);
    assert_true(sts_str_eq(sts_buf_str(&body), t->body->text));
    sts_buf_fini(&body);
    assert_ptr_equal(snapshot_find_host(f->snapshot, tenant_host(t)), t);
    return t->kept;
}

static bool knows(const struct fixture *f, const char *domain)
{
    return snapshot_find_domain(f->snapshot, sts_str_from(domain)) != NULL;
}

#define A "tenants: {a.example: {mode: enforce, mx: mx.a.example, max_age: 1w}}\n"
#define B "tenants: {b.example: {mode: enforce, mx: mx.b.example, max_age: 1w}}\n"

/* One file each for two tenants, built once. */
static void two_files(struct fixture *f)
{
    folder_put("main.yaml", MAIN INCLUDE);
    folder_put("tenants.d/a.yaml", A);
    folder_put("tenants.d/b.yaml", B);
    assert_true(build(f));
    assert_int_equal(f->snapshot->served, 2);
    assert_int_equal(f->snapshot->changes.added, 2);
}

static void an_unusable_file_keeps_its_tenants(void **state)
{
    static const char *const texts[] = {"",     "  \n# later\n",    "tenants: {a.exam",
                                        "\x80", ("limits: {}\n" A), "- a\n",
                                        "\t",   "tenants: [a]\n"};
    struct fixture *f = *state;

    two_files(f);
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        folder_put("tenants.d/a.yaml", texts[i]);
        for (int again = 0; again < 2; again++) {
            assert_true(build(f));
            assert_int_equal(serves(f, "a.example", "mx.a.example"),
                             i < 2 ? KEPT_MISSING : KEPT_BROKEN);
            assert_int_equal(serves(f, "b.example", "mx.b.example"), KEPT_NOT);
            assert_int_equal(said(f, "source-kept"), 1);
            assert_int_equal(f->snapshot->kept, 1);
            assert_int_equal(said(f, "tenant-removed"), 0);
        }
    }
    folder_put("tenants.d/a.yaml", A);
    assert_true(build(f));
    assert_int_equal(serves(f, "a.example", "mx.a.example"), KEPT_NOT);
    assert_int_equal(f->diags.errors, 0);
}

/* A named policy of the unusable file stays for the tenants of others. */
static void an_unusable_file_keeps_its_policies(void **state)
{
    struct fixture *f = *state;

    folder_put("main.yaml", MAIN INCLUDE);
    folder_put("tenants.d/a.yaml", "policies: {p: {mode: enforce, mx: mx.p.example}}\n");
    folder_put("tenants.d/b.yaml", "tenants: {b.example: {policy: p}}\n");
    assert_true(build(f));
    folder_put("tenants.d/a.yaml", "policies: {p:");
    assert_true(build(f));
    assert_int_equal(serves(f, "b.example", "mx.p.example"), KEPT_NOT);
    assert_int_equal(said(f, "source-kept"), 1);
}

static void what_is_no_file_keeps_its_tenants(void **state)
{
    struct fixture *f = *state;

    two_files(f);
    unlink("tenants.d/a.yaml");
    assert_int_equal(mkfifo("tenants.d/a.yaml", 0644), 0);
    assert_true(build(f));
    assert_int_equal(serves(f, "a.example", "mx.a.example"), KEPT_MISSING);
    assert_int_equal(said(f, "file-unreadable"), 1);
    assert_true(f->snapshot->incomplete);
    unlink("tenants.d/a.yaml");
    assert_int_equal(mkdir("tenants.d/a.yaml", 0755), 0);
    assert_true(build(f));
    assert_int_equal(serves(f, "a.example", "mx.a.example"), KEPT_MISSING);
    rmdir("tenants.d/a.yaml");
    assert_int_equal(symlink("nowhere", "tenants.d/a.yaml"), 0);
    assert_true(build(f));
    assert_int_equal(serves(f, "a.example", "mx.a.example"), KEPT_MISSING);
}

static void a_file_open_for_writing_is_not_read(void **state)
{
    struct fixture *f = *state;

    two_files(f);
    int fd = open("tenants.d/a.yaml", O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_int_equal(write(fd, "tenants: {}\n", 12), 12); /* whole, but is it all? */
    int probe = open("tenants.d/b.yaml", O_RDONLY | O_CLOEXEC);
    bool leases = fcntl(probe, F_SETLEASE, F_RDLCK) == 0;
    close(probe);
    if (!leases) {
        close(fd);
        skip();
    }
    assert_true(build(f));
    assert_int_equal(serves(f, "a.example", "mx.a.example"), KEPT_NOT);
    assert_int_equal(said(f, "file-busy"), 1);
    assert_int_equal(f->diags.errors, 0);
    assert_true(f->snapshot->incomplete);
    close(fd);
    assert_true(build(f));
    assert_false(knows(f, "a.example"));
    assert_false(f->snapshot->incomplete);
    fd = open("main.yaml", O_WRONLY | O_CLOEXEC);
    assert_false(build(f));
    assert_int_equal(said(f, "file-busy"), 1);
    assert_int_equal(f->diags.errors, 0);
    close(fd);
    assert_true(build(f));
}

static void a_removed_file_ends_its_tenants(void **state)
{
    struct fixture *f = *state;

    two_files(f);
    unlink("tenants.d/a.yaml");
    assert_true(build(f));
    assert_false(knows(f, "a.example"));
    assert_int_equal(f->snapshot->changes.removed, 1);
    assert_int_equal(f->diags.errors, 0);
    /* 2023-11-14 22:13:20 and a week and the last minute, rounded up. */
    assert_non_null(strstr(message(f, "tenant-removed"), "until 2023-11-22"));
    assert_true(build(f));
    assert_int_equal(said(f, "tenant-removed"), 0);
    assert_int_equal(f->snapshot->changes.removed, 0);
}

static void a_directory_that_is_gone_keeps_its_tenants(void **state)
{
    struct fixture *f = *state;

    two_files(f);
    assert_int_equal(rename("tenants.d", "away"), 0);
    for (int again = 0; again < 2; again++) {
        assert_true(build(f));
        assert_int_equal(serves(f, "a.example", "mx.a.example"), KEPT_MISSING);
        assert_int_equal(said(f, "file-gone"), 2);
        assert_true(f->snapshot->incomplete);
    }
    folder_put("tenants.d", "no directory");
    assert_true(build(f));
    assert_int_equal(f->snapshot->kept, 2);
    unlink("tenants.d");
    /* Back, and one file less: that is on purpose. */
    unlink("away/a.yaml");
    assert_int_equal(rename("away", "tenants.d"), 0);
    assert_true(build(f));
    assert_false(knows(f, "a.example"));
    assert_int_equal(serves(f, "b.example", "mx.b.example"), KEPT_NOT);
}

static void a_file_included_by_name_does_not_go_by_being_removed(void **state)
{
    struct fixture *f = *state;

    folder_put("main.yaml", MAIN "include: a.yaml\n" B);
    folder_put("a.yaml", A);
    assert_true(build(f));
    unlink("a.yaml");
    assert_true(build(f));
    assert_int_equal(serves(f, "a.example", "mx.a.example"), KEPT_MISSING);
    folder_put("main.yaml", MAIN B);
    assert_true(build(f));
    assert_false(knows(f, "a.example"));
}

static void strict_refuses_instead(void **state)
{
    struct fixture *f = *state;

    folder_put("main.yaml", MAIN INCLUDE "strict: on\n");
    folder_put("tenants.d/a.yaml", A);
    assert_true(build(f));
    folder_put("tenants.d/a.yaml", "");
    assert_true(build(f)); /* an empty file is a warning, and nothing changes */
    assert_int_equal(serves(f, "a.example", "mx.a.example"), KEPT_MISSING);
    folder_put("tenants.d/a.yaml", "tenants: {");
    assert_false(build(f));
    assert_int_equal(said(f, "strict-refused"), 1);
    /* Nothing is promised of single tenants or files. */
    assert_int_equal(said(f, "tenant-kept") + said(f, "source-kept"), 0);
    unlink("tenants.d/a.yaml");
    rmdir("tenants.d");
    assert_false(build(f));
}

static void a_broken_tenant_is_kept_across_a_restart(void **state)
{
    struct fixture *f = *state;

    folder_put("main.yaml", MAIN A);
    assert_true(build(f));
    commit(f);
    folder_put("main.yaml", MAIN "tenants:\n"
                                 "  a.example: {mode: enforced, mx: mx.a.example}\n"
                                 "  new.example: {mode: enforced, mx: mx.a.example}\n");
    assert_true(restart(f));
    assert_int_equal(serves(f, "a.example", "mx.a.example"), KEPT_BROKEN);
    assert_int_equal(said(f, "tenant-kept"), 1);
    assert_int_equal(snapshot_find_domain(f->snapshot, STS_STR("new.example"))->state,
                     TENANT_REFUSED);
    /* And on from there. */
    assert_true(build(f));
    assert_int_equal(serves(f, "a.example", "mx.a.example"), KEPT_BROKEN);
}

/* Who is in the missing file is not known any more; so whoever was served stays. */
static void a_missing_file_keeps_everybody_across_a_restart(void **state)
{
    struct fixture *f = *state;

    two_files(f);
    commit(f);
    folder_put("tenants.d/a.yaml", "tenants: {");
    assert_true(restart(f));
    assert_int_equal(serves(f, "a.example", "mx.a.example"), KEPT_MISSING);
    assert_int_equal(serves(f, "b.example", "mx.b.example"), KEPT_NOT);
    assert_int_equal(f->snapshot->tenant_count, 2);
    assert_true(build(f));
    assert_int_equal(serves(f, "a.example", "mx.a.example"), KEPT_MISSING);
    /* Found again, changed: it counts. */
    folder_put("tenants.d/a.yaml", "tenants: {a.example: {mode: testing, mx: mx2.a.example}}\n");
    assert_true(build(f));
    assert_int_equal(serves(f, "a.example", "mx2.a.example"), KEPT_NOT);
    assert_int_equal(f->snapshot->tenant_count, 2);
    /* A directory that is not there at the start is missing, too. */
    assert_int_equal(rename("tenants.d", "away"), 0);
    assert_true(restart(f));
    assert_int_equal(f->snapshot->kept, 2);
    assert_int_equal(rename("away", "tenants.d"), 0);
    unlink("tenants.d/a.yaml");
    assert_true(build(f));
    assert_false(knows(f, "a.example"));
    assert_int_equal(f->snapshot->tenant_count, 1);
}

/* A look that does not read the broken file once more must not forget that it is broken. */
static void what_is_broken_stays_broken_at_every_look(void **state)
{
    static const char *const texts[] = {"", "# later\n", "tenants: {", "\x80", (A "x: 1\n")};
    struct fixture *f = *state;

    signal(SIGIO, SIG_IGN); /* of file_read_settled */
    two_files(f);
    commit(f);
    f->now = time(NULL) + 100; /* the files are old */
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        folder_put("tenants.d/a.yaml", texts[i]);
        f->look = LOOK_STAT;
        assert_true(restart(f));
        for (int again = 0; again < 3; again++) {
            assert_true(build(f));
            assert_int_equal(f->snapshot->work.read, 1); /* the main file */
            serves(f, "a.example", "mx.a.example");
            assert_int_equal(f->snapshot->kept, 1);
        }
        const struct file_name b = {f->snapshot->sources[2].directory, STS_STR("b.yaml")};
        f->look = LOOK_TOLD;
        f->touched = (struct snapshot_touched){.files = &b, .count = 1};
        folder_put("tenants.d/b.yaml", B);
        assert_true(snapshot_knows(f->snapshot, &f->touched));
        assert_true(build(f));
        assert_int_equal(f->snapshot->work.read, 2);
        serves(f, "a.example", "mx.a.example");
        f->look = LOOK_READ;
        f->touched = (struct snapshot_touched){0};
        assert_true(build(f));
        serves(f, "a.example", "mx.a.example");
        assert_int_equal(f->snapshot->tenant_count, 2);
    }
}

/* Declared there and kept; then not even that. */
static void what_is_broken_may_break_in_another_way(void **state)
{
    struct fixture *f = *state;

    two_files(f);
    commit(f);
    folder_put("tenants.d/a.yaml", A "x: 1\n");
    assert_true(restart(f));
    assert_int_equal(serves(f, "a.example", "mx.a.example"), KEPT_BROKEN);
    folder_put("tenants.d/a.yaml", "tenants: {");
    assert_true(build(f));
    assert_int_equal(serves(f, "a.example", "mx.a.example"), KEPT_MISSING);
    assert_true(
        sts_str_is(tenant_where(f->snapshot, &f->snapshot->tenants[0]).source, "tenants.d/a.yaml"));
    unlink("tenants.d/a.yaml");
    assert_int_equal(mkfifo("tenants.d/a.yaml", 0644), 0);
    assert_true(build(f));
    assert_int_equal(serves(f, "a.example", "mx.a.example"), KEPT_MISSING);
    assert_true(f->snapshot->incomplete);
    unlink("tenants.d/a.yaml");
    assert_true(build(f));
    assert_false(knows(f, "a.example"));
}

/* The ledger knows which file they were of. */
static void who_was_removed_goes_beside_a_missing_file(void **state)
{
    struct fixture *f = *state;

    folder_put("main.yaml", MAIN INCLUDE "tenants: {m.example: {mode: none, mx: mx.m.example}}\n");
    folder_put("tenants.d/a.yaml", A);
    folder_put("tenants.d/b.yaml", B);
    folder_put("tenants.d/c.yaml", "tenants: {c.example: {mode: none, mx: c}}\n");
    assert_true(build(f));
    commit(f);
    folder_put("main.yaml", MAIN INCLUDE);
    folder_put("tenants.d/a.yaml", "tenants: {");
    folder_put("tenants.d/b.yaml", "tenants: {}\n");
    unlink("tenants.d/c.yaml");
    assert_true(restart(f));
    assert_int_equal(f->snapshot->tenant_count, 1);
    assert_int_equal(serves(f, "a.example", "mx.a.example"), KEPT_MISSING);
    assert_int_equal(f->snapshot->changes.removed, 3);
}

static void a_ledger_without_files_keeps_everybody(void **state)
{
    struct fixture *f = *state;

    two_files(f);
    f->forget_files = true;
    commit(f);
    folder_put("tenants.d/a.yaml", "tenants: {");
    unlink("tenants.d/b.yaml");
    f->look = LOOK_STAT;
    f->now = time(NULL) + 100;
    assert_true(restart(f));
    for (int again = 0; again < 3; again++) {
        assert_int_equal(f->snapshot->kept, 2);
        assert_int_equal(tenant_file(f->snapshot, &f->snapshot->tenants[1]).name.len, 0);
        assert_true(build(f));
    }
    folder_put("tenants.d/a.yaml", A);
    assert_true(build(f));
    assert_false(knows(f, "b.example"));
}

/* Not mounted, as far as anybody can tell. */
static void an_empty_directory_at_a_start_removes_nobody(void **state)
{
    struct fixture *f = *state;

    two_files(f);
    commit(f);
    assert_int_equal(rename("tenants.d", "away"), 0);
    assert_int_equal(mkdir("tenants.d", 0755), 0);
    assert_true(restart(f));
    assert_int_equal(f->snapshot->kept, 2);
    assert_true(f->snapshot->incomplete);
    assert_true(build(f));
    assert_int_equal(f->snapshot->kept, 2);
    folder_put("tenants.d/README", "on purpose");
    assert_true(build(f));
    assert_int_equal(f->snapshot->tenant_count, 0);
    assert_int_equal(f->snapshot->changes.removed, 2);
}

#define CLAIM "tenants: {a.example: {mode: testing, mx: other}}\n"

static void a_second_claim_is_refused(void **state)
{
    static const char *const names[] = {"tenants.d/0.yaml", "tenants.d/z.yaml"};
    static const char *const others[] = {CLAIM, A};
    struct fixture *f = *state;

    for (int i = 0; i < 4; i++) {
        const char *name = names[i % 2];
        two_files(f);
        folder_put(name, others[i / 2]);
        /* The one whose it is may say something else, be broken, or not be there. */
        for (int j = 0; j < 8; j++) {
            static const char *const own[] = {A, "tenants: {a.example: {mode: none, mx: mx2}}\n",
                                              "tenants: {a.example: {mode: x}}\n", "tenants: {"};
            folder_put("tenants.d/a.yaml", own[j / 2]);
            commit(f);
            assert_true(j % 2 ? restart(f) : build(f));
            serves(f, "a.example", j < 2 ? "mx.a.example" : "mx2");
            assert_int_equal(said(f, "tenant-duplicate"), 1);
            assert_int_equal(f->snapshot->duplicates, 1);
            assert_int_equal(f->snapshot->tenant_count, 2);
            assert_true(build(f));
            serves(f, "a.example", j < 2 ? "mx.a.example" : "mx2");
            assert_int_equal(said(f, "tenant-duplicate"), 1);
        }
        commit(f);
        /* It gives it up. */
        folder_put("tenants.d/a.yaml", "tenants: {}\n");
        assert_true(i % 2 ? restart(f) : build(f));
        serves(f, "a.example", i / 2 ? "mx.a.example" : "other");
        assert_int_equal(said(f, "tenant-duplicate"), 0);
        commit(f);
        folder_put("tenants.d/a.yaml", A);
        assert_true(i % 2 ? build(f) : restart(f));
        assert_true(sts_str_is(tenant_where(f->snapshot, &f->snapshot->tenants[0]).source, name));
        assert_int_equal(said(f, "tenant-duplicate"), 1);
        unlink(name);
        unlink("ledger.db");
        snapshot_unref(f->snapshot);
        f->snapshot = NULL;
    }
}

/* The names of files do not change with the name of the folder. */
static void files_are_known_by_any_name_of_the_folder(void **state)
{
    static const char *const mains[] = {"main.yaml", "./main.yaml", "tenants.d/../main.yaml"};
    struct fixture *f = *state;
    char absolute[80];

    snprintf(absolute, sizeof(absolute), "%s/main.yaml", f->dir);
    two_files(f);
    for (size_t i = 0; i < 4; i++) {
        f->main = i < 3 ? mains[i] : absolute;
        assert_true(restart(f));
        assert_true(sts_str_is(tenant_stored_file(f->snapshot, &f->snapshot->tenants[0]),
                               "tenants.d/a.yaml"));
        commit(f);
        folder_put("tenants.d/a.yaml", "tenants: {");
        folder_put("tenants.d/0.yaml", CLAIM);
        unlink("tenants.d/b.yaml");
        for (size_t j = 0; j < 4; j++) {
            f->main = j < 3 ? mains[j] : absolute;
            assert_true(restart(f));
            assert_int_equal(f->snapshot->tenant_count, 1);
            assert_int_equal(serves(f, "a.example", "mx.a.example"), KEPT_MISSING);
        }
        folder_put("tenants.d/a.yaml", A);
        folder_put("tenants.d/b.yaml", B);
        unlink("tenants.d/0.yaml");
    }
    folder_put("main.yaml", MAIN "include: /tmp/[k]eep-*/tenants.d/a.yaml\n" B);
    f->main = "./main.yaml";
    assert_true(build(f));
    struct sts_str stored = tenant_stored_file(f->snapshot, &f->snapshot->tenants[0]);
    assert_true(sts_str_starts(stored, STS_STR("/tmp/keep-")));
    assert_true(sts_str_is(tenant_stored_file(f->snapshot, &f->snapshot->tenants[1]), "main.yaml"));
    /* The main file is known, too: a copy of what it said takes nothing from it. */
    commit(f);
    folder_put("main.yaml", MAIN "include: b.yaml\ntenants: {b.example: {mode: none, mx: new}}\n");
    folder_put("b.yaml", B);
    assert_true(restart(f));
    assert_int_equal(serves(f, "b.example", "new"), KEPT_NOT);
}

/* Nothing missing, so whoever is in no file any more was removed while the server was down. */
static void a_removal_while_down_is_said(void **state)
{
    struct fixture *f = *state;

    two_files(f);
    commit(f);
    unlink("tenants.d/a.yaml");
    assert_true(restart(f));
    assert_false(knows(f, "a.example"));
    assert_int_equal(said(f, "tenant-removed"), 1);
    assert_int_equal(f->snapshot->changes.removed, 1);
    assert_int_equal(f->snapshot->changes.added, 0);
}

static void without_a_ledger_a_start_keeps_nothing(void **state)
{
    struct fixture *f = *state;

    two_files(f);
    folder_put("tenants.d/a.yaml", "tenants: {");
    folder_put("ledger.db", "this is no database, and long enough to be looked at as one");
    assert_true(restart(f));
    assert_false(knows(f, "a.example"));
    assert_int_equal(f->snapshot->served, 1);
}

static void a_dropped_mx_and_a_shorter_max_age_are_said(void **state)
{
    static const struct {
        const char *before, *after;
        size_t mx, max_age;
    } cases[] = {
        {"mode: enforce, mx: [a.x, b.x], max_age: 1w", "mode: enforce, mx: [a.x], max_age: 1w", 1,
         0},
        {"mode: testing, mx: [a.x, b.x], max_age: 1w", "mode: enforce, mx: [c.x], max_age: 1w", 2,
         0},
        {"mode: enforce, mx: a.x, max_age: 2w", "mode: enforce, mx: a.x, max_age: 1w", 0, 1},
        {"mode: enforce, mx: a.x, max_age: 1w", "mode: enforce, mx: [a.x, b.x], max_age: 2w", 0, 0},
        {"mode: none, mx: [a.x, b.x], max_age: 2w", "mode: none, mx: a.x, max_age: 1w", 0, 0},
        {"mode: enforce, mx: a.x, max_age: 2w", "mode: enforce, mx: a.x, max_age: 2w, retire: on",
         0, 0},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char text[400];
        snprintf(text, sizeof(text), MAIN "tenants: {a.example: {%s}}\n", cases[i].before);
        folder_put("main.yaml", text);
        assert_true(build(f));
        snprintf(text, sizeof(text), MAIN "tenants: {a.example: {%s}}\n", cases[i].after);
        folder_put("main.yaml", text);
        assert_true(build(f));
        assert_int_equal(said(f, "mx-removed"), cases[i].mx);
        assert_int_equal(said(f, "max-age-shortened"), cases[i].max_age);
        assert_int_equal(f->snapshot->changes.changed, 1);
    }
    assert_int_equal(f->snapshot->retiring, 1);
}

static void equal_snapshots_are_found_equal(void **state)
{
    struct fixture *f = *state;

    two_files(f);
    struct snapshot *first = snapshot_ref(f->snapshot);
    assert_true(build(f));
    assert_true(snapshot_same(first, f->snapshot));
    folder_put("tenants.d/a.yaml", "# a comment moves what was said of lines\n" A);
    assert_true(build(f));
    assert_false(snapshot_same(first, f->snapshot));
    assert_int_equal(f->snapshot->changes.changed, 0);
    folder_put("tenants.d/a.yaml", A);
    assert_true(build(f));
    assert_false(snapshot_same(first, f->snapshot)); /* parsed anew */
    snapshot_unref(first);
}

#define KEEP_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        KEEP_TEST(an_unusable_file_keeps_its_tenants),
        KEEP_TEST(an_unusable_file_keeps_its_policies),
        KEEP_TEST(what_is_no_file_keeps_its_tenants),
        KEEP_TEST(a_file_open_for_writing_is_not_read),
        KEEP_TEST(a_removed_file_ends_its_tenants),
        KEEP_TEST(a_directory_that_is_gone_keeps_its_tenants),
        KEEP_TEST(a_file_included_by_name_does_not_go_by_being_removed),
        KEEP_TEST(strict_refuses_instead),
        KEEP_TEST(a_broken_tenant_is_kept_across_a_restart),
        KEEP_TEST(a_missing_file_keeps_everybody_across_a_restart),
        KEEP_TEST(what_is_broken_stays_broken_at_every_look),
        KEEP_TEST(what_is_broken_may_break_in_another_way),
        KEEP_TEST(who_was_removed_goes_beside_a_missing_file),
        KEEP_TEST(a_ledger_without_files_keeps_everybody),
        KEEP_TEST(an_empty_directory_at_a_start_removes_nobody),
        KEEP_TEST(a_second_claim_is_refused),
        KEEP_TEST(files_are_known_by_any_name_of_the_folder),
        KEEP_TEST(a_removal_while_down_is_said),
        KEEP_TEST(without_a_ledger_a_start_keeps_nothing),
        KEEP_TEST(a_dropped_mx_and_a_shorter_max_age_are_said),
        KEEP_TEST(equal_snapshots_are_found_equal),
    };
    return cmocka_run_group_tests_name("keep", tests, NULL, NULL);
}
