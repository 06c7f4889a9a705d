/* Hook: the program of on_change. What the ledger calls unpublished is handed to it, one run at a
 * time; when it says that all went well (exit status 0), the ledger learns that this was published.
 * Everything else is tried again, after 5 s, 10 s ... 15 min; nothing is lost by a restart, because
 * only the ledger remembers.
 *
 * After a failure the next run takes what comes behind in the order of domains, so that what fails
 * for ever does not hold up the rest. */
#ifndef MTASTS_DAEMON_HOOK_H
#define MTASTS_DAEMON_HOOK_H

#include "server/ledger/ledger.h"
#include "server/snapshot/snapshot.h"
#include "server/sys/loop.h"

enum { HOOK_RETRY_MS = 5000, HOOK_RETRY_MAX_MS = 900000 };

struct hook;

enum hook_phase {
    HOOK_OFF,     /* no on_change */
    HOOK_IDLE,    /* everything is published */
    HOOK_RUNNING, /* the program runs */
    HOOK_WAITING, /* for the next try */
};

/* For `status`. */
struct hook_state {
    enum hook_phase phase;
    size_t pending;      /* tenants to be published, those handed over now included */
    unsigned failures;   /* in a row */
    time_t last_success; /* 0: none since the start */
    time_t next_try;     /* while waiting */
    char result[200];    /* of the last run: "done", or what was wrong; empty before the first */
};

/* `ledger` is where the ledger of the publisher stands; looked at when needed, and NULL there is a
 * failure to be tried again. */
struct hook *hook_new(struct loop *loop, struct ledger *const *ledger);
/* Ends a program that runs, as process_free does. NULL is fine. */
void hook_free(struct hook *h);

/* After each commit, and at the start: ids may have changed, or the settings. `s` is served and
 * committed; the hook keeps a reference. What was not there when the last run failed is tried 5 s
 * after that, or now. */
void hook_changed(struct hook *h, const struct snapshot *s);
/* Somebody asked: a run that waits starts now. */
void hook_hurry(struct hook *h);
const struct hook_state *hook_state(const struct hook *h);

/* Milliseconds until the next try after so many failures in a row (1 or more). */
uint64_t hook_backoff(unsigned failures);

#endif
