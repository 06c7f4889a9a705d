/* Unit tests of server/sys/process: how programs end, what they may leave behind, and what they
 * find when they begin. */
#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/sys/process.h"

enum { LONG_MS = 60000 };

struct bench {
    struct loop *loop;
    struct process *process;
    struct process_end end;
    char output[2 * PROCESS_KEPT + 1];
    int ends;
};

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));

    b->loop = loop_new();
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;

    process_free(b->process);
    loop_free(b->loop);
    free(b);
    /* No child is left, dead or alive. */
    return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : -1;
}

static void on_end(void *data, const struct process_end *end)
{
    struct bench *b = data;

    b->ends++;
    b->end = *end;
    memcpy(b->output, end->output.ptr, end->output.len);
    b->output[end->output.len] = 0;
    process_free(b->process);
    b->process = NULL;
    loop_stop(b->loop);
}

static void start_argv(struct bench *b, const char *const *argv, struct sts_str input,
                       uint64_t limit)
{
    b->process = process_start(b->loop, argv, input, limit, on_end, b);
    assert_non_null(b->process);
}

static void start(struct bench *b, const char *script, uint64_t limit)
{
    const char *argv[] = {"/bin/sh", "-c", script, "sh", NULL};
    start_argv(b, argv, STS_STR(""), limit);
}

/* The loop ends once. */
static void expect_end(struct bench *b, enum process_result result, int value)
{
    loop_run(b->loop);
    assert_int_equal(b->ends, 1);
    assert_int_equal(b->end.result, result);
    if (result != PROCESS_OUT_OF_TIME)
        assert_int_equal(b->end.value, value);
}

static void input_and_output_arrive_whole(void **state)
{
    struct bench *b = *state;
    const char *argv[] = {"/bin/cat", "-", NULL};

    start_argv(b, argv, STS_STR("one\ntwo \0 three\n"), LONG_MS);
    expect_end(b, PROCESS_EXITED, 0);
    assert_int_equal(b->end.output.len, 16);
    assert_memory_equal(b->output, "one\ntwo \0 three\n", 16);
    assert_int_equal(b->end.left_out, 0);
}

static void arguments_see_no_shell(void **state)
{
    struct bench *b = *state;
    const char *argv[] = {"/usr/bin/printf", "%s|", "$(id)", "a b", ";", "", NULL};

    start_argv(b, argv, STS_STR(""), LONG_MS);
    expect_end(b, PROCESS_EXITED, 0);
    assert_string_equal(b->output, "$(id)|a b|;||");
}

static void exit_status_and_both_outputs_are_told(void **state)
{
    struct bench *b = *state;

    start(b, "echo out; echo err >&2; exit 3", LONG_MS);
    expect_end(b, PROCESS_EXITED, 3);
    assert_string_equal(b->output, "out\nerr\n");
}

static void a_signal_is_told(void **state)
{
    struct bench *b = *state;

    start(b, "kill -9 $$", LONG_MS);
    expect_end(b, PROCESS_KILLED, SIGKILL);
}

/* As whoever ignores SIGCHLD leaves it to the programs that he starts. */
static void an_ignored_sigchld_is_not_inherited(void **state)
{
    struct bench *b = *state;

    assert_ptr_not_equal(signal(SIGCHLD, SIG_IGN), SIG_ERR);
    start(b, "exit 3", LONG_MS);
    expect_end(b, PROCESS_EXITED, 3);
}

static void what_cannot_start_is_an_error(void **state)
{
    struct bench *b = *state;
    char path[] = "/tmp/test-process-XXXXXX";
    const char *argv[] = {"/nonexistent/program", NULL};
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_null(process_start(b->loop, argv, STS_STR(""), LONG_MS, on_end, b));
    assert_int_equal(errno, ENOENT);
    argv[0] = path;
    assert_null(process_start(b->loop, argv, STS_STR(""), LONG_MS, on_end, b));
    assert_int_equal(errno, EACCES);
    assert_int_equal(fchmod(fd, 0755), 0);
    assert_int_equal(write(fd, "no program\n", 11), 11);
    close(fd);
    assert_null(process_start(b->loop, argv, STS_STR(""), LONG_MS, on_end, b));
    assert_int_equal(errno, ENOEXEC); /* and no shell tries it */
    argv[0] = "/";
    assert_null(process_start(b->loop, argv, STS_STR(""), LONG_MS, on_end, b));
    assert_int_equal(errno, EACCES);
    unlink(path);
    assert_int_equal(b->ends, 0);
}

