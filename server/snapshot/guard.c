/* What senders may still hold of before: a policy that was served counts until the max_age of its
 * last fetch has passed (RFC 8461 section 8.3). Who takes it away earlier is told the date. */
#include <stdio.h>
#include <stdlib.h>

#include "mtasts/domain.h"
#include "server/snapshot/parts.h"
#include "server/snapshot/rollout.h"

/* Until when a sender may hold a policy that was served until now, or an older one. */
static time_t held_until(struct build *b, struct sts_str domain, const struct sts_policy *policy)
{
    time_t until = policy->mode == STS_MODE_NONE ? 0 : b->input->now + (time_t)policy->max_age;
    struct sts_arena *scratch = sts_arena_new();
    struct ledger_history history;
    struct sts_diags ignored;

    sts_diags_init(&ignored, scratch);
    if (b->ledger && ledger_history(b->ledger, scratch, domain, &history, &ignored) &&
        history.cached_until > until)
        until = history.cached_until;
    sts_arena_free(scratch);
    return until;
}

static void warn(struct build *b, struct sts_pos where, struct sts_str domain, const char *code,
                 const char *what, const char *help, time_t until)
{
    char day[ROLLOUT_TIME_SIZE];
    struct sts_diag *diag = sts_diag_add(b->diags, STS_WARNING, code, where, "%s until %s", what,
                                         rollout_day_after(day, until));

    diag->tenant = sts_arena_dup(b->diags->arena, domain);
    sts_diag_help(b->diags, diag, "%s", help);
}

static void guard_removed(struct build *b, struct sts_str domain, const struct sts_policy *was)
{
    time_t until = held_until(b, domain, was);
    char what[STS_DOMAIN_MAX + 80];

    if (until <= b->input->now)
        return;
    snprintf(what, sizeof(what), "%.*s was removed, but senders may hold its policy",
             STS_ARG(domain));
    warn(b, (struct sts_pos){b->snapshot->main_file, 0, 0}, domain, "tenant-removed", what,
         "put it back with retire: on until then (RFC 8461 section 8.3)", until);
}

static bool has_mx(const struct sts_policy *policy, struct sts_str mx)
{
    for (size_t i = 0; i < policy->mx_count; i++)
        if (sts_str_eq(policy->mx[i], mx))
            return true;
    return false;
}

static void guard_changed(struct build *b, const struct tenant *t, const struct sts_policy *was)
{
    const struct sts_policy *is = tenant_policy(t);
    char what[STS_DOMAIN_MAX + 160];

    if (was->mode == STS_MODE_NONE || t->retiring)
        return;
    time_t until = held_until(b, t->domain, was);
    for (size_t i = 0; i < was->mx_count; i++) {
        if (has_mx(is, was->mx[i]))
            continue;
        snprintf(what, sizeof(what), "senders may hold the policy with mx %.*s",
                 STS_ARG(was->mx[i]));
        warn(b, tenant_where(b->snapshot, t), t->domain, "mx-removed", what,
             "this host must accept mail until then, or keep its mx in the policy", until);
    }
    if (is->max_age >= was->max_age)
        return;
    snprintf(what, sizeof(what), "senders may hold the policy with max_age %u", was->max_age);
    warn(b, tenant_where(b->snapshot, t), t->domain, "max-age-shortened", what,
         "until then the longer one counts, also for a removal", until);
}

static void on_change(void *data, const struct snapshot_change *change)
{
    struct build *b = data;
    struct snapshot_changes *changes = &b->snapshot->changes;
    struct sts_arena *scratch = sts_arena_new();
    struct sts_policy was;

    changes->added += change->kind == CHANGE_ADDED;
    changes->changed += change->kind == CHANGE_CHANGED;
    changes->removed += change->kind == CHANGE_REMOVED;
    if (change->kind != CHANGE_ADDED && body_policy(scratch, change->body, &was)) {
        if (change->tenant)
            guard_changed(b, change->tenant, &was);
        else
            guard_removed(b, change->domain, &was);
    }
    sts_arena_free(scratch);
}

void guard_build(struct build *b)
{
    const struct snapshot *previous = b->input->previous;

    snapshot_each_change(b->snapshot, previous, b->served, on_change, b);
    if (previous)
        free(snapshot_presented(b->snapshot, previous, &b->snapshot->changes.renewed));
}
