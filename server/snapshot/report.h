/* Report: what a build says, as JSON. `check` prints it, whoever built: itself or the running
 * server. And which diagnostics are alarms: `check` and `status` exit with 1 for them. */
#ifndef MTASTS_SNAPSHOT_REPORT_H
#define MTASTS_SNAPSHOT_REPORT_H

#include "server/base/json.h"
#include "server/snapshot/snapshot.h"

struct report_input {
    const struct snapshot *snapshot; /* NULL: nothing came of it */
    const struct snapshot *previous; /* compared with this or, when NULL, with... */
    const struct served *served;     /* ...this */
    struct sts_diags *diags;         /* certificates that are overdue at `now` are added to them */
    time_t now;
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

/* Warnings for which somebody must act, by code; the last has none. All other warnings are advice
 * that may be left as it is, or end by themselves. */
struct report_alarm {
    const char *code, *why; /* what happens to mail or policies if nobody acts */
};
extern const struct report_alarm report_alarms[];

/* An error, or one of these. */
bool report_is_alarm(const struct sts_diag *diag);
bool report_any_alarm(const struct sts_diags *diags);

/* Adds tenant-removed: `domain` was removed while senders may hold its policy, until then. */
void report_removed(struct sts_diags *diags, struct sts_pos where, struct sts_str domain,
                    time_t until);

#endif
