/* Which files are policies, and whose. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mtasts/domain.h"
#include "server/cli/import.h"
#include "server/sys/dir.h"
#include "server/sys/file.h"

static const struct sts_str host_prefix = {"mta-sts.", sizeof("mta-sts.") - 1};

struct finder {
    struct sts_arena *arena;
    struct sts_diags *diags;
    import_visit *visit;
    void *data;
    size_t found;
};

/* The last component; `rest` receives what is before it. */
static struct sts_str last_part(struct sts_str path, struct sts_str *rest)
{
    while (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    size_t at = path.len;
    while (at > 0 && path.ptr[at - 1] != '/')
        at--;
    *rest = sts_str_sub(path, 0, at);
    return sts_str_sub(path, at, path.len);
}

static struct sts_str without_prefix(struct sts_str name)
{
    return sts_str_starts(name, host_prefix) ? sts_str_sub(name, host_prefix.len, name.len) : name;
}

bool import_domain(struct sts_arena *arena, struct sts_str path, struct sts_diags *diags,
                   struct sts_str *out)
{
    struct sts_str rest, name = last_part(path, &rest), host = {0};
    struct sts_pos where = {path, 0, 0};

    if (sts_str_is(name, "mta-sts.txt")) {
        if (sts_str_is(last_part(rest, &rest), ".well-known"))
            host = last_part(rest, &rest);
        host = sts_str_starts(host, host_prefix) ? without_prefix(host) : (struct sts_str){0};
    } else if (sts_str_ends(name, STS_STR(".txt"))) {
        host = without_prefix(sts_str_sub(name, 0, name.len - 4));
    }
    if (host.len)
        return sts_domain_parse(arena, host, STS_DOMAIN_CONFIG, where, diags, out);
    struct sts_diag *diag = sts_diag_add(diags, STS_ERROR, "import-domain", where,
                                         "its path does not say whose policy it is");
    sts_diag_help(diags, diag,
                  "name it DOMAIN.txt or mta-sts.DOMAIN/.well-known/mta-sts.txt, or use --domain");
    return false;
}

static void import_find_report(struct finder *f, enum sts_severity severity, struct sts_str path,
                               int error)
{
    sts_diag_add(f->diags, severity, "import-unreadable", (struct sts_pos){path, 0, 0}, "%s",
                 file_error(error));
}

/* A file of the directory; false when there is none of this name. */
static bool import_find_take(struct finder *f, int dir, const char *name, struct sts_str path)
{
    struct sts_buf text = {0};

    if (dir_read(dir, name, STS_POLICY_MAX, &text) == 0) {
        f->found++;
        f->visit(f->data, path, sts_buf_str(&text));
    } else if (errno == ENOENT) {
        return false;
    } else {
        import_find_report(f, STS_ERROR, path, errno);
    }
    sts_buf_fini(&text);
    return true;
}

static struct sts_str import_find_join(struct finder *f, struct sts_str dir, const char *name)
{
    bool slash = dir.len && dir.ptr[dir.len - 1] == '/';
    return sts_arena_printf(f->arena, "%.*s%s%s", STS_ARG(dir), slash ? "" : "/", name);
}

static void take_well_known(struct finder *f, int host, struct sts_str path)
{
    int dir = dir_open(host, ".well-known", false);

    if (dir < 0)
        return;
    import_find_take(f, dir, "mta-sts.txt",
                     import_find_join(f, import_find_join(f, path, ".well-known"), "mta-sts.txt"));
    close(dir);
}

static void take_entry(struct finder *f, int dir, const char *name, struct sts_str path)
{
    struct sts_str word = sts_str_from(name), inner = sts_str_sub(word, 0, word.len - 4);

    if (sts_str_is(word, "mta-sts.txt") ||
        (sts_str_ends(word, STS_STR(".txt")) && sts_str_find(inner, '.', 0) < inner.len)) {
        import_find_take(f, dir, name, path);
        return;
    }
    if (!sts_str_starts(word, host_prefix))
        return;
    int host = dir_open(dir, name, false);
    if (host < 0) {
        import_find_report(f, STS_WARNING, path, errno == ENOTDIR ? ENOTSUP : errno);
        return;
    }
    take_well_known(f, host, path);
    close(host);
}

static int import_find_by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, so that the output does not depend on the file system. */
static const char **import_find_list(struct sts_arena *arena, DIR *dir, size_t *count)
{
    const char **names = NULL;
    size_t capacity = 0;
    const struct dirent *entry;

    *count = 0;
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        names = sts_arena_grow(arena, names, *count, &capacity, sizeof(*names));
        names[(*count)++] = sts_arena_dup(arena, sts_str_from(entry->d_name)).ptr;
    }
    if (*count)
        qsort(names, *count, sizeof(const char *), import_find_by_name);
    return names;
}

/* `fd` is closed. */
static void import_find_walk(struct finder *f, int fd, struct sts_str path)
{
    DIR *dir = fdopendir(fd);
    size_t count;

    if (!dir) {
        import_find_report(f, STS_ERROR, path, errno);
        close(fd);
        return;
    }
    take_well_known(f, fd, path);
    const char **names = import_find_list(f->arena, dir, &count);
    for (size_t i = 0; i < count; i++)
        take_entry(f, fd, names[i], import_find_join(f, path, names[i]));
    closedir(dir);
    if (f->found)
        return;
    struct sts_diag *diag = sts_diag_add(f->diags, STS_ERROR, "import-nothing",
                                         (struct sts_pos){path, 0, 0}, "has no policies");
    sts_diag_help(f->diags, diag, "%s",
                  "it should hold mta-sts.DOMAIN/.well-known/mta-sts.txt or DOMAIN.txt");
}

bool import_find(struct sts_arena *arena, const char *name, struct sts_diags *diags,
                 import_visit *visit, void *data)
{
    struct finder f = {arena, diags, visit, data, 0};
    struct sts_str path = sts_arena_dup(arena, sts_str_from(name));
    struct sts_buf text = {0};
    int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0) {
        import_find_walk(&f, fd, path);
        return true;
    }
    bool good = file_read(name, STS_POLICY_MAX, &text, NULL) == 0;
    if (good)
        visit(data, path, sts_buf_str(&text));
    else
        import_find_report(&f, STS_ERROR, path, errno);
    sts_buf_fini(&text);
    return good;
}
