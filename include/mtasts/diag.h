/* Diagnostics: what is wrong, where, and what would be right. They are values, collected and
 * passed up; only the shell prints them. Codes are stable: operators and scripts rely on them. */
#ifndef MTASTS_DIAG_H
#define MTASTS_DIAG_H

#include <stdint.h>

#include "mtasts/arena.h"

enum sts_severity { STS_NOTE, STS_WARNING, STS_ERROR };

/* A place in a source. line and column count from 1 (columns in characters); 0: not known. */
struct sts_pos {
    struct sts_str source; /* file name, "-" for standard input */
    uint32_t line, column;
};

struct sts_diag {
    enum sts_severity severity;
    const char *code; /* static, kebab-case, e.g. "mx-underscore" */
    struct sts_pos where;
    struct sts_str tenant;  /* policy domain it concerns, or empty */
    struct sts_str message; /* one line, no final full stop */
    struct sts_str help;    /* what would be right, or empty */
    struct sts_pos related; /* second place ("first defined here"), or line 0 */
    struct sts_diag *next;
};

/* A list of diagnostics in the order they were found. Initialise with sts_diags_init; entries live
 * in the arena given there. */
struct sts_diags {
    struct sts_arena *arena;
    struct sts_diag *first, **tail;
    size_t errors, warnings, notes;
};

void sts_diags_init(struct sts_diags *d, struct sts_arena *arena);

/* Appends one and returns it so that the caller can set tenant, help and related. The message is
 * formatted into the arena; bytes that are not printable ASCII are escaped. */
struct sts_diag *sts_diag_add(struct sts_diags *d, enum sts_severity severity, const char *code,
                              struct sts_pos where, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* Sets the help line, same escaping. */
void sts_diag_help(struct sts_diags *d, struct sts_diag *diag, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Copies one diagnostic (with its strings) to the end of `to`, whatever list it is in. */
void sts_diags_add_copy(struct sts_diags *to, const struct sts_diag *diag);
/* The same with every diagnostic of `from`. */
void sts_diags_append(struct sts_diags *to, const struct sts_diags *from);

/* A copy of all of them in one piece of the heap, which free() ends; nothing can be added to it.
 * NULL when there are none. */
struct sts_diags *sts_diags_pack(const struct sts_diags *from);

size_t sts_diags_count(const struct sts_diags *d);

const char *sts_severity_name(enum sts_severity s); /* "note", "warning", "error" */

/* One diagnostic as text, newline at the end of every line:
 *     file:line:column: error: MESSAGE [code]
 *         help: HELP
 *         file:line:column: see also here
 * Without a known line, "file: error: ..."; without a source, "error: ...". */
void sts_diag_render_text(struct sts_buf *out, const struct sts_diag *diag, bool colour);
/* All of them as one JSON array, no newline. */
void sts_diags_render_json(struct sts_buf *out, const struct sts_diags *d);

#endif
