#include "server/cli/predict.h"

enum { LINES_MAX = 100 };

struct report {
    struct sts_buf *out;
    json_t *list;
    size_t count;
    bool diff;
};

static const char *const words[] = {
    [CHANGE_ADDED] = "added", [CHANGE_CHANGED] = "changed", [CHANGE_REMOVED] = "removed"};
static const char signs[] = {[CHANGE_ADDED] = '+', [CHANGE_CHANGED] = '~', [CHANGE_REMOVED] = '-'};

static struct sts_str body_after(const struct snapshot_change *change)
{
    return change->tenant ? change->tenant->body : (struct sts_str){0};
}

/* The next line of a body without its end; false when there is none. */
static bool next_line(struct sts_str *rest, struct sts_str *line)
{
    size_t end = sts_str_find(*rest, '\n', 0);

    if (!rest->len)
        return false;
    *line = sts_str_sub(*rest, 0, end);
    if (line->len && line->ptr[line->len - 1] == '\r')
        line->len--;
    *rest = sts_str_sub(*rest, end + 1, rest->len);
    return true;
}

static bool has_line(struct sts_str body, struct sts_str wanted)
{
    struct sts_str line;

    while (next_line(&body, &line))
        if (sts_str_eq(line, wanted))
            return true;
    return false;
}

/* Bodies are short and in one order, so what is missing, and then the new one, says it all. */
static void print_diff(struct sts_buf *out, struct sts_str before, struct sts_str after)
{
    struct sts_str line;

    for (struct sts_str rest = before; next_line(&rest, &line);)
        if (!has_line(after, line))
            sts_buf_printf(out, "    -%.*s\n", STS_ARG(line));
    for (struct sts_str rest = after; next_line(&rest, &line);)
        sts_buf_printf(out, "    %c%.*s\n", has_line(before, line) ? ' ' : '+', STS_ARG(line));
}

static void print_change(void *data, const struct snapshot_change *change)
{
    struct report *report = data;

    if (report->count++ >= LINES_MAX && !report->diff)
        return;
    sts_buf_printf(report->out, "  %c %.*s %s\n", signs[change->kind], STS_ARG(change->domain),
                   words[change->kind]);
    if (report->diff)
        print_diff(report->out, change->body, body_after(change));
}

void predict_text(struct sts_buf *out, const struct snapshot *s, const struct served *served,
                  bool diff)
{
    struct report report = {.out = out, .diff = diff};

    if (!served->count)
        return;
    snapshot_each_change(s, NULL, served, print_change, &report);
    if (report.count > LINES_MAX && !diff)
        sts_buf_printf(out, "  and %zu more (--diff shows all)\n", report.count - LINES_MAX);
}

static json_t *text_or_null(struct sts_str text)
{
    return text.len ? sts_json_str(text) : json_null();
}

static void list_change(void *data, const struct snapshot_change *change)
{
    struct report *report = data;
    json_t *object = json_object();

    json_object_set_new(object, "domain", sts_json_str(change->domain));
    json_object_set_new(object, "change", json_string(words[change->kind]));
    json_object_set_new(object, "before", text_or_null(change->body));
    json_object_set_new(object, "after", text_or_null(body_after(change)));
    json_array_append_new(report->list, object);
}

json_t *predict_json(const struct snapshot *s, const struct served *served)
{
    struct report report = {.list = json_array()};

    if (s)
        snapshot_each_change(s, NULL, served, list_change, &report);
    return report.list;
}
