/* Which files belong together: the layouts that ACME clients and orchestrators write.
 *
 *   NAME/fullchain.pem + privkey.pem    certbot, dehydrated
 *   NAME/fullchain.cer + *.key          acme.sh
 *   NAME.crt + NAME.key                 lego, Caddy, Debian
 *   tls.crt + tls.key                   Kubernetes
 *   cert.pem + key.pem                  containers
 *   NAME.pem + NAME-key.pem             mkcert
 *   NAME.pem                            certificate and key in one file
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "server/base/memory.h"
#include "server/sys/file.h"
#include "server/tls/cert_pair.h"

enum { DEPTH_MAX = 2 };

static bool exists(struct sts_str path)
{
    struct stat st;
    return lstat(path.ptr, &st) == 0; /* a dangling link counts: its target may be on the way */
}

static struct sts_str in_dir(struct sts_arena *a, struct sts_str dir, const char *name)
{
    return sts_arena_printf(a, "%.*s/%s", STS_ARG(dir), name);
}

static struct sts_str base_name(struct sts_str path)
{
    size_t from = path.len;
    while (from > 0 && path.ptr[from - 1] != '/')
        from--;
    return sts_str_sub(path, from, path.len);
}

/* `path` with its last `cut` bytes replaced by `ending`. */
static struct sts_str sibling(struct sts_arena *a, struct sts_str path, size_t cut,
                              const char *ending)
{
    struct sts_str stem = sts_str_sub(path, 0, path.len - cut);
    return sts_arena_printf(a, "%.*s%s", STS_ARG(stem), ending);
}

static void add(struct cert_candidates *list, const struct cert_candidate *candidate)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? sts_mul_size(list->capacity, 2) : 16;
        list->items =
            sts_must(realloc(list->items, sts_mul_size(list->capacity, sizeof(*list->items))));
    }
    list->items[list->count++] = *candidate;
}

void cert_candidates_fini(struct cert_candidates *list)
{
    free(list->items);
    *list = (struct cert_candidates){0};
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Also "..data" of Kubernetes is hidden: the links one level up point through it. */
static int is_visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static int is_visible_key(const struct dirent *e)
{
    return is_visible(e) && sts_str_ends(sts_str_from(e->d_name), STS_STR(".key"));
}

static void free_entries(struct dirent **entries, int count)
{
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
}

/* The only "*.key" of a directory (acme.sh names it after the host), or empty. */
static struct sts_str only_key(struct sts_arena *a, struct sts_str dir)
{
    struct dirent **entries = NULL;
    struct sts_str found = {0};
    int count = scandir(dir.ptr, &entries, is_visible_key, by_name);

    if (count == 1)
        found = in_dir(a, dir, entries[0]->d_name);
    free_entries(entries, count);
    return found;
}

static bool first_that_exists(struct sts_str a, struct sts_str b, struct sts_str *out)
{
    if (!exists(a) && !exists(b))
        return false;
    *out = exists(a) ? a : b;
    return true;
}

/* Fills in *c by the name of the file; false when it does not look like a certificate's. */
static bool match_layout(struct sts_arena *a, struct sts_str dir, struct sts_str file,
                         struct cert_candidate *c)
{
    struct sts_str name = base_name(file), folder = base_name(dir);

    c->file = c->key_file = file;
    if (sts_str_is(name, "fullchain.pem")) {
        c->required = true;
        c->label = folder;
        c->key_file = in_dir(a, dir, "privkey.pem");
        if (!exists(c->key_file) && exists(in_dir(a, dir, "key.pem")))
            c->key_file = in_dir(a, dir, "key.pem");
    } else if (sts_str_is(name, "fullchain.cer")) {
        c->required = true;
        c->label =
            sts_str_ends(folder, STS_STR("_ecc")) ? sts_str_sub(folder, 0, folder.len - 4) : folder;
        struct sts_str key = only_key(a, dir);
        c->key_file = key.len ? key : file;
    } else if (sts_str_is(name, "tls.crt")) {
        c->required = true;
        c->label = folder;
        c->key_file = in_dir(a, dir, "tls.key");
    } else if (sts_str_is(name, "cert.pem")) {
        if (exists(in_dir(a, dir, "fullchain.pem")))
            return false; /* certbot: the leaf alone */
        c->label = folder;
        c->required = first_that_exists(in_dir(a, dir, "key.pem"), in_dir(a, dir, "privkey.pem"),
                                        &c->key_file);
    } else if (sts_str_ends(name, STS_STR(".crt"))) {
        c->label = sts_str_sub(name, 0, name.len - 4);
        struct sts_str key = sibling(a, file, 4, ".key");
        c->required = first_that_exists(key, key, &c->key_file);
    } else if (sts_str_ends(name, STS_STR(".pem"))) {
        c->label = sts_str_sub(name, 0, name.len - 4);
        c->required = first_that_exists(sibling(a, file, 4, ".key"),
                                        sibling(a, file, 4, "-key.pem"), &c->key_file);
    } else {
        return false;
    }
    return true;
}

bool cert_find_is_key(struct sts_str path)
{
    struct sts_str name = base_name(path);

    return sts_str_is(name, "privkey.pem") || sts_str_is(name, "key.pem") ||
           sts_str_ends(name, STS_STR("-key.pem")) || sts_str_ends(name, STS_STR(".key"));
}

static void unreadable(struct sts_diags *diags, struct sts_pos where, struct sts_str path)
{
    struct sts_pos at = {.source = sts_arena_dup(diags->arena, path)};
    int error = errno;
    struct sts_diag *d =
        sts_diag_add(diags, STS_ERROR, "certificate-unreadable", at, "%s", file_error(error));

    d->related = where;
    if (error == EACCES)
        sts_diag_help(diags, d, "let the user of the service read it (and enter its folders)");
}

static void walk(struct cert_candidates *list, struct sts_str dir, int depth, struct sts_pos where,
                 struct sts_diags *diags)
{
    struct dirent **entries = NULL;
    int count = scandir(dir.ptr, &entries, is_visible, by_name); /* same order in every run */

    if (count < 0) {
        unreadable(diags, where, dir);
        return;
    }
    bool certbot = exists(in_dir(list->arena, dir, "live"));
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        struct sts_str path = in_dir(list->arena, dir, name);
        struct cert_candidate c = {.where = where};
        struct stat st;
        if (stat(path.ptr, &st) == 0 && S_ISDIR(st.st_mode)) {
            /* certbot's archive/ holds what live/ links to, old versions included */
            if (depth < DEPTH_MAX && !(certbot && strcmp(name, "archive") == 0))
                walk(list, path, depth + 1, where, diags);
        } else if (!cert_find_is_key(sts_str_from(name)) &&
                   match_layout(list->arena, dir, path, &c)) {
            add(list, &c);
        }
    }
    free_entries(entries, count);
}

