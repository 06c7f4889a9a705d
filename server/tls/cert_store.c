#include "server/tls/cert_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/sys/file.h"
#include "server/sys/heap.h"
#include "server/tls/cert_index.h"
#include "server/tls/cert_store_parts.h"
#include "server/tls/cert_sum.h"

const struct cert_pair **cert_store_slot(struct cert_identity *id, const struct cert_pair *pair)
{
    return pair->info.key_type == CERT_RSA ? &id->rsa : &id->ec;
}

static bool store_goes_before(const struct cert_store *s, const struct cert_pair *pair,
                              const struct cert_pair *other)
{
    enum cert_rank rank = cert_store_rank(s, pair), other_rank = cert_store_rank(s, other);

    return rank != other_rank ? rank > other_rank
                              : !other || pair->info.not_after > other->info.not_after;
}

/* True when it is the only one of its key type so far. */
static bool add_to(const struct cert_store *s, struct cert_identity *id,
                   const struct cert_pair *pair)
{
    const struct cert_pair **slot = cert_store_slot(id, pair);
    bool only = !*slot;

    if (store_goes_before(s, pair, *slot))
        *slot = pair;
    return only;
}

void cert_store_add_bare(struct cert_store *s, struct cert_pair *pair)
{
    s->pairs = sts_heap_grow(s->pairs, s->count, &s->capacity, sizeof(*s->pairs));
    s->pairs[s->count++] = pair;
    cert_table_add(&s->files, pair->info.file, pair);
    if (pair->chain && cert_table_add(&s->chains, cert_sum_str(pair->chain->digest), pair->chain))
        cert_chain_ref(pair->chain);
    if (pair->info.not_after < s->until)
        s->until = pair->info.not_after;
}

/* Takes the caller's reference. */
static void store_add(struct cert_store *s, struct cert_pair *pair)
{
    cert_store_add_bare(s, pair);
    for (size_t i = 0; i < pair->name_count; i++) {
        struct cert_identity *id = cert_table_find(&s->hosts, pair->names[i]);
        if (!id) {
            id = STS_NEW(s->arena, struct cert_identity);
            cert_table_add(&s->hosts, pair->names[i], id);
        }
        if (!add_to(s, id, pair))
            cert_table_add(&s->several, pair->names[i], s);
    }
}

static void refuse_name(struct cert_store *s, struct sts_str name, struct sts_str why)
{
    struct sts_str *kept = STS_NEW(s->arena, struct sts_str);
    *kept = why;
    if (!cert_table_find(&s->refused, name))
        cert_table_add(&s->refused, sts_arena_dup(s->arena, name), kept);
}

/* Remembers why the names of a pair that is left out are not served. */
static void cert_store_refuse(struct cert_store *s, const struct cert_candidate *c,
                              const struct cert_pair *pair, struct sts_str message)
{
    struct sts_str why =
        sts_arena_printf(s->arena, "%.*s (%.*s)", STS_ARG(message), STS_ARG(c->file));

    if (c->label.len)
        refuse_name(s, c->label, why);
    for (size_t i = 0; pair && i < pair->name_count; i++)
        refuse_name(s, pair->names[i], why);
}

/* NULL when there is none, or nothing at all was said. */
static const struct sts_diag *first_error(const struct sts_diags *diags)
{
    const struct sts_diag *d = diags ? diags->first : NULL;
    while (d && d->severity != STS_ERROR)
        d = d->next;
    return d;
}

static struct sts_str cert_store_day(struct sts_arena *a, time_t t)
{
    struct tm tm;
    char text[32] = "";

    gmtime_r(&t, &tm);
    strftime(text, sizeof(text), "%Y-%m-%d", &tm);
    return sts_arena_dup(a, sts_str_from(text));
}

static void cert_store_keep(struct cert_store *s, const struct cert_pair *old, struct sts_pos where,
                            struct sts_str why, const char *help, struct sts_diags *diags)
{
    struct sts_diag *d =
        sts_diag_add(diags, STS_WARNING, "certificate-kept", where,
                     "%.*s; the one loaded before stays in use, until %.*s", STS_ARG(why),
                     STS_ARG(cert_store_day(diags->arena, old->info.not_after)));

    struct cert_pair *pair = cert_pair_ref(old);

    sts_diag_help(diags, d, "%s", help);
    cert_table_add(&s->kept, pair->info.file, pair); /* first: its rank depends on it */
    store_add(s, pair);
}

/* A renewal replaces two files, one after the other, and copies can fail: what was good before is
 * better than nothing until a whole new pair is there. */
static bool keep_previous(struct cert_store *s, const struct cert_loader *loader,
                          const struct cert_candidate *c, const struct sts_diags *found,
                          struct sts_diags *diags)
{
    const struct cert_pair *old =
        loader->previous ? cert_store_by_file(loader->previous, c->file) : NULL;
    const struct sts_diag *error = first_error(found);

