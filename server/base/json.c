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

static struct sts_str text_at(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return (struct sts_str){json_string_value(value), json_string_length(value)};
}

struct sts_str sts_json_text(struct sts_arena *arena, const json_t *object, const char *key)
{
    return sts_arena_dup(arena, text_at(object, key));
}

struct sts_str sts_json_line(struct sts_arena *arena, const json_t *object, const char *key)
{
    struct sts_str text = text_at(object, key);
    struct sts_buf line = {0};
    bool plain = true;

    for (size_t i = 0; i < text.len; i++)
        plain &= text.ptr[i] >= ' ' && text.ptr[i] <= '~';
    if (!plain)
        sts_buf_add_escaped(&line, text, text.len);
    text = sts_arena_dup(arena, plain ? text : sts_buf_str(&line));
    sts_buf_fini(&line);
    return text;
}
