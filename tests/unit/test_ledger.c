/* Unit tests of server/ledger: ids, and what is remembered of each policy. */
#include "server/ledger/insert.h"
#include "tests/unit/ledger_fixture.h"

/* RFC 8461 §3.1: an id is made of the change; everything about it is remembered. */
static void a_first_policy_is_remembered(void **state)
{
    struct fixture *f = *state;
    struct sts_policy *p = policy(f, STS_MODE_ENFORCE, 604800, "mx2.example.org *.example.net");
    unsigned char digest[STS_DIGEST_LEN];
    char id[STS_ID_MAX + 1];

    reopen(f, LEDGER_WRITE);
    assert_true(try_commit(f, "example.org", p, NOW));
    sts_policy_digest(p, digest);
    sts_id_render(NOW, digest, id);
    for (int pass = 0; pass < 2; pass++) {
        struct ledger_instance i = latest(f, "example.org");
        assert_true(sts_str_is(i.domain, "example.org"));
        assert_string_equal(i.id, id);
        assert_memory_equal(i.digest, digest, sizeof(digest));
        assert_true(sts_str_is(i.body, "version: STSv1\r\nmode: enforce\r\nmx: *.example.net\r\n"
                                       "mx: mx2.example.org\r\nmax_age: 604800\r\n"));
        assert_int_equal(i.mode, STS_MODE_ENFORCE);
        assert_int_equal(i.max_age, 604800);
        assert_int_equal(i.first_served, NOW);
        assert_int_equal(i.last_served, 0);
        reopen(f, LEDGER_READ);
    }
    struct ledger_instance none;
    assert_false(ledger_latest(f->ledger, f->arena, STS_STR("example.com"), &none, &f->diags));
    assert_int_equal(f->diags.errors, 0);
}

static void the_same_policy_keeps_its_id(void **state)
{
    struct fixture *f = *state;

    reopen(f, LEDGER_WRITE);
    const char *id =
        id_after(f, "a.example", policy(f, STS_MODE_TESTING, 86400, "x.example y.example"), NOW);
    assert_string_equal(id, id_after(f, "a.example",
                                     policy(f, STS_MODE_TESTING, 86400, "x.example y.example"),
                                     NOW + 100));
    /* The order of mx has no meaning, nor has saying one twice. */
    assert_string_equal(
        id,
        id_after(f, "a.example",
                 policy(f, STS_MODE_TESTING, 86400, "y.example x.example y.example"), NOW + 200));
    reopen(f, LEDGER_WRITE);
    assert_string_equal(id, id_after(f, "a.example",
                                     policy(f, STS_MODE_TESTING, 86400, "x.example y.example"),
                                     NOW - 100));
    assert_int_equal(raw_int(f, "SELECT count(*) FROM instance"), 1);
    assert_int_equal(latest(f, "a.example").first_served, NOW);
}

static void every_change_gives_a_new_id(void **state)
{
    struct fixture *f = *state;
    struct sts_policy *all[] = {
        policy(f, STS_MODE_TESTING, 86400, "x.example"),
        policy(f, STS_MODE_ENFORCE, 86400, "x.example"),
        policy(f, STS_MODE_ENFORCE, 86401, "x.example"),
        policy(f, STS_MODE_ENFORCE, 86401, "x.example y.example"),
        policy(f, STS_MODE_ENFORCE, 86401, "*.x.example y.example"),
        policy(f, STS_MODE_NONE, 86401, ""),
    };
    enum { COUNT = sizeof(all) / sizeof(*all) };
    const char *before = "";

    reopen(f, LEDGER_WRITE);
    for (size_t i = 0; i < COUNT; i++) {
        const char *id = id_after(f, "a.example", all[i], NOW + (time_t)i * 10);
        assert_true(strcmp(before, id) < 0);
        before = id;
    }
    assert_int_equal(raw_int(f, "SELECT count(*) FROM instance WHERE last_served IS NOT NULL AND "
                                "last_served = first_served + 10"),
                     COUNT - 1);
    expect_consistent(f);
}

