/* The tree of `export`. What is ours is what the manifest says, or the journal of a run that did
 * not end; anything else is somebody's, and is neither replaced nor removed.
 *
 * Order: the journal, if there is anything new; policies and snippets, each whole or not at all;
 * what is no longer served; the manifest last. Killed anywhere, the next run goes on from there. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/cli/export.h"
#include "server/sys/dir.h"

enum { MANIFEST_MAX = 256 << 20 };

struct tree {
    struct sts_arena *arena;
    struct sts_diags *diags;
    struct export_counts *counts;
    struct sts_str path, absolute;
    int dir;
    struct export_list old, pending; /* of the manifest, of the journal */
    bool snippets_old, snippets_pending;
    bool journal;            /* there is one */
    struct sts_buf manifest; /* as it is now */
    struct export_list list; /* what will be there */
};

static void export_tree_report(struct tree *t, const char *code, struct sts_str name,
                               const char *message, const char *help)
{
    struct sts_pos where = {sts_arena_printf(t->arena, "%.*s%s%.*s", STS_ARG(t->path),
                                             name.len ? "/" : "", STS_ARG(name)),
                            0, 0};
    struct sts_diag *diag = sts_diag_add(t->diags, STS_ERROR, code, where, "%s", message);

    sts_diag_help(t->diags, diag, "%s", help);
}

static bool export_tree_fail(struct tree *t, struct sts_str name, int error)
{
    export_tree_report(t, "export-unwritable", name, file_error(error),
                       "nothing is half-way: what is there stays, mend this and export again");
    return false;
}

static struct sts_str host_of(struct tree *t, struct sts_str domain)
{
    return sts_arena_printf(t->arena, "mta-sts.%.*s", STS_ARG(domain));
}

/* The directory that a tenant's file is in; `host` receives the one above. -1 with errno. */
static int open_place(int dir, const char *name, bool create, int *host)
{
    *host = dir_open(dir, name, create);
    if (*host < 0)
        return -1;
    int place = dir_open(*host, EXPORT_WELL_KNOWN, create);
    int error = errno;
    if (place < 0)
        close(*host);
    errno = error;
    return place;
}

static void close_place(int place, int host)
{
    close(place);
    close(host);
}

/* Whether these bytes are in the file: 1, 0 when other bytes are, -1 with errno. */
static int export_tree_compare(int dir, const char *name, struct sts_str body)
{
    struct sts_buf now = {0};
    int result = dir_read(dir, name, body.len, &now);

    if (result == 0)
        result = sts_str_eq(sts_buf_str(&now), body);
    else if (errno == EFBIG)
        result = 0;
    sts_buf_fini(&now);
    return result;
}

static int compare_entry(struct tree *t, const struct export_entry *e)
{
    int host, place = open_place(t->dir, host_of(t, e->domain).ptr, false, &host);

    if (place < 0)
        return -1;
    int result = export_tree_compare(place, EXPORT_FILE, e->body), error = errno;
    close_place(place, host);
    errno = error;
    return result;
}

/* --- What is ours --- */
static bool export_tree_load(struct tree *t, const char *name, struct sts_buf *text,
                             struct export_list *list, bool *snippets)
{
    if (dir_read(t->dir, name, MANIFEST_MAX, text) != 0)
        return errno == ENOENT || export_tree_fail(t, sts_str_from(name), errno);
    if (export_manifest_parse(t->arena, sts_buf_str(text), list, snippets))
        return true;
    export_tree_report(t, "export-foreign", sts_str_from(name), "is not a manifest of mta-stsd",
                       "export into another directory, or move it away");
    return false;
}

static bool load_all(struct tree *t)
{
    struct sts_buf journal = {0};
    bool good = export_tree_load(t, EXPORT_MANIFEST, &t->manifest, &t->old, &t->snippets_old) &&
                export_tree_load(t, EXPORT_JOURNAL, &journal, &t->pending, &t->snippets_pending);

    t->journal = journal.len > 0;
    sts_buf_fini(&journal);
    return good;
}

static bool export_tree_is_ours(const struct tree *t, struct sts_str domain)
{
    return export_find(&t->old, domain) || export_find(&t->pending, domain);
}

