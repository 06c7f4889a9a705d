/* What is answered, byte by byte: a real server on loopback, a raw client. */
#include "tests/unit/http_fixture.h"

#include <fcntl.h>

static struct sts_str field_of(struct sts_str answer, const char *name)
{
    char start[64];
    snprintf(start, sizeof(start), "\r\n%s: ", name);
    const char *at = memmem(answer.ptr, answer.len, start, strlen(start));
    if (!at)
        return (struct sts_str){0};
    size_t from = (size_t)(at - answer.ptr) + strlen(start);
    return sts_str_sub(answer, from, sts_str_find(answer, '\r', from));
}

/* RFC 8461 §3.2, §3.3 */
static void the_policy_is_served_on_both_families(void **state)
{
    (void)state;
    struct sts_listen listen[] = {plain_on("127.0.0.1", 0), plain_on("::1", 0)};
    struct http_server *server = start_server(settings_for(listen, 2));
    assert_int_equal(http_server_address_count(server), 2);
    for (size_t i = 0; i < 2; i++) {
        struct sts_buf got = {0};
        struct sts_str answer = talk(server, i, STS_STR(CLOSING), &got);
        assert_true(sts_str_starts(answer, STS_STR("HTTP/1.1 200 OK\r\n")));
        assert_true(sts_str_ends(answer, STS_STR("\r\n\r\n" POLICY)));
        assert_true(sts_str_is(field_of(answer, "Content-Type"), "text/plain"));
        assert_true(sts_str_is(field_of(answer, "Content-Length"), "68"));
        assert_true(sts_str_is(field_of(answer, "Cache-Control"), "max-age=60"));
        assert_true(sts_str_is(field_of(answer, "X-Content-Type-Options"), "nosniff"));
        assert_int_equal(count_of(answer, "\r\n"), 8 + 4);
        assert_false(contains(answer, "erver:"));
        assert_false(contains(answer, "TAG"));
        sts_buf_fini(&got);
    }
    stop_server(server);
}

static void head_has_the_length_and_no_body(void **state)
{
    (void)state;
    struct http_server *server = start_plain();
    struct sts_buf got = {0};
    struct sts_str answer = talk(
        server, 0,
        STS_STR("HEAD " RESOURCE " HTTP/1.1\r\nHost: " HOST "\r\nConnection: close\r\n\r\n"), &got);
    assert_true(sts_str_starts(answer, STS_STR("HTTP/1.1 200 OK\r\n")));
    assert_true(sts_str_is(field_of(answer, "Content-Length"), "68"));
    assert_true(sts_str_ends(answer, STS_STR("\r\n\r\n")));
    sts_buf_fini(&got);
    stop_server(server);
}

struct answer_case {
    int status;
    struct sts_str request;
};

/* Sends each request twice on one connection. `closes`: there is no second answer. */
static void check_answers(const struct answer_case *cases, size_t count, bool closes)
{
    struct http_server *server = start_plain();
    for (size_t i = 0; i < count; i++) {
        struct sts_buf request = {0}, got = {0};
        char status[32];
        sts_buf_add(&request, cases[i].request);
        sts_buf_add_cstr(&request, CLOSING);
        struct sts_str answer = talk(server, 0, sts_buf_str(&request), &got);
        snprintf(status, sizeof(status), "HTTP/1.1 %d ", cases[i].status);
        size_t answers = count_of(answer, "HTTP/1.1 ");
        if (!sts_str_starts(answer, sts_str_from(status)) || answers != (closes ? 1 : 2))
            print_error("to %.*s\ncame %.*s\n", STS_ARG(cases[i].request), STS_ARG(answer));
        assert_true(sts_str_starts(answer, sts_str_from(status)));
        assert_int_equal(answers, closes ? 1 : 2);
        assert_int_equal(contains(answer, "\r\n\r\n" POLICY), !closes);
        if (cases[i].status == 405)
            assert_true(sts_str_is(field_of(answer, "Allow"), "GET, HEAD"));
        sts_buf_fini(&request);
        sts_buf_fini(&got);
    }
    stop_server(server);
}
#define ANSWERS(cases, closes) check_answers(cases, sizeof(cases) / sizeof(cases[0]), closes)

#define GET  "GET " RESOURCE " HTTP/1.1\r\n"
#define MINE "Host: " HOST "\r\n"

