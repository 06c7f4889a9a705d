/* Files below a directory that is held open. Every name is one component and no symbolic link is
 * followed, so that whoever else may write there cannot lead us out of it. */
#ifndef MTASTS_SYS_DIR_H
#define MTASTS_SYS_DIR_H

#include "mtasts/str.h"

/* A leftover of this name, from a run that was killed, may be removed. */
#define DIR_TEMPORARY ".mta-stsd.tmp"

/* A descriptor of the directory `name` in `parent` (AT_FDCWD: a path, whose last component alone
 * must be no link). `create`: makes it, mode 0755, when it is missing. -1 with errno: ENOENT,
 * ENOTDIR (also for a link), ... */
int dir_open(int parent, const char *name, bool create);
/* Appends the contents of a regular file. -1 with errno: ENOENT, ENOTSUP when something else is
 * there, EFBIG above `max`. */
int dir_read(int dir, const char *name, size_t max, struct sts_buf *out);
/* Writes a file that all may read: whole and durable, or not at all (see file_write_atomic). One
 * process at a time, because the temporary file has a fixed name. -1 with errno. */
int dir_write(int dir, const char *name, struct sts_str text);
/* Removes a file, and is content when it is not there. -1 with errno. */
int dir_unlink(int dir, const char *name);
/* Keeps others out until the descriptor is closed. -1 with errno: EWOULDBLOCK. */
int dir_lock(int dir);

#endif
