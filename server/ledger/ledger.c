/* Opening and closing. */
#include "server/ledger/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/memory.h"
#include "server/ledger/parts.h"
#include "server/ledger/schema.h"

enum { BUSY_MS = 5000, PAUSE_MS = 20, STEPS_BETWEEN_QUESTIONS = 10000 };

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

int ledger_prepare_all(struct ledger *ledger, const struct ledger_statement *all, size_t count)
{
    int rc = SQLITE_OK;

    for (size_t i = 0; rc == SQLITE_OK && i < count; i++)
        *all[i].stmt = ledger_prepare(ledger, all[i].sql, &rc);
    return rc;
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

static int open_file(struct ledger *ledger, const char *name, int flags)
{
    /* One handle belongs to one thread: nothing to guard. */
    int rc = sqlite3_open_v2(name, &ledger->db, flags | SQLITE_OPEN_NOMUTEX, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_busy_timeout(ledger->db, BUSY_MS);
    if (rc == SQLITE_OK)
        rc = ledger_schema_check(ledger->db, &ledger_schema);
    ledger->older = rc == LEDGER_RC_OLDER && ledger->access == LEDGER_READ_OLDER;
    return ledger->older ? SQLITE_OK : rc;
}

/* Whether all that was ever committed is in the main file: the last writer closed it in order. */
static bool has_no_wal(const struct ledger *ledger)
{
    struct stat st;
    return stat(ledger->wal_path.ptr, &st) == 0 ? st.st_size == 0 : errno == ENOENT;
}

static struct sts_str immutable_uri(const struct ledger *ledger)
{
    struct sts_buf uri = {0};

    sts_buf_add(&uri, STS_STR("file:"));
    for (size_t i = 0; i < ledger->path.len; i++) {
        char c = ledger->path.ptr[i];
        if (sts_is_alnum(c) || c == '/' || c == '.')
            sts_buf_add(&uri, (struct sts_str){&c, 1});
        else
            sts_buf_printf(&uri, "%%%02X", (unsigned char)c);
    }
    sts_buf_add(&uri, STS_STR("?immutable=1"));
    struct sts_str copy = sts_arena_dup(ledger->arena, sts_buf_str(&uri));
    sts_buf_fini(&uri);
    return copy;
}

/* WAL wants to write beside the database even to read it. Where that is not allowed and nobody
 * writes either (a backup, a read-only file system), the file alone says everything. */
static int open_to_read(struct ledger *ledger)
{
    int rc = open_file(ledger, ledger->path.ptr, SQLITE_OPEN_READONLY);

    if (((rc & 0xff) == SQLITE_CANTOPEN || (rc & 0xff) == SQLITE_READONLY) && has_no_wal(ledger)) {
        sqlite3_close(ledger->db);
        rc = open_file(ledger, immutable_uri(ledger).ptr, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
    }
    return rc;
}

/* Done once in a file's life, but it does not wait for a process that does the same meanwhile. */
static int turn_to_wal(struct ledger *ledger)
{
    int rc = SQLITE_BUSY;

    sqlite3_busy_timeout(ledger->db, 0);
    for (int i = 0; rc == SQLITE_BUSY && i < BUSY_MS / PAUSE_MS; i++) {
        if (i > 0)
            sqlite3_sleep(PAUSE_MS);
        rc = ledger_exec(ledger, "PRAGMA journal_mode = WAL");
    }
    sqlite3_busy_timeout(ledger->db, BUSY_MS);
    return rc;
}

static int open_to_write(struct ledger *ledger)
{
    ledger_create_private(ledger->path.ptr);
    int rc = open_file(ledger, ledger->path.ptr, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    bool migrated = rc == SQLITE_OK;

    if (!migrated && rc != LEDGER_RC_EMPTY && rc != LEDGER_RC_OLDER)
        return rc;
    /* SQLite falls back to reading by itself, and would complain at the first change only. */
    if (sqlite3_db_readonly(ledger->db, "main"))
        return SQLITE_READONLY;
    rc = turn_to_wal(ledger);
    if (rc == SQLITE_OK)
        rc = ledger_exec(ledger, "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
                                 "PRAGMA journal_size_limit = 4194304");
    /* Migrating takes the write lock, so that it would wait for whoever writes. */
    return rc == SQLITE_OK && !migrated ? ledger_schema_migrate(ledger->db, &ledger_schema) : rc;
}

static struct file_id ledger_identify(struct sts_str path)
{
    struct stat st;
    if (stat(path.ptr, &st) != 0)
        return (struct file_id){0};
    return (struct file_id){st.st_dev, st.st_ino};
}

static bool ledger_same(struct file_id a, struct file_id b)
{
    return a.inode && a.inode == b.inode && a.device == b.device;
}

static int open_database(struct ledger *ledger)
{
    struct stat st;

    /* A FIFO would hang SQLite. */
    if (stat(ledger->path.ptr, &st) == 0 && !S_ISREG(st.st_mode))
        return LEDGER_RC_NOT_A_FILE;
    if (ledger->access == LEDGER_WRITE) {
        int rc = open_to_write(ledger);
        ledger->wal = ledger_identify(ledger->wal_path);
        return rc;
    }
    return stat(ledger->path.ptr, &st) != 0 && errno == ENOENT ? LEDGER_RC_MISSING
                                                               : open_to_read(ledger);
}

static int ledger_on_busy(void *data, int tries)
{
    const struct ledger *ledger = data;

    if (ledger->asked_to_give_up() || tries >= BUSY_MS / PAUSE_MS)
        return 0;
    sqlite3_sleep(PAUSE_MS);
    return 1;
}

static int ledger_on_progress(void *data)
{
    return ((const struct ledger *)data)->asked_to_give_up();
}

void ledger_give_up_when(struct ledger *ledger, bool (*asked)(void))
{
    ledger->asked_to_give_up = asked;
    sqlite3_progress_handler(ledger->db, asked ? STEPS_BETWEEN_QUESTIONS : 0, ledger_on_progress,
                             ledger);
    if (asked)
        sqlite3_busy_handler(ledger->db, ledger_on_busy, ledger);
    else
        sqlite3_busy_timeout(ledger->db, BUSY_MS);
}

struct ledger *ledger_open(const char *path, enum ledger_access access, struct sts_pos where,
                           struct sts_diags *diags)
{
    struct ledger *ledger = sts_must(calloc(1, sizeof(*ledger)));

    ledger->arena = sts_arena_new();
    ledger->access = access;
    /* Not ":memory:" and not "file:...", which mean something to SQLite. */
    ledger->path = sts_arena_printf(ledger->arena, "%s%s", path[0] == '/' ? "" : "./", path);
    ledger->wal_path = sts_arena_printf(ledger->arena, "%s-wal", ledger->path.ptr);
    ledger->shm_path = sts_arena_printf(ledger->arena, "%s-shm", ledger->path.ptr);
    ledger->where = where;
    ledger->where.source = sts_arena_dup(ledger->arena, where.source);
    int rc = open_database(ledger);
    if (rc == SQLITE_OK)
        return ledger;
    ledger_fail(ledger, rc, diags);
    ledger_close(ledger);
    return NULL;
}

static void ledger_disconnect(struct ledger *ledger)
{
    sqlite3_finalize(ledger->history);
    ledger->history = NULL;
    sqlite3_close(ledger->db);
    ledger->db = NULL;
}

void ledger_close(struct ledger *ledger)
{
    if (!ledger)
        return;
    ledger_disconnect(ledger);
    for (size_t i = 0; i < PROVED_SLOTS; i++)
        sts_buf_fini(&ledger->proved[i].body);
    sts_arena_free(ledger->arena);
    free(ledger);
}

/* The journal of the file that went away must not be played into the one that took its place. One
 * that came with that file stays. */
static void remove_stale_journal(struct ledger *ledger)
{
    if (!ledger_same(ledger_identify(ledger->wal_path), ledger->wal))
        return;
    unlink(ledger->wal_path.ptr);
    unlink(ledger->shm_path.ptr);
}

const char *ledger_notice(const struct ledger *ledger)
{
    return ledger->notice;
}

static struct sts_diag *ledger_warn(struct ledger *ledger, const char *code, const char *notice,
                                    struct sts_diags *diags)
{
    ledger->notice = notice;
    return sts_diag_add(diags, STS_WARNING, code, ledger_where(ledger, diags), "the ledger %.*s %s",
                        STS_ARG(ledger->path), notice);
}

static void warn_replaced(struct ledger *ledger, struct sts_diags *diags)
{
    struct sts_diag *diag =
        ledger_warn(ledger, "ledger-replaced", "was replaced while in use", diags);
    sts_diag_help(diags, diag,
                  "the file that is there now is used; to restore a backup, stop the server first");
}

static void ledger_warn_rescued(struct ledger *ledger, struct sts_diags *diags)
{
    struct sts_diag *diag = ledger_warn(ledger, "ledger-rescued",
                                        "was deleted while in use; it was written again with all "
                                        "that it held, and no id changed by that",
                                        diags);
    sts_diag_help(diags, diag,
                  "find out what deleted it; whoever wants an empty one stops the server first");
}

static bool ledger_fail_deleted(struct ledger *ledger, int error, struct sts_diags *diags)
{
    struct sts_diag *diag =
        sts_diag_add(diags, STS_ERROR, "ledger-deleted", ledger_where(ledger, diags),
                     "the ledger %.*s was deleted, and cannot be written again: %s",
                     STS_ARG(ledger->path), strerrordesc_np(error));
    sts_diag_help(diags, diag,
                  "mend that, and do not stop the server before: it still has all of it open, and "
                  "tries again within a minute");
    return false;
}

static bool is_in_place(const struct ledger *ledger)
{
    int moved = 0;

    sqlite3_file_control(ledger->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    return !moved;
}

static bool ledger_is_deleted(const struct ledger *ledger)
{
    struct stat st;
    return stat(sqlite3_db_filename(ledger->db, "main"), &st) != 0 && errno == ENOENT;
}

/* What was open before stays so until the file that is there now is known to be of use: it may be
 * all that is left. */
static bool ledger_reopen(struct ledger *ledger, struct sts_diags *diags)
{
    const struct file_id wal = ledger->wal;
    sqlite3 *before = ledger->db, *not_used = before;

    sqlite3_finalize(ledger->history);
    ledger->history = NULL;
    ledger->db = NULL;
    int rc = open_database(ledger);
    if (rc != SQLITE_OK) {
        ledger_fail(ledger, rc, diags);
        not_used = ledger->db;
        ledger->db = before;
        ledger->wal = wal;
    }
    /* Of a file that moved, SQLite leaves everything as it is. */
    sqlite3_close(not_used);
    ledger_give_up_when(ledger, ledger->asked_to_give_up);
    return rc == SQLITE_OK;
}

bool ledger_refresh(struct ledger *ledger, enum ledger_access purpose, struct sts_diags *diags)
{
    if (ledger->access != LEDGER_WRITE)
        return true;
    if (!is_in_place(ledger)) {
        bool deleted = ledger_is_deleted(ledger);
        if (deleted && purpose == LEDGER_READ)
            return true;
        int error = deleted ? ledger_rescue(ledger) : EEXIST;
        if (error && error != EEXIST)
            return ledger_fail_deleted(ledger, error, diags);
        if (error)
            remove_stale_journal(ledger);
        if (!ledger_reopen(ledger, diags))
            return false;
        ledger->replaced = ledger->replaced || error;
        ledger->unsaid = error ? warn_replaced : ledger_warn_rescued;
    }
    if (ledger->unsaid && purpose == LEDGER_WRITE) {
        ledger->unsaid(ledger, diags);
        ledger->unsaid = NULL;
    }
    return true;
}
