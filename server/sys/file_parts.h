/* Shared by the files of this folder that read and write files by descriptor. */
#ifndef MTASTS_SYS_FILE_PARTS_H
#define MTASTS_SYS_FILE_PARTS_H

#include <sys/stat.h>

#include "mtasts/str.h"

/* Appends everything up to the end of `fd`. -1 with errno; EFBIG above `max` bytes. */
int file_read_all(int fd, size_t max, struct sts_buf *out);
/* Writes all, sets the mode, makes it durable, and closes `fd` in any case. -1 with errno. */
int file_fill(int fd, struct sts_str text, mode_t mode);

#endif
