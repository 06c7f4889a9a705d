/* One renewed certificate among a hundred thousand: only the folders are looked at in which
 * something happened, and the new store is the one before with a few pairs laid over it.
 *
 * The result is what cert_store_load would come to. It is worth the trouble for what happens all
 * day: pairs that are replaced by good ones, or are new. Where anything else is found (a pair that
 * is broken or gone, a name that two pairs have, something to say), the answer is NULL, and
 * cert_store_load is asked. */
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/sys/file.h"
#include "server/tls/cert_pack.h"
#include "server/tls/cert_store_parts.h"

enum {
    NAMES_MAX = 256, /* in one folder: more are no folder of one host */
    OWN_MAX = 1024,  /* pairs of a store with a base; then a whole one is due */
    LEVELS = 2,      /* of cert_find */
};

/* A pair that is new, and the one it replaces, or NULL. */
struct replaced {
    struct cert_pair *pair; /* referenced */
    const struct cert_pair *old;
};

/* A certificate without a key: it says why its names are not served. */
struct bare {
    struct cert_pair *pair; /* referenced */
    struct sts_str label;
};

struct update {
    const struct cert_update *in;
    struct sts_arena *scratch;
    struct cert_loader loader;
    struct cert_candidates found;
    struct cert_table before;  /* files of these folders that had a pair -> that */
    struct replaced *replaced; /* as many places as there are candidates */
    size_t count;
    struct bare *bare; /* as many places */
    size_t bare_count;
    struct cert_table names; /* whose identity is another -> struct cert_identity */
};

/* --- which folder -------------------------------------------------------------------------- */

static struct sts_str without_slash(struct sts_str path)
{
    while (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    return path;
}

/* What of `path` follows `folder`, from its slash on; false when it is not in there. */
static bool is_within(struct sts_str path, struct sts_str folder, struct sts_str *rest)
{
    if (sts_str_is(folder, "/"))
        folder.len = 0;
    *rest = sts_str_sub(path, folder.len, path.len);
    return sts_str_starts(path, folder) && (!rest->len || rest->ptr[0] == '/');
}

static size_t cert_update_levels(struct sts_str rest)
{
    size_t count = 0;

    for (size_t i = 0; i < rest.len; i++)
        count += rest.ptr[i] == '/';
    return count;
}

/* How cert_find names the folder, and the one configured path that leads there. */
static bool cert_update_locate(struct update *u, struct sts_str folder, struct sts_str *as,
                               struct sts_pos *where)
{
    const struct cert_update *in = u->in;
    size_t ways = 0;