/* More than a pipe holds, to one that never reads. */
static void input_that_is_not_read_blocks_nobody(void **state)
{
    struct bench *b = *state;
    size_t size = 4 << 20;
    const char *argv[] = {"/bin/true", NULL};
    char *big = calloc(1, size);

    start_argv(b, argv, (struct sts_str){big, size}, LONG_MS);
    free(big);
    expect_end(b, PROCESS_EXITED, 0);
}

static void megabytes_of_output_keep_both_ends(void **state)
{
    struct bench *b = *state;

    start(b, "echo first; yes | head -c 5000000; echo last", LONG_MS);
    expect_end(b, PROCESS_EXITED, 0);
    assert_int_equal(b->end.output.len, 2 * PROCESS_KEPT);
    assert_memory_equal(b->output, "first\ny\n", 8);
    assert_string_equal(b->output + 2 * PROCESS_KEPT - 7, "y\nlast\n");
    assert_int_equal(b->end.left_out_at, PROCESS_KEPT);
    assert_int_equal(b->end.left_out, 5000000 + 6 + 5 - 2 * PROCESS_KEPT);
}

static void output_of_just_what_is_kept_is_whole(void **state)
{
    struct bench *b = *state;

    start(b, "head -c 8191 /dev/zero | tr '\\0' x; echo", LONG_MS);
    expect_end(b, PROCESS_EXITED, 0);
    assert_int_equal(b->end.left_out, 0);
    assert_int_equal(b->end.output.len, 2 * PROCESS_KEPT);
    assert_int_equal(strspn(b->output, "x"), 2 * PROCESS_KEPT - 1);
    assert_int_equal(b->output[2 * PROCESS_KEPT - 1], '\n');
}

static void closed_outputs_are_no_end(void **state)
{
    struct bench *b = *state;

    start(b, "exec >&- 2>&-; read line </dev/zero & exit 4", LONG_MS);
    expect_end(b, PROCESS_EXITED, 4);
    assert_int_equal(b->end.output.len, 0);
}

/* Closed once every process that has it is gone; a FIFO tells. */
static void expect_gone(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char c;

    assert_int_equal(poll(&p, 1, LONG_MS), 1);
    assert_int_equal(read(fd, &c, 1), 0);
    close(fd);
}