/* C4: a sender may hold the new body under the old id, so that id may never come back. */
static void a_revert_gives_a_new_id(void **state)
{
    struct fixture *f = *state;
    struct sts_policy *one = numbered_policy(f, 1), *two = numbered_policy(f, 2);

    reopen(f, LEDGER_WRITE);
    const char *first = id_after(f, "a.example", one, NOW);
    const char *second = id_after(f, "a.example", two, NOW + 5);
    const char *third = id_after(f, "a.example", one, NOW + 9);
    assert_true(strcmp(first, second) < 0 && strcmp(second, third) < 0);
    assert_string_equal(first + 14, third + 14); /* the digest's part is the same */
}

static void changes_within_one_second(void **state)
{
    struct fixture *f = *state;
    const char *before = "";

    reopen(f, LEDGER_WRITE);
    for (unsigned i = 0; i < 6; i++) {
        const char *id = id_after(f, "a.example", numbered_policy(f, i % 2), NOW);
        assert_true(strcmp(before, id) < 0);
        before = id;
    }
    assert_int_equal(latest(f, "a.example").first_served, NOW);
    /* Tenants do not disturb each other. */
    time_t time;
    assert_true(
        sts_id_time(sts_str_from(id_after(f, "b.example", numbered_policy(f, 1), NOW)), &time));
    assert_int_equal(time, NOW);
    expect_consistent(f);
}

static void a_clock_that_goes_back(void **state)
{
    struct fixture *f = *state;
    const time_t times[] = {NOW, NOW - 1, NOW - 86400, 0, -1, INT64_MIN, 1, NOW + 3, NOW + 50};
    const char *before = "";

    reopen(f, LEDGER_WRITE);
    for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
        const char *id = id_after(f, "a.example", numbered_policy(f, i % 3), times[i]);
        assert_true(strcmp(before, id) < 0);
        before = id;
    }
    expect_consistent(f);
    /* An instance that began and ended before 1970 still has an end. */
    assert_true(try_commit(f, "b.example", numbered_policy(f, 1), 0));
    assert_true(try_end(f, "b.example", 0));
    assert_true(latest(f, "b.example").last_served > 0);
}

/* A clock that once stood at the end of time must not stop a tenant for ever. */
static void the_end_of_time(void **state)
{
    struct fixture *f = *state;
    const time_t times[] = {253402300799, 253402300800, INT64_MAX, NOW, NOW, 253402300799, NOW + 1};

    reopen(f, LEDGER_WRITE);
    for (unsigned round = 0; round < 4; round++)
        for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++)
            id_after(f, "a.example", numbered_policy(f, (unsigned)i % 2), times[i]);
    assert_int_equal(raw_int(f, "SELECT count(*) - count(DISTINCT id) FROM instance"), 0);
    assert_true(raw_int(f, "SELECT count(*) FROM instance") > 20);
}

/* An id of another form, put in by hand, is not repeated either. */
static void foreign_ids_are_respected(void **state)
{
    struct fixture *f = *state;

    reopen(f, LEDGER_WRITE);
    const char *first = id_after(f, "a.example", numbered_policy(f, 1), NOW);
    id_after(f, "a.example", numbered_policy(f, 2), NOW + 1);
    raw_exec(f, "UPDATE instance SET id = 'handmade' WHERE seq = 2");
    const char *third = id_after(f, "a.example", numbered_policy(f, 1), NOW);
    assert_string_not_equal(first, third);
    assert_int_equal(raw_int(f, "SELECT count(*) FROM instance"), 3);
}

