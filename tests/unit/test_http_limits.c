/* Where clients end: deadlines, caps, descriptors, shutdown. */
#include "tests/unit/http_fixture.h"

#include <semaphore.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

/* The accept4(2) of this program: a worker that comes to the gate while it is closed stays there.
 */
static sem_t at_gate, gate;
static atomic_bool gate_closed;

int accept4(int fd, struct sockaddr *from, socklen_t *len, int flags)
{
    if (atomic_exchange(&gate_closed, false)) {
        sem_post(&at_gate);
        while (sem_wait(&gate) != 0)
            continue;
    }
    return (int)syscall(SYS_accept4, fd, from, len, flags);
}

static double cpu_seconds(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static double wall_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Nothing arrives on `fd` for half a second, and the process does not burn CPU meanwhile. A server
 * that works can only fail this by starving the machine; one that spins cannot pass it. */
static void expect_silence_without_spin(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    double cpu = cpu_seconds();
    assert_int_equal(poll(&p, 1, 500), 0);
    assert_true(cpu_seconds() - cpu < 0.25);
}

static void expect_end(int fd)
{
    struct sts_buf got = {0};
    receive_all(fd, &got);
    sts_buf_fini(&got);
    close(fd);
}

/* reliability: a head that never ends, whether bytes come or not */
static void a_slow_head_is_cut(void **state)
{
    (void)state;
    struct sts_listen listen = plain_on("127.0.0.1", 0);
    struct sts_settings settings = settings_for(&listen, 1);
    settings.request_timeout = 1;
    struct http_server *server = start_server(settings);
    int fd = connect_to(server, 0);
    send_bytes(fd, STS_STR("GET / HTTP/1.1\r\nX: "));
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int drips = 0;
    while (poll(&p, 1, 20) == 0 && drips++ < PATIENCE / 20)
        send_bytes(fd, STS_STR("y"));
    assert_true(drips < PATIENCE / 20);
    expect_end(fd);
    /* also after a first answer */
    fd = connect_to(server, 0);
    send_bytes(fd, STS_STR(REQUEST "GET / HT"));
    expect_end(fd);
    stop_server(server);
}

static void an_idle_connection_is_closed(void **state)
{
    (void)state;
    struct sts_listen listen = plain_on("127.0.0.1", 0);
    struct sts_settings settings = settings_for(&listen, 1);
    settings.idle_timeout = 1;
    struct http_server *server = start_server(settings);
    int fd = connect_to(server, 0);
    send_bytes(fd, STS_STR(REQUEST));
    expect_policy(fd);
    expect_end(fd);
    stop_server(server);
}

/* Answers that are never read: libh2o has no deadline for writing. */
static void a_client_that_never_reads_is_reset(void **state)
{
    (void)state;
    struct sts_listen listen = plain_on("127.0.0.1", 0);
    struct sts_settings settings = settings_for(&listen, 1);
    settings.lifetime = 1;
    struct http_server *server = start_server(settings);
    struct sts_buf body = {0}, requests = {0};
    while (body.len < 200000)
        sts_buf_add_cstr(&body, "0123456789abcdef");
    sts_buf_add(&body, (struct sts_str){"", 1});
    publish(server, &settings, body.ptr);
    for (int i = 0; i < 90; i++)
        sts_buf_add_cstr(&requests, REQUEST);
    int fd = connect_to(server, 0);
    send_bytes(fd, sts_buf_str(&requests));
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};
    assert_int_equal(poll(&p, 1, PATIENCE), 1);
    close(fd);
    sts_buf_fini(&body);
    sts_buf_fini(&requests);
    stop_server(server);
}

static void a_missing_proxy_line_is_cut(void **state)
{
    (void)state;
    struct sts_listen listen = plain_on("127.0.0.1", 0);
    struct sts_settings settings = settings_for(&listen, 1);
    listen.proxy_protocol = true;
    settings.handshake_timeout = 1;
    struct http_server *server = start_server(settings);
    int fd = connect_to(server, 0);
    send_bytes(fd, STS_STR("PROXY TCP4 "));
    expect_end(fd);
    stop_server(server);
}

static int proxied(struct http_server *server, const char *client)
{
    struct sts_buf text = {0};
    int fd = connect_to(server, 0);
    sts_buf_printf(&text, "PROXY TCP6 %s 2001:db8::1 1 2\r\n" REQUEST, client);
    send_bytes(fd, sts_buf_str(&text));
    sts_buf_fini(&text);
    return fd;
}

