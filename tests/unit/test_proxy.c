#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <string.h>

#include "server/http/proxy.h"

static void expect_address(const struct proxy_client *client, const char *text, uint16_t port)
{
    struct in6_addr address;
    assert_int_equal(inet_pton(AF_INET6, text, &address), 1);
    assert_true(client->known);
    assert_memory_equal(&client->address, &address, sizeof(address));
    assert_int_equal(client->port, port);
}

static void addresses_are_read(void **state)
{
    (void)state;
    struct proxy_client client;
    size_t len = 0;
    struct sts_str v4 = STS_STR("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n\x16\x03");
    assert_int_equal(proxy_parse(v4, &client, &len), PROXY_OK);
    assert_int_equal(len, v4.len - 2);
    expect_address(&client, "::ffff:192.0.2.1", 56324);
    assert_int_equal(
        proxy_parse(STS_STR("PROXY TCP6 2001:db8::1 2001:db8::2 0 65535\r\n"), &client, &len),
        PROXY_OK);
    expect_address(&client, "2001:db8::1", 0);
}

static void the_longest_line_fits(void **state)
{
    (void)state;
    struct proxy_client client;
    size_t len = 0;
    struct sts_str text = STS_STR("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                                  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n");
    assert_int_equal(proxy_parse(text, &client, &len), PROXY_OK);
    assert_int_equal(len, text.len);
}

static void unknown_has_no_address(void **state)
{
    (void)state;
    struct proxy_client client;
    size_t len = 0;
    assert_int_equal(proxy_parse(STS_STR("PROXY UNKNOWN\r\nrest"), &client, &len), PROXY_OK);
    assert_false(client.known);
    assert_int_equal(len, 15);
    assert_int_equal(
        proxy_parse(STS_STR("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n"), &client, &len),
        PROXY_OK);
    assert_false(client.known);
}

static void every_prefix_is_incomplete(void **state)
{
    (void)state;
    struct sts_str text = STS_STR("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n");
    struct proxy_client client;
    size_t length = 0;
    for (size_t len = 0; len < text.len; len++)
        assert_int_equal(proxy_parse(sts_str_sub(text, 0, len), &client, &length),
                         PROXY_INCOMPLETE);
}

static void everything_else_is_refused(void **state)
{
    (void)state;
    const struct sts_str lines[] = {
        STS_STR("\x16\x03\x01\x02"),
        STS_STR("\r\n"),
        STS_STR("GET / HTTP/1.1\r\n"),
        STS_STR("proxy TCP4 192.0.2.1 198.51.100.2 1 2\r\n"),
        STS_STR("\r\n\r\n\0\r\nQUIT\n"), /* version 2 */
        STS_STR("PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n"),
        STS_STR("PROXY  TCP4 192.0.2.1 198.51.100.2 1 2\r\n"),
        STS_STR("PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n"),
        STS_STR("PROXY TCP4 192.0.2.1 198.51.100.2 1 2 \r\n"),
        STS_STR("PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n"),
        STS_STR("PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n"),
        STS_STR("PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n"),
        STS_STR("PROXY TCP4 192.0.2.1 198.51.100.2 1 65536\r\n"),
        STS_STR("PROXY TCP4 192.0.2.1 198.51.100.2 -1 2\r\n"),
        STS_STR("PROXY TCP4 192.0.2.01 198.51.100.2 1 2\r\n"),
        STS_STR("PROXY TCP4 192.0.2 198.51.100.2 1 2\r\n"),
        STS_STR("PROXY TCP4 192.0.2.1\0 198.51.100.2 1 2\r\n"),
        STS_STR("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n"),
        STS_STR("PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n"),
        STS_STR("PROXY TCP6 2001:db8::1%lo 2001:db8::2 1 2\r\n"),
        STS_STR("PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n"),
        STS_STR("PROXY TCP\r\n"),
        STS_STR("PROXY \r\n"),
        STS_STR("PROXY TCP4\r\n"),
    };
    struct proxy_client client;
    size_t len = 0;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_int_equal(proxy_parse(lines[i], &client, &len), PROXY_BAD);
}

/* No line end within the longest possible line: never wait for more. */
static void an_endless_line_is_refused(void **state)
{
    (void)state;
    char text[PROXY_MAX + 1];
    struct proxy_client client;
    size_t len = 0;
    memset(text, 'x', sizeof(text));
    memcpy(text, "PROXY UNKNOWN ", 14);
    assert_int_equal(proxy_parse((struct sts_str){text, PROXY_MAX - 1}, &client, &len),
                     PROXY_INCOMPLETE);
    assert_int_equal(proxy_parse((struct sts_str){text, PROXY_MAX}, &client, &len), PROXY_BAD);
    text[PROXY_MAX - 1] = '\r';
    text[PROXY_MAX] = '\n';
    assert_int_equal(proxy_parse((struct sts_str){text, PROXY_MAX + 1}, &client, &len), PROXY_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read),         cmocka_unit_test(the_longest_line_fits),
        cmocka_unit_test(unknown_has_no_address),     cmocka_unit_test(every_prefix_is_incomplete),
        cmocka_unit_test(everything_else_is_refused), cmocka_unit_test(an_endless_line_is_refused),
    };
    return cmocka_run_group_tests_name("proxy", tests, NULL, NULL);
}