    for (size_t i = 0; i < in->path_count; i++) {
        struct sts_str path = file_resolve(u->scratch, in->base_dir, in->paths[i].path), rest;
        char *real = realpath(path.ptr, NULL);
        struct stat st;
        if (!real || stat(real, &st) != 0) {
            free(real);
            return false;
        }
        struct sts_str is = sts_arena_dup(u->scratch, sts_str_from(real));
        free(real);
        if (!S_ISDIR(st.st_mode)) {
            /* A key that is listed may belong to any certificate. */
            if (cert_find_is_key(path) || is_within(is, folder, &rest))
                return false;
        } else if (is_within(folder, is, &rest) && cert_update_levels(rest) <= LEVELS) {
            ways++;
            *as = sts_arena_join(u->scratch, without_slash(path), rest);
            *where = in->paths[i].where;
        }
    }
    return ways == 1;
}

/* --- what is there, and was ---------------------------------------------------------------- */

static bool cert_update_remember(struct update *u, struct sts_str folder, struct sts_str name)
{
    const struct cert_store *previous = u->in->previous;
    const struct cert_store *whole = cert_store_whole(previous);
    struct sts_str path = sts_arena_printf(u->scratch, "%.*s/%.*s", STS_ARG(folder), STS_ARG(name));
    const struct cert_pair *old = cert_store_by_file(previous, path);

    if (old)
        cert_table_add(&u->before, path, (void *)old);
    return !cert_table_find(&whole->spoken, path) && !cert_table_find(&whole->kept, path);
}

/* Whatever pairs were in the folder, their files are there, or something happened to these names.
 */
static bool cert_update_list(struct update *u, struct sts_str folder)
{
    DIR *dir = opendir(folder.ptr);
    const struct dirent *e;
    size_t count = 0;
    bool good = dir != NULL;

    while (good && (e = readdir(dir)) != NULL)
        if (e->d_name[0] != '.')
            good = ++count <= NAMES_MAX && cert_update_remember(u, folder, sts_str_from(e->d_name));
    if (dir)
        closedir(dir);
    return good;
}

static bool is_directory(struct update *u, const struct file_entry *entry)
{
    struct sts_str path =
        sts_arena_printf(u->scratch, "%.*s/%.*s", STS_ARG(entry->directory), STS_ARG(entry->name));
    struct stat st;
    return stat(path.ptr, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool cert_update_look_at(struct update *u, size_t nth, struct sts_diags *diags)
{
    const struct cert_update *in = u->in;
    struct sts_str folder = in->entries[nth].directory, as;
    struct sts_pos where;
    bool good = true;

    for (size_t i = 0; i < nth; i++)
        if (sts_str_eq(in->entries[i].directory, folder))
            return true;
    if (!cert_update_locate(u, folder, &as, &where))
        return false;
    for (size_t i = nth; good && i < in->entry_count; i++)
        if (sts_str_eq(in->entries[i].directory, folder))
            good = !in->entries[i].name.len || (!is_directory(u, &in->entries[i]) &&
                                                cert_update_remember(u, as, in->entries[i].name));
    if (!good || !cert_update_list(u, as))
        return false;
    cert_find_folder(&u->found, as, where, diags);
    return true;
}

/* --- pairs --------------------------------------------------------------------------------- */

static bool cert_update_take(struct update *u, const struct cert_candidate *c,
                             struct sts_diags *diags)
{
    struct cert_pair *pair = NULL, *old = cert_table_find(&u->before, c->file);
    enum cert_outcome outcome = cert_load(&u->loader, c, diags, &pair);

    if (outcome == CERT_IGNORED) {
        if (pair && pair->info.chain_length && !pair->ca)
            u->bare[u->bare_count++] = (struct bare){pair, c->label};
        else
            cert_pair_unref(pair);
        return !old;
    }
    bool good = outcome == CERT_LOADED && !diags->first;
    if (!good || pair == old)
        cert_pair_unref(pair);
    else
        u->replaced[u->count++] = (struct replaced){pair, old};
    return good && !(old && old->info.not_after > pair->info.not_after);
}

/* The files that had a pair still have one. */
static bool none_is_gone(const struct update *u)
{
    size_t there = 0;

    for (size_t i = 0; i < u->found.count; i++)
        there += cert_table_find(&u->before, u->found.items[i].file) != NULL;
    return there == u->before.count;
}

static bool cert_update_load(struct update *u, struct sts_diags *diags)
{
    bool good = true;

    for (size_t i = 0; good && i < u->in->entry_count; i++)
        good = cert_update_look_at(u, i, diags);
    if (!good)
        return false;
    cert_find_finish(&u->found);
    u->replaced = STS_ARRAY(u->scratch, u->found.count, struct replaced);
    u->bare = STS_ARRAY(u->scratch, u->found.count, struct bare);
    good = none_is_gone(u);
    for (size_t i = 0; good && i < u->found.count; i++)
        good = cert_update_take(u, &u->found.items[i], diags);
    return good;
}

/* --- names --------------------------------------------------------------------------------- */

/* The identity that `name` is going to have, to be changed; NULL: two pairs of a kind have it. */
static struct cert_identity *cert_update_identity(struct update *u, struct sts_str name)
{
    const struct cert_store *previous = u->in->previous;
    const struct cert_store *whole = cert_store_whole(previous);
    const struct cert_identity *is = cert_store_exact(previous, name);
    struct cert_identity *will = cert_table_find(&u->names, name);

    if (cert_table_find(&whole->several, name))
        return NULL;
    if (!will) {
        will = STS_NEW(u->scratch, struct cert_identity);
        *will = is ? *is : (struct cert_identity){0};
        cert_table_add(&u->names, name, will);
    }
    return will;
}

static bool cert_update_withdraw(struct update *u, const struct cert_pair *old)
{
    for (size_t i = 0; old && i < old->name_count; i++) {
        struct cert_identity *id = cert_update_identity(u, old->names[i]);
        if (!id || *cert_store_slot(id, old) != old)
            return false;
        *cert_store_slot(id, old) = NULL;
    }
    return true;
}

/* A pair that is kept may have to go when this one gets the name. */
static bool update_may_drop_earlier(const struct update *u, struct sts_str name,
                                    const struct cert_identity *id)
{
    const struct cert_store *previous = u->in->previous;

    return cert_store_whole(previous)->kept.count > 0 &&
           (sts_str_starts(name, STS_STR("*.")) ||
            (id->ec && cert_store_is_kept(previous, id->ec)) ||
            (id->rsa && cert_store_is_kept(previous, id->rsa)));
}

static bool cert_update_present(struct update *u, const struct cert_pair *pair)
{
    for (size_t i = 0; i < pair->name_count; i++) {
        struct cert_identity *id = cert_update_identity(u, pair->names[i]);
        if (!id || *cert_store_slot(id, pair) || update_may_drop_earlier(u, pair->names[i], id))
            return false;
        *cert_store_slot(id, pair) = pair;
    }
    return true;
}

/* Nobody asks why it is not served. */
static bool is_served(const struct update *u, struct sts_str name)
{
    const struct cert_identity *will = cert_table_find(&u->names, name);

    return !cert_name_matters(name) || will || cert_store_exact(u->in->previous, name);
}

static bool all_are_served(const struct update *u)
{
    bool good = true;

    for (size_t i = 0; good && i < u->names.size; i++) {
        const struct cert_identity *will = u->names.slots[i].value;
        good = !will || will->ec || will->rsa;
    }
    for (size_t i = 0; good && i < u->bare_count; i++) {
        const struct cert_pair *pair = u->bare[i].pair;
        good = is_served(u, u->bare[i].label);
        for (size_t k = 0; good && k < pair->name_count; k++)
            good = is_served(u, pair->names[k]);
    }
    return good;
}

static bool cert_update_exchange(struct update *u)
{
    bool good = true;

    for (size_t i = 0; good && i < u->count; i++)
        good = cert_update_withdraw(u, u->replaced[i].old);
    for (size_t i = 0; good && i < u->count; i++)
        good = cert_update_present(u, u->replaced[i].pair);
    return good && all_are_served(u);
}

/* --- the store ----------------------------------------------------------------------------- */

/* Names outlive the pairs that had them. */
static void put_identities(struct cert_store *s, const struct cert_table *from)
{
    for (size_t i = 0; i < from->size; i++) {
        const struct cert_slot *slot = &from->slots[i];
        struct sts_str name = {slot->key, slot->len};
        if (!slot->value || cert_table_find(&s->hosts, name))
            continue;
        struct cert_identity *copy = STS_NEW(s->arena, struct cert_identity);
        *copy = *(const struct cert_identity *)slot->value;
        cert_table_add(&s->hosts, sts_arena_dup(s->arena, name), copy);
    }
}

static void cert_update_put_pair(struct cert_store *s, struct cert_pair *pair)
{
    s->added += !cert_table_find(&s->base->files, pair->info.file);
    cert_store_add_bare(s, pair);
}

static struct cert_store *lay_over(const struct update *u)
{
    struct cert_store *previous = u->in->previous, *s = cert_store_new(u->in->now);

    s->base = cert_store_ref(previous->base ? previous->base : previous);
    s->until = previous->until;
    for (size_t i = 0; i < u->count; i++)
        cert_update_put_pair(s, cert_pair_ref(u->replaced[i].pair));
    for (size_t i = 0; previous->base && i < previous->count; i++)
        if (!cert_table_find(&s->files, previous->pairs[i]->info.file))
            cert_update_put_pair(s, cert_pair_ref(previous->pairs[i]));
    put_identities(s, &u->names);
    if (previous->base)
        put_identities(s, &previous->hosts);
    s->pack = previous->pack ? cert_pack_ref(previous->pack) : NULL;
    s->work = (struct cert_work){u->loader.read, u->loader.parsed};
    return s;
}

static bool is_usual(const struct cert_update *in)
{
    const struct cert_store *s = in->previous, *whole = cert_store_whole(s);

    return !whole->unusual && !whole->may_mend && in->now >= s->loaded && in->now <= s->until;
}

static void tell_names(const struct update *u, struct cert_update *out)
{
    out->names = STS_ARRAY(out->arena, u->names.count, struct sts_str);
    for (size_t i = 0; i < u->names.size; i++)
        if (u->names.slots[i].value)
            out->names[out->name_count++] = sts_arena_dup(
                out->arena, (struct sts_str){u->names.slots[i].key, u->names.slots[i].len});
}

struct cert_store *cert_store_update(struct cert_update *update, struct sts_diags *diags)
{
    struct cert_store *previous = update->previous, *s = NULL;
    struct update u = {.in = update, .scratch = sts_arena_new()};
    struct sts_diags said;

    update->name_count = 0;
    sts_diags_init(&said, u.scratch);
    u.found.arena = u.scratch;
    u.found.now_ns = file_clock_ns();
    cert_loader_init(&u.loader, previous, update->now);
    if (is_usual(update) && cert_update_load(&u, &said) && !said.first &&
        cert_update_exchange(&u) && u.count + (previous->base ? previous->count : 0) <= OWN_MAX) {
        s = u.count ? lay_over(&u) : cert_store_ref(previous);
        sts_diags_append(diags, &cert_store_whole(s)->said);
        tell_names(&u, update);
    }
    for (size_t i = 0; i < u.count; i++)
        cert_pair_unref(u.replaced[i].pair);
    for (size_t i = 0; i < u.bare_count; i++)
        cert_pair_unref(u.bare[i].pair);
    cert_table_fini(&u.before);
    cert_table_fini(&u.names);
    cert_candidates_fini(&u.found);
    cert_loader_fini(&u.loader);
    sts_arena_free(u.scratch);
    return s;
}
