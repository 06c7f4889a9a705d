/* The walk along the targets, as the kernel resolves a path, but one component at a time, so that
 * every directory and every link on the way is seen. */
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/table.h"
#include "server/sys/watch_parts.h"

enum { LINKS_MAX = 40 }; /* as path_resolution(7) */

struct walk {
    const struct watch_visitor *visitor;
    void *to;
    struct sts_arena *arena;
    struct sts_table places; /* by path: a directory is visited once */
    struct watch_place *root;
    struct sts_buf path;   /* what is looked at */
    char target[PATH_MAX]; /* of a link; not on the stack, because patterns recurse */
};

/* Where a path has led to, and what is left of it. */
struct cursor {
    struct watch_place *at;
    struct sts_str text;            /* first: from a link or a listing, taken literally */
    const struct watch_part *parts; /* then these */
    int links;                      /* passed so far */
    int levels;                     /* to be listed at the end; -1: it is a file */
    struct watch_place *from;       /* the directory of a tree whose listing it is from... */
    bool linked;                    /* ...and it came through a link since */
    bool announced;                 /* the next name was reported with its directory's */
};

static void watch_walk_follow(struct walk *w, struct cursor c);

bool watch_is_visible(const char *name)
{
    return name[0] != '.';
}

/* Also the pattern itself: the main file may be called "[a].yaml". */
bool watch_matches(const char *pattern, const char *name)
{
    return fnmatch(pattern, name, FNM_PERIOD) == 0 || strcmp(pattern, name) == 0;
}

/* --- places -------------------------------------------------------------------------------- */

static bool place_has_path(const void *place, const void *path)
{
    return sts_str_eq(((const struct watch_place *)place)->path, *(const struct sts_str *)path);
}

static struct watch_place *watch_walk_find(const struct walk *w, struct sts_str path)
{
    return sts_table_find(&w->places, sts_hash(path), place_has_path, &path);
}

static struct watch_place *watch_walk_enter(struct walk *w, struct sts_str path)
{
    struct watch_place *place = STS_NEW(w->arena, struct watch_place);

    *place = (struct watch_place){.path = sts_arena_dup(w->arena, path), .wd = -1};
    sts_table_add(&w->places, sts_hash(path), place);
    if (w->visitor->enter)
        w->visitor->enter(w->to, place);
    return place;
}

static struct watch_place *watch_walk_parent(const struct walk *w, const struct watch_place *place)
{
    size_t end = place->path.len;

    while (end > 1 && place->path.ptr[end - 1] != '/')
        end--;
    /* Each walk comes from the root, so the parent was entered. */
    return watch_walk_find(w, sts_str_sub(place->path, 0, end > 1 ? end - 1 : 1));
}

/* The path of `name` in `at`, in w->path. */
static struct sts_str path_in(struct walk *w, const struct watch_place *at, struct sts_str name)
{
    w->path.len = 0;
    if (at != w->root)
        sts_buf_add(&w->path, at->path);
    sts_buf_add(&w->path, STS_STR("/"));
    sts_buf_add(&w->path, name);
    sts_buf_add(&w->path, (struct sts_str){"", 1});
    return (struct sts_str){w->path.ptr, w->path.len - 1};
}

/* --- listing ------------------------------------------------------------------------------- */

/* Appends the matching names, each with a NUL behind it. Read as a whole first, so that a
 * descriptor is never held while the walk goes deeper. "." and ".." are no names here, although
 * the pattern ".*" of glob(3) has them. */
static void watch_walk_list(struct walk *w, const struct watch_place *at, const char *pattern,
                            struct sts_buf *names)
{
    DIR *dir = opendir(at->path.ptr);
    const struct dirent *e = NULL;

    while (dir && (errno = 0, e = readdir(dir)) != NULL) {
        const char *name = e->d_name;
        bool dots = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
        if (!dots && (pattern ? watch_matches(pattern, name) : watch_is_visible(name)))
            sts_buf_add(names, (struct sts_str){name, strlen(name) + 1});
    }
    int error = errno;
    if (dir)
        closedir(dir);
    if (error && w->visitor->blind)
        w->visitor->blind(w->to, at->path, error);
}

static const char *watch_walk_after(const char *name)
{
    return name + strlen(name) + 1;
}

static void list_pattern(struct walk *w, const struct cursor *c)
{
    const struct watch_part *part = c->parts;
    struct sts_buf names = {0};

    if (w->visitor->names)
        w->visitor->names(w->to, c->at, part->text, !part[1].text);
    watch_walk_list(w, c->at, part->text, &names);
    for (const char *name = names.ptr; name && name < names.ptr + names.len;
         name = watch_walk_after(name)) {
        struct cursor next = *c;
        next.text = sts_str_from(name);
        next.parts = part + 1;
        next.announced = true;
        watch_walk_follow(w, next);
    }
    sts_buf_fini(&names);
}

static void list_tree(struct walk *w, const struct cursor *c)
{
    struct sts_buf names = {0};
    bool certbot = false;

    if (w->visitor->linked && (c->linked || c->at->listed))
        w->visitor->linked(w->to, c->at);
    if (w->visitor->linked && c->linked)
        w->visitor->linked(w->to, c->from);
    if (c->at->listed > c->levels)
        return; /* links may lead in circles */
    c->at->listed = c->levels + 1;
    if (w->visitor->names)
        w->visitor->names(w->to, c->at, NULL, true);
    watch_walk_list(w, c->at, NULL, &names);
    const char *end = names.ptr + names.len;
    for (const char *name = names.ptr; name < end; name = watch_walk_after(name))
        certbot = certbot || strcmp(name, "live") == 0;
    for (const char *name = names.ptr; name < end; name = watch_walk_after(name)) {
        struct cursor next = *c;
        /* certbot's archive/ holds old versions; those in use are reached through live/ */
        bool deeper = c->levels > 0 && !(certbot && strcmp(name, "archive") == 0);
        next.text = sts_str_from(name);
        next.levels = deeper ? c->levels - 1 : -1;
        next.from = c->at;
        next.linked = false;
        next.announced = true;
        watch_walk_follow(w, next);
    }
    sts_buf_fini(&names);
}

