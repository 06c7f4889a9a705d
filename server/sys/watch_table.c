/* The watched directories by their watch descriptors, and the names that count in them. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/sys/watch_parts.h"

enum { SMALLEST = 16, PATTERNS_MAX = 64 };

void watch_table_init(struct watch_table *t)
{
    *t = (struct watch_table){.size = SMALLEST, .name_size = SMALLEST, .arena = sts_arena_new()};
    t->dirs = sts_must(calloc(t->size, sizeof(*t->dirs)));
    t->names = sts_must(calloc(t->name_size, sizeof(*t->names)));
}

void watch_table_fini(struct watch_table *t)
{
    free(t->dirs);
    free(t->names);
    sts_arena_free(t->arena);
    *t = (struct watch_table){0};
}

/* Descriptors are counted up one by one: taken as they are, they fill the slots evenly. */
static struct watch_dir *watch_table_slot_of(struct watch_dir *dirs, size_t size, int wd)
{
    size_t at = (size_t)(unsigned)wd & (size - 1);

    while (dirs[at].wd && dirs[at].wd != wd)
        at = (at + 1) & (size - 1);
    return &dirs[at];
}

static uint64_t *name_slot(uint64_t *names, size_t size, uint64_t digest)
{
    size_t at = (size_t)digest & (size - 1);

    while (names[at] && names[at] != digest)
        at = (at + 1) & (size - 1);
    return &names[at];
}

struct watch_dir *watch_table_find(const struct watch_table *t, int wd)
{
    struct watch_dir *dir = wd > 0 ? watch_table_slot_of(t->dirs, t->size, wd) : NULL;
    return dir && dir->wd ? dir : NULL;
}

struct watch_dir *watch_table_add(struct watch_table *t, int wd)
{
    assert(wd > 0);
    struct watch_dir *dir = watch_table_find(t, wd);
    if (dir)
        return dir;
    if (t->count + 1 > t->size / 2) {
        size_t size = sts_mul_size(t->size, 2);
        struct watch_dir *bigger = sts_must(calloc(size, sizeof(*bigger)));
        for (size_t i = 0; i < t->size; i++)
            if (t->dirs[i].wd)
                *watch_table_slot_of(bigger, size, t->dirs[i].wd) = t->dirs[i];
        free(t->dirs);
        t->dirs = bigger;
        t->size = size;
    }
    dir = watch_table_slot_of(t->dirs, t->size, wd);
    *dir = (struct watch_dir){.wd = wd};
    t->count++;
    return dir;
}

enum name_kind { A_NAME, A_FILE };

/* Never 0. */
static uint64_t digest_of(int wd, struct sts_str name, enum name_kind kind)
{
    uint64_t h = sts_str_hash(name) ^ (uint64_t)(2 * (unsigned)wd + kind) * 0x9E3779B97F4A7C15u;

    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93u;
    h ^= h >> 32;
    return h ? h : 1;
}

static void watch_table_add_name(struct watch_table *t, int wd, struct sts_str name,
                                 enum name_kind kind)
{
    if (t->name_count + 1 > t->name_size / 2) {
        size_t size = sts_mul_size(t->name_size, 2);
        uint64_t *bigger = sts_must(calloc(size, sizeof(*bigger)));
        for (size_t i = 0; i < t->name_size; i++)
            if (t->names[i])
                *name_slot(bigger, size, t->names[i]) = t->names[i];
        free(t->names);
        t->names = bigger;
        t->name_size = size;
    }
    uint64_t digest = digest_of(wd, name, kind);
    uint64_t *slot = name_slot(t->names, t->name_size, digest);
    t->name_count += !*slot;
    *slot = digest;
}

void watch_table_name(struct watch_table *t, int wd, struct sts_str name)
{
    watch_table_add_name(t, wd, name, A_NAME);
}

static void has_files(struct watch_table *t, struct watch_dir *dir, struct sts_str path)
{
    if (!dir->path.len)
        dir->path = sts_arena_dup(t->arena, path);
}

void watch_table_file(struct watch_table *t, struct watch_dir *dir, struct sts_str path,
                      struct sts_str name)
{
    has_files(t, dir, path);
    watch_table_add_name(t, dir->wd, name, A_FILE);
}

void watch_table_pattern(struct watch_table *t, struct watch_dir *dir, struct sts_str path,
                         const char *pattern)
{
    has_files(t, dir, path);
    for (const struct watch_pattern *p = dir->patterns; p; p = p->next)
        if (strcmp(p->text, pattern) == 0)
            return;
    /* Rather a look too many than long lists for each event. */
    if (dir->pattern_count == PATTERNS_MAX) {
        dir->all = true;
        return;
    }
    struct watch_pattern *p = STS_NEW(t->arena, struct watch_pattern);
    *p = (struct watch_pattern){dir->patterns, pattern};
    dir->patterns = p;
    dir->pattern_count++;
}

void watch_table_visible(struct watch_table *t, struct watch_dir *dir, struct sts_str path,
                         int levels)
{
    has_files(t, dir, path);
    dir->visible = true;
    dir->levels = levels > dir->levels ? levels : dir->levels;
}

static bool watch_table_is_there(const struct watch_table *t, const struct watch_dir *dir,
                                 const char *name, enum name_kind kind)
{
    uint64_t digest = digest_of(dir->wd, sts_str_from(name), kind);
    return *name_slot(t->names, t->name_size, digest) != 0;
}

bool watch_table_is_named(const struct watch_table *t, const struct watch_dir *dir,
                          const char *name)
{
    return watch_table_is_there(t, dir, name, A_NAME) || watch_table_is_there(t, dir, name, A_FILE);
}

static bool is_matched(const struct watch_dir *dir, const char *name)
{
    bool matched = false;

    for (const struct watch_pattern *p = dir->patterns; p && !matched; p = p->next)
        matched = watch_matches(p->text, name);
    return matched;
}

bool watch_table_is_file(const struct watch_table *t, const struct watch_dir *dir, const char *name)
{
    if (!dir->path.len || !dir->contents || dir->deeper || dir->visible ||
        watch_table_is_there(t, dir, name, A_NAME))
        return false;
    /* A walk sees it twice, and watch_settle would once. */
    return !watch_table_is_there(t, dir, name, A_FILE) || !(dir->all || is_matched(dir, name));
}

bool watch_table_is_entry(const struct watch_table *t, const struct watch_dir *dir,
                          const char *name)
{
    return dir->visible && !dir->linked && !dir->pattern_count &&
           !watch_table_is_named(t, dir, name);
}

bool watch_table_counts(const struct watch_table *t, const struct watch_dir *dir, const char *name)
{
    return dir->all || (dir->visible && watch_is_visible(name)) || is_matched(dir, name) ||
           watch_table_is_named(t, dir, name);
}
