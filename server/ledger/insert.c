#include "server/ledger/insert.h"

#include <string.h>

#define COLUMNS "domain, id, digest, body, mode, max_age, first_served, file"
#define ROW     "(?, ?, ?, ?, ?, ?, ?, ?)"

enum { COLUMN_COUNT = 8 };

static int prepare_many(struct inserting *in, struct ledger *ledger)
{
    struct sts_buf sql = {0};
    int rc;

    sts_buf_add(&sql, STS_STR("INSERT INTO instance (" COLUMNS ") VALUES " ROW));
    for (size_t i = 1; i < INSERT_ROWS; i++)
        sts_buf_add(&sql, STS_STR(", " ROW));
    in->many = ledger_prepare(ledger, sql.ptr, &rc);
    sts_buf_fini(&sql);
    return rc;
}

static int read_last(struct inserting *in)
{
    int rc = sqlite3_step(in->last);

    if (rc == SQLITE_ROW)
        in->before = sqlite3_column_int64(in->last, 0);
    sqlite3_reset(in->last);
    return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

int insert_begin(struct inserting *in, struct ledger *ledger, time_t now)
{
    const struct ledger_statement all[] = {
        {&in->last, "SELECT max(seq) FROM instance"},
        {&in->one, "INSERT INTO instance (" COLUMNS ") VALUES " ROW},
        /* What DNS has to learn. */
        {&in->begun, "INSERT OR IGNORE INTO unpublished SELECT domain FROM instance "
                     "WHERE seq > ?1"},
    };
    int rc = ledger_prepare_all(ledger, all, sizeof(all) / sizeof(*all));

    in->now = now;
    if (rc == SQLITE_OK)
        rc = prepare_many(in, ledger);
    return rc == SQLITE_OK ? read_last(in) : rc;
}

void insert_fini(struct inserting *in)
{
    sqlite3_stmt *const all[] = {in->last, in->one, in->many, in->begun};

    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        sqlite3_finalize(all[i]);
    for (size_t i = 0; i < KNOWN_SLOTS; i++)
        sts_buf_fini(&in->known[i].body);
    memset(in, 0, sizeof(*in));
}

const struct known *insert_know(struct inserting *in, const struct sts_policy *policy)
{
    /* A prime number of slots: policies lie at equal distances, and shall not share them. */
    struct known *known = &in->known[(uintptr_t)policy->mx / sizeof(*policy->mx) % KNOWN_SLOTS];
    const struct sts_policy *as = &known->policy;

    if (policy->mx_count && policy->mx == as->mx && policy->mx_count == as->mx_count &&
        policy->mode == as->mode && policy->max_age == as->max_age)
        return known;
    sts_policy_digest(policy, known->digest);
    known->body.len = 0;
    sts_policy_render(&known->body, policy);
    known->policy = *policy;
    return known;
}

static void insert_bind(struct inserting *in, size_t row, sqlite3_stmt *stmt, size_t place)
{
    const struct ledger_entry *entry = in->rows[row].entry;
    const struct known *known = insert_know(in, entry->policy);
    int at = (int)(place * COLUMN_COUNT);

    ledger_bind_str(stmt, at + 1, entry->domain);
    ledger_bind_str(stmt, at + 2, sts_str_from(in->rows[row].id));
    /* Copied: another row's policy may need the slot. */
    sqlite3_bind_blob(stmt, at + 3, known->digest, STS_DIGEST_LEN, SQLITE_TRANSIENT);
    sqlite3_bind_text(stmt, at + 4, known->body.ptr, (int)known->body.len, SQLITE_TRANSIENT);
    ledger_bind_str(stmt, at + 5, sts_str_from(sts_mode_name(entry->policy->mode)));
    sqlite3_bind_int64(stmt, at + 6, entry->policy->max_age);
    sqlite3_bind_int64(stmt, at + 7, in->now);
    if (entry->file.len)
        ledger_bind_str(stmt, at + 8, entry->file);
    else
        sqlite3_bind_null(stmt, at + 8);
}

static int insert_flush(struct inserting *in)
{
    size_t each = in->count == INSERT_ROWS ? INSERT_ROWS : 1;
    sqlite3_stmt *stmt = each == 1 ? in->one : in->many;
    int rc = SQLITE_OK;

    for (size_t i = 0; rc == SQLITE_OK && i < in->count; i += each) {
        for (size_t j = 0; j < each; j++)
            insert_bind(in, i + j, stmt, j);
        rc = ledger_run(stmt);
    }
    in->any = in->any || in->count;
    in->count = 0;
    return rc;
}

int insert_add(struct inserting *in, const struct ledger_entry *entry, const char *id)
{
    in->rows[in->count].entry = entry;
    memcpy(in->rows[in->count++].id, id, STS_ID_MAX + 1);
    return in->count == INSERT_ROWS ? insert_flush(in) : SQLITE_OK;
}

int insert_finish(struct inserting *in)
{
    int rc = insert_flush(in);

    if (rc != SQLITE_OK || !in->any)
        return rc;
    sqlite3_bind_int64(in->begun, 1, in->before);
    return ledger_run(in->begun);
}