/* --- Claiming: what is new must not be in anybody's way --- */
static bool may_claim(struct tree *t, struct sts_str name, int same)
{
    if (same > 0 || (same < 0 && errno == ENOENT))
        return true;
    if (same < 0 && errno != ENOTDIR && errno != ENOTSUP)
        return export_tree_fail(t, name, errno);
    export_tree_report(t, "export-foreign", name,
                       same < 0 ? "something other than a plain file or directory is in the way"
                                : "a file that is not ours is in the way",
                       "move it away, or export into another directory");
    return false;
}

static bool claim_snippets(struct tree *t)
{
    bool good = true;

    for (const struct export_snippet *s = export_snippets; s->file; s++) {
        struct sts_buf text = {0};
        s->render(&text, &t->list, t->absolute);
        good = may_claim(t, sts_str_from(s->file),
                         export_tree_compare(t->dir, s->file, sts_buf_str(&text))) &&
               good;
        sts_buf_fini(&text);
    }
    return good;
}

/* Leaves out of the list whatever somebody else's file is in the way of. Writes the journal. */
static bool export_tree_claim(struct tree *t)
{
    struct export_list all = {
        .entries = STS_ARRAY(t->arena, t->list.count + t->pending.count + 1, struct export_entry)};
    size_t kept = 0, claimed = 0;
    bool snippets = t->snippets_old || t->snippets_pending;

    for (size_t i = 0; i < t->list.count; i++) {
        const struct export_entry *e = &t->list.entries[i];
        bool ours = export_tree_is_ours(t, e->domain);
        if (!ours && !may_claim(t, host_of(t, e->domain), compare_entry(t, e))) {
            t->counts->refused++;
            continue;
        }
        claimed += !ours;
        if (!ours || export_find(&t->pending, e->domain))
            all.entries[all.count++] = *e;
        t->list.entries[kept++] = *e;
    }
    t->list.count = kept;
    for (size_t i = 0; i < t->pending.count; i++)
        if (!export_find(&t->list, t->pending.entries[i].domain))
            all.entries[all.count++] = t->pending.entries[i];
    if (!snippets && !claim_snippets(t))
        return false;
    if (!claimed && snippets)
        return true;
    struct sts_buf text = {0};
    t->journal = true;
    export_manifest_render(&text, &all, true);
    bool good = dir_write(t->dir, EXPORT_JOURNAL, sts_buf_str(&text)) == 0 ||
                export_tree_fail(t, STS_STR(EXPORT_JOURNAL), errno);
    sts_buf_fini(&text);
    return good;
}

/* --- Writing --- */
static int write_changed(int dir, const char *name, struct sts_str text, size_t *written)
{
    int same = export_tree_compare(dir, name, text);

    if (same > 0)
        return 0;
    if (same < 0 && errno != ENOENT)
        return -1;
    ++*written;
    return dir_write(dir, name, text);
}

static bool write_entry(struct tree *t, const struct export_entry *e)
{
    struct sts_str name = host_of(t, e->domain);
    size_t written = 0;
    int host, place = open_place(t->dir, name.ptr, true, &host);

    if (place < 0)
        return export_tree_fail(t, name, errno);
    int result = write_changed(place, EXPORT_FILE, e->body, &written), error = errno;
    close_place(place, host);
    *(written ? &t->counts->written : &t->counts->unchanged) += 1;
    return result == 0 || export_tree_fail(t, name, error);
}

static bool write_entries(struct tree *t)
{
    for (size_t i = 0; i < t->list.count; i++) {
        const struct export_entry *e = &t->list.entries[i];
        if (!e->body.len)
            t->counts->unchanged++;
        else if (!write_entry(t, e))
            return false;
    }
    return true;
}

static bool write_snippets(struct tree *t)
{
    bool good = true;

    for (const struct export_snippet *s = export_snippets; good && s->file; s++) {
        struct sts_buf text = {0};
        size_t written = 0;
        s->render(&text, &t->list, t->absolute);
        good = write_changed(t->dir, s->file, sts_buf_str(&text), &written) == 0 ||
               export_tree_fail(t, sts_str_from(s->file), errno);
        sts_buf_fini(&text);
    }
    return good;
}

/* --- Removing --- */
static bool export_tree_is_gone(int error)
{
    return error == ENOENT || error == ENOTDIR || error == ELOOP;
}

