/* What senders may still hold of before: a policy that was served counts until the max_age of its
 * last fetch has passed (RFC 8461 section 8.3). Who takes it away earlier is told the date. */
#include <stdio.h>
#include <stdlib.h>

#include "mtasts/domain.h"
#include "server/snapshot/parts.h"
#include "server/snapshot/report.h"
#include "server/snapshot/rollout.h"

enum { GUARDED_MAX = 1000 };

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

static void guard_warn(struct build *b, struct sts_pos where, struct sts_str domain,
                       const char *code, const char *what, const char *help, time_t until)
{
    char day[ROLLOUT_TIME_SIZE];
    struct sts_diag *diag = sts_diag_add(b->diags, STS_WARNING, code, where, "%s until %s", what,
                                         rollout_day_after(day, until));

    diag->tenant = sts_arena_dup(b->diags->arena, domain);
    sts_diag_help(b->diags, diag, "%s", help);
}

/* A policy of all changes all: beyond the first ones, a warning each would bury what they say. */
static bool is_one_too_many(struct build *b, size_t *guarded)
{
    bool too_many = *guarded == GUARDED_MAX;

    *guarded += !too_many;
    b->unsaid += too_many;
    return too_many;
}

static void guard_removed(struct build *b, struct sts_str domain, const struct sts_policy *was)
{
    time_t until = 0;

    /* Of mode none itself nobody holds anything up, but perhaps of one before. */
    if (was->mode == STS_MODE_NONE) {
        until = held_until(b, domain, was);
        if (until <= b->input->now)
            return;
    }
    if (is_one_too_many(b, &b->guarded_removed))
        return;
    if (!until)
        until = held_until(b, domain, was);
    report_removed(b->diags, (struct sts_pos){b->snapshot->main_file, 0, 0}, domain, until);
}

static bool guard_has_mx(const struct sts_policy *policy, struct sts_str mx)
{
    for (size_t i = 0; i < policy->mx_count; i++)
        if (sts_str_eq(policy->mx[i], mx))
            return true;
    return false;
}

static bool takes_mx_away(const struct sts_policy *is, const struct sts_policy *was)
{
    bool away = false;

    for (size_t i = 0; !away && i < was->mx_count; i++)
        away = !guard_has_mx(is, was->mx[i]);
    return away;
}

static void guard_changed(struct build *b, const struct tenant *t, const struct sts_policy *was)
{
    const struct sts_policy *is = tenant_policy(t);
    char what[STS_DOMAIN_MAX + 160];

    if (was->mode == STS_MODE_NONE || t->retiring ||
        (is->max_age >= was->max_age && !takes_mx_away(is, was)) ||
        is_one_too_many(b, &b->guarded_changed))
        return;
    struct sts_pos where = tenant_where(b->snapshot, t);
    time_t until = held_until(b, t->domain, was);
    for (size_t i = 0; i < was->mx_count; i++) {
        if (guard_has_mx(is, was->mx[i]))
            continue;
        snprintf(what, sizeof(what), "senders may hold the policy with mx %.*s",
                 STS_ARG(was->mx[i]));
        guard_warn(b, where, t->domain, "mx-removed", what,
                   "this host must accept mail until then, or keep its mx in the policy", until);
    }
    if (is->max_age >= was->max_age)
        return;
    snprintf(what, sizeof(what), "senders may hold the policy with max_age %u", was->max_age);
    guard_warn(b, where, t->domain, "max-age-shortened", what,
               "until then the longer one counts, also for a removal", until);
}

static void guard_judge(struct build *b, const struct snapshot_change *change,
                        const struct sts_policy *was)
{
    /* What was never served, for want of a certificate, nobody holds. */
    if (change->tenant)
        guard_changed(b, change->tenant, was);
    else if (!change->before || tenant_is_current(change->before))
        guard_removed(b, change->domain, was);
}

static void on_change(void *data, const struct snapshot_change *change)
{
    struct build *b = data;
    struct snapshot_changes *changes = &b->snapshot->changes;
    struct sts_policy was;

    changes->added += change->kind == CHANGE_ADDED;
    changes->changed += change->kind == CHANGE_CHANGED;
    changes->removed += change->kind == CHANGE_REMOVED;
    if (change->before) {
        guard_judge(b, change, tenant_policy(change->before));
    } else if (change->kind != CHANGE_ADDED) {
        struct sts_arena *scratch = sts_arena_new();
        if (body_policy(scratch, change->body, &was))
            guard_judge(b, change, &was);
        sts_arena_free(scratch);
    }
}

static void say_unsaid(struct build *b)
{
    if (!b->unsaid)
        return;
    struct sts_diag *diag = sts_diag_add(
        b->diags, STS_WARNING, "policies-held", (struct sts_pos){b->snapshot->main_file, 0, 0},
        "senders may hold the policies of before of %zu more tenants", b->unsaid);
    sts_diag_help(b->diags, diag, "mta-stsd plan DOMAIN tells until when, and what follows");
}

void guard_build(struct build *b)
{
    const struct snapshot *previous = b->input->previous;

    snapshot_each_change(b->snapshot, previous, b->served, on_change, b);
    say_unsaid(b);
    if (previous)
        free(snapshot_presented(b->snapshot, previous, &b->snapshot->changes.renewed));
}
