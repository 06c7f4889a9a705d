/* Unit tests of server/ledger: what was served over time, and until when senders may hold it. */
#include "tests/unit/ledger_fixture.h"

#define LAST_TIME 253402300799 /* 9999-12-31 23:59:59 UTC */

enum { DAY = 86400, WEEK = 7 * DAY, MINUTE = LEDGER_TOUCH_SECONDS };

static time_t cached_until(struct fixture *f)
{
    return history(f, "a.example").cached_until;
}

static void commit_one(struct fixture *f, enum sts_mode mode, uint32_t max_age, time_t now)
{
    assert_true(try_commit(f, "a.example", policy(f, mode, max_age, "x.example"), now));
}

/* RFC 8461 §8.3: the largest max_age ever served counts, not the last. */
static void how_long_senders_may_hold_one(void **state)
{
    struct fixture *f = *state;
    struct ledger_history none = {.cached_until = 7};

    reopen(f, LEDGER_WRITE);
    assert_false(ledger_history(f->ledger, f->arena, STS_STR("a.example"), &none, &f->diags));
    assert_int_equal(none.cached_until, 7);
    commit_one(f, STS_MODE_ENFORCE, WEEK, NOW);
    assert_int_equal(cached_until(f), NOW + MINUTE + WEEK);
    assert_true(ledger_touch(f->ledger, NOW + 60, &f->diags));
    assert_int_equal(cached_until(f), NOW + 60 + MINUTE + WEEK);
    /* A shorter one does not shorten what senders hold. */
    commit_one(f, STS_MODE_TESTING, DAY, NOW + 100);
    assert_int_equal(cached_until(f), NOW + 100 + MINUTE + WEEK);
    assert_true(ledger_touch(f->ledger, NOW + WEEK, &f->diags));
    assert_int_equal(cached_until(f), NOW + WEEK + MINUTE + DAY);
    assert_true(try_end(f, "a.example", NOW + WEEK + 5));
    assert_true(ledger_touch(f->ledger, NOW + 2 * WEEK, &f->diags));
    assert_int_equal(cached_until(f), NOW + WEEK + 5 + MINUTE + DAY);
    assert_int_equal(f->diags.errors, 0);
}

static void join_current(void *data, const struct ledger_instance *instance)
{
    sts_buf_printf(data, "%.*s=%u ", STS_ARG(instance->domain), instance->max_age);
}

static void what_is_current_is_read_alone(void **state)
{
    struct fixture *f = *state;
    struct sts_buf out = {0};

    reopen(f, LEDGER_WRITE);
    assert_true(try_commit(f, "c.example", policy(f, STS_MODE_NONE, 1, ""), NOW));
    assert_true(try_commit(f, "a.example", policy(f, STS_MODE_NONE, 2, ""), NOW));
    assert_true(try_commit(f, "b.example", policy(f, STS_MODE_NONE, 3, ""), NOW));
    assert_true(try_commit(f, "c.example", policy(f, STS_MODE_NONE, 4, ""), NOW + 1));
    assert_true(try_end(f, "b.example", NOW + 2));
    assert_true(ledger_each_current(f->ledger, join_current, &out, &f->diags));
    assert_string_equal(out.ptr, "a.example=2 c.example=4 ");
    /* Of a damaged one it says that it is. */
    out.len = 0;
    raw_exec(f, "UPDATE instance SET body = 'x' WHERE domain = 'a.example'");
    assert_false(ledger_each_current(f->ledger, join_current, &out, &f->diags));
    assert_string_equal(out.ptr, "c.example=4 ");
    expect_error(f, "ledger-corrupt");
    sts_buf_fini(&out);
}

/* RFC 8461 §8.3: once mode none is served, what counts is the policy before it. */
static void mode_none_is_held_by_nobody(void **state)
{
    struct fixture *f = *state;

    reopen(f, LEDGER_WRITE);
    commit_one(f, STS_MODE_NONE, DAY, NOW);
    assert_int_equal(cached_until(f), 0);
    assert_int_equal(latest(f, "a.example").cached_until, 0);
    assert_int_equal(history(f, "a.example").none_since, NOW);
    commit_one(f, STS_MODE_ENFORCE, WEEK, NOW + 10);
    assert_int_equal(history(f, "a.example").none_since, 0);
    commit_one(f, STS_MODE_NONE, DAY, NOW + 100);
    assert_true(ledger_touch(f->ledger, NOW + 2 * WEEK, &f->diags));
    assert_int_equal(cached_until(f), NOW + 100 + MINUTE + WEEK);
    assert_int_equal(history(f, "a.example").none_since, NOW + 100);
    /* The run goes on while only max_age changes, and when it ends. */
    commit_one(f, STS_MODE_NONE, DAY + 1, NOW + 3 * WEEK);
    assert_int_equal(history(f, "a.example").none_since, NOW + 100);
    assert_true(try_end(f, "a.example", NOW + 4 * WEEK));
    assert_int_equal(history(f, "a.example").none_since, NOW + 100);
    assert_int_equal(history(f, "a.example").latest.last_served, NOW + 4 * WEEK);
    assert_int_equal(cached_until(f), NOW + 100 + MINUTE + WEEK);
    commit_one(f, STS_MODE_TESTING, 60, NOW + 5 * WEEK);
    assert_int_equal(history(f, "a.example").none_since, 0);
    /* With a clock from before 1970 it still is a run. */
    commit_one(f, STS_MODE_NONE, DAY, -5);
    assert_int_equal(history(f, "a.example").none_since, 1);
}

