/* What a reload would change, for `check`: one line a tenant, or both policies line by line. */
#ifndef MTASTS_CLI_PREDICT_H
#define MTASTS_CLI_PREDICT_H

#include "server/base/json.h"

/* Lines for people of the "changes" of a report (server/snapshot/report.h); `diff` with the
 * policies. */
void predict_text(struct sts_buf *out, const json_t *changes, bool diff);

#endif