void cert_find_folder(struct cert_candidates *list, struct sts_str path, struct sts_pos where,
                      struct sts_diags *diags)
{
    walk(list, path, DEPTH_MAX, where, diags);
}

static void add_file(struct cert_candidates *list, struct sts_str path, struct sts_pos where)
{
    struct cert_candidate c = {.where = where};
    struct sts_str dir = file_dirname(list->arena, path);

    if (!match_layout(list->arena, dir, path, &c))
        c.file = c.key_file = path;
    c.required = true;
    add(list, &c);
}

void cert_find(struct cert_candidates *list, struct sts_str path, struct sts_pos where,
               struct sts_diags *diags)
{
    struct stat st;

    if (stat(path.ptr, &st) != 0) {
        unreadable(diags, where, path);
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
    walk(list, path, 0, where, diags);
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

static struct sts_str stem(struct sts_str path)
{
    struct sts_str name = base_name(path);
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
    for (size_t i = 0; i < list->count; i++) {
        struct cert_candidate *c = &list->items[i];
        size_t keys = 0;
        struct sts_str only = {0}, same_stem = {0};
        if (!c->required || !sts_str_eq(c->file, c->key_file) || cert_find_is_key(c->file))
            continue;
        for (size_t k = 0; k < list->count; k++) {
            struct sts_str key = list->items[k].file;
            if (!cert_find_is_key(key))
                continue;
            keys++;
            only = key;
            if (sts_str_eq(stem(key), stem(c->file)))
                same_stem = key;
        }
        if (same_stem.len || keys == 1)
            c->key_file = same_stem.len ? same_stem : only;
    }
}

void cert_find_finish(struct cert_candidates *list)
{
    struct cert_table files = {0}, keys = {0};
    size_t kept = 0, listed_keys = 0;

    for (size_t i = 0; i < list->count; i++)
        listed_keys += cert_find_is_key(list->items[i].file);
    if (listed_keys)
        join_listed_keys(list);
    for (size_t i = 0; i < list->count; i++)
        if (!sts_str_eq(list->items[i].file, list->items[i].key_file))
            cert_table_add(&keys, list->items[i].key_file, list);
    for (size_t i = 0; i < list->count; i++) {
        struct cert_candidate c = list->items[i];
        if (!cert_table_find(&keys, c.file) && cert_table_add(&files, c.file, list))
            list->items[kept++] = c;
    }
    list->count = kept;
    cert_table_fini(&files);
    cert_table_fini(&keys);
}
