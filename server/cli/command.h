/* Commands: one file each, listed in the table of command.c, from which usage and completions come.
 *
 * Exit codes are the same for all: fine, errors found, wrong usage, could not look. */
#ifndef MTASTS_CLI_COMMAND_H
#define MTASTS_CLI_COMMAND_H

#include "mtasts/config.h"
#include "mtasts/diag.h"

enum exit_code { EXIT_FINE = 0, EXIT_ERRORS = 1, EXIT_USAGE = 2, EXIT_BLIND = 3 };

#define CONFIG_STANDARD "/etc/mta-stsd/mta-stsd.yaml"

/* Options of all commands; each command names those it takes. */
struct options {
    const char *config; /* -c, --config */
    const char *format; /* --format, or NULL */
    const char *ready_file;
    const char *zone_file, *domain; /* of import, or NULL */
    bool txt, tlsrpt;
    bool diff;
    const char *zone, *side, *since; /* of records */
    const char *receipt, *mark_published;
    bool changed, relative, check;
    char **arguments; /* what is not an option; ends with NULL */
    size_t argument_count;
};

struct command {
    const char *name;
    const char *synopsis; /* options and arguments */
    const char *summary;  /* one clause */
    const char *options;  /* long names it takes, each followed by a space */
    enum exit_code (*run)(const struct options *options);
};
extern const struct command commands[]; /* ends with name NULL */

enum exit_code command_serve(const struct options *options);
enum exit_code command_check(const struct options *options);
enum exit_code command_lint(const struct options *options);
enum exit_code command_records(const struct options *options);
enum exit_code command_plan(const struct options *options);
enum exit_code command_log(const struct options *options);
enum exit_code command_status(const struct options *options);
enum exit_code command_export(const struct options *options);
enum exit_code command_import(const struct options *options);
enum exit_code command_version(const struct options *options);
enum exit_code command_help(const struct options *options);

/* What `help completion` prints (completion.c). */
void completion_reference(struct sts_buf *out);

/* --- shared output (output.c) --- */
/* Colour only on a terminal and without NO_COLOR (https://no-color.org). */
bool output_colour(int descriptor);
/* Diagnostics of at least this severity as text on standard error. */
void output_diags(const struct sts_diags *diags, enum sts_severity least);
/* All of it on standard output; false (with a message) when it cannot be written. */
bool output_write(struct sts_str text);
/* The same of what is held, which is empty then, once it is more than `most` bytes: however much a
 * command prints, it holds a piece. */
enum { OUTPUT_PIECE = 1 << 16 };
bool output_pieces(struct sts_buf *held, size_t most);
/* "mta-stsd: MESSAGE" on standard error. */
void output_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Whether nothing could be looked at: the file given is unreadable. */
bool output_blind(const struct sts_diags *diags, const char *file);
/* --format of a command with these two: "json", or "text" (also NULL). */
bool output_is_json(const char *format);
bool output_is_format(const char *format);
/* The ledger that the configuration in `base_dir` names, for reading; NULL with an error. */
struct ledger;
struct ledger *output_ledger(struct sts_arena *arena, struct sts_str base_dir,
                             const struct sts_path *path, struct sts_diags *diags);

#endif
