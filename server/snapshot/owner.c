/* Whose a domain is: it belongs to the file that it was served from last, which the snapshot before
 * says or, at a start, the ledger. Who else declares it is refused, also while its own file cannot
 * be used: then it is an orphan, which no source declares and which is served as it was. When its
 * file is good and says nothing of it, or was removed on purpose, it is free. */
#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/snapshot/parts.h"
#include "server/sys/file.h"

/* A name from the ledger, as sources are called. */
static struct snapshot_file owner_resolve(const struct build *b, struct sts_str stored)
{
    const struct snapshot *s = b->snapshot;
    bool relative = !sts_str_starts(stored, STS_STR("/"));

    if (!stored.len)
        return (struct snapshot_file){0};
    if (sts_str_eq(stored, file_basename(s->main_file)))
        return (struct snapshot_file){s->main_file, relative};
    return (struct snapshot_file){file_resolve(b->scratch, s->base_dir, stored), relative};
}

/* Empty: nobody's, or nobody knows. */
static struct sts_str owner_find(const struct build *b, struct sts_str domain)
{
    const struct snapshot *previous = b->input->previous;

    if (previous) {
        const struct tenant *old = snapshot_find_domain(previous, domain);
        return old && old->state != TENANT_REFUSED ? tenant_file(previous, old).name
                                                   : (struct sts_str){0};
    }
    const struct served_tenant *old = b->served ? served_find(b->served, domain) : NULL;
    return old ? owner_resolve(b, old->file).name : (struct sts_str){0};
}

static void owner_refuse_claim(struct build *b, const struct tenant *t, struct sts_pos other,
                               const char *which)
{
    struct sts_diag *diag =
        sts_diag_add(b->diags, STS_ERROR, "tenant-duplicate", tenant_where(b->snapshot, t),
                     "the tenant %.*s is there twice", STS_ARG(t->domain));

    diag->tenant = t->domain;
    diag->related = other;
    sts_diag_help(b->diags, diag, "remove one of the two; %s counts", which);
}

static bool owner_is_earlier(const struct tenant *a, const struct tenant *b)
{
    return a->file != b->file ? a->file < b->file : a->nth < b->nth;
}

/* Whether this file declares the tenant, also when its directory was renamed, or when an include
 * pattern calls it otherwise now. */
static bool owner_declares(const struct build *b, struct sts_str file, const struct tenant *t)
{
    const struct snapshot_source *from = &b->snapshot->sources[t->file];

    return file.len && (sts_str_eq(from->source->name, file) ||
                        (sts_str_eq(file_basename(from->source->name), file_basename(file)) &&
                         file_id_same(source_directory(b, file), from->directory)));
}

/* The most that can be said when the folder has another name since the last run. */
static bool owner_is_called_like(const struct build *b, struct sts_str file, const struct tenant *t)
{
    struct sts_str name = b->snapshot->sources[t->file].source->name;
    return file.len && sts_str_eq(file_basename(name), file_basename(file));
}

/* Whether `a` counts, not `other`. Of two files that the domain does not belong to, neither can be
 * told to be the right one: what was served before counts, else the first, as files were read in
 * order. */
static bool owner_prefers(const struct build *b, const struct tenant *a, const struct tenant *other)
{
    struct sts_str file = owner_find(b, a->domain);
    bool own = owner_declares(b, file, a), other_own = owner_declares(b, file, other);
    bool like = owner_is_called_like(b, file, a), other_like = owner_is_called_like(b, file, other);
    bool served = tenant_is_as_before(b, a), other_served = tenant_is_as_before(b, other);

    if (own != other_own)
        return own;
    if (like != other_like)
        return like;
    if (!own && served != other_served)
        return served;
    if ((a->kept == KEPT_NOT) != (other->kept == KEPT_NOT))
        return a->kept == KEPT_NOT;
    return owner_is_earlier(a, other);
}

void tenants_drop_duplicates(struct build *b)
{
    struct snapshot *s = b->snapshot;
    size_t kept = 0;

    for (size_t i = 0; i < s->tenant_count; i++) {
        struct tenant *t = &s->tenants[i];
        if (kept == 0 || !sts_str_eq(s->tenants[kept - 1].domain, t->domain)) {
            s->tenants[kept++] = *t;
            continue;
        }
        struct tenant *first = &s->tenants[kept - 1];
        if (owner_prefers(b, t, first)) {
            struct tenant swap = *first;
            *first = *t;
            *t = swap;
        }
        owner_refuse_claim(b, t, tenant_where(s, first),
                           owner_is_earlier(first, t) ? "the first one"
                                                      : "the one that was served before");
    }
    s->duplicates = s->tenant_count - kept;
    s->tenant_count = kept;
}

