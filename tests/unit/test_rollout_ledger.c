/* Unit tests of server/snapshot/rollout: what a plan is made from, out of a ledger. */
#include "server/snapshot/rollout.h"
#include "tests/unit/ledger_fixture.h"

enum { DAY = 86400, WEEK = 7 * DAY };

static const struct snapshot no_tenants;

static struct rollout make(struct fixture *f, time_t now, bool good)
{
    struct rollout out;

    assert_int_equal(
        rollout_make(f->arena, f->ledger, &no_tenants, STS_STR("a.example"), now, &f->diags, &out),
        good);
    return out;
}

static void nothing_is_known(void **state)
{
    struct fixture *f = *state;

    struct rollout without = make(f, NOW, true);
    assert_false(without.known);
    reopen(f, LEDGER_WRITE);
    assert_false(make(f, NOW, true).known);
    assert_int_equal(f->diags.errors, 0);
}

static time_t removal(const struct rollout *plan)
{
    assert_true(plan->known);
    assert_int_equal(plan->safe_count, 1);
    return plan->safe[0].at;
}

/* The ledger says the same date. */
static void a_removed_tenant(void **state)
{
    struct fixture *f = *state;

    reopen(f, LEDGER_WRITE);
    for (unsigned i = 0; i < 40; i++)
        assert_true(try_commit(f, "a.example", policy(f, STS_MODE_ENFORCE, WEEK + i, "x.example"),
                               NOW + i));
    assert_true(try_commit(f, "b.example", numbered_policy(f, 1), NOW));
    assert_true(try_end(f, "a.example", NOW + DAY));
    struct rollout plan = make(f, NOW + DAY, true);
    assert_int_equal(plan.situation, ROLLOUT_REMOVED_TOO_EARLY);
    assert_int_equal(removal(&plan), history(f, "a.example").cached_until);
    plan = make(f, removal(&plan), true);
    assert_int_equal(plan.situation, ROLLOUT_RETIRED);
}

/* The body is proved; a column beside it that says something else is not believed. */
static void columns_that_lie(void **state)
{
    static const char *const lies[] = {"mode = 'none'", "max_age = 1", "digest = x'00'",
                                       "body = 'x'", "mode = 'none', digest = x'00'"};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
        reopen(f, LEDGER_WRITE);
        assert_true(
            try_commit(f, "a.example", policy(f, STS_MODE_ENFORCE, WEEK, "x.example"), NOW));
        assert_true(try_end(f, "a.example", NOW + DAY));
        raw_exec(f, sts_arena_printf(f->arena, "UPDATE instance SET %s", lies[i]).ptr);
        struct rollout plan;
        rollout_make(f->arena, f->ledger, &no_tenants, STS_STR("a.example"), NOW + DAY, &f->diags,
                     &plan);
        assert_int_equal(plan.situation, ROLLOUT_REMOVED_TOO_EARLY);
        assert_string_equal(plan.steps[0].code, "damaged");
        assert_true(removal(&plan) > NOW + DAY);
        sts_diags_init(&f->diags, f->arena);
        raw_exec(f, "DELETE FROM instance");
    }
}

/* Times that nobody can have written do not overflow, and an end stays one. */
static void times_that_lie(void **state)
{
    static const char *const lies[] = {"first_served = -9223372036854775807 - 1, last_served = -1",
                                       "first_served = 9223372036854775807",
                                       "last_served = 9223372036854775807"};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
        reopen(f, LEDGER_WRITE);
        assert_true(
            try_commit(f, "a.example", policy(f, STS_MODE_ENFORCE, WEEK, "x.example"), NOW));
        assert_true(try_end(f, "a.example", NOW + DAY));
        raw_exec(f, sts_arena_printf(f->arena, "UPDATE instance SET %s", lies[i]).ptr);
        struct rollout plan = make(f, NOW + DAY, true);
        assert_null(plan.current);
        assert_true(removal(&plan) > 0);
        raw_exec(f, "DELETE FROM instance");
    }
}

static void what_was_announced(void **state)
{
    struct fixture *f = *state;

    reopen(f, LEDGER_WRITE);
    const char *id = id_after(f, "a.example", policy(f, STS_MODE_TESTING, DAY, "x.example"), NOW);
    const struct ledger_published item = {STS_STR("a.example"), sts_str_from(id)};
    assert_true(ledger_mark_published(f->ledger, &item, 1, NOW, &f->diags));
    assert_true(try_end(f, "a.example", NOW + DAY));
    struct rollout plan = make(f, NOW + WEEK, true);
    const struct sts_step *last = &plan.steps[plan.step_count - 1];
    assert_string_equal(last->code, "remove");
    assert_true(
        sts_str_ends(last->text, sts_arena_printf(f->arena, "the id %s is still in DNS", id)));
    raw_exec(f, "UPDATE published SET id = 'no-id'");
    assert_true(make(f, NOW + WEEK, false).known);
    expect_error(f, "ledger-corrupt");
}

/* For the formats of records that show them. */
static void steps_of_a_record_set(void **state)
{
    struct fixture *f = *state;
    struct sts_record_set set = {.domain = STS_STR("a.example")};

    rollout_steps(f->arena, NULL, &no_tenants, NOW, &f->diags, &set);
    assert_int_equal(set.step_count, 0);
    reopen(f, LEDGER_WRITE);
    assert_true(try_commit(f, "a.example", policy(f, STS_MODE_ENFORCE, DAY, "x.example"), NOW));
    assert_true(try_end(f, "a.example", NOW + DAY));
    rollout_steps(f->arena, f->ledger, &no_tenants, NOW + DAY, &f->diags, &set);
    assert_int_equal(set.step_count, 3);
    assert_string_equal(set.steps[1].code, "put-back");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LEDGER(nothing_is_known),   WITH_LEDGER(a_removed_tenant),
        WITH_LEDGER(columns_that_lie),   WITH_LEDGER(times_that_lie),
        WITH_LEDGER(what_was_announced), WITH_LEDGER(steps_of_a_record_set),
    };
    return cmocka_run_group_tests_name("rollout_ledger", tests, NULL, NULL);
}
