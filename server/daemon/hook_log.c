#include "server/daemon/hook_log.h"

#include <stdio.h>

#include "server/sys/clock.h"
#include "server/sys/log.h"

enum { LINES = 10 }; /* of the beginning, and of the end */

static void log_run(struct log_line *line, const struct hook_batch *b,
                    const struct process_end *end)
{
    char seconds[32];

    log_int(line, "tenants", (long long)b->count);
    log_int(line, "removed", (long long)b->removed);
    if (!end)
        return;
    snprintf(seconds, sizeof(seconds), "%llu.%03u", (unsigned long long)end->ms / 1000,
             (unsigned)(end->ms % 1000));
    log_cstr(line, "seconds", seconds);
}

void hook_log_done(const struct hook_batch *b, const struct process_end *end)
{
    struct log_line line;

    log_begin(&line, LOG_LEVEL_INFO, "on-change");
    log_cstr(&line, "result", "done");
    log_run(&line, b, end);
    log_int(&line, "pending", (long long)(b->pending - b->count));
    log_end(&line);
}

static void log_output(struct sts_str text)
{
    struct log_line line;

    log_begin(&line, LOG_LEVEL_WARNING, "on-change-output");
    log_str(&line, "line", text);
    log_end(&line);
}

static size_t hook_log_count_lines(struct sts_str text)
{
    size_t lines = 0;

    for (size_t at = 0; at < text.len; at = sts_str_find(text, '\n', at) + 1)
        lines++;
    return lines;
}

/* A part of the output, without the lines from `from` up to `to`. */
static void log_lines(struct sts_str text, size_t from, size_t to)
{
    size_t n = 0;

    for (size_t at = 0; at < text.len; n++) {
        size_t end = sts_str_find(text, '\n', at);
        if (n < from || n >= to)
            log_output(sts_str_sub(text, at, end));
        else if (n == from)
            log_output(STS_STR("[...]"));
        at = end + 1;
    }
}

static void log_ends(struct sts_str text)
{
    size_t lines = hook_log_count_lines(text);

    if (lines > 2 * LINES)
        log_lines(text, LINES, lines - LINES);
    else
        log_lines(text, lines, lines);
}

void hook_log_failed(const struct sts_settings *settings, const struct hook_state *state,
                     const struct hook_batch *b, const struct process_end *end)
{
    struct log_line line;

    log_begin(&line, LOG_LEVEL_ERROR, "on-change");
    log_cstr(&line, "result", "failed");
    log_cstr(&line, "reason", state->result);
    if (settings->on_change_count)
        log_str(&line, "program", settings->on_change[0]);
    log_run(&line, b, end);
    log_int(&line, "failures", state->failures);
    if (state->phase == HOOK_WAITING)
        log_int(&line, "next_try_seconds", (long long)(state->next_try - clock_wall()));
    log_end(&line);
    if (!end)
        return;
    if (end->left_out) {
        log_ends(sts_str_sub(end->output, 0, end->left_out_at));
        log_output(STS_STR("[...]"));
        log_ends(sts_str_sub(end->output, end->left_out_at, end->output.len));
    } else {
        log_ends(end->output);
    }
}
