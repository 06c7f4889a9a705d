/* The database's shape and how it got there: one SQL step per schema version. */
#ifndef MTASTS_LEDGER_SCHEMA_H
#define MTASTS_LEDGER_SCHEMA_H

#include <sqlite3.h>

#define LEDGER_APPLICATION_ID 0x4d545354 /* "MTST" */

/* What is not SQLite's to say, beside its primary result codes (all below 128). */
enum {
    LEDGER_RC_MISSING = 200, /* no such file */
    LEDGER_RC_NOT_A_FILE,    /* a FIFO, a directory, a device */
    LEDGER_RC_EMPTY,         /* a database with nothing in it */
    LEDGER_RC_OLDER,         /* a ledger that wants migrating */
    LEDGER_RC_NEWER,         /* a ledger of a later mta-stsd */
    LEDGER_RC_FOREIGN,       /* somebody else's database */
    LEDGER_RC_REPLACED,      /* not the file that was told what is served */
};

/* Step N brings version N to N + 1; the last version is the one this program works with. */
struct ledger_schema {
    const char *const *steps;
    int version;
};
extern const struct ledger_schema ledger_schema;

/* SQLITE_OK when the database has this version, else one of the codes above or SQLite's. */
int ledger_schema_check(sqlite3 *db, const struct ledger_schema *schema);
/* Brings an empty or older one to this version, all steps in one transaction. */
int ledger_schema_migrate(sqlite3 *db, const struct ledger_schema *schema);

#endif
