/* Reading: the latest instance of one tenant or of all, and how long senders may hold one. */
#include <openssl/sha.h>
#include <string.h>

#include "server/ledger/parts.h"

#define COLUMNS "domain, id, digest, body, mode, max_age, first_served, last_served"

static bool is_digest_of(sqlite3_stmt *stmt, int column, struct sts_str body)
{
    unsigned char digest[STS_DIGEST_LEN];

    SHA256((const unsigned char *)body.ptr, body.len, digest);
    return sqlite3_column_bytes(stmt, column) == STS_DIGEST_LEN &&
           memcmp(sqlite3_column_blob(stmt, column), digest, STS_DIGEST_LEN) == 0;
}

/* False when the row is not what this program writes: a body from here may be served again, so it
 * must be the one that was. Strings are borrowed from the statement. */
static bool read_row(sqlite3_stmt *stmt, struct ledger_instance *out)
{
    struct sts_str id = ledger_column_str(stmt, 1);
    sqlite3_int64 max_age = sqlite3_column_int64(stmt, 5);

    *out = (struct ledger_instance){.domain = ledger_column_str(stmt, 0),
                                    .body = ledger_column_str(stmt, 3),
                                    .max_age = (uint32_t)max_age,
                                    .first_served = sqlite3_column_int64(stmt, 6),
                                    .last_served = sqlite3_column_int64(stmt, 7)};
    if (!sts_id_check(id) || max_age < 0 || max_age > STS_MAX_AGE_LIMIT ||
        !sts_mode_from(ledger_column_str(stmt, 4), &out->mode) || !is_digest_of(stmt, 2, out->body))
        return false;
    memcpy(out->id, id.ptr, id.len);
    memcpy(out->digest, sqlite3_column_blob(stmt, 2), STS_DIGEST_LEN);
    return true;
}

bool ledger_latest(struct ledger *ledger, struct sts_arena *arena, struct sts_str domain,
                   struct ledger_instance *out, struct sts_diags *diags)
{
    struct ledger_instance found = {0};
    bool good = false;
    int rc;

    if (!ledger_refresh(ledger, diags))
        return false;
    sqlite3_stmt *stmt = ledger_prepare(
        ledger, "SELECT " COLUMNS " FROM instance WHERE domain = ?1 ORDER BY seq DESC LIMIT 1",
        &rc);
    if (stmt) {
        ledger_bind_str(stmt, 1, domain);
        rc = sqlite3_step(stmt);
    }
    if (rc == SQLITE_ROW && !read_row(stmt, &found)) {
        ledger_fail_entry(ledger, domain, diags);
    } else if (rc == SQLITE_ROW) {
        *out = found;
        out->domain = sts_arena_dup(arena, found.domain);
        out->body = sts_arena_dup(arena, found.body);
        good = true;
    } else if (rc != SQLITE_DONE) {
        ledger_fail(ledger, rc, diags);
    }
    sqlite3_finalize(stmt);
    return good;
}

bool ledger_each_latest(struct ledger *ledger, ledger_visit *visit, void *data,
                        struct sts_diags *diags)
{
    struct ledger_instance instance;
    bool good = true;
    int rc;

    if (!ledger_refresh(ledger, diags))
        return false;
    sqlite3_stmt *stmt =
        ledger_prepare(ledger,
                       "SELECT " COLUMNS " FROM instance WHERE seq IN "
                       "(SELECT max(seq) FROM instance GROUP BY domain) ORDER BY domain",
                       &rc);
    while (stmt && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        if (read_row(stmt, &instance)) {
            visit(data, &instance);
        } else {
            ledger_fail_entry(ledger, instance.domain, diags);
            good = false;
        }
    }
    sqlite3_finalize(stmt);
    if (rc != SQLITE_DONE)
        return ledger_fail(ledger, rc, diags);
    return good;
}

time_t ledger_cached_until(struct ledger *ledger, struct sts_str domain, struct sts_diags *diags)
{
    time_t until = 0;
    int rc;

    if (!ledger_refresh(ledger, diags))
        return 0;
    sqlite3_stmt *stmt = ledger_prepare(
        ledger,
        "SELECT max(coalesce(last_served, max(first_served, (SELECT at FROM alive))) + max_age) "
        "FROM instance WHERE domain = ?1",
        &rc);
    if (stmt) {
        ledger_bind_str(stmt, 1, domain);
        rc = sqlite3_step(stmt);
    }
    if (rc == SQLITE_ROW)
        until = sqlite3_column_int64(stmt, 0);
    else
        ledger_fail(ledger, rc, diags);
    sqlite3_finalize(stmt);
    return until;
}
