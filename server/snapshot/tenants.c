/* Tenants of all sources: named policies found, resolved, rendered, certified.
 *
 * What did not change since the snapshot before is taken over from there, so that a change costs
 * the tenants of the file it is in, and a copy of the rest. */
#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/snapshot/parts.h"
#include "server/sys/file.h"

/* True when the tenant is served as it is declared; `entry` then says with what. */
static bool tenants_resolve(struct build *b, const struct snapshot_source *from,
                            const struct sts_tenant_decl *decl, struct shard_tenant *entry,
                            struct sts_diags *diags, struct tenant *t)
{
    const struct sts_source *source = from->source;
    struct snapshot *s = b->snapshot;
    struct sts_policy policy;

    t->domain = decl->domain;
    t->hash = tenant_hash(tenant_host(t));
    t->state = TENANT_REFUSED;
    t->retiring = decl->retire;
    /* Of a file with an error outside its tenants nothing is used; its hosts stay known. */
    if (source->broken)
        return false;
    const struct sts_named_policy *named = policies_find(b, source, decl->terms->policy_name);
    struct sts_diag **report = diags->tail;
    bool good = sts_tenant_resolve(source, decl, named, &s->settings, diags, &policy);
    if (!named && decl->terms->policy_name.len)
        policies_suggest(b, decl->terms->policy_name, diags, *report);
    if (!good)
        return false;
    t->state = TENANT_SERVED;
    t->kept = from->kept;
    *entry = (struct shard_tenant){body_take(s->bodies, &policy), named};
    t->body = entry->body;
    return true;
}

/* Resolves the tenants of the source in this place, and adds them at the end. */
static struct shard *resolve_source(struct build *b, size_t place)
{
    struct snapshot *s = b->snapshot;
    const struct snapshot_source *from = &s->sources[place];
    const struct sts_source *source = from->source;
    struct shard *shard = shard_new(s->bodies, source->tenant_count);
    struct sts_diags diags;

    shard->whole = true;
    if (!b->spare)
        b->spare = sts_arena_new();
    sts_arena_reset(b->spare);
    sts_diags_init(&diags, b->spare);
    for (size_t i = 0; i < source->tenant_count; i++) {
        const struct sts_tenant_decl *decl = &source->tenants[i];
        if (!decl->domain.len) {
            shard->whole = false;
            continue;
        }
        struct tenant *t = &s->tenants[s->tenant_count++];
        t->file = (uint32_t)place;
        t->nth = (uint32_t)i;
        if (tenants_resolve(b, from, decl, &shard->tenants[i], &diags, t))
            continue;
        shard->whole = false;
        tenant_keep(b, &diags, t, KEPT_BROKEN);
    }
    s->work.resolved += source->tenant_count;
    repeated_split(&b->repeated, &diags, source->name, shard);
    return shard;
}

/* What a file that has policies says of them may be said by other files, too. */
static void say_shard(struct build *b, const struct snapshot_source *from)
{
    if (from->shard->diags && from->source->policy_count)
        repeated_note(&b->repeated, from->shard->diags);
    diagnosis_add_shard(b->diagnosis, from->shard);
    if (from->shard->elsewhere)
        repeated_append(&b->repeated, b->diags, from->shard->elsewhere);
}

static bool same_policies(const struct build *b, const struct sts_source *source,
                          const struct shard *shard)
{
    bool same = true;

    for (size_t i = 0; !b->same_policies && same && i < shard->count; i++)
        same = shard->tenants[i].named ==
               policies_find(b, source, source->tenants[i].terms->policy_name);
    return same;
}

/* The settings are those of the main file, the first source. */
static struct shard *shard_before(const struct build *b, const struct snapshot_source *from)
{
    const struct snapshot *s = b->snapshot, *previous = b->input->previous;
    const struct snapshot_source *old = from->before ? &previous->sources[from->before - 1] : NULL;

    if (!old || old->source != from->source || !old->shard->whole || previous->duplicates ||
        previous->sources[0].source != s->sources[0].source ||
        !same_policies(b, from->source, old->shard))
        return NULL;
    return old->shard;
}

static int tenants_by_domain(const void *a, const void *b)
{
    return sts_str_cmp(((const struct tenant *)a)->domain, ((const struct tenant *)b)->domain);
}

static void tenants_sort(struct tenant *tenants, size_t count)
{
    if (count)
        qsort(tenants, count, sizeof(*tenants), tenants_by_domain);
}

