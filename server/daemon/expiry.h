/* Expiry: certificates that are presented and run out soon. One that is overdue for renewal
 * (server/snapshot/renewal.h) is said at once, and when 14, 7, 3 and 1 days are left, if it was not
 * overdue before; once more when it has expired. */
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

/* How near the end is: 0 not overdue, 1 to 4 the last 14, 7, 3, 1 days, EXPIRY_EXPIRED. What is
 * overdue late begins at the level of that day. */
int expiry_level(const struct cert_info *info, time_t now);
/* When a certificate of this level reaches the next one. */
time_t expiry_next(const struct cert_info *info, int level);

/* After a snapshot was published in place of `before` (NULL: nothing), which is still there. */
void expiry_update(struct expiry *e, const struct snapshot *before, const struct snapshot *s);
/* Says what is due. True when the files should be looked at again: one has expired, and there may
 * be another for its tenants; or the clock went back, and what was refused may be valid. */
bool expiry_tick(struct expiry *e, time_t now);
void expiry_fini(struct expiry *e);

#endif
