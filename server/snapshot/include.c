/* Include patterns: which files there are, and whether one that is gone was removed on purpose. */
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <glob.h>
#include <string.h>

#include "server/snapshot/parts.h"
#include "server/sys/file.h"

static bool has_wildcard(struct sts_str pattern)
{
    for (size_t i = 0; i < pattern.len; i++)
        if (strchr("*?[", pattern.ptr[i]))
            return true;
    return false;
}

/* As glob(3) and fnmatch(3) take it. The directory of the main file is called as it is called: no
 * part of it is a pattern. */
static struct sts_str include_pattern(const struct snapshot *s, struct sts_str pattern)
{
    struct sts_buf base = {0};

    for (size_t i = 0; i < s->base_dir.len; i++) {
        if (strchr("*?[\\", s->base_dir.ptr[i]))
            sts_buf_add(&base, STS_STR("\\"));
        sts_buf_add(&base, sts_str_sub(s->base_dir, i, i + 1));
    }
    struct sts_str full = file_resolve(s->arena, sts_buf_str(&base), pattern);
    sts_buf_fini(&base);
    return full;
}

/* 0, or why the directory cannot be listed. */
static int list_error(const char *path)
{
    DIR *dir = opendir(path);
    int error = errno;

    if (!dir)
        return error;
    closedir(dir);
    return 0;
}

/* The directory of `pattern` down to its first wildcard: 0 when it can be listed. */
static int base_error(struct build *b, struct sts_str pattern)
{
    const struct snapshot *s = b->snapshot;

    do
        pattern = file_dirname(s->arena, pattern);
    while (has_wildcard(pattern));
    return list_error(file_resolve(s->arena, s->base_dir, pattern).ptr);
}

static bool include_is_gone(int error)
{
    return error == ENOENT || error == ENOTDIR;
}

static void no_match(struct build *b, const struct sts_path *pattern)
{
    bool wild = has_wildcard(pattern->path);
    int error = base_error(b, pattern->path);
    struct sts_diag *diag = sts_diag_add(
        b->diags, wild ? STS_WARNING : STS_ERROR, wild ? "include-empty" : "include-missing",
        pattern->where, "%.*s: no such %s", STS_ARG(pattern->path), error ? "directory" : "file");
    sts_diag_help(b->diags, diag, "names are relative to the directory of the main file");
    b->missing |= error || !wild;
}

static void include_unlisted(struct build *b, const struct sts_path *pattern, int error)
{
    struct sts_diag *diag = sts_diag_add(b->diags, STS_ERROR, "file-unreadable", pattern->where,
                                         "%.*s %s", STS_ARG(pattern->path), file_error(error));
    sts_diag_help(b->diags, diag, "check the permissions of the directory");
    b->snapshot->incomplete = true;
    b->missing = true;
    b->unlisted = error;
}

/* glob(3) goes on without a directory that it cannot list. Control thread only. */
static int glob_errno;

static int on_glob_error(const char *path, int error)
{
    (void)path;
    if (!include_is_gone(error))
        glob_errno = error;
    return 0;
}

static bool include_is_relative(const struct sts_path *pattern)
{
    return !sts_str_starts(pattern->path, STS_STR("/"));
}

void sources_include(struct build *b, const struct sts_path *pattern)
{
    const struct snapshot *s = b->snapshot;
    struct sts_str full = include_pattern(s, pattern->path);
    glob_t found;

    glob_errno = 0;
    b->relative = include_is_relative(pattern);
    int rc = glob(full.ptr, 0, on_glob_error, &found);
    if (rc != 0 && rc != GLOB_NOMATCH)
        glob_errno = ENOMEM;
    if (glob_errno)
        include_unlisted(b, pattern, glob_errno);
    else if (rc == GLOB_NOMATCH)
        no_match(b, pattern);
    if (rc != 0)
        return;
    sources_add_all(b, found.gl_pathv, found.gl_pathc, pattern->where);
    globfree(&found);
}

const struct sts_path *source_pattern(const struct build *b, struct sts_str name)
{
    const struct snapshot *s = b->snapshot;

    for (size_t i = 0; i < s->settings.include_count; i++) {
        const struct sts_path *pattern = &s->settings.include[i];
        struct sts_str full = include_pattern(s, pattern->path);
        if (fnmatch(full.ptr, name.ptr, FNM_PATHNAME | FNM_PERIOD) == 0)
            return pattern;
    }
    return NULL;
}

/* What is there when a volume is not mounted, or before a new directory is filled. */
static bool is_other_and_empty(const char *path, struct file_id before)
{
    DIR *dir = file_id_same(file_identify(path), before) ? NULL : opendir(path);
    size_t entries = 0;

    if (!dir)
        return false;
    while (entries <= 2 && readdir(dir)) /* "." and ".." */
        entries++;
    closedir(dir);
    return entries <= 2;
}

