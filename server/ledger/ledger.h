/* Ledger: every policy instance ever served, in SQLite (WAL, synchronous=FULL).
 *
 * It issues the ids of RFC 8461 §3.1: a new one on every real change, the same one while the
 * canonical policy stays, never one twice for a tenant, whatever the clock does. Instances are
 * committed after the body is live (served first, announced second, RFC 8461 §8.1), and it
 * remembers which ids somebody put into DNS since.
 *
 * One process writes at a time, any number read meanwhile. When the file is deleted or moved away
 * while it is open for writing, the next change writes it again from what is open (warning
 * "ledger-rescued", or error "ledger-deleted" while it cannot); when another one, such as a backup,
 * took its place, that is opened (warning "ledger-replaced"). One handle belongs to one thread. */
#ifndef MTASTS_LEDGER_H
#define MTASTS_LEDGER_H

#include <time.h>

#include "mtasts/diag.h"
#include "mtasts/policy.h"
#include "mtasts/record.h"

struct ledger;

enum ledger_access {
    LEDGER_READ,
    LEDGER_WRITE,
    LEDGER_READ_OLDER /* reads, and takes the ledger of an older mta-stsd as well, of which
                         ledger_each_current and ledger_history tell what it has */
};

/* A server calls ledger_touch at least this often, so it may have served for that much longer than
 * the ledger knows. */
enum { LEDGER_TOUCH_SECONDS = 60 };

/* Opens (LEDGER_WRITE: creates, mode 0600, and migrates) the database. NULL with an error in
 * `diags`: what is wrong and what would be right. Its code is one of ledger-missing (LEDGER_READ
 * only), -older (LEDGER_READ only), -newer, -foreign (not ours, or no file), -corrupt, -full, -io,
 * -busy, -unreadable, -unwritable, -failed; the other functions report the same ones. LEDGER_READ
 * works while another process writes, and in a directory or on a file system that cannot be written
 * when the last writer ended in order. */
struct ledger *ledger_open(const char *path, enum ledger_access access, struct sts_pos where,
                           struct sts_diags *diags);
void ledger_close(struct ledger *ledger); /* NULL is fine */
/* What happened to the file while it was in use, after its name, for as long as it is open; or
 * NULL. */
const char *ledger_notice(const struct ledger *ledger);
/* While `asked` (may be NULL) says so, no call that follows waits for another process or works to
 * its end: it fails, and nothing changed. */
void ledger_give_up_when(struct ledger *ledger, bool (*asked)(void));

struct ledger_instance {
    struct sts_str domain;
    char id[STS_ID_MAX + 1];
    unsigned char digest[STS_DIGEST_LEN];
    struct sts_str body; /* canonical rendered body */
    struct sts_str file; /* ledger_each_current only: of its last entry; empty: not known */
    enum sts_mode mode;
    uint32_t max_age; /* seconds */
    time_t first_served;
    time_t last_served;  /* 0 while it is the current one of a tenant that is served; else never
                            before first_served or the last ledger_touch, so that a clock that goes
                            back cannot make a policy seem forgotten too early */
    time_t cached_until; /* until when a sender may hold it (RFC 8461 §5.1): last_served, or for
                            the current one when the server was last known alive (never before
                            first_served), + LEDGER_TOUCH_SECONDS + max_age, at most the end of the
                            year 9999. 0 for mode none: whoever holds that one is not held up */
};

/* What the ledger knows about one tenant. */
struct ledger_history {
    struct ledger_instance latest; /* last_served 0: it is served now */
    time_t cached_until; /* the largest of all its instances; 0: no sender holds a policy */
    time_t none_since;   /* first_served of the unbroken run of mode none that `latest` ends; 0 when
                            latest is not none */
};

/* What is (now) being served for one tenant. */
struct ledger_entry {
    struct sts_str domain;
    const struct sts_policy *policy; /* canonical */
    struct sts_str file; /* that it is served from, as the next start will know it again; empty: not
                            known, and what the ledger knows stays */
};

/* Makes `entries`, no two of one domain, the current instances in one transaction: unchanged ones
 * keep their id, changed or new ones (also one coming back after ledger_end) get a fresh id. All or
 * nothing; false with an error when it cannot be written durably, and then nothing changed and no
 * id exists. A tenant that is served from another file now keeps its id, too. When nothing changed
 * it only reads, and waits for nobody. */
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

/* ledger_serve for a server that knows what changed since its last one: these entries are new or
 * changed, these domains are not served any more, everything else is as it was. The cost is that of
 * the change, not of the ledger. False ("ledger-replaced") when this handle has not said by
 * ledger_serve what is served, or the file was replaced since: then ledger_serve must come first.
 */
struct ledger_change {
    const struct ledger_entry *entries;
    size_t count;
    const struct sts_str *ended;
    size_t ended_count;
};
bool ledger_change(struct ledger *ledger, const struct ledger_change *change, time_t now,
                   struct sts_diags *diags);

