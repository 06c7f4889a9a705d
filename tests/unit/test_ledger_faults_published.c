/* Unit tests of server/ledger: the same faults while it learns what was announced, while it is told
 * a change without the rest, and while it is brought up to date from the first schema. */
#include "tests/unit/ledger_fault.h"

static const char *const domains[] = {"a.example", "b.example", "c.example"};

static bool try_serve_three(struct fixture *f)
{
    struct ledger_entry entries[3];

    for (size_t i = 0; i < 3; i++)
        entries[i] = (struct ledger_entry){.domain = sts_str_from(domains[i]),
                                           .policy = numbered_policy(f, 1)};
    return ledger_serve(f->ledger, entries, 3, NOW, &f->diags);
}

/* Three tenants that are served; the ledger stays open. */
static void make_three(struct fixture *f)
{
    remove_all(f);
    reopen(f, LEDGER_WRITE);
    assert_true(try_serve_three(f));
}

static bool try_mark_three(struct fixture *f)
{
    struct ledger_published items[3];

    for (size_t i = 0; i < 3; i++) {
        struct ledger_instance instance;
        if (!ledger_latest(f->ledger, f->arena, sts_str_from(domains[i]), &instance, &f->diags))
            return false;
        items[i] = (struct ledger_published){sts_str_from(domains[i]),
                                             sts_arena_dup(f->arena, sts_str_from(instance.id))};
    }
    return ledger_mark_published(f->ledger, items, 3, NOW + 1, &f->diags);
}

static void count_instance(void *data, const struct ledger_instance *instance)
{
    (void)instance;
    ++*(int *)data;
}

static int unpublished(struct fixture *f)
{
    int count = 0;

    assert_true(ledger_each_unpublished(f->ledger, count_instance, &count, &f->diags));
    return count;
}

/* One work on three tenants, with the fault in it; false when it is over before the fault's turn.
 */
static bool hit_by(struct fixture *f, bool (*work)(struct fixture *f), bool *good, unsigned after,
                   int error, bool lasting)
{
    make_three(f);
    arm(after, error, lasting);
    *good = work(f);
    fault.after = 0;
    if (!*good)
        expect_disk_error(f);
    return fault.hit;
}

static void every_write_of_a_mark_fails(void **state)
{
    struct fixture *f = *state;
    static const int errors[] = {ENOSPC, EIO};

    for (int i = 0; i < 4; i++) {
        unsigned after = 0;
        bool good = true;
        while (hit_by(f, try_mark_three, &good, ++after, errors[i / 2], i % 2)) {
            assert_int_equal(unpublished(f), good ? 0 : 3);
            expect_consistent(f);
            assert_true(try_mark_three(f)); /* the disk is well again */
            assert_int_equal(unpublished(f), 0);
        }
        assert_true(good && after > 3);
    }
}

/* One changes, one ends, one stays, one is new. */
static bool try_change(struct fixture *f)
{
    const struct ledger_entry entries[] = {
        {.domain = STS_STR("a.example"), .policy = numbered_policy(f, 2)},
        {.domain = STS_STR("d.example"), .policy = numbered_policy(f, 2)}};
    const struct sts_str ended[] = {STS_STR("c.example")};
    const struct ledger_change change = {entries, 2, ended, 1};

    return ledger_change(f->ledger, &change, NOW + 1, &f->diags);
}

static void expect_change(struct fixture *f, bool done)
{
    struct ledger_instance d;

    assert_int_equal(latest(f, "a.example").max_age, done ? 86402 : 86401);
    assert_int_equal(latest(f, "b.example").last_served, 0);
    assert_int_equal(latest(f, "c.example").last_served, done ? NOW + 1 : 0);
    assert_int_equal(ledger_latest(f->ledger, f->arena, STS_STR("d.example"), &d, &f->diags), done);
    assert_int_equal(raw_int(f, "SELECT at FROM alive"), NOW + done);
    assert_int_equal(unpublished(f), 3);
    expect_consistent(f);
}

static void every_write_of_a_change_fails(void **state)
{
    struct fixture *f = *state;
    static const int errors[] = {ENOSPC, EIO};

    for (int i = 0; i < 4; i++) {
        unsigned after = 0;
        bool good = true;
        while (hit_by(f, try_change, &good, ++after, errors[i / 2], i % 2)) {
            expect_change(f, good);
            if (good)
                continue;
            /* What the server thinks is there is not: everything must be said again. */
            assert_false(try_change(f));
            expect_error(f, "ledger-replaced");
        }
        assert_true(good && after > 3);
        expect_change(f, true);
    }
}

/* In a process of its own, which is killed before its `after`th write. True when it was. */
static bool killed(struct fixture *f, bool (*work)(struct fixture *f), unsigned after)
{
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        arm(after, 0, false);
        _exit(work(f) ? 0 : 1);
    }
    return was_killed(child);
}

static bool open_and_mark(struct fixture *f)
{
    return try_open(f, LEDGER_WRITE) && try_mark_three(f);
}

