/* Served: what was served last, tenant by tenant: last good for a builder that has no snapshot
 * before it. It comes from the ledger after a start, from the running server for `check`. */
#ifndef MTASTS_SNAPSHOT_SERVED_H
#define MTASTS_SNAPSHOT_SERVED_H

#include <time.h>

#include "mtasts/arena.h"
#include "server/ledger/ledger.h"

struct served_tenant {
    struct sts_str domain;
    struct sts_str body; /* exactly as it was served */
    struct sts_str file; /* that it was served from, as tenant_stored_file; empty: not known */
};

struct served {
    struct sts_arena *arena;
    struct served_tenant *tenants; /* sorted by domain */
    size_t count, capacity;
    struct sts_arena *scratch;
    struct sts_str recent[64]; /* bodies and files, by hash: many tenants have the same */
};

void served_init(struct served *served);
void served_fini(struct served *served);
/* Copies; in the order of domains. */
void served_add(struct served *served, const struct served_tenant *tenant);
/* Everything that is current in the ledger. False with an error in `diags`. */
bool served_from_ledger(struct served *served, struct ledger *ledger, struct sts_diags *diags);
/* Whether any tenant was served from this file, as the ledger calls it. */
bool served_from_file(const struct served *served, struct sts_str file);
const struct served_tenant *served_find(const struct served *served, struct sts_str domain);

#endif
