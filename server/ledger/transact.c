/* One change of the ledger: a transaction, whole or not at all. */
#include "server/ledger/parts.h"
#include "server/ledger/schema.h"

int ledger_run(sqlite3_stmt *stmt)
{
    int rc = sqlite3_step(stmt);
    sqlite3_reset(stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int transact_once(struct ledger *ledger, const char *begin, ledger_work *work, void *data)
{
    int rc = ledger_exec(ledger, begin);

    if (rc != SQLITE_OK)
        return rc;
    /* A newer mta-stsd may have been here since this file was opened. */
    rc = ledger_schema_check(ledger->db, &ledger_schema);
    if (rc == SQLITE_OK)
        rc = work(ledger, data);
    if (rc == SQLITE_OK)
        rc = ledger_exec(ledger, "COMMIT");
    if (rc != SQLITE_OK)
        ledger_exec(ledger, "ROLLBACK");
    return rc;
}

bool ledger_transact(struct ledger *ledger, ledger_work *work, void *data, struct sts_diags *diags)
{
    if (!ledger_refresh(ledger, LEDGER_WRITE, diags))
        return false;
    int rc = transact_once(ledger, "BEGIN", work, data);
    if ((rc & 0xff) == SQLITE_BUSY)
        rc = transact_once(ledger, "BEGIN IMMEDIATE", work, data);
    return rc == SQLITE_OK || ledger_fail(ledger, rc, diags);
}
