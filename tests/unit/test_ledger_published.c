/* Unit tests of server/ledger: what has been announced, what is still to be, and changes told
 * without the rest. */
#include "tests/unit/ledger_fixture.h"

static void join_unpublished(void *data, const struct ledger_instance *i)
{
    sts_buf_printf(data, "%s%.*s:%u ", i->last_served ? "-" : "+", STS_ARG(i->domain), i->max_age);
    assert_true(sts_id_check(sts_str_from(i->id)));
}

static void expect_unpublished(struct fixture *f, const char *expected)
{
    struct sts_buf out = {0};

    assert_true(ledger_each_unpublished(f->ledger, join_unpublished, &out, &f->diags));
    assert_string_equal(out.len ? out.ptr : "", expected);
    sts_buf_fini(&out);
}

static bool try_mark(struct fixture *f, const char *domain, const char *id, time_t now)
{
    const struct ledger_published item = {sts_str_from(domain), sts_str_from(id)};
    return ledger_mark_published(f->ledger, &item, 1, now, &f->diags);
}

/* As somebody does who publishes what is served now. */
static void mark_latest(struct fixture *f, const char *domain, time_t now)
{
    const struct ledger_instance i = latest(f, domain);
    assert_true(try_mark(f, domain, i.last_served ? "" : i.id, now));
}

static void everything_is_announced_once(void **state)
{
    struct fixture *f = *state;
    const struct ledger_entry entries[] = {
        {.domain = STS_STR("c.example"), .policy = numbered_policy(f, 1)},
        {.domain = STS_STR("a.example"), .policy = numbered_policy(f, 2)},
        {.domain = STS_STR("b.example"), .policy = numbered_policy(f, 3)}};

    reopen(f, LEDGER_WRITE);
    expect_unpublished(f, "");
    assert_true(ledger_serve(f->ledger, entries, 3, NOW, &f->diags));
    expect_unpublished(f, "+a.example:86402 +b.example:86403 +c.example:86401 ");
    mark_latest(f, "b.example", NOW + 1);
    expect_unpublished(f, "+a.example:86402 +c.example:86401 ");
    reopen(f, LEDGER_READ);
    expect_unpublished(f, "+a.example:86402 +c.example:86401 ");
    reopen(f, LEDGER_WRITE);
    mark_latest(f, "a.example", NOW + 2);
    mark_latest(f, "c.example", NOW + 2);
    expect_unpublished(f, "");
    assert_int_equal(raw_int(f, "SELECT at FROM published WHERE domain = 'b.example'"), NOW + 1);
    /* Being served on is no news. */
    assert_true(ledger_serve(f->ledger, entries, 3, NOW + 3, &f->diags));
    assert_true(ledger_touch(f->ledger, NOW + 4, &f->diags));
    expect_unpublished(f, "");
    assert_true(ledger_mark_published(f->ledger, NULL, 0, NOW, &f->diags));
}

static void a_change_is_announced_again(void **state)
{
    struct fixture *f = *state;

    reopen(f, LEDGER_WRITE);
    const char *first = id_after(f, "a.example", numbered_policy(f, 1), NOW);
    mark_latest(f, "a.example", NOW);
    assert_true(try_commit(f, "b.example", numbered_policy(f, 1), NOW));
    mark_latest(f, "b.example", NOW);
    const char *second = id_after(f, "a.example", numbered_policy(f, 2), NOW + 1);
    expect_unpublished(f, "+a.example:86402 ");
    /* It changes while it is being announced; back to what was announced is a change, too. */
    const char *third = id_after(f, "a.example", numbered_policy(f, 1), NOW + 2);
    assert_true(try_mark(f, "a.example", second, NOW + 3));
    expect_unpublished(f, "+a.example:86401 ");
    assert_true(try_mark(f, "a.example", first, NOW + 3));
    expect_unpublished(f, "+a.example:86401 ");
    assert_true(try_mark(f, "a.example", third, NOW + 3));
    expect_unpublished(f, "");
    assert_true(try_mark(f, "a.example", third, NOW + 4)); /* said twice */
    expect_unpublished(f, "");
    /* Somebody took the record away by hand and says so. */
    assert_true(try_mark(f, "a.example", "", NOW + 5));
    expect_unpublished(f, "+a.example:86401 ");
}

