/* Opening, closing, locking, and errors in words. */
#include "server/ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/memory.h"
#include "server/ledger/parts.h"
#include "server/ledger/schema.h"

enum { BUSY_MS = 10000 };

static bool report(struct ledger *ledger, struct sts_diags *diags, const char *code,
                   const char *message, const char *help)
{
    struct sts_diag *diag = sts_diag_add(diags, STS_ERROR, code, ledger->where,
                                         "the ledger %.*s %s", STS_ARG(ledger->path), message);
    sts_diag_help(diags, diag, "%s", help);
    return false;
}

bool ledger_fail(struct ledger *ledger, int rc, struct sts_diags *diags)
{
    switch (rc & 0xff) {
    case SQLITE_SCHEMA:
        return report(ledger, diags, "ledger-newer", "was written by a newer mta-stsd",
                      "run that version, or one after it");
    case SQLITE_MISMATCH:
    case SQLITE_NOTADB:
        return report(ledger, diags, "ledger-foreign", "is not a ledger",
                      "name another file, or move this one away");
    case SQLITE_CORRUPT:
        return report(ledger, diags, "ledger-corrupt", "is damaged",
                      "restore it from a backup; moved away, a new one is made and every "
                      "policy gets a new id");
    case SQLITE_FULL:
    case SQLITE_IOERR:
        return report(ledger, diags, "ledger-full", "cannot be written: the disk is full or fails",
                      "make room; policies are served meanwhile, but no new id is announced");
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return report(ledger, diags, "ledger-unwritable", "cannot be opened for writing",
                      "the directory must exist and belong to the user that runs mta-stsd");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return report(ledger, diags, "ledger-busy", "is locked by another process",
                      "try again, or end what holds it");
    default:
        return report(ledger, diags, "ledger-failed", sqlite3_errstr(rc), "see the message");
    }
}

int ledger_exec(struct ledger *ledger, const char *sql)
{
    return sqlite3_exec(ledger->db, sql, NULL, NULL, NULL);
}

sqlite3_stmt *ledger_prepare(struct ledger *ledger, const char *sql, int *rc)
{
    sqlite3_stmt *stmt = NULL;
    *rc = sqlite3_prepare_v2(ledger->db, sql, -1, &stmt, NULL);
    return stmt;
}

void ledger_bind_str(sqlite3_stmt *stmt, int index, struct sts_str s)
{
    sqlite3_bind_text(stmt, index, s.ptr ? s.ptr : "", (int)s.len, SQLITE_STATIC);
}

struct sts_str ledger_column_str(sqlite3_stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return (struct sts_str){text, text ? (size_t)sqlite3_column_bytes(stmt, column) : 0};
}

static int set_up(struct ledger *ledger, enum ledger_access access)
{
    sqlite3_busy_timeout(ledger->db, BUSY_MS);
    if (access == LEDGER_READ) {
        int rc = ledger_schema_check(ledger->db);
        /* Not migrated yet, so nothing was ever served: said like a missing file. */
        return rc == SQLITE_EMPTY ? SQLITE_NOTFOUND : rc;
    }
    int rc = ledger_exec(ledger, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                 "PRAGMA foreign_keys = ON");
    return rc == SQLITE_OK ? ledger_schema_migrate(ledger->db) : rc;
}

static int open_database(struct ledger *ledger, enum ledger_access access)
{
    int flags =
        access == LEDGER_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    if (access == LEDGER_READ && faccessat(AT_FDCWD, ledger->path.ptr, F_OK, 0) != 0 &&
        errno == ENOENT)
        return SQLITE_NOTFOUND;
    /* Created with mode 0600: bodies are public, but nobody else has business here. */
    mode_t before = umask(077);
    int rc = sqlite3_open_v2(ledger->path.ptr, &ledger->db, flags, NULL);
    if (rc == SQLITE_OK)
        rc = set_up(ledger, access);
    umask(before);
    return rc;
}

struct ledger *ledger_open(const char *path, enum ledger_access access, struct sts_pos where,
                           struct sts_diags *diags)
{
    struct ledger *ledger = sts_must(calloc(1, sizeof(*ledger)));

    ledger->arena = sts_arena_new();
    ledger->path = sts_arena_dup(ledger->arena, sts_str_from(path));
    ledger->where = where;
    int rc = open_database(ledger, access);
    if (rc == SQLITE_OK)
        return ledger;
    if (rc == SQLITE_NOTFOUND)
        report(ledger, diags, "ledger-missing", "does not exist yet",
               "start the server, or run records without one");
    else
        ledger_fail(ledger, rc, diags);
    ledger_close(ledger);
    return NULL;
}

void ledger_close(struct ledger *ledger)
{
    if (!ledger)
        return;
    sqlite3_close(ledger->db);
    sts_arena_free(ledger->arena);
    free(ledger);
}

int ledger_lock(const char *path, bool exclusive)
{
    struct sts_buf name = {0};

    sts_buf_printf(&name, "%s.lock", path);
    int fd = open(name.ptr, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    sts_buf_fini(&name);
    if (fd >= 0 && flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}