    if (!old || old->info.not_after < loader->now)
        return false;
    struct sts_pos where = {.source = sts_arena_dup(diags->arena, c->file)};
    struct sts_str why = STS_STR("the private key is missing");
    if (error) {
        why = error->message;
        where.source = sts_arena_dup(diags->arena, error->where.source);
        where.line = error->where.line;
        where.column = error->where.column;
    }
    cert_store_keep(s, old, where, why,
                    "put a certificate and its key in place; no restart is needed", diags);
    return true;
}

/* Somebody may have put back a backup, or the wrong file: it is obeyed, and said. */
static void compare_dates(struct cert_store *s, const struct cert_loader *loader,
                          const struct cert_pair *pair, struct sts_diags *diags)
{
    const struct cert_pair *old =
        loader->previous ? cert_store_by_file(loader->previous, pair->info.file) : NULL;

    if (!old || old->info.not_after <= pair->info.not_after)
        return;
    struct sts_diag *d = sts_diag_add(
        diags, STS_WARNING, "certificate-expires-earlier",
        (struct sts_pos){.source = sts_arena_dup(diags->arena, pair->info.file)},
        "the new certificate expires on %.*s, the one before would have lasted until %.*s",
        STS_ARG(cert_store_day(diags->arena, pair->info.not_after)),
        STS_ARG(cert_store_day(diags->arena, old->info.not_after)));
    sts_diag_help(diags, d, "it is used; is it the right file, and not an old copy?");
    s->unusual = true; /* said once */
}

/* Nobody writes these files again, so no event tells. */
static bool may_mend(const struct sts_diags *found)
{
    const struct sts_diag *error = first_error(found);
    return error && (strcmp(error->code, "certificate-unreadable") == 0 ||
                     strcmp(error->code, "certificate-not-yet-valid") == 0);
}

static void note_name(struct cert_store *s, struct sts_str file, struct sts_str name)
{
    struct cert_bare *bare = STS_NEW(s->arena, struct cert_bare);

    if (!cert_name_matters(name))
        return;
    *bare = (struct cert_bare){s->bare, file, sts_arena_dup(s->arena, name)};
    s->bare = bare;
}

/* Many clients keep older certificates beside the one that counts: of no interest where that one
 * has the name. */
static void note_bare(struct cert_store *s, const struct cert_candidate *c,
                      const struct cert_pair *pair)
{
    struct sts_str file = sts_arena_dup(s->arena, c->file);

    note_name(s, file, c->label);
    for (size_t i = 0; i < pair->name_count; i++)
        note_name(s, file, pair->names[i]);
}

static void take_one(struct cert_store *s, struct cert_loader *loader,
                     const struct cert_candidate *c, struct cert_result *r, struct sts_diags *diags)
{
    if (r->outcome == CERT_LOADED) {
        store_add(s, cert_pair_ref(r->pair));
        if (r->arena)
            sts_diags_append(diags, &r->diags);
        compare_dates(s, loader, r->pair, diags);
    } else if (!keep_previous(s, loader, c, r->arena ? &r->diags : NULL, diags)) {
        if (r->outcome == CERT_BROKEN) {
            cert_store_refuse(s, c, r->pair, first_error(&r->diags)->message);
            s->may_mend |= may_mend(&r->diags);
            sts_diags_append(diags, &r->diags);
        } else if (r->pair && r->pair->info.chain_length && !r->pair->ca) {
            cert_store_refuse(s, c, r->pair,
                              STS_STR("there is no private key for the certificate"));
            note_bare(s, c, r->pair);
        }
    }
}

static void take_result(struct cert_store *s, struct cert_loader *loader,
                        const struct cert_candidate *c, struct cert_result *r,
                        struct sts_diags *diags)
{
    size_t said = sts_diags_count(diags);

    take_one(s, loader, c, r, diags);
    if (said != sts_diags_count(diags))
        cert_table_add(&s->spoken, sts_arena_dup(s->arena, c->file), s);
}

static void cert_store_load_found(struct cert_store *s, struct cert_loader *loader,
                                  const struct cert_candidates *candidates, struct sts_diags *diags)
{
    struct cert_result *results = sts_must(calloc(candidates->count + 1, sizeof(*results)));

    cert_table_reserve(&s->files, candidates->count);
    cert_table_reserve(&s->hosts, candidates->count);
    cert_load_all(loader, candidates, results);
    for (size_t i = 0; i < candidates->count; i++) {
        take_result(s, loader, &candidates->items[i], &results[i], diags);
        cert_result_fini(&results[i]);
    }
    free(results);
    for (const struct cert_bare *bare = s->bare; bare; bare = bare->next)
        if (!cert_store_exact(s, bare->name))
            cert_table_add(&s->spoken, bare->file, s);
    s->work = (struct cert_work){loader->read, loader->parsed};
}

struct cert_store *cert_store_new(time_t now)
{
    struct cert_store *s = sts_must(calloc(1, sizeof(*s)));

    atomic_init(&s->refs, 1);
    s->arena = sts_arena_new();
    sts_diags_init(&s->said, s->arena);
    s->loaded = now;
    s->until = INT64_MAX;
    return s;
}

