#include "server/snapshot/served.h"

#include <assert.h>
#include <stdlib.h>

#include "mtasts/domain.h"
#include "server/base/memory.h"

void served_init(struct served *served)
{
    *served = (struct served){.arena = sts_arena_new(), .scratch = sts_arena_new()};
}

void served_fini(struct served *served)
{
    sts_arena_free(served->arena);
    sts_arena_free(served->scratch);
    free(served->tenants);
    *served = (struct served){0};
}

static struct sts_str served_copy_recent(struct served *served, struct sts_str text)
{
    const size_t slots = sizeof(served->recent) / sizeof(*served->recent);
    struct sts_str *slot = &served->recent[sts_str_hash(text) % slots];

    if (!sts_str_eq(*slot, text))
        *slot = sts_arena_dup(served->arena, text);
    return *slot;
}

void served_add(struct served *served, const struct served_tenant *tenant)
{
    served->tenants =
        sts_heap_grow(served->tenants, served->count, &served->capacity, sizeof(*served->tenants));
    assert(!served->count ||
           sts_str_cmp(served->tenants[served->count - 1].domain, tenant->domain) < 0);
    served->tenants[served->count++] =
        (struct served_tenant){.domain = sts_arena_dup(served->arena, tenant->domain),
                               .body = served_copy_recent(served, tenant->body),
                               .file = served_copy_recent(served, tenant->file)};
}

/* Nothing is believed that this program does not write. */
static bool is_domain(struct sts_arena *arena, struct sts_str text)
{
    struct sts_pos nowhere = {0};
    struct sts_diags ignored;
    struct sts_str domain;

    sts_arena_reset(arena);
    sts_diags_init(&ignored, arena);
    return sts_domain_parse(arena, text, STS_DOMAIN_CONFIG, nowhere, &ignored, &domain) &&
           sts_str_eq(domain, text);
}

static void add_current(void *data, const struct ledger_instance *current)
{
    struct served *served = data;

    const struct served_tenant tenant = {current->domain, current->body, current->file};

    if (is_domain(served->scratch, current->domain))
        served_add(served, &tenant);
}

bool served_from_ledger(struct served *served, struct ledger *ledger, struct sts_diags *diags)
{
    return ledger_each_current(ledger, add_current, served, diags);
}

bool served_from_file(const struct served *served, struct sts_str file)
{
    bool any = false;

    for (size_t i = 0; !any && i < served->count; i++)
        any = sts_str_eq(served->tenants[i].file, file);
    return any;
}

static int served_to_domain(const void *key, const void *tenant)
{
    return sts_str_cmp(*(const struct sts_str *)key,
                       ((const struct served_tenant *)tenant)->domain);
}

const struct served_tenant *served_find(const struct served *served, struct sts_str domain)
{
    return served->count ? bsearch(&domain, served->tenants, served->count,
                                   sizeof(*served->tenants), served_to_domain)
                         : NULL;
}
