#include "server/sys/log.h"

#include <string.h>
#include <unistd.h>

enum { VALUE_MAX = 600 };

static void put(struct log_line *line, const char *text, size_t len)
{
    /* Room for the cut mark and the newline stays reserved. */
    size_t room = sizeof(line->text) - line->len - sizeof("...\n");
    if (len > room)
        len = room;
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

static void put_str(struct log_line *line, struct sts_str s)
{
    put(line, s.ptr ? s.ptr : "", s.len);
}

void log_begin(struct log_line *line, enum log_level level, const char *event)
{
    static const char *const names[] = {"error", "warning", "info"};

    line->len = 0;
    put_str(line, STS_STR("level="));
    put_str(line, sts_str_from(names[level]));
    put_str(line, STS_STR(" event="));
    put_str(line, sts_str_from(event));
}

static bool needs_quotes(struct sts_str value)
{
    if (value.len == 0)
        return true;
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\')
            return true;
    }
    return false;
}

void log_str(struct log_line *line, const char *key, struct sts_str value)
{
    struct sts_buf escaped = {0};
    bool quotes = needs_quotes(value);

    sts_buf_add_escaped(&escaped, value, VALUE_MAX);
    put_str(line, STS_STR(" "));
    put_str(line, sts_str_from(key));
    put_str(line, quotes ? STS_STR("=\"") : STS_STR("="));
    for (size_t i = 0; i < escaped.len; i++) {
        if (escaped.ptr[i] == '"')
            put_str(line, STS_STR("\\"));
        put(line, escaped.ptr + i, 1);
    }
    if (quotes)
        put_str(line, STS_STR("\""));
    sts_buf_fini(&escaped);
}

void log_cstr(struct log_line *line, const char *key, const char *value)
{
    log_str(line, key, sts_str_from(value));
}

void log_int(struct log_line *line, const char *key, long long value)
{
    char digits[32];
    size_t at = sizeof(digits);
    unsigned long long rest =
        value < 0 ? 0ULL - (unsigned long long)value : (unsigned long long)value;

    do
        digits[--at] = (char)('0' + rest % 10);
    while (rest /= 10);
    if (value < 0)
        digits[--at] = '-';
    log_str(line, key, (struct sts_str){digits + at, sizeof(digits) - at});
}

void log_end(struct log_line *line)
{
    if (line->len + sizeof("...\n") >= sizeof(line->text)) {
        memcpy(line->text + line->len, "...", 3);
        line->len += 3;
    }
    line->text[line->len++] = '\n';
    ssize_t written = write(STDERR_FILENO, line->text, line->len);
    (void)written;
}

static void log_place(struct log_line *line, struct sts_pos where)
{
    if (!where.source.len)
        return;
    struct sts_buf text = {0};
    sts_buf_add(&text, where.source);
    if (where.line)
        sts_buf_printf(&text, ":%u:%u", where.line, where.column);
    log_str(line, "where", sts_buf_str(&text));
    sts_buf_fini(&text);
}

void log_diag(const struct sts_diag *diag)
{
    static const enum log_level levels[] = {[STS_NOTE] = LOG_LEVEL_INFO,
                                            [STS_WARNING] = LOG_LEVEL_WARNING,
                                            [STS_ERROR] = LOG_LEVEL_ERROR};
    struct log_line line;

    log_begin(&line, levels[diag->severity], "diagnostic");
    if (diag->tenant.len)
        log_str(&line, "tenant", diag->tenant);
    log_cstr(&line, "code", diag->code);
    log_place(&line, diag->where);
    log_str(&line, "message", diag->message);
    if (diag->help.len)
        log_str(&line, "help", diag->help);
    if (diag->related.line) {
        struct sts_str also = diag->related.source;
        log_str(&line, "see", also);
        log_int(&line, "see_line", diag->related.line);
    }
    log_end(&line);
}
