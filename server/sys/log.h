/* Log: one line per event on standard error, logfmt (key=value), written with one write(2) so that
 * lines of several threads never mix. Values are quoted and escaped: input cannot forge a line. */
#ifndef MTASTS_SYS_LOG_H
#define MTASTS_SYS_LOG_H

#include "mtasts/diag.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO };

/* A line under construction, on the caller's stack; bounded, too long values are cut with "...". */
struct log_line {
    char text[2048];
    size_t len;
};

void log_begin(struct log_line *line, enum log_level level, const char *event);
void log_str(struct log_line *line, const char *key, struct sts_str value);
void log_cstr(struct log_line *line, const char *key, const char *value);
void log_int(struct log_line *line, const char *key, long long value);
void log_end(struct log_line *line); /* writes it; failures are ignored, nothing blocks on them */

/* One diagnostic as a log line (tenant first when there is one). */
void log_diag(const struct sts_diag *diag);

#endif
