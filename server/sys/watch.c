#include "server/sys/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "server/base/memory.h"
#include "server/sys/watch_parts.h"

/* Where only names count: directories on the way. Files that others write there make no event. */
#define NAMES                                                                                      \
    (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF |            \
     IN_MOVE_SELF)
/* Where files are: a writer may keep one open for long, another may map it and only close it. */
#define CONTENTS (NAMES | IN_MODIFY | IN_CLOSE_WRITE)
/* The path was resolved already. Bits are added only, so that an event between the call for the
 * names and the one for the contents is not lost. */
#define HOW (IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_MASK_ADD)

/* --- the targets --------------------------------------------------------------------------- */

static const struct watch_part *watch_split(struct sts_arena *arena, const char *path, bool pattern)
{
    char *text = (char *)sts_arena_dup(arena, sts_str_from(path)).ptr, *rest = NULL;
    size_t count = 0, most = 2;

    for (const char *p = path; *p; p++)
        most += *p == '/';
    struct watch_part *parts = STS_ARRAY(arena, most, struct watch_part);
    for (char *name = strtok_r(text, "/", &rest); name; name = strtok_r(NULL, "/", &rest))
        if (strcmp(name, ".") != 0)
            parts[count++] = (struct watch_part){name, pattern && strpbrk(name, "*?[\\") != NULL};
    return parts;
}

static void copy_targets(struct watch *w, const struct watch_target *targets, size_t count)
{
    w->arena = sts_arena_new();
    w->paths = STS_ARRAY(w->arena, count, struct watch_path);
    w->path_count = count;
    for (size_t i = 0; i < count; i++) {
        bool tree = targets[i].kind == WATCH_TREE;
        w->paths[i].parts = watch_split(w->arena, targets[i].path, !tree);
        w->paths[i].absolute = targets[i].path[0] == '/';
        w->paths[i].levels = tree ? WATCH_LEVELS : -1;
    }
}

/* --- setting watches ----------------------------------------------------------------------- */

static void watch_fail(struct watch *w, int error)
{
    /* Gone since it was looked at: its parent has an event. */
    if (error == ENOENT || error == ENOTDIR || error == ELOOP)
        return;
    w->failed++;
    if (!w->error)
        w->error = error;
}

static void watch_add(struct watch *w, struct watch_place *place, uint32_t mask)
{
    place->wd = inotify_add_watch(w->fd, place->path.ptr, mask | HOW);
    if (place->wd < 0)
        watch_fail(w, errno);
    else
        watch_table_add(&w->table, place->wd)->contents |= mask == CONTENTS;
}

static void on_enter(void *to, struct watch_place *place)
{
    watch_add(to, place, NAMES);
}

/* The directory at `place`, watched for contents too when asked; NULL when it cannot be. */
static struct watch_dir *watch_watched(struct watch *w, struct watch_place *place, bool contents)
{
    struct watch_dir *dir = watch_table_find(&w->table, place->wd);

    if (dir && contents && !dir->contents) {
        watch_add(w, place, CONTENTS);
        dir = watch_table_find(&w->table, place->wd);
    }
    return dir;
}

/* Whether the way to `below` goes through this name, and not because any target says so. */
static bool is_way_below(const struct watch *w, const struct watch_place *place,
                         struct sts_str name)
{
    size_t at = place->path.len > 1 ? place->path.len + 1 : 1;
    struct sts_str rest = sts_str_sub(w->below, at, w->below.len);

    return sts_str_starts(w->below, place->path) && sts_str_starts(rest, name) &&
           (rest.len == name.len || rest.ptr[name.len] == '/');
}

static void on_name(void *to, struct watch_place *place, struct sts_str name,
                    enum watch_leads leads)
{
    struct watch *w = to;
    struct watch_dir *dir = watch_watched(w, place, leads != WATCH_LEADS_ON);

    if (w->below.len && is_way_below(w, place, name))
        return;
    if (dir && leads == WATCH_IS_FILE)
        watch_table_file(&w->table, dir, place->path, name);
    else if (dir)
        watch_table_name(&w->table, place->wd, name);
}

static void on_names(void *to, struct watch_place *place, const char *pattern, bool last)
{
    struct watch *w = to;
    struct watch_dir *dir = watch_watched(w, place, last);

    if (dir)
        dir->deeper = dir->deeper || !last;
    if (dir && pattern)
        watch_table_pattern(&w->table, dir, place->path, pattern);
    else if (dir)
        watch_table_visible(&w->table, dir, place->path, place->listed - 1);
    if (!pattern && w->in_new)
        w->more |= !watch_list_entry(&w->told, place->path, (struct sts_str){0});
}

static void on_linked(void *to, struct watch_place *place)
{
    struct watch *w = to;
    struct watch_dir *dir = watch_table_find(&w->table, place->wd);

    if (dir)
        dir->linked = true;
    w->more |= w->in_new;
}

static bool is_on_the_way(const struct watch *w, struct sts_str path)
{
    return path.len < w->below.len && sts_str_starts(w->below, path);
}

static void on_seen(void *to, const struct watch_seen *seen)
{
    struct watch *w = to;
    bool directory = seen->st && S_ISDIR(seen->st->st_mode);

    if (w->summing && !is_on_the_way(w, directory ? seen->path : seen->in))
        watch_sums_seen(w->summing, seen);
}

static void on_unlisted(void *to, struct sts_str path, int error)
{
    struct watch *w = to;

    if (w->summing)
        watch_sums_blind(w->summing, path, error);
}

static void on_blind(void *to, struct sts_str path, int error)
{
    watch_fail(to, error);
    on_unlisted(to, path, error);
}