/* The directories go too, unless somebody has put something there. */
static bool remove_entry(struct tree *t, struct sts_str domain)
{
    struct sts_str name = host_of(t, domain);
    int host, place = open_place(t->dir, name.ptr, false, &host);

    if (place < 0)
        return export_tree_is_gone(errno) || export_tree_fail(t, name, errno);
    int result = dir_unlink(place, EXPORT_FILE) == 0 ? dir_unlink(place, DIR_TEMPORARY) : -1;
    int error = errno;
    if (result == 0 && unlinkat(host, EXPORT_WELL_KNOWN, AT_REMOVEDIR) == 0)
        unlinkat(t->dir, name.ptr, AT_REMOVEDIR);
    close_place(place, host);
    t->counts->removed++;
    return result == 0 || export_tree_fail(t, name, error);
}

static bool remove_other(struct tree *t, const struct export_list *from,
                         const struct export_list *except)
{
    for (size_t i = 0; i < from->count; i++) {
        struct sts_str domain = from->entries[i].domain;
        if (!export_find(&t->list, domain) && !export_find(except, domain) &&
            !remove_entry(t, domain))
            return false;
    }
    return true;
}

static bool export_tree_finish(struct tree *t)
{
    struct sts_buf text = {0};

    export_manifest_render(&text, &t->list, true);
    bool good = sts_str_eq(sts_buf_str(&text), sts_buf_str(&t->manifest)) ||
                dir_write(t->dir, EXPORT_MANIFEST, sts_buf_str(&text)) == 0 ||
                export_tree_fail(t, STS_STR(EXPORT_MANIFEST), errno);
    if (good && t->journal)
        good = dir_unlink(t->dir, EXPORT_JOURNAL) == 0 ||
               export_tree_fail(t, STS_STR(EXPORT_JOURNAL), errno);
    sts_buf_fini(&text);
    return good;
}

/* What is wanted and, while nobody knows whether it is still wanted, what was there before. Both
 * are sorted. */
static void export_tree_merge(struct tree *t, const struct export_list *wanted, bool hold)
{
    size_t i = 0, j = 0, held = hold ? t->old.count : 0;

    t->list.entries = STS_ARRAY(t->arena, wanted->count + held, struct export_entry);
    while (i < wanted->count || j < held) {
        int order = i == wanted->count ? 1
                    : j == held        ? -1
                                : sts_str_cmp(wanted->entries[i].domain, t->old.entries[j].domain);
        t->list.entries[t->list.count++] = order <= 0 ? wanted->entries[i] : t->old.entries[j];
        i += order <= 0;
        j += order >= 0;
    }
}

static bool open_tree(struct tree *t)
{
    char absolute[PATH_MAX];

    t->dir = dir_open(AT_FDCWD, t->path.ptr, true);
    if (t->dir < 0) {
        if (errno != ENOTDIR)
            return export_tree_fail(t, (struct sts_str){0}, errno);
        export_tree_report(t, "export-directory", (struct sts_str){0},
                           "is not a directory, or is a link to one", "name the directory itself");
        return false;
    }
    t->absolute = sts_arena_dup(t->arena, sts_str_from(realpath(t->path.ptr, absolute)));
    if (!export_dir_check(t->absolute)) {
        export_tree_report(t, "export-directory", (struct sts_str){0},
                           "its name has characters that web servers read in ways of their own",
                           "use letters, digits and / . _ - + , : @ = alone");
        return false;
    }
    if (dir_lock(t->dir) == 0)
        return true;
    export_tree_report(t, "export-busy", (struct sts_str){0}, "another export is writing here",
                       "wait until it has ended");
    return false;
}

bool export_tree(struct sts_arena *arena, const char *path, const struct export_list *wanted,
                 bool hold, struct sts_diags *diags, struct export_counts *counts)
{
    struct sts_str name = sts_str_from(path);
    while (name.len > 1 && name.ptr[name.len - 1] == '/') /* behind it a link would be followed */
        name.len--;
    struct tree t = {.arena = arena,
                     .diags = diags,
                     .counts = counts,
                     .path = sts_arena_dup(arena, name),
                     .dir = -1};
    bool good = open_tree(&t) && load_all(&t);

    if (good) {
        export_tree_merge(&t, wanted, hold);
        good = export_tree_claim(&t) && write_entries(&t) && write_snippets(&t);
    }
    if (good && !hold)
        good = remove_other(&t, &t.old, &t.list) && remove_other(&t, &t.pending, &t.old);
    good = good && export_tree_finish(&t);
    sts_buf_fini(&t.manifest);
    if (t.dir >= 0)
        close(t.dir);
    return good;
}
