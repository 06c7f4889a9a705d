/* Unit tests of server/admin: a server in a thread of its own, and clients of every kind. */
#include "tests/unit/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/admin/admin.h"

enum { BIG = 4 << 20, LONG_ENOUGH_MS = 60000 };

struct bench {
    char directory[64], path[128];
    struct loop *loop;
    struct admin *admin;
    pthread_t thread;
    int wake[2];
    struct loop_timer timer;
    bool stop_after_answer;
};

static struct bench bench;

/* "big" gets a large reply, all else comes back between brackets. */
static void on_request(void *data, struct sts_str request, struct sts_buf *reply)
{
    struct bench *b = data;

    if (sts_str_is(request, "big")) {
        for (size_t i = 0; i < BIG / 8; i++)
            sts_buf_add(reply, STS_STR("12345678"));
    } else {
        sts_buf_add(reply, STS_STR("["));
        sts_buf_add(reply, request);
        sts_buf_add(reply, STS_STR("]"));
    }
    if (b->stop_after_answer)
        loop_stop(b->loop);
}

static void on_wake(void *data)
{
    struct bench *b = data;
    loop_stop(b->loop);
}

static struct admin *open_at(const char *path, bool replace, uint64_t timeout_ms)
{
    const struct admin_setup setup = {.loop = bench.loop,
                                      .path = path,
                                      .replace = replace,
                                      .timeout_ms = timeout_ms,
                                      .answer = on_request,
                                      .data = &bench};
    return admin_open(&setup);
}

static void *run(void *data)
{
    struct bench *b = data;
    loop_run(b->loop);
    return NULL;
}

static void start(uint64_t timeout_ms)
{
    bench.admin = open_at(bench.path, false, timeout_ms);
    assert_non_null(bench.admin);
    assert_int_equal(pipe(bench.wake), 0);
    loop_watch(bench.loop, bench.wake[0], POLLIN, on_wake, &bench);
    assert_int_equal(pthread_create(&bench.thread, NULL, run, &bench), 0);
}

static void stop(void)
{
    assert_int_equal(write(bench.wake[1], "x", 1), 1);
    pthread_join(bench.thread, NULL);
    admin_close(bench.admin);
    loop_forget(bench.loop, bench.wake[0]);
    close(bench.wake[0]);
    close(bench.wake[1]);
}

static int set_up(void **state)
{
    (void)state;
    memset(&bench, 0, sizeof(bench));
    strcpy(bench.directory, "/tmp/mta-stsd-admin-XXXXXX");
    if (!mkdtemp(bench.directory))
        return -1;
    snprintf(bench.path, sizeof(bench.path), "%s/ledger.db.sock", bench.directory);
    bench.loop = loop_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];

    loop_free(bench.loop);
    snprintf(command, sizeof(command), "rm -rf %s", bench.directory);
    return system(command);
}

static void expect_reply(struct sts_str request, struct sts_str expected)
{
    struct sts_buf reply = {0};

    assert_int_equal(admin_ask(bench.path, request, LONG_ENOUGH_MS, &reply), 0);
    assert_int_equal(reply.len, expected.len);
    assert_memory_equal(reply.ptr, expected.ptr, expected.len);
    sts_buf_fini(&reply);
}

static void expect_error(const char *path, uint64_t timeout_ms, int error)
{
    struct sts_buf reply = {0};

    assert_int_equal(admin_ask(path, STS_STR("x"), timeout_ms, &reply), -1);
    assert_int_equal(errno, error);
    sts_buf_fini(&reply);
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* A socket that listens, and its name. */
static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

static size_t read_to_end(int fd, char *out, size_t size)
{
    size_t total = 0;
    char piece[4096];
    ssize_t n;

    while ((n = recv(fd, piece, sizeof(piece), 0)) > 0) {
        if (total + (size_t)n < size)
            memcpy(out + total, piece, (size_t)n);
        total += (size_t)n;
    }
    return total;
}

/* Until the server has closed its end. */
static void await_end(int fd)
{
    struct pollfd end = {.fd = fd, .events = POLLRDHUP};
    assert_int_equal(poll(&end, 1, LONG_ENOUGH_MS), 1);
}

static size_t count_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    size_t count = 0;

    while (readdir(d))
        count++;
    closedir(d);
    return count;
}

