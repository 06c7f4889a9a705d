/* Shared by the files of rollout: a plan in the making. */
#ifndef MTASTS_SNAPSHOT_ROLLOUT_PARTS_H
#define MTASTS_SNAPSHOT_ROLLOUT_PARTS_H

#include "server/snapshot/rollout.h"

enum { ROLLOUT_STEPS_MAX = 24, ROLLOUT_SAFE_MAX = 4 };

struct plan {
    struct sts_arena *arena;
    const struct rollout_input *in;
    const struct rollout_policy *current; /* the last one of in->policies, when it is served */
    size_t older;                         /* how many there are before it */
    struct sts_step *steps, *safe;
    size_t step_count, safe_count;
};

void plan_step(struct plan *p, enum sts_step_state state, const char *code, time_t at,
               const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* What may be done at `at`; 0: after a step before. */
void plan_safe(struct plan *p, const char *code, time_t at, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Whether any sender may hold it, by the clock. */
bool plan_is_held(const struct plan *p, const struct rollout_policy *policy);
/* RFC 8461 §8.3: the largest of all that were ever served; 0 when none can be held. */
time_t plan_held_until(const struct plan *p);
/* An mx of `policy` covers it. */
bool plan_has_mx(const struct sts_policy *policy, struct sts_str mx);

/* What other MX hosts than before ask for. Whether mail could be refused on the way. */
bool plan_mx(struct plan *p);

#endif
