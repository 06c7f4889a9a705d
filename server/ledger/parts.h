/* Shared by the files of this folder. */
#ifndef MTASTS_LEDGER_PARTS_H
#define MTASTS_LEDGER_PARTS_H

#include <sqlite3.h>
#include <sys/types.h>

#include "server/ledger/ledger.h"

struct file_id {
    dev_t device;
    ino_t inode; /* 0: no such file */
};

enum { PROVED_SLOTS = 512 };

/* A body that was proved against its digest lately. */
struct proved {
    struct sts_buf body; /* empty: none */
    unsigned char digest[STS_DIGEST_LEN];
};

struct ledger {
    sqlite3 *db;
    sqlite3_stmt *history; /* of ledger_history, kept: it is asked for each changed tenant */
    struct sts_arena *arena;
    enum ledger_access access;
    struct sts_pos where; /* of the `ledger` key, for diagnostics */
    struct sts_str path;  /* never one that SQLite reads a meaning into */
    struct sts_str wal_path, shm_path;
    struct file_id wal;                 /* what was opened for writing */
    struct proved proved[PROVED_SLOTS]; /* by digest */
    void (*unsaid)(struct ledger *ledger, struct sts_diags *diags); /* a warning, or NULL */
    const char *notice;             /* static; NULL: nothing happened to the file */
    bool (*asked_to_give_up)(void); /* may be NULL */
    bool older;    /* the file is one of an older mta-stsd, LEDGER_READ_OLDER only */
    bool told;     /* by ledger_serve what is served */
    bool replaced; /* another file since; what it says has not been told by this server */
};

/* Where the ledger is named, in the arena of `diags`: what is reported outlives the ledger. */
struct sts_pos ledger_where(const struct ledger *ledger, const struct sts_diags *diags);
/* Adds the diagnostic that fits the result code, SQLite's or ours; always returns false. */
bool ledger_fail(struct ledger *ledger, int rc, struct sts_diags *diags);
/* An entry that this program cannot have written. */
void ledger_fail_entry(struct ledger *ledger, struct sts_str domain, struct sts_diags *diags);

/* Before each use: nothing is ever written to a file that nobody will find. One that was replaced,
 * as by a backup, is not read any more either: who opened the other one may share SQLite's index of
 * the journal with us. That is opened; one that was deleted is read on, and written again before a
 * change. Both with a warning, when something changes: then it reaches the log. False with an error
 * when that fails: what was open stays open, and it is tried again the next time. */
bool ledger_refresh(struct ledger *ledger, enum ledger_access purpose, struct sts_diags *diags);
/* Gives the deleted file its name back. 0, or an error number: EEXIST when another one has it. */
int ledger_rescue(struct ledger *ledger);
/* An existing file stays as it is; a new one is private, and root gives it to the owner of the
 * directory, so that `sudo mta-stsd records` does not lock the server's user out. */
void ledger_create_private(const char *path);

int ledger_exec(struct ledger *ledger, const char *sql);
/* A prepared statement, or NULL with *rc set. */
sqlite3_stmt *ledger_prepare(struct ledger *ledger, const char *sql, int *rc);
/* Several, up to the first that fails. */
struct ledger_statement {
    sqlite3_stmt **stmt; /* receives it */
    const char *sql;
};
int ledger_prepare_all(struct ledger *ledger, const struct ledger_statement *all, size_t count);
void ledger_bind_str(sqlite3_stmt *stmt, int index, struct sts_str s);
struct sts_str ledger_column_str(sqlite3_stmt *stmt, int column); /* borrowed until the next step */

/* Runs `work` in a transaction that is refused by a newer schema, and is whole or not at all. The
 * result of `work` is SQLite's or ours. It may be called twice: first it only reads, and takes the
 * write lock when something really changes; when another process wrote meanwhile, what was read is
 * void, and all is done again behind its lock. */
typedef int ledger_work(struct ledger *ledger, void *data);
bool ledger_transact(struct ledger *ledger, ledger_work *work, void *data, struct sts_diags *diags);
/* One statement without rows, ready for the next use. */
int ledger_run(sqlite3_stmt *stmt);

/* What ledger_read_fields wants to find in the first columns of a statement on `instance`; `file`
 * may follow, which a ledger of an older mta-stsd lacks. */
#define LEDGER_COLUMNS                                                                             \
    "domain, id, digest, body, mode, max_age, first_served, last_served, (SELECT at FROM alive)"
/* False when the row is not what this program writes. Strings are borrowed from the statement. What
 * cannot be read counts as a policy that is enforced for the longest time there is. */
bool ledger_read_fields(sqlite3_stmt *stmt, struct ledger_instance *out);
/* Visits all rows of such a statement, made with result `rc`, and finalizes it. A row that is not
 * what was written is an error and left out. */
bool ledger_visit_rows(struct ledger *ledger, sqlite3_stmt *stmt, int rc, ledger_visit *visit,
                       void *data, struct sts_diags *diags);
/* A body from the ledger may be served again: it must be the one that was. */
bool ledger_is_proved(struct ledger *ledger, const struct ledger_instance *instance);

#endif