/* Thousands of changes by chance: the id is new if and only if the policy is. */
static void ids_are_unique_whatever_happens(void **state)
{
    struct fixture *f = *state;
    static const char *const domains[] = {"a.example", "b.example", "c.example"};
    struct sts_policy *policies[4];
    unsigned current[3] = {9, 9, 9};
    char ids[3][STS_ID_MAX + 1] = {{0}};
    unsigned long long random = 42;
    time_t now = NOW;

    for (unsigned i = 0; i < 4; i++)
        policies[i] = numbered_policy(f, i);
    reopen(f, LEDGER_WRITE);
    for (unsigned step = 0; step < 3000; step++) {
        unsigned d = fixture_random(&random) % 3, p = fixture_random(&random) % 4;
        struct sts_arena *arena = sts_arena_new();
        struct ledger_instance i;

        now += (time_t)(fixture_random(&random) % 200) - 100;
        if (step % 500 == 499)
            reopen(f, LEDGER_WRITE);
        if (fixture_random(&random) % 10 == 0) {
            assert_true(try_end(f, domains[d], now));
            current[d] = 9;
        }
        assert_true(try_commit(f, domains[d], policies[p], now));
        assert_true(ledger_latest(f->ledger, arena, sts_str_from(domains[d]), &i, &f->diags));
        assert_true(sts_id_check(sts_str_from(i.id)));
        if (current[d] == p)
            assert_string_equal(i.id, ids[d]);
        else
            assert_true(strcmp(ids[d], i.id) < 0);
        memcpy(ids[d], i.id, sizeof(ids[d]));
        current[d] = p;
        sts_arena_free(arena);
    }
    assert_true(raw_int(f, "SELECT count(*) FROM instance") > 2000);
    expect_consistent(f);
}

static void an_ended_tenant_that_comes_back(void **state)
{
    struct fixture *f = *state;
    struct sts_policy *p = numbered_policy(f, 1);

    reopen(f, LEDGER_WRITE);
    const char *first = id_after(f, "a.example", p, NOW);
    assert_true(try_end(f, "a.example", NOW + 10));
    assert_int_equal(latest(f, "a.example").last_served, NOW + 10);
    assert_string_equal(latest(f, "a.example").id, first);
    assert_true(try_end(f, "a.example", NOW + 20)); /* it already was */
    assert_int_equal(latest(f, "a.example").last_served, NOW + 10);
    assert_true(try_end(f, "unknown.example", NOW));
    assert_true(strcmp(first, id_after(f, "a.example", p, NOW + 30)) < 0);
    assert_int_equal(latest(f, "a.example").last_served, 0);
    expect_consistent(f);
}

static void several_at_once(void **state)
{
    struct fixture *f = *state;
    const struct ledger_entry entries[] = {
        {.domain = STS_STR("b.example"), .policy = numbered_policy(f, 1)},
        {.domain = STS_STR("a.example"), .policy = numbered_policy(f, 2)},
    };

    reopen(f, LEDGER_WRITE);
    assert_true(ledger_commit(f->ledger, entries, 2, NOW, &f->diags));
    assert_true(ledger_commit(f->ledger, NULL, 0, NOW, &f->diags));
    assert_true(ledger_end(f->ledger, NULL, 0, NOW, &f->diags));
    assert_int_equal(latest(f, "b.example").max_age, 86401);
    assert_int_equal(latest(f, "a.example").max_age, 86402);
    expect_consistent(f);
}

/* Rows are written by the piece; as many policies as there are tenants, some with mx in one place.
 */
static void many_at_once(void **state)
{
    enum { MOST = 2 * INSERT_ROWS + 1 };
    const size_t counts[] = {1, INSERT_ROWS - 1, INSERT_ROWS, INSERT_ROWS + 1, MOST};
    struct fixture *f = *state;
    struct ledger_entry entries[MOST];

    for (size_t round = 0; round < 2 * sizeof(counts) / sizeof(*counts); round++) {
        size_t count = counts[round / 2];
        reopen(f, LEDGER_WRITE);
        if (round % 2 == 0) /* on an empty ledger; else each but the first is a change */
            raw_exec(f, "DELETE FROM instance; DELETE FROM unpublished");
        raw_exec(f, "DELETE FROM unpublished");
        for (size_t i = 0; i < count; i++) {
            struct sts_policy *p = numbered_policy(f, (unsigned)(i ? 100 * round + i : 0));
            if (i % 2)
                p->mx = entries[i - 1].policy->mx;
            entries[i] = (struct ledger_entry){
                .domain = sts_arena_printf(f->arena, "t%03zu.example", (i * 7) % 1000),
                .policy = p};
        }
        assert_true(ledger_commit(f->ledger, entries, count, NOW + (time_t)round, &f->diags));
        for (size_t i = 0; i < count; i++) {
            struct ledger_instance found = latest(f, entries[i].domain.ptr);
            struct sts_buf body = {0};
            sts_policy_render(&body, entries[i].policy);
            assert_true(sts_str_eq(found.body, sts_buf_str(&body)));
            assert_int_equal(found.max_age, entries[i].policy->max_age);
            assert_int_equal(found.first_served, NOW + (time_t)(i ? round : round / 2 * 2));
            sts_buf_fini(&body);
        }
        assert_int_equal(raw_int(f, "SELECT count(*) FROM instance"),
                         round % 2 ? 2 * count - 1 : count);
        assert_int_equal(raw_int(f, "SELECT count(*) FROM unpublished"),
                         round % 2 ? count - 1 : count);
        assert_int_equal(f->diags.errors, 0);
        expect_consistent(f);
    }
}

