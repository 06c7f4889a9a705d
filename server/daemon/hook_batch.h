/* What the program of on_change is told: a part of what the ledger calls unpublished, as JSON. */
#ifndef MTASTS_DAEMON_HOOK_BATCH_H
#define MTASTS_DAEMON_HOOK_BATCH_H

#include "server/ledger/ledger.h"
#include "server/snapshot/snapshot.h"

enum { HOOK_BATCH_MAX = 1000 }; /* tenants in one run */

struct hook_batch {
    struct sts_arena *arena;
    struct ledger_published *items; /* for ledger_mark_published, ordered by domain */
    size_t count, removed;          /* removed: of them, those to be withdrawn */
    size_t pending;                 /* everything that could be told, this batch included */
    unsigned long long mark;        /* equal when all that is pending is the same as another time */
    struct sts_buf input;           /* JSON; empty before hook_batch_render */
};

/* Collects the first HOOK_BATCH_MAX behind `after` in the order of domains, beginning anew when
 * nothing is left there. A tenant whose current policy `s` does not serve is left for later: it is
 * served first and announced second (RFC 8461 §8.1); its record stays as long as it is configured.
 * False when the ledger could not tell all. hook_batch_fini in any case. */
bool hook_batch_init(struct hook_batch *b, struct ledger *ledger, const struct snapshot *s,
                     struct sts_str after, struct sts_diags *diags);
void hook_batch_render(struct hook_batch *b, const struct snapshot *s);
void hook_batch_fini(struct hook_batch *b); /* zeroed is fine */

#endif
