/* The situation of one tenant, and the steps from there. */
#include "server/snapshot/rollout.h"

#include <assert.h>
#include <string.h>

#include "server/snapshot/rollout_parts.h"

enum { DAY = 86400, OBSERVED = 14 * DAY, SETTLED_MAX_AGE = 28 * DAY };

/* --- what may be said in every situation --- */

static void say_clock(struct plan *p)
{
    char day[ROLLOUT_TIME_SIZE];

    for (size_t i = p->in->count; i-- > 0;) {
        if (p->in->policies[i].first_served <= p->in->now)
            continue;
        plan_step(p, STS_STEP_NOW, "clock", 0,
                  "set the clock: a policy was first served on %s, which is still to come; all "
                  "dates count from the later time",
                  rollout_day(day, p->in->policies[i].first_served));
        return;
    }
}

static void say_damaged(struct plan *p)
{
    for (size_t i = 0; i < p->in->count; i++) {
        const struct rollout_policy *policy = &p->in->policies[i];
        if (!policy->damaged || (!plan_is_held(p, policy) && policy != p->current))
            continue;
        plan_step(p, STS_STEP_NOW, "damaged", 0,
                  "restore the ledger from a backup: a damaged entry counts as a policy that is "
                  "enforced for hosts which nobody knows");
        return;
    }
}

static bool same_policy(const struct sts_policy *a, const struct sts_policy *b)
{
    if (a->mode != b->mode || a->max_age != b->max_age || a->mx_count != b->mx_count)
        return false;
    for (size_t i = 0; i < a->mx_count; i++)
        if (!sts_str_eq(a->mx[i], b->mx[i]))
            return false;
    return true;
}

/* The configuration says something else than what is served. */
static void say_configuration(struct plan *p)
{
    const struct tenant *t = p->in->tenant;

    if (t->state == TENANT_REFUSED || t->kept)
        plan_step(p, STS_STEP_NOW, "mend", 0,
                  "mend its configuration, which cannot be used; see mta-stsd check");
    else if (p->current && !p->current->damaged &&
             !same_policy(tenant_policy(t), &p->current->policy))
        plan_step(p, STS_STEP_NOW, "load", 0,
                  "the configuration says another policy than the one that is served%s; see "
                  "mta-stsd check --diff, and whether the server runs",
                  t->retiring ? " (retire: on)" : "");
}

static void say_served(struct plan *p)
{
    const struct sts_policy *policy = &p->current->policy;
    char span[ROLLOUT_SPAN_SIZE];

    plan_step(p, STS_STEP_DONE, "served", p->current->first_served,
              "a policy with mode %s and max_age %s is served", sts_mode_name(policy->mode),
              rollout_span(span, policy->max_age));
}

static void say_tls_reports(struct plan *p)
{
    if (p->in->reports)
        plan_step(p, STS_STEP_DONE, "tls-reports", 0, "senders are told where to send TLS reports");
    else
        plan_step(p, STS_STEP_NOW, "tls-reports", 0,
                  "set contact.tls_reports, or the tenant's tls_reports, and publish the "
                  "_smtp._tls record: without reports (RFC 8460) failures stay invisible");
}

static void say_published(struct plan *p)
{
    const struct rollout_input *in = p->in;

    if (in->announced && strcmp(in->announced, p->current->id) == 0)
        plan_step(p, STS_STEP_DONE, "published", in->announced_at, "the id %s is in DNS",
                  in->announced);
    else if (in->announced)
        plan_step(p, STS_STEP_NOW, "published", 0,
                  "publish the id %s, DNS still says %s: mta-stsd records %.*s", p->current->id,
                  in->announced, STS_ARG(in->domain));
    else if (in->announces)
        plan_step(p, STS_STEP_NOW, "published", 0,
                  "publish the id %s, on_change has not done so: mta-stsd records %.*s",
                  p->current->id, STS_ARG(in->domain));
    else
        plan_step(p, STS_STEP_NOW, "published", 0,
                  "see that DNS says id=%s: mta-stsd records %.*s (the ledger is not told what is "
                  "in DNS)",
                  p->current->id, STS_ARG(in->domain));
}

/* --- testing --- */

/* Since when these hosts are observed: a new one begins anew, another max_age does not. */
static time_t observed_since(const struct plan *p)
{
    const struct rollout_policy *first = p->current;

    for (size_t k = p->older; k-- > 0; first--) {
        const struct rollout_policy *old = &p->in->policies[k];
        bool fits = !old->damaged && old->policy.mode == STS_MODE_TESTING &&
                    first->first_served - old->last_served <= LEDGER_TOUCH_SECONDS;
        for (size_t i = 0; fits && i < p->current->policy.mx_count; i++)
            fits = plan_has_mx(&old->policy, p->current->policy.mx[i]);
        if (!fits)
            break;
    }
    return first->first_served;
}