/* Exactly these are served now: what was removed while the server was down ends, too. */
static void serving_ends_all_others(void **state)
{
    struct fixture *f = *state;
    const struct ledger_entry entries[] = {
        {.domain = STS_STR("c.example"), .policy = numbered_policy(f, 1)},
        {.domain = STS_STR("a.example"), .policy = numbered_policy(f, 2)},
        {.domain = STS_STR("b.example"), .policy = numbered_policy(f, 3)},
    };

    reopen(f, LEDGER_WRITE);
    assert_true(ledger_serve(f->ledger, entries, 3, NOW, &f->diags));
    assert_int_equal(raw_int(f, "SELECT count(*) FROM instance WHERE last_served IS NULL"), 3);
    assert_int_equal(raw_int(f, "SELECT at FROM alive"), NOW);
    const char *a = sts_arena_dup(f->arena, sts_str_from(latest(f, "a.example").id)).ptr;
    const char *c = sts_arena_dup(f->arena, sts_str_from(latest(f, "c.example").id)).ptr;
    reopen(f, LEDGER_WRITE);
    assert_true(ledger_serve(f->ledger, entries + 1, 1, NOW + 50, &f->diags));
    assert_string_equal(latest(f, "a.example").id, a);
    assert_int_equal(latest(f, "a.example").last_served, 0);
    assert_int_equal(latest(f, "b.example").last_served, NOW + 50);
    assert_int_equal(latest(f, "c.example").last_served, NOW + 50);
    assert_int_equal(raw_int(f, "SELECT at FROM alive"), NOW + 50);
    assert_true(ledger_serve(f->ledger, entries, 3, NOW + 60, &f->diags));
    assert_string_equal(latest(f, "a.example").id, a);
    assert_true(strcmp(c, latest(f, "c.example").id) < 0);
    /* Nothing at all is served. */
    assert_true(ledger_serve(f->ledger, NULL, 0, NOW + 70, &f->diags));
    assert_int_equal(raw_int(f, "SELECT count(*) FROM instance WHERE last_served IS NULL"), 0);
    expect_consistent(f);
    raw_exec(f, "DROP TABLE alive");
    assert_false(ledger_serve(f->ledger, entries, 3, NOW + 80, &f->diags));
    expect_error(f, "ledger-failed");
    assert_int_equal(raw_int(f, "SELECT count(*) FROM instance WHERE last_served IS NULL"), 0);
}

static void join_files(void *data, const struct ledger_instance *i)
{
    sts_buf_printf(data, "%.*s:%.*s ", STS_ARG(i->domain), STS_ARG(i->file));
}

static void expect_files(struct fixture *f, const char *files)
{
    struct sts_buf text = {0};

    assert_true(ledger_each_current(f->ledger, join_files, &text, &f->diags));
    assert_string_equal(text.ptr, files);
    sts_buf_fini(&text);
}

