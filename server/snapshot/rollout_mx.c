/* Other MX hosts. A sender that holds an older policy delivers to the hosts of that one only: a new
 * host may be relied on when every enforced policy without it has run out, also for senders that
 * look at the id late or never. An old one may leave the policy when no MX record names it. */
#include "mtasts/domain.h"
#include "server/snapshot/rollout_parts.h"

/* For so long after the last sender knows, a change of hosts remains a topic: DNS is not seen here,
 * so whether its records have followed is not known. */
enum { RECENT = 90 * 86400, NAMED_MAX = 4 };

struct names {
    const struct sts_str *list;
    size_t count;
};

struct hosts {
    struct names fresh;    /* of the current policy, that an older one lacks */
    struct names old;      /* the others of the current policy */
    struct names dropped;  /* of older ones, that the current one lacks */
    struct names accepted; /* of the current policy, that every sender accepts now */
    time_t since;          /* when the policy began to list what is fresh */
    time_t known;          /* when the last enforced policy without them runs out; 0: there is
                              none */
    time_t early;          /* the same of those that have a host which was dropped */
    const struct sts_policy *early_policy;
    bool waits; /* `known` is to come */
};

static bool lacks_any(const struct rollout_policy *old, const struct sts_policy *current)
{
    for (size_t i = 0; i < current->mx_count; i++)
        if (old->damaged || !plan_has_mx(&old->policy, current->mx[i]))
            return true;
    return false;
}

/* What is no policy cannot be compared; one of long ago is of no interest. */
static bool is_recent(const struct plan *p, const struct rollout_policy *old)
{
    return !old->damaged && old->policy.mode != STS_MODE_NONE &&
           old->cached_until + RECENT > p->in->now;
}

static bool rollout_mx_refuses(const struct plan *p, const struct rollout_policy *old)
{
    return old->policy.mode == STS_MODE_ENFORCE && plan_is_held(p, old);
}

/* The mx of the current policy that some of the older ones lack (or, `lacked` false, all have). */
static struct names current_mx(struct plan *p, bool lacked,
                               bool (*counts)(const struct plan *, const struct rollout_policy *))
{
    const struct sts_policy *current = &p->current->policy;
    struct sts_str *list = STS_ARRAY(p->arena, current->mx_count, struct sts_str);
    struct names found = {list, 0};

    for (size_t i = 0; i < current->mx_count; i++) {
        bool lacks = false;
        for (size_t k = 0; k < p->older && !lacks; k++) {
            const struct rollout_policy *old = &p->in->policies[k];
            lacks = counts(p, old) && (old->damaged || !plan_has_mx(&old->policy, current->mx[i]));
        }
        if (lacks == lacked)
            list[found.count++] = current->mx[i];
    }
    return found;
}

static bool is_among(struct names names, struct sts_str name)
{
    for (size_t i = 0; i < names.count; i++)
        if (sts_str_eq(names.list[i], name))
            return true;
    return false;
}

static struct names dropped_mx(struct plan *p)
{
    size_t room = 0;

    for (size_t k = 0; k < p->older; k++)
        room += is_recent(p, &p->in->policies[k]) ? p->in->policies[k].policy.mx_count : 0;
    struct sts_str *list = STS_ARRAY(p->arena, room, struct sts_str);
    struct names found = {list, 0};
    for (size_t k = 0; k < p->older; k++) {
        const struct sts_policy *old = &p->in->policies[k].policy;
        for (size_t i = 0; is_recent(p, &p->in->policies[k]) && i < old->mx_count; i++)
            if (!plan_has_mx(&p->current->policy, old->mx[i]) && !is_among(found, old->mx[i]))
                list[found.count++] = old->mx[i];
    }
    return found;
}

static bool has_dropped(const struct sts_policy *old, const struct sts_policy *current)
{
    for (size_t i = 0; i < old->mx_count; i++)
        if (!plan_has_mx(current, old->mx[i]))
            return true;
    return false;
}

static void find_dates(const struct plan *p, struct hosts *h)
{
    const struct sts_policy *current = &p->current->policy;

    for (size_t k = 0; k < p->older; k++) {
        const struct rollout_policy *old = &p->in->policies[k];
        bool held = rollout_mx_refuses(p, old);
        if (old->policy.mode != STS_MODE_ENFORCE || (!held && !is_recent(p, old)) ||
            !lacks_any(old, current))
            continue;
        if (h->known < old->cached_until)
            h->known = old->cached_until;
        if (held && has_dropped(&old->policy, current) && h->early < old->cached_until) {
            h->early = old->cached_until;
            h->early_policy = &old->policy;
        }
    }
    h->waits = h->known > p->in->now;
}

static bool rollout_mx_has_all(const struct sts_policy *policy, struct names names)
{
    for (size_t i = 0; i < names.count; i++)
        if (!plan_has_mx(policy, names.list[i]))
            return false;
    return true;
}

/* The first of the unbroken row of policies, up to the current one, that have all of `with` and
 * none of `without`. */
static time_t since_when(const struct plan *p, struct names with, struct names without)
{
    const struct rollout_policy *first = p->current;

    for (size_t k = p->older; k-- > 0; first--) {
        const struct rollout_policy *old = &p->in->policies[k];
        bool fits = !old->damaged && rollout_mx_has_all(&old->policy, with);
        for (size_t i = 0; fits && i < without.count; i++)
            fits = !plan_has_mx(&old->policy, without.list[i]);
        if (!fits)
            break;
    }
    return first->first_served;
}

/* "a, b, c", cut when there are many. */
static struct sts_str rollout_mx_join(struct plan *p, struct names names)
{
    struct sts_buf out = {0};