static void addresses_have_their_own_cap(void **state)
{
    (void)state;
    struct sts_listen listen = plain_on("127.0.0.1", 0);
    struct sts_settings settings = settings_for(&listen, 1);
    listen.proxy_protocol = true;
    settings.max_connections_per_ip = 2;
    struct http_server *server = start_server(settings);
    int first = proxied(server, "2001:db8:0:1::1"), second = proxied(server, "2001:db8:0:1::2");
    expect_policy(first);
    expect_policy(second);
    expect_end(proxied(server, "2001:db8:0:1:ffff::1")); /* the same /64 */
    int other = proxied(server, "2001:db8:0:2::1");
    expect_policy(other);
    /* A place is free again once a connection has ended. */
    close(first);
    bool served = false;
    for (int i = 0; i < 1000 && !served; i++) {
        struct sts_buf got = {0};
        int fd = proxied(server, "2001:db8:0:1::3");
        served = receive_some(fd, &got);
        close(fd);
        sts_buf_fini(&got);
    }
    assert_true(served);
    close(second);
    close(other);
    stop_server(server);
}

static void direct_addresses_are_counted_too(void **state)
{
    (void)state;
    struct sts_listen listen = plain_on("127.0.0.1", 0);
    struct sts_settings settings = settings_for(&listen, 1);
    settings.max_connections_per_ip = 1;
    struct http_server *server = start_server(settings);
    int first = connect_to(server, 0), second = connect_to(server, 0);
    send_bytes(first, STS_STR(REQUEST));
    expect_policy(first);
    send_bytes(second, STS_STR(REQUEST));
    expect_end(second);
    close(first);
    stop_server(server);
}

static void at_the_cap_clients_wait_and_nothing_spins(void **state)
{
    (void)state;
    struct sts_listen listen = plain_on("127.0.0.1", 0);
    struct sts_settings settings = settings_for(&listen, 1);
    settings.max_connections = 3;
    struct http_server *server = start_server(settings);
    int fds[4];
    for (int i = 0; i < 4; i++) {
        fds[i] = connect_to(server, 0);
        send_bytes(fds[i], STS_STR(REQUEST));
        if (i < 3)
            expect_policy(fds[i]);
    }
    expect_silence_without_spin(fds[3]);
    close(fds[0]);
    expect_policy(fds[3]);
    for (int i = 1; i < 4; i++)
        close(fds[i]);
    stop_server(server);
}

