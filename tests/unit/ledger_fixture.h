/* What the tests of server/ledger share: a ledger in a folder of its own, policies to commit, and
 * the database itself for a look from outside. */
#ifndef MTASTS_TESTS_UNIT_LEDGER_FIXTURE_H
#define MTASTS_TESTS_UNIT_LEDGER_FIXTURE_H

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/ledger/ledger.h"
#include "tests/unit/folder.h"

#define NOW 1700000000 /* 2023-11-14 22:13:20 UTC */

struct fixture {
    char dir[100], path[120];
    struct sts_arena *arena;
    struct sts_diags diags;
    struct ledger *ledger;
};

/* In memory where there is such a place: these tests commit thousands of times. */
static inline int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    const char *tmp = getenv("TMPDIR");

    if (!f)
        return -1;
    *state = f;
    f->arena = sts_arena_new();
    sts_diags_init(&f->diags, f->arena);
    if (access("/dev/shm", W_OK) == 0)
        tmp = "/dev/shm";
    snprintf(f->dir, sizeof(f->dir), "%s/mta-stsd-ledger-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(f->dir) || chmod(f->dir, 0755) != 0)
        return -1;
    snprintf(f->path, sizeof(f->path), "%s/ledger.db", f->dir);
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;

    ledger_close(f->ledger);
    sts_arena_free(f->arena);
    int result = folder_remove(f->dir);
    free(f);
    return result;
}

#define WITH_LEDGER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static inline struct sts_pos fixture_where(void)
{
    return (struct sts_pos){STS_STR("mta-stsd.yaml"), 3, 9};
}

static inline bool try_open(struct fixture *f, enum ledger_access access)
{
    ledger_close(f->ledger);
    f->ledger = ledger_open(f->path, access, fixture_where(), &f->diags);
    return f->ledger != NULL;
}

/* Closes what was open before. */
static inline void reopen(struct fixture *f, enum ledger_access access)
{
    assert_true(try_open(f, access));
    assert_int_equal(f->diags.errors, 0);
}

/* A policy with these mx, space-separated, put into canonical order. */
static inline struct sts_policy *policy(struct fixture *f, enum sts_mode mode, uint32_t max_age,
                                        const char *mx)
{
    struct sts_policy *p = STS_NEW(f->arena, struct sts_policy);
    struct sts_str *all = STS_ARRAY(f->arena, strlen(mx) / 2 + 1, struct sts_str);
    char *rest = NULL, *copy = (char *)sts_arena_dup(f->arena, sts_str_from(mx)).ptr;

    *p = (struct sts_policy){.mode = mode, .max_age = max_age, .mx = all};
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        all[p->mx_count++] = sts_str_from(word);
    sts_policy_canonicalise(f->arena, p);
    return p;
}

/* One of as many different policies as wanted. */
static inline struct sts_policy *numbered_policy(struct fixture *f, unsigned n)
{
    return policy(f, n % 2 ? STS_MODE_ENFORCE : STS_MODE_TESTING, 86400 + n, "mx.example.org");
}

static inline bool try_commit(struct fixture *f, const char *domain, const struct sts_policy *p,
                              time_t now)
{
    const struct ledger_entry entry = {.domain = sts_str_from(domain), .policy = p};
    return ledger_commit(f->ledger, &entry, 1, now, &f->diags);
}

static inline bool try_end(struct fixture *f, const char *domain, time_t now)
{
    const struct sts_str name = sts_str_from(domain);
    return ledger_end(f->ledger, &name, 1, now, &f->diags);
}

static inline struct ledger_instance latest(struct fixture *f, const char *domain)
{
    struct ledger_instance instance;

    assert_true(ledger_latest(f->ledger, f->arena, sts_str_from(domain), &instance, &f->diags));
    return instance;
}

static inline struct ledger_history history(struct fixture *f, const char *domain)
{
    struct ledger_history all;

    assert_true(ledger_history(f->ledger, f->arena, sts_str_from(domain), &all, &f->diags));
    return all;
}

