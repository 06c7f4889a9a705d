/* The database's shape and how it got there: one SQL step per schema version. */
#ifndef MTASTS_LEDGER_SCHEMA_H
#define MTASTS_LEDGER_SCHEMA_H

#include <sqlite3.h>
#include <stdbool.h>

#define LEDGER_APPLICATION_ID 0x4d545354 /* "MTST" */

int ledger_schema_version(void); /* the version this program writes */

/* Brings the database to that version inside one transaction. SQLITE_OK; SQLITE_MISMATCH when it is
 * somebody else's database; SQLITE_SCHEMA when it is newer than this program. */
int ledger_schema_migrate(sqlite3 *db);
/* The same answers without writing; an older or empty database is SQLITE_EMPTY. */
int ledger_schema_check(sqlite3 *db);

#endif