/* T8: a level-triggered listener and EMFILE */
static void without_descriptors_nothing_spins(void **state)
{
    (void)state;
    struct rlimit before, few;
    int fillers[1024], count = 0, fds[2];
    struct http_server *server = start_plain();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = (struct rlimit){.rlim_cur = 256, .rlim_max = before.rlim_max};
    for (int i = 0; i < 2; i++)
        fds[i] = connect_to(server, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    while ((fillers[count] = dup(0)) >= 0)
        count++;
    assert_int_equal(errno, EMFILE);
    for (int i = 0; i < 2; i++)
        send_bytes(fds[i], STS_STR(REQUEST));
    expect_silence_without_spin(fds[0]);
    for (int i = 0; i < count; i++)
        close(fillers[i]);
    for (int i = 0; i < 2; i++) {
        expect_policy(fds[i]);
        close(fds[i]);
    }
    setrlimit(RLIMIT_NOFILE, &before);
    stop_server(server);
}

static void stopping_ends_idle_connections_at_once(void **state)
{
    (void)state;
    struct http_server *server = start_plain();
    int idle[3], fresh = connect_to(server, 0);
    for (int i = 0; i < 3; i++) {
        idle[i] = connect_to(server, 0);
        send_bytes(idle[i], STS_STR(REQUEST));
        expect_policy(idle[i]);
    }
    send_bytes(fresh, STS_STR("GET " RESOURCE " HTTP/1.1\r\n")); /* not yet complete */
    double start = wall_seconds();
    stop_server(server);
    assert_true(wall_seconds() - start < 10); /* idle_timeout and the others are 60 s */
    for (int i = 0; i < 3; i++)
        expect_end(idle[i]);
    expect_end(fresh);
}

/* What has been accepted by the kernel when the stop comes is still answered, and then closed. */
static void stopping_answers_who_is_there(void **state)
{
    (void)state;
    struct http_server *server = start_plain();
    int fds[20];
    for (int i = 0; i < 20; i++) {
        fds[i] = connect_to(server, 0);
        send_bytes(fds[i], STS_STR(REQUEST));
    }
    stop_server(server);
    for (int i = 0; i < 20; i++) {
        struct sts_buf got = {0};
        struct sts_str answer = receive_all(fds[i], &got);
        assert_true(sts_str_starts(answer, STS_STR("HTTP/1.1 200 OK\r\n")));
        assert_true(sts_str_ends(answer, STS_STR(POLICY)));
        sts_buf_fini(&got);
        close(fds[i]);
    }
}

static void a_server_that_never_started_can_stop(void **state)
{
    (void)state;
    struct sts_listen listen = plain_on("127.0.0.1", 0);
    struct sts_settings settings = settings_for(&listen, 1);
    struct sts_arena *arena = sts_arena_new();
    struct sts_diags diags;
    sts_diags_init(&diags, arena);
    struct snapshot *snapshot = make_snapshot(&settings, POLICY);
    struct http_server *server = http_server_new(snapshot, &diags);
    assert_non_null(server);
    publish(server, &settings, "x");
    assert_true(http_server_stop(server, 0));
    assert_int_equal(atomic_load(&snapshot->refs), 1);
    snapshot_unref(snapshot);
    sts_arena_free(arena);
}

/* Nothing keeps a snapshot that was replaced. */
static void publishing_releases_the_old_snapshot(void **state)
{
    (void)state;
    struct sts_listen listen = plain_on("127.0.0.1", 0);
    struct sts_settings settings = settings_for(&listen, 1);
    struct http_server *server = start_server(settings);
    struct snapshot *mine = make_snapshot(&settings, "mine");
    http_server_publish(server, mine, PATIENCE);
    assert_true(atomic_load(&mine->refs) > 1);
    publish(server, &settings, "next");
    assert_int_equal(atomic_load(&mine->refs), 1);
    snapshot_unref(mine);
    stop_server(server);
}

/* --- A worker that is busy -------------------------------------------------------------------- */

static struct http_server *start_one_worker(struct sts_settings *settings,
                                            const struct sts_listen *listen)
{
    *settings = settings_for(listen, 1);
    settings->workers = 1;
    assert_int_equal(sem_init(&gate, 0, 0) | sem_init(&at_gate, 0, 0), 0);
    alarm(PATIENCE / 1000); /* the control thread would wait for ever */
    return start_server(*settings);
}

/* A connection to the server, whose worker is busy with it. */
static int hold_worker(struct http_server *server)
{
    atomic_store(&gate_closed, true);
    int fd = connect_to(server, 0);
    send_bytes(fd, STS_STR(CLOSING)); /* a connection without a word is not accepted at once */
    while (sem_wait(&at_gate) != 0)
        continue;
    return fd;
}

static unsigned count_refs(struct snapshot *snapshot)
{
    return atomic_load(&snapshot->refs);
}

static void publishing_does_not_wait_for_a_busy_worker(void **state)
{
    (void)state;
    struct sts_listen listen = plain_on("127.0.0.1", 0);
    struct sts_settings settings;
    struct http_server *server = start_one_worker(&settings, &listen);
    struct snapshot *first = make_snapshot(&settings, "first"),
                    *second = make_snapshot(&settings, "second"),
                    *third = make_snapshot(&settings, POLICY);

    http_server_publish(server, first, PATIENCE);
    assert_true(http_server_settled(server));
    int fd = hold_worker(server);
    http_server_publish(server, second, 0);
    assert_false(http_server_settled(server));
    assert_int_equal(count_refs(first), 2); /* the worker has it still */
    http_server_publish(server, third, 1);
    assert_false(http_server_settled(server));
    assert_int_equal(count_refs(first), 2);
    assert_int_equal(count_refs(second), 1); /* nobody will ever use it */
    sem_post(&gate);
    expect_end(fd);
    while (!http_server_settled(server))
        sched_yield();
    assert_int_equal(count_refs(first), 1);
    assert_int_equal(count_refs(third), 3);
    fd = connect_to(server, 0);
    send_bytes(fd, STS_STR(REQUEST));
    expect_policy(fd);
    close(fd);
    stop_server(server);
    alarm(0);
    snapshot_unref(first);
    snapshot_unref(second);
    snapshot_unref(third);
}

/* Also when it has not heard yet of what was published before. */
static void stopping_keeps_its_deadline_when_a_worker_is_busy(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct sts_listen listen = plain_on("127.0.0.1", 0);
        struct sts_settings settings;
        struct http_server *server = start_one_worker(&settings, &listen);
        struct snapshot *next = make_snapshot(&settings, "next");
        int fd = hold_worker(server);
        if (i)
            http_server_publish(server, next, 0);
        assert_false(http_server_stop(server, 1));
        assert_int_equal(count_refs(next), i ? 2 : 1); /* the server has it, the message not */
        sem_post(&gate);
        expect_end(fd); /* it stops as soon as it can */
        alarm(0);
        snapshot_unref(next);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_head_is_cut),
        cmocka_unit_test(an_idle_connection_is_closed),
        cmocka_unit_test(a_client_that_never_reads_is_reset),
        cmocka_unit_test(a_missing_proxy_line_is_cut),
        cmocka_unit_test(addresses_have_their_own_cap),
        cmocka_unit_test(direct_addresses_are_counted_too),
        cmocka_unit_test(at_the_cap_clients_wait_and_nothing_spins),
        cmocka_unit_test(without_descriptors_nothing_spins),
        cmocka_unit_test(stopping_ends_idle_connections_at_once),
        cmocka_unit_test(stopping_answers_who_is_there),
        cmocka_unit_test(a_server_that_never_started_can_stop),
        cmocka_unit_test(publishing_releases_the_old_snapshot),
        cmocka_unit_test(publishing_does_not_wait_for_a_busy_worker),
        cmocka_unit_test(stopping_keeps_its_deadline_when_a_worker_is_busy),
    };
    return cmocka_run_group_tests_name("http_limits", tests, NULL, NULL);
}
