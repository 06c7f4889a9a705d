/* What has been announced in DNS, and what is still to be. */
#include <assert.h>
#include <string.h>

#include "server/ledger/parts.h"

bool ledger_each_unpublished(struct ledger *ledger, ledger_visit *visit, void *data,
                             struct sts_diags *diags)
{
    int rc;

    if (!ledger_refresh(ledger, LEDGER_READ, diags))
        return false;
    /* CROSS JOIN: in the order of the left one, row by row. */
    sqlite3_stmt *stmt = ledger_prepare(
        ledger,
        "SELECT " LEDGER_COLUMNS " FROM unpublished CROSS JOIN instance USING (domain) "
        "WHERE seq = (SELECT max(seq) FROM instance WHERE domain = unpublished.domain) "
        "ORDER BY unpublished.domain",
        &rc);
    return ledger_visit_rows(ledger, stmt, rc, visit, data, diags);
}

struct marks {
    const struct ledger_published *items;
    size_t count;
    time_t now;
    sqlite3_stmt *publish, *withdraw, *done, *differs;
};

static int published_prepare(struct ledger *ledger, struct marks *m)
{
    const struct ledger_statement all[] = {
        {&m->publish, "INSERT OR REPLACE INTO published VALUES (?1, ?2, ?3)"},
        {&m->withdraw, "DELETE FROM published WHERE domain = ?1"},
        {&m->done, "DELETE FROM unpublished WHERE domain = ?1"},
        /* It changed, began or ended meanwhile. */
        {&m->differs, "INSERT INTO unpublished SELECT ?1 WHERE ?2 IS NOT coalesce((SELECT id "
                      "FROM instance WHERE domain = ?1 AND last_served IS NULL), '')"},
    };

    return ledger_prepare_all(ledger, all, sizeof(all) / sizeof(*all));
}

static void published_finalize(struct marks *m)
{
    sqlite3_stmt **const all[] = {&m->publish, &m->withdraw, &m->done, &m->differs};

    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        sqlite3_finalize(*all[i]);
        *all[i] = NULL;
    }
}

static int published_mark(struct marks *m, const struct ledger_published *item)
{
    sqlite3_stmt *const stmts[] = {item->id.len ? m->publish : m->withdraw, m->done, m->differs};
    int rc = SQLITE_OK;

    assert(!item->id.len || sts_id_check(item->id));
    ledger_bind_str(m->publish, 2, item->id);
    sqlite3_bind_int64(m->publish, 3, m->now);
    ledger_bind_str(m->differs, 2, item->id);
    for (size_t i = 0; rc == SQLITE_OK && i < sizeof(stmts) / sizeof(*stmts); i++) {
        ledger_bind_str(stmts[i], 1, item->domain);
        rc = ledger_run(stmts[i]);
    }
    return rc;
}

static int mark_all(struct ledger *ledger, void *data)
{
    struct marks *m = data;
    int rc = published_prepare(ledger, m);

    for (size_t i = 0; rc == SQLITE_OK && i < m->count; i++)
        rc = published_mark(m, &m->items[i]);
    published_finalize(m);
    return rc;
}

bool ledger_mark_published(struct ledger *ledger, const struct ledger_published *items,
                           size_t count, time_t now, struct sts_diags *diags)
{
    struct marks m = {.items = items, .count = count, .now = now};
    return ledger_transact(ledger, mark_all, &m, diags);
}

/* SQLITE_ROW: found; SQLITE_CORRUPT: what nobody can have announced. */
static int read_announced(sqlite3_stmt *stmt, struct ledger_announced *out)
{
    int rc = sqlite3_step(stmt);

    if (rc != SQLITE_ROW)
        return rc;
    struct sts_str id = ledger_column_str(stmt, 0);
    if (!sts_id_check(id))
        return SQLITE_CORRUPT;
    *out = (struct ledger_announced){.at = sqlite3_column_int64(stmt, 1)};
    memcpy(out->id, id.ptr, id.len);
    return rc;
}

bool ledger_announced(struct ledger *ledger, struct sts_str domain, struct ledger_announced *out,
                      struct sts_diags *diags)
{
    int rc;

    if (!ledger_refresh(ledger, LEDGER_READ, diags))
        return false;
    sqlite3_stmt *stmt =
        ledger_prepare(ledger, "SELECT id, at FROM published WHERE domain = ?1", &rc);
    if (stmt) {
        ledger_bind_str(stmt, 1, domain);
        rc = read_announced(stmt, out);
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_ROW || (rc != SQLITE_DONE && ledger_fail(ledger, rc, diags));
}