static int tenants_to_domain(const void *key, const void *tenant)
{
    return sts_str_cmp(*(const struct sts_str *)key, ((const struct tenant *)tenant)->domain);
}

const struct tenant *tenant_among(const struct snapshot *s, size_t count, struct sts_str domain)
{
    return count ? bsearch(&domain, s->tenants, count, sizeof(*s->tenants), tenants_to_domain)
                 : NULL;
}

/* The first of `all` from `at` on that does not come before `domain`; most likely it is near. */
static size_t tenants_seek(const struct tenant *all, size_t at, size_t count, struct sts_str domain)
{
    size_t step = 1, end = at;

    while (end < count && sts_str_cmp(all[end].domain, domain) < 0) {
        at = end + 1;
        end += step;
        step *= 2;
    }
    if (end > count)
        end = count;
    while (at < end) {
        size_t middle = at + (end - at) / 2;
        if (sts_str_cmp(all[middle].domain, domain) < 0)
            at = middle + 1;
        else
            end = middle;
    }
    return at;
}

/* Those of shards taken over, as they were before certificates were looked at, but for the
 * identity: that may be the same again. */
static void tenants_take_over(struct build *b, const struct tenant *from, size_t count)
{
    struct snapshot *s = b->snapshot;

    for (size_t i = 0; i < count; i++) {
        size_t place = from[i].orphan ? 0 : b->moved[from[i].file];
        if (!place)
            continue;
        struct tenant *t = &s->tenants[s->tenant_count++];
        *t = from[i];
        t->file = (uint32_t)(place - 1);
        t->state = TENANT_SERVED;
        t->kept = s->sources[t->file].kept;
        t->held = false;
    }
}

/* `fresh` are sorted, and stand far enough behind to be moved forward one by one. True when some
 * domain is there twice. */
static bool tenants_merge(struct build *b, const struct tenant *fresh, size_t count)
{
    struct snapshot *s = b->snapshot;
    const struct snapshot *previous = b->input->previous;
    const struct tenant *old = previous ? previous->tenants : NULL;
    size_t old_count = previous && b->reused ? previous->tenant_count : 0, at = 0;
    bool twice = false;

    for (size_t i = 0; i < count; i++) {
        struct sts_str domain = fresh[i].domain;
        size_t next = tenants_seek(old, at, old_count, domain);
        tenants_take_over(b, old + at, next - at);
        at = next;
        s->tenants[s->tenant_count++] = fresh[i];
        twice = twice || (i && sts_str_eq(s->tenants[s->tenant_count - 2].domain, domain));
        twice = twice || (at < old_count && sts_str_eq(old[at].domain, domain) && !old[at].orphan &&
                          b->moved[old[at].file]);
    }
    if (at < old_count)
        tenants_take_over(b, old + at, old_count - at);
    return twice;
}

/* Takes over what shards it can; the number of tenants in those. */
static size_t tenants_reuse(struct build *b)
{
    struct snapshot *s = b->snapshot;
    const struct snapshot *previous = b->input->previous;
    size_t count = 0;

    b->moved = STS_ARRAY(s->arena, previous ? previous->source_count : 0, uint32_t);
    for (size_t i = 0; i < s->source_count; i++) {
        struct snapshot_source *from = &s->sources[i];
        struct shard *shard = shard_before(b, from);
        if (!shard)
            continue;
        from->shard = shard_ref(shard);
        b->moved[from->before - 1] = (uint32_t)i + 1;
        b->reused = true;
        count += shard->count;
    }
    return count;
}

void tenants_build(struct build *b)
{
    struct snapshot *s = b->snapshot;
    size_t total = 0;

    policies_collect(b);
    for (size_t i = 0; i < s->source_count; i++)
        total += s->sources[i].source->tenant_count;
    s->tenants = STS_ARRAY(s->arena, total, struct tenant);
    size_t reused = s->tenant_count = tenants_reuse(b);
    for (size_t i = 0; i < s->source_count; i++) {
        struct snapshot_source *from = &s->sources[i];
        if (!from->shard)
            from->shard = resolve_source(b, i);
        say_shard(b, from);
    }
    size_t fresh = s->tenant_count - reused;
    tenants_sort(s->tenants + reused, fresh);
    s->tenant_count = 0;
    if (tenants_merge(b, s->tenants + reused, fresh))
        tenants_drop_duplicates(b);
    size_t declared = s->tenant_count;
    tenants_keep_missing(b);
    if (s->tenant_count != declared)
        tenants_sort(s->tenants, s->tenant_count);
    s->work.compared = b->repeated.compared;
    repeated_fini(&b->repeated);
    sts_arena_free(b->spare);
}

