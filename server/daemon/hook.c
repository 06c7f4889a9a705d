#include "server/daemon/hook.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mtasts/domain.h"
#include "server/base/memory.h"
#include "server/daemon/hook_batch.h"
#include "server/daemon/hook_log.h"
#include "server/daemon/publish.h"
#include "server/sys/clock.h"
#include "server/sys/process.h"

struct hook {
    struct loop *loop;
    struct ledger *const *ledger;
    struct snapshot *snapshot;      /* served and committed last */
    struct process *process;        /* while it runs, with... */
    struct hook_batch batch;        /* ...what it was told */
    struct loop_timer timer;        /* of the next try */
    uint64_t failed_at;             /* monotonic, the last failure... */
    unsigned long long failed_mark; /* ...and what was pending then */
    uint64_t soon;                  /* milliseconds until the next try at most, if this run fails */
    char after[STS_DOMAIN_MAX + 1]; /* the last domain of the batch that failed */
    struct hook_state state;
};

struct hook *hook_new(struct loop *loop, struct ledger *const *ledger)
{
    struct hook *h = sts_must(calloc(1, sizeof(*h)));

    h->loop = loop;
    h->ledger = ledger;
    return h;
}

void hook_free(struct hook *h)
{
    if (!h)
        return;
    loop_unset(h->loop, &h->timer);
    process_free(h->process);
    hook_batch_fini(&h->batch);
    snapshot_unref(h->snapshot);
    free(h);
}

const struct hook_state *hook_state(const struct hook *h)
{
    return &h->state;
}

uint64_t hook_backoff(unsigned failures)
{
    unsigned doublings = failures - 1 < 16 ? failures - 1 : 16;
    uint64_t ms = (uint64_t)HOOK_RETRY_MS << doublings;

    return ms < HOOK_RETRY_MAX_MS ? ms : HOOK_RETRY_MAX_MS;
}

static uint64_t hook_least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static bool is_off(const struct hook *h)
{
    return !h->snapshot || !h->snapshot->settings.on_change_count;
}

static void hook_start(struct hook *h);

static void on_retry(void *data)
{
    hook_start(data);
}

static void wait_for_retry(struct hook *h, uint64_t ms)
{
    h->state.phase = HOOK_WAITING;
    h->state.next_try = clock_wall() + (time_t)((ms + 999) / 1000);
    loop_set(h->loop, &h->timer, ms, on_retry, h);
}

/* `end` is NULL when the program did not run. */
static void hook_fail(struct hook *h, const char *reason, const struct process_end *end)
{
    struct hook_state *state = &h->state;
    struct hook_batch *b = &h->batch;

    state->failures++;
    snprintf(state->result, sizeof(state->result), "%s", reason);
    h->failed_at = clock_monotonic_ms();
    h->failed_mark = b->mark;
    if (b->count)
        snprintf(h->after, sizeof(h->after), "%.*s", STS_ARG(b->items[b->count - 1].domain));
    if (is_off(h))
        state->phase = HOOK_OFF;
    else
        wait_for_retry(h, hook_least(hook_backoff(state->failures), h->soon));
    hook_log_failed(&h->snapshot->settings, state, b, end);
    hook_batch_fini(b);
}

static void hook_explain(const struct process_end *end, char *out, size_t size)
{
    const char *name = sigabbrev_np(end->value);

    switch (end->result) {
    case PROCESS_EXITED:
        snprintf(out, size, "exit status %d", end->value);
        break;
    case PROCESS_KILLED:
        snprintf(out, size, "killed by signal %d (SIG%s)", end->value, name ? name : "?");
        break;
    case PROCESS_OUT_OF_TIME:
        snprintf(out, size, "ended after %llu s, see limits.on_change_timeout",
                 (unsigned long long)(end->ms + 500) / 1000);
        break;
    }
}

static bool mark_published(struct hook *h)
{
    struct hook_batch *b = &h->batch;
    struct sts_diags diags;

    if (!*h->ledger)
        return false;
    sts_diags_init(&diags, b->arena);
    bool good = ledger_mark_published(*h->ledger, b->items, b->count, clock_wall(), &diags);
    log_diags(&diags);
    return good;
}

