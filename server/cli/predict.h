/* What a reload would change, for `check`: one line a tenant, or both policies line by line. */
#ifndef MTASTS_CLI_PREDICT_H
#define MTASTS_CLI_PREDICT_H

#include "server/base/json.h"
#include "server/snapshot/snapshot.h"

/* Lines for people; `diff` with the policies. Nothing when `served` is empty: then everything is
 * new, and the summary says how much. */
void predict_text(struct sts_buf *out, const struct snapshot *s, const struct served *served,
                  bool diff);
/* [{"domain", "change": "added" | "changed" | "removed", "before", "after"}] */
json_t *predict_json(const struct snapshot *s, const struct served *served);

#endif
