#include "server/ledger/schema.h"

#include <stdio.h>

/* Never edit a released step; add one. */
static const char *const steps[] = {
    "CREATE TABLE instance ("
    "  seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  domain TEXT NOT NULL,"
    "  id TEXT NOT NULL,"
    "  digest BLOB NOT NULL,"
    "  body TEXT NOT NULL,"
    "  mode TEXT NOT NULL,"
    "  max_age INTEGER NOT NULL,"
    "  first_served INTEGER NOT NULL,"
    "  last_served INTEGER," /* NULL: served now */
    "  UNIQUE (domain, id)"
    ") STRICT;"
    "CREATE INDEX instance_domain_seq ON instance (domain, seq);"
    "CREATE UNIQUE INDEX instance_current ON instance (domain) WHERE last_served IS NULL;"
    /* One row: when the server last said that it is alive. */
    "CREATE TABLE alive (one INTEGER PRIMARY KEY CHECK (one = 1), at INTEGER NOT NULL) STRICT;"
    "INSERT INTO alive VALUES (1, 0);",

    /* What was announced, by the word of whoever did it. */
    "CREATE TABLE published ("
    "  domain TEXT PRIMARY KEY,"
    "  id TEXT NOT NULL,"
    "  at INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    /* Where announced and current id may differ; beyond these nobody has to look. */
    "CREATE TABLE unpublished (domain TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;"
    "INSERT INTO unpublished SELECT domain FROM instance WHERE last_served IS NULL;",

    /* Which file it was served from last; NULL: from before that was remembered. */
    "ALTER TABLE instance ADD COLUMN file TEXT;",
};

const struct ledger_schema ledger_schema = {steps, sizeof(steps) / sizeof(*steps)};

/* The number that a query gives, 0 when it gives none. */
static int schema_ask(sqlite3 *db, const char *sql, int *out)
{
    sqlite3_stmt *stmt = NULL;

    *out = 0;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

    if (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        *out = sqlite3_column_int(stmt, 0);
        rc = SQLITE_OK;
    }
    sqlite3_finalize(stmt);
    return rc;
}

static int read_version(sqlite3 *db, int *version)
{
    int application, objects;
    int rc = schema_ask(db, "PRAGMA application_id", &application);

    if (rc == SQLITE_OK)
        rc = schema_ask(db, "PRAGMA user_version", version);
    if (rc == SQLITE_OK)
        rc = schema_ask(db, "SELECT count(*) FROM sqlite_schema", &objects);
    if (rc != SQLITE_OK)
        return rc;
    if (application == LEDGER_APPLICATION_ID)
        return *version > 0 ? SQLITE_OK : SQLITE_CORRUPT;
    return application || *version || objects ? LEDGER_RC_FOREIGN : LEDGER_RC_EMPTY;
}

static int schema_compare(sqlite3 *db, const struct ledger_schema *schema, int *version)
{
    int rc = read_version(db, version);

    if (rc != SQLITE_OK || *version == schema->version)
        return rc;
    return *version > schema->version ? LEDGER_RC_NEWER : LEDGER_RC_OLDER;
}

int ledger_schema_check(sqlite3 *db, const struct ledger_schema *schema)
{
    int version = 0;

    if (!sqlite3_get_autocommit(db))
        return schema_compare(db, schema, &version);
    /* One view of the whole: another process may be making it right now. */
    int rc = sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = schema_compare(db, schema, &version);
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

static int schema_apply(sqlite3 *db, const struct ledger_schema *schema, int version)
{
    char stamp[96];
    int rc = SQLITE_OK;

    for (; rc == SQLITE_OK && version < schema->version; version++)
        rc = sqlite3_exec(db, schema->steps[version], NULL, NULL, NULL);
    snprintf(stamp, sizeof(stamp), "PRAGMA application_id = %d; PRAGMA user_version = %d",
             LEDGER_APPLICATION_ID, schema->version);
    return rc == SQLITE_OK ? sqlite3_exec(db, stamp, NULL, NULL, NULL) : rc;
}

int ledger_schema_migrate(sqlite3 *db, const struct ledger_schema *schema)
{
    int version = 0;
    int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

    if (rc != SQLITE_OK)
        return rc;
    /* Looked at inside the write lock: another process may have migrated meanwhile. */
    rc = schema_compare(db, schema, &version);
    if (rc == LEDGER_RC_EMPTY || rc == LEDGER_RC_OLDER)
        rc = schema_apply(db, schema, version);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}
