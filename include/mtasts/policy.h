/* The MTA-STS policy: RFC 8461 §3.2. Bytes to value (parse), value to bytes (render), and lints
 * against what real senders and checkers do (a table). */
#ifndef MTASTS_POLICY_H
#define MTASTS_POLICY_H

#include "mtasts/arena.h"
#include "mtasts/diag.h"

#define STS_MAX_AGE_LIMIT   31557600u /* seconds, RFC 8461 §3.2 */
#define STS_POLICY_MAX      65536     /* octets a sender need accept, RFC 8461 §3.3 */
#define STS_POLICY_HARD_MAX 10240     /* octets; chasquid silently cuts beyond */
#define STS_DIGEST_LEN      32        /* SHA-256 */

enum sts_mode { STS_MODE_NONE, STS_MODE_TESTING, STS_MODE_ENFORCE };

/* A policy in canonical form: mx patterns canonical, sorted bytewise, without duplicates.
 * Order has no meaning in RFC 8461, so sorting makes equal policies equal bytes. */
struct sts_policy {
    enum sts_mode mode;
    uint32_t max_age;         /* seconds */
    const struct sts_str *mx; /* borrowed from the arena it was made in */
    size_t mx_count;
};

const char *sts_mode_name(enum sts_mode mode);
bool sts_mode_from(struct sts_str name, enum sts_mode *out); /* exact, RFC 8461 §3.2 */
extern const char *const sts_mode_names[];                   /* ends with NULL */

/* Sorts and de-duplicates policy->mx (an array in the arena, copied). Call after binding. */
void sts_policy_canonicalise(struct sts_arena *arena, struct sts_policy *policy);

/* Parses a body as RFC 8461 §3.2 says (LF or CRLF; unknown fields ignored; first of a repeated
 * field counts) and reports every deviation: an error where the RFC makes it invalid, a warning
 * where the RFC allows it but a sender or checker is known to be hurt. False if any error. */
bool sts_policy_parse(struct sts_arena *arena, struct sts_str body, struct sts_str source,
                      struct sts_diags *diags, struct sts_policy *out);

/* The one form we serve: CRLF after every line; version, mode, mx..., max_age. `policy` must be
 * canonical and valid: this asserts that no value can escape its line. */
void sts_policy_render(struct sts_buf *out, const struct sts_policy *policy);
/* SHA-256 of the rendered canonical body: equal if and only if the policies are. */
void sts_policy_digest(const struct sts_policy *policy, unsigned char out[STS_DIGEST_LEN]);

/* What a lint may look at besides the policy. */
struct sts_lint_context {
    struct sts_str domain; /* policy domain, or empty when not known (lint of a bare body) */
    bool tlsrpt_known;     /* whether `has_tlsrpt` means anything */
    bool has_tlsrpt;       /* the tenant publishes a TLS-RPT address (RFC 8460) */
    struct sts_pos where;  /* used for fields without a place of their own */
    struct sts_pos mode_where, max_age_where;
    const struct sts_pos *mx_where; /* per policy->mx entry, or NULL */
};

/* One lint: a row of the table that `lint`, `check`, the man page and its test walk. */
struct sts_lint {
    const char *code;
    enum sts_severity severity;
    const char *hurts; /* who: "chasquid, Stalwart" */
    const char *why;   /* one clause */
    const char *fix;   /* what to do */
};
extern const struct sts_lint sts_lints[]; /* ends with code NULL */

/* sts_policy_parse that also tells where things are, for the lints: sets the places of `places`
 * and nothing else in it. Only written on success. */
bool sts_policy_parse_places(struct sts_arena *arena, struct sts_str body, struct sts_str source,
                             struct sts_diags *diags, struct sts_policy *out,
                             struct sts_lint_context *places);

/* Runs all lints on a canonical, valid policy. Adds diagnostics; true if none was an error. */
bool sts_policy_lint(const struct sts_policy *policy, const struct sts_lint_context *context,
                     struct sts_diags *diags);

#endif
