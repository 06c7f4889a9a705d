/* After a snapshot is live: the ledger learns of it, and issues ids (RFC 8461 §8.1). */
#ifndef MTASTS_DAEMON_PUBLISH_H
#define MTASTS_DAEMON_PUBLISH_H

#include "server/ledger/ledger.h"
#include "server/snapshot/snapshot.h"

struct publisher {
    struct ledger *ledger; /* NULL while it cannot be opened */
    int lock;              /* tells `records` and other servers that one runs; -1: not held */
    bool other_server;     /* another one holds it */
    bool pending;          /* something served is not committed yet; tried again each minute */
    char why[300];         /* it is pending */
    bool (*is_end_asked)(
        void); /* a commit is given up, and pending, when it says so; may be NULL */
};

/* Before anything is served; false when another server uses this ledger. */
bool publisher_start(struct publisher *p, const struct snapshot *s);
/* Makes the ledger say exactly what `s` serves; `before` was told it last (NULL: nobody knows).
 * Failures are logged and leave `pending` set: what is served stays served, and no id is announced.
 */
void publisher_commit(struct publisher *p, const struct snapshot *before, const struct snapshot *s);
/* Each minute: commits what is pending, and notes that the server is alive. */
void publisher_tick(struct publisher *p, const struct snapshot *s);
void publisher_close(struct publisher *p);

/* Logs warnings and errors of `diags`, one line each. */
void log_diags(const struct sts_diags *diags);

#endif