static bool cert_store_below(struct sts_str file, struct sts_str path)
{
    while (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    return sts_str_starts(file, path) && (file.len == path.len || file.ptr[path.len] == '/');
}

/* Pairs of the previous store whose files have vanished while their folder is still configured: a
 * folder being replaced, a file system not mounted. Once other pairs carry their names they go. */
static void keep_vanished(struct cert_store *s, const struct cert_loader *loader,
                          const struct sts_str *paths, size_t count, const struct cert_table *seen,
                          struct sts_diags *diags)
{
    size_t pairs = 0;
    struct cert_pair **before =
        loader->previous ? cert_store_pairs(loader->previous, &pairs) : NULL;

    for (size_t i = 0; i < pairs; i++) {
        const struct cert_pair *old = before[i];
        bool configured = false;
        for (size_t k = 0; k < count; k++)
            configured |= cert_store_below(old->info.file, paths[k]);
        if (!configured || old->info.not_after < loader->now ||
            cert_table_find(seen, old->info.file) || cert_store_does_without(s, old))
            continue;
        cert_table_add(&s->gone, old->info.file, (struct cert_pair *)old);
        cert_store_keep(
            s, old, (struct sts_pos){.source = sts_arena_dup(diags->arena, old->info.file)},
            STS_STR("the certificate is gone"), "to forget it at once, restart the service", diags);
    }
    free(before);
}

struct cert_store *cert_store_load(const struct sts_path *paths, size_t count,
                                   struct sts_str base_dir, const char *index,
                                   const struct cert_store *previous, time_t now,
                                   struct sts_diags *diags)
{
    struct cert_store *s = cert_store_new(now);
    struct sts_arena *scratch = sts_arena_new();
    struct cert_candidates found = {
        .arena = scratch, .by_threads = !previous, .now_ns = file_clock_ns()};
    struct cert_loader loader;
    struct cert_early early = cert_load_early(&loader);
    struct sts_str *resolved = STS_ARRAY(scratch, count, struct sts_str);
    struct cert_table seen = {0};
    struct sts_diags said;

    cert_loader_init(&loader, previous, now);
    sts_diags_init(&said, scratch);
    struct cert_index *known = index && !previous ? cert_index_read(index) : NULL;
    loader.known = known;
    if (known)
        found.early = &early;
    for (size_t i = 0; i < count; i++) {
        resolved[i] = file_resolve(scratch, base_dir, paths[i].path);
        size_t errors = said.errors;
        cert_find(&found, resolved[i], paths[i].where, &said);
        s->may_mend |= said.errors > errors; /* a folder that cannot be listed */
    }
    s->unusual = said.first != NULL;
    cert_find_finish(&found);
    for (size_t i = 0; previous && i < found.count; i++)
        cert_table_add(&seen, found.items[i].file, s);
    cert_store_load_found(s, &loader, &found, &said);
    keep_vanished(s, &loader, resolved, count, &seen, &said);
    sts_diags_append(&s->said, &said);
    sts_diags_append(diags, &said);
    struct cert_pack *pack = known ? cert_index_pack(known) : previous ? previous->pack : NULL;
    s->pack = pack ? cert_pack_ref(pack) : NULL;
    cert_index_free(known);
    cert_table_fini(&seen);
    cert_loader_fini(&loader);
    cert_candidates_fini(&found);
    sts_arena_free(scratch);
    return s;
}

struct cert_store *cert_store_ref(struct cert_store *store)
{
    atomic_fetch_add_explicit(&store->refs, 1, memory_order_relaxed);
    return store;
}

void cert_store_unref(struct cert_store *store)
{
    if (!store || atomic_fetch_sub_explicit(&store->refs, 1, memory_order_acq_rel) != 1)
        return;
    cert_table_fini(&store->hosts);
    cert_table_fini(&store->files);
    cert_table_fini(&store->refused);
    cert_table_fini(&store->kept);
    cert_table_fini(&store->gone);
    for (size_t i = 0; i < store->chains.size; i++)
        cert_chain_unref(store->chains.slots[i].value);
    cert_table_fini(&store->chains);
    cert_table_fini(&store->several);
    cert_table_fini(&store->spoken);
    for (size_t i = 0; i < store->count; i++)
        cert_pair_unref(store->pairs[i]);
    cert_pack_unref(store->pack);
    free(store->pairs);
    cert_store_unref(store->base);
    sts_arena_free(store->arena);
    free(store);
}

size_t cert_store_count(const struct cert_store *store)
{
    return store->base ? store->base->count + store->added : store->count;
}

bool cert_store_is_kept(const struct cert_store *store, const struct cert_pair *pair)
{
    return cert_table_find(&cert_store_whole(store)->kept, pair->info.file) == pair;
}

struct cert_work cert_store_work(const struct cert_store *store)
{
    return store->work;
}

int cert_store_remember(struct cert_store *store, const char *index)
{
    const struct cert_pack *before = store->pack;
    size_t count;
    struct cert_pair **pairs = cert_store_pairs(store, &count);
    int result = cert_index_write(&store->pack, index, pairs, count);
    int error = errno;

    free(pairs);
    if (store->pack != before)
        heap_trim(); /* leaves that are in the file now */
    errno = error;
    return result;
}

bool cert_store_may_mend(const struct cert_store *store)
{
    return store->may_mend;
}
