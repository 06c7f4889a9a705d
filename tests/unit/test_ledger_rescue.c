/* Unit tests of server/ledger: it was deleted while it is open, and the disk fails, or the process
 * is killed, at any moment of writing it again. */
#include "tests/unit/ledger_fault.h"

static const char *const domains[] = {"a.example", "b.example"};

static bool try_serve(struct fixture *f)
{
    struct ledger_entry entries[2];

    for (size_t i = 0; i < 2; i++)
        entries[i] = (struct ledger_entry){sts_str_from(domains[i]), numbered_policy(f, 1), {0}};
    return ledger_serve(f->ledger, entries, 2, NOW, &f->diags);
}

static bool try_change(struct fixture *f)
{
    const struct ledger_entry entry = {STS_STR("b.example"), numbered_policy(f, 2), {0}};
    const struct ledger_change change = {&entry, 1, NULL, 0};

    return ledger_change(f->ledger, &change, NOW + 1, &f->diags);
}

static void delete_it(struct fixture *f)
{
    assert_int_equal(syscall(SYS_unlink, f->path), 0);
}

static bool is_there(struct fixture *f, const char *suffix)
{
    return access(sts_arena_printf(f->arena, "%s%s", f->path, suffix).ptr, F_OK) == 0;
}

static bool hit_by(struct fixture *f, bool *good, unsigned after, int error, bool lasting)
{
    remove_all(f);
    reopen(f, LEDGER_WRITE);
    assert_true(try_serve(f));
    delete_it(f);
    sts_diags_init(&f->diags, f->arena);
    arm(after, error, lasting);
    *good = try_change(f);
    fault.after = 0;
    return fault.hit;
}

static void every_write_fails(void **state)
{
    struct fixture *f = *state;
    static const int errors[] = {ENOSPC, EIO};

    for (int i = 0; i < 4; i++) {
        unsigned after = 0;
        bool good = true;
        while (hit_by(f, &good, ++after, errors[i / 2], i % 2)) {
            assert_int_equal(good, f->diags.errors == 0);
            if (!is_there(f, ""))
                assert_string_equal(f->diags.first->code, "ledger-deleted");
            const char *a = latest(f, "a.example").id, *b = latest(f, "b.example").id;
            sts_diags_init(&f->diags, f->arena);
            /* The disk is well again. */
            assert_true(try_serve(f));
            assert_string_equal(latest(f, "a.example").id, a);
            assert_int_equal(strcmp(latest(f, "b.example").id, b) == 0, !good);
            assert_false(is_there(f, ".new"));
            sts_diags_init(&f->diags, f->arena);
            expect_consistent(f);
        }
        assert_true(good && after > 6);
    }
}

/* In a process of its own, which is killed before its `after`th write. True when it was. */
static bool killed(struct fixture *f, unsigned after)
{
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        if (!try_open(f, LEDGER_WRITE) || !try_serve(f))
            _exit(1);
        delete_it(f);
        arm(after, 0, false);
        _exit(try_change(f) ? 0 : 1);
    }
    return was_killed(child);
}

/* Until it has its name again there is none, as after the deletion; then it is whole. */
static void killed_before_every_write(void **state)
{
    struct fixture *f = *state;
    unsigned after = 0, whole = 0;
    bool was;

    do {
        remove_all(f);
        reopen(f, LEDGER_WRITE);
        assert_true(try_serve(f));
        const char *a = latest(f, "a.example").id;
        ledger_close(f->ledger);
        f->ledger = NULL;
        was = killed(f, ++after);
        if (is_there(f, "")) {
            whole++;
            reopen(f, LEDGER_READ);
            assert_string_equal(latest(f, "a.example").id, a);
        }
        assert_true(was || whole);
        reopen(f, LEDGER_WRITE);
        assert_true(try_serve(f));
        delete_it(f);
        assert_true(try_change(f)); /* whatever the killed one left */
        expect_diag(f, STS_WARNING, "ledger-rescued");
        expect_consistent(f);
    } while (was);
    assert_true(whole > 1 && after > whole + 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LEDGER(every_write_fails),
        WITH_LEDGER(killed_before_every_write),
    };
    return cmocka_run_group_tests_name("ledger_rescue", tests, NULL, NULL);
}
