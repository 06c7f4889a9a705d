#include "server/snapshot/served.h"

#include <assert.h>
#include <stdlib.h>

#include "mtasts/domain.h"
#include "server/base/memory.h"

void served_init(struct served *served)
{
    *served = (struct served){.arena = sts_arena_new()};
}

void served_fini(struct served *served)
{
    sts_arena_free(served->arena);
    free(served->tenants);
    *served = (struct served){0};
}

void served_add(struct served *served, struct sts_str domain, struct sts_str body)
{
    if (served->count == served->capacity) {
        served->capacity = served->capacity ? sts_mul_size(served->capacity, 2) : 64;
        served->tenants = sts_must(
            realloc(served->tenants, sts_mul_size(served->capacity, sizeof(*served->tenants))));
    }
    assert(!served->count || sts_str_cmp(served->tenants[served->count - 1].domain, domain) < 0);
    served->tenants[served->count++] = (struct served_tenant){
        .domain = sts_arena_dup(served->arena, domain), .body = sts_arena_dup(served->arena, body)};
}

/* Nothing is believed that this program does not write. */
static bool is_domain(struct sts_str text)
{
    struct sts_arena *arena = sts_arena_new();
    struct sts_pos nowhere = {0};
    struct sts_diags ignored;
    struct sts_str domain;

    sts_diags_init(&ignored, arena);
    bool good = sts_domain_parse(arena, text, STS_DOMAIN_CONFIG, nowhere, &ignored, &domain) &&
                sts_str_eq(domain, text);
    sts_arena_free(arena);
    return good;
}

static void add_current(void *data, const struct ledger_history *history)
{
    const struct ledger_instance *latest = &history->latest;

    if (!latest->last_served && is_domain(latest->domain))
        served_add(data, latest->domain, latest->body);
}

bool served_from_ledger(struct served *served, struct ledger *ledger, struct sts_diags *diags)
{
    return ledger_each_history(ledger, add_current, served, diags);
}

static int to_domain(const void *key, const void *tenant)
{
    return sts_str_cmp(*(const struct sts_str *)key,
                       ((const struct served_tenant *)tenant)->domain);
}

const struct served_tenant *served_find(const struct served *served, struct sts_str domain)
{
    return served->count ? bsearch(&domain, served->tenants, served->count,
                                   sizeof(*served->tenants), to_domain)
                         : NULL;
}