static void what_is_served_no_more_is_withdrawn(void **state)
{
    struct fixture *f = *state;

    reopen(f, LEDGER_WRITE);
    const char *id = id_after(f, "a.example", numbered_policy(f, 1), NOW);
    /* Never announced: DNS has nothing to take back. */
    assert_true(try_end(f, "a.example", NOW + 1));
    expect_unpublished(f, "");
    /* But it was being announced just then. */
    assert_true(try_mark(f, "a.example", id, NOW + 2));
    expect_unpublished(f, "-a.example:86401 ");
    assert_true(try_end(f, "a.example", NOW + 3));
    expect_unpublished(f, "-a.example:86401 ");
    assert_true(try_mark(f, "a.example", "", NOW + 4));
    expect_unpublished(f, "");
    assert_int_equal(raw_int(f, "SELECT count(*) FROM published"), 0);
    /* It comes back, is announced, ends, and comes back before the record is withdrawn. */
    assert_true(try_commit(f, "a.example", numbered_policy(f, 1), NOW + 5));
    expect_unpublished(f, "+a.example:86401 ");
    mark_latest(f, "a.example", NOW + 5);
    assert_true(try_end(f, "a.example", NOW + 6));
    assert_true(try_commit(f, "a.example", numbered_policy(f, 2), NOW + 7));
    expect_unpublished(f, "+a.example:86402 ");
    assert_true(try_mark(f, "a.example", "", NOW + 8)); /* withdrawn too late */
    expect_unpublished(f, "+a.example:86402 ");
    mark_latest(f, "a.example", NOW + 9);
    expect_unpublished(f, "");
}

/* By chance, with a plain comparison of both tables as the judge. */
static void as_a_comparison_says(void **state)
{
    static const char *const domains[] = {"a.example", "b.example", "c.example"};
    static const char *const judge =
        "SELECT coalesce(group_concat(sign || domain || ' ', ''), '') FROM ("
        "SELECT CASE WHEN i.last_served IS NULL THEN '+' ELSE '-' END AS sign, i.domain AS domain "
        "FROM instance i LEFT JOIN published p ON p.domain = i.domain "
        "WHERE i.seq = (SELECT max(seq) FROM instance WHERE domain = i.domain) AND "
        "CASE WHEN i.last_served IS NULL THEN p.id IS NOT i.id ELSE p.id IS NOT NULL END "
        "ORDER BY i.domain)";
    struct fixture *f = *state;
    char seen[3][STS_ID_MAX + 1] = {{0}};
    unsigned long long random = 5;
    unsigned most = 0;

    reopen(f, LEDGER_WRITE);
    for (unsigned step = 0; step < 1500; step++) {
        unsigned d = fixture_random(&random) % 3, what = fixture_random(&random) % 6;
        time_t now = NOW + (time_t)(fixture_random(&random) % 100);
        struct ledger_history h;
        bool known = ledger_history(f->ledger, f->arena, sts_str_from(domains[d]), &h, &f->diags);
        if (what < 2)
            assert_true(try_commit(f, domains[d], numbered_policy(f, step % 5), now));
        else if (what == 2)
            assert_true(try_end(f, domains[d], now));
        else if (what == 3 && known) /* somebody begins to publish */
            strcpy(seen[d], h.latest.last_served ? "" : h.latest.id);
        else if (what > 3 && known) /* and is done */
            assert_true(try_mark(f, domains[d], seen[d], now));
        struct sts_buf out = {0};
        assert_true(ledger_each_unpublished(f->ledger, join_unpublished, &out, &f->diags));
        struct sts_buf bare = {0};
        for (size_t i = 0; i < out.len; i++)
            if (out.ptr[i] == ':')
                i += 5;
            else
                sts_buf_add(&bare, (struct sts_str){out.ptr + i, 1});
        assert_true(sts_str_is(sts_buf_str(&bare), raw_text(f, judge)));
        most = out.len > most ? (unsigned)out.len : most;
        sts_buf_fini(&out);
        sts_buf_fini(&bare);
    }
    assert_true(most > 40); /* all three at once, at times */
    expect_consistent(f);
}

