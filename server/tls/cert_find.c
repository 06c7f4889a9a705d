/* What leads to certificates: configured files, and folders down to some depth. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "server/base/memory.h"
#include "server/sys/file.h"
#include "server/sys/thread.h"
#include "server/tls/cert_layout.h"

enum { DEPTH_MAX = 2, WORTH_A_THREAD = 64 /* folders */ };

static void cert_find_add(struct cert_candidates *list, const struct cert_candidate *candidate)
{
    list->items = sts_heap_grow(list->items, list->count, &list->capacity, sizeof(*list->items));
    list->items[list->count++] = *candidate;
}

void cert_candidates_fini(struct cert_candidates *list)
{
    for (size_t i = 0; i < list->count; i++)
        cert_pair_unref(list->items[i].pair);
    for (size_t i = 0; i < list->arena_count; i++)
        sts_arena_free(list->arenas[i]);
    free(list->arenas);
    free(list->items);
    *list = (struct cert_candidates){0};
}

static void cert_find_unreadable(struct sts_diags *diags, struct sts_pos where, struct sts_str path)
{
    struct sts_pos at = {.source = sts_arena_dup(diags->arena, path)};
    int error = errno;
    struct sts_diag *d =
        sts_diag_add(diags, STS_ERROR, "certificate-unreadable", at, "%s", file_error(error));

    d->related = where;
    if (error == EACCES)
        sts_diag_help(
            diags, d,
            "let the user of the service read it (and enter its folders); by hand, try sudo");
}

/* What one entry of a folder led to. */
struct branch {
    size_t thread, from, count; /* that many of the thread's list */
    struct sts_diags diags;
};

/* One folder on the way down. */
struct walk {
    struct place place;
    int depth;
    struct sts_pos where;
    bool certbot; /* its archive/ holds what live/ links to, old versions included */
    /* when several threads are at it: */
    struct branch *branches; /* of each entry */
    struct cert_candidates lists[THREADS_MAX];
};

static void walk_folder(struct cert_candidates *list, int from, const char *name,
                        struct sts_str path, int depth, struct sts_pos where,
                        struct sts_diags *diags);

/* A pair of these files, which are in `place`. */
static void cert_find_take(const struct walk *w, const struct place *place, struct sts_str name,
                           struct sts_str key, const struct cert_known *known,
                           struct cert_candidates *list)
{
    const struct cert_early *early = list->early;
    struct cert_candidate c = layout_candidate(place, name, key, w->where);

    if (early)
        early->pair(early->data, w->place.folder->fd, w->place.path.len, known, &c);
    cert_find_add(list, &c);
}

/* The folder is as it was when it had one pair: it need not be listed. */
static bool take_known(const struct walk *w, const struct folder_entry *e, struct sts_str path,
                       struct cert_candidates *list)
{
    const struct cert_early *early = list->early;
    struct sts_str name, key;
    const struct cert_known *known =
        early ? early->folder(early->data, w->place.folder->fd, e->name, path, &name, &key) : NULL;

    if (!known)
        return false;
    struct place inside = {list->arena, sts_arena_join(list->arena, path, STS_STR("/")), NULL};
    cert_find_take(w, &inside, name, key, known, list);
    return true;
}

static void walk_entry(const struct walk *w, const struct folder_entry *e,
                       struct cert_candidates *list, struct sts_diags *diags)
{
    struct sts_str name = sts_str_from(e->name);
    struct sts_str key = {0};
    struct place place = w->place;

    place.arena = list->arena;
    if (!e->is_folder) {
        if (!cert_find_is_key(name) && layout_match(&place, name, &key))
            cert_find_take(w, &place, name, key, NULL, list);
    } else if (w->depth < DEPTH_MAX && !(w->certbot && sts_str_is(name, "archive"))) {
        struct sts_str path = place_path(&place, name);
        if (!take_known(w, e, path, list))
            walk_folder(list, w->place.folder->fd, e->name, path, w->depth + 1, w->where, diags);
    }
}

static void walk_branch(void *data, size_t thread, size_t number)
{
    struct walk *w = data;
    struct branch *branch = &w->branches[number];
    struct cert_candidates *list = &w->lists[thread];

    branch->thread = thread;
    branch->from = list->count;
    sts_diags_init(&branch->diags, list->arena);
    walk_entry(w, &w->place.folder->entries[number], list, &branch->diags);
    branch->count = list->count - branch->from;
}

/* What each thread finds stays in an arena of its own, and is put together in order. */
static void walk_by_threads(struct walk *w, size_t threads, struct cert_candidates *list,
                            struct sts_diags *diags)
{
    size_t count = w->place.folder->count;

    w->branches = sts_must(calloc(count, sizeof(*w->branches)));
    list->arenas = sts_must(realloc(
        list->arenas, sts_mul_size(list->arena_count + threads, sizeof(struct sts_arena *))));
    for (size_t i = 0; i < threads; i++) {
        w->lists[i] = (struct cert_candidates){
            .arena = sts_arena_new(), .early = list->early, .now_ns = list->now_ns};
        list->arenas[list->arena_count++] = w->lists[i].arena;
    }
    threads_run(threads, count, walk_branch, w);
    for (size_t i = 0; i < count; i++) {
        const struct branch *branch = &w->branches[i];
        for (size_t k = 0; k < branch->count; k++)
            cert_find_add(list, &w->lists[branch->thread].items[branch->from + k]);
        sts_diags_append(diags, &branch->diags);
    }
    for (size_t i = 0; i < threads; i++)
        free(w->lists[i].items); /* moved, but for this */
    free(w->branches);
}

