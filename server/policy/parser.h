/* Shared by parse.c (lines) and parse_field.c (fields): a policy text half-way to its value. */
#ifndef MTASTS_POLICY_PARSER_H
#define MTASTS_POLICY_PARSER_H

#include "mtasts/policy.h"

enum field { FIELD_VERSION, FIELD_MODE, FIELD_MX, FIELD_MAX_AGE, FIELDS };

struct seen {
    bool present;
    struct sts_pos where; /* of the value */
    struct sts_pos name;
    struct sts_pos near; /* a line that was probably meant to be this field, or line 0 */
};

struct mx_entry {
    struct sts_str mx;
    struct sts_pos where;
};

struct parser {
    struct sts_arena *arena;
    struct sts_diags *diags;
    struct sts_pos pos; /* the current line */
    size_t shift;       /* octets of it already taken (a byte order mark) */
    struct seen seen[FIELDS];
    struct sts_policy policy;
    struct mx_entry *mx;
    size_t mx_count, mx_capacity;
    bool has_lf, has_crlf;
};

extern const char *const sts_parser_field_names[]; /* by enum field, then NULL */

/* A diagnostic in the current line at this column, counted from 0. */
struct sts_diag *sts_parser_report(struct parser *p, enum sts_severity severity, const char *code,
                                   size_t column, const char *message, const char *help);
struct sts_pos sts_parser_at(const struct parser *p, size_t column);

/* One well-shaped line: `name` a field name, `value` without white space around it. */
void sts_parser_take(struct parser *p, struct sts_str name, struct sts_str value, size_t column);
/* Remembers that this line, refused or not, looks like the field it does not name. */
void sts_parser_note_near(struct parser *p, struct sts_str name);
/* Sorts the mx entries into the policy, reports repeated ones. Returns the place of each. */
const struct sts_pos *sts_parser_finish_mx(struct parser *p);

#endif
