/* Between the files of the watch: one walk along the targets, and its visitor, which sets
 * watches (watch.c) and sums up what it sees (watch_sum.c); and what events tell (watch_event.c).
 */
#ifndef MTASTS_SYS_WATCH_PARTS_H
#define MTASTS_SYS_WATCH_PARTS_H

#include <stdint.h>
#include <sys/stat.h>

#include "mtasts/arena.h"
#include "server/sys/watch.h"

enum { WATCH_LEVELS = 2 }; /* of a tree, below its directory */

/* A component of a target's path. */
struct watch_part {
    const char *text; /* NULL ends the path */
    bool wild;        /* a pattern */
};

struct watch_path {
    const struct watch_part *parts;
    bool absolute;
    int levels; /* WATCH_LEVELS for a tree, -1 for a file */
};

/* A directory that a walk came to; its path has no links. */
struct watch_place {
    struct sts_str path; /* NUL-terminated */
    int listed;          /* levels that were listed from here, and one more; 0: not as a tree */
    int wd;              /* of the visitor in watch.c; -1 without a watch */
};

/* Something that was looked at. */
struct watch_seen {
    struct sts_str path, in; /* and that of its directory; no links in either */
    const struct stat *st;   /* its lstat; NULL: errno */
    struct sts_str link;     /* what a link says */
    bool alone;              /* a path or a pattern leads to it, no tree */
};

/* What a name on a path stands for. */
enum watch_leads {
    WATCH_LEADS_ON,
    WATCH_LEADS_TO_FILE, /* at the end: it may be a file */
    WATCH_IS_FILE,       /* likewise, and it is the target's own name: no link led there, no tree */
};

/* What a walk reports; any may be NULL. */
struct watch_visitor {
    /* A directory, before anything in it is looked at. */
    void (*enter)(void *to, struct watch_place *place);
    /* `name` in `place` is about to be looked at. */
    void (*name)(void *to, struct watch_place *place, struct sts_str name, enum watch_leads leads);
    /* All names of `place` that match `pattern` (NULL: that are not hidden) are; `last`: they may
     * be files. */
    void (*names)(void *to, struct watch_place *place, const char *pattern, bool last);
    /* A directory of a tree that is reached in several ways or through a link, or holds that link.
     */
    void (*linked)(void *to, struct watch_place *place);
    void (*seen)(void *to, const struct watch_seen *seen);
    /* A directory whose names could not be listed: what is below is not known. */
    void (*blind)(void *to, struct sts_str path, int error);
};

void watch_walk(const struct watch_path *paths, size_t count, const struct watch_visitor *visitor,
                void *to);

/* Whether the names that `pattern` stands for include `name`. */
bool watch_matches(const char *pattern, const char *name);
bool watch_is_visible(const char *name);

/* Sums of digests of all that a walk sees, by directory (watch_sum.c). */
struct watch_sum {
    uint64_t key, sum; /* key 0: an empty slot */
};
struct watch_sums {
    struct watch_sum *slots; /* open addressing */
    size_t size, count;
    struct sts_buf record; /* scratch */
};

void watch_sums_fini(struct watch_sums *sums);
void watch_sums_seen(struct watch_sums *sums, const struct watch_seen *seen);
void watch_sums_blind(struct watch_sums *sums, struct sts_str path, int error);
/* A walk sees nothing there. */
void watch_sums_none(struct watch_sums *sums, struct sts_str path);
bool watch_sums_same(const struct watch_sums *a, const struct watch_sums *b);
/* Takes over all that is in `some`; the rest stays. */
void watch_sums_replace(struct watch_sums *sums, const struct watch_sums *some);
/* What is in `some` is as in `before`. */
void watch_sums_restore(struct watch_sums *sums, const struct watch_sums *some,
                        const struct watch_sums *before);

enum { WATCH_GONE = -2 };