static bool has_no_folder(const struct folder *folder)
{
    bool none = true;

    for (size_t i = 0; none && i < folder->count; i++)
        none = !folder->entries[i].is_folder;
    return none;
}

/* `path` is `name` as seen from `from`. */
static void walk_folder(struct cert_candidates *list, int from, const char *name,
                        struct sts_str path, int depth, struct sts_pos where,
                        struct sts_diags *diags)
{
    struct folder folder;

    if (folder_list(&folder, from, name) != 0) {
        cert_find_unreadable(diags, where, path);
        return;
    }
    bool root = path.len && path.ptr[path.len - 1] == '/';
    struct walk w = {
        .place = {list->arena, root ? path : sts_arena_join(list->arena, path, STS_STR("/")),
                  &folder},
        .depth = depth,
        .where = where,
        .certbot = folder_has(&folder, "live"),
    };
    size_t threads = list->by_threads ? threads_for(folder.count, WORTH_A_THREAD) : 1;
    size_t before = list->count;
    if (threads > 1)
        walk_by_threads(&w, threads, list, diags);
    else
        for (size_t i = 0; i < folder.count; i++)
            walk_entry(&w, &folder.entries[i], list, diags);
    if (list->count == before + 1 && has_no_folder(&folder))
        list->items[before].folder = cert_seen_folder(&folder.st, list->now_ns);
    folder_fini(&folder);
}

void cert_find_folder(struct cert_candidates *list, struct sts_str path, struct sts_pos where,
                      struct sts_diags *diags)
{
    list->paths++;
    walk_folder(list, AT_FDCWD, path.ptr, path, DEPTH_MAX, where, diags);
}

static void add_file(struct cert_candidates *list, struct sts_str path, struct sts_pos where)
{
    struct cert_candidate c = {.where = where, .file = path, .key_file = path};
    struct sts_str name = file_basename(path), key = {0};
    struct place place = {
        list->arena, sts_arena_dup(list->arena, sts_str_sub(path, 0, path.len - name.len)), NULL};

    if (layout_match(&place, name, &key))
        c = layout_candidate(&place, name, key, where);
    c.required = true;
    cert_find_add(list, &c);
}

void cert_find(struct cert_candidates *list, struct sts_str path, struct sts_pos where,
               struct sts_diags *diags)
{
    struct stat st;

    list->paths++;
    if (stat(path.ptr, &st) != 0) {
        cert_find_unreadable(diags, where, path);
        return;
    }
    if (!S_ISDIR(st.st_mode)) {
        add_file(list, path, where);
        return;
    }
    while (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    path = sts_arena_dup(list->arena, path);
    size_t before = list->count;
    size_t errors = diags->errors;
    walk_folder(list, AT_FDCWD, path.ptr, path, 0, where, diags);
    if (list->count == before && diags->errors == errors) {
        struct sts_diag *d =
            sts_diag_add(diags, STS_WARNING, "certificate-none-found",
                         (struct sts_pos){.source = sts_arena_dup(diags->arena, path)},
                         "no certificate in this folder");
        sts_diag_help(diags, d,
                      "it is searched two levels deep for fullchain.pem with privkey.pem, "
                      "NAME.crt with NAME.key, tls.crt with tls.key, or NAME.pem");
        d->related = where;
    }
}

static struct sts_str cert_find_stem(struct sts_str path)
{
    struct sts_str name = file_basename(path);
    size_t dot = name.len;

    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] == '.')
            dot = i;
    return sts_str_sub(name, 0, dot);
}

/* Debian keeps certificates and keys in two folders, so people list both files: a certificate
 * without a key beside it takes the listed key of the same stem, or the only one listed. */
static void join_listed_keys(struct cert_candidates *list)
{
    struct cert_table by_stem = {0};
    struct cert_candidate *key = NULL;
    size_t keys = 0;

    for (size_t i = list->count; i-- > 0;) { /* of the same stem, the last one stays in the table */
        if (!cert_find_is_key(list->items[i].file))
            continue;
        keys++;
        key = &list->items[i];
        cert_table_add(&by_stem, cert_find_stem(key->file), key);
    }
    for (size_t i = 0; keys && i < list->count; i++) {
        struct cert_candidate *c = &list->items[i];
        if (!c->required || !sts_str_eq(c->file, c->key_file) || cert_find_is_key(c->file))
            continue;
        const struct cert_candidate *own = cert_table_find(&by_stem, cert_find_stem(c->file));
        if (!own && keys == 1)
            own = key;
        if (own) {
            cert_pair_unref(c->pair);
            c->pair = NULL;
            c->key_file = own->file;
        }
    }
    cert_table_fini(&by_stem);
}

/* One folder has each file once, and nothing in it that is another's key; but lists may overlap. */
void cert_find_finish(struct cert_candidates *list)
{
    struct cert_table files = {0}, keys = {0};
    size_t kept = 0;

    if (list->paths < 2)
        return;
    join_listed_keys(list);
    for (size_t i = 0; i < list->count; i++)
        if (!sts_str_eq(list->items[i].file, list->items[i].key_file))
            cert_table_add(&keys, list->items[i].key_file, list);
    for (size_t i = 0; i < list->count; i++) {
        struct cert_candidate c = list->items[i];
        if (!cert_table_find(&keys, c.file) && cert_table_add(&files, c.file, list))
            list->items[kept++] = c;
        else
            cert_pair_unref(c.pair);
    }
    list->count = kept;
    cert_table_fini(&files);
    cert_table_fini(&keys);
}