/* Where a tenant was served from last is remembered, and makes no instance and no id. */
static void files_are_remembered(void **state)
{
    struct fixture *f = *state;
    struct ledger_entry entries[40];

    reopen(f, LEDGER_WRITE);
    for (size_t i = 0; i < 40; i++) /* more than one statement takes */
        entries[i] =
            (struct ledger_entry){.domain = sts_arena_printf(f->arena, "t%02zu.example", i),
                                  .policy = numbered_policy(f, 1),
                                  .file = i % 2 ? STS_STR("") : STS_STR("a.yaml")};
    assert_true(ledger_serve(f->ledger, entries, 40, NOW, &f->diags));
    assert_int_equal(raw_int(f, "SELECT count(*) FROM instance WHERE file = 'a.yaml'"), 20);
    assert_int_equal(raw_int(f, "SELECT count(*) FROM instance WHERE file IS NULL"), 20);
    assert_true(ledger_serve(f->ledger, entries, 3, NOW, &f->diags));
    expect_files(f, "t00.example:a.yaml t01.example: t02.example:a.yaml ");
    const char *id = latest(f, "t00.example").id;
    entries[0].file = STS_STR("b.yaml"); /* it moves */
    entries[1].file = STS_STR("b.yaml"); /* it is known now */
    entries[2].file = STS_STR("");       /* it is not known: what was stays */
    struct ledger_change change = {.entries = entries, .count = 3};
    assert_true(ledger_change(f->ledger, &change, NOW + 1, &f->diags));
    expect_files(f, "t00.example:b.yaml t01.example:b.yaml t02.example:a.yaml ");
    assert_string_equal(latest(f, "t00.example").id, id);
    assert_int_equal(raw_int(f, "SELECT count(*) FROM instance"), 40);
    /* Nothing is written, so nobody is waited for. */
    sqlite3 *other = raw_open(f);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_true(ledger_commit(f->ledger, entries, 3, NOW + 1, &f->diags));
    sqlite3_close(other);
    entries[0].policy = numbered_policy(f, 2);
    entries[2].policy = numbered_policy(f, 2);
    assert_true(ledger_commit(f->ledger, entries, 3, NOW + 2, &f->diags));
    expect_files(f, "t00.example:b.yaml t01.example:b.yaml t02.example: ");
    reopen(f, LEDGER_READ);
    expect_files(f, "t00.example:b.yaml t01.example:b.yaml t02.example: ");
    assert_int_equal(f->diags.errors, 0);
}

/* One entry that cannot be written takes back all others. */
static void all_or_nothing(void **state)
{
    struct fixture *f = *state;
    const struct ledger_entry entries[] = {
        {.domain = STS_STR("a.example"), .policy = numbered_policy(f, 2)},
        {.domain = STS_STR("b.example"), .policy = numbered_policy(f, 2)},
        {.domain = STS_STR("c.example"), .policy = numbered_policy(f, 2)},
    };

    reopen(f, LEDGER_WRITE);
    const char *id = id_after(f, "a.example", numbered_policy(f, 1), NOW);
    raw_exec(f, "CREATE TRIGGER stop BEFORE INSERT ON instance WHEN new.domain = 'c.example' "
                "BEGIN SELECT raise(ABORT, 'no'); END");
    assert_false(ledger_commit(f->ledger, entries, 3, NOW + 1, &f->diags));
    expect_error(f, "ledger-failed");
    assert_int_equal(raw_int(f, "SELECT count(*) FROM instance"), 1);
    assert_string_equal(latest(f, "a.example").id, id);
    assert_int_equal(latest(f, "a.example").last_served, 0);
    raw_exec(f, "DROP TRIGGER stop");
    assert_true(ledger_commit(f->ledger, entries, 3, NOW + 2, &f->diags));
    assert_int_equal(raw_int(f, "SELECT count(*) FROM instance"), 4);
}

static void join_domains(void *data, const struct ledger_history *h)
{
    sts_buf_printf(data, "%.*s:%u ", STS_ARG(h->latest.domain), h->latest.max_age);
}

static void count_instance(void *data, const struct ledger_instance *i)
{
    assert_true(sts_id_check(sts_str_from(i->id)));
    ++*(int *)data;
}