/* What was told (watch_list.c). */
struct watch_list {
    struct sts_arena *arena;
    struct file_name files[WATCH_TOLD_MAX];
    struct sts_str paths[WATCH_TOLD_MAX]; /* of their directories */
    bool named[WATCH_TOLD_MAX];           /* by a target, whether they are there or not */
    struct file_entry entries[WATCH_TOLD_MAX];
    struct watch_folder {
        struct sts_str path;
        int levels; /* to be listed below it; -1: not even itself; WATCH_GONE */
    } folders[WATCH_TOLD_MAX];
    size_t file_count, entry_count, folder_count;
};

void watch_list_reset(struct watch_list *l);
/* Once each; false when there are too many. */
bool watch_list_file(struct watch_list *l, struct sts_str directory, struct sts_str name,
                     bool named);
bool watch_list_entry(struct watch_list *l, struct sts_str directory, struct sts_str name);
bool watch_list_folder(struct watch_list *l, struct sts_str directory, struct sts_str name,
                       int levels);
/* Whether all files are, or are gone; others lead elsewhere. */
bool watch_list_is_regular(const struct watch_list *l);
/* Whether no entry before it is in the same directory. */
bool watch_list_is_first(const struct watch_list *l, size_t entry);

/* --- what is watched for ------------------------------------------------------------------- */

struct watch_pattern {
    struct watch_pattern *next;
    const char *text;
};

/* A watched directory: which names count in it, besides those in watch_table.names. */
struct watch_dir {
    int wd; /* 0: an empty slot; the kernel counts from 1 */
    unsigned pattern_count;
    bool visible, all;
    bool contents; /* writing counts too, not names alone */
    bool deeper;   /* patterns stand for directories too */
    bool gone;     /* the kernel dropped the watch */
    bool linked;   /* see struct watch_visitor */
    struct watch_pattern *patterns;
    struct sts_str path; /* of one that has files of targets */
    int levels;          /* of a tree, below this one */
};

struct watch_table {
    struct watch_dir *dirs; /* by wd, open addressing */
    size_t size, count;
    /* Digests of (wd, name, whether it is a file): a collision is one look too many. 0: an empty
     * slot. */
    uint64_t *names;
    size_t name_size, name_count;
    struct sts_arena *arena;
};

void watch_table_init(struct watch_table *t);
void watch_table_fini(struct watch_table *t);
struct watch_dir *watch_table_find(const struct watch_table *t, int wd); /* or NULL */
/* Good until the next one is added. */
struct watch_dir *watch_table_add(struct watch_table *t, int wd);
/* A name that counts, and one that counts as that of a file. */
void watch_table_name(struct watch_table *t, int wd, struct sts_str name);
void watch_table_file(struct watch_table *t, struct watch_dir *dir, struct sts_str path,
                      struct sts_str name);
void watch_table_pattern(struct watch_table *t, struct watch_dir *dir, struct sts_str path,
                         const char *pattern);
/* All names that are not hidden count, as many levels below. */
void watch_table_visible(struct watch_table *t, struct watch_dir *dir, struct sts_str path,
                         int levels);
/* Whether the name counts as that of a file alone, which is named or stood for by a pattern. */
bool watch_table_is_file(const struct watch_table *t, const struct watch_dir *dir,
                         const char *name);
/* Whether a target names it. */
bool watch_table_is_named(const struct watch_table *t, const struct watch_dir *dir,
                          const char *name);
/* Whether it counts for what is listed in this directory of a tree alone. */
bool watch_table_is_entry(const struct watch_table *t, const struct watch_dir *dir,
                          const char *name);
bool watch_table_counts(const struct watch_table *t, const struct watch_dir *dir, const char *name);

/* --- the watch ----------------------------------------------------------------------------- */

struct watch {
    int fd; /* -1: polling only */
    struct sts_arena *arena;
    struct watch_path *paths; /* the targets */
    size_t path_count;
    struct watch_table table;
    struct watch_sums sums; /* of the last watch_changed */
    bool summed;
    struct watch_sums *summing; /* of this walk; NULL: none */
    struct sts_str below;       /* only what is not on the way to this directory is summed up */
    bool in_new;                /* directories of a tree that a walk lists now are told of */
    size_t failed;
    int error;
    struct watch_list told;
    bool more; /* than that has changed */
};

#endif