/* Watches of `old` that are not in use any more. One whose directory is gone has none to remove. */
static void drop_unused(const struct watch *w, const struct watch_table *old)
{
    for (size_t i = 0; i < old->size; i++)
        if (old->dirs[i].wd && !watch_table_find(&w->table, old->dirs[i].wd))
            inotify_rm_watch(w->fd, old->dirs[i].wd);
}

static const struct watch_visitor setting = {.enter = on_enter,
                                             .name = on_name,
                                             .names = on_names,
                                             .linked = on_linked,
                                             .seen = on_seen,
                                             .blind = on_blind};
static const struct watch_visitor looking = {.seen = on_seen, .blind = on_unlisted};

void watch_set(struct watch *w, const struct watch_target *targets, size_t count)
{
    struct watch_table old = w->table;
    struct sts_arena *old_arena = w->arena; /* the patterns of `old` are there */

    copy_targets(w, targets, count);
    watch_table_init(&w->table);
    w->failed = 0;
    w->error = 0;
    if (w->fd < 0 && (w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) < 0)
        w->error = errno;
    if (count)
        watch_walk(w->paths, count, w->fd >= 0 ? &setting : &looking, w);
    drop_unused(w, &old);
    watch_table_fini(&old);
    sts_arena_free(old_arena);
}

/* Whether the targets lead to what they led to before; takes `now`. */
static bool watch_compare(struct watch *w, struct watch_sums *now)
{
    bool changed = !w->summed || !watch_sums_same(&w->sums, now);

    watch_sums_fini(&w->sums);
    w->sums = *now;
    w->summed = true;
    return changed;
}

bool watch_set_changed(struct watch *w, const struct watch_target *targets, size_t count)
{
    struct watch_sums now = {0};

    w->summing = &now;
    watch_set(w, targets, count);
    w->summing = NULL;
    return watch_compare(w, &now);
}

static void sum_all(struct watch *w, struct watch_sums *out)
{
    w->summing = out;
    watch_walk(w->paths, w->path_count, &looking, w);
    w->summing = NULL;
}

bool watch_changed(struct watch *w)
{
    struct watch_sums now = {0};

    sum_all(w, &now);
    return watch_compare(w, &now);
}

/* What is in `directory` now; the way there is as it was. */
static void settle_tree(struct watch *w, struct sts_str directory, int levels)
{
    const struct watch_path tree = {.parts = watch_split(w->told.arena, directory.ptr, false),
                                    .absolute = true,
                                    .levels = levels};

    w->below = directory;
    watch_walk(&tree, 1, &setting, w);
    w->below = (struct sts_str){0};
}

static void settle_entries(struct watch *w)
{
    const struct watch_list *told = &w->told;

    for (size_t i = 0; i < told->entry_count; i++)
        if (watch_list_is_first(told, i))
            settle_tree(w, told->entries[i].directory, 0);
}

static void settle_folders(struct watch *w)
{
    const struct watch_list *told = &w->told;

    w->in_new = true;
    for (size_t i = 0; i < told->folder_count; i++) {
        const struct watch_folder *folder = &told->folders[i];
        if (folder->levels == WATCH_GONE)
            watch_sums_none(w->summing, folder->path);
        else
            settle_tree(w, folder->path, folder->levels);
    }
    w->in_new = false;
}

static void settle_files(struct watch *w)
{
    const struct watch_list *told = &w->told;

    for (size_t i = 0; i < told->file_count; i++) {
        struct sts_str in = told->paths[i], name = told->files[i].name;
        struct sts_str path =
            sts_arena_printf(told->arena, "%.*s/%.*s", STS_ARG(in), STS_ARG(name));
        struct stat st;
        struct watch_seen seen = {.path = path, .in = in, .alone = true};
        seen.st = lstat(path.ptr, &st) == 0 ? &st : NULL;
        if (seen.st || told->named[i])
            watch_sums_seen(w->summing, &seen);
        else
            watch_sums_none(w->summing, path);
    }
}

/* Of what was told. */
static struct watch_sums sum_told(struct watch *w)
{
    struct watch_sums sums = {0};

    w->summing = &sums;
    settle_entries(w);
    settle_folders(w);
    settle_files(w);
    w->summing = NULL;
    return sums;
}

void watch_settle(struct watch *w)
{
    struct watch_sums now = sum_told(w);

    watch_sums_replace(&w->sums, &now);
    watch_sums_fini(&now);
}

bool watch_changed_untold(struct watch *w, bool *news)
{
    struct watch_sums now = {0}, told;

    sum_all(w, &now);
    *news = watch_read(w);
    told = sum_told(w);
    watch_sums_restore(&now, &told, &w->sums);
    watch_sums_fini(&told);
    return watch_compare(w, &now);
}

/* --- the whole ----------------------------------------------------------------------------- */

struct watch *watch_new(void)
{
    struct watch *w = sts_must(calloc(1, sizeof(*w)));

    w->fd = -1;
    watch_forget(w);
    watch_set(w, NULL, 0);
    return w;
}

void watch_free(struct watch *w)
{
    if (!w)
        return;
    if (w->fd >= 0)
        close(w->fd);
    watch_table_fini(&w->table);
    watch_sums_fini(&w->sums);
    sts_arena_free(w->arena);
    sts_arena_free(w->told.arena);
    free(w);
}

int watch_descriptor(const struct watch *w)
{
    return w->fd;
}

void watch_state(const struct watch *w, struct watch_state *out)
{
    size_t gone = 0;

    for (size_t i = 0; i < w->table.size; i++)
        gone += w->table.dirs[i].gone;
    *out = (struct watch_state){.watches = w->table.count - gone,
                                .failed = w->failed,
                                .error = w->error,
                                .polling = w->fd < 0 || w->failed > 0};
}
