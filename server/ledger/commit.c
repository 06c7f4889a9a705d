/* Writing: which policy is live now, which is not any more, and that the server is alive. */
#include <stdlib.h>
#include <string.h>

#include "server/ledger/parts.h"

struct commit {
    struct ledger *ledger;
    time_t now;
    sqlite3_stmt *latest, *id_used, *end, *insert;
};

static int prepare(struct commit *c)
{
    int rc;

    c->latest = ledger_prepare(c->ledger,
                               "SELECT id, digest, last_served FROM instance "
                               "WHERE domain = ?1 ORDER BY seq DESC LIMIT 1",
                               &rc);
    if (c->latest)
        c->id_used =
            ledger_prepare(c->ledger, "SELECT 1 FROM instance WHERE domain = ?1 AND id = ?2", &rc);
    if (c->id_used)
        c->end = ledger_prepare(c->ledger,
                                "UPDATE instance SET last_served = ?2 "
                                "WHERE domain = ?1 AND last_served IS NULL",
                                &rc);
    if (c->end)
        c->insert = ledger_prepare(c->ledger,
                                   "INSERT INTO instance (domain, id, digest, body, mode, max_age, "
                                   "first_served) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                                   &rc);
    return rc;
}

static void finalize(struct commit *c)
{
    sqlite3_finalize(c->latest);
    sqlite3_finalize(c->id_used);
    sqlite3_finalize(c->end);
    sqlite3_finalize(c->insert);
}

static int run(sqlite3_stmt *stmt)
{
    int rc = sqlite3_step(stmt);
    sqlite3_reset(stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* The tenant's latest instance: whether it already is this policy and current, and the earliest
 * time that a new id may carry: later than that of every earlier one, whatever the clock says. */
static int look_up(struct commit *c, struct sts_str domain, const unsigned char *digest,
                   bool *unchanged, time_t *earliest)
{
    time_t last;

    *unchanged = false;
    *earliest = c->now;
    ledger_bind_str(c->latest, 1, domain);
    int rc = sqlite3_step(c->latest);
    if (rc == SQLITE_ROW) {
        *unchanged = sqlite3_column_type(c->latest, 2) == SQLITE_NULL &&
                     sqlite3_column_bytes(c->latest, 1) == STS_DIGEST_LEN &&
                     memcmp(sqlite3_column_blob(c->latest, 1), digest, STS_DIGEST_LEN) == 0;
        if (sts_id_time(ledger_column_str(c->latest, 0), &last) && last >= *earliest)
            *earliest = last + 1;
    }
    sqlite3_reset(c->latest);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Increasing times make ids unique; the look-up only guards against a ledger edited by hand. */
static int fresh_id(struct commit *c, struct sts_str domain, time_t earliest,
                    const unsigned char *digest, char *id)
{
    int rc;

    do {
        sts_id_render(earliest++, digest, id);
        ledger_bind_str(c->id_used, 1, domain);
        ledger_bind_str(c->id_used, 2, sts_str_from(id));
        rc = sqlite3_step(c->id_used);
        sqlite3_reset(c->id_used);
    } while (rc == SQLITE_ROW);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int end_current(struct commit *c, struct sts_str domain)
{
    ledger_bind_str(c->end, 1, domain);
    sqlite3_bind_int64(c->end, 2, c->now);
    return run(c->end);
}

static int insert(struct commit *c, const struct ledger_entry *entry, const char *id,
                  const unsigned char *digest)
{
    struct sts_buf body = {0};

    sts_policy_render(&body, entry->policy);
    ledger_bind_str(c->insert, 1, entry->domain);
    ledger_bind_str(c->insert, 2, sts_str_from(id));
    sqlite3_bind_blob(c->insert, 3, digest, STS_DIGEST_LEN, SQLITE_STATIC);
    ledger_bind_str(c->insert, 4, sts_buf_str(&body));
    ledger_bind_str(c->insert, 5, sts_str_from(sts_mode_name(entry->policy->mode)));
    sqlite3_bind_int64(c->insert, 6, entry->policy->max_age);
    sqlite3_bind_int64(c->insert, 7, c->now);
    int rc = run(c->insert);
    sts_buf_fini(&body);
    return rc;
}

static int commit_entry(struct commit *c, const struct ledger_entry *entry)
{
    unsigned char digest[STS_DIGEST_LEN];
    char id[STS_ID_MAX + 1];
    bool unchanged;
    time_t earliest;

    sts_policy_digest(entry->policy, digest);
    int rc = look_up(c, entry->domain, digest, &unchanged, &earliest);
    if (rc != SQLITE_OK || unchanged)
        return rc;
    rc = fresh_id(c, entry->domain, earliest, digest, id);
    if (rc == SQLITE_OK)
        rc = end_current(c, entry->domain);
    return rc == SQLITE_OK ? insert(c, entry, id, digest) : rc;
}

static int finish(struct ledger *ledger, int rc)
{
    if (rc == SQLITE_OK)
        rc = ledger_exec(ledger, "COMMIT");
    if (rc != SQLITE_OK)
        ledger_exec(ledger, "ROLLBACK");
    return rc;
}

bool ledger_commit(struct ledger *ledger, const struct ledger_entry *entries, size_t count,
                   time_t now, struct sts_diags *diags)
{
    struct commit c = {.ledger = ledger, .now = now};
    int rc = prepare(&c);

    if (rc == SQLITE_OK)
        rc = ledger_exec(ledger, "BEGIN IMMEDIATE");
    if (rc == SQLITE_OK) {
        for (size_t i = 0; rc == SQLITE_OK && i < count; i++)
            rc = commit_entry(&c, &entries[i]);
        rc = finish(ledger, rc);
    }
    finalize(&c);
    return rc == SQLITE_OK || ledger_fail(ledger, rc, diags);
}

bool ledger_end(struct ledger *ledger, const struct sts_str *domains, size_t count, time_t now,
                struct sts_diags *diags)
{
    struct commit c = {.ledger = ledger, .now = now};
    int rc = prepare(&c);

    if (rc == SQLITE_OK)
        rc = ledger_exec(ledger, "BEGIN IMMEDIATE");
    if (rc == SQLITE_OK) {
        for (size_t i = 0; rc == SQLITE_OK && i < count; i++)
            rc = end_current(&c, domains[i]);
        rc = finish(ledger, rc);
    }
    finalize(&c);
    return rc == SQLITE_OK || ledger_fail(ledger, rc, diags);
}

bool ledger_touch(struct ledger *ledger, time_t now, struct sts_diags *diags)
{
    int rc;
    sqlite3_stmt *stmt = ledger_prepare(ledger, "UPDATE alive SET at = ?1 WHERE at < ?1", &rc);

    if (stmt) {
        sqlite3_bind_int64(stmt, 1, now);
        rc = run(stmt);
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_OK || ledger_fail(ledger, rc, diags);
}