/* The current (or, when ended, the latest) instance of a tenant; strings in `arena`. False when
 * there is none; an error is added to `diags` and also gives false. The body is proved against the
 * digest: what is returned is what was served. */
bool ledger_latest(struct ledger *ledger, struct sts_arena *arena, struct sts_str domain,
                   struct ledger_instance *out, struct sts_diags *diags);
/* All instances of one tenant, the latest first. `instance` and its strings are borrowed for the
 * visit, which must not call back into this ledger. A damaged entry is an error and left out (the
 * result is false then), the others are visited all the same. */
typedef void ledger_visit(void *data, const struct ledger_instance *instance);
bool ledger_each_instance(struct ledger *ledger, struct sts_str domain, ledger_visit *visit,
                          void *data, struct sts_diags *diags);
/* The current instance of every tenant that is served, likewise, ordered by domain. The cost is
 * that of these, whatever was served before. */
bool ledger_each_current(struct ledger *ledger, ledger_visit *visit, void *data,
                         struct sts_diags *diags);
/* Every entry of one tenant, or of all (`domain` empty), ordered by domain and the oldest first, in
 * one reading; borrowed, as above. A damaged one is visited, too, with `readable` false: of it the
 * worst is assumed and only domain and times are worth showing. One error tells of all damaged ones
 * of a tenant, before the next tenant's first, and the result is false then. */
typedef void ledger_visit_entry(void *data, const struct ledger_instance *instance, bool readable);
bool ledger_each_entry(struct ledger *ledger, struct sts_str domain, ledger_visit_entry *visit,
                       void *data, struct sts_diags *diags);
/* 9999-12-31 23:59:59 UTC: what an id, or a date that is shown, can say at most. */
extern const time_t ledger_last_time;
/* The cached_until of a policy (not of mode none) that is served until `last`. */
time_t ledger_cached_until(time_t last, uint32_t max_age);
/* Every tenant that ever was served, ordered by domain, in one reading of the table; borrowed, and
 * false, as above. A tenant whose latest instance is damaged is left out; of a damaged older one
 * the worst is assumed. */
typedef void ledger_visit_history(void *data, const struct ledger_history *history);
bool ledger_each_history(struct ledger *ledger, ledger_visit_history *visit, void *data,
                         struct sts_diags *diags);
/* The same of one tenant, strings in `arena`. False when it never was served; an error is added to
 * `diags` and also gives false. */
bool ledger_history(struct ledger *ledger, struct sts_arena *arena, struct sts_str domain,
                    struct ledger_history *out, struct sts_diags *diags);

/* What has been announced: the ids that somebody (a publishing hook) has put into DNS, by its own
 * word. A ledger that was never told, also one from before such things were remembered, knows of
 * none: whoever begins to publish publishes everything once, and learns that way that it works.
 *
 * Every tenant whose record is not as it should be, ordered by domain, borrowed and false as for
 * ledger_each_instance: one that is served, and whose current id is not the announced one
 * (last_served 0), or one that was announced and is served no more (its latest instance,
 * last_served not 0: the record is to be withdrawn). The cost is that of what is visited, and
 * nearly nothing when all is announced. */
bool ledger_each_unpublished(struct ledger *ledger, ledger_visit *visit, void *data,
                             struct sts_diags *diags);
/* These have been announced at `now`, all in one transaction or none. What changed while it was
 * being announced is unpublished again. */
struct ledger_published {
    struct sts_str domain;
    struct sts_str id; /* empty: the record is withdrawn */
};
bool ledger_mark_published(struct ledger *ledger, const struct ledger_published *items,
                           size_t count, time_t now, struct sts_diags *diags);

/* What the ledger was told last about one tenant. False when it was told nothing; an error is added
 * to `diags` and also gives false. */
struct ledger_announced {
    char id[STS_ID_MAX + 1];
    time_t at;
};
bool ledger_announced(struct ledger *ledger, struct sts_str domain, struct ledger_announced *out,
                      struct sts_diags *diags);

/* Who may issue ids: one server, or one command at a time while none runs. Both return a
 * descriptor (close it to unlock; it also ends with the process), or -1 with errno. The lock file
 * is
 * "<ledger path>.lock"; like the ledger itself, root gives a new one to the owner of the directory.
 *
 * A server holds ledger_lock_server for its life. EWOULDBLOCK: a command holds the ledger for a
 * moment, try again; EADDRINUSE: another server runs on this ledger, do not start beside it.
 * `records` takes ledger_lock(path, true) and so knows whether a server runs; ledger_lock(path,
 * false) only keeps such commands out. EWOULDBLOCK: held by another. */
int ledger_lock_server(const char *path);
/* Whether others find the file that is locked: one that was deleted keeps nobody out. */
bool ledger_lock_is_in_place(int lock, const char *path);
int ledger_lock(const char *path, bool exclusive);

#endif
