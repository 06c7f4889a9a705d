/* A ledger that was deleted while it is open. All of it is still there, as long as it stays open:
 * its name is what lacks. It gets that back by a copy, which is whole and on the disk before it has
 * the name; whatever somebody else put there meanwhile is not overwritten. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/ledger/parts.h"

static int rescue_error(sqlite3 *db, int rc)
{
    int error = sqlite3_system_errno(db);

    if ((rc & 0xff) == SQLITE_FULL)
        return ENOSPC;
    return error ? error : EIO;
}

static int rescue_copy(struct ledger *ledger, const char *to)
{
    char *sql = sqlite3_mprintf("VACUUM INTO %Q", to);

    unlink(to); /* of an attempt that was killed */
    ledger_create_private(to);
    int rc = sql ? ledger_exec(ledger, sql) : SQLITE_NOMEM;
    sqlite3_free(sql);
    return rc == SQLITE_OK ? 0 : rescue_error(ledger->db, rc);
}

static int rescue_sync(const char *path, int flags)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    int error = fd < 0 || fsync(fd) != 0 ? errno : 0;

    if (fd >= 0)
        close(fd);
    return error;
}

static int rescue_sync_directory(const char *of)
{
    const char *slash = strrchr(of, '/');
    struct sts_buf directory = {0};

    sts_buf_add(&directory, (struct sts_str){of, slash ? (size_t)(slash - of) + 1 : 0});
    sts_buf_add(&directory, STS_STR("."));
    int error = rescue_sync(directory.ptr, O_DIRECTORY);
    sts_buf_fini(&directory);
    return error;
}

/* SQLite would play the journal of the deleted file into the copy, which has all that is in it. */
static int rescue_remove_journal(const char *path)
{
    static const char *const suffixes[] = {"-wal", "-shm"};
    int error = 0;

    for (size_t i = 0; !error && i < sizeof(suffixes) / sizeof(*suffixes); i++) {
        struct sts_buf name = {0};
        sts_buf_printf(&name, "%s%s", path, suffixes[i]);
        if (unlink(name.ptr) != 0 && errno != ENOENT)
            error = errno;
        sts_buf_fini(&name);
    }
    return error;
}

int ledger_rescue(struct ledger *ledger)
{
    const char *path = sqlite3_db_filename(ledger->db, "main"); /* without links */
    struct sts_buf copy = {0};

    sts_buf_printf(&copy, "%s.new", path);
    int error = rescue_copy(ledger, copy.ptr);
    if (!error)
        error = rescue_sync(copy.ptr, 0);
    if (!error)
        error = rescue_remove_journal(path);
    if (!error && renameat2(AT_FDCWD, copy.ptr, AT_FDCWD, path, RENAME_NOREPLACE) != 0)
        error = errno;
    if (error)
        unlink(copy.ptr);
    sts_buf_fini(&copy);
    return error ? error : rescue_sync_directory(path);
}