static void marks_are_all_or_nothing(void **state)
{
    struct fixture *f = *state;
    char id[2][STS_ID_MAX + 1];

    reopen(f, LEDGER_WRITE);
    for (int i = 0; i < 2; i++)
        strcpy(id[i], id_after(f, i ? "b.example" : "a.example", numbered_policy(f, 1), NOW));
    const struct ledger_published items[] = {{STS_STR("a.example"), sts_str_from(id[0])},
                                             {STS_STR("b.example"), sts_str_from(id[1])}};
    raw_exec(f, "CREATE TRIGGER stop BEFORE INSERT ON published WHEN new.domain = 'b.example' "
                "BEGIN SELECT raise(ABORT, 'no'); END");
    assert_false(ledger_mark_published(f->ledger, items, 2, NOW, &f->diags));
    expect_error(f, "ledger-failed");
    expect_unpublished(f, "+a.example:86401 +b.example:86401 ");
    raw_exec(f, "DROP TRIGGER stop");
    assert_true(ledger_mark_published(f->ledger, items, 2, NOW, &f->diags));
    expect_unpublished(f, "");
    /* Neither a damaged entry nor a missing table goes unnoticed. */
    assert_true(try_commit(f, "a.example", numbered_policy(f, 2), NOW + 1));
    assert_true(try_commit(f, "b.example", numbered_policy(f, 2), NOW + 1));
    raw_exec(f, "UPDATE instance SET body = '' WHERE domain = 'a.example'");
    struct sts_buf out = {0};
    assert_false(ledger_each_unpublished(f->ledger, join_unpublished, &out, &f->diags));
    assert_true(sts_str_is(expect_diag(f, STS_ERROR, "ledger-corrupt")->tenant, "a.example"));
    assert_true(sts_str_is(sts_buf_str(&out), "+b.example:86402 "));
    sts_buf_fini(&out);
    raw_exec(f, "DROP TABLE unpublished");
    assert_false(ledger_each_unpublished(f->ledger, join_unpublished, NULL, &f->diags));
    expect_error(f, "ledger-failed");
    assert_false(try_mark(f, "a.example", "", NOW));
    expect_error(f, "ledger-failed");
    raw_exec(f, "PRAGMA user_version = 99");
    assert_false(ledger_each_unpublished(f->ledger, join_unpublished, NULL, &f->diags));
    expect_error(f, "ledger-newer");
    assert_false(try_mark(f, "a.example", "", NOW));
    expect_error(f, "ledger-newer");
    ledger_close(f->ledger);
    f->ledger = NULL;
}

static const char *ids_of(struct fixture *f)
{
    return raw_text(f,
                    "SELECT group_concat(x, ' ') FROM (SELECT domain || ':' || max_age || ':' || "
                    "coalesce(last_served, 'now') AS x FROM instance ORDER BY seq)");
}

