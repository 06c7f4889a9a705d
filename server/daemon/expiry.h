/* Expiry: certificates that are presented and run out soon. Renewals come weeks before, so each of
 * the last 21, 7, 3 and 1 days says that something is broken: once for each certificate, and once
 * more when it has expired. One that lives for a few days only is renewed later, and said later. */
#ifndef MTASTS_DAEMON_EXPIRY_H
#define MTASTS_DAEMON_EXPIRY_H

#include "server/snapshot/snapshot.h"

#define EXPIRY_EXPIRED 5
#define EXPIRY_NEVER   ((time_t)INT64_MAX)

struct expiring {
    struct cert_pair *pair; /* referenced, so that its address stays its own */
    int level;              /* that was said */
};

struct expiry {
    const struct snapshot *snapshot; /* the published one */
    struct expiring *list;           /* those that are near their end, in the order of addresses */
    size_t count;
    time_t next; /* nothing is to be said before */
    time_t last; /* time of the tick before */
};

/* How near the end is: 0 far, 1 to 4 the last 21, 7, 3, 1 days, EXPIRY_EXPIRED. */
int expiry_level(time_t not_after, time_t now);
/* When a certificate of this level reaches the next one. */
time_t expiry_next(time_t not_after, int level);

/* After a snapshot was published in place of `before` (NULL: nothing), which is still there. */
void expiry_update(struct expiry *e, const struct snapshot *before, const struct snapshot *s);
/* Says what is due. True when the files should be looked at again: one has expired, and there may
 * be another for its tenants; or the clock went back, and what was refused may be valid. */
bool expiry_tick(struct expiry *e, time_t now);
void expiry_fini(struct expiry *e);

#endif
