#include "server/sys/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/sys/file_parts.h"

enum { DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

static int close_failed(int fd, int error)
{
    close(fd);
    errno = error;
    return -1;
}

/* Makes an entry of `parent` durable; AT_FDCWD stands for a path, whose parent is not at hand. */
static int sync_entry(int parent)
{
    return parent == AT_FDCWD ? 0 : fsync(parent);
}

int dir_open(int parent, const char *name, bool create)
{
    bool made = create && mkdirat(parent, name, 0755) == 0;

    if (create && !made && errno != EEXIST)
        return -1;
    int fd = openat(parent, name, DIRECTORY);
    if (fd < 0)
        return -1;
    /* Whatever the umask: a web server of another user reads it. */
    if (made && (fchmod(fd, 0755) != 0 || sync_entry(parent) != 0))
        return close_failed(fd, errno);
    return fd;
}

int dir_read(int dir, const char *name, size_t max, struct sts_buf *out)
{
    size_t before = out->len;
    struct stat st;
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (fd < 0) {
        if (errno == ELOOP || errno == ENXIO || errno == ENODEV)
            errno = ENOTSUP;
        return -1;
    }
    if (fstat(fd, &st) != 0)
        return close_failed(fd, errno);
    if (!S_ISREG(st.st_mode))
        return close_failed(fd, ENOTSUP);
    if (file_read_all(fd, max, out) != 0) {
        out->len = before;
        return close_failed(fd, errno);
    }
    close(fd);
    return 0;
}

int dir_write(int dir, const char *name, struct sts_str text)
{
    if (dir_unlink(dir, DIR_TEMPORARY) != 0)
        return -1;
    int fd = openat(dir, DIR_TEMPORARY, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    if (file_fill(fd, text, 0644) == 0 && renameat(dir, DIR_TEMPORARY, dir, name) == 0)
        return fsync(dir);
    int error = errno;
    unlinkat(dir, DIR_TEMPORARY, 0);
    errno = error;
    return -1;
}

int dir_unlink(int dir, const char *name)
{
    return unlinkat(dir, name, 0) == 0 || errno == ENOENT ? 0 : -1;
}

int dir_lock(int dir)
{
    return flock(dir, LOCK_EX | LOCK_NB);
}