    for (size_t i = 0; i < names.count && i < NAMED_MAX; i++)
        sts_buf_printf(&out, "%s%.*s", i ? ", " : "", STS_ARG(names.list[i]));
    if (names.count > NAMED_MAX)
        sts_buf_printf(&out, " and %zu more", names.count - NAMED_MAX);
    struct sts_str text = sts_arena_dup(p->arena, sts_buf_str(&out));
    sts_buf_fini(&out);
    return text;
}

static struct names all_mx(const struct sts_policy *policy)
{
    return (struct names){policy->mx, policy->mx_count};
}

static void say_early(struct plan *p, const struct hosts *h)
{
    char day[ROLLOUT_TIME_SIZE];
    struct sts_str held = rollout_mx_join(p, all_mx(h->early_policy));

    plan_step(p, STS_STEP_NOW, "mx-early", 0,
              "%.*s left the policy too early: until %s senders may hold one with %.*s alone, and "
              "refuse other hosts; put it back beside the new ones, leave it in the MX records, "
              "and publish the new id, which senders ask for before they give mail back",
              STS_ARG(rollout_mx_join(p, h->dropped)), rollout_day_after(day, h->early),
              STS_ARG(held));
}

static void say_fresh(struct plan *p, const struct hosts *h)
{
    struct sts_str fresh = rollout_mx_join(p, h->fresh), old = rollout_mx_join(p, h->old);

    plan_step(p, STS_STEP_DONE, "mx-added", h->since, "the policy lists %.*s%s%.*s", STS_ARG(fresh),
              old.len ? " beside " : "", STS_ARG(old));
    if (h->early)
        say_early(p, h);
    if (!h->known)
        plan_step(
            p, STS_STEP_DONE, "mx-known", h->since,
            "no wait for %.*s: the policies without it were in testing, which refuses no mail",
            STS_ARG(fresh));
    else if (!h->waits)
        plan_step(p, STS_STEP_DONE, "mx-known", h->known,
                  "no sender holds an enforced policy without %.*s any more", STS_ARG(fresh));
    else if (h->accepted.count)
        plan_step(p, STS_STEP_WAIT, "mx-known", h->known,
                  "senders may hold an enforced policy without %.*s; until then MX records must go "
                  "on naming %.*s",
                  STS_ARG(fresh), STS_ARG(rollout_mx_join(p, h->accepted)));
    else
        plan_step(p, STS_STEP_WAIT, "mx-known", h->known,
                  "senders may hold enforced policies without %.*s; until then no host is accepted "
                  "by all of them, so MX records must name the hosts of every policy",
                  STS_ARG(fresh));
}

static void say_switch(struct plan *p, const struct hosts *h)
{
    time_t at = h->known ? h->known : h->since;
    struct sts_str fresh = rollout_mx_join(p, h->fresh), old = rollout_mx_join(p, h->old);

    plan_step(p, h->waits ? STS_STEP_WAIT : STS_STEP_NOW, "mx-switch", at,
              "point the MX records to %.*s%s", STS_ARG(fresh),
              h->dropped.count && !h->early ? ", and no longer to what left the policy" : "");
    plan_safe(p, "mx-switch", at, "let the MX records name %.*s alone", STS_ARG(fresh));
    if (h->dropped.count || !old.len)
        return;
    plan_step(p, h->waits ? STS_STEP_WAIT : STS_STEP_NOW, "mx-drop", at,
              "if %.*s is to go: take it out of the policy when no MX record has named it for the "
              "TTL of that record",
              STS_ARG(old));
    plan_safe(p, "mx-drop", at, "drop %.*s from the policy, once no MX record names it",
              STS_ARG(old));
}

static void say_dropped(struct plan *p, const struct hosts *h)
{
    struct sts_str dropped = rollout_mx_join(p, h->dropped);
    const struct names none = {NULL, 0};

    plan_step(p, STS_STEP_DONE, "mx-dropped", since_when(p, none, h->dropped),
              "the policy no longer lists %.*s", STS_ARG(dropped));
    if (h->early)
        plan_step(p, STS_STEP_WAIT, "mx-off", h->early, "%.*s must accept mail until then",
                  STS_ARG(dropped));
    else
        plan_step(p, STS_STEP_NOW, "mx-off", 0,
                  "%.*s may be switched off when no MX record has named it for the TTL of that "
                  "record",
                  STS_ARG(dropped));
}

static struct names rollout_mx_without(struct plan *p, struct names all, struct names some)
{
    struct sts_str *list = STS_ARRAY(p->arena, all.count, struct sts_str);
    struct names left = {list, 0};

    for (size_t i = 0; i < all.count; i++)
        if (!is_among(some, all.list[i]))
            list[left.count++] = all.list[i];
    return left;
}

bool plan_mx(struct plan *p)
{
    struct hosts h = {.fresh = current_mx(p, true, is_recent), .dropped = dropped_mx(p)};

    if (!h.fresh.count && !h.dropped.count)
        return false;
    find_dates(p, &h);
    if (h.waits) {
        h.fresh = current_mx(p, true, rollout_mx_refuses);
        h.accepted = current_mx(p, false, rollout_mx_refuses);
        if (h.accepted.count) /* mail has a way: what left is not needed for it */
            h.early = 0;
    }
    h.old = rollout_mx_without(p, all_mx(&p->current->policy), h.fresh);
    h.since = since_when(p, h.fresh, (struct names){NULL, 0});
    if (h.fresh.count) {
        say_fresh(p, &h);
        say_switch(p, &h);
    }
    if (h.dropped.count)
        say_dropped(p, &h);
    return h.known || p->current->policy.mode == STS_MODE_ENFORCE;
}