static void say_old_enforce(struct plan *p)
{
    time_t until = 0;

    for (size_t k = 0; k < p->older; k++)
        if (p->in->policies[k].policy.mode == STS_MODE_ENFORCE &&
            until < p->in->policies[k].cached_until)
            until = p->in->policies[k].cached_until;
    if (until > p->in->now)
        plan_step(p, STS_STEP_WAIT, "still-enforced", until,
                  "senders may go on enforcing an older policy; those that ask for a new id before "
                  "they give mail back learn of this one");
}

static void say_max_age(struct plan *p, bool now)
{
    uint32_t max_age = p->current->policy.max_age;
    char span[ROLLOUT_SPAN_SIZE];

    if (max_age < SETTLED_MAX_AGE)
        plan_step(p, now ? STS_STEP_NOW : STS_STEP_WAIT, "max-age", 0,
                  "raise max_age to 4w or more when it has settled; it is %s",
                  rollout_span(span, max_age));
}

static void testing_steps(struct plan *p)
{
    const struct rollout_input *in = p->in;
    time_t since = observed_since(p), until = since + OBSERVED;
    bool seen = in->announced || !in->announces;
    bool reports = in->reports;
    char day[ROLLOUT_TIME_SIZE];

    if (!seen)
        plan_step(p, STS_STEP_WAIT, "observed", 0,
                  "two weeks in testing; they begin when the id is published");
    else
        plan_step(p, until > in->now ? STS_STEP_WAIT : STS_STEP_DONE, "observed", until,
                  "two weeks in testing with these mx, since %s", rollout_day(day, since));
    say_old_enforce(p);
    plan_step(p, reports ? STS_STEP_NOW : STS_STEP_WAIT, "reports", 0,
              "read the TLS reports: what fails there would be mail that waits");
    time_t at = seen && reports ? until : 0;
    plan_step(p, at && at <= in->now ? STS_STEP_NOW : STS_STEP_WAIT, "enforce", at,
              "write mode: enforce, if the TLS reports are clean");
    plan_safe(p, "enforce", at, "enforce, if the TLS reports are clean");
    say_max_age(p, false);
}

/* --- enforce --- */

static void say_everywhere(struct plan *p)
{
    time_t until = 0;

    for (size_t k = 0; k < p->older; k++)
        if (p->in->policies[k].policy.mode == STS_MODE_TESTING &&
            until < p->in->policies[k].cached_until)
            until = p->in->policies[k].cached_until;
    if (until > p->in->now)
        plan_step(p, STS_STEP_WAIT, "enforced", until,
                  "senders may hold an older policy in testing; from then on all of them enforce");
    else if (until)
        plan_step(p, STS_STEP_DONE, "enforced", until, "every sender that holds a policy enforces");
}

/* A shorter max_age counts when the longer one has run out, not before. */
static void say_shortened(struct plan *p)
{
    uint32_t max_age = p->current->policy.max_age, longest = 0;
    time_t until = 0;
    char now[ROLLOUT_SPAN_SIZE], before[ROLLOUT_SPAN_SIZE];

    for (size_t k = 0; k < p->older; k++) {
        const struct rollout_policy *old = &p->in->policies[k];
        if (old->policy.mode == STS_MODE_NONE || old->policy.max_age <= max_age ||
            !plan_is_held(p, old))
            continue;
        longest = longest < old->policy.max_age ? old->policy.max_age : longest;
        until = until < old->cached_until ? old->cached_until : until;
    }
    if (until)
        plan_step(p, STS_STEP_WAIT, "max-age-shortened", until,
                  "senders may hold a policy with max_age %s; the %s of now count from then on",
                  rollout_span(before, longest), rollout_span(now, max_age));
}

/* --- the end --- */

static void removed_steps(struct plan *p, struct rollout *out)
{
    const struct rollout_input *in = p->in;
    time_t until = plan_held_until(p), ended = in->policies[in->count - 1].last_served;
    char day[ROLLOUT_TIME_SIZE];
    bool early = until > in->now;

    out->situation = early ? ROLLOUT_REMOVED_TOO_EARLY : ROLLOUT_RETIRED;
    plan_step(p, STS_STEP_DONE, "removed", ended, "it is not in the configuration any more");
    if (early)
        plan_step(p, STS_STEP_NOW, "put-back", 0,
                  "put it back with retire: on until %s: senders may hold its policy until then "
                  "(RFC 8461 section 8.3)",
                  rollout_day_after(day, until));
    else
        plan_step(p, STS_STEP_DONE, "expired", until, "no sender holds its policy any more");
    if (early)
        plan_step(p, STS_STEP_WAIT, "remove", until, "remove the records, then the tenant");
    else if (in->announced)
        plan_step(p, STS_STEP_NOW, "remove", until, "remove its records; the id %s is still in DNS",
                  in->announced);
    else
        plan_step(p, STS_STEP_NOW, "remove", until, "remove its records, if any are left");
    plan_safe(p, "remove", until ? until : in->now, "remove its records");
}

