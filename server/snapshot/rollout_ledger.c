/* What a plan is made from, out of the ledger. */
#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/snapshot/parts.h"
#include "server/snapshot/rollout.h"

struct reading {
    struct sts_arena *arena;
    struct rollout_policy *policies;
    size_t count, capacity;
    time_t now;
};

static time_t rollout_ledger_clamp(time_t at)
{
    return at < 0 ? 0 : at > ledger_last_time ? ledger_last_time : at;
}

static void rollout_ledger_add(void *data, const struct ledger_instance *i, bool readable)
{
    struct reading *r = data;
    struct rollout_policy policy = {
        .first_served = rollout_ledger_clamp(i->first_served),
        .last_served = i->last_served < 0 ? 1 : rollout_ledger_clamp(i->last_served),
        .cached_until = i->cached_until};

    memcpy(policy.id, i->id, sizeof(policy.id));
    /* Only the body is proved by the digest; what stands beside it must be the same. */
    policy.damaged = !readable || !body_policy(r->arena, i->body, &policy.policy) ||
                     policy.policy.mode != i->mode || policy.policy.max_age != i->max_age;
    if (policy.damaged) {
        policy.policy = (struct sts_policy){.mode = STS_MODE_ENFORCE, .max_age = i->max_age};
        if (!policy.cached_until) /* it says mode none, but who knows */
            policy.cached_until = ledger_cached_until(
                policy.last_served ? policy.last_served : r->now, STS_MAX_AGE_LIMIT);
    }
    r->policies = sts_heap_grow(r->policies, r->count, &r->capacity, sizeof(*r->policies));
    r->policies[r->count++] = policy;
}

static struct rollout_policy *rollout_ledger_copy(struct reading *r)
{
    struct rollout_policy *policies = STS_ARRAY(r->arena, r->count, struct rollout_policy);

    if (r->count)
        memcpy(policies, r->policies, r->count * sizeof(*policies));
    free(r->policies);
    return policies;
}

bool rollout_make(struct sts_arena *arena, struct ledger *ledger, const struct snapshot *s,
                  struct sts_str domain, time_t now, struct sts_diags *diags, struct rollout *out)
{
    struct reading r = {.arena = arena, .now = now};
    struct ledger_announced announced;
    struct rollout_input in = {.domain = domain,
                               .tenant = snapshot_find_domain(s, domain),
                               .announces = s->settings.on_change_count > 0,
                               .now = now};
    size_t errors = diags->errors, reports = 0;

    if (in.tenant)
        tenant_reports(s, in.tenant, &reports);
    in.reports = reports > 0;
    if (ledger) {
        ledger_each_entry(ledger, domain, rollout_ledger_add, &r, diags);
        if (ledger_announced(ledger, domain, &announced, diags)) {
            in.announced = sts_arena_dup(arena, sts_str_from(announced.id)).ptr;
            in.announced_at = rollout_ledger_clamp(announced.at);
        }
    }
    in.policies = rollout_ledger_copy(&r);
    in.count = r.count;
    *out = (struct rollout){0};
    if (in.tenant || in.count)
        rollout_plan(arena, &in, out);
    return diags->errors == errors;
}

void rollout_steps(struct sts_arena *arena, struct ledger *ledger, const struct snapshot *s,
                   time_t now, struct sts_diags *diags, struct sts_record_set *out)
{
    struct rollout rollout;

    rollout_make(arena, ledger, s, out->domain, now, diags, &rollout);
    out->steps = rollout.steps;
    out->step_count = rollout.step_count;
}