/* The id after a commit that must work; in the arena. */
static inline const char *id_after(struct fixture *f, const char *domain,
                                   const struct sts_policy *p, time_t now)
{
    assert_true(try_commit(f, domain, p, now));
    return sts_arena_dup(f->arena, sts_str_from(latest(f, domain).id)).ptr;
}

/* The one diagnostic since the last time has this severity, this code and some help. */
static inline const struct sts_diag *expect_diag(struct fixture *f, enum sts_severity severity,
                                                 const char *code)
{
    const struct sts_diag *diag = f->diags.first;

    assert_non_null(diag);
    assert_string_equal(diag->code, code);
    assert_int_equal(diag->severity, severity);
    assert_true(diag->help.len > 0);
    assert_true(sts_str_is(diag->where.source, "mta-stsd.yaml"));
    assert_null(diag->next);
    sts_diags_init(&f->diags, f->arena);
    return diag;
}

static inline void expect_error(struct fixture *f, const char *code)
{
    expect_diag(f, STS_ERROR, code);
}

/* The database from outside. */
static inline sqlite3 *raw_open(struct fixture *f)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    return db;
}

static inline void raw_exec(struct fixture *f, const char *sql)
{
    sqlite3 *db = raw_open(f);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* The released schema, as it was released: a change here breaks ledgers that exist. */
static inline void raw_make_first_schema(struct fixture *f)
{
    raw_exec(f, "CREATE TABLE instance (seq INTEGER PRIMARY KEY AUTOINCREMENT,"
                " domain TEXT NOT NULL, id TEXT NOT NULL, digest BLOB NOT NULL,"
                " body TEXT NOT NULL, mode TEXT NOT NULL, max_age INTEGER NOT NULL,"
                " first_served INTEGER NOT NULL, last_served INTEGER, UNIQUE (domain, id)) STRICT;"
                "CREATE INDEX instance_domain_seq ON instance (domain, seq);"
                "CREATE UNIQUE INDEX instance_current ON instance (domain)"
                " WHERE last_served IS NULL;"
                "CREATE TABLE alive (one INTEGER PRIMARY KEY CHECK (one = 1),"
                " at INTEGER NOT NULL) STRICT;"
                "INSERT INTO alive VALUES (1, 0);"
                "PRAGMA application_id = 0x4d545354; PRAGMA user_version = 1");
}

/* First column of the first row, as text in the arena; "" when there is none. */
static inline const char *raw_text(struct fixture *f, const char *sql)
{
    sqlite3 *db = raw_open(f);
    sqlite3_stmt *stmt = NULL;
    struct sts_str text = {0};

    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    if (sqlite3_step(stmt) == SQLITE_ROW)
        text = sts_str_from((const char *)sqlite3_column_text(stmt, 0));
    text = sts_arena_dup(f->arena, text);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return text.ptr;
}

static inline long long raw_int(struct fixture *f, const char *sql)
{
    return atoll(raw_text(f, sql));
}

/* What must hold after anything at all. */
static inline void expect_consistent(struct fixture *f)
{
    assert_string_equal(raw_text(f, "PRAGMA integrity_check"), "ok");
    assert_int_equal(raw_int(f, "SELECT count(*) FROM (SELECT 1 FROM instance "
                                "GROUP BY domain, id HAVING count(*) > 1)"),
                     0);
    /* Ids increase in the order of changes. */
    assert_int_equal(raw_int(f, "SELECT count(*) FROM instance a JOIN instance b ON "
                                "a.domain = b.domain AND a.seq < b.seq AND a.id >= b.id"),
                     0);
    /* At most one is current, and it is the last one. */
    assert_int_equal(raw_int(f, "SELECT count(*) FROM instance a WHERE last_served IS NULL AND "
                                "EXISTS (SELECT 1 FROM instance b WHERE b.domain = a.domain "
                                "AND b.seq > a.seq)"),
                     0);
    assert_int_equal(raw_int(f, "SELECT count(*) FROM instance WHERE last_served < first_served"),
                     0);
}

/* Small and fast, the same sequence on every run. */
static inline unsigned fixture_random(unsigned long long *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(*state >> 33);
}

#endif