/* With the clock in 1970 a policy does not seem forgotten: it was served when the server last said
 * that it is alive. */
static void a_wrong_clock_forgets_nothing(void **state)
{
    struct fixture *f = *state;

    reopen(f, LEDGER_WRITE);
    commit_one(f, STS_MODE_ENFORCE, 1000, NOW);
    assert_true(ledger_touch(f->ledger, NOW + 500, &f->diags));
    assert_true(ledger_touch(f->ledger, 100, &f->diags));
    assert_int_equal(cached_until(f), NOW + 500 + MINUTE + 1000);
    commit_one(f, STS_MODE_ENFORCE, 1, 200);
    assert_int_equal(raw_int(f, "SELECT last_served FROM instance WHERE seq = 1"), NOW + 500);
    assert_true(try_end(f, "a.example", 300));
    assert_int_equal(latest(f, "a.example").last_served, NOW + 500);
    assert_int_equal(cached_until(f), NOW + 500 + MINUTE + 1000);
}

/* Whatever the clock ever said, the result is a date: after 1970, no overflow, at most year 9999.
 */
static void dates_have_no_end(void **state)
{
    struct fixture *f = *state;
    static const struct {
        time_t now, until;
    } cases[] = {
        {INT32_MAX, (time_t)INT32_MAX + MINUTE + STS_MAX_AGE_LIMIT},
        {UINT32_MAX, (time_t)UINT32_MAX + MINUTE + STS_MAX_AGE_LIMIT},
        {LAST_TIME - MINUTE - (time_t)STS_MAX_AGE_LIMIT - 1, LAST_TIME - 1},
        {LAST_TIME - 5, LAST_TIME},
        {LAST_TIME, LAST_TIME},
        {INT64_MAX, LAST_TIME},
        {0, MINUTE + STS_MAX_AGE_LIMIT},
        {INT64_MIN, MINUTE + STS_MAX_AGE_LIMIT},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        reopen(f, LEDGER_WRITE);
        commit_one(f, STS_MODE_ENFORCE, STS_MAX_AGE_LIMIT, cases[i].now);
        assert_int_equal(cached_until(f), cases[i].until);
        assert_int_equal(latest(f, "a.example").cached_until, cases[i].until);
        assert_true(try_end(f, "a.example", cases[i].now));
        /* An end is never 0, which would mean that there is none. */
        assert_int_equal(cached_until(f), cases[i].until + (cases[i].now <= 0));
        raw_exec(f, "DELETE FROM instance");
    }
}

static void join_histories(void *data, const struct ledger_history *h)
{
    sts_buf_printf(data, "%.*s:%s:%u:%s:%lld:%lld ", STS_ARG(h->latest.domain),
                   sts_mode_name(h->latest.mode), h->latest.max_age,
                   h->latest.last_served ? "ended" : "current", (long long)h->cached_until - NOW,
                   (long long)(h->none_since ? h->none_since - NOW : -1));
    assert_true(sts_id_check(sts_str_from(h->latest.id)));
    assert_true(sts_str_starts(h->latest.body, STS_STR("version: STSv1\r\n")));
}

static void each_history_in_order(void **state)
{
    struct fixture *f = *state;
    struct sts_buf out = {0};

    reopen(f, LEDGER_WRITE);
    assert_true(ledger_each_history(f->ledger, join_histories, &out, &f->diags));
    assert_int_equal(out.len, 0);
    assert_true(try_commit(f, "b.example", policy(f, STS_MODE_TESTING, 500, "x.example"), NOW));
    assert_true(try_commit(f, "c.example", policy(f, STS_MODE_TESTING, 100, "x.example"), NOW));
    assert_true(try_commit(f, "a.example", policy(f, STS_MODE_ENFORCE, 200, "x.example"), NOW));
    assert_true(try_commit(f, "ab.example", policy(f, STS_MODE_NONE, 300, ""), NOW + 1));
    assert_true(try_commit(f, "b.example", policy(f, STS_MODE_NONE, 7, ""), NOW + 2));
    assert_true(try_end(f, "c.example", NOW + 3));
    assert_true(ledger_each_history(f->ledger, join_histories, &out, &f->diags));
    assert_string_equal(out.ptr, "a.example:enforce:200:current:260:-1 "
                                 "ab.example:none:300:current:-1700000000:1 "
                                 "b.example:none:7:current:562:2 "
                                 "c.example:testing:100:ended:163:-1 ");
    sts_buf_fini(&out);
}

