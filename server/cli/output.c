#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/cli/command.h"
#include "server/ledger/ledger.h"
#include "server/sys/file.h"

bool output_colour(int descriptor)
{
    const char *no_color = getenv("NO_COLOR");
    return isatty(descriptor) && !(no_color && *no_color);
}

void output_diags(const struct sts_diags *diags, enum sts_severity least)
{
    bool colour = output_colour(STDERR_FILENO);
    struct sts_buf text = {0};

    for (const struct sts_diag *diag = diags->first; diag; diag = diag->next)
        if (diag->severity >= least)
            sts_diag_render_text(&text, diag, colour);
    if (text.len)
        fwrite(text.ptr, 1, text.len, stderr);
    sts_buf_fini(&text);
}

bool output_write(struct sts_str text)
{
    if ((!text.len || fwrite(text.ptr, 1, text.len, stdout) == text.len) && fflush(stdout) == 0)
        return true;
    output_error("standard output cannot be written");
    return false;
}

bool output_pieces(struct sts_buf *held, size_t most)
{
    if (held->len <= most)
        return true;
    bool good = output_write(sts_buf_str(held));
    held->len = 0;
    return good;
}

void output_error(const char *fmt, ...)
{
    char *message = NULL;
    struct sts_buf line = {0};
    va_list ap;

    va_start(ap, fmt);
    int len = vasprintf(&message, fmt, ap);
    va_end(ap);
    if (len < 0)
        abort();
    sts_buf_add(&line, STS_STR("mta-stsd: "));
    sts_buf_add_escaped(&line, (struct sts_str){message, (size_t)len}, 1000);
    sts_buf_add(&line, STS_STR("\n"));
    fwrite(line.ptr, 1, line.len, stderr);
    sts_buf_fini(&line);
    free(message);
}

bool output_blind(const struct sts_diags *diags, const char *file)
{
    for (const struct sts_diag *diag = diags->first; diag; diag = diag->next)
        if (strcmp(diag->code, "file-unreadable") == 0 && diag->where.line == 0 &&
            sts_str_is(diag->where.source, file))
            return true;
    return false;
}

bool output_is_json(const char *format)
{
    return format && strcmp(format, "json") == 0;
}

bool output_is_format(const char *format)
{
    return !format || output_is_json(format) || strcmp(format, "text") == 0;
}

struct ledger *output_ledger(struct sts_arena *arena, struct sts_str base_dir,
                             const struct sts_path *path, struct sts_diags *diags)
{
    return ledger_open(file_resolve(arena, base_dir, path->path).ptr, LEDGER_READ, path->where,
                       diags);
}
