/* Two states side by side: what a build changes, and what senders may still hold of before. RFC
 * 8461 section 8.3: a policy that was served counts until the max_age of its last fetch has passed.
 */
#include <stdio.h>

#include "mtasts/domain.h"
#include "server/snapshot/parts.h"

/* A tenant as it was before. */
struct before {
    struct sts_str domain, body;
    const struct sts_policy *policy; /* NULL: still to be read from the body */
};

static bool same_tenant(const struct tenant *a, const struct tenant *b)
{
    return sts_str_eq(a->domain, b->domain) && sts_str_eq(a->body, b->body) &&
           a->state == b->state && a->kept == b->kept && a->retiring == b->retiring &&
           a->identity.ec == b->identity.ec && a->identity.rsa == b->identity.rsa;
}

bool snapshot_same(const struct snapshot *a, const struct snapshot *b)
{
    bool same = a->source_count == b->source_count && a->tenant_count == b->tenant_count;

    /* An unchanged file is the same source, shared. */
    for (size_t i = 0; same && i < a->source_count; i++)
        same = a->sources[i].source == b->sources[i].source &&
               a->sources[i].kept == b->sources[i].kept;
    for (size_t i = 0; same && i < a->tenant_count; i++)
        same = same_tenant(&a->tenants[i], &b->tenants[i]);
    return same;
}

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

/* Days are enough for a date that is a promise: the first one that is wholly after it. */
static const char *day_after(char text[16], time_t until)
{
    struct tm tm;

    until += 86399;
    gmtime_r(&until, &tm);
    strftime(text, 16, "%Y-%m-%d", &tm);
    return text;
}

static struct sts_diag *warn(struct build *b, struct sts_pos where, struct sts_str domain,
                             const char *code, const char *what, const char *help, time_t until)
{
    char day[16];
    struct sts_diag *diag = sts_diag_add(b->diags, STS_WARNING, code, where, "%s until %s", what,
                                         day_after(day, until));

    diag->tenant = sts_arena_dup(b->diags->arena, domain);
    sts_diag_help(b->diags, diag, "%s", help);
    return diag;
}

static void removed(struct build *b, const struct before *old)
{
    time_t until = held_until(b, old->domain, old->policy);
    char what[STS_DOMAIN_MAX + 80];

    b->snapshot->changes.removed++;
    if (until <= b->input->now)
        return;
    snprintf(what, sizeof(what), "%.*s was removed, but senders may hold its policy",
             STS_ARG(old->domain));
    warn(b, (struct sts_pos){b->snapshot->main_file, 0, 0}, old->domain, "tenant-removed", what,
         "put it back with retire: on until then (RFC 8461 section 8.3)", until);
}

static bool has_mx(const struct sts_policy *policy, struct sts_str mx)
{
    for (size_t i = 0; i < policy->mx_count; i++)
        if (sts_str_eq(policy->mx[i], mx))
            return true;
    return false;
}

static void changed(struct build *b, const struct before *old, const struct tenant *t)
{
    const struct sts_policy *was = old->policy, *is = &t->policy;
    char what[STS_DOMAIN_MAX + 160];

    b->snapshot->changes.changed++;
    if (was->mode == STS_MODE_NONE || t->retiring)
        return;
    time_t until = held_until(b, old->domain, was);
    for (size_t i = 0; i < was->mx_count; i++) {
        if (has_mx(is, was->mx[i]))
            continue;
        snprintf(what, sizeof(what), "senders may hold the policy with mx %.*s",
                 STS_ARG(was->mx[i]));
        warn(b, t->where, t->domain, "mx-removed", what,
             "this host must accept mail until then, or keep its mx in the policy", until);
    }
    if (is->max_age >= was->max_age)
        return;
    snprintf(what, sizeof(what), "senders may hold the policy with max_age %u", was->max_age);
    warn(b, t->where, t->domain, "max-age-shortened", what,
         "until then the longer one counts, also for a removal", until);
}

static bool is_live(const struct tenant *t)
{
    return t->state != TENANT_REFUSED;
}

/* The next tenant of before, from place *i on; false at the end. */
static bool next_before(struct build *b, size_t *i, struct before *out)
{
    const struct snapshot *previous = b->input->previous;

    if (!previous) {
        if (!b->served || *i == b->served->count)
            return false;
        const struct served_tenant *t = &b->served->tenants[(*i)++];
        *out = (struct before){.domain = t->domain, .body = t->body};
        return true;
    }
    while (*i < previous->tenant_count && !is_live(&previous->tenants[*i]))
        ++*i;
    if (*i == previous->tenant_count)
        return false;
    const struct tenant *t = &previous->tenants[(*i)++];
    *out = (struct before){.domain = t->domain, .body = t->body, .policy = &t->policy};
    return true;
}

static void compare_one(struct build *b, struct before *old, const struct tenant *t)
{
    struct sts_policy policy;

    if (t && sts_str_eq(old->body, t->body))
        return;
    if (!old->policy && !body_policy(b->snapshot->arena, old->body, &policy))
        return;
    if (!old->policy)
        old->policy = &policy;
    if (t)
        changed(b, old, t);
    else
        removed(b, old);
}

/* Both sides are sorted by domain. */
void compare_build(struct build *b)
{
    struct snapshot *s = b->snapshot;
    struct before old;
    size_t i = 0, k = 0;

    while (next_before(b, &i, &old)) {
        for (; k < s->tenant_count && sts_str_cmp(s->tenants[k].domain, old.domain) < 0; k++)
            s->changes.added += is_live(&s->tenants[k]);
        bool there = k < s->tenant_count && sts_str_eq(s->tenants[k].domain, old.domain);
        compare_one(b, &old, there && is_live(&s->tenants[k]) ? &s->tenants[k] : NULL);
        k += there;
    }
    for (; k < s->tenant_count; k++)
        s->changes.added += is_live(&s->tenants[k]);
}
