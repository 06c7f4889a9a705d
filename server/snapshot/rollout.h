/* Rollout: what to do next for one tenant, and from when on it is safe: testing to enforce, other
 * MX hosts, the end of a policy. The dates come from what senders may still hold of the policies
 * that were served (RFC 8461 sections 5.1, 8.1 and 8.3). Whether DNS, MX hosts and TLS reports are
 * in order is not known here: such steps wait for a person.
 *
 * rollout_plan computes over values; rollout_make and rollout_steps fetch them from the ledger. */
#ifndef MTASTS_SNAPSHOT_ROLLOUT_H
#define MTASTS_SNAPSHOT_ROLLOUT_H

#include "server/ledger/ledger.h"
#include "server/snapshot/snapshot.h"

/* A policy that was served. Times as in struct ledger_instance, but from 1970 to 9999. */
struct rollout_policy {
    char id[STS_ID_MAX + 1];
    struct sts_policy policy;
    time_t first_served, last_served, cached_until;
    bool damaged; /* its mx are not known; it counts as one that is enforced */
};

struct rollout_input {
    struct sts_str domain;
    const struct tenant *tenant;           /* NULL: not configured */
    bool reports;                          /* it says where TLS reports go (RFC 8460) */
    const struct rollout_policy *policies; /* all that were ever served, the oldest first */
    size_t count;
    const char *announced; /* the id that is in DNS by somebody's word; NULL: the ledger was not
                              told of any */
    time_t announced_at;
    bool announces; /* somebody tells the ledger each time (on_change) */
    time_t now;
};

enum rollout_situation {
    ROLLOUT_NOT_SERVED_YET,
    ROLLOUT_TESTING,
    ROLLOUT_ENFORCE,
    ROLLOUT_MX_MIGRATION,
    ROLLOUT_RETIRING,
    ROLLOUT_RETIRED, /* no sender holds a policy any more */
    ROLLOUT_REMOVED_TOO_EARLY,
    ROLLOUT_NONE, /* mode none, and no other policy was ever served */
};
const char *rollout_situation_name(enum rollout_situation situation); /* "mx migration" */

struct rollout {
    bool known; /* else it is neither configured nor was it ever served, and the rest is empty */
    enum rollout_situation situation;
    const struct rollout_policy *current; /* that is served, by the ledger; NULL: none */
    const struct sts_step *steps;         /* in the order in which they are to be done */
    size_t step_count;
    const struct sts_step *safe; /* what may be done from when on; the text continues "safe to" */
    size_t safe_count;
};
/* `out` and its strings in the arena; policies are borrowed from `in`. */
void rollout_plan(struct sts_arena *arena, const struct rollout_input *in, struct rollout *out);

/* The same of a domain from the ledger (NULL: nothing was ever served). False with errors in
 * `diags` when the ledger could not tell all; what is damaged counts as the worst there could be,
 * and the plan holds all the same. */
bool rollout_make(struct sts_arena *arena, struct ledger *ledger, const struct snapshot *s,
                  struct sts_str domain, time_t now, struct sts_diags *diags, struct rollout *out);
/* The steps of a tenant for the formats that show them. */
void rollout_steps(struct sts_arena *arena, struct ledger *ledger, const struct snapshot *s,
                   time_t now, struct sts_diags *diags, struct sts_record_set *out);

/* Dates in UTC as RFC 3339 has them, clamped to the years 1970 to 9999. */
enum { ROLLOUT_TIME_SIZE = 24 };
const char *rollout_time(char text[ROLLOUT_TIME_SIZE], time_t at); /* 2026-12-14T08:00:00Z */
const char *rollout_day(char text[ROLLOUT_TIME_SIZE], time_t at);  /* 2026-12-14 */
/* Days are enough for a date that is a promise: the first one that is wholly after it. */
const char *rollout_day_after(char text[ROLLOUT_TIME_SIZE], time_t until);
/* "4 weeks", "1 day", "90 seconds" */
enum { ROLLOUT_SPAN_SIZE = 24 };
const char *rollout_span(char text[ROLLOUT_SPAN_SIZE], uint32_t seconds);

#endif