static bool tenants_any_tls(const struct sts_settings *settings)
{
    for (size_t i = 0; i < settings->listen_count; i++)
        if (settings->listen[i].tls)
            return true;
    return false;
}

static bool is_kept(const struct cert_store *store, const struct cert_identity *id)
{
    return (id->ec && cert_store_is_kept(store, id->ec)) ||
           (id->rsa && cert_store_is_kept(store, id->rsa));
}

static void tenants_certify_one(struct build *b, struct tenant *t)
{
    struct snapshot *s = b->snapshot;
    struct sts_str host = tenant_host(t);

    if (cert_store_find(s->certificates, host, &t->identity)) {
        s->incomplete |= is_kept(s->certificates, &t->identity);
        return;
    }
    if (t->state != TENANT_SERVED)
        return;
    t->state = TENANT_NO_CERTIFICATE;
    s->incomplete |= cert_store_may_mend(s->certificates);
    t->held = tenant_was_current(b, t);
    struct sts_str why = cert_store_why_not(s->certificates, s->arena, host);
    struct sts_diag *diag =
        sts_diag_add(b->diags, STS_ERROR, "tenant-no-certificate", tenant_where(s, t),
                     "%.*s has no usable certificate: %.*s", STS_ARG(host), STS_ARG(why));
    diag->tenant = t->domain;
    sts_diag_help(b->diags, diag,
                  "put a certificate for %.*s into a folder that certificates: names",
                  STS_ARG(host));
}

struct sts_str snapshot_certificate_index(const struct snapshot *s, struct sts_arena *arena)
{
    return sts_arena_printf(arena, "%.*s.certs", STS_ARG(s->ledger));
}

/* The short way, when the certificates are those of before but for a few folders; false when it
 * does not lead there. */
static bool update_certificates(struct build *b)
{
    struct snapshot *s = b->snapshot;
    struct cert_store *before = b->input->previous->certificates;
    struct cert_update update = {.paths = s->settings.certificates,
                                 .path_count = s->settings.certificate_count,
                                 .base_dir = s->base_dir,
                                 .previous = before,
                                 .entries = b->input->touched.entries,
                                 .entry_count = b->input->touched.entry_count,
                                 .now = b->input->now,
                                 .arena = s->arena};

    s->certificates = cert_store_update(&update, b->diags);
    if (!s->certificates)
        return false;
    if (s->certificates != before)
        s->work.certificates = cert_store_work(s->certificates);
    for (size_t i = 0; i < update.name_count; i++) {
        struct tenant *t = (struct tenant *)presented_tenant(s, update.names[i]);
        if (t)
            t->identity = (struct cert_identity){0};
    }
    for (size_t i = 0; i < s->tenant_count; i++)
        if (!s->tenants[i].identity.ec && !s->tenants[i].identity.rsa)
            tenants_certify_one(b, &s->tenants[i]);
    return true;
}

static bool has_certificates(const struct build *b)
{
    return b->input->with_certificates && tenants_any_tls(&b->snapshot->settings);
}

void tenants_begin_certify(struct build *b)
{
    struct snapshot *s = b->snapshot;

    if (has_certificates(b) && !b->input->previous)
        b->loading =
            cert_loading_begin(s->settings.certificates, s->settings.certificate_count, s->base_dir,
                               snapshot_certificate_index(s, s->arena).ptr, b->input->now);
}

static struct cert_store *load_certificates(struct build *b)
{
    struct snapshot *s = b->snapshot;

    if (b->loading)
        return cert_loading_finish(b->loading, b->diags);
    return cert_store_load(s->settings.certificates, s->settings.certificate_count, s->base_dir,
                           snapshot_certificate_index(s, s->arena).ptr,
                           b->input->previous->certificates, b->input->now, b->diags);
}

static void tenants_search(struct build *b)
{
    struct snapshot *s = b->snapshot;

    if (b->look >= LOOK_NEW && b->input->previous->certificates && update_certificates(b))
        return;
    s->searched = true;
    s->certificates = load_certificates(b);
    s->work.certificates = cert_store_work(s->certificates);
    for (size_t i = 0; i < s->tenant_count; i++) {
        s->tenants[i].identity = (struct cert_identity){0};
        tenants_certify_one(b, &s->tenants[i]);
    }
}

void tenants_certify(struct build *b)
{
    struct sts_diag **said = b->diags->tail;

    if (!has_certificates(b))
        return;
    tenants_search(b);
    presented_drop_needless(b, said);
}
