/* Reading single instances: the latest of a tenant, or all of them, of one or of everybody. */
#include <openssl/sha.h>
#include <string.h>

#include "server/ledger/parts.h"

time_t ledger_cached_until(time_t last, uint32_t max_age)
{
    /* Whatever the clock said once: no overflow, and a date that can be shown. */
    if (last < 0)
        last = 0;
    if (last > ledger_last_time)
        last = ledger_last_time;
    last += LEDGER_TOUCH_SECONDS + (time_t)max_age;
    return last < ledger_last_time ? last : ledger_last_time;
}

static time_t cached_until(const struct ledger_instance *i, time_t alive)
{
    time_t last = i->last_served;

    if (i->mode == STS_MODE_NONE)
        return 0;
    if (last == 0)
        last = i->first_served > alive ? i->first_served : alive;
    return ledger_cached_until(last, i->max_age);
}

bool ledger_read_fields(sqlite3_stmt *stmt, struct ledger_instance *out)
{
    struct sts_str id = ledger_column_str(stmt, 1);
    sqlite3_int64 max_age = sqlite3_column_int64(stmt, 5);
    bool good = sts_id_check(id);

    *out = (struct ledger_instance){.domain = ledger_column_str(stmt, 0),
                                    .body = ledger_column_str(stmt, 3),
                                    .max_age = (uint32_t)max_age,
                                    .first_served = sqlite3_column_int64(stmt, 6),
                                    .last_served = sqlite3_column_int64(stmt, 7)};
    if (good)
        memcpy(out->id, id.ptr, id.len);
    if (sqlite3_column_bytes(stmt, 2) == STS_DIGEST_LEN)
        memcpy(out->digest, sqlite3_column_blob(stmt, 2), STS_DIGEST_LEN);
    else
        good = false;
    if (max_age < 0 || max_age > STS_MAX_AGE_LIMIT) {
        out->max_age = STS_MAX_AGE_LIMIT;
        good = false;
    }
    if (!sts_mode_from(ledger_column_str(stmt, 4), &out->mode)) {
        out->mode = STS_MODE_ENFORCE;
        good = false;
    }
    out->cached_until = cached_until(out, sqlite3_column_int64(stmt, 8));
    if (sqlite3_column_count(stmt) > 9)
        out->file = ledger_column_str(stmt, 9);
    return good;
}

bool ledger_is_proved(struct ledger *ledger, const struct ledger_instance *instance)
{
    const unsigned char *said = instance->digest;
    struct proved *proved = &ledger->proved[(said[0] << 8 | said[1]) % PROVED_SLOTS];

    /* Many tenants have one policy. */
    if (!proved->body.len || !sts_str_eq(sts_buf_str(&proved->body), instance->body)) {
        proved->body.len = 0;
        sts_buf_add(&proved->body, instance->body);
        SHA256((const unsigned char *)instance->body.ptr, instance->body.len, proved->digest);
    }
    return memcmp(proved->digest, said, STS_DIGEST_LEN) == 0;
}

static bool read_row(struct ledger *ledger, sqlite3_stmt *stmt, struct ledger_instance *out)
{
    return ledger_read_fields(stmt, out) && ledger_is_proved(ledger, out);
}

bool ledger_latest(struct ledger *ledger, struct sts_arena *arena, struct sts_str domain,
                   struct ledger_instance *out, struct sts_diags *diags)
{
    struct ledger_instance found = {0};
    bool good = false;
    int rc;

    if (!ledger_refresh(ledger, LEDGER_READ, diags))
        return false;
    sqlite3_stmt *stmt = ledger_prepare(
        ledger,
        "SELECT " LEDGER_COLUMNS " FROM instance WHERE domain = ?1 ORDER BY seq DESC LIMIT 1", &rc);
    if (stmt) {
        ledger_bind_str(stmt, 1, domain);
        rc = sqlite3_step(stmt);
    }
    if (rc == SQLITE_ROW && !read_row(ledger, stmt, &found)) {
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

/* To the end of the statement, which is finalized. */
bool ledger_visit_rows(struct ledger *ledger, sqlite3_stmt *stmt, int rc, ledger_visit *visit,
                       void *data, struct sts_diags *diags)
{
    struct ledger_instance instance;
    bool good = true;

    while (stmt && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        if (read_row(ledger, stmt, &instance)) {
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

bool ledger_each_instance(struct ledger *ledger, struct sts_str domain, ledger_visit *visit,
                          void *data, struct sts_diags *diags)
{
    int rc;

    if (!ledger_refresh(ledger, LEDGER_READ, diags))
        return false;
    sqlite3_stmt *stmt = ledger_prepare(
        ledger, "SELECT " LEDGER_COLUMNS " FROM instance WHERE domain = ?1 ORDER BY seq DESC", &rc);
    if (stmt)
        ledger_bind_str(stmt, 1, domain);
    return ledger_visit_rows(ledger, stmt, rc, visit, data, diags);
}

bool ledger_each_current(struct ledger *ledger, ledger_visit *visit, void *data,
                         struct sts_diags *diags)
{
    int rc;

    if (!ledger_refresh(ledger, LEDGER_READ, diags))
        return false;
    sqlite3_stmt *stmt = ledger_prepare(
        ledger,
        ledger->older ? "SELECT " LEDGER_COLUMNS
                        " FROM instance WHERE last_served IS NULL ORDER BY domain"
                      : "SELECT " LEDGER_COLUMNS
                        ", file FROM instance WHERE last_served IS NULL ORDER BY domain",
        &rc);
    return ledger_visit_rows(ledger, stmt, rc, visit, data, diags);
}

struct entries {
    struct ledger *ledger;
    struct sts_diags *diags;
    struct sts_buf domain; /* of the entry before */
    bool damaged;          /* one of that tenant */
    bool good;             /* all */
};

static void tell_damaged(struct entries *e)
{
    if (!e->damaged)
        return;
    ledger_fail_entry(e->ledger, sts_buf_str(&e->domain), e->diags);
    e->good = e->damaged = false;
}

static void visit_entry(struct entries *e, sqlite3_stmt *stmt, ledger_visit_entry *visit,
                        void *data)
{
    struct ledger_instance instance;
    bool readable = read_row(e->ledger, stmt, &instance);

    if (!sts_str_eq(instance.domain, sts_buf_str(&e->domain))) {
        tell_damaged(e);
        e->domain.len = 0;
        sts_buf_add(&e->domain, instance.domain);
    }
    e->damaged = e->damaged || !readable;
    visit(data, &instance, readable);
}

bool ledger_each_entry(struct ledger *ledger, struct sts_str domain, ledger_visit_entry *visit,
                       void *data, struct sts_diags *diags)
{
    struct entries e = {.ledger = ledger, .diags = diags, .good = true};
    int rc;

    if (!ledger_refresh(ledger, LEDGER_READ, diags))
        return false;
    sqlite3_stmt *stmt = ledger_prepare(
        ledger,
        domain.len ? "SELECT " LEDGER_COLUMNS " FROM instance WHERE domain = ?1 ORDER BY seq"
                   : "SELECT " LEDGER_COLUMNS " FROM instance ORDER BY domain, seq",
        &rc);
    if (stmt && domain.len)
        ledger_bind_str(stmt, 1, domain);
    while (stmt && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
        visit_entry(&e, stmt, visit, data);
    tell_damaged(&e);
    sqlite3_finalize(stmt);
    sts_buf_fini(&e.domain);
    return rc == SQLITE_DONE ? e.good : ledger_fail(ledger, rc, diags);
}
