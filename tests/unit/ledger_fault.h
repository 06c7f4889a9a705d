/* Disks that fill up or fail, and processes that are killed, at any one write of the ledger's. One
 * test program includes this once: it replaces the C library's functions. */
#ifndef MTASTS_TESTS_UNIT_LEDGER_FAULT_H
#define MTASTS_TESTS_UNIT_LEDGER_FAULT_H

#include <signal.h>
#include <sys/syscall.h>

#include "tests/unit/ledger_fixture.h"

/* The system calls by which the ledger changes a disk, as this program's own: the `after`th call
 * from now fails with `error` (all later ones too when `lasting`), or, with error 0, is never
 * survived.
 */
static struct {
    unsigned after;
    int error;
    bool lasting;
    bool hit;
} fault;

static inline bool fails_now(void)
{
    if (fault.after == 0 || (fault.after > 1 && --fault.after))
        return false;
    fault.hit = true;
    if (fault.error == 0)
        raise(SIGKILL);
    if (!fault.lasting)
        fault.after = 0;
    errno = fault.error;
    return true;
}

ssize_t pwrite64(int fd, const void *from, size_t size, off64_t at)
{
    return fails_now() ? -1 : syscall(SYS_pwrite64, fd, from, size, at);
}

int ftruncate64(int fd, off64_t size)
{
    return fails_now() ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int fdatasync(int fd)
{
    return fails_now() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return fails_now() ? -1 : (int)syscall(SYS_fsync, fd);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    return fails_now() ? -1 : (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
}

int unlink(const char *path)
{
    return fails_now() ? -1 : (int)syscall(SYS_unlink, path);
}

static inline void arm(unsigned after, int error, bool lasting)
{
    fault.after = after;
    fault.error = error;
    fault.lasting = lasting;
    fault.hit = false;
}

static inline void remove_all(struct fixture *f)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};

    ledger_close(f->ledger);
    f->ledger = NULL;
    for (size_t i = 0; i < 4; i++)
        remove(sts_arena_printf(f->arena, "%s%s", f->path, suffixes[i]).ptr);
}

static inline void expect_disk_error(struct fixture *f)
{
    assert_non_null(f->diags.first);
    assert_true(!strcmp(f->diags.first->code, "ledger-full") ||
                !strcmp(f->diags.first->code, "ledger-io"));
    expect_error(f, f->diags.first->code);
}

/* Waits for a child that was armed: true when it was killed before one of its writes, false when it
 * came to its end, which must be a good one. */
static inline bool was_killed(pid_t child)
{
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        return true;
    assert_int_equal(status, 0);
    return false;
}

#endif
