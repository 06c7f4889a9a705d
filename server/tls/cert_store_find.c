/* Looking things up in a store, and in the one below it. */
#include <stdlib.h>
#include <string.h>

#include "mtasts/domain.h"
#include "server/base/memory.h"
#include "server/tls/cert_store_parts.h"

const struct cert_store *cert_store_whole(const struct cert_store *s)
{
    return s->base ? s->base : s;
}

/* What a store has of its own, else what its base has. */
static void *cert_store_find_either(const struct cert_store *store, const struct cert_table *own,
                                    const struct cert_table *other, struct sts_str key)
{
    void *found = cert_table_find(own, key);
    return found || !store->base ? found : cert_table_find(other, key);
}

const struct cert_pair *cert_store_by_file(const struct cert_store *store, struct sts_str file)
{
    return cert_store_find_either(store, &store->files, store->base ? &store->base->files : NULL,
                                  file);
}

const struct cert_pair *cert_store_gone(const struct cert_store *store, struct sts_str file)
{
    return cert_table_find(&cert_store_whole(store)->gone, file);
}

struct cert_chain *cert_store_chain(const struct cert_store *store, struct sts_str digest)
{
    return cert_store_find_either(store, &store->chains, store->base ? &store->base->chains : NULL,
                                  digest);
}

const struct cert_identity *cert_store_exact(const struct cert_store *store, struct sts_str name)
{
    const struct cert_identity *id = cert_store_find_either(
        store, &store->hosts, store->base ? &store->base->hosts : NULL, name);
    return id && (id->ec || id->rsa) ? id : NULL;
}

/* "*." and everything after the first label, in `space`; empty when there is no second label. */
static struct sts_str wildcard_of(struct sts_str host, char space[STS_DOMAIN_MAX + 1])
{
    size_t dot = sts_str_find(host, '.', 0);

    if (dot == host.len || dot == 0 || host.len - dot + 1 > STS_DOMAIN_MAX)
        return (struct sts_str){0};
    space[0] = '*';
    memcpy(space + 1, host.ptr + dot, host.len - dot);
    return (struct sts_str){space, host.len - dot + 1};
}

enum cert_rank cert_store_rank(const struct cert_store *store, const struct cert_pair *pair)
{
    if (!pair)
        return CERT_RANK_NONE;
    if (cert_store_is_kept(store, pair))
        return pair->self_signed ? CERT_RANK_SELF_SIGNED_KEPT : CERT_RANK_ISSUED_KEPT;
    return pair->self_signed ? CERT_RANK_SELF_SIGNED : CERT_RANK_ISSUED;
}

/* Who can take both key types gets ECDSA: RSA beside it is for those who would get nothing else. So
 * an RSA pair that is kept may stay there, but no ECDSA pair beside a better RSA pair. */
static bool store_allows_rsa(enum cert_rank ec, enum cert_rank rsa)
{
    return rsa >= CERT_RANK_ISSUED_KEPT || ec < CERT_RANK_ISSUED_KEPT;
}

/* What of the pairs of this very name is presented; gives the rank of the best. */
static enum cert_rank store_present_name(const struct cert_store *store, struct sts_str name,
                                         struct cert_identity *out)
{
    const struct cert_identity *found = name.len ? cert_store_exact(store, name) : NULL;

    *out = found ? *found : (struct cert_identity){0};
    enum cert_rank ec = cert_store_rank(store, out->ec), rsa = cert_store_rank(store, out->rsa);
    if (ec < rsa)
        out->ec = NULL;
    else if (!store_allows_rsa(ec, rsa))
        out->rsa = NULL;
    return ec < rsa ? rsa : ec;
}

static enum cert_rank store_present_host(const struct cert_store *store, struct sts_str host,
                                         struct cert_identity *out)
{
    char space[STS_DOMAIN_MAX + 1];
    struct cert_identity of_pattern;
    enum cert_rank rank = store_present_name(store, host, out);
    enum cert_rank pattern = store_present_name(store, wildcard_of(host, space), &of_pattern);

    if (pattern > rank)
        *out = of_pattern;
    return pattern > rank ? pattern : rank;
}

bool cert_store_find(const struct cert_store *store, struct sts_str host, struct cert_identity *out)
{
    struct cert_identity found;
    bool good = store_present_host(store, host, &found) != CERT_RANK_NONE;

    if (good)
        *out = found;
    return good;
}

/* Where no pair of its key type is left, the others have to be enough. */
static bool store_needs_for_name(const struct cert_store *store, const struct cert_pair *pair,
                                 enum cert_rank rank, struct sts_str name)
{
    struct cert_identity id;
    enum cert_rank best = store_present_host(store, name, &id);
    const struct cert_pair *same_type = *cert_store_slot(&id, pair);

    if (same_type)
        return rank > cert_store_rank(store, same_type);
    return rank >= best || (pair->info.key_type == CERT_RSA && store_allows_rsa(best, rank));
}

bool cert_store_does_without(const struct cert_store *store, const struct cert_pair *pair)
{
    enum cert_rank rank = pair->self_signed ? CERT_RANK_SELF_SIGNED_KEPT : CERT_RANK_ISSUED_KEPT;

    for (size_t i = 0; i < pair->name_count; i++)
        if (store_needs_for_name(store, pair, rank, pair->names[i]))
            return false;
    return true;
}

struct sts_str cert_store_why_not(const struct cert_store *store, struct sts_arena *arena,
                                  struct sts_str host)
{
    const struct cert_table *refused = &cert_store_whole(store)->refused;
    char space[STS_DOMAIN_MAX + 1];
    const struct sts_str *why = cert_table_find(refused, host);
    struct sts_str pattern = wildcard_of(host, space);

    if (!why && pattern.len)
        why = cert_table_find(refused, pattern);
    return sts_arena_dup(arena, why ? *why : STS_STR("no certificate names it"));
}

static int cert_store_find_by_address(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t) * (struct cert_pair *const *)a;
    uintptr_t y = (uintptr_t) * (struct cert_pair *const *)b;
    return (x > y) - (x < y);
}

struct cert_pair **cert_store_pairs(const struct cert_store *store, size_t *count)
{
    const struct cert_store *base = store->base;
    struct cert_pair **all =
        sts_must(calloc(cert_store_count(store) + 1, sizeof(struct cert_pair *)));
    struct cert_pair **replaced = sts_must(calloc(store->count + 1, sizeof(struct cert_pair *)));
    size_t n = 0, gone = 0;

    for (size_t i = 0; i < store->count; i++) {
        struct cert_pair *old =
            base ? cert_table_find(&base->files, store->pairs[i]->info.file) : NULL;
        if (old)
            replaced[gone++] = old;
        all[n++] = store->pairs[i];
    }
    if (gone)
        qsort(replaced, gone, sizeof(*replaced), cert_store_find_by_address);
    for (size_t i = 0; base && i < base->count; i++)
        if (!gone || !bsearch(&base->pairs[i], replaced, gone, sizeof(*replaced),
                              cert_store_find_by_address))
            all[n++] = base->pairs[i];
    free(replaced);
    *count = n;
    return all;
}

bool cert_name_matters(struct sts_str name)
{
    return sts_str_starts(name, STS_STR(STS_HOST_LABEL)) || sts_str_starts(name, STS_STR("*."));
}
