/* Unit tests of server/sys/log: what a reader of standard error sees. */
#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/sys/log.h"

struct fixture {
    int pipe[2]; /* non-blocking read end; what standard error is during a test */
    int standard_error;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    *state = f;
    if (!f || pipe2(f->pipe, O_CLOEXEC) != 0)
        return -1;
    fcntl(f->pipe[0], F_SETFL, O_NONBLOCK);
    f->standard_error = dup(STDERR_FILENO);
    return dup2(f->pipe[1], STDERR_FILENO) < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    dup2(f->standard_error, STDERR_FILENO);
    close(f->standard_error);
    close(f->pipe[0]);
    close(f->pipe[1]);
    free(f);
    return 0;
}

/* Everything written so far, NUL-terminated. */
static const char *written(struct fixture *f)
{
    static char text[1 << 17];
    size_t len = 0;
    ssize_t n;

    while (len < sizeof(text) - 1 && (n = read(f->pipe[0], text + len, sizeof(text) - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    return text;
}

static size_t lines_of(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += *text == '\n';
    return count;
}

static void a_line_is_logfmt(void **state)
{
    struct log_line line;

    log_begin(&line, LOG_LEVEL_INFO, "request");
    log_cstr(&line, "tenant", "example.org");
    log_int(&line, "status", 200);
    log_int(&line, "least", INT64_MIN);
    log_int(&line, "most", INT64_MAX);
    log_int(&line, "none", 0);
    log_cstr(&line, "client", "[::1]:443");
    log_cstr(&line, "agent", "two words");
    log_cstr(&line, "nothing", NULL);
    log_end(&line);
    assert_string_equal(written(*state),
                        "level=info event=request tenant=example.org status=200 "
                        "least=-9223372036854775808 most=9223372036854775807 none=0 "
                        "client=[::1]:443 agent=\"two words\" nothing=\"\"\n");
    log_begin(&line, LOG_LEVEL_WARNING, "a");
    log_end(&line);
    log_begin(&line, LOG_LEVEL_ERROR, "b");
    log_end(&line);
    assert_string_equal(written(*state), "level=warning event=a\nlevel=error event=b\n");
}

static void values_cannot_forge(void **state)
{
    struct log_line line;

    log_begin(&line, LOG_LEVEL_INFO, "request");
    log_cstr(&line, "a", "x\" status=200 b=\"");
    log_cstr(&line, "b", "x\r\nlevel=error");
    log_str(&line, "c", (struct sts_str){"n\0l", 3});
    log_cstr(&line, "d", "\x1b[2J\x7f\xff");
    log_cstr(&line, "e", "back\\slash");
    log_cstr(&line, "f", "k=v");
    log_end(&line);
    assert_string_equal(written(*state),
                        "level=info event=request a=\"x\\\" status=200 b=\\\"\" "
                        "b=\"x\\x0D\\x0Alevel=error\" c=\"n\\x00l\" d=\"\\x1B[2J\\x7F\\xFF\" "
                        "e=\"back\\x5Cslash\" f=\"k=v\"\n");
}

/* Each byte alone: one line, printable, quotes closed. */
static void no_byte_leaves_its_value(void **state)
{
    for (int c = 0; c < 256; c++) {
        struct log_line line;
        char byte = (char)c;

        log_begin(&line, LOG_LEVEL_INFO, "x");
        log_str(&line, "v", (struct sts_str){&byte, 1});
        log_int(&line, "after", 1);
        log_end(&line);
        const char *text = written(*state);
        assert_int_equal(lines_of(text), 1);
        assert_non_null(strstr(text, " after=1\n"));
        for (const char *p = text; *p != '\n'; p++)
            assert_true(*p >= 0x20 && *p < 0x7f);
    }
}

/* What a diagnostic quotes is escaped when it is made, and no second time. */
static void a_diagnostic_is_escaped_once(void **state)
{
    static const char raw[] = "\xC3\xA9 \x01\n \" \\ \\x0A \xFF =";
    struct sts_pos where = {STS_STR("d\xC3\xA9/a \\.yaml"), 3, 1};
    struct sts_diags diags;

    sts_diags_init(&diags, sts_arena_new());
    struct sts_diag *diag = sts_diag_add(&diags, STS_ERROR, "key-unknown", where, "key %s", raw);
    sts_diag_help(&diags, diag, "not %s", raw);
    log_diag(diag);
#define ESCAPED "\\xC3\\xA9 \\x01\\x0A \\\" \\x5C \\x5Cx0A \\xFF ="
    assert_string_equal(written(*state),
                        "level=error event=diagnostic code=key-unknown "
                        "where=\"d\\xC3\\xA9/a \\x5C.yaml:3:1\" message=\"key " ESCAPED
                        "\" help=\"not " ESCAPED "\"\n");
    sts_arena_free(diags.arena);
}

/* Also where the cut falls into an escape: the quotes stay closed. */
static void a_long_diagnostic_is_cut(void **state)
{
    for (int len = 590; len < 602; len++) {
        struct sts_diags diags;
        char text[700];

        snprintf(text, sizeof(text), "%0*d\\\"\n", len, 0);
        sts_diags_init(&diags, sts_arena_new());
        log_diag(sts_diag_add(&diags, STS_ERROR, "x", (struct sts_pos){0}, "%s", text));
        const char *line = written(*state), *end = strrchr(line, '"');
        assert_int_equal(lines_of(line), 1);
        assert_true(end && end[1] == '\n' && (end[-1] == '.' || end[-2] == '0'));
        sts_arena_free(diags.arena);
    }
}

static void a_long_value_is_cut_alone(void **state)
{
    char hostile[5000];
    struct log_line line;

    for (int pass = 0; pass < 2; pass++) {
        memset(hostile, pass ? '\n' : 'a', sizeof(hostile));
        log_begin(&line, LOG_LEVEL_INFO, "request");
        log_str(&line, "agent", (struct sts_str){hostile, sizeof(hostile)});
        log_int(&line, "status", 404);
        log_end(&line);
        const char *text = written(*state);
        assert_int_equal(lines_of(text), 1);
        assert_true(strlen(text) < 700);
        assert_non_null(strstr(text, pass ? "\\x0A...\" status=404\n" : "aaa... status=404\n"));
    }
}

static void a_full_line_drops_whole_pairs(void **state)
{
    char text[600];
    struct log_line line;

    memset(text, ' ', sizeof(text));
    log_begin(&line, LOG_LEVEL_INFO, "x");
    for (int i = 0; i < 5; i++)
        log_str(&line, "v", (struct sts_str){text, sizeof(text)});
    log_int(&line, "last", 1);
    log_end(&line);
    const char *out = written(*state);
    assert_int_equal(lines_of(out), 1);
    assert_true(strlen(out) <= sizeof(line.text));
    assert_non_null(strstr(out, " \" last=1 ...\n"));
}

/* Whatever is put on it, a line ends within its bounds. */
static void a_line_never_overflows(void **state)
{
    struct log_line line;

    for (size_t len = 0; len < 60; len++) {
        log_begin(&line, LOG_LEVEL_INFO, "x");
        for (int i = 0; i < 100; i++)
            log_str(&line, "k",
                    sts_str_sub(STS_STR("\"\n\\abcdefghijklmnopqrstuvwxyz0123456789"
                                        "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
                                0, len));
        log_end(&line);
        const char *out = written(*state);
        assert_int_equal(lines_of(out), 1);
        assert_true(strlen(out) <= sizeof(line.text));
    }
}

static void diagnostics_become_lines(void **state)
{
    struct sts_arena *arena = sts_arena_new();
    struct sts_diags diags;

    sts_diags_init(&diags, arena);
    struct sts_pos where = {STS_STR("a b.yaml"), 3, 5};
    struct sts_diag *diag = sts_diag_add(&diags, STS_ERROR, "mode-unknown", where, "unknown mode");
    diag->tenant = STS_STR("example.org");
    sts_diag_help(&diags, diag, "did you mean %s", "enforce");
    diag->related = (struct sts_pos){STS_STR("c.yaml"), 7, 1};
    log_diag(diag);
    assert_string_equal(written(*state),
                        "level=error event=diagnostic tenant=example.org code=mode-unknown "
                        "where=\"a b.yaml:3:5\" message=\"unknown mode\" "
                        "help=\"did you mean enforce\" see=c.yaml:7:1\n");
    where.line = 0;
    log_diag(sts_diag_add(&diags, STS_WARNING, "x", where, "y"));
    log_diag(sts_diag_add(&diags, STS_NOTE, "x", (struct sts_pos){0}, "y"));
    assert_string_equal(written(*state),
                        "level=warning event=diagnostic code=x where=\"a b.yaml\" message=y\n"
                        "level=info event=diagnostic code=x message=y\n");
    sts_arena_free(arena);
}

static void *log_many(void *letter)
{
    char text[100];
    struct log_line line;

    memset(text, *(const char *)letter, sizeof(text));
    for (int i = 0; i < 50; i++) {
        log_begin(&line, LOG_LEVEL_INFO, "x");
        log_str(&line, "v", (struct sts_str){text, sizeof(text)});
        log_end(&line);
    }
    return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
    static const char letters[] = "abcd";
    pthread_t threads[4];
    size_t count = 0;

    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, (void *)&letters[i]), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (const char *p = written(*state); *p; p = strchr(p, '\n') + 1, count++) {
        static const char prefix[] = "level=info event=x v=";
        assert_memory_equal(p, prefix, sizeof(prefix) - 1);
        p += sizeof(prefix) - 1;
        assert_int_equal(strspn(p, (const char[]){*p, 0}), 100);
    }
    assert_int_equal(count, 200);
}

/* Nothing here waits for ever, and what was lost is told. */
static void a_stuck_reader_costs_lines_not_time(void **state)
{
    struct fixture *f = *state;
    struct log_line line;
    size_t sent = 0;

    assert_true(fcntl(f->pipe[1], F_SETPIPE_SZ, 4096) > 0);
    for (; sent < 2000; sent++) {
        log_begin(&line, LOG_LEVEL_INFO, "x");
        log_cstr(&line, "text", "something that fills the pipe in the end");
        log_end(&line);
    }
    size_t arrived = lines_of(written(f));
    assert_true(arrived > 0 && arrived < sent);
    log_begin(&line, LOG_LEVEL_INFO, "again");
    log_end(&line);
    char expected[100];
    snprintf(expected, sizeof(expected), "level=info event=again lost=%zu\n", sent - arrived);
    assert_string_equal(written(f), expected);
    log_begin(&line, LOG_LEVEL_INFO, "told-once");
    log_end(&line);
    assert_string_equal(written(f), "level=info event=told-once\n");
}

static void failures_are_ignored(void **state)
{
    struct fixture *f = *state;
    struct log_line line;
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

    assert_true(full >= 0);
    dup2(full, STDERR_FILENO);
    close(full);
    log_begin(&line, LOG_LEVEL_ERROR, "x");
    log_end(&line);
    close(STDERR_FILENO);
    log_begin(&line, LOG_LEVEL_ERROR, "x");
    log_end(&line);
    dup2(f->pipe[1], STDERR_FILENO);
    log_begin(&line, LOG_LEVEL_ERROR, "y");
    log_end(&line);
    assert_string_equal(written(f), "level=error event=y\n");
}

int main(void)
{
#define WITH_PIPE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_PIPE(a_line_is_logfmt),
        WITH_PIPE(values_cannot_forge),
        WITH_PIPE(no_byte_leaves_its_value),
        WITH_PIPE(a_diagnostic_is_escaped_once),
        WITH_PIPE(a_long_diagnostic_is_cut),
        WITH_PIPE(a_long_value_is_cut_alone),
        WITH_PIPE(a_full_line_drops_whole_pairs),
        WITH_PIPE(a_line_never_overflows),
        WITH_PIPE(diagnostics_become_lines),
        WITH_PIPE(lines_of_threads_do_not_mix),
        WITH_PIPE(a_stuck_reader_costs_lines_not_time),
        WITH_PIPE(failures_are_ignored),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