static void none_steps(struct plan *p, struct rollout *out)
{
    time_t until = plan_held_until(p), now = p->in->now;

    say_served(p);
    say_published(p);
    if (!until) {
        out->situation = ROLLOUT_NONE;
        plan_step(p, STS_STEP_NOW, "begin", 0,
                  "write mode: testing to begin, or remove the tenant: no other policy was ever "
                  "served");
        plan_safe(p, "remove", p->current->first_served, "remove the tenant");
        return;
    }
    out->situation = until > now ? ROLLOUT_RETIRING : ROLLOUT_RETIRED;
    if (until > now)
        plan_step(p, STS_STEP_WAIT, "expired", until,
                  "senders may hold an older policy; go on serving mode none (RFC 8461 section "
                  "8.3)");
    else
        plan_step(p, STS_STEP_DONE, "expired", until, "no sender holds an older policy any more");
    plan_step(p, until > now ? STS_STEP_WAIT : STS_STEP_NOW, "remove", until,
              "remove the records, then the tenant");
    plan_safe(p, "remove", until, "remove the records, then the tenant");
}

/* --- the situations --- */

static void not_served_steps(struct plan *p, struct rollout *out)
{
    const struct rollout_input *in = p->in;

    out->situation = ROLLOUT_NOT_SERVED_YET;
    if (in->count)
        plan_step(p, STS_STEP_DONE, "ended", in->policies[in->count - 1].last_served,
                  "it was served until then");
    plan_step(p, in->tenant->state == TENANT_REFUSED ? STS_STEP_WAIT : STS_STEP_NOW, "serve", 0,
              "start the server, or let it load the change; mta-stsd check says what is missing");
    say_tls_reports(p);
    plan_step(p, STS_STEP_WAIT, "published", 0,
              "publish the records when the policy is served: mta-stsd records %.*s",
              STS_ARG(in->domain));
}

/* RFC 8461 §8.3, as if mode none were served from now on. */
static void safe_removal(struct plan *p)
{
    time_t until = plan_held_until(p);
    time_t own = ledger_cached_until(p->in->now, p->current->policy.max_age);

    plan_safe(p, "remove", own > until ? own : until,
              "remove the tenant, if retire: on is written today");
}

static void served_steps(struct plan *p, struct rollout *out)
{
    bool testing = p->current->policy.mode == STS_MODE_TESTING;

    say_served(p);
    say_tls_reports(p);
    say_published(p);
    bool migrates = plan_mx(p);
    out->situation = migrates ? ROLLOUT_MX_MIGRATION : testing ? ROLLOUT_TESTING : ROLLOUT_ENFORCE;
    if (testing) {
        testing_steps(p);
    } else {
        say_everywhere(p);
        say_max_age(p, !migrates);
    }
    say_shortened(p);
    safe_removal(p);
}

static const struct rollout_policy *find_current(const struct rollout_input *in)
{
    const struct rollout_policy *last = in->count ? &in->policies[in->count - 1] : NULL;
    return last && !last->last_served ? last : NULL;
}

void rollout_plan(struct sts_arena *arena, const struct rollout_input *in, struct rollout *out)
{
    struct plan p = {.arena = arena, .in = in};

    assert(in->tenant || in->count);
    *out = (struct rollout){.known = true};
    p.steps = STS_ARRAY(arena, ROLLOUT_STEPS_MAX, struct sts_step);
    p.safe = STS_ARRAY(arena, ROLLOUT_SAFE_MAX, struct sts_step);
    p.current = find_current(in);
    p.older = in->count ? in->count - 1 : 0;
    say_clock(&p);
    say_damaged(&p);
    if (in->tenant)
        say_configuration(&p);
    if (!in->tenant)
        removed_steps(&p, out);
    else if (!p.current)
        not_served_steps(&p, out);
    else if (p.current->damaged)
        out->situation = ROLLOUT_ENFORCE;
    else if (p.current->policy.mode == STS_MODE_NONE)
        none_steps(&p, out);
    else
        served_steps(&p, out);
    out->current = p.current;
    out->steps = p.steps;
    out->step_count = p.step_count;
    out->safe = p.safe;
    out->safe_count = p.safe_count;
}
