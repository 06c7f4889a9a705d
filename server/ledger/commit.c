/* Writing: which policy is live now, which is not any more, and that the server is alive. */
#include <stdlib.h>
#include <string.h>

#include "server/ledger/insert.h"
#include "server/ledger/schema.h"

const time_t ledger_last_time = 253402300799;

/* One change of the ledger: everything below happens in one transaction, or not at all. */
struct change {
    struct ledger *ledger;
    time_t now;
    int (*work)(struct change *c);
    struct ledger_change what;
    struct inserting inserting;
    sqlite3_stmt *latest, *move, *id_used, *end, *silent, *ended, *touch, *current;
};

static int commit_prepare(struct change *c)
{
    /* Times never go back, whatever the clock does: a policy was served until it was replaced, and
     * at least until the server last said that it is alive. */
    const struct ledger_statement all[] = {
        {&c->latest, "SELECT id, digest, last_served, file FROM instance "
                     "WHERE domain = ?1 ORDER BY seq DESC LIMIT 1"},
        {&c->move, "UPDATE instance SET file = ?2 WHERE domain = ?1 AND last_served IS NULL"},
        {&c->id_used, "SELECT 1 FROM instance WHERE domain = ?1 AND id = ?2"},
        {&c->end, "UPDATE instance SET last_served = "
                  "max(1, ?2, first_served, (SELECT at FROM alive)) "
                  "WHERE domain = ?1 AND last_served IS NULL"},
        /* Of one that ends before it was announced, DNS has nothing to learn. */
        {&c->silent, "DELETE FROM unpublished WHERE domain = ?1"},
        {&c->ended, "INSERT INTO unpublished SELECT domain FROM published WHERE domain = ?1"},
        {&c->touch, "UPDATE alive SET at = ?1 WHERE at < ?1"},
        {&c->current, "SELECT domain FROM instance WHERE last_served IS NULL ORDER BY domain"},
    };
    int rc = ledger_prepare_all(c->ledger, all, sizeof(all) / sizeof(*all));

    return rc == SQLITE_OK ? insert_begin(&c->inserting, c->ledger, c->now) : rc;
}

static void commit_finalize(struct change *c)
{
    sqlite3_stmt **const all[] = {&c->latest, &c->move,  &c->id_used, &c->end,
                                  &c->silent, &c->ended, &c->touch,   &c->current};

    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        sqlite3_finalize(*all[i]);
        *all[i] = NULL;
    }
    insert_fini(&c->inserting);
}

/* The tenant's latest instance. */
struct latest {
    bool any;        /* there is one */
    bool unchanged;  /* it is this policy, and current... */
    bool moved;      /* ...but from another file, or from one that was not remembered */
    time_t earliest; /* of a new id: later than every earlier one, whatever the clock says */
};

