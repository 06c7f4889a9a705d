/* Last good: a tenant whose configuration broke, or whose file is missing for no good reason, goes
 * on being served as it was, so that a mistake in a file never takes a policy away that senders
 * rely on. What it was is known from the snapshot before or, after a start, from the ledger. */
#include <string.h>

#include "server/snapshot/parts.h"

static const struct sts_str *copy_mx(struct sts_arena *arena, const struct sts_policy *policy)
{
    struct sts_str *mx = STS_ARRAY(arena, policy->mx_count, struct sts_str);

    for (size_t i = 0; i < policy->mx_count; i++)
        mx[i] = sts_arena_dup(arena, policy->mx[i]);
    return mx;
}

/* The policy of a body that this program rendered; false when it cannot have. */
bool body_policy(struct sts_arena *arena, struct sts_str body, struct sts_policy *out)
{
    struct sts_arena *scratch = sts_arena_new();
    struct sts_diags ignored;
    struct sts_policy policy;
    struct sts_buf again = {0};

    sts_diags_init(&ignored, scratch);
    bool good = sts_policy_parse(scratch, body, STS_STR("ledger"), &ignored, &policy);
    if (good) {
        sts_policy_render(&again, &policy);
        good = sts_str_eq(sts_buf_str(&again), body);
    }
    if (good) {
        *out = policy;
        out->mx = copy_mx(arena, &policy);
    }
    sts_buf_fini(&again);
    sts_arena_free(scratch);
    return good;
}

/* What was served of this domain last, in the snapshot's arena; NULL: nothing. */
static const struct body *last_good(struct build *b, struct sts_str domain)
{
    struct sts_arena *arena = b->snapshot->arena;
    struct body *body = STS_NEW(arena, struct body);

    if (b->input->previous) {
        const struct tenant *good = snapshot_find_domain(b->input->previous, domain);
        if (!good || good->state == TENANT_REFUSED)
            return NULL;
        *body = *good->body;
        body->policy.mx = copy_mx(arena, &body->policy);
        body->text = sts_arena_dup(arena, body->text);
        return body;
    }
    const struct served_tenant *good = b->served ? served_find(b->served, domain) : NULL;
    if (!good || !body_policy(arena, good->body, &body->policy))
        return NULL;
    body->text = sts_arena_dup(arena, good->body);
    return body;
}

bool tenant_is_as_before(const struct build *b, const struct tenant *t)
{
    const struct snapshot *previous = b->input->previous;
    const struct tenant *old = previous ? snapshot_find_domain(previous, t->domain) : NULL;
    const struct served_tenant *served =
        !previous && b->served ? served_find(b->served, t->domain) : NULL;
    struct sts_str body = old ? tenant_body(old) : served ? served->body : (struct sts_str){0};

    return body.len && sts_str_eq(body, tenant_body(t));
}

bool tenant_is_current(const struct tenant *t)
{
    return t->state == TENANT_SERVED || t->held;
}

bool tenant_was_current(const struct build *b, const struct tenant *t)
{
    if (!b->input->previous) {
        const struct served_tenant *old = b->served ? served_find(b->served, t->domain) : NULL;
        return old && sts_str_eq(old->body, tenant_body(t));
    }
    const struct tenant *old = snapshot_find_domain(b->input->previous, t->domain);
    return old && tenant_is_current(old) && tenant_same_body(old, t);
}

bool tenant_keep(struct build *b, struct sts_diags *diags, struct tenant *t, enum tenant_kept why)
{
    static const char *const messages[][2] = {
        [KEPT_BROKEN] = {"has errors: its last good policy stays",
                         "mend its configuration; until then this policy is served, "
                         "also after a restart"},
        [KEPT_MISSING] = {"is in none of the files that can be read: its last good policy stays",
                          "mend its file, or put it back; until then this policy is served, also "
                          "after a restart; to end it, remove the file and leave its directory"}};

    t->body = last_good(b, t->domain);
    if (!t->body)
        return false;
    t->state = TENANT_SERVED;
    t->kept = why;
    t->retiring &= t->body->policy.mode == STS_MODE_NONE;
    struct sts_diag *diag =
        sts_diag_add(diags, STS_WARNING, "tenant-kept", tenant_where(b->snapshot, t), "%.*s %s",
                     STS_ARG(t->domain), messages[why][0]);
    diag->tenant = t->domain;
    sts_diag_help(diags, diag, "%s", messages[why][1]);
    return true;
}