/* --- following ----------------------------------------------------------------------------- */

static struct sts_str without_slashes(struct sts_str s)
{
    while (s.len && s.ptr[0] == '/')
        s = sts_str_sub(s, 1, s.len);
    return s;
}

/* Takes the next name; false at a pattern and at the end. */
static bool watch_walk_next_name(struct cursor *c, struct sts_str *name)
{
    c->text = without_slashes(c->text);
    if (c->text.len) {
        size_t end = sts_str_find(c->text, '/', 0);
        *name = sts_str_sub(c->text, 0, end);
        c->text = without_slashes(sts_str_sub(c->text, end, c->text.len));
        return true;
    }
    if (!c->parts->text || c->parts->wild)
        return false;
    *name = sts_str_from(c->parts->text);
    c->parts++;
    return true;
}

static void watch_walk_report(const struct walk *w, const struct cursor *c, struct watch_seen seen)
{
    seen.in = c->at->path;
    seen.alone = !c->from;
    if (w->visitor->seen)
        w->visitor->seen(w->to, &seen);
}

/* A link at `path`: what it says is to be followed next. `kept` owns c->text. */
static bool pass_link(struct walk *w, struct cursor *c, struct sts_str path, const struct stat *st,
                      struct sts_buf *kept)
{
    ssize_t n = readlink(path.ptr, w->target, sizeof(w->target));
    struct sts_str target = {w->target, n > 0 ? (size_t)n : 0};
    struct sts_buf text = {0};

    watch_walk_report(w, c,
                      (struct watch_seen){.path = path, .st = n < 0 ? NULL : st, .link = target});
    if (n <= 0 || n == sizeof(w->target) || ++c->links > LINKS_MAX)
        return false;
    c->linked = c->from != NULL;
    if (w->target[0] == '/')
        c->at = w->root;
    sts_buf_add(&text, target);
    sts_buf_add(&text, STS_STR("/"));
    sts_buf_add(&text, c->text);
    sts_buf_fini(kept);
    *kept = text;
    c->text = sts_buf_str(kept);
    return true;
}

static enum watch_leads watch_walk_leads(const struct cursor *c)
{
    if (c->text.len || c->parts->text)
        return WATCH_LEADS_ON;
    return c->links || c->levels >= 0 ? WATCH_LEADS_TO_FILE : WATCH_IS_FILE;
}

/* Goes to `name`; false where the way ends. */
static bool watch_walk_step(struct walk *w, struct cursor *c, struct sts_str name,
                            struct sts_buf *kept)
{
    bool announced = c->announced;
    struct stat st;

    c->announced = false;
    if (sts_str_is(name, "."))
        return true;
    if (sts_str_is(name, "..")) {
        c->at = watch_walk_parent(w, c->at);
        return true;
    }
    if (!announced && w->visitor->name)
        w->visitor->name(w->to, c->at, name, watch_walk_leads(c));
    struct sts_str path = path_in(w, c->at, name);
    struct watch_place *place = watch_walk_find(w, path);
    if (!place) {
        bool there = lstat(path.ptr, &st) == 0;
        if (there && S_ISLNK(st.st_mode))
            return pass_link(w, c, path, &st, kept);
        watch_walk_report(w, c, (struct watch_seen){.path = path, .st = there ? &st : NULL});
        if (!there || !S_ISDIR(st.st_mode))
            return false;
        place = watch_walk_enter(w, path);
    }
    c->at = place;
    return true;
}

static void watch_walk_follow(struct walk *w, struct cursor c)
{
    struct sts_buf kept = {0};
    struct sts_str name;
    bool on = true;

    while (on && watch_walk_next_name(&c, &name))
        on = watch_walk_step(w, &c, name, &kept);
    if (on && c.parts->text)
        list_pattern(w, &c);
    else if (on && c.levels >= 0)
        list_tree(w, &c);
    sts_buf_fini(&kept);
}

void watch_walk(const struct watch_path *paths, size_t count, const struct watch_visitor *visitor,
                void *to)
{
    struct walk w = {.visitor = visitor, .to = to, .arena = sts_arena_new()};
    char *here = getcwd(NULL, 0);
    int error = errno;

    w.root = watch_walk_enter(&w, STS_STR("/"));
    for (size_t i = 0; i < count; i++) {
        const struct watch_path *p = &paths[i];
        struct cursor c = {.at = w.root, .parts = p->parts, .levels = p->levels};
        if (!p->absolute)
            c.text = sts_str_from(here);
        /* A working directory that was removed is an error, or "(unreachable)". */
        if (p->absolute || sts_str_starts(c.text, STS_STR("/")))
            watch_walk_follow(&w, c);
        else if (visitor->blind)
            visitor->blind(to, STS_STR("."), here ? ENOENT : error);
    }
    free(here);
    sts_table_fini(&w.places);
    sts_buf_fini(&w.path);
    sts_arena_free(w.arena);
}
