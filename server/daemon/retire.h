/* Retire: tenants that serve mode none before they are removed (RFC 8461 §8.3), and the date from
 * which on no sender holds a policy of theirs any more. Said once when it is known, and once when
 * it has come. */
#ifndef MTASTS_DAEMON_RETIRE_H
#define MTASTS_DAEMON_RETIRE_H

#include "server/ledger/ledger.h"
#include "server/snapshot/snapshot.h"

struct retiring {
    struct sts_str domain;
    time_t safe_after; /* 0: at once */
    bool over;         /* said that it may go */
};

struct retire {
    struct sts_arena *arena; /* of the list */
    struct retiring *list;   /* sorted by domain */
    size_t count;
};

/* After the ledger learned of the snapshot; also without a ledger (NULL: nothing is known). */
void retire_update(struct retire *r, const struct snapshot *s, struct ledger *ledger, time_t now);
void retire_tick(struct retire *r, time_t now);
void retire_fini(struct retire *r);

#endif
