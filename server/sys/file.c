#include "server/sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "server/base/memory.h"
#include "server/sys/file_parts.h"

enum { TRIES = 3, CHUNK = 65536 };

static bool file_same(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static int file_fail(int error)
{
    errno = error;
    return -1;
}

void file_wipe(struct sts_buf *text)
{
    if (text->ptr)
        explicit_bzero(text->ptr, text->cap);
    sts_buf_fini(text);
}

/* Room for `more` bytes and a NUL. realloc(3) would leave behind what was there. */
static void file_make_room(struct sts_buf *text, size_t more)
{
    size_t need = sts_add_size(sts_add_size(text->len, more), 1);

    if (need <= text->cap)
        return;
    struct sts_buf larger = {.len = text->len, .cap = sts_add_size(need, text->cap)};
    larger.ptr = sts_must(malloc(larger.cap));
    if (text->len)
        memcpy(larger.ptr, text->ptr, text->len);
    file_wipe(text);
    *text = larger;
}

int file_read_all(int fd, size_t max, struct sts_buf *out)
{
    ssize_t n;

    do {
        file_make_room(out, CHUNK);
        n = read(fd, out->ptr + out->len, CHUNK);
        if (n > 0 && out->len + (size_t)n > max)
            return file_fail(EFBIG);
        if (n > 0)
            out->len += (size_t)n;
        out->ptr[out->len] = '\0';
    } while (n > 0 || (n < 0 && errno == EINTR));
    return n == 0 ? 0 : -1;
}

/* A file of `size` bytes into the empty buffer, by one call as a rule: less than what was asked for
 * is all there is. */
static int read_sized(int fd, size_t size, size_t max, struct sts_buf *out)
{
    out->ptr = malloc(size + 2); /* one more, and the NUL of buffers */
    if (!out->ptr)
        return -1;
    out->cap = size + 2;
    ssize_t n = read(fd, out->ptr, size + 1);
    if (n < 0 && errno != EINTR)
        return -1;
    out->len = n > 0 ? (size_t)n : 0;
    out->ptr[out->len] = '\0';
    return out->len == size ? 0 : file_read_all(fd, max, out);
}

/* A read lease is not given while anybody has the file open for writing. */
static bool is_being_written(int fd)
{
    if (fcntl(fd, F_SETLEASE, F_RDLCK) != 0)
        return errno == EAGAIN; /* other errors: this file system or user cannot ask */
    fcntl(fd, F_SETLEASE, F_UNLCK);
    return false;
}

/* One attempt: 1 when it was stable, 0 when it changed meanwhile, -1/errno. */
static int read_once(int fd, size_t max, bool settled, struct sts_buf *out, struct stat *st)
{
    struct stat before, after;

    if (fstat(fd, &before) != 0)
        return -1;
    if (!S_ISREG(before.st_mode))
        return file_fail(ENOTSUP);
    if (settled && is_being_written(fd))
        return file_fail(EAGAIN);
    if (before.st_size > 0 && (size_t)before.st_size > max)
        return file_fail(EFBIG);
    if (read_sized(fd, (size_t)before.st_size, max, out) != 0 || fstat(fd, &after) != 0)
        return -1;
    *st = after;
    /* The length too: a network file system may show old attributes. Size 0 is /proc's way. */
    return file_same(&before, &after) && (after.st_size == 0 || (size_t)after.st_size == out->len);
}

static void hand_over(struct sts_buf *text, struct sts_buf *out)
{
    if (out->ptr) {
        file_make_room(out, text->len);
        sts_buf_add(out, sts_buf_str(text));
    } else {
        *out = *text;
        *text = (struct sts_buf){0};
    }
}

static int file_read_file(int folder, const char *path, size_t max, bool settled,
                          struct sts_buf *out, struct stat *st)
{
    int result = 0, error = EAGAIN;

    for (int i = 0; i < TRIES && result == 0; i++) {
        struct sts_buf text = {0};
        struct stat now;
        /* O_NONBLOCK: opening a FIFO must not wait for a writer. */
        int fd = openat(folder, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
            return file_fail(errno == ENXIO || errno == ENODEV ? ENOTSUP : errno);
        result = read_once(fd, max, settled, &text, &now);
        if (result < 0)
            error = errno;
        close(fd);
        if (result > 0 && st)
            *st = now;
        if (result > 0)
            hand_over(&text, out);
        file_wipe(&text); /* it may be a private key, as all that is read here */
    }
    return result > 0 ? 0 : file_fail(error);
}

int file_read(const char *path, size_t max, struct sts_buf *out, struct stat *st)
{
    return file_read_file(AT_FDCWD, path, max, false, out, st);
}

int file_read_in(int folder, const char *path, size_t max, struct sts_buf *out, struct stat *st)
{
    return file_read_file(folder, path, max, false, out, st);
}

int file_read_settled(const char *path, size_t max, struct sts_buf *out, struct stat *st)
{
    return file_read_file(AT_FDCWD, path, max, true, out, st);
}

/* Nanoseconds in 64 bits last from 1677 to 2262. What is beyond stands for the end: later than any
 * time that a clock shows today, so that nothing of that time is ever thought to be old. */
static int64_t file_nanoseconds(int64_t seconds, int64_t rest)
{
    int64_t ns;

    if (__builtin_mul_overflow(seconds, 1000000000, &ns) || __builtin_add_overflow(ns, rest, &ns))
        return seconds < 0 ? INT64_MIN : INT64_MAX;
    return ns;
}

int64_t file_clock_ns(void)
{
    struct timespec now = {0};

    syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
    return file_nanoseconds(now.tv_sec, now.tv_nsec);
}

const char *file_error(int error)
{
    switch (error) {
    case ENOENT:
        return "does not exist";
    case ENOTDIR:
        return "does not exist: a part of its path is not a directory";
    case EACCES:
    case EPERM:
        return "cannot be accessed: permission denied";
    case ENOTSUP:
    case EISDIR:
    case ENXIO:
        return "is not a regular file";
    case EFBIG:
        return "is too large";
    case EAGAIN:
        return "is still being written";
    case ELOOP:
        return "is a loop of symbolic links";
    case EROFS:
        return "is on a read-only file system";
    case ENOSPC:
    case EDQUOT:
        return "cannot be written: the disk is full";
    case EMFILE:
    case ENFILE:
        return "cannot be opened: too many open files";
    case EIO:
        return "cannot be accessed: the disk fails";
    default:
        return strerrordesc_np(error) ? strerrordesc_np(error) : "cannot be accessed";
    }
}

struct file_id file_identify(const char *path)
{
    struct statx st;

    if (statx(AT_FDCWD, path, 0, STATX_INO | STATX_BTIME, &st) != 0)
        return (struct file_id){0};
    return (struct file_id){((uint64_t)st.stx_dev_major << 32) | st.stx_dev_minor, st.stx_ino,
                            st.stx_mask & STATX_BTIME
                                ? file_nanoseconds(st.stx_btime.tv_sec, st.stx_btime.tv_nsec)
                                : 0};
}

struct file_stamp file_stamp_of(const struct stat *st)
{
    return (struct file_stamp){st->st_dev, st->st_ino, st->st_size,
                               file_nanoseconds(st->st_mtim.tv_sec, st->st_mtim.tv_nsec),
                               file_nanoseconds(st->st_ctim.tv_sec, st->st_ctim.tv_nsec)};
}

bool file_stamp_same(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified == b->modified && a->changed == b->changed;
}

bool file_stamp_is_old(const struct file_stamp *stamp, time_t now)
{
    enum { MARGIN = 2 };
    return stamp->changed < file_nanoseconds(now - MARGIN, 0);
}

bool file_id_same(struct file_id a, struct file_id b)
{
    return a.device == b.device && a.inode == b.inode && a.born == b.born;
}

struct sts_str file_resolve(struct sts_arena *arena, struct sts_str base_dir, struct sts_str name)
{
    if (name.len && name.ptr[0] == '/')
        return sts_arena_dup(arena, name);
    if (!base_dir.len || sts_str_is(base_dir, "."))
        return sts_arena_dup(arena, name);
    bool slash = base_dir.ptr[base_dir.len - 1] == '/';
    return sts_arena_printf(arena, "%.*s%s%.*s", STS_ARG(base_dir), slash ? "" : "/",
                            STS_ARG(name));
}

struct sts_str file_dirname(struct sts_arena *arena, struct sts_str path)
{
    size_t end = path.len;

    while (end > 0 && path.ptr[end - 1] != '/')
        end--;
    if (end == 0)
        return sts_arena_dup(arena, STS_STR("."));
    while (end > 1 && path.ptr[end - 1] == '/')
        end--;
    return sts_arena_dup(arena, sts_str_sub(path, 0, end));
}

struct sts_str file_basename(struct sts_str path)
{
    size_t from = path.len;

    while (from > 0 && path.ptr[from - 1] != '/')
        from--;
    return sts_str_sub(path, from, path.len);
}

static int write_all(int fd, struct sts_str text)
{
    for (size_t done = 0; done < text.len;) {
        ssize_t n = write(fd, text.ptr + done, text.len - done);
        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0)
            done += (size_t)n;
    }
    return 0;
}

/* Makes the rename itself durable. */
static int sync_directory(const char *path)
{
    struct sts_arena *arena = sts_arena_new();
    struct sts_str name = file_dirname(arena, sts_str_from(path));
    int fd = open(name.ptr, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = fd < 0 ? -1 : fsync(fd), error = errno;

    if (fd >= 0)
        close(fd);
    sts_arena_free(arena);
    return result == 0 ? 0 : file_fail(error);
}

int file_fill(int fd, struct sts_str text, mode_t mode)
{
    int result = write_all(fd, text) == 0 && fchmod(fd, mode) == 0 ? fsync(fd) : -1;
    int error = errno;

    close(fd);
    return result == 0 ? 0 : file_fail(error);
}

int file_write_atomic(const char *path, struct sts_str text, mode_t mode)
{
    struct sts_buf temporary = {0};
    struct stat there;
    int result = -1;

    /* A device such as /dev/null must never be replaced. */
    if (stat(path, &there) == 0 && !S_ISREG(there.st_mode))
        return file_fail(ENOTSUP);
    sts_buf_printf(&temporary, "%s.XXXXXX", path);
    int fd = mkostemp(temporary.ptr, O_CLOEXEC);
    if (fd >= 0) {
        result = file_fill(fd, text, mode) == 0 ? rename(temporary.ptr, path) : -1;
        int error = errno;
        if (result != 0)
            unlink(temporary.ptr);
        errno = error;
    }
    int error = errno;
    sts_buf_fini(&temporary);
    return result == 0 ? sync_directory(path) : file_fail(error);
}