static int fifo(char *dir, char *path, size_t size)
{
    assert_non_null(mkdtemp(dir));
    snprintf(path, size, "%s/fifo", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void remove_fifo(const char *dir, const char *path)
{
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void expect_line(int fd, const char *line)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char text[16] = "";

    assert_int_equal(poll(&p, 1, LONG_MS), 1);
    assert_int_equal(read(fd, text, sizeof(text) - 1), strlen(line));
    assert_string_equal(text, line);
}

/* Time passes only in the loop, so the program is as far as it should be. */
static void time_limit_is_a_sigterm(void **state)
{
    struct bench *b = *state;
    char dir[] = "/tmp/test-process-XXXXXX", path[64];
    int fd = fifo(dir, path, sizeof(path));
    const char *argv[] = {"/bin/sh",
                          "-c",
                          "exec 9>\"$1\"; trap 'echo ended; exit 5' TERM; echo begun >&9; while :; "
                          "do sleep 1000 & wait; done",
                          "sh",
                          path,
                          NULL};

    start_argv(b, argv, STS_STR(""), 1);
    expect_line(fd, "begun\n");
    expect_end(b, PROCESS_OUT_OF_TIME, 0);
    assert_int_equal(b->end.value, 5);
    assert_string_equal(b->output, "ended\n");
    expect_gone(fd);
    remove_fifo(dir, path);
}

static void who_ignores_sigterm_is_killed(void **state)
{
    struct bench *b = *state;
    char dir[] = "/tmp/test-process-XXXXXX", path[64];
    int fd = fifo(dir, path, sizeof(path));
    const char *argv[] = {
        "/bin/sh",
        "-c",
        "exec 9>\"$1\"; trap '' TERM; echo begun >&9; while :; do sleep 1000; done",
        "sh",
        path,
        NULL};

    start_argv(b, argv, STS_STR(""), 1);
    expect_line(fd, "begun\n");
    expect_end(b, PROCESS_OUT_OF_TIME, 0);
    assert_int_equal(b->end.value, SIGKILL);
    assert_true(b->end.ms > PROCESS_GRACE_MS);
    expect_gone(fd);
    remove_fifo(dir, path);
}

static void children_that_outlive_it_are_killed(void **state)
{
    struct bench *b = *state;
    char dir[] = "/tmp/test-process-XXXXXX", path[64];
    int fd = fifo(dir, path, sizeof(path));
    const char *argv[] = {"/bin/sh", "-c", "trap '' TERM; exec 9>\"$1\"; sleep 1000 & exit 0",
                          "sh",      path, NULL};

    start_argv(b, argv, STS_STR(""), LONG_MS);
    expect_end(b, PROCESS_EXITED, 0);
    expect_gone(fd);
    remove_fifo(dir, path);
}

static void a_daemon_with_the_output_open_holds_up_nobody(void **state)
{
    struct bench *b = *state;
    char dir[] = "/tmp/test-process-XXXXXX", path[64];
    int fd = fifo(dir, path, sizeof(path));
    /* A group of its own escapes; what it does is its own business from then on. */
    const char *argv[] = {
        "/bin/sh", "-c", "exec 9<>\"$1\"; setsid sh -c 'echo up >&9; exec yes' & read up <&9",
        "sh",      path, NULL};

    start_argv(b, argv, STS_STR(""), LONG_MS);
    expect_end(b, PROCESS_EXITED, 0);
    /* Nobody reads its output any more, so this one ends by itself. */
    expect_gone(fd);
    remove_fifo(dir, path);
}

static void free_ends_what_still_runs(void **state)
{
    struct bench *b = *state;
    char dir[] = "/tmp/test-process-XXXXXX", path[64];
    int fd = fifo(dir, path, sizeof(path));
    const char *argv[] = {"/bin/sh",
                          "-c",
                          "exec 9>\"$1\"; trap 'echo ended >&9; exit' TERM; echo begun >&9;"
                          " while :; do sleep 1000 & wait; done",
                          "sh",
                          path,
                          NULL};

    start_argv(b, argv, STS_STR(""), LONG_MS);
    expect_line(fd, "begun\n");
    process_free(b->process);
    b->process = NULL;
    expect_line(fd, "ended\n");
    expect_gone(fd);
    assert_int_equal(b->ends, 0);
    remove_fifo(dir, path);
}

static void free_kills_what_does_not_end(void **state)
{
    struct bench *b = *state;
    char dir[] = "/tmp/test-process-XXXXXX", path[64];
    int fd = fifo(dir, path, sizeof(path));
    const char *argv[] = {
        "/bin/sh", "-c", "exec 9>\"$1\"; trap '' TERM; echo begun >&9; yes; sleep 1000",
        "sh",      path, NULL};

    start_argv(b, argv, STS_STR(""), LONG_MS);
    expect_line(fd, "begun\n");
    process_free(b->process);
    b->process = NULL;
    expect_gone(fd);
    remove_fifo(dir, path);
}

static void environment_is_path_and_lang(void **state)
{
    struct bench *b = *state;
    const char *argv[] = {"/usr/bin/env", NULL};

    setenv("LD_BIND_NOT_MEANT_FOR_IT", "1", 1);
    start_argv(b, argv, STS_STR(""), LONG_MS);
    expect_end(b, PROCESS_EXITED, 0);
    assert_string_equal(b->output,
                        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
                        "LANG=C.UTF-8\n");
}

static void directory_is_the_root(void **state)
{
    struct bench *b = *state;
    const char *argv[] = {"/bin/pwd", NULL};

    start_argv(b, argv, STS_STR(""), LONG_MS);
    expect_end(b, PROCESS_EXITED, 0);
    assert_string_equal(b->output, "/\n");
}

static void only_the_standard_descriptors_are_open(void **state)
{
    struct bench *b = *state;
    const char *argv[] = {"/bin/ls", "/proc/self/fd", NULL};
    int open_everywhere = dup(STDERR_FILENO); /* without close-on-exec */

    start_argv(b, argv, STS_STR(""), LONG_MS);
    expect_end(b, PROCESS_EXITED, 0);
    assert_string_equal(b->output, "0\n1\n2\n3\n"); /* 3: of ls */
    close(open_everywhere);
}

/* As in a server: signals blocked and ignored, by this and other threads. */
static void signals_are_as_at_the_start_of_a_program(void **state)
{
    struct bench *b = *state;
    const char *argv[] = {"/bin/grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status", NULL};
    sigset_t set, before;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGIO, SIG_IGN);
    start_argv(b, argv, STS_STR(""), LONG_MS);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGIO, SIG_DFL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    expect_end(b, PROCESS_EXITED, 0);
    unsigned long long blocked, ignored, of_libc = 3ULL << 31; /* 32 and 33 are no signals */
    assert_int_equal(sscanf(b->output, "SigBlk:\t%llx\nSigIgn:\t%llx\n", &blocked, &ignored), 2);
    assert_int_equal(blocked, 0);
    assert_int_equal(ignored & ~of_libc, 0);
}

static void its_group_is_its_own(void **state)
{
    struct bench *b = *state;

    start(b, "set -- $(cut -d' ' -f1,5 /proc/$$/stat); [ $1 = $2 ] && echo own", LONG_MS);
    expect_end(b, PROCESS_EXITED, 0);
    assert_string_equal(b->output, "own\n");
}

/* In a process of its own, because it closes what the test framework needs. */
static void works_with_the_standard_descriptors_closed(void **state)
{
    struct bench *b = *state;
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        const char *argv[] = {"/bin/cat", NULL};
        for (int fd = 0; fd < 3; fd++)
            close(fd);
        b->process = process_start(b->loop, argv, STS_STR("hello"), LONG_MS, on_end, b);
        if (!b->process)
            _exit(2);
        loop_run(b->loop);
        _exit(strcmp(b->output, "hello") == 0 && b->end.value == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void nothing_leaks(void **state)
{
    struct bench *b = *state;
    const char *argv[] = {"/nonexistent/program", NULL};
    int before = open_descriptors();

    for (int i = 0; i < 20; i++) {
        struct bench round = {.loop = loop_new()};
        assert_null(process_start(b->loop, argv, STS_STR("x"), LONG_MS, on_end, b));
        start(&round, "echo x", LONG_MS);
        expect_end(&round, PROCESS_EXITED, 0);
        loop_free(round.loop);
    }
    assert_int_equal(open_descriptors(), before);
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(input_and_output_arrive_whole),
        T(arguments_see_no_shell),
        T(exit_status_and_both_outputs_are_told),
        T(a_signal_is_told),
        T(an_ignored_sigchld_is_not_inherited),
        T(what_cannot_start_is_an_error),
        T(input_that_is_not_read_blocks_nobody),
        T(megabytes_of_output_keep_both_ends),
        T(output_of_just_what_is_kept_is_whole),
        T(closed_outputs_are_no_end),
        T(time_limit_is_a_sigterm),
        T(who_ignores_sigterm_is_killed),
        T(children_that_outlive_it_are_killed),
        T(a_daemon_with_the_output_open_holds_up_nobody),
        T(free_ends_what_still_runs),
        T(free_kills_what_does_not_end),
        T(environment_is_path_and_lang),
        T(directory_is_the_root),
        T(only_the_standard_descriptors_are_open),
        T(signals_are_as_at_the_start_of_a_program),
        T(its_group_is_its_own),
        T(works_with_the_standard_descriptors_closed),
        T(nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
