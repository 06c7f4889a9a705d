/* Ledger: every policy instance ever served, in SQLite (WAL, synchronous=FULL).
 *
 * It issues the ids of RFC 8461 §3.1: a new one on every real change, the same one while the
 * canonical policy stays, never one twice for a tenant, whatever the clock does. Instances are
 * committed after the body is live (served first, announced second, RFC 8461 §8.1).
 *
 * One process writes at a time, any number read meanwhile. A ledger that was moved away, removed or
 * restored while it is open for writing is noticed at the next call and opened anew (warning
 * "ledger-replaced"). One handle belongs to one thread. */
#ifndef MTASTS_LEDGER_H
#define MTASTS_LEDGER_H

#include <time.h>

#include "mtasts/diag.h"
#include "mtasts/policy.h"
#include "mtasts/record.h"

struct ledger;

enum ledger_access { LEDGER_READ, LEDGER_WRITE };

/* Opens (LEDGER_WRITE: creates, mode 0600, and migrates) the database. NULL with an error in
 * `diags`: what is wrong and what would be right. Its code is one of ledger-missing (LEDGER_READ
 * only), -older (LEDGER_READ only), -newer, -foreign (not ours, or no file), -corrupt, -full, -io,
 * -busy, -unreadable, -unwritable, -failed; the other functions report the same ones. LEDGER_READ
 * works while another process writes, and in a directory or on a file system that cannot be written
 * when the last writer ended in order. */
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
    time_t last_served; /* 0 while it is the current one of a tenant that is served; else never
                           before first_served or the last ledger_touch, so that a clock that goes
                           back cannot make a policy seem forgotten too early */
};

/* What is (now) being served for one tenant. */
struct ledger_entry {
    struct sts_str domain;
    const struct sts_policy *policy; /* canonical */
};

/* Makes `entries` the current instances in one transaction: unchanged ones keep their id, changed
 * or new ones (also one coming back after ledger_end) get a fresh id. All or nothing; false with
 * an error when it cannot be written durably, and then nothing changed and no id exists. When
 * nothing changed it only reads, and waits for nobody. */
bool ledger_commit(struct ledger *ledger, const struct ledger_entry *entries, size_t count,
                   time_t now, struct sts_diags *diags);
/* What a server says after it published: exactly these are served now. ledger_commit, ledger_end
 * for every other current instance and ledger_touch in one transaction, so that whatever was
 * removed while the server was down, or while the ledger could not be written, ends too. */
bool ledger_serve(struct ledger *ledger, const struct ledger_entry *entries, size_t count,
                  time_t now, struct sts_diags *diags);
/* These tenants are not served any more: their current instances get last_served = now. */
bool ledger_end(struct ledger *ledger, const struct sts_str *domains, size_t count, time_t now,
                struct sts_diags *diags);
/* The server is alive and serves all current instances: bounds last_served after a crash. Never
 * goes back. False ("ledger-replaced") when the file was replaced since the last ledger_serve: then
 * what it calls current is not known to be served, and ledger_serve must come first. */
bool ledger_touch(struct ledger *ledger, time_t now, struct sts_diags *diags);

/* The current (or, when ended, the latest) instance of a tenant; strings in `arena`. False when
 * there is none; an error is added to `diags` and also gives false. The body is proved against the
 * digest: what is returned is what was served. */
bool ledger_latest(struct ledger *ledger, struct sts_arena *arena, struct sts_str domain,
                   struct ledger_instance *out, struct sts_diags *diags);
/* Every tenant's latest instance, ordered by domain, one query. `instance` is borrowed for the
 * visit, which must not call back into this ledger. A damaged entry is an error and left out (the
 * result is false then), the others are visited all the same. */
typedef void ledger_visit(void *data, const struct ledger_instance *instance);
bool ledger_each_latest(struct ledger *ledger, ledger_visit *visit, void *data,
                        struct sts_diags *diags);
/* Until when some sender may still hold a policy of this tenant that is older than or equal to the
 * latest: the largest of last served (or last touch) + max_age (RFC 8461 §8.3). 0 when none; an
 * error is added to `diags` and also gives 0. */
time_t ledger_cached_until(struct ledger *ledger, struct sts_str domain, struct sts_diags *diags);

/* Who may issue ids: a running server holds a shared lock for its life; `records` takes the
 * exclusive one and so knows whether a server runs. Returns a descriptor (close it to unlock), or
 * -1 with errno (EWOULDBLOCK: held by another). The lock file is "<ledger path>.lock"; like the
 * ledger itself, root gives a new one to the owner of the directory. */
int ledger_lock(const char *path, bool exclusive);

#endif