static int commit_look_up(struct change *c, const struct ledger_entry *entry,
                          const unsigned char *digest, struct latest *out)
{
    time_t last;

    *out = (struct latest){.earliest = c->now > 0 ? c->now : 0};
    if (!c->inserting.before)
        return SQLITE_OK;
    ledger_bind_str(c->latest, 1, entry->domain);
    int rc = sqlite3_step(c->latest);
    if (rc == SQLITE_ROW) {
        out->any = true;
        out->unchanged = sqlite3_column_type(c->latest, 2) == SQLITE_NULL &&
                         sqlite3_column_bytes(c->latest, 1) == STS_DIGEST_LEN &&
                         memcmp(sqlite3_column_blob(c->latest, 1), digest, STS_DIGEST_LEN) == 0;
        out->moved = out->unchanged && entry->file.len &&
                     !sts_str_eq(ledger_column_str(c->latest, 3), entry->file);
        if (sts_id_time(ledger_column_str(c->latest, 0), &last) && last >= out->earliest)
            out->earliest = last + 1;
    }
    sqlite3_reset(c->latest);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int is_used(struct change *c, struct sts_str domain, const char *id)
{
    ledger_bind_str(c->id_used, 1, domain);
    ledger_bind_str(c->id_used, 2, sts_str_from(id));
    int rc = sqlite3_step(c->id_used);
    sqlite3_reset(c->id_used);
    return rc;
}

/* Increasing times make ids unique. The look-up guards against a ledger edited by hand, and against
 * a clock that once stood at the end of time: then any unused time must do. */
static int fresh_id(struct change *c, struct sts_str domain, const struct latest *latest,
                    const unsigned char *digest, char *id)
{
    time_t at = latest->earliest;
    int rc;

    do {
        if (at > ledger_last_time)
            at = 0;
        sts_id_render(at++, digest, id);
        rc = latest->any ? is_used(c, domain, id) : SQLITE_DONE;
    } while (rc == SQLITE_ROW);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int end_current(struct change *c, struct sts_str domain)
{
    ledger_bind_str(c->end, 1, domain);
    sqlite3_bind_int64(c->end, 2, c->now);
    return ledger_run(c->end);
}

static int run_for(sqlite3_stmt *stmt, struct sts_str domain)
{
    ledger_bind_str(stmt, 1, domain);
    return ledger_run(stmt);
}

static int end_tenant(struct change *c, struct sts_str domain)
{
    int rc = end_current(c, domain);

    if (rc != SQLITE_OK || sqlite3_changes(c->ledger->db) == 0)
        return rc;
    rc = run_for(c->silent, domain);
    return rc == SQLITE_OK ? run_for(c->ended, domain) : rc;
}

static int commit_move_current(struct change *c, const struct ledger_entry *entry)
{
    ledger_bind_str(c->move, 1, entry->domain);
    ledger_bind_str(c->move, 2, entry->file);
    return ledger_run(c->move);
}

static int commit_entry(struct change *c, const struct ledger_entry *entry)
{
    const struct known *known = insert_know(&c->inserting, entry->policy);
    char id[STS_ID_MAX + 1];
    struct latest latest;

    int rc = commit_look_up(c, entry, known->digest, &latest);
    if (rc == SQLITE_OK && latest.moved)
        rc = commit_move_current(c, entry);
    if (rc != SQLITE_OK || latest.unchanged)
        return rc;
    rc = fresh_id(c, entry->domain, &latest, known->digest, id);
    if (rc == SQLITE_OK && latest.any)
        rc = end_current(c, entry->domain);
    return rc == SQLITE_OK ? insert_add(&c->inserting, entry, id) : rc;
}

static int commit_serve_all(struct change *c)
{
    int rc = SQLITE_OK;

    for (size_t i = 0; rc == SQLITE_OK && i < c->what.count; i++)
        rc = commit_entry(c, &c->what.entries[i]);
    return rc == SQLITE_OK ? insert_finish(&c->inserting) : rc;
}

static int end_all(struct change *c)
{
    int rc = SQLITE_OK;

    for (size_t i = 0; rc == SQLITE_OK && i < c->what.ended_count; i++)
        rc = end_tenant(c, c->what.ended[i]);
    return rc;
}

static int commit_touch(struct change *c)
{
    sqlite3_bind_int64(c->touch, 1, c->now);
    return ledger_run(c->touch);
}

static int commit_by_domain(const void *a, const void *b)
{
    return sts_str_cmp(*(const struct sts_str *)a, *(const struct sts_str *)b);
}

struct other {
    struct other *next;
    struct sts_str domain;
};

/* The current domains that are none of `served` (sorted); read to the end before any changes. */
static int find_others(struct change *c, struct sts_arena *arena, const struct sts_str *served,
                       struct other **others)
{
    int rc;

    while ((rc = sqlite3_step(c->current)) == SQLITE_ROW) {
        struct sts_str domain = ledger_column_str(c->current, 0);
        if (bsearch(&domain, served, c->what.count, sizeof(domain), commit_by_domain))
            continue;
        struct other *other = STS_NEW(arena, struct other);
        *other = (struct other){*others, sts_arena_dup(arena, domain)};
        *others = other;
    }
    sqlite3_reset(c->current);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int end_others(struct change *c)
{
    struct sts_arena *arena = sts_arena_new();
    struct sts_str *served = STS_ARRAY(arena, c->what.count, struct sts_str);
    struct other *others = NULL;

    for (size_t i = 0; i < c->what.count; i++)
        served[i] = c->what.entries[i].domain;
    qsort(served, c->what.count, sizeof(*served), commit_by_domain);
    int rc = find_others(c, arena, served, &others);
    for (; rc == SQLITE_OK && others; others = others->next)
        rc = end_tenant(c, others->domain);
    sts_arena_free(arena);
    return rc;
}

static int commit_serve(struct change *c)
{
    int rc = commit_serve_all(c);

    if (rc == SQLITE_OK)
        rc = end_others(c);
    return rc == SQLITE_OK ? commit_touch(c) : rc;
}

/* A backup that was put in place may call current what is not served any more. */
static int touch_known(struct change *c)
{
    return c->ledger->replaced ? LEDGER_RC_REPLACED : commit_touch(c);
}

/* Only whoever said what is served can say what is not as it was. */
static int apply_change(struct change *c)
{
    if (!c->ledger->told || c->ledger->replaced)
        return LEDGER_RC_REPLACED;
    int rc = end_all(c);
    if (rc == SQLITE_OK)
        rc = commit_serve_all(c);
    return rc == SQLITE_OK ? commit_touch(c) : rc;
}

static int commit_work(struct ledger *ledger, void *data)
{
    struct change *c = data;

    c->ledger = ledger;
    int rc = commit_prepare(c);
    if (rc == SQLITE_OK)
        rc = c->work(c);
    commit_finalize(c);
    return rc;
}

bool ledger_commit(struct ledger *ledger, const struct ledger_entry *entries, size_t count,
                   time_t now, struct sts_diags *diags)
{
    struct change c = {.work = commit_serve_all, .now = now, .what = {entries, count, NULL, 0}};
    return ledger_transact(ledger, commit_work, &c, diags);
}

bool ledger_serve(struct ledger *ledger, const struct ledger_entry *entries, size_t count,
                  time_t now, struct sts_diags *diags)
{
    struct change c = {.work = commit_serve, .now = now, .what = {entries, count, NULL, 0}};
    bool good = ledger_transact(ledger, commit_work, &c, diags);

    ledger->told = good;
    if (good)
        ledger->replaced = false;
    return good;
}

bool ledger_change(struct ledger *ledger, const struct ledger_change *change, time_t now,
                   struct sts_diags *diags)
{
    struct change c = {.work = apply_change, .now = now, .what = *change};
    bool good = ledger_transact(ledger, commit_work, &c, diags);

    if (!good)
        ledger->told = false;
    return good;
}

bool ledger_end(struct ledger *ledger, const struct sts_str *domains, size_t count, time_t now,
                struct sts_diags *diags)
{
    struct change c = {.work = end_all, .now = now, .what = {NULL, 0, domains, count}};
    return ledger_transact(ledger, commit_work, &c, diags);
}

bool ledger_touch(struct ledger *ledger, time_t now, struct sts_diags *diags)
{
    struct change c = {.work = touch_known, .now = now};
    return ledger_transact(ledger, commit_work, &c, diags);
}
