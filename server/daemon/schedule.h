/* Schedule: when to look at the files again. Knows nothing of files: events, times and the outcome
 * of a look go in, the time of the next look comes out, so that a test can play all of it through.
 *
 * Several events become one look: after a quiet time, or when a limit since the first of them has
 * passed. What may mend itself without an event is looked at again after 1 s, 2 s, 4 s ... 60 s. */
#ifndef MTASTS_DAEMON_SCHEDULE_H
#define MTASTS_DAEMON_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#define SCHEDULE_NEVER        UINT64_MAX
#define SCHEDULE_RETRY_MS     1000
#define SCHEDULE_RETRY_MAX_MS 60000

/* All times are monotonic milliseconds. */
struct schedule {
    uint32_t settle, limit, rescan; /* of the configuration */
    uint64_t first, last;           /* of the events not yet looked at; SCHEDULE_NEVER: none */
    uint64_t retry;                 /* SCHEDULE_NEVER: nothing to retry */
    uint32_t backoff;               /* until the next retry after that */
    uint64_t compare;               /* the next look by stat alone */
};

enum schedule_work {
    SCHEDULE_WAIT,    /* nothing yet */
    SCHEDULE_COMPARE, /* compare by stat; an event when something differs */
    SCHEDULE_LOOK,    /* read, build, publish */
};

void schedule_init(struct schedule *s, uint64_t now);
/* New settings, milliseconds; what is under way keeps its events. */
void schedule_configure(struct schedule *s, uint32_t settle, uint32_t limit, uint32_t rescan,
                        uint64_t now);
void schedule_event(struct schedule *s, uint64_t now); /* a file may have changed */
/* When schedule_work should be asked again; always some time, because of the rescan. */
uint64_t schedule_next(const struct schedule *s);
/* What is to be done now. A comparison counts as done; a look ends with schedule_looked. */
enum schedule_work schedule_work(struct schedule *s, uint64_t now);
/* A look has ended; what happened during it comes as an event afterwards. `incomplete`: something
 * may mend itself. `progress`: something changed, so retries begin at 1 s again. */
void schedule_looked(struct schedule *s, uint64_t now, bool incomplete, bool progress);

#endif