/* A walk over what was served before, in the order of domains, beside what is declared now. */
struct orphans {
    struct build *b;
    size_t declared, at; /* of the snapshot's tenants */
    struct tenant *list;
    size_t count, capacity;
    size_t lost_file_capacity; /* of the snapshot's */
};

static struct tenant *orphans_find_declared(struct orphans *o, struct sts_str domain)
{
    struct tenant *tenants = o->b->snapshot->tenants;
    int order = -1;

    while (o->at < o->declared && (order = sts_str_cmp(tenants[o->at].domain, domain)) < 0)
        o->at++;
    return o->at < o->declared && order == 0 ? &tenants[o->at] : NULL;
}

/* Its place in lost_files; many tenants in a row are of one file. */
static uint32_t orphans_add_file(struct orphans *o, struct snapshot_file file)
{
    struct snapshot *s = o->b->snapshot;
    size_t count = s->lost_file_count;

    if (!file.name.len)
        return SNAPSHOT_NO_FILE;
    if (count && sts_str_eq(s->lost_files[count - 1].name, file.name))
        return (uint32_t)count - 1;
    s->lost_files = sts_arena_grow(s->arena, s->lost_files, count, &o->lost_file_capacity,
                                   sizeof(*s->lost_files));
    s->lost_files[count] =
        (struct snapshot_file){sts_arena_dup(s->arena, file.name), file.relative};
    return (uint32_t)s->lost_file_count++;
}

static void orphans_push(struct orphans *o, const struct tenant *t)
{
    o->list = sts_heap_grow(o->list, o->count, &o->capacity, sizeof(*o->list));
    o->list[o->count++] = *t;
}

/* Keeps the domain if its file is lost. Where nobody knows the file, any lost one may be it. */
static void orphans_keep(struct orphans *o, struct sts_str domain, struct snapshot_file file)
{
    struct build *b = o->b;
    struct snapshot *s = b->snapshot;
    struct tenant *rival = orphans_find_declared(o, domain);

    if (rival && (!file.name.len || owner_declares(b, file.name, rival)))
        return;
    if (file.name.len ? !source_is_lost(b, file.name) : !b->missing)
        return;
    struct sts_str host = sts_arena_join(s->arena, STS_STR(STS_HOST_LABEL), domain);
    struct tenant t = {.domain = sts_str_sub(host, strlen(STS_HOST_LABEL), host.len),
                       .hash = tenant_hash(host),
                       .orphan = true,
                       .file = orphans_add_file(o, file)};
    if (!tenant_keep(b, b->diags, &t, KEPT_MISSING))
        return;
    if (!rival) {
        orphans_push(o, &t);
        return;
    }
    owner_refuse_claim(b, rival, tenant_where(s, &t), "the one that was served before");
    *rival = t;
    s->duplicates++;
}

/* Of files that were read before, what was read stays (source_keep), and the tenants are declared.
 * But those that are kept already may be of a file that was never good since the start. */
static void orphans_walk_snapshot(struct orphans *o)
{
    const struct snapshot *previous = o->b->input->previous;

    for (size_t i = 0; i < previous->tenant_count; i++)
        if (previous->tenants[i].kept != KEPT_NOT)
            orphans_keep(o, previous->tenants[i].domain,
                         tenant_file(previous, &previous->tenants[i]));
}

static void orphans_walk_served(struct orphans *o)
{
    const struct snapshot *s = o->b->snapshot;
    const struct served *served = o->b->served;

    for (size_t i = 0; i < served->count; i++) {
        const struct served_tenant *old = &served->tenants[i];
        const struct tenant *t = orphans_find_declared(o, old->domain);
        if (!t || !sts_str_eq(tenant_stored_file(s, t), old->file))
            orphans_keep(o, old->domain, owner_resolve(o->b, old->file));
    }
}

void tenants_keep_missing(struct build *b)
{
    struct snapshot *s = b->snapshot;
    struct orphans o = {.b = b, .declared = s->tenant_count};

    if (b->input->previous)
        orphans_walk_snapshot(&o);
    else if (b->served)
        orphans_walk_served(&o);
    if (o.count) {
        struct tenant *all = STS_ARRAY(s->arena, s->tenant_count + o.count, struct tenant);
        if (s->tenant_count)
            memcpy(all, s->tenants, s->tenant_count * sizeof(*all));
        memcpy(all + s->tenant_count, o.list, o.count * sizeof(*all));
        s->tenants = all;
        s->tenant_count += o.count;
    }
    free(o.list);
}
