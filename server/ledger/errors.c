/* Result codes in words. */
#include <errno.h>
#include <string.h>

#include "server/ledger/parts.h"
#include "server/ledger/schema.h"

struct failure {
    int rc;
    const char *code, *message, *help;
};

#define MAKE_ROOM "make room; policies are served meanwhile, but no new id is announced"
#define RESTORE                                                                                    \
    "stop the server, remove it with its -wal and -shm, and restore it from a backup; without "    \
    "one "                                                                                         \
    "a new ledger is made and every policy gets a new id"

static const struct failure full = {SQLITE_FULL, "ledger-full",
                                    "cannot be written: the disk is full", MAKE_ROOM};

static const struct failure failures[] = {
    {LEDGER_RC_MISSING, "ledger-missing", "does not exist yet",
     "start the server, or run records without one"},
    {LEDGER_RC_EMPTY, "ledger-missing", "is empty", "start the server, or run records without one"},
    {LEDGER_RC_OLDER, "ledger-older", "was written by an older mta-stsd",
     "restart the server: it brings the ledger up to date"},
    {LEDGER_RC_NEWER, "ledger-newer", "was written by a newer mta-stsd",
     "run that version, or one after it"},
    {LEDGER_RC_FOREIGN, "ledger-foreign", "is the database of another program",
     "name another file under ledger:, and restart the server"},
    {LEDGER_RC_NOT_A_FILE, "ledger-foreign", "is not a regular file",
     "name another file under ledger:, and restart the server"},
    {LEDGER_RC_REPLACED, "ledger-replaced", "does not know yet what is served",
     "nothing: the server tells it again"},
    {SQLITE_NOTADB, "ledger-corrupt", "is damaged, or never was a ledger", RESTORE},
    {SQLITE_CORRUPT, "ledger-corrupt", "is damaged", RESTORE},
    {SQLITE_IOERR, "ledger-io", "cannot be read or written",
     "look at the disk; policies are served meanwhile, but no new id is announced"},
    {SQLITE_BUSY, "ledger-busy", "is locked by another process", "try again, or end what holds it"},
};

/* These depend on what was wanted. */
static const struct failure unreadable = {0, "ledger-unreadable", "cannot be read",
                                          "run this as the user that runs mta-stsd, or as root"};
static const struct failure unwritable = {0, "ledger-unwritable", "cannot be written",
                                          "the directory must be there, and it and the file belong "
                                          "to the user that runs mta-stsd; by hand, "
                                          "try sudo"};

static const struct failure other = {0, "ledger-failed", NULL,
                                     "see what sqlite3 LEDGER 'PRAGMA integrity_check' says"};

static const struct failure *errors_find(const struct ledger *ledger, int rc, int error)
{
    if (rc == SQLITE_FULL ||
        (rc == SQLITE_IOERR && (error == ENOSPC || error == EDQUOT || error == EFBIG)))
        return &full;
    if (rc == SQLITE_READONLY || rc == SQLITE_CANTOPEN || rc == SQLITE_PERM)
        return ledger->access == LEDGER_WRITE ? &unwritable : &unreadable;
    for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++)
        if (failures[i].rc == rc)
            return &failures[i];
    return &other;
}

struct sts_pos ledger_where(const struct ledger *ledger, const struct sts_diags *diags)
{
    struct sts_pos where = ledger->where;

    where.source = sts_arena_dup(diags->arena, where.source);
    return where;
}

static struct sts_diag *errors_report(struct ledger *ledger, const struct failure *f,
                                      const char *why, struct sts_diags *diags)
{
    struct sts_diag *diag = sts_diag_add(
        diags, STS_ERROR, f->code, ledger_where(ledger, diags), "the ledger %.*s %s%s%s",
        STS_ARG(ledger->path), f->message ? f->message : "failed", why ? ": " : "", why ? why : "");
    sts_diag_help(diags, diag, "%s", f->help);
    return diag;
}

bool ledger_fail(struct ledger *ledger, int rc, struct sts_diags *diags)
{
    rc &= 0xff;
    /* A newer mta-stsd may have changed the tables under a statement of ours. */
    if (rc == SQLITE_ERROR && ledger_schema_check(ledger->db, &ledger_schema) == LEDGER_RC_NEWER)
        rc = LEDGER_RC_NEWER;
    /* The system's reason; SQLite keeps it for these two only. */
    bool system = rc == SQLITE_IOERR || rc == SQLITE_CANTOPEN;
    int error = system && ledger->db ? sqlite3_system_errno(ledger->db) : 0;
    const struct failure *f = errors_find(ledger, rc, error);
    const char *why = error ? strerrordesc_np(error) : NULL;
    errors_report(ledger, f, f == &other ? sqlite3_errstr(rc) : why, diags);
    return false;
}

void ledger_fail_entry(struct ledger *ledger, struct sts_str domain, struct sts_diags *diags)
{
    static const struct failure entry = {0, "ledger-corrupt", "has a damaged entry", RESTORE};

    errors_report(ledger, &entry, NULL, diags)->tenant = sts_arena_dup(diags->arena, domain);
}
