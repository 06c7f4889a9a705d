/* What the files of rollout say their steps with. */
#include "server/snapshot/rollout_parts.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "mtasts/domain.h"
#include "server/base/memory.h"

const char *rollout_situation_name(enum rollout_situation situation)
{
    static const char *const names[] = {
        [ROLLOUT_NOT_SERVED_YET] = "not served yet",
        [ROLLOUT_TESTING] = "testing",
        [ROLLOUT_ENFORCE] = "enforce",
        [ROLLOUT_MX_MIGRATION] = "mx migration",
        [ROLLOUT_RETIRING] = "retiring",
        [ROLLOUT_RETIRED] = "retired",
        [ROLLOUT_REMOVED_TOO_EARLY] = "removed too early",
        [ROLLOUT_NONE] = "none",
    };
    return names[situation];
}

__attribute__((format(printf, 3, 0))) static void
set_step(struct sts_arena *arena, struct sts_step *step, const char *fmt, va_list ap)
{
    char *text = NULL;

    sts_must(vasprintf(&text, fmt, ap) < 0 ? NULL : text);
    step->text = sts_arena_dup(arena, sts_str_from(text));
    free(text);
}

void plan_step(struct plan *p, enum sts_step_state state, const char *code, time_t at,
               const char *fmt, ...)
{
    va_list ap;

    assert(p->step_count < ROLLOUT_STEPS_MAX);
    struct sts_step *step = &p->steps[p->step_count++];
    *step = (struct sts_step){.state = state, .code = code, .at = at};
    va_start(ap, fmt);
    set_step(p->arena, step, fmt, ap);
    va_end(ap);
}

void plan_safe(struct plan *p, const char *code, time_t at, const char *fmt, ...)
{
    va_list ap;

    assert(p->safe_count < ROLLOUT_SAFE_MAX);
    struct sts_step *step = &p->safe[p->safe_count++];
    *step = (struct sts_step){.code = code, .at = at};
    step->state = at && at <= p->in->now ? STS_STEP_NOW : STS_STEP_WAIT;
    va_start(ap, fmt);
    set_step(p->arena, step, fmt, ap);
    va_end(ap);
}

bool plan_is_held(const struct plan *p, const struct rollout_policy *policy)
{
    return policy->cached_until > p->in->now;
}

bool plan_has_mx(const struct sts_policy *policy, struct sts_str mx)
{
    for (size_t i = 0; i < policy->mx_count; i++)
        if (sts_mx_covers(policy->mx[i], mx))
            return true;
    return false;
}

time_t plan_held_until(const struct plan *p)
{
    time_t until = 0;

    for (size_t i = 0; i < p->in->count; i++)
        if (until < p->in->policies[i].cached_until)
            until = p->in->policies[i].cached_until;
    return until;
}
