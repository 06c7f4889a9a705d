/* What can be listened on, and what is refused with a reason. */
#include "tests/unit/http_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

static void expect_refused(const struct sts_listen *listen, size_t count, const char *code)
{
    struct sts_settings settings = settings_for(listen, count);
    struct sts_arena *arena = sts_arena_new();
    struct sts_diags diags;
    sts_diags_init(&diags, arena);
    struct snapshot *snapshot = make_snapshot(&settings, POLICY);
    assert_null(http_server_new(snapshot, &diags));
    assert_int_equal(diags.errors, 1);
    assert_string_equal(diags.first->code, code);
    assert_int_equal(atomic_load(&snapshot->refs), 1);
    snapshot_unref(snapshot);
    sts_arena_free(arena);
}

/* SO_REUSEPORT would let a second server take half of the connections without a word. */
static void a_port_in_use_is_refused(void **state)
{
    (void)state;
    struct http_server *server = start_plain();
    struct sts_listen again[] = {plain_on("127.0.0.1", 0),
                                 plain_on("127.0.0.1", port_of(server, 0))};
    expect_refused(again, 2, "listen-address-in-use");
    stop_server(server);
}

static void impossible_addresses_are_refused(void **state)
{
    (void)state;
    char path[200];
    memset(path, 'x', sizeof(path) - 1);
    path[0] = '/';
    path[sizeof(path) - 1] = 0;
    struct sts_listen foreign = plain_on("192.0.2.1", 0), garbage = plain_on("nonsense", 0),
                      endless = plain_on(path, 0), nowhere = plain_on("/nonexistent/x/y", 0);
    expect_refused(&foreign, 1, "listen-address-unknown");
    expect_refused(&garbage, 1, "listen-failed");
    expect_refused(&endless, 1, "listen-failed");
    expect_refused(&nowhere, 1, "listen-failed");
}

static void dual_stack_leaves_ipv4_to_its_own_entry(void **state)
{
    (void)state;
    struct sts_listen wildcard = plain_on("::", 0);
    struct http_server *server = start_server(settings_for(&wildcard, 1));
    uint16_t port = port_of(server, 0);
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    v4.sin_port = htons(port);
    assert_int_equal(connect(fd, (struct sockaddr *)&v4, sizeof(v4)), 0);
    send_bytes(fd, STS_STR(REQUEST));
    expect_policy(fd);
    close(fd);
    stop_server(server);
    struct sts_listen both[] = {plain_on("127.0.0.1", port), plain_on("::", port)};
    server = start_server(settings_for(both, 2));
    for (size_t i = 0; i < 2; i++) {
        struct sts_buf got = {0};
        assert_true(contains(talk(server, i, STS_STR(CLOSING), &got), POLICY));
        sts_buf_fini(&got);
    }
    stop_server(server);
}

static void unix_sockets_serve_and_are_cleaned_up(void **state)
{
    (void)state;
    char dir[] = "/tmp/mta-sts-http-XXXXXX", path[64];
    struct stat st;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/x.sock", dir);
    struct sts_listen listen = plain_on(path, 0);
    for (int round = 0; round < 2; round++) {
        struct http_server *server = start_server(settings_for(&listen, 1));
        struct sts_buf got = {0};
        assert_true(contains(talk(server, 0, STS_STR(CLOSING), &got), POLICY));
        sts_buf_fini(&got);
        expect_refused(&listen, 1, "listen-address-in-use");
        stop_server(server);
        assert_int_equal(stat(path, &st), -1);
        if (round == 0) { /* what a crash leaves behind is replaced */
            struct sockaddr_un local = {.sun_family = AF_UNIX};
            memcpy(local.sun_path, path, strlen(path));
            int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
            assert_int_equal(bind(fd, (struct sockaddr *)&local, sizeof(local)), 0);
            close(fd);
        }
    }
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600); /* a file of somebody's stays */
    assert_true(file >= 0);
    close(file);
    expect_refused(&listen, 1, "listen-address-in-use");
    assert_int_equal(stat(path, &st), 0);
    unlink(path);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_port_in_use_is_refused),
        cmocka_unit_test(impossible_addresses_are_refused),
        cmocka_unit_test(dual_stack_leaves_ipv4_to_its_own_entry),
        cmocka_unit_test(unix_sockets_serve_and_are_cleaned_up),
    };
    return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
