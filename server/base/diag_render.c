/* Diagnostics for people (text) and programs (JSON). */
#include "mtasts/diag.h"

#include <jansson.h>

#include "server/base/json.h"

static void add_pos(struct sts_buf *out, struct sts_pos pos)
{
    if (!pos.source.len)
        return;
    sts_buf_add_escaped(out, pos.source, 4096);
    if (pos.line)
        sts_buf_printf(out, ":%u", pos.line);
    if (pos.line && pos.column)
        sts_buf_printf(out, ":%u", pos.column);
    sts_buf_add(out, STS_STR(": "));
}

static const char *severity_colour(enum sts_severity s)
{
    static const char *const colours[] = {"\033[36m", "\033[33m", "\033[31m"};
    return colours[s];
}

void sts_diag_render_text(struct sts_buf *out, const struct sts_diag *diag, bool colour)
{
    add_pos(out, diag->where);
    sts_buf_printf(out, "%s%s:%s %.*s [%s]\n", colour ? severity_colour(diag->severity) : "",
                   sts_severity_name(diag->severity), colour ? "\033[0m" : "",
                   STS_ARG(diag->message), diag->code);
    if (diag->help.len)
        sts_buf_printf(out, "    help: %.*s\n", STS_ARG(diag->help));
    if (diag->related.line) {
        sts_buf_add(out, STS_STR("    "));
        add_pos(out, diag->related);
        sts_buf_add(out, STS_STR("see also here\n"));
    }
}

static json_t *pos_json(struct sts_pos pos)
{
    json_t *object = json_object();
    json_object_set_new(object, "source", sts_json_str(pos.source));
    json_object_set_new(object, "line", json_integer(pos.line));
    json_object_set_new(object, "column", json_integer(pos.column));
    return object;
}

static json_t *diag_json(const struct sts_diag *diag)
{
    json_t *object = json_object();
    json_object_set_new(object, "severity", json_string(sts_severity_name(diag->severity)));
    json_object_set_new(object, "code", json_string(diag->code));
    json_object_set_new(object, "where", pos_json(diag->where));
    if (diag->tenant.len)
        json_object_set_new(object, "tenant", sts_json_str(diag->tenant));
    json_object_set_new(object, "message", sts_json_str(diag->message));
    if (diag->help.len)
        json_object_set_new(object, "help", sts_json_str(diag->help));
    if (diag->related.line)
        json_object_set_new(object, "related", pos_json(diag->related));
    return object;
}

json_t *sts_diags_json(const struct sts_diags *d)
{
    json_t *array = json_array();
    for (const struct sts_diag *diag = d->first; diag; diag = diag->next)
        json_array_append_new(array, diag_json(diag));
    return array;
}

void sts_diags_render_json(struct sts_buf *out, const struct sts_diags *d)
{
    sts_json_render(out, sts_diags_json(d), false);
}
