/* Shared by the files of this folder. */
#ifndef MTASTS_LEDGER_PARTS_H
#define MTASTS_LEDGER_PARTS_H

#include <sqlite3.h>

#include "server/ledger/ledger.h"

struct ledger {
    sqlite3 *db;
    struct sts_arena *arena;
    struct sts_pos where; /* of the `ledger` key, for diagnostics */
    struct sts_str path;
};

/* Adds the diagnostic that fits the SQLite result code; always returns false. */
bool ledger_fail(struct ledger *ledger, int rc, struct sts_diags *diags);
int ledger_exec(struct ledger *ledger, const char *sql);
/* A prepared statement, or NULL with *rc set. */
sqlite3_stmt *ledger_prepare(struct ledger *ledger, const char *sql, int *rc);
void ledger_bind_str(sqlite3_stmt *stmt, int index, struct sts_str s);
struct sts_str ledger_column_str(sqlite3_stmt *stmt, int column); /* borrowed until the next step */

#endif
