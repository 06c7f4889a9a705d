/* Report: what a build says, as JSON. `check` prints it, whoever built: itself or the running
 * server. */
#ifndef MTASTS_SNAPSHOT_REPORT_H
#define MTASTS_SNAPSHOT_REPORT_H

#include "server/base/json.h"
#include "server/snapshot/snapshot.h"

struct report_input {
    const struct snapshot *snapshot; /* NULL: nothing came of it */
    const struct snapshot *previous; /* compared with this or, when NULL, with... */
    const struct served *served;     /* ...this */
    const struct sts_diags *diags;
    const char *compared_with; /* "server", "served", "ledger", or NULL for nothing */
    const char *config;        /* the main file, as it is called in `diags` */
};

/* {"usable", "config", "compared_with", "errors", "warnings", "counts": {...},
 *  "tenants": [{"domain", "state", "kept"}],
 *  "changes": [{"domain", "change": "added" | "changed" | "removed", "before", "after"}],
 *  "diagnostics": [...]} */
json_t *report_json(const struct report_input *input);

/* {"tenants", "served", "without_certificate", "refused", "kept", "retiring"} */
json_t *report_counts(const struct snapshot *s);

#endif