static void killed_before_every_write_of_a_mark(void **state)
{
    struct fixture *f = *state;
    unsigned after = 0;

    do {
        make_three(f);
        ledger_close(f->ledger);
        f->ledger = NULL;
        bool was = killed(f, open_and_mark, ++after);
        reopen(f, LEDGER_READ);
        int left = unpublished(f);
        assert_true(left == 0 || (was && left == 3));
        reopen(f, LEDGER_WRITE);
        assert_int_equal(unpublished(f), left);
        assert_true(try_mark_three(f));
        assert_int_equal(unpublished(f), 0);
        expect_consistent(f);
        if (!was)
            break;
    } while (true);
    assert_true(after > 3);
}

/* As a server does that starts again and then reloads. */
static bool open_and_change(struct fixture *f)
{
    return try_open(f, LEDGER_WRITE) && try_serve_three(f) && try_change(f);
}

static void killed_before_every_write_of_a_change(void **state)
{
    struct fixture *f = *state;
    unsigned after = 0;
    bool was;

    do {
        make_three(f);
        ledger_close(f->ledger);
        f->ledger = NULL;
        was = killed(f, open_and_change, ++after);
        reopen(f, LEDGER_READ);
        struct ledger_instance d;
        bool done = ledger_latest(f->ledger, f->arena, STS_STR("d.example"), &d, &f->diags);
        assert_true(done || was);
        expect_change(f, done);
        reopen(f, LEDGER_WRITE);
        expect_change(f, done);
    } while (was);
    assert_true(after > 3);
}

/* A ledger of the first schema: one tenant that is served, one that is not any more. */
static void make_first(struct fixture *f)
{
    make_three(f);
    assert_true(try_end(f, "b.example", NOW + 1));
    ledger_close(f->ledger);
    f->ledger = NULL;
    raw_exec(f, "DROP TABLE published; DROP TABLE unpublished; "
                "ALTER TABLE instance DROP COLUMN file; PRAGMA user_version = 1");
    const char *shape = raw_text(f, "SELECT group_concat(name) FROM sqlite_schema");
    assert_null(strstr(shape, "published"));
}

/* Either the first schema, whole, or the last. */
static void expect_either(struct fixture *f)
{
    long long version = raw_int(f, "PRAGMA user_version");
    long long added = raw_int(f, "SELECT count(*) FROM sqlite_schema WHERE name IN "
                                 "('published', 'unpublished')") +
                      raw_int(f, "SELECT count(*) FROM pragma_table_info('instance') "
                                 "WHERE name = 'file'");

    assert_true((version == 1 && added == 0) || (version == 3 && added == 3));
    assert_int_equal(raw_int(f, "SELECT count(*) FROM instance"), 3);
    expect_consistent(f);
}

static void expect_up_to_date(struct fixture *f)
{
    reopen(f, LEDGER_WRITE);
    assert_int_equal(unpublished(f), 2); /* nothing was announced, as far as it knows */
    assert_int_equal(raw_int(f, "SELECT count(*) FROM published"), 0);
    assert_int_equal(latest(f, "b.example").last_served, NOW + 1);
    assert_true(try_mark_three(f));
    assert_int_equal(unpublished(f), 1); /* the one that is served no more */
    assert_true(try_commit(f, "b.example", numbered_policy(f, 2), NOW + 9));
    assert_int_equal(unpublished(f), 1);
    expect_consistent(f);
}

static void every_write_of_a_migration_fails(void **state)
{
    struct fixture *f = *state;
    static const int errors[] = {ENOSPC, EIO};

    for (int i = 0; i < 4; i++) {
        unsigned after = 0;
        for (bool hit = true; hit;) {
            make_first(f);
            arm(++after, errors[i / 2], i % 2);
            bool good = try_open(f, LEDGER_WRITE);
            fault.after = 0;
            hit = fault.hit;
            if (!good)
                expect_disk_error(f);
            expect_either(f);
            expect_up_to_date(f);
        }
        assert_true(after > 3);
    }
}

static bool open_only(struct fixture *f)
{
    return try_open(f, LEDGER_WRITE);
}

static void killed_before_every_write_of_a_migration(void **state)
{
    struct fixture *f = *state;
    unsigned after = 0;
    bool was;

    do {
        make_first(f);
        was = killed(f, open_only, ++after);
        expect_either(f);
        expect_up_to_date(f);
    } while (was);
    assert_true(after > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LEDGER(every_write_of_a_mark_fails),
        WITH_LEDGER(every_write_of_a_change_fails),
        WITH_LEDGER(killed_before_every_write_of_a_mark),
        WITH_LEDGER(killed_before_every_write_of_a_change),
        WITH_LEDGER(every_write_of_a_migration_fails),
        WITH_LEDGER(killed_before_every_write_of_a_migration),
    };
    return cmocka_run_group_tests_name("ledger_faults_published", tests, NULL, NULL);
}
