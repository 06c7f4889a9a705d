/* Reading: the latest instance of one tenant or of all, and how long senders may hold one. */
#include <string.h>

#include "server/ledger/parts.h"

#define COLUMNS "domain, id, digest, body, mode, max_age, first_served, last_served"

/* False when the row is not what this program writes. Strings are borrowed from the statement. */
static bool read_row(sqlite3_stmt *stmt, struct ledger_instance *out)
{
    struct sts_str id = ledger_column_str(stmt, 1);

    *out = (struct ledger_instance){.domain = ledger_column_str(stmt, 0),
                                    .body = ledger_column_str(stmt, 3),
                                    .max_age = (uint32_t)sqlite3_column_int64(stmt, 5),
                                    .first_served = sqlite3_column_int64(stmt, 6),
                                    .last_served = sqlite3_column_int64(stmt, 7)};
    if (!sts_id_check(id) || sqlite3_column_bytes(stmt, 2) != STS_DIGEST_LEN ||
        !sts_mode_from(ledger_column_str(stmt, 4), &out->mode))
        return false;
    memcpy(out->id, id.ptr, id.len);
    memcpy(out->digest, sqlite3_column_blob(stmt, 2), STS_DIGEST_LEN);
    return true;
}

bool ledger_latest(struct ledger *ledger, struct sts_arena *arena, struct sts_str domain,
                   struct ledger_instance *out, struct sts_diags *diags)
{
    struct ledger_instance found = {0};
    int rc;
    sqlite3_stmt *stmt = ledger_prepare(
        ledger, "SELECT " COLUMNS " FROM instance WHERE domain = ?1 ORDER BY seq DESC LIMIT 1",
        &rc);

    if (stmt) {
        ledger_bind_str(stmt, 1, domain);
        rc = sqlite3_step(stmt);
        if (rc == SQLITE_ROW && !read_row(stmt, &found))
            rc = SQLITE_CORRUPT;
    }
    if (rc == SQLITE_ROW) {
        *out = found;
        out->domain = sts_arena_dup(arena, found.domain);
        out->body = sts_arena_dup(arena, found.body);
    }
    sqlite3_finalize(stmt);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        ledger_fail(ledger, rc, diags);
    return rc == SQLITE_ROW;
}

bool ledger_each_latest(struct ledger *ledger, ledger_visit *visit, void *data,
                        struct sts_diags *diags)
{
    struct ledger_instance instance;
    int rc;
    sqlite3_stmt *stmt =
        ledger_prepare(ledger,
                       "SELECT " COLUMNS " FROM instance WHERE seq IN "
                       "(SELECT max(seq) FROM instance GROUP BY domain) ORDER BY domain",
                       &rc);

    while (stmt && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        if (!read_row(stmt, &instance)) {
            rc = SQLITE_CORRUPT;
            break;
        }
        visit(data, &instance);
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_DONE || ledger_fail(ledger, rc, diags);
}

time_t ledger_cached_until(struct ledger *ledger, struct sts_str domain, struct sts_diags *diags)
{
    time_t until = 0;
    int rc;
    sqlite3_stmt *stmt = ledger_prepare(
        ledger,
        "SELECT max(coalesce(last_served, max(first_served, (SELECT at FROM alive))) + max_age) "
        "FROM instance WHERE domain = ?1",
        &rc);

    if (stmt) {
        ledger_bind_str(stmt, 1, domain);
        rc = sqlite3_step(stmt);
        if (rc == SQLITE_ROW)
            until = sqlite3_column_int64(stmt, 0);
    }
    sqlite3_finalize(stmt);
    if (rc != SQLITE_ROW)
        ledger_fail(ledger, rc, diags);
    return until;
}
