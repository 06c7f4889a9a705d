/* Unit tests of server/sys/file: nothing on a disk hangs us, and nothing is taken half-way. */
#include "tests/unit/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/sys/file.h"
#include "server/sys/file_parts.h"
#include "tests/unit/heap_scan.h"

static char dir[200];

/* The read(2) of this program. A test sets `meanwhile` to do what another process might do between
 * two reads of a file; it runs `times` times, each after the first read of an attempt. */
static void (*meanwhile)(void);
static int times, reads;

ssize_t read(int fd, void *to, size_t size)
{
    ssize_t n = syscall(SYS_read, fd, to, size);
    bool first = n > 0 && lseek(fd, 0, SEEK_CUR) == n;
    if (first && meanwhile && times > 0) {
        times--;
        meanwhile();
    }
    reads++;
    return n;
}

static int set_up(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    snprintf(dir, sizeof(dir), "%s/mta-stsd-file-XXXXXX", tmp ? tmp : "/tmp");
    meanwhile = NULL;
    reads = 0;
    return mkdtemp(dir) ? chmod(dir, 0755) : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return folder_remove(dir);
}

/* The path of `name` in the test's folder; good until the fourth further call. */
static const char *in_dir(const char *name)
{
    static char paths[4][300];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

static void put(const char *name, const char *text, size_t len)
{
    int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), len);
    close(fd);
}

static void reads_fail_with(const char *path, size_t max, int error)
{
    struct sts_buf out = {0};
    struct stat st = {.st_size = 42};

    sts_buf_add(&out, STS_STR("kept"));
    errno = 0;
    assert_int_equal(file_read(path, max, &out, &st), -1);
    assert_int_equal(errno, error);
    assert_string_equal(out.ptr, "kept");
    assert_int_equal(st.st_size, 42);
    sts_buf_fini(&out);
}

static void reads_give(const char *path, size_t max, struct sts_str expected)
{
    struct sts_buf out = {0};

    assert_int_equal(file_read(path, max, &out, NULL), 0);
    assert_true(sts_str_eq(sts_buf_str(&out), expected));
    sts_buf_fini(&out);
}

static void contents_are_appended(void **state)
{
    (void)state;
    struct sts_buf out = {0};
    struct stat st;

    put("a", "one\0two", 7);
    put("empty", "", 0);
    sts_buf_add(&out, STS_STR("0:"));
    assert_int_equal(file_read(in_dir("a"), 100, &out, &st), 0);
    assert_int_equal(out.len, 9);
    assert_memory_equal(out.ptr, "0:one\0two", 9);
    assert_int_equal(st.st_size, 7);
    assert_int_equal(file_read(in_dir("empty"), 100, &out, NULL), 0);
    assert_int_equal(out.len, 9);
    sts_buf_fini(&out);
    assert_int_equal(symlink(in_dir("a"), in_dir("link")), 0);
    reads_give(in_dir("link"), 100, (struct sts_str){"one\0two", 7});
    assert_int_equal(file_read("/proc/self/stat", 100000, &out, NULL), 0); /* size 0 says nothing */
    assert_true(out.len > 0);
    sts_buf_fini(&out);
}

static void the_cap_is_exact(void **state)
{
    (void)state;
    size_t len = 200000; /* several pieces */
    char *text = calloc(1, len);

    assert_non_null(text);
    memset(text, 'x', len);
    put("a", text, len);
    reads_give(in_dir("a"), len, (struct sts_str){text, len});
    free(text);
    reads = 0;
    reads_fail_with(in_dir("a"), len - 1, EFBIG);
    assert_int_equal(reads, 0);
    put("empty", "", 0);
    reads_give(in_dir("empty"), 0, (struct sts_str){NULL, 0});
}

static void only_regular_files_are_read(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
    reads_fail_with(in_dir("fifo"), 100, ENOTSUP);
    reads_fail_with(dir, 100, ENOTSUP);
    reads_fail_with("/dev/zero", 100, ENOTSUP);
    reads_fail_with("/dev/null", 100, ENOTSUP);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%.90s/socket", dir);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    reads_fail_with(address.sun_path, 100, ENOTSUP);
    close(fd);
    assert_int_equal(reads, 0);
}

static void paths_that_lead_nowhere(void **state)
{
    (void)state;
    put("a", "x", 1);
    reads_fail_with(in_dir("missing"), 100, ENOENT);
    reads_fail_with(in_dir("a/b"), 100, ENOTDIR);
    assert_int_equal(symlink("missing", in_dir("dangling")), 0);
    reads_fail_with(in_dir("dangling"), 100, ENOENT);
    assert_int_equal(symlink("loop", in_dir("loop")), 0);
    reads_fail_with(in_dir("loop"), 100, ELOOP);
    reads_fail_with("", 100, ENOENT);
}