/* --- Requests --- */

static void a_line_in_a_document_out(void **state)
{
    (void)state;
    struct stat st;

    start(0);
    assert_int_equal(lstat(bench.path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0600);
    expect_reply(STS_STR("hello"), STS_STR("[hello]\n"));
    expect_reply(STS_STR(""), STS_STR("[]\n"));
    expect_reply(STS_STR("a\0b\xff"), STS_STR("[a\0b\xff]\n"));
    stop();
    assert_int_equal(lstat(bench.path, &st), -1);
}

static void a_line_in_pieces(void **state)
{
    (void)state;
    char reply[64] = "";

    start(0);
    int fd = connect_to(bench.path);
    for (const char *c = "pieces\nand more"; *c; c++)
        if (send(fd, c, 1, MSG_NOSIGNAL) != 1)
            break; /* it has its line, and takes no more */
    assert_int_equal(read_to_end(fd, reply, sizeof(reply)), strlen("[pieces]\n"));
    assert_string_equal(reply, "[pieces]\n");
    close(fd);
    stop();
}

static void a_long_line(void **state)
{
    (void)state;
    static char line[ADMIN_REQUEST_MAX + 1];
    struct sts_buf reply = {0};

    memset(line, 'x', sizeof(line));
    start(0);
    struct sts_str longest = {line, ADMIN_REQUEST_MAX}, too_long = {line, sizeof(line)};
    assert_int_equal(admin_ask(bench.path, longest, LONG_ENOUGH_MS, &reply), 0);
    assert_int_equal(reply.len, ADMIN_REQUEST_MAX + 3);
    sts_buf_fini(&reply);
    expect_reply(too_long, STS_STR("{\"error\":\"the request is too long\"}\n"));
    stop();
}

static void a_line_without_end(void **state)
{
    (void)state;
    static char piece[65536];
    char reply[64] = "";

    start(0);
    int fd = connect_to(bench.path);
    memset(piece, 'x', sizeof(piece));
    while (send(fd, piece, sizeof(piece), MSG_NOSIGNAL) > 0)
        continue;
    read_to_end(fd, reply, sizeof(reply));
    assert_string_equal(reply, "{\"error\":\"the request is too long\"}\n");
    close(fd);
    expect_reply(STS_STR("next"), STS_STR("[next]\n"));
    stop();
}

static void a_large_reply(void **state)
{
    (void)state;
    struct sts_buf reply = {0};

    start(0);
    assert_int_equal(admin_ask(bench.path, STS_STR("big"), LONG_ENOUGH_MS, &reply), 0);
    assert_int_equal(reply.len, BIG + 1);
    sts_buf_fini(&reply);
    stop();
}

/* --- Clients that are no good --- */

static void clients_that_leave(void **state)
{
    (void)state;
    start(0);
    for (int i = 0; i < 50; i++) {
        int fd = connect_to(bench.path);
        if (i % 3 == 1)
            assert_int_equal(send(fd, "half", 4, MSG_NOSIGNAL), 4);
        if (i % 3 == 2)
            assert_int_equal(send(fd, "big\n", 4, MSG_NOSIGNAL), 4);
        close(fd);
    }
    expect_reply(STS_STR("still there"), STS_STR("[still there]\n"));
    stop();
}

static void who_says_nothing_is_given_up(void **state)
{
    (void)state;
    start(20);
    int silent = connect_to(bench.path), half = connect_to(bench.path);
    char reply[16];
    assert_int_equal(send(half, "half", 4, MSG_NOSIGNAL), 4);
    assert_int_equal(read_to_end(silent, reply, sizeof(reply)), 0);
    assert_int_equal(read_to_end(half, reply, sizeof(reply)), 0);
    close(silent);
    close(half);
    stop();
}

static void who_does_not_read_is_given_up(void **state)
{
    (void)state;
    start(20);
    int fd = connect_to(bench.path);
    assert_int_equal(send(fd, "big\n", 4, MSG_NOSIGNAL), 4);
    await_end(fd);
    size_t got = read_to_end(fd, NULL, 0);
    assert_true(got > 0 && got < BIG);
    close(fd);
    stop();
}

static void more_clients_than_places(void **state)
{
    (void)state;
    int clients[ADMIN_CLIENTS + 10];
    const size_t count = sizeof(clients) / sizeof(*clients);
    char reply[16];

    start(0);
    for (size_t i = 0; i < count; i++)
        clients[i] = connect_to(bench.path);
    assert_int_equal(send(clients[count - 1], "x\n", 2, MSG_NOSIGNAL), 2);
    for (size_t i = 0; i < count - 1; i++)
        close(clients[i]);
    assert_int_equal(read_to_end(clients[count - 1], reply, sizeof(reply)), 4);
    close(clients[count - 1]);
    stop();
}

static void another_user(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    start(0);
    assert_int_equal(chmod(bench.directory, 0755), 0);
    for (int allowed = 0; allowed < 2; allowed++) {
        assert_int_equal(chmod(bench.path, allowed ? 0666 : 0600), 0);
        pid_t child = fork();
        if (child == 0) {
            struct sts_buf reply = {0};
            if (setuid(65534) != 0)
                _exit(77);
            int result = admin_ask(bench.path, STS_STR("x"), LONG_ENOUGH_MS, &reply);
            bool good =
                allowed ? result == 0 && sts_str_starts(sts_buf_str(&reply), STS_STR("{\"error\""))
                        : result != 0 && errno == EACCES;
            sts_buf_fini(&reply);
            _exit(!good);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    stop();
}

/* --- The place --- */

static void a_path_of_any_length(void **state)
{
    (void)state;
    char directory[900], path[1000];
    struct sts_buf reply = {0};

    strcpy(directory, bench.directory);
    for (int i = 0; i < 4; i++) {
        size_t length = strlen(directory);
        directory[length] = '/';
        memset(directory + length + 1, 'd', 200);
        directory[length + 201] = 0;
        assert_int_equal(mkdir(directory, 0700), 0);
    }
    snprintf(path, sizeof(path), "%s/s", directory);
    struct admin *a = open_at(path, false, 0);
    assert_non_null(a);
    assert_int_equal(access(path, F_OK), 0);
    admin_close(a);
    assert_int_equal(access(path, F_OK), -1);
    snprintf(path, sizeof(path), "%s/%.*s", bench.directory, 150,
             directory + strlen(directory) - 150);
    assert_null(open_at(path, false, 0));
    assert_int_equal(errno, ENAMETOOLONG);
    assert_int_equal(admin_ask(path, STS_STR("x"), LONG_ENOUGH_MS, &reply), -1);
    assert_int_equal(errno, ENAMETOOLONG);
}

static void a_left_over_is_replaced_by_its_owner_only(void **state)
{
    (void)state;
    close(listen_at(bench.path));
    expect_error(bench.path, LONG_ENOUGH_MS, ECONNREFUSED);
    assert_null(open_at(bench.path, false, 0));
    assert_int_equal(errno, EADDRINUSE);
    struct admin *a = open_at(bench.path, true, 0);
    assert_non_null(a);
    admin_close(a);
}

static void what_is_no_socket_stays(void **state)
{
    (void)state;
    char target[128];

    close(open(bench.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_null(open_at(bench.path, true, 0));
    assert_int_equal(errno, EADDRINUSE);
    assert_int_equal(access(bench.path, F_OK), 0);
    unlink(bench.path);
    snprintf(target, sizeof(target), "%s/target", bench.directory);
    close(listen_at(target));
    assert_int_equal(symlink(target, bench.path), 0);
    assert_null(open_at(bench.path, true, 0));
    assert_int_equal(errno, EADDRINUSE);
    assert_int_equal(access(target, F_OK), 0);
    assert_int_equal(readlink(bench.path, target, sizeof(target)) > 0, 1);
}

static void another_ones_socket_stays_at_the_end(void **state)
{
    (void)state;
    struct admin *a = open_at(bench.path, false, 0);
    assert_non_null(a);
    unlink(bench.path);
    close(open(bench.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    admin_close(a);
    assert_int_equal(access(bench.path, F_OK), 0);
    admin_close(NULL);
}

static void no_directory(void **state)
{
    (void)state;
    char path[128];

    snprintf(path, sizeof(path), "%s/none/x.sock", bench.directory);
    assert_null(open_at(path, true, 0));
    assert_int_equal(errno, ENOENT);
    expect_error(path, LONG_ENOUGH_MS, ENOENT);
    assert_null(open_at("/proc/x.sock", true, 0)); /* nothing can be made there */
}

/* --- Servers that are no good --- */

static void a_server_that_does_not_answer(void **state)
{
    (void)state;
    int fd = listen_at(bench.path), waiting[8];
    size_t count = 0;

    expect_error(bench.path, 20, ETIMEDOUT);
    /* Its queue is full: connecting waits, too. */
    for (; count < 8; count++) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        strcpy(address.sun_path, bench.path);
        waiting[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (connect(waiting[count], (struct sockaddr *)&address, sizeof(address)) != 0)
            break;
    }
    assert_true(count < 8);
    expect_error(bench.path, 20, ETIMEDOUT);
    for (size_t i = 0; i <= count; i++)
        close(waiting[i]);
    close(fd);
}

static void *take_and_leave(void *data)
{
    int fd = accept(*(int *)data, NULL, NULL);
    close(fd);
    return NULL;
}

static void a_server_that_says_nothing(void **state)
{
    (void)state;
    int fd = listen_at(bench.path);
    pthread_t thread;

    pthread_create(&thread, NULL, take_and_leave, &fd);
    expect_error(bench.path, LONG_ENOUGH_MS, EPROTO);
    pthread_join(thread, NULL);
    close(fd);
}

static void *take_and_flood(void *data)
{
    static char piece[1 << 18];
    int fd = accept(*(int *)data, NULL, NULL);

    while (send(fd, piece, sizeof(piece), MSG_NOSIGNAL) > 0)
        continue;
    close(fd);
    return NULL;
}

static void a_server_that_does_not_end(void **state)
{
    (void)state;
    int fd = listen_at(bench.path);
    pthread_t thread;

    pthread_create(&thread, NULL, take_and_flood, &fd);
    expect_error(bench.path, LONG_ENOUGH_MS, EFBIG);
    pthread_join(thread, NULL);
    close(fd);
}

/* --- Descriptors --- */

static void nothing_leaks(void **state)
{
    (void)state;
    size_t before = count_descriptors();
    for (int round = 0; round < 3; round++) {
        start(0);
        for (int i = 0; i < 200; i++)
            expect_reply(STS_STR("x"), STS_STR("[x]\n"));
        stop();
    }
    assert_int_equal(count_descriptors(), before);
}

/* Not a loop that eats the processor until there are some: tried again after a second. */
static void without_descriptors_it_waits(void **state)
{
    (void)state;
    struct rlimit limit, low;
    char reply[16];

    bench.admin = open_at(bench.path, false, 0);
    int fd = connect_to(bench.path);
    assert_int_equal(send(fd, "x\n", 2, MSG_NOSIGNAL), 2);
    getrlimit(RLIMIT_NOFILE, &limit);
    low = limit;
    int lowest = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(lowest);
    low.rlim_cur = (rlim_t)lowest;
    setrlimit(RLIMIT_NOFILE, &low);
    loop_set(bench.loop, &bench.timer, 1, on_wake, &bench);
    loop_run(bench.loop);
    setrlimit(RLIMIT_NOFILE, &limit);
    bench.stop_after_answer = true;
    loop_run(bench.loop);
    bench.stop_after_answer = false;
    loop_set(bench.loop, &bench.timer, 1, on_wake, &bench);
    loop_run(bench.loop);
    assert_int_equal(read_to_end(fd, reply, sizeof(reply)), 4);
    close(fd);
    admin_close(bench.admin);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_line_in_a_document_out),
        TEST(a_line_in_pieces),
        TEST(a_long_line),
        TEST(a_line_without_end),
        TEST(a_large_reply),
        TEST(clients_that_leave),
        TEST(who_says_nothing_is_given_up),
        TEST(who_does_not_read_is_given_up),
        TEST(more_clients_than_places),
        TEST(another_user),
        TEST(a_path_of_any_length),
        TEST(a_left_over_is_replaced_by_its_owner_only),
        TEST(what_is_no_socket_stays),
        TEST(another_ones_socket_stays_at_the_end),
        TEST(no_directory),
        TEST(a_server_that_does_not_answer),
        TEST(a_server_that_says_nothing),
        TEST(a_server_that_does_not_end),
        TEST(nothing_leaks),
        TEST(without_descriptors_it_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
