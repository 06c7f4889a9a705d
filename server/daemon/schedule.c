#include "server/daemon/schedule.h"

void schedule_init(struct schedule *s, uint64_t now)
{
    *s = (struct schedule){.first = SCHEDULE_NEVER,
                           .last = SCHEDULE_NEVER,
                           .retry = SCHEDULE_NEVER,
                           .backoff = SCHEDULE_RETRY_MS};
    schedule_configure(s, 250, 2000, 60000, now);
}

void schedule_configure(struct schedule *s, uint32_t settle, uint32_t limit, uint32_t rescan,
                        uint64_t now)
{
    s->settle = settle;
    s->limit = limit;
    if (s->rescan != rescan)
        s->compare = now + rescan;
    s->rescan = rescan;
}

void schedule_event(struct schedule *s, uint64_t now)
{
    if (s->first == SCHEDULE_NEVER)
        s->first = now;
    s->last = now;
}

static uint64_t schedule_earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_look(const struct schedule *s)
{
    uint64_t settled = s->first == SCHEDULE_NEVER
                           ? SCHEDULE_NEVER
                           : schedule_earlier(s->last + s->settle, s->first + s->limit);
    return schedule_earlier(settled, s->retry);
}

/* It can take seconds, for which the look at what an event told should not wait; but events without
 * an end do not put it off for ever. */
static uint64_t next_compare(const struct schedule *s)
{
    return s->compare + (s->first == SCHEDULE_NEVER ? 0 : s->limit);
}

uint64_t schedule_next(const struct schedule *s)
{
    return schedule_earlier(next_look(s), next_compare(s));
}

enum schedule_work schedule_work(struct schedule *s, uint64_t now)
{
    if (next_look(s) <= now)
        return SCHEDULE_LOOK;
    if (next_compare(s) > now)
        return SCHEDULE_WAIT;
    s->compare = now + s->rescan;
    return SCHEDULE_COMPARE;
}

void schedule_looked(struct schedule *s, uint64_t now, bool incomplete, bool progress)
{
    s->first = s->last = s->retry = SCHEDULE_NEVER;
    if (!incomplete || progress)
        s->backoff = SCHEDULE_RETRY_MS;
    if (!incomplete)
        return;
    s->retry = now + s->backoff;
    s->backoff = s->backoff * 2 > SCHEDULE_RETRY_MAX_MS ? SCHEDULE_RETRY_MAX_MS : s->backoff * 2;
}