/* What a server that knows what changed tells is what it would tell with everything. */
static void a_change_without_the_rest(void **state)
{
    struct fixture *f = *state;
    const struct ledger_entry entries[] = {
        {.domain = STS_STR("a.example"), .policy = numbered_policy(f, 1)},
        {.domain = STS_STR("b.example"), .policy = numbered_policy(f, 1)},
        {.domain = STS_STR("c.example"), .policy = numbered_policy(f, 1)}};
    const struct ledger_entry changed[] = {
        {.domain = STS_STR("d.example"), .policy = numbered_policy(f, 2)},
        {.domain = STS_STR("a.example"), .policy = numbered_policy(f, 2)}};
    const struct sts_str ended[] = {STS_STR("c.example")};
    const struct ledger_change change = {changed, 2, ended, 1}, nothing = {0};

    reopen(f, LEDGER_WRITE);
    assert_false(
        ledger_change(f->ledger, &change, NOW, &f->diags)); /* who says what the rest is? */
    expect_error(f, "ledger-replaced");
    assert_int_equal(raw_int(f, "SELECT count(*) FROM instance"), 0);
    assert_true(ledger_serve(f->ledger, entries, 3, NOW, &f->diags));
    assert_true(ledger_change(f->ledger, &change, NOW + 10, &f->diags));
    assert_string_equal(ids_of(f), "a.example:86401:1700000010 b.example:86401:now "
                                   "c.example:86401:1700000010 d.example:86402:now "
                                   "a.example:86402:now");
    assert_int_equal(raw_int(f, "SELECT at FROM alive"), NOW + 10);
    assert_true(ledger_change(f->ledger, &nothing, NOW + 20, &f->diags));
    assert_int_equal(raw_int(f, "SELECT at FROM alive"), NOW + 20);
    assert_int_equal(raw_int(f, "SELECT count(*) FROM instance"), 5);
    expect_consistent(f);
    /* One that could not be written may not be built upon. */
    raw_exec(f,
             "CREATE TRIGGER stop BEFORE INSERT ON instance BEGIN SELECT raise(ABORT, 'no'); END");
    const struct ledger_entry again[] = {
        {.domain = STS_STR("e.example"), .policy = numbered_policy(f, 3)}};
    const struct ledger_change one = {again, 1, ended, 1};
    assert_false(ledger_change(f->ledger, &one, NOW + 30, &f->diags));
    expect_error(f, "ledger-failed");
    assert_int_equal(raw_int(f, "SELECT at FROM alive"), NOW + 20);
    raw_exec(f, "DROP TRIGGER stop");
    assert_false(ledger_change(f->ledger, &one, NOW + 30, &f->diags));
    expect_error(f, "ledger-replaced");
    assert_true(ledger_serve(f->ledger, entries, 3, NOW + 40, &f->diags));
    assert_true(ledger_change(f->ledger, &one, NOW + 50, &f->diags));
    assert_int_equal(latest(f, "c.example").last_served, NOW + 50);
    assert_int_equal(latest(f, "e.example").first_served, NOW + 50);
    expect_consistent(f);
    /* Another file in its place: what it says of the rest is not what is served. */
    assert_int_equal(unlink(f->path), 0);
    ledger_close(ledger_open(f->path, LEDGER_WRITE, fixture_where(), &f->diags));
    assert_false(ledger_change(f->ledger, &one, NOW + 60, &f->diags));
    assert_non_null(f->diags.first);
    assert_string_equal(f->diags.first->code, "ledger-replaced");
    assert_int_equal(f->diags.first->severity, STS_WARNING);
    assert_int_equal(f->diags.errors, 1);
    sts_diags_init(&f->diags, f->arena);
    assert_int_equal(raw_int(f, "SELECT count(*) FROM instance"), 0);
    assert_true(ledger_serve(f->ledger, entries, 3, NOW + 70, &f->diags));
    assert_true(ledger_change(f->ledger, &one, NOW + 80, &f->diags));
    assert_int_equal(raw_int(f, "SELECT count(*) FROM instance"), 4);
    expect_unpublished(f, "+a.example:86401 +b.example:86401 +e.example:86403 ");
}

/* What was told last, of one tenant. */
static void one_announcement(void **state)
{
    struct fixture *f = *state;
    const struct sts_str a = STS_STR("a.example");
    struct ledger_announced told = {.at = 7};

    reopen(f, LEDGER_WRITE);
    const char *id = id_after(f, "a.example", numbered_policy(f, 1), NOW);
    assert_false(ledger_announced(f->ledger, a, &told, &f->diags));
    assert_int_equal(told.at, 7);
    assert_true(try_mark(f, "a.example", id, NOW + 1));
    assert_true(ledger_announced(f->ledger, a, &told, &f->diags));
    assert_string_equal(told.id, id);
    assert_int_equal(told.at, NOW + 1);
    assert_false(ledger_announced(f->ledger, STS_STR("b.example"), &told, &f->diags));
    assert_int_equal(f->diags.errors, 0);
    raw_exec(f, "UPDATE published SET id = 'no-id'");
    assert_false(ledger_announced(f->ledger, a, &told, &f->diags));
    expect_error(f, "ledger-corrupt");
    assert_true(try_mark(f, "a.example", "", NOW + 2));
    assert_false(ledger_announced(f->ledger, a, &told, &f->diags));
    raw_exec(f, "DROP TABLE published");
    assert_false(ledger_announced(f->ledger, a, &told, &f->diags));
    expect_error(f, "ledger-failed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LEDGER(everything_is_announced_once),
        WITH_LEDGER(a_change_is_announced_again),
        WITH_LEDGER(what_is_served_no_more_is_withdrawn),
        WITH_LEDGER(as_a_comparison_says),
        WITH_LEDGER(marks_are_all_or_nothing),
        WITH_LEDGER(a_change_without_the_rest),
        WITH_LEDGER(one_announcement),
    };
    return cmocka_run_group_tests_name("ledger_published", tests, NULL, NULL);
}
