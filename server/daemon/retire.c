#include "server/daemon/retire.h"

#include <stdlib.h>

#include "server/sys/clock.h"
#include "server/sys/log.h"

static int retire_to_domain(const void *key, const void *item)
{
    return sts_str_cmp(*(const struct sts_str *)key, ((const struct retiring *)item)->domain);
}

static const struct retiring *retire_find(const struct retire *r, struct sts_str domain)
{
    return r->count ? bsearch(&domain, r->list, r->count, sizeof(*r->list), retire_to_domain)
                    : NULL;
}

static void retire_say(const struct retiring *item, const char *event, const char *message)
{
    struct log_line line;
    char date[CLOCK_TEXT];

    log_begin(&line, LOG_LEVEL_INFO, event);
    log_str(&line, "tenant", item->domain);
    if (item->safe_after)
        log_cstr(&line, "safe_after", clock_text(item->safe_after, date));
    log_cstr(&line, "message", message);
    log_end(&line);
}

static void retire_add(struct retire *next, const struct retire *old, const struct tenant *t,
                       struct ledger *ledger)
{
    struct sts_arena *scratch = sts_arena_new();
    struct sts_diags ignored;
    struct ledger_history history;

    sts_diags_init(&ignored, scratch);
    /* Until the ledger has the new policy, it would tell the date of the old one. */
    if (ledger_history(ledger, scratch, t->domain, &history, &ignored) &&
        history.latest.mode == STS_MODE_NONE) {
        struct retiring *item = &next->list[next->count++];
        const struct retiring *known = retire_find(old, t->domain);
        *item = (struct retiring){.domain = sts_arena_dup(next->arena, t->domain),
                                  .safe_after = history.cached_until,
                                  .over = known && known->over};
        if (!known || known->safe_after != item->safe_after) {
            item->over = false;
            retire_say(item, "retiring", "serves mode none; remove it after this date");
        }
    }
    sts_arena_free(scratch);
}

void retire_update(struct retire *r, const struct snapshot *s, struct ledger *ledger, time_t now)
{
    struct retire next = {.arena = sts_arena_new()};

    next.list = STS_ARRAY(next.arena, s->retiring, struct retiring);
    for (size_t i = 0; ledger && s->retiring && i < s->tenant_count; i++)
        if (s->tenants[i].retiring && s->tenants[i].state == TENANT_SERVED)
            retire_add(&next, r, &s->tenants[i], ledger);
    retire_fini(r);
    *r = next;
    retire_tick(r, now);
}

void retire_tick(struct retire *r, time_t now)
{
    for (size_t i = 0; i < r->count; i++) {
        if (r->list[i].over || r->list[i].safe_after > now)
            continue;
        r->list[i].over = true;
        retire_say(&r->list[i], "retired",
                   "no sender holds its policy any more; remove the tenant and its records");
    }
}

void retire_fini(struct retire *r)
{
    sts_arena_free(r->arena);
    *r = (struct retire){0};
}