/* After these the connection goes on. */
static void ordinary_refusals_keep_the_connection(void **state)
{
    (void)state;
    const struct answer_case cases[] = {
        {200, STS_STR("GET " RESOURCE "?x=%00 HTTP/1.1\r\n" MINE "\r\n")},
        {200, STS_STR(GET "Host: MTA-STS.example.ORG.:443\r\nContent-Length: 0\r\n\r\n")},
        {200, STS_STR("GET https://" HOST RESOURCE " HTTP/1.1\r\n" MINE "\r\n")},
        {200, STS_STR("\r\n" GET MINE "\r\n")},
        {200, STS_STR(GET "Host: mta-sts.nocert.example\r\n\r\n")}, /* TLS ends in front of us */
        {404, STS_STR("GET / HTTP/1.1\r\n" MINE "\r\n")},
        {404, STS_STR("GET " RESOURCE "%00 HTTP/1.1\r\n" MINE "\r\n")},
        {404, STS_STR("GET /.well-known/../.well-known/mta-sts.txt HTTP/1.1\r\n" MINE "\r\n")},
        {404, STS_STR("OPTIONS * HTTP/1.1\r\n" MINE "\r\n")},
        {404, STS_STR(GET "Host: example.org\r\n\r\n")},
        {404, STS_STR(GET "Host: mta-sts.unknown.example\r\n\r\n")},
        {404, STS_STR(GET "Host: mta-sts.refused.example\r\n\r\n")},
        {404, STS_STR("POST " RESOURCE " HTTP/1.1\r\nHost: x\r\n\r\n")},
        {405, STS_STR("POST " RESOURCE " HTTP/1.1\r\n" MINE "\r\n")},
        {405, STS_STR("get " RESOURCE " HTTP/1.1\r\n" MINE "\r\n")},
    };
    ANSWERS(cases, false);
}

