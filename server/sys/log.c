#include "server/sys/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

/* VALUE_MAX: bytes of one value as written. PATIENCE: for a reader that does not read. */
enum { VALUE_MAX = 600, PATIENCE_MS = 1000 };

static struct {
    pthread_mutex_t lock;
    bool stuck;
    long long lost;
} output = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* All of it, or nothing and false. Room for the cut mark and the newline stays reserved. */
static bool log_put(struct log_line *line, struct sts_str s)
{
    if (s.len > sizeof(line->text) - sizeof(" ...\n") - line->len)
        return false;
    memcpy(line->text + line->len, s.ptr, s.len);
    line->len += s.len;
    return true;
}

void log_begin(struct log_line *line, enum log_level level, const char *event)
{
    static const char *const names[] = {"error", "warning", "info"};

    line->len = 0;
    line->cut = false;
    log_cstr(line, "level", names[level]);
    log_cstr(line, "event", event);
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

/* One byte as it may stand between quotes: printable ASCII, \" or \xHH. In what is escaped already
 * a backslash begins such an escape, and stays. */
static struct sts_str log_escape(unsigned char c, bool escaped, char out[4])
{
    static const char digits[] = "0123456789ABCDEF";

    if (c >= 0x20 && c < 0x7f && (c != '\\' || escaped) && c != '"') {
        out[0] = (char)c;
        return (struct sts_str){out, 1};
    }
    out[0] = '\\';
    out[1] = 'x';
    out[2] = digits[c >> 4];
    out[3] = digits[c & 15];
    if (c == '"')
        out[1] = '"';
    return (struct sts_str){out, c == '"' ? 2 : 4};
}

static bool put_value(struct log_line *line, struct sts_str value, bool escaped)
{
    size_t start = line->len;
    char bytes[4];

    for (size_t i = 0; i < value.len; i++) {
        struct sts_str piece = log_escape((unsigned char)value.ptr[i], escaped, bytes);
        if (line->len - start + piece.len > VALUE_MAX)
            return log_put(line, STS_STR("..."));
        if (!log_put(line, piece))
            return false;
    }
    return true;
}

static void log_put_pair(struct log_line *line, const char *key, struct sts_str value, bool escaped)
{
    size_t start = line->len;
    bool quotes = needs_quotes(value);

    if ((start == 0 || log_put(line, STS_STR(" "))) && log_put(line, sts_str_from(key)) &&
        log_put(line, quotes ? STS_STR("=\"") : STS_STR("=")) && put_value(line, value, escaped) &&
        (!quotes || log_put(line, STS_STR("\""))))
        return;
    line->len = start;
    line->cut = true;
}

void log_str(struct log_line *line, const char *key, struct sts_str value)
{
    log_put_pair(line, key, value, false);
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

/* POLLOUT on a pipe or socket means room for a line of ours, so that write(2) does not wait. */
static bool reader_reads(void)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    int ready;

    do
        ready = poll(&out, 1, output.stuck ? 0 : PATIENCE_MS);
    while (ready < 0 && errno == EINTR);
    output.stuck = ready == 0;
    return ready > 0;
}

static void log_say_lost(struct log_line *line)
{
    size_t before = line->len;

    if (output.lost)
        log_int(line, "lost", output.lost);
    if (line->len > before)
        output.lost = 0;
}

static void write_line(const struct log_line *line)
{
    size_t done = 0;

    while (done < line->len) {
        ssize_t n = write(STDERR_FILENO, line->text + done, line->len - done);
        if (n < 0 && errno != EINTR)
            return;
        if (n > 0)
            done += (size_t)n;
    }
}

void log_end(struct log_line *line)
{
    pthread_mutex_lock(&output.lock);
    if (reader_reads()) {
        log_say_lost(line);
        if (line->cut) {
            memcpy(line->text + line->len, " ...", 4);
            line->len += 4;
        }
        line->text[line->len++] = '\n';
        write_line(line);
    } else {
        output.lost++;
    }
    pthread_mutex_unlock(&output.lock);
}

static void log_place(struct log_line *line, const char *key, struct sts_pos where)
{
    struct sts_buf text = {0};

    if (!where.source.len)
        return;
    sts_buf_add(&text, where.source);
    if (where.line)
        sts_buf_printf(&text, ":%u:%u", where.line, where.column);
    log_str(line, key, sts_buf_str(&text));
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
    log_place(&line, "where", diag->where);
    log_put_pair(&line, "message", diag->message, true);
    if (diag->help.len)
        log_put_pair(&line, "help", diag->help, true);
    if (diag->related.line)
        log_place(&line, "see", diag->related);
    log_end(&line);
}
