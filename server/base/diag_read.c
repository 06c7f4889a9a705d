/* Diagnostics back from JSON. */
#include <string.h>

#include "server/base/json.h"

static bool severity_of(const char *name, enum sts_severity *out)
{
    for (enum sts_severity s = STS_NOTE; name && s <= STS_ERROR; s++)
        if (strcmp(name, sts_severity_name(s)) == 0) {
            *out = s;
            return true;
        }
    return false;
}

static struct sts_pos read_pos(struct sts_arena *arena, const json_t *pos)
{
    return (struct sts_pos){sts_json_text(arena, pos, "source"),
                            (uint32_t)json_integer_value(json_object_get(pos, "line")),
                            (uint32_t)json_integer_value(json_object_get(pos, "column"))};
}

/* Message and help were made printable by whoever wrote them. */
static bool diag_read_one(struct sts_diags *out, const json_t *object)
{
    struct sts_arena *arena = out->arena;
    struct sts_str code = sts_json_line(arena, object, "code");
    struct sts_str message = sts_json_line(arena, object, "message");
    enum sts_severity severity;

    if (!code.len || !message.len ||
        !severity_of(json_string_value(json_object_get(object, "severity")), &severity))
        return false;
    struct sts_diag *diag = sts_diag_add(
        out, severity, code.ptr, read_pos(arena, json_object_get(object, "where")), "%s", "");
    diag->tenant = sts_json_line(arena, object, "tenant");
    diag->message = message;
    diag->help = sts_json_line(arena, object, "help");
    diag->related = read_pos(arena, json_object_get(object, "related"));
    return true;
}

bool sts_diags_from_json(struct sts_diags *out, const json_t *array)
{
    struct sts_diags read;
    const json_t *object;
    size_t i;

    if (!json_is_array(array))
        return false;
    sts_diags_init(&read, out->arena);
    json_array_foreach(array, i, object)
    {
        if (!diag_read_one(&read, object))
            return false;
    }
    sts_diags_append(out, &read);
    return true;
}
