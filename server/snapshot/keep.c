/* Last good: a tenant whose configuration broke goes on being served as it was, so that a mistake
 * in a file never takes a policy away that senders rely on. */
#include "server/snapshot/parts.h"

static const struct sts_str *copy_mx(struct sts_arena *arena, const struct sts_policy *policy)
{
    struct sts_str *mx = STS_ARRAY(arena, policy->mx_count, struct sts_str);

    for (size_t i = 0; i < policy->mx_count; i++)
        mx[i] = sts_arena_dup(arena, policy->mx[i]);
    return mx;
}

bool tenant_keep(struct build *b, struct tenant *t)
{
    const struct snapshot *previous = b->input->previous;
    const struct tenant *good = previous ? snapshot_find_domain(previous, t->domain) : NULL;
    struct sts_arena *arena = b->snapshot->arena;

    if (!good || good->state == TENANT_REFUSED)
        return false;
    t->policy = good->policy;
    t->policy.mx = copy_mx(arena, &good->policy);
    t->body = sts_arena_dup(arena, good->body);
    t->state = TENANT_SERVED;
    t->kept = KEPT_BROKEN;
    struct sts_diag *diag =
        sts_diag_add(b->diags, STS_WARNING, "tenant-kept", t->where,
                     "%.*s has errors: its last good policy stays", STS_ARG(t->domain));
    diag->tenant = t->domain;
    sts_diag_help(b->diags, diag, "mend its configuration and reload; a restart would refuse it");
    return true;
}