static void on_end(void *data, const struct process_end *end)
{
    struct hook *h = data;
    char reason[100];

    bool good = end->result == PROCESS_EXITED && end->value == 0;
    hook_explain(end, reason, sizeof(reason));
    if (!good) {
        hook_fail(h, reason, end);
    } else if (!mark_published(h)) {
        hook_fail(h, "the ledger cannot remember it", end);
    } else {
        h->state.failures = 0;
        h->state.last_success = clock_wall();
        snprintf(h->state.result, sizeof(h->state.result), "done");
        hook_log_done(&h->batch, end);
        hook_batch_fini(&h->batch);
    }
    process_free(h->process); /* with its output */
    h->process = NULL;
    if (good && h->state.phase == HOOK_RUNNING)
        hook_start(h);
}

static void hook_run(struct hook *h)
{
    const struct sts_settings *s = &h->snapshot->settings;
    const char **argv = STS_ARRAY(h->batch.arena, s->on_change_count + 1, const char *);

    for (size_t i = 0; i < s->on_change_count; i++)
        argv[i] = sts_arena_dup(h->batch.arena, s->on_change[i]).ptr;
    hook_batch_render(&h->batch, h->snapshot);
    h->process = process_start(h->loop, argv, sts_buf_str(&h->batch.input),
                               (uint64_t)s->on_change_timeout * 1000, on_end, h);
    if (h->process) {
        h->state.phase = HOOK_RUNNING;
        return;
    }
    char reason[150];
    snprintf(reason, sizeof(reason), "cannot be started: %s", strerrordesc_np(errno));
    hook_fail(h, reason, NULL);
}

/* What is pending now; false when the ledger tells nothing. */
static bool hook_look(struct hook *h, struct hook_batch *b, bool say)
{
    struct sts_arena *arena = sts_arena_new();
    struct sts_diags diags;

    sts_diags_init(&diags, arena);
    *b = (struct hook_batch){0};
    bool good =
        *h->ledger && hook_batch_init(b, *h->ledger, h->snapshot, sts_str_from(h->after), &diags);
    if (say)
        log_diags(&diags);
    sts_arena_free(arena);
    h->state.pending = b->pending;
    return good || b->count;
}

/* Nothing runs. */
static void hook_start(struct hook *h)
{
    loop_unset(h->loop, &h->timer);
    h->soon = UINT64_MAX;
    h->state.phase = is_off(h) ? HOOK_OFF : HOOK_IDLE;
    if (is_off(h)) {
        h->state.pending = h->state.failures = 0;
        return;
    }
    if (!hook_look(h, &h->batch, true)) {
        hook_fail(h, "the ledger cannot be used", NULL);
    } else if (h->batch.count) {
        hook_run(h);
    } else {
        hook_batch_fini(&h->batch);
        h->state.failures = 0;
    }
}

static bool same_command(const struct sts_settings *a, const struct sts_settings *b)
{
    bool same = a->on_change_count == b->on_change_count;

    for (size_t i = 0; same && i < a->on_change_count; i++)
        same = sts_str_eq(a->on_change[i], b->on_change[i]);
    return same;
}

/* Changes come as often as they like, runs that fail at most each HOOK_RETRY_MS. */
static void try_sooner(struct hook *h, bool news)
{
    uint64_t at = h->failed_at + HOOK_RETRY_MS, now = clock_monotonic_ms();

    if (news && at < h->timer.at)
        wait_for_retry(h, at > now ? at - now : 0);
}

void hook_changed(struct hook *h, const struct snapshot *s)
{
    struct snapshot *old = h->snapshot;

    h->snapshot = snapshot_ref((struct snapshot *)s);
    bool other = !old || !same_command(&old->settings, &h->snapshot->settings);
    snapshot_unref(old);
    if (!h->process && (h->state.phase != HOOK_WAITING || other)) {
        hook_start(h);
        return;
    }
    struct hook_batch b;
    bool news = hook_look(h, &b, false) && b.mark != h->failed_mark;
    hook_batch_fini(&b);
    if (h->process) /* it looks again when it has ended */
        h->soon = hook_least(h->soon, other ? 0 : HOOK_RETRY_MS);
    else
        try_sooner(h, news);
}

void hook_hurry(struct hook *h)
{
    h->soon = 0;
    if (!h->process)
        hook_start(h);
}