/* In a child, as nobody when we are root. */
static void permission_is_told(void **state)
{
    (void)state;
    put("secret", "x", 1);
    assert_int_equal(chmod(in_dir("secret"), 0), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct sts_buf out = {0};
        if (geteuid() == 0 && setuid(65534) != 0)
            _exit(2);
        _exit(file_read(in_dir("secret"), 100, &out, NULL) == -1 && errno == EACCES ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void grow(void)
{
    int fd = open(in_dir("a"), O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(write(fd, "+", 1), 1);
    close(fd);
}

static void replace_in_place(void)
{
    static time_t when = 1000000000;
    const struct timespec stamps[2] = {{.tv_sec = when}, {.tv_sec = when}};
    int fd = open(in_dir("a"), O_WRONLY | O_CLOEXEC);

    when++;
    assert_int_equal(write(fd, "new", 3), 3);
    assert_int_equal(futimens(fd, stamps), 0);
    close(fd);
}

static void cut(void)
{
    assert_int_equal(truncate(in_dir("a"), 0), 0);
}

static void replace_by_rename(void)
{
    put("b", "newer", 5);
    assert_int_equal(rename(in_dir("b"), in_dir("a")), 0);
}

static void go_away(void)
{
    grow();
    assert_int_equal(unlink(in_dir("a")), 0);
}

static void change(void (*how)(void), int how_often)
{
    put("a", "old", 3);
    meanwhile = how;
    times = how_often;
}

static void a_changing_file_is_never_taken(void **state)
{
    (void)state;
    change(grow, 100);
    reads_fail_with(in_dir("a"), 1000, EAGAIN);
    change(replace_in_place, 100);
    reads_fail_with(in_dir("a"), 1000, EAGAIN);
    change(grow, 100);
    reads_fail_with(in_dir("a"), 3, EFBIG);
    change(go_away, 1);
    reads_fail_with(in_dir("a"), 1000, ENOENT);
}

static void a_change_is_waited_out(void **state)
{
    (void)state;
    change(grow, 2);
    reads_give(in_dir("a"), 1000, STS_STR("old++"));
    change(replace_in_place, 1);
    reads_give(in_dir("a"), 1000, STS_STR("new"));
    change(cut, 1);
    reads_give(in_dir("a"), 1000, STS_STR(""));
    /* A renamed file does not disturb the one that is open. */
    change(replace_by_rename, 1);
    struct sts_buf out = {0};
    assert_int_equal(file_read(in_dir("a"), 1000, &out, NULL), 0);
    assert_true(sts_str_is(sts_buf_str(&out), "old") || sts_str_is(sts_buf_str(&out), "newer"));
    sts_buf_fini(&out);
}

static const char SECRET[] = "-- what only its owner may read --",
                  LATE[] = "-- and what was added --";

static void append_late(void)
{
    int fd = open(in_dir("a"), O_WRONLY | O_APPEND | O_CLOEXEC);
    for (int i = 0; i < 4; i++)
        assert_int_equal(write(fd, LATE, sizeof(LATE)), sizeof(LATE));
    close(fd);
}

/* A file may be a private key: of attempts that failed, and of what had to be moved to a larger
 * place, nothing stays in memory. */
static void nothing_is_left_of_what_is_not_given(void **state)
{
    (void)state;
    if (!HEAP_IS_PLAIN)
        skip();
    void (*const ways[])(void) = {append_late, replace_in_place, grow, go_away, cut};
    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
        struct sts_buf out = {0};
        put("a", SECRET, sizeof(SECRET));
        append_late();
        meanwhile = ways[i];
        times = 100;
        assert_int_equal(file_read(in_dir("a"), 1000, &out, NULL), ways[i] == cut ? 0 : -1);
        assert_int_equal(out.len, 0);
        sts_buf_fini(&out);
        meanwhile = NULL;
        assert_false(heap_holds(SECRET + 18, 16));
        assert_false(heap_holds(LATE + 8, 16));
    }
}

static void nothing_is_left_where_a_buffer_grew(void **state)
{
    (void)state;
    int pipes[2];
    struct sts_buf out = {0};
    if (!HEAP_IS_PLAIN)
        skip();
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    sts_buf_add(&out, (struct sts_str){SECRET, sizeof(SECRET)});
    for (int i = 0; i < 1000; i++)
        assert_int_equal(write(pipes[1], LATE, sizeof(LATE)), sizeof(LATE));
    close(pipes[1]);
    assert_int_equal(file_read_all(pipes[0], 100000, &out), 0);
    assert_int_equal(out.len, sizeof(SECRET) + 1000 * sizeof(LATE));
    assert_string_equal(out.ptr, SECRET);
    assert_string_equal(out.ptr + out.len - sizeof(LATE), LATE);
    explicit_bzero(out.ptr, out.cap);
    sts_buf_fini(&out);
    assert_false(heap_holds(SECRET + 18, 16));
    assert_false(heap_holds(LATE + 8, 16));
    close(pipes[0]);
}

static bool leases_work(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool work = fcntl(fd, F_SETLEASE, F_RDLCK) == 0;
    close(fd);
    return work;
}

/* Also when its contents are at rest, and when only a mapping is left of the open file. */
static void a_file_open_for_writing_is_not_settled(void **state)
{
    struct sts_buf text = {0};
    char path[300];

    (void)state;
    put("f", "half", 4);
    snprintf(path, sizeof(path), "%s/f", dir);
    if (!leases_work(path))
        skip();
    assert_int_equal(file_read_settled(path, 100, &text, NULL), 0);
    assert_int_equal(text.len, 4);
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(file_read_settled(path, 100, &text, NULL), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(text.len, 4);
    assert_int_equal(file_read(path, 100, &text, NULL), 0);
    close(fd);
    assert_int_equal(file_read_settled(path, 100, &text, NULL), 0);

    fd = open(path, O_RDWR | O_CLOEXEC);
    void *map = mmap(NULL, 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(map != MAP_FAILED);
    close(fd);
    assert_int_equal(file_read_settled(path, 100, &text, NULL), -1);
    assert_int_equal(errno, EAGAIN);
    munmap(map, 4);
    assert_int_equal(file_read_settled(path, 100, &text, NULL), 0);
    sts_buf_fini(&text);
}

/* Who may not ask gets what file_read gives. */
static void where_leases_are_not_given_it_is_read(void **state)
{
    struct sts_buf text = {0};
    char path[300];
    int status;

    (void)state;
    if (geteuid() != 0)
        skip();
    put("f", "text", 4);
    snprintf(path, sizeof(path), "%s/f", dir);
    assert_int_equal(chmod(path, 0644), 0);
    pid_t child = fork();
    if (child == 0) {
        if (setgid(65534) != 0 || setuid(65534) != 0)
            _exit(2);
        _exit(file_read_settled(path, 100, &text, NULL) == 0 && text.len == 4 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* touch -d takes any of them. Later than 2262 is more than 63 bits of nanoseconds hold. */
static void times_of_any_century(void **state)
{
    enum { NOW = 1700000000 };
    static const time_t years[] = {-12000000000, -1, 0, NOW, 9000000000, 10413792000};
    const size_t count = sizeof(years) / sizeof(*years);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        const struct stat st = {.st_mtim = {years[i], 1}, .st_ctim = {years[i], 2}};
        const struct stat next = {.st_mtim = {years[i < count - 1 ? i + 1 : i], 3}};
        struct file_stamp stamp = file_stamp_of(&st), later = file_stamp_of(&next);
        assert_true(stamp.modified < later.modified || later.modified == INT64_MAX);
        assert_int_equal(file_stamp_is_old(&stamp, NOW), years[i] < NOW);
        assert_int_equal(file_stamp_is_old(&stamp, 20000000000), years[i] < 9223372036);
    }
}

static void errors_are_clauses(void **state)
{
    (void)state;
    assert_string_equal(file_error(ENOENT), "does not exist");
    assert_string_equal(file_error(ENOTSUP), "is not a regular file");
    assert_string_equal(file_error(EFBIG), "is too large");
    assert_string_equal(file_error(EAGAIN), "is still being written");
    assert_string_equal(file_error(EMFILE), "cannot be opened: too many open files");
    assert_non_null(strstr(file_error(EACCES), "permission denied"));
    const int all[] = {ENOTDIR, EPERM,  EISDIR, ENXIO, ELOOP,        EROFS,
                       ENOSPC,  EDQUOT, ENFILE, EIO,   ENAMETOOLONG, 99999};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        assert_true(strlen(file_error(all[i])) > 5);
}

static void names_are_resolved(void **state)
{
    (void)state;
    static const char *const resolved[][3] = {
        {"/etc/x", "a.yaml", "/etc/x/a.yaml"},
        {"/", "a", "/a"},
        {"/etc/", "a", "/etc/a"},
        {".", "a", "a"},
        {"", "a", "a"},
        {"/etc", "/a", "/a"},
        {"d", "../a", "d/../a"},
        {"/etc", "", "/etc/"},
    };
    static const char *const directories[][2] = {
        {"/etc/x", "/etc"}, {"/x", "/"},  {"/", "/"},         {"x", "."},
        {"", "."},          {"a/x", "a"}, {"a//x", "a"},      {"//x", "/"},
        {"a/", "a"},        {"./x", "."}, {"../x/y", "../x"},
    };
    struct sts_arena *arena = sts_arena_new();

    for (size_t i = 0; i < sizeof(resolved) / sizeof(*resolved); i++)
        assert_string_equal(
            file_resolve(arena, sts_str_from(resolved[i][0]), sts_str_from(resolved[i][1])).ptr,
            resolved[i][2]);
    for (size_t i = 0; i < sizeof(directories) / sizeof(*directories); i++)
        assert_string_equal(file_dirname(arena, sts_str_from(directories[i][0])).ptr,
                            directories[i][1]);
    sts_arena_free(arena);
}

static void no_leftovers(void)
{
    assert_int_not_equal(system(NULL), 0);
    char command[400];
    snprintf(command, sizeof(command), "! ls '%s' | grep -q '^target[.]'", dir);
    assert_int_equal(system(command), 0);
}

static void writing_is_atomic(void **state)
{
    (void)state;
    struct stat st;

    assert_int_equal(file_write_atomic(in_dir("target"), STS_STR("one"), 0644), 0);
    reads_give(in_dir("target"), 100, STS_STR("one"));
    assert_int_equal(stat(in_dir("target"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(file_write_atomic(in_dir("target"), STS_STR("two"), 0600), 0);
    reads_give(in_dir("target"), 100, STS_STR("two"));
    assert_int_equal(file_write_atomic(in_dir("target"), STS_STR(""), 0600), 0);
    reads_give(in_dir("target"), 100, STS_STR(""));
    no_leftovers();
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(file_write_atomic("relative", STS_STR("x"), 0600), 0);
    reads_give(in_dir("relative"), 100, STS_STR("x"));
    assert_int_equal(chdir("/"), 0);
}

static void writing_refuses_what_is_no_file(void **state)
{
    (void)state;
    struct stat st;

    assert_int_equal(symlink("/dev/null", in_dir("null")), 0);
    assert_int_equal(file_write_atomic(in_dir("null"), STS_STR("x"), 0600), -1);
    assert_int_equal(errno, ENOTSUP);
    assert_int_equal(lstat(in_dir("null"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(file_write_atomic(dir, STS_STR("x"), 0600), -1);
    assert_int_equal(errno, ENOTSUP);
    assert_int_equal(file_write_atomic(in_dir("no/where"), STS_STR("x"), 0600), -1);
    assert_int_equal(errno, ENOENT);
}

/* In a child, because a limit on file sizes cannot be taken back; EFBIG stands for a full disk. */
static void a_failed_write_changes_nothing(void **state)
{
    (void)state;
    static char large[100000];

    put("target", "old", 3);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit limit = {4096, 4096};
        signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
            _exit(2);
        int result =
            file_write_atomic(in_dir("target"), (struct sts_str){large, sizeof(large)}, 0600);
        _exit(result == -1 && errno == EFBIG ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    reads_give(in_dir("target"), 100, STS_STR("old"));
    no_leftovers();
}

int main(void)
{
#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        IN_DIR(contents_are_appended),
        IN_DIR(the_cap_is_exact),
        IN_DIR(only_regular_files_are_read),
        IN_DIR(paths_that_lead_nowhere),
        IN_DIR(permission_is_told),
        IN_DIR(a_changing_file_is_never_taken),
        IN_DIR(a_change_is_waited_out),
        IN_DIR(nothing_is_left_of_what_is_not_given),
        IN_DIR(nothing_is_left_where_a_buffer_grew),
        IN_DIR(a_file_open_for_writing_is_not_settled),
        IN_DIR(where_leases_are_not_given_it_is_read),
        cmocka_unit_test(times_of_any_century),
        cmocka_unit_test(errors_are_clauses),
        cmocka_unit_test(names_are_resolved),
        IN_DIR(writing_is_atomic),
        IN_DIR(writing_refuses_what_is_no_file),
        IN_DIR(a_failed_write_changes_nothing),
    };
    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
