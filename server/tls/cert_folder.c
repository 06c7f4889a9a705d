#include "server/tls/cert_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/memory.h"

enum { PIECE = 32 << 10 }; /* bytes asked of the kernel at a time */

/* A listing as it grows. Names move, so they are known by where they begin. */
struct listing {
    int fd;
    struct sts_buf names;   /* each with its NUL */
    struct sts_buf entries; /* struct found each */
};

struct found {
    size_t name;
    bool is_folder;
};

/* Most file systems say what an entry is; a link may lead to a folder. */
static bool is_folder(int fd, const struct dirent64 *e)
{
    struct stat st;

    if (e->d_type != DT_LNK && e->d_type != DT_UNKNOWN)
        return e->d_type == DT_DIR;
    return fstatat(fd, e->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

/* Also "..data" of Kubernetes is hidden: the links one level up point through it. */
static void cert_folder_take(struct listing *l, const struct dirent64 *e)
{
    const struct found found = {l->names.len, e->d_name[0] != '.' && is_folder(l->fd, e)};

    if (e->d_name[0] == '.')
        return;
    sts_buf_add(&l->names, (struct sts_str){e->d_name, strlen(e->d_name) + 1});
    sts_buf_add(&l->entries, (struct sts_str){(const char *)&found, sizeof(found)});
}

static int read_all(struct listing *l)
{
    _Alignas(struct dirent64) char piece[PIECE];
    ssize_t n;

    while ((n = getdents64(l->fd, piece, sizeof(piece))) > 0) {
        for (ssize_t at = 0; at < n;) {
            const struct dirent64 *e = (const struct dirent64 *)(piece + at);
            cert_folder_take(l, e);
            at += e->d_reclen;
        }
    }
    return n < 0 ? -1 : 0;
}

static int cert_folder_by_name(const void *a, const void *b)
{
    return strcmp(((const struct folder_entry *)a)->name, ((const struct folder_entry *)b)->name);
}

/* One piece of the heap: entries, then names. */
static void cert_folder_finish(const struct listing *l, struct folder *out)
{
    const struct found *found = (const struct found *)l->entries.ptr;
    size_t count = l->entries.len / sizeof(*found);
    size_t table = sts_mul_size(count, sizeof(*out->entries));
    char *names;

    out->count = count;
    out->entries = sts_must(malloc(sts_add_size(table, l->names.len + 1)));
    names = (char *)(out->entries + count);
    if (count)
        memcpy(names, l->names.ptr, l->names.len);
    for (size_t i = 0; i < count; i++)
        out->entries[i] = (struct folder_entry){names + found[i].name, found[i].is_folder};
    if (count)
        qsort(out->entries, count, sizeof(*out->entries), cert_folder_by_name);
}

int folder_list(struct folder *folder, int from, const char *path)
{
    struct listing l = {.fd = openat(from, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK)};

    *folder = (struct folder){.fd = l.fd};
    if (l.fd < 0)
        return -1;
    int result = fstat(l.fd, &folder->st) == 0 ? read_all(&l) : -1, error = errno;
    if (result == 0)
        cert_folder_finish(&l, folder);
    else
        folder_fini(folder);
    sts_buf_fini(&l.names);
    sts_buf_fini(&l.entries);
    errno = error;
    return result;
}

void folder_fini(struct folder *folder)
{
    if (folder->fd >= 0)
        close(folder->fd);
    free(folder->entries);
    *folder = (struct folder){.fd = -1};
}

bool folder_has(const struct folder *folder, const char *name)
{
    const struct folder_entry wanted = {name, false};

    return folder->count && bsearch(&wanted, folder->entries, folder->count,
                                    sizeof(*folder->entries), cert_folder_by_name);
}
