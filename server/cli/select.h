/* Selection: the tenants that `records` is asked for, and what DNS should say of each. */
#ifndef MTASTS_CLI_SELECT_H
#define MTASTS_CLI_SELECT_H

#include "server/cli/command.h"
#include "server/ledger/ledger.h"
#include "server/snapshot/snapshot.h"

struct chosen {
    const struct tenant *tenant; /* NULL: withdrawn, it was announced and is no tenant any more */
    struct sts_str domain, zone;
    char id[STS_ID_MAX + 1]; /* of the policy that is served; withdrawn: that was announced */
    const char *pending;     /* why there is no id, or NULL: there is one, or none is needed */
    time_t since;            /* when the id was issued; 0: not known */
    bool unpublished;        /* nobody said that the id was put into DNS */
};

struct selection {
    struct sts_arena *arena;
    struct sts_diags diags;
    struct snapshot *snapshot;
    struct sts_str zone;   /* only tenants in it, and their records belong to it; empty: any */
    enum sts_side side;    /* whose records */
    bool all;              /* no names were given */
    bool only_look;        /* no id is issued */
    struct chosen *chosen; /* on the heap; ordered by zone and domain after selection_look */
    size_t count, capacity;
    struct ledger *ledger; /* NULL: cannot be used */
    int lock;              /* while this command may issue ids; -1: not held */
    bool server_runs;
    bool issues;         /* ids, for changed policies */
    uint64_t wait_until; /* monotonic ms: a change that was just saved is waited for */
};

/* Builds the snapshot; false when the configuration cannot be used. selection_fini in any case. */
bool selection_init(struct selection *s, const struct options *options);
void selection_fini(struct selection *s);

/* Chooses by names and patterns (*.example.org), all without any; what is not there is an error
 * and gives false. */
bool selection_choose(struct selection *s, char *const *names, size_t count);

/* Opens the ledger. */
void selection_open_ledger(struct selection *s);
/* Looks the id of each tenant up. While no server runs, changed policies get theirs here; else only
 * ids whose policy it serves count (RFC 8461 §8.1: served first, announced second). With `changed`
 * only those stay whose record is not as the ledger was told, withdrawn ones are added; with
 * `since` only ids issued then or later. */
void selection_look(struct selection *s, bool changed, time_t since);

/* --- receipt.c --- */
/* Writes what was printed, for receipt_mark: a line "DOMAIN ID" a tenant, "DOMAIN -" for a
 * withdrawn one. False with a message. */
bool receipt_write(const struct selection *s, const char *path);
/* Tells the ledger that what the receipt says is in DNS. False with a message. */
bool receipt_mark(struct selection *s, const char *path);

/* --- progress.c --- */
/* On a terminal, and when it takes more than a second, a line that counts. */
struct progress {
    const char *what;
    size_t total;
    uint64_t next; /* monotonic ms */
    bool shown;
};
void progress_begin(struct progress *p, const char *what, size_t total);
void progress_at(struct progress *p, size_t done);
void progress_end(struct progress *p);

#endif