/* How a file went that is not there. */
struct absence {
    const struct sts_path *pattern; /* that names it, or NULL */
    int error;                      /* of its directory */
    bool other;                     /* its directory is another one, which is empty */
};

/* A person removes a file and leaves the directory. What goes with its directory was unmounted, is
 * being replaced, or cannot be listed at the moment. False: removed, or named by nobody any more.
 */
static bool include_is_vanished(struct build *b, struct sts_str name, struct file_id directory,
                                struct absence *how)
{
    *how = (struct absence){.pattern = source_pattern(b, name), .error = b->unlisted};
    if (!how->pattern)
        return false;
    struct sts_str path = file_dirname(b->scratch, name);
    if (!how->error)
        how->error = list_error(path.ptr);
    how->other = !how->error && is_other_and_empty(path.ptr, directory);
    return how->error || how->other || !has_wildcard(how->pattern->path);
}

/* Few, as a rule, of the many that there may be. */
struct unusable {
    uint64_t base_hash;
    const struct snapshot_source *source;
};

static void include_collect_unusable(struct build *b)
{
    const struct snapshot *s = b->snapshot;

    b->unusable = STS_ARRAY(b->scratch, s->source_count, struct unusable);
    for (size_t i = 1; i < s->source_count; i++)
        if (s->sources[i].source->broken || s->sources[i].source->empty)
            b->unusable[b->unusable_count++] =
                (struct unusable){s->sources[i].base_hash, &s->sources[i]};
}

/* A pattern that was written otherwise calls the same file otherwise. */
static bool include_is_unusable(struct build *b, struct sts_str name, struct file_id directory)
{
    struct sts_str base = file_basename(name);
    uint64_t hash = sts_hash(base);

    if (!b->unusable)
        include_collect_unusable(b);
    for (size_t i = 0; i < b->unusable_count; i++)
        if (b->unusable[i].base_hash == hash &&
            file_id_same(b->unusable[i].source->directory, directory) &&
            sts_str_eq(file_basename(b->unusable[i].source->source->name), base))
            return true;
    return false;
}

static bool include_judge(struct build *b, struct sts_str name)
{
    const struct snapshot *previous = b->input->previous;
    const struct snapshot_source *source = source_find(b->snapshot, name),
                                 *old = previous ? source_find(previous, name) : NULL;
    const struct file_id directory = old ? old->directory : (struct file_id){0};
    struct absence how;
    struct stat st;

    if (source)
        return source->source->is_main ? b->half_main
                                       : source->source->broken || source->source->empty;
    bool lost =
        lstat(name.ptr, &st) == 0
            ? source_pattern(b, name) || include_is_unusable(b, name, source_directory(b, name))
            : include_is_vanished(b, name, directory, &how);
    b->snapshot->incomplete |= lost;
    return lost;
}

bool source_is_lost(struct build *b, struct sts_str name)
{
    if (!sts_str_eq(b->judged, name)) /* many tenants in a row are of one file */
        b->judged_lost = include_judge(b, name);
    b->judged = name;
    return b->judged_lost;
}

static void include_vanished(struct build *b, const struct snapshot_source *old)
{
    struct sts_str name = old->source->name;
    struct absence how;

    if (!include_is_vanished(b, name, old->directory, &how))
        return;
    int error = how.error;
    bool other = how.other;
    struct sts_diag *diag =
        sts_diag_add(b->diags, STS_ERROR, "file-gone", how.pattern->where, "%.*s is gone%s%s",
                     STS_ARG(name), error || other ? ", and its directory " : "",
                     error   ? file_error(error)
                     : other ? "is another one, which is empty"
                             : "");
    sts_diag_help(b->diags, diag,
                  other ? "mount or fill the directory; if its tenants are to go, "
                          "put any file into it"
                  : error == ENOENT
                      ? "put it back, or remove the include pattern; if its tenants are to go, "
                        "make the directory again and put any file into it"
                      : "put it back, or remove the include pattern");
    b->snapshot->incomplete = true;
    b->relative = include_is_relative(how.pattern);
    source_keep(b, old, KEPT_MISSING);
}

void sources_keep_vanished(struct build *b)
{
    const struct snapshot *s = b->snapshot, *previous = b->input->previous;
    bool *there = STS_ARRAY(s->arena, previous ? previous->source_count : 0, bool);

    for (size_t i = 0; i < s->source_count; i++)
        if (s->sources[i].before)
            there[s->sources[i].before - 1] = true;
    for (size_t i = 0; previous && i < previous->source_count; i++)
        if (!previous->sources[i].source->is_main && !there[i])
            include_vanished(b, &previous->sources[i]);
}