static void join_instances(void *data, const struct ledger_instance *i)
{
    sts_buf_printf(data, "%.*s:%s:%u:%lld:%s ", STS_ARG(i->domain), sts_mode_name(i->mode),
                   i->max_age, (long long)(i->cached_until ? i->cached_until - NOW : -1),
                   i->last_served ? "ended" : "current");
}

static void each_instance_the_latest_first(void **state)
{
    struct fixture *f = *state;
    struct sts_buf out = {0};

    reopen(f, LEDGER_WRITE);
    assert_true(
        ledger_each_instance(f->ledger, STS_STR("a.example"), join_instances, &out, &f->diags));
    assert_int_equal(out.len, 0);
    commit_one(f, STS_MODE_ENFORCE, 1000, NOW);
    assert_true(try_commit(f, "b.example", numbered_policy(f, 1), NOW));
    commit_one(f, STS_MODE_TESTING, 100, NOW + 10);
    commit_one(f, STS_MODE_NONE, 10, NOW + 20);
    assert_true(
        ledger_each_instance(f->ledger, STS_STR("a.example"), join_instances, &out, &f->diags));
    assert_string_equal(out.ptr, "a.example:none:10:-1:current a.example:testing:100:180:ended "
                                 "a.example:enforce:1000:1070:ended ");
    sts_buf_fini(&out);
}

static void join_entries(void *data, const struct ledger_instance *i, bool readable)
{
    sts_buf_printf(data, "%.*s:%u:%s%s ", STS_ARG(i->domain), i->max_age,
                   i->last_served ? "ended" : "current", readable ? "" : ":damaged");
}

static bool entries_are(struct fixture *f, const char *domain, const char *expected)
{
    struct sts_buf out = {0};
    bool good = ledger_each_entry(f->ledger, sts_str_from(domain), join_entries, &out, &f->diags);

    assert_string_equal(out.len ? out.ptr : "", expected);
    sts_buf_fini(&out);
    return good;
}

static void each_entry_the_oldest_first(void **state)
{
    struct fixture *f = *state;

    reopen(f, LEDGER_WRITE);
    assert_true(entries_are(f, NULL, ""));
    commit_one(f, STS_MODE_ENFORCE, 1000, NOW);
    assert_true(try_commit(f, "b.example", numbered_policy(f, 1), NOW));
    commit_one(f, STS_MODE_TESTING, 100, NOW + 10);
    assert_true(try_commit(f, "aa.example", numbered_policy(f, 2), NOW));
    commit_one(f, STS_MODE_NONE, 10, NOW + 20);
    assert_true(try_end(f, "b.example", NOW + 30));
    assert_true(entries_are(f, NULL,
                            "a.example:1000:ended a.example:100:ended "
                            "a.example:10:current aa.example:86402:current "
                            "b.example:86401:ended "));
    assert_true(entries_are(f, "a.example",
                            "a.example:1000:ended a.example:100:ended "
                            "a.example:10:current "));
    assert_true(entries_are(f, "c.example", ""));
}

/* Each tenant is told of once, however many entries are damaged. */
static void each_entry_with_damaged_ones(void **state)
{
    struct fixture *f = *state;

    reopen(f, LEDGER_WRITE);
    for (unsigned i = 1; i <= 3; i++)
        commit_one(f, STS_MODE_ENFORCE, i, NOW + i);
    assert_true(try_commit(f, "b.example", numbered_policy(f, 1), NOW));
    raw_exec(f, "UPDATE instance SET body = 'x' WHERE max_age < 3");
    raw_exec(f, "UPDATE instance SET max_age = -1 WHERE domain = 'b.example'");
    assert_false(entries_are(f, "a.example",
                             "a.example:1:ended:damaged a.example:2:ended:damaged "
                             "a.example:3:current "));
    assert_true(sts_str_is(expect_diag(f, STS_ERROR, "ledger-corrupt")->tenant, "a.example"));
    assert_false(entries_are(f, NULL,
                             "a.example:1:ended:damaged a.example:2:ended:damaged "
                             "a.example:3:current b.example:31557600:current:damaged "));
    assert_int_equal(f->diags.errors, 2);
    assert_true(sts_str_is(f->diags.first->tenant, "a.example"));
    assert_true(sts_str_is(f->diags.first->next->tenant, "b.example"));
}