/* A body from the ledger may be served again, so a damaged one must not pass; nor hurt others. */
static void a_damaged_entry_is_refused_alone(void **state)
{
    struct fixture *f = *state;
    static const char *const damages[] = {
        "body = replace(body, 'mx.example.org', 'mx.example.net')",
        "body = ''",
        "digest = zeroblob(32)",
        "digest = x'00'",
        "id = 'no-id'",
        "id = ''",
        "mode = 'enforced'",
        "max_age = -1",
        "max_age = 31557601",
    };

    for (size_t i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
        struct ledger_instance untouched = {.max_age = 7};
        struct sts_buf out = {0};
        char sql[200];

        reopen(f, LEDGER_WRITE);
        assert_true(try_commit(f, "a.example", numbered_policy(f, 1), NOW));
        assert_true(try_commit(f, "b.example", numbered_policy(f, 3), NOW));
        assert_true(try_commit(f, "c.example", numbered_policy(f, 5), NOW));
        snprintf(sql, sizeof(sql), "UPDATE instance SET %s WHERE domain = 'b.example'", damages[i]);
        raw_exec(f, sql);
        assert_false(
            ledger_latest(f->ledger, f->arena, STS_STR("b.example"), &untouched, &f->diags));
        assert_true(sts_str_is(expect_diag(f, STS_ERROR, "ledger-corrupt")->tenant, "b.example"));
        assert_int_equal(untouched.max_age, 7);
        assert_false(ledger_each_history(f->ledger, join_domains, &out, &f->diags));
        assert_true(sts_str_is(expect_diag(f, STS_ERROR, "ledger-corrupt")->tenant, "b.example"));
        assert_string_equal(out.ptr, "a.example:86401 c.example:86405 ");
        sts_buf_fini(&out);
        struct ledger_history none = {.cached_until = 7};
        assert_false(ledger_history(f->ledger, f->arena, STS_STR("b.example"), &none, &f->diags));
        expect_error(f, "ledger-corrupt");
        assert_int_equal(none.cached_until, 7);
        /* An older one that is damaged hides nothing: the worst is assumed of it. */
        assert_true(try_commit(f, "b.example", numbered_policy(f, 7), NOW + 1));
        assert_int_equal(history(f, "b.example").cached_until,
                         NOW + 61 + (i < 7 ? 86407 : (time_t)STS_MAX_AGE_LIMIT));
        int count = 0;
        assert_false(ledger_each_instance(f->ledger, STS_STR("b.example"), count_instance, &count,
                                          &f->diags));
        assert_true(sts_str_is(expect_diag(f, STS_ERROR, "ledger-corrupt")->tenant, "b.example"));
        assert_int_equal(count, 1);
        raw_exec(f, "DELETE FROM instance");
    }
}

/* Live values come and go with snapshots; a ledger outlives them. */
static void diagnostics_borrow_nothing(void **state)
{
    struct fixture *f = *state;
    struct sts_arena *brief = sts_arena_new();
    struct sts_pos where = {sts_arena_dup(brief, STS_STR("mta-stsd.yaml")), 3, 9};

    f->ledger = ledger_open(f->path, LEDGER_WRITE, where, &f->diags);
    assert_non_null(f->ledger);
    sts_arena_free(brief);
    raw_exec(f, "DROP TABLE alive");
    assert_false(ledger_touch(f->ledger, NOW, &f->diags));
    expect_error(f, "ledger-failed");
    struct ledger_history h;
    assert_false(ledger_history(f->ledger, f->arena, STS_STR("a.example"), &h, &f->diags));
    expect_error(f, "ledger-failed");
    raw_exec(f, "DROP TABLE instance");
    struct ledger_instance i;
    assert_false(ledger_latest(f->ledger, f->arena, STS_STR("a.example"), &i, &f->diags));
    expect_error(f, "ledger-failed");
    assert_false(ledger_each_history(f->ledger, join_domains, NULL, &f->diags));
    expect_error(f, "ledger-failed");
    assert_false(
        ledger_each_instance(f->ledger, STS_STR("a.example"), count_instance, NULL, &f->diags));
    expect_error(f, "ledger-failed");
}

