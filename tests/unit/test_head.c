#include "tests/unit/test.h"

#include <string.h>

#include "server/http/head.h"

#define LINE "GET /x HTTP/1.1\r\n"
#define HOST "Host: a\r\n"

static struct head scan(struct sts_str text)
{
    struct head head;
    assert_true(head_scan(text, &head));
    return head;
}

static void an_ordinary_head_is_split(void **state)
{
    (void)state;
    struct sts_str text = STS_STR(LINE "user-agent: x\r\nhost:  a.example \t\r\n\r\nGET /next");
    struct head head = scan(text);
    assert_true(sts_str_is(head.method, "GET"));
    assert_true(sts_str_is(head.target, "/x"));
    assert_true(sts_str_is(head.host, "a.example"));
    assert_int_equal(head.host_count, 1);
    assert_false(head.announces_body);
    assert_false(head.malformed);
    assert_true(sts_str_is(sts_str_sub(text, head.len, text.len), "GET /next"));
}

static void one_empty_line_in_front_is_skipped(void **state)
{
    (void)state;
    struct head head = scan(STS_STR("\r\n" LINE HOST "\r\n"));
    assert_false(head.malformed);
    assert_int_equal(head.host_count, 1);
    assert_true(scan(STS_STR("\r\n\r\n\r\n")).malformed);
}

static void every_prefix_is_incomplete(void **state)
{
    (void)state;
    struct sts_str text = STS_STR("\r\n" LINE HOST "Content-Length: 0\r\n\r\n");
    struct head head;
    for (size_t len = 0; len < text.len; len++)
        assert_false(head_scan(sts_str_sub(text, 0, len), &head));
    assert_true(head_scan(text, &head));
    assert_int_equal(head.len, text.len);
}

/* RFC 9112 §6.3: a message without a body; anything that another reader could take for one. */
static void bodies_are_seen(void **state)
{
    (void)state;
    assert_false(scan(STS_STR(LINE HOST "Content-Length: 0\r\n\r\n")).announces_body);
    const struct sts_str bodies[] = {
        STS_STR(LINE "Content-Length: 1\r\n\r\n"),
        STS_STR(LINE "content-length: 00\r\n\r\n"),
        STS_STR(LINE "Content-Length: +0\r\n\r\n"),
        STS_STR(LINE "Content-Length: -1\r\n\r\n"),
        STS_STR(LINE "Content-Length: 0, 0\r\n\r\n"),
        STS_STR(LINE "Content-Length:\r\n\r\n"),
        STS_STR(LINE "Content-Length: 0\r\nContent-Length: 0\r\n\r\n"),
        STS_STR(LINE "Content-Length: 0\r\ncontent-length: 5\r\n\r\n"),
        STS_STR(LINE "Transfer-Encoding: chunked\r\n\r\n"),
        STS_STR(LINE "TRANSFER-ENCODING: identity\r\nContent-Length: 0\r\n\r\n"),
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        assert_true(scan(bodies[i]).announces_body);
}

static void hosts_are_counted(void **state)
{
    (void)state;
    assert_int_equal(scan(STS_STR(LINE "\r\n")).host_count, 0);
    assert_int_equal(scan(STS_STR(LINE HOST "X-Host: b\r\nHosts: c\r\n\r\n")).host_count, 1);
    assert_int_equal(scan(STS_STR(LINE HOST "HOST: a\r\n\r\n")).host_count, 2);
}

/* RFC 9112 §2.2, §5.1, §5.2, §11.2 */
static void what_can_be_read_in_two_ways_is_malformed(void **state)
{
    (void)state;
    const struct sts_str heads[] = {
        STS_STR(LINE HOST "X: a\r\n b\r\n\r\n"), /* obs-fold */
        STS_STR(LINE HOST "X: a\r\n\tHost: b\r\n\r\n"),
        STS_STR(LINE " Host: a\r\n\r\n"),
        STS_STR(LINE "Host : a\r\n\r\n"),
        STS_STR(LINE ": a\r\n\r\n"),
        STS_STR(LINE "Host\r\n\r\n"),
        STS_STR(LINE "Ho\0st: a\r\n\r\n"),
        STS_STR(LINE "Host: a\0\r\n\r\n"),
        STS_STR(LINE "Host: a\rX: b\r\n\r\n"),
        STS_STR(LINE "Host: a\r\r\n\r\n"),
        STS_STR(LINE "Host: a\x7f\r\n\r\n"),
        STS_STR(LINE "Host: a\n\r\n"), /* bare line feeds */
        STS_STR(LINE "Host: a\r\n\n"),
        STS_STR("GET /x HTTP/1.1\nHost: a\r\n\r\n"),
        STS_STR("\n" LINE "Host: a\r\n\r\n"),
        STS_STR("GET /x\r\nHost: a\r\n\r\n"),
        STS_STR("GET\r\nHost: a\r\n\r\n"),
        STS_STR("GET  /x HTTP/1.1\r\nHost: a\r\n\r\n"),
        STS_STR("GET /x  HTTP/1.1\r\nHost: a\r\n\r\n"),
        STS_STR("GET /x HTTP/1.1 \r\nHost: a\r\n\r\n"),
        STS_STR("GET /x HTTP/2.0\r\nHost: a\r\n\r\n"),
        STS_STR("PRI * HTTP/2.0\r\n\r\n"),
    };
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
        assert_true(scan(heads[i]).malformed);
    assert_false(scan(STS_STR("GET /x HTTP/1.0\r\n!#$%&'*+-.^_`|~1aZ: \xe4\r\n\r\n")).malformed);
}

static void a_large_head_is_malformed(void **state)
{
    (void)state;
    struct sts_buf text = {0};
    sts_buf_add_cstr(&text, LINE HOST "X: ");
    while (text.len < HEAD_MAX - 4)
        sts_buf_add_cstr(&text, "y");
    sts_buf_add_cstr(&text, "\r\n\r\n");
    assert_false(scan(sts_buf_str(&text)).malformed);
    text.len -= 4;
    sts_buf_add_cstr(&text, "y\r\n\r\n");
    assert_true(scan(sts_buf_str(&text)).malformed);
    sts_buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ordinary_head_is_split),
        cmocka_unit_test(one_empty_line_in_front_is_skipped),
        cmocka_unit_test(every_prefix_is_incomplete),
        cmocka_unit_test(bodies_are_seen),
        cmocka_unit_test(hosts_are_counted),
        cmocka_unit_test(what_can_be_read_in_two_ways_is_malformed),
        cmocka_unit_test(a_large_head_is_malformed),
    };
    return cmocka_run_group_tests_name("head", tests, NULL, NULL);
}
