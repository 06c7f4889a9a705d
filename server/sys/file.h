/* Files, read the safe way: opened with O_NONBLOCK, regular files only (a FIFO or device can never
 * hang us), capped, and stable (size, mtime and ctime equal before and after, else EAGAIN). And
 * written the safe way: whole and durable, or not at all. */
#ifndef MTASTS_SYS_FILE_H
#define MTASTS_SYS_FILE_H

#include <sys/stat.h>

#include "mtasts/diag.h"

/* Appends the contents of `path` to `out`. Returns 0, or -1 with errno and `out` as it was: EFBIG
 * above `max` bytes, ENOTSUP when it is not a regular file, EAGAIN when it still changed after
 * three tries. `st` (may be NULL) receives the fstat of what was read. */
int file_read(const char *path, size_t max, struct sts_buf *out, struct stat *st);

/* The same of `path` as seen from an open folder (openat(2)). */
int file_read_in(int folder, const char *path, size_t max, struct sts_buf *out, struct stat *st);

/* As file_read, and EAGAIN also while some process has the file open for writing: what is being
 * written in place is never taken half-way. The kernel tells (read leases, fcntl(2)) for files of
 * the own user, or with CAP_LEASE, on local file systems; elsewhere this is file_read. The caller
 * ignores SIGIO: a writer that comes at this moment causes one. */
int file_read_settled(const char *path, size_t max, struct sts_buf *out, struct stat *st);

/* As sts_buf_fini, and nothing that was in the buffer stays in memory: for what may be a private
 * key. The functions above leave nothing of it but `out` either, also when that has to grow. */
void file_wipe(struct sts_buf *text);

/* Nanoseconds since 1970 as the kernel stamps files with, also where a test turns the wall clock.
 */
int64_t file_clock_ns(void);

/* A clause for people about errno from the functions here, to stand after the file's name: "is not
 * a regular file", "is too large"... */
const char *file_error(int error);

/* Path of `name` as seen from `base_dir` when it is relative; absolute names stay. In the arena,
 * NUL-terminated. */
struct sts_str file_resolve(struct sts_arena *arena, struct sts_str base_dir, struct sts_str name);
/* Which file or directory, whatever its name. All 0: none. */
struct file_id {
    uint64_t device, inode;
    int64_t born; /* nanoseconds, because numbers of inodes are used again; 0 when not known */
};
struct file_id file_identify(const char *path);
/* A file by its directory, and its name there. */
struct file_name {
    struct file_id directory;
    struct sts_str name;
};
/* The same by the path of the directory, which has no links in it. */
struct file_entry {
    struct sts_str directory, name;
};
/* Which state of which file: while it is the same, so are the bytes, if it is old enough. */
struct file_stamp {
    uint64_t device, inode;
    int64_t size, modified, changed; /* ns; what changes contents changes ctime, mtime or not */
};
struct file_stamp file_stamp_of(const struct stat *st);
bool file_stamp_same(const struct file_stamp *a, const struct file_stamp *b);
/* Whether a file that was read after `now` cannot have changed again within the same tick of its
 * clock, which may run behind ours a little. */
bool file_stamp_is_old(const struct file_stamp *stamp, time_t now);
bool file_id_same(struct file_id a, struct file_id b);

/* The directory part of a path ("." when there is none). */
struct sts_str file_dirname(struct sts_arena *arena, struct sts_str path);

/* What is behind the last slash: the end of `path` itself. */
struct sts_str file_basename(struct sts_str path);

/* Writes `text` to `path` by a temporary file in the same directory, fsync and rename: afterwards
 * it has the old or the new contents, never less. -1 with errno; ENOTSUP when something other than
 * a regular file is there. */
int file_write_atomic(const char *path, struct sts_str text, mode_t mode);

#endif
