/* Files beside the database: who owns them, and the lock that says who may issue ids. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/ledger/parts.h"

/* Only ever for a file that was made here: an existing one may be a link to anything. */
static void give_to_owner_of_directory(int fd, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct sts_buf directory = {0};
    struct stat st, own;

    if (geteuid() != 0)
        return;
    sts_buf_add(&directory,
                slash ? (struct sts_str){path, (size_t)(slash - path) + 1} : STS_STR("."));
    /* No needless call: a service's filter may end the process for it. Where it is not allowed, the
     * file stays root's, and opening it says so. */
    if (stat(directory.ptr, &st) == 0 && fstat(fd, &own) == 0 &&
        (own.st_uid != st.st_uid || own.st_gid != st.st_gid) &&
        fchown(fd, st.st_uid, st.st_gid) != 0)
        errno = 0;
    sts_buf_fini(&directory);
}

void ledger_create_private(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return;
    give_to_owner_of_directory(fd, path);
    close(fd);
}

/* Open file description locks: like flock(2) they belong to the descriptor and end with the
 * process, but know ranges. One byte each for two questions. */
enum lock_byte {
    BYTE_IDS,   /* shared: a server runs; exclusive: a command issues ids */
    BYTE_SERVER /* exclusive: the one server */
};

static bool lock_take(int fd, enum lock_byte byte, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

static int open_lock(const char *path)
{
    struct sts_buf name = {0};

    sts_buf_printf(&name, "%s.lock", path);
    ledger_create_private(name.ptr);
    int fd = open(name.ptr, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    int error = errno;
    sts_buf_fini(&name);
    errno = error;
    return fd;
}

static int close_with(int fd, int error)
{
    close(fd);
    errno = error;
    return -1;
}

bool ledger_lock_is_in_place(int lock, const char *path)
{
    struct sts_buf name = {0};
    struct stat held, found;

    sts_buf_printf(&name, "%s.lock", path);
    bool same = fstat(lock, &held) == 0 && lstat(name.ptr, &found) == 0 &&
                held.st_dev == found.st_dev && held.st_ino == found.st_ino;
    sts_buf_fini(&name);
    return same;
}

int ledger_lock(const char *path, bool exclusive)
{
    int fd = open_lock(path);

    if (fd >= 0 && !lock_take(fd, BYTE_IDS, exclusive ? F_WRLCK : F_RDLCK))
        return close_with(fd, errno);
    return fd;
}

int ledger_lock_server(const char *path)
{
    int fd = ledger_lock(path, false);

    /* In this order: whoever gets this far meets servers only. */
    if (fd >= 0 && !lock_take(fd, BYTE_SERVER, F_WRLCK))
        return close_with(fd, errno == EAGAIN ? EADDRINUSE : errno);
    return fd;
}
