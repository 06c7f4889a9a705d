/* Ledger: every policy instance ever served, in SQLite (WAL, synchronous=FULL).
 *
 * It issues the ids of RFC 8461 §3.1: a new one on every real change, the same one while the
 * canonical policy stays, never one twice for a tenant, whatever the clock does. Instances are
 * committed after the body is live (served first, announced second, RFC 8461 §8.1). */
#ifndef MTASTS_LEDGER_H
#define MTASTS_LEDGER_H

#include <time.h>

#include "mtasts/diag.h"
#include "mtasts/policy.h"
#include "mtasts/record.h"

struct ledger;

enum ledger_access { LEDGER_READ, LEDGER_WRITE };

/* Opens (LEDGER_WRITE: creates and migrates) the database. NULL with an error in `diags`
 * ("ledger-..."): what is wrong and what would be right. LEDGER_READ of a file that does not exist
 * is an error "ledger-missing". */
struct ledger *ledger_open(const char *path, enum ledger_access access, struct sts_pos where,
                           struct sts_diags *diags);
void ledger_close(struct ledger *ledger); /* NULL is fine */

struct ledger_instance {
    struct sts_str domain;
    char id[STS_ID_MAX + 1];
    unsigned char digest[STS_DIGEST_LEN];
    struct sts_str body; /* canonical rendered body */
    enum sts_mode mode;
    uint32_t max_age; /* seconds */
    time_t first_served;
    time_t last_served; /* 0 while it is the current one of a tenant that is served */
};

/* What is (now) being served for one tenant. */
struct ledger_entry {
    struct sts_str domain;
    const struct sts_policy *policy; /* canonical */
};

/* Makes `entries` the current instances in one transaction: unchanged ones keep their id, changed
 * or new ones (also one coming back after ledger_end) get a fresh id. All or nothing; false with
 * an error when it cannot be written durably, and then nothing changed and no id exists. */
bool ledger_commit(struct ledger *ledger, const struct ledger_entry *entries, size_t count,
                   time_t now, struct sts_diags *diags);
/* These tenants are not served any more: their current instances get last_served = now. */
bool ledger_end(struct ledger *ledger, const struct sts_str *domains, size_t count, time_t now,
                struct sts_diags *diags);
/* The server is alive and serves all current instances: bounds last_served after a crash. */
bool ledger_touch(struct ledger *ledger, time_t now, struct sts_diags *diags);

/* The current (or, when ended, the latest) instance of a tenant; strings in `arena`. False when
 * there is none; an I/O error is added to `diags` and also gives false. */
bool ledger_latest(struct ledger *ledger, struct sts_arena *arena, struct sts_str domain,
                   struct ledger_instance *out, struct sts_diags *diags);
/* Every tenant's latest instance, ordered by domain, one query. `instance` is borrowed. */
typedef void ledger_visit(void *data, const struct ledger_instance *instance);
bool ledger_each_latest(struct ledger *ledger, ledger_visit *visit, void *data,
                        struct sts_diags *diags);
/* Until when some sender may still hold a policy of this tenant that is older than or equal to the
 * latest: the largest of last served (or last touch) + max_age (RFC 8461 §8.3). 0 when none. */
time_t ledger_cached_until(struct ledger *ledger, struct sts_str domain, struct sts_diags *diags);

/* Who may issue ids: a running server holds a shared lock for its life; `records` takes the
 * exclusive one and so knows whether a server runs. Returns a descriptor (close it to unlock), or
 * -1 with errno (EWOULDBLOCK: held by another). The lock file is "<ledger path>.lock". */
int ledger_lock(const char *path, bool exclusive);

#endif
