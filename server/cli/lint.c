/* lint: a policy or TXT value from anywhere, judged as senders would. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mtasts/policy.h"
#include "mtasts/record.h"
#include "server/cli/command.h"
#include "server/sys/file.h"

enum { INPUT_MAX = 1 << 20 };

static int read_input(const char *name, struct sts_buf *out)
{
    char piece[4096];
    ssize_t n;

    if (strcmp(name, "-") != 0)
        return file_read(name, INPUT_MAX, out, NULL);
    while ((n = read(STDIN_FILENO, piece, sizeof(piece))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        sts_buf_add(out, (struct sts_str){piece, (size_t)n});
        if (out->len > INPUT_MAX) {
            errno = EFBIG;
            return -1;
        }
    }
    return 0;
}

/* A shell or editor puts one line end behind a TXT value; it is not part of it. */
static struct sts_str without_line_end(struct sts_str s)
{
    if (sts_str_ends(s, STS_STR("\r\n")))
        return sts_str_sub(s, 0, s.len - 2);
    return sts_str_ends(s, STS_STR("\n")) ? sts_str_sub(s, 0, s.len - 1) : s;
}

static bool lint_policy(struct sts_arena *arena, struct sts_str text, struct sts_str source,
                        struct sts_diags *diags)
{
    struct sts_policy policy;
    struct sts_lint_context context = {0};

    return sts_policy_parse_places(arena, text, source, diags, &policy, &context) &&
           sts_policy_lint(&policy, &context, diags);
}

static bool lint_run(const struct options *options, struct sts_arena *arena, struct sts_str text,
                     struct sts_diags *diags)
{
    struct sts_str source = sts_str_from(options->arguments[0]), id;
    struct sts_tlsrpt tlsrpt;

    if (options->txt)
        return sts_txt_parse(arena, without_line_end(text), source, diags, &id);
    if (options->tlsrpt)
        return sts_tlsrpt_parse(arena, without_line_end(text), source, diags, &tlsrpt);
    return lint_policy(arena, text, source, diags);
}

enum exit_code command_lint(const struct options *options)
{
    struct sts_buf text = {0};
    struct sts_diags diags;

    if (options->argument_count != 1 || (options->txt && options->tlsrpt)) {
        output_error("lint takes one FILE or -, and at most one of --txt and --tlsrpt");
        return EXIT_USAGE;
    }
    if (read_input(options->arguments[0], &text) != 0) {
        output_error("%s %s", options->arguments[0], file_error(errno));
        sts_buf_fini(&text);
        return EXIT_BLIND;
    }
    struct sts_arena *arena = sts_arena_new();
    sts_diags_init(&diags, arena);
    bool good = lint_run(options, arena, sts_buf_str(&text), &diags);
    output_diags(&diags, STS_NOTE);
    sts_arena_free(arena);
    sts_buf_fini(&text);
    return good ? EXIT_FINE : EXIT_ERRORS;
}
