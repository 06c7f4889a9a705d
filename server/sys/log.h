/* Log: one line per event on standard error, logfmt (key=value), written with one write(2) so that
 * lines of several threads never mix. Values are quoted and escaped, all but printable ASCII as
 * \xHH: input cannot forge a line, and one long value cannot push out the others. */
#ifndef MTASTS_SYS_LOG_H
#define MTASTS_SYS_LOG_H

#include "mtasts/diag.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO };

/* A line under construction, on the caller's stack; bounded. A long value is cut and ends in "...";
 * a pair for which no room is left is dropped whole, and then the line ends in " ...". */
struct log_line {
    char text[2048];
    size_t len;
    bool cut;
};

void log_begin(struct log_line *line, enum log_level level, const char *event);
void log_str(struct log_line *line, const char *key, struct sts_str value);
void log_cstr(struct log_line *line, const char *key, const char *value);
void log_int(struct log_line *line, const char *key, long long value);
/* Writes it; failures are ignored. A reader that does not read is waited for once, a second at
 * most; then lines are dropped until it reads again, and the next one says how many (lost=N). */
void log_end(struct log_line *line);

/* One diagnostic as a log line (tenant first when there is one). Its message and help are escaped
 * already (mtasts/diag.h), in the same way, and are not escaped once more. */
void log_diag(const struct sts_diag *diag);

#endif