/* RFC 9112 §3.2, §6.3, §11.2: what could be read in two ways is not answered and ends it. */
static void ambiguous_requests_end_the_connection(void **state)
{
    (void)state;
    const struct answer_case cases[] = {
        {400, STS_STR(GET "\r\n")},
        {400, STS_STR(GET "Host:\r\n\r\n")},
        {400, STS_STR(GET MINE MINE "\r\n")},
        {400, STS_STR(GET "Host: x\r\n" MINE "\r\n")},
        {400, STS_STR(GET "Host: " HOST RESOURCE "\r\n\r\n")},
        {400, STS_STR(GET "Host: u@" HOST "\r\n\r\n")},
        {400, STS_STR(GET "Host: a " HOST "\r\n\r\n")},
        {400, STS_STR(GET "Host: " HOST "\0\r\n\r\n")},
        {400, STS_STR(GET "Host: " HOST "\x01\r\n\r\n")},
        {400, STS_STR(GET MINE "Content-Length: 0\r\nContent-Length: 0\r\n\r\n")},
        {400, STS_STR(GET MINE "Content-Length: 0\r\nContent-Length: 9\r\n\r\n")},
        {400, STS_STR(GET MINE "Content-Length: 5\r\n\r\nhello")},
        {417, STS_STR(GET MINE "Content-Length: 5\r\nExpect: 100\r\n\r\nhello")},
        {400, STS_STR(GET MINE "Content-Length: x\r\n\r\n")},
        {400, STS_STR(GET MINE "Content-Length: 00\r\n\r\n")},
        {400, STS_STR(GET MINE "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
        {400, STS_STR(GET MINE "Transfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n")},
        {400, STS_STR(GET MINE "Transfer-Encoding: x\r\n\r\n")},
        {400, STS_STR(GET MINE "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
        {400, STS_STR(GET MINE "X: a\r\n Y: b\r\n\r\n")},
        {400, STS_STR(GET MINE "X : a\r\n\r\n")},
        {400, STS_STR(GET "Host: " HOST "\n\r\n")},
        {400, STS_STR(GET MINE "X: a\rb\r\n\r\n")},
        {400, STS_STR("GET " RESOURCE "\0 HTTP/1.1\r\n" MINE "\r\n")},
        {400, STS_STR("GET " RESOURCE "\x7f HTTP/1.1\r\n" MINE "\r\n")},
        {400, STS_STR("GET " RESOURCE "\xff HTTP/1.1\r\n" MINE "\r\n")},
        {400, STS_STR("GET https://other" RESOURCE " HTTP/1.1\r\n" MINE "\r\n")},
        {400, STS_STR("CONNECT " HOST ":443 HTTP/1.1\r\n" MINE "\r\n")},
        {400, STS_STR("GET x HTTP/1.1\r\n" MINE "\r\n")},
        {400, STS_STR("GET " RESOURCE " HTTP/2.0\r\n" MINE "\r\n")},
        {400, STS_STR("GET " RESOURCE "\r\n")},
        {400, STS_STR("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")},
        /* RFC 9113 §3.4: the preface; the packaged library would switch protocols */
        {400, STS_STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")},
    };
    ANSWERS(cases, true);
}

static void large_bodies_end_the_connection(void **state)
{
    (void)state;
    const struct answer_case cases[] = {
        {413, STS_STR(GET MINE "Content-Length: 1025\r\n\r\n")},
        {413, STS_STR(GET MINE "Content-Length: 99999999999999\r\n\r\n")},
    };
    ANSWERS(cases, true);
}

static void an_upgrade_is_ignored(void **state)
{
    (void)state;
    const struct answer_case cases[] = {
        {200, STS_STR(GET MINE "Connection: Upgrade, HTTP2-Settings, keep-alive\r\n"
                               "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n")},
    };
    ANSWERS(cases, false);
}

/* A head of `size` octets must not hurt; small ones too large for us get an answer. */
static void huge_heads_are_refused(void **state)
{
    (void)state;
    struct http_server *server = start_plain();
    const size_t sizes[] = {20000, 500000, 2000000};
    for (size_t i = 0; i < 3; i++) {
        struct sts_buf request = {0}, got = {0};
        sts_buf_add_cstr(&request, GET MINE "X: ");
        while (request.len < sizes[i])
            sts_buf_add_cstr(&request, "yyyyyyyyyyyyyyyy");
        sts_buf_add_cstr(&request, "\r\n\r\n");
        struct sts_str answer = talk(server, 0, sts_buf_str(&request), &got);
        assert_false(contains(answer, " 200 "));
        if (i == 0)
            assert_true(sts_str_starts(answer, STS_STR("HTTP/1.1 400 ")));
        sts_buf_fini(&request);
        sts_buf_fini(&got);
    }
    struct sts_buf got = {0};
    assert_true(contains(talk(server, 0, STS_STR(CLOSING), &got), POLICY));
    sts_buf_fini(&got);
    stop_server(server);
}

static void a_request_may_come_byte_by_byte(void **state)
{
    (void)state;
    struct http_server *server = start_plain();
    int fd = connect_to(server, 0);
    struct sts_str request = STS_STR(REQUEST);
    for (size_t i = 0; i < request.len; i++)
        send_bytes(fd, sts_str_sub(request, i, i + 1));
    expect_policy(fd);
    close(fd);
    stop_server(server);
}

static void a_connection_serves_a_hundred_requests(void **state)
{
    (void)state;
    struct http_server *server = start_plain();
    struct sts_buf request = {0}, got = {0};
    for (int i = 0; i < 103; i++)
        sts_buf_add_cstr(&request, REQUEST);
    struct sts_str answer = talk(server, 0, sts_buf_str(&request), &got);
    assert_int_equal(count_of(answer, "HTTP/1.1 200 OK"), 100);
    assert_int_equal(count_of(answer, "Connection: keep-alive"), 99);
    assert_int_equal(count_of(answer, "Connection: close"), 1);
    sts_buf_fini(&request);
    sts_buf_fini(&got);
    stop_server(server);
}

/* Every request sees the snapshot of its moment, on connections that were there before too. */
static void publishing_changes_answers_under_keep_alive(void **state)
{
    (void)state;
    struct sts_listen listen = plain_on("127.0.0.1", 0);
    struct sts_settings settings = settings_for(&listen, 1);
    struct http_server *server = start_server(settings);
    int fds[6];
    for (int i = 0; i < 6; i++) {
        fds[i] = connect_to(server, 0);
        send_bytes(fds[i], STS_STR(REQUEST));
        expect_policy(fds[i]);
    }
    publish(server, &settings, "second");
    for (int i = 0; i < 6; i++) {
        struct sts_buf got = {0};
        send_bytes(fds[i], STS_STR(REQUEST));
        while (!contains(sts_buf_str(&got), "\r\n\r\nsecond"))
            assert_true(receive_some(fds[i], &got));
        sts_buf_fini(&got);
    }
    publish(server, &settings, NULL);
    for (int i = 0; i < 6; i++) {
        struct sts_buf got = {0};
        send_bytes(fds[i], STS_STR(CLOSING));
        assert_true(sts_str_starts(receive_all(fds[i], &got), STS_STR("HTTP/1.1 404 ")));
        sts_buf_fini(&got);
        close(fds[i]);
    }
    stop_server(server);
}

/* The log of `request`, taken from standard error. */
static struct sts_buf log_of(struct sts_settings settings, struct sts_str request)
{
    char name[] = "/tmp/mta-sts-http-XXXXXX", chunk[4096];
    int file = mkstemp(name), before = dup(STDERR_FILENO);
    struct sts_buf got = {0}, text = {0};
    ssize_t len;
    assert_true(file >= 0 && before >= 0);
    unlink(name);
    dup2(file, STDERR_FILENO);
    struct http_server *server = start_server(settings);
    talk(server, 0, request, &got);
    stop_server(server);
    dup2(before, STDERR_FILENO);
    close(before);
    lseek(file, 0, SEEK_SET);
    while ((len = read(file, chunk, sizeof(chunk))) > 0)
        sts_buf_add(&text, (struct sts_str){chunk, (size_t)len});
    close(file);
    sts_buf_fini(&got);
    return text;
}

static void each_request_is_one_log_line(void **state)
{
    (void)state;
    struct sts_listen listen = plain_on("127.0.0.1", 0);
    struct sts_settings settings = settings_for(&listen, 1);
    struct sts_str request = STS_STR(GET MINE "User-Agent: a\tb\"c\\\r\nConnection: close\r\n\r\n");
    settings.access_log = true;
    struct sts_buf text = log_of(settings, request);
    struct sts_str line = sts_buf_str(&text);
    assert_int_equal(count_of(line, "\n"), 1);
    assert_true(contains(line, "request"));
    assert_true(contains(line, "tenant=example.org"));
    assert_true(contains(line, "status=200"));
    assert_true(contains(line, "bytes=68"));
    assert_true(contains(line, "us="));
    assert_true(contains(line, "tls=-"));
    assert_true(contains(line, "client=127.0.0.1"));
    assert_true(contains(line, "agent="));
    sts_buf_fini(&text);
    text = log_of(settings, STS_STR("GET / HTTP/1.1\r\n\r\n"));
    assert_true(contains(sts_buf_str(&text), "status=400"));
    assert_false(contains(sts_buf_str(&text), "tenant="));
    sts_buf_fini(&text);
    settings.access_log = false;
    text = log_of(settings, request);
    assert_int_equal(text.len, 0);
    sts_buf_fini(&text);
}

static void the_proxy_line_names_the_client(void **state)
{
    (void)state;
    struct sts_listen listen = plain_on("127.0.0.1", 0);
    struct sts_settings settings = settings_for(&listen, 1);
    listen.proxy_protocol = true;
    settings.access_log = true;
    struct sts_buf text =
        log_of(settings, STS_STR("PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n" CLOSING));
    assert_true(contains(sts_buf_str(&text), "client=192.0.2.7"));
    sts_buf_fini(&text);
    text = log_of(settings, STS_STR("PROXY TCP6 2001:db8::7 2001:db8::1 1 2\r\n" CLOSING));
    assert_true(contains(sts_buf_str(&text), "2001:db8::7"));
    sts_buf_fini(&text);
    text = log_of(settings, STS_STR("PROXY UNKNOWN\r\n" CLOSING));
    assert_true(contains(sts_buf_str(&text), "client=-"));
    sts_buf_fini(&text);
    text = log_of(settings, STS_STR("PROXY TCP4 x\r\n" CLOSING)); /* refused: nothing is served */
    assert_int_equal(text.len, 0);
    sts_buf_fini(&text);
    text = log_of(settings, STS_STR(CLOSING));
    assert_int_equal(text.len, 0);
    sts_buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_policy_is_served_on_both_families),
        cmocka_unit_test(head_has_the_length_and_no_body),
        cmocka_unit_test(ordinary_refusals_keep_the_connection),
        cmocka_unit_test(ambiguous_requests_end_the_connection),
        cmocka_unit_test(large_bodies_end_the_connection),
        cmocka_unit_test(an_upgrade_is_ignored),
        cmocka_unit_test(huge_heads_are_refused),
        cmocka_unit_test(a_request_may_come_byte_by_byte),
        cmocka_unit_test(a_connection_serves_a_hundred_requests),
        cmocka_unit_test(publishing_changes_answers_under_keep_alive),
        cmocka_unit_test(each_request_is_one_log_line),
        cmocka_unit_test(the_proxy_line_names_the_client),
    };
    return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
