/* JSON output by jansson: our slices in, valid UTF-8 out, whatever the bytes. */
#ifndef MTASTS_BASE_JSON_H
#define MTASTS_BASE_JSON_H

#include <jansson.h>

#include "mtasts/diag.h"

/* A JSON string; bytes that are not UTF-8 are escaped as \xHH text. */
json_t *sts_json_str(struct sts_str s);
/* Appends the value (indented by two when pretty) and releases it. Key order is insertion order. */
void sts_json_render(struct sts_buf *out, json_t *value, bool pretty);
/* A JSON array of diagnostics, for embedding. */
json_t *sts_diags_json(const struct sts_diags *d);

#endif
