/* JSON by jansson: our slices in, valid UTF-8 out, whatever the bytes; and back. */
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
/* Adds what sts_diags_json wrote, here or in another process. False when it is none of that; then
 * nothing is added. */
bool sts_diags_from_json(struct sts_diags *out, const json_t *array);
/* The text at `key` of an object, in `arena`; empty when there is none. */
struct sts_str sts_json_text(struct sts_arena *arena, const json_t *object, const char *key);
/* The same for a terminal: what is not printable is escaped, what was escaped before stays. */
struct sts_str sts_json_line(struct sts_arena *arena, const json_t *object, const char *key);

#endif
