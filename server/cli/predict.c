#include "server/cli/predict.h"

enum { LINES_MAX = 100 };

/* The next line of a body without its end; false when there is none. */
static bool predict_next_line(struct sts_str *rest, struct sts_str *line)
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

    while (predict_next_line(&body, &line))
        if (sts_str_eq(line, wanted))
            return true;
    return false;
}

static void print_line(struct sts_buf *out, char mark, struct sts_str line)
{
    sts_buf_printf(out, "    %c", mark);
    sts_buf_add_escaped(out, line, line.len);
    sts_buf_add_cstr(out, "\n");
}

/* Bodies are short and in one order, so what is missing, and then the new one, says it all. */
static void print_diff(struct sts_buf *out, struct sts_str before, struct sts_str after)
{
    struct sts_str line;

    for (struct sts_str rest = before; predict_next_line(&rest, &line);)
        if (!has_line(after, line))
            print_line(out, '-', line);
    for (struct sts_str rest = after; predict_next_line(&rest, &line);)
        print_line(out, has_line(before, line) ? ' ' : '+', line);
}

/* '+' for added and so on; '?' for what this program does not know. */
static char predict_sign(struct sts_str change)
{
    return sts_str_is(change, "added")     ? '+'
           : sts_str_is(change, "changed") ? '~'
           : sts_str_is(change, "removed") ? '-'
                                           : '?';
}

static void print_change(struct sts_buf *out, const json_t *change, bool diff)
{
    struct sts_arena *arena = sts_arena_new();
    struct sts_str domain = sts_json_line(arena, change, "domain");
    struct sts_str what = sts_json_line(arena, change, "change");

    sts_buf_printf(out, "  %c %.*s %.*s\n", predict_sign(what), STS_ARG(domain), STS_ARG(what));
    if (diff)
        print_diff(out, sts_json_text(arena, change, "before"),
                   sts_json_text(arena, change, "after"));
    sts_arena_free(arena);
}

void predict_text(struct sts_buf *out, const json_t *changes, bool diff)
{
    size_t count = json_array_size(changes), shown = diff || count < LINES_MAX ? count : LINES_MAX;

    for (size_t i = 0; i < shown; i++)
        print_change(out, json_array_get(changes, i), diff);
    if (shown < count)
        sts_buf_printf(out, "  and %zu more (--diff shows all)\n", count - shown);
}
