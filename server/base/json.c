#include "server/base/json.h"

#include "server/base/memory.h"

json_t *sts_json_str(struct sts_str s)
{
    json_t *value = json_stringn(s.ptr ? s.ptr : "", s.len);
    if (value)
        return value;
    struct sts_buf escaped = {0};
    sts_buf_add_escaped(&escaped, s, s.len);
    value = sts_must(json_stringn(escaped.ptr, escaped.len));
    sts_buf_fini(&escaped);
    return value;
}

static int add_chunk(const char *chunk, size_t size, void *out)
{
    sts_buf_add(out, (struct sts_str){chunk, size});
    return 0;
}

void sts_json_render(struct sts_buf *out, json_t *value, bool pretty)
{
    size_t flags = JSON_ENSURE_ASCII | (pretty ? JSON_INDENT(2) : JSON_COMPACT);

    sts_must(value);
    if (json_dump_callback(value, add_chunk, out, flags) != 0)
        sts_must(NULL);
    json_decref(value);
}