static void many_tenants(void **state)
{
    enum { COUNT = 5000 };
    struct fixture *f = *state;
    struct ledger_entry *entries = STS_ARRAY(f->arena, COUNT, struct ledger_entry);

    for (size_t i = 0; i < COUNT; i++)
        entries[i] = (struct ledger_entry){.domain = sts_arena_printf(f->arena, "t%zu.example", i),
                                           .policy = numbered_policy(f, (unsigned)i)};
    reopen(f, LEDGER_WRITE);
    assert_true(ledger_commit(f->ledger, entries, COUNT, NOW, &f->diags));
    assert_true(ledger_commit(f->ledger, entries, COUNT, NOW + 1, &f->diags));
    entries[17].policy = numbered_policy(f, 1);
    assert_true(ledger_commit(f->ledger, entries, COUNT, NOW + 2, &f->diags));
    assert_int_equal(raw_int(f, "SELECT count(*) FROM instance"), COUNT + 1);
    assert_int_equal(raw_int(f, "SELECT count(*) FROM instance WHERE last_served IS NULL"), COUNT);
    assert_int_equal(latest(f, "t17.example").first_served, NOW + 2);
}

static int questions, answered_yes_after;

static bool asked(void)
{
    return ++questions > answered_yes_after;
}

/* Whoever ends a server does not wait for a ledger that has much to write... */
static void a_commit_is_given_up_when_asked(void **state)
{
    enum { COUNT = 5000 };
    struct fixture *f = *state;
    struct ledger_entry *entries = STS_ARRAY(f->arena, COUNT, struct ledger_entry);

    reopen(f, LEDGER_WRITE);
    for (int i = 0; i < COUNT; i++)
        entries[i] = (struct ledger_entry){
            sts_arena_printf(f->arena, "t%d.example", i), numbered_policy(f, 1), {0}};
    questions = answered_yes_after = 0;
    ledger_give_up_when(f->ledger, asked);
    assert_false(ledger_serve(f->ledger, entries, COUNT, NOW, &f->diags));
    assert_int_equal(questions, 1);
    sts_diags_init(&f->diags, f->arena);
    questions = 0;
    answered_yes_after = 5;
    assert_false(ledger_serve(f->ledger, entries, COUNT, NOW, &f->diags));
    assert_int_equal(questions, 6);
    sts_diags_init(&f->diags, f->arena);
    assert_int_equal(raw_int(f, "SELECT count(*) FROM instance"), 0);
    ledger_give_up_when(f->ledger, NULL);
    assert_true(ledger_serve(f->ledger, entries, COUNT, NOW, &f->diags));
    assert_int_equal(questions, 6);
    assert_int_equal(raw_int(f, "SELECT count(*) FROM instance"), COUNT);
    expect_consistent(f);
}

/* ...nor for another process that writes. */
static void a_busy_ledger_is_given_up_when_asked(void **state)
{
    struct fixture *f = *state;

    reopen(f, LEDGER_WRITE);
    sqlite3 *other = raw_open(f);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    questions = 0;
    answered_yes_after = 3;
    ledger_give_up_when(f->ledger, asked);
    assert_false(try_commit(f, "a.example", numbered_policy(f, 1), NOW));
    expect_error(f, "ledger-busy");
    assert_int_equal(questions, 4);
    sqlite3_close(other);
    ledger_give_up_when(f->ledger, NULL);
    assert_true(try_commit(f, "a.example", numbered_policy(f, 1), NOW));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LEDGER(a_first_policy_is_remembered),
        WITH_LEDGER(the_same_policy_keeps_its_id),
        WITH_LEDGER(every_change_gives_a_new_id),
        WITH_LEDGER(a_revert_gives_a_new_id),
        WITH_LEDGER(changes_within_one_second),
        WITH_LEDGER(a_clock_that_goes_back),
        WITH_LEDGER(the_end_of_time),
        WITH_LEDGER(foreign_ids_are_respected),
        WITH_LEDGER(ids_are_unique_whatever_happens),
        WITH_LEDGER(an_ended_tenant_that_comes_back),
        WITH_LEDGER(several_at_once),
        WITH_LEDGER(many_at_once),
        WITH_LEDGER(serving_ends_all_others),
        WITH_LEDGER(files_are_remembered),
        WITH_LEDGER(all_or_nothing),
        WITH_LEDGER(a_damaged_entry_is_refused_alone),
        WITH_LEDGER(diagnostics_borrow_nothing),
        WITH_LEDGER(many_tenants),
        WITH_LEDGER(a_commit_is_given_up_when_asked),
        WITH_LEDGER(a_busy_ledger_is_given_up_when_asked),
    };
    return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