static void no_entries_without_the_table(void **state)
{
    struct fixture *f = *state;

    reopen(f, LEDGER_WRITE);
    raw_exec(f, "DROP TABLE instance");
    assert_false(entries_are(f, NULL, ""));
    expect_error(f, "ledger-failed");
}

/* What `all` says of a tenant, the single query says too. */
static void expect_same(void *data, const struct ledger_history *all)
{
    struct fixture *f = data;
    struct sts_pos nowhere = {0};
    struct ledger *second = ledger_open(f->path, LEDGER_READ, nowhere, &f->diags);
    struct ledger_history one;

    assert_non_null(second);
    assert_true(ledger_history(second, f->arena, all->latest.domain, &one, &f->diags));
    assert_true(sts_str_eq(one.latest.domain, all->latest.domain));
    assert_true(sts_str_eq(one.latest.body, all->latest.body));
    assert_string_equal(one.latest.id, all->latest.id);
    assert_int_equal(one.latest.last_served, all->latest.last_served);
    assert_int_equal(one.cached_until, all->cached_until);
    assert_int_equal(one.none_since, all->none_since);
    ledger_close(second);
}

/* By chance, against a model of one tenant that is told everything. */
static void as_a_model_says(void **state)
{
    static const enum sts_mode modes[] = {STS_MODE_NONE, STS_MODE_TESTING, STS_MODE_ENFORCE};
    struct fixture *f = *state;
    unsigned long long random = 11;
    time_t now = NOW, alive = 0, begun = 0, none = 0, ended = 0, current_age = -1;
    bool serves = false;
    enum sts_mode mode = STS_MODE_NONE;

    reopen(f, LEDGER_WRITE);
    for (unsigned step = 0; step < 600; step++) {
        unsigned what = fixture_random(&random) % 4, age = fixture_random(&random) % 3 * 1000;
        enum sts_mode next = modes[fixture_random(&random) % 3];
        now += (time_t)(fixture_random(&random) % 900) - 300;
        time_t end = now > begun ? now : begun;
        end = end > alive ? end : alive;
        bool replaced = what == 0 && serves && (next != mode || (time_t)age != current_age);
        if (serves && (replaced || what == 1)) {
            if (mode != STS_MODE_NONE && ended < end + MINUTE + current_age)
                ended = end + MINUTE + current_age;
            serves = false;
        }
        if (what == 0 && (replaced || current_age < 0 || !serves)) {
            if (next != STS_MODE_NONE)
                none = 0;
            else if (!none)
                none = now;
            if (!serves)
                begun = now;
            serves = true, mode = next, current_age = age;
        }
        if (what == 0)
            commit_one(f, next, age, now);
        else if (what == 1)
            assert_true(try_end(f, "a.example", now));
        else
            assert_true(ledger_touch(f->ledger, now, &f->diags));
        if (what > 1 && alive < now)
            alive = now;
        if (current_age < 0)
            continue;
        time_t last = begun > alive ? begun : alive, until = ended;
        if (serves && mode != STS_MODE_NONE && until < last + MINUTE + current_age)
            until = last + MINUTE + current_age;
        assert_int_equal(cached_until(f), until);
        assert_int_equal(history(f, "a.example").none_since, none);
        assert_true(ledger_each_history(f->ledger, expect_same, f, &f->diags));
    }
}

static void count_histories(void *data, const struct ledger_history *history)
{
    (void)history;
    ++*(size_t *)data;
}

static void many_histories(void **state)
{
    enum { COUNT = 3000 };
    struct fixture *f = *state;
    struct ledger_entry *entries = STS_ARRAY(f->arena, COUNT, struct ledger_entry);
    size_t count = 0;

    reopen(f, LEDGER_WRITE);
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT; i++)
            entries[i] =
                (struct ledger_entry){.domain = sts_arena_printf(f->arena, "t%zu.example", i),
                                      .policy = numbered_policy(f, (unsigned)i + round)};
        assert_true(ledger_serve(f->ledger, entries, COUNT, NOW + round, &f->diags));
    }
    assert_true(ledger_each_history(f->ledger, count_histories, &count, &f->diags));
    assert_int_equal(count, COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LEDGER(how_long_senders_may_hold_one),
        WITH_LEDGER(what_is_current_is_read_alone),
        WITH_LEDGER(mode_none_is_held_by_nobody),
        WITH_LEDGER(a_wrong_clock_forgets_nothing),
        WITH_LEDGER(dates_have_no_end),
        WITH_LEDGER(each_history_in_order),
        WITH_LEDGER(each_instance_the_latest_first),
        WITH_LEDGER(each_entry_the_oldest_first),
        WITH_LEDGER(each_entry_with_damaged_ones),
        WITH_LEDGER(no_entries_without_the_table),
        WITH_LEDGER(as_a_model_says),
        WITH_LEDGER(many_histories),
    };
    return cmocka_run_group_tests_name("ledger_history", tests, NULL, NULL);
}
