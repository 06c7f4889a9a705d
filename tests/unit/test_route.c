#include "tests/unit/test.h"

#include <string.h>

#include "server/http/route.h"

#define PATH "/.well-known/mta-sts.txt"
#define HOST "mta-sts.example.org"

struct route_case {
    const char *method, *target, *authority, *host; /* host: SNI, or "" without TLS */
    enum route_result result;
    const char *name; /* expected, or NULL for the canonical HOST */
};

static struct route_request request_of(const struct route_case *c)
{
    return (struct route_request){
        .method = sts_str_from(c->method),
        .target = sts_str_from(c->target),
        .authority = sts_str_from(c->authority),
        .host = sts_str_from(c->host),
        .host_count = 1,
    };
}

static void check(const struct route_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct route_request request = request_of(&cases[i]);
        char buffer[ROUTE_NAME_MAX];
        struct sts_str name;
        enum route_result result = route_decide(&request, buffer, sizeof(buffer), &name);
        if (result != cases[i].result)
            print_error("%s %s Host: %s (SNI %s)\n", cases[i].method, cases[i].target,
                        cases[i].authority, cases[i].host);
        assert_int_equal(result, cases[i].result);
        if (result == ROUTE_BAD_REQUEST)
            assert_int_equal(name.len, 0);
        else
            assert_true(sts_str_is(name, cases[i].name ? cases[i].name : HOST));
    }
}
#define CHECK(cases) check(cases, sizeof(cases) / sizeof(cases[0]))

/* RFC 8461 §3.2: one resource; RFC 9110 §9.3: GET and HEAD; a query string is ignored. */
static void the_policy_is_found(void **state)
{
    (void)state;
    const struct route_case cases[] = {
        {"GET", PATH, HOST, HOST, ROUTE_POLICY, NULL},
        {"HEAD", PATH, HOST, HOST, ROUTE_POLICY, NULL},
        {"GET", PATH, HOST, "", ROUTE_POLICY, NULL},
        {"GET", PATH "?", HOST, HOST, ROUTE_POLICY, NULL},
        {"GET", PATH "?a=b?c/..%00", HOST, HOST, ROUTE_POLICY, NULL},
        {"GET", PATH, HOST ":443", HOST, ROUTE_POLICY, NULL},
        {"GET", PATH, HOST ":8443", HOST, ROUTE_POLICY, NULL},
        {"GET", PATH, HOST ":", HOST, ROUTE_POLICY, NULL},
        {"GET", PATH, HOST ".", HOST, ROUTE_POLICY, NULL},
        {"GET", PATH, HOST ".:443", HOST, ROUTE_POLICY, NULL},
        {"GET", PATH, "MTA-STS.Example.ORG", HOST, ROUTE_POLICY, NULL},
        {"GET", "https://" HOST PATH, HOST, HOST, ROUTE_POLICY, NULL},
        {"GET", "HTTPS://MTA-STS.example.org:443" PATH "?q", HOST, HOST, ROUTE_POLICY, NULL},
        {"GET", "http://" HOST PATH, HOST, "", ROUTE_POLICY, NULL},
    };
    CHECK(cases);
}

/* The path is compared by length, byte by byte: no alias of it exists. */
static void other_paths_are_not_found(void **state)
{
    (void)state;
    const struct route_case cases[] = {
        {"GET", "/", HOST, HOST, ROUTE_NOT_FOUND, NULL},
        {"GET", "*", HOST, HOST, ROUTE_NOT_FOUND, NULL},
        {"POST", "/", HOST, HOST, ROUTE_NOT_FOUND, NULL},
        {"GET", PATH "%00", HOST, HOST, ROUTE_NOT_FOUND, NULL},
        {"GET", PATH "/", HOST, HOST, ROUTE_NOT_FOUND, NULL},
        {"GET", PATH "#x", HOST, HOST, ROUTE_NOT_FOUND, NULL},
        {"GET", PATH ";x", HOST, HOST, ROUTE_NOT_FOUND, NULL},
        {"GET", "/.well-known/mta-sts.tx", HOST, HOST, ROUTE_NOT_FOUND, NULL},
        {"GET", "/.well-known/MTA-STS.txt", HOST, HOST, ROUTE_NOT_FOUND, NULL},
        {"GET", "/.well-known/mta%2dsts.txt", HOST, HOST, ROUTE_NOT_FOUND, NULL},
        {"GET", "//.well-known/mta-sts.txt", HOST, HOST, ROUTE_NOT_FOUND, NULL},
        {"GET", "/./.well-known/mta-sts.txt", HOST, HOST, ROUTE_NOT_FOUND, NULL},
        {"GET", "/x/../.well-known/mta-sts.txt", HOST, HOST, ROUTE_NOT_FOUND, NULL},
        {"GET", "https://" HOST, HOST, HOST, ROUTE_NOT_FOUND, NULL},
        {"GET", "https://" HOST "?" PATH, HOST, HOST, ROUTE_NOT_FOUND, NULL},
    };
    CHECK(cases);
}

static void other_methods_are_refused(void **state)
{
    (void)state;
    const struct route_case cases[] = {
        {"POST", PATH, HOST, HOST, ROUTE_BAD_METHOD, NULL},
        {"OPTIONS", PATH, HOST, HOST, ROUTE_BAD_METHOD, NULL},
        {"get", PATH, HOST, HOST, ROUTE_BAD_METHOD, NULL},
        {"GETX", PATH, HOST, HOST, ROUTE_BAD_METHOD, NULL},
        {"GE", PATH, HOST, HOST, ROUTE_BAD_METHOD, NULL},
    };
    CHECK(cases);
}

/* RFC 9110 §15.5.20: the certificate the client checked was for the SNI host only. */
static void hosts_other_than_the_sni_are_misdirected(void **state)
{
    (void)state;
    const struct route_case cases[] = {
        {"GET", PATH, "mta-sts.example.net", HOST, ROUTE_MISDIRECTED, "mta-sts.example.net"},
        {"GET", PATH, "example.org", HOST, ROUTE_MISDIRECTED, "example.org"},
        {"GET", PATH, HOST "..", HOST, ROUTE_MISDIRECTED, HOST "."},
        {"GET", PATH, "x." HOST, HOST, ROUTE_MISDIRECTED, "x." HOST},
        {"GET", PATH, "[2001:DB8::1]:443", HOST, ROUTE_MISDIRECTED, "[2001:db8::1]"},
        {"GET", PATH, "192.0.2.1", HOST, ROUTE_MISDIRECTED, "192.0.2.1"},
        {"POST", "/", "other", HOST, ROUTE_MISDIRECTED, "other"},
        {"GET", "https://other" PATH, "other", HOST, ROUTE_MISDIRECTED, "other"},
    };
    CHECK(cases);
}

/* RFC 9112 §3.2: everything in Host but host and port, and every target of no form. */
static void bad_hosts_and_targets_are_refused(void **state)
{
    (void)state;
    const struct route_case cases[] = {
        {"GET", PATH, "", HOST, ROUTE_BAD_REQUEST, NULL},
        {"GET", PATH, ".", HOST, ROUTE_BAD_REQUEST, NULL},
        {"GET", PATH, ":443", HOST, ROUTE_BAD_REQUEST, NULL},
        {"GET", PATH, HOST "/x", HOST, ROUTE_BAD_REQUEST, NULL},
        {"GET", PATH, HOST PATH, HOST, ROUTE_BAD_REQUEST, NULL},
        {"GET", PATH, "u@" HOST, HOST, ROUTE_BAD_REQUEST, NULL},
        {"GET", PATH, HOST " ", HOST, ROUTE_BAD_REQUEST, NULL},
        {"GET", PATH, HOST ", b", HOST, ROUTE_BAD_REQUEST, NULL},
        {"GET", PATH, HOST "\x01", HOST, ROUTE_BAD_REQUEST, NULL},
        {"GET", PATH, HOST "\xc3\xa4", HOST, ROUTE_BAD_REQUEST, NULL},
        {"GET", PATH, HOST "%2e", HOST, ROUTE_BAD_REQUEST, NULL},
        {"GET", PATH, HOST ":x", HOST, ROUTE_BAD_REQUEST, NULL},
        {"GET", PATH, HOST ":65536", HOST, ROUTE_BAD_REQUEST, NULL},
        {"GET", PATH, HOST ":443:443", HOST, ROUTE_BAD_REQUEST, NULL},
        {"GET", PATH, "[::1", HOST, ROUTE_BAD_REQUEST, NULL},
        {"GET", PATH, "[]", HOST, ROUTE_BAD_REQUEST, NULL},
        {"GET", PATH, "[::1]x", HOST, ROUTE_BAD_REQUEST, NULL},
        {"GET", PATH, "[::1/]", HOST, ROUTE_BAD_REQUEST, NULL},
        {"GET", "", HOST, HOST, ROUTE_BAD_REQUEST, NULL},
        {"", PATH, HOST, HOST, ROUTE_BAD_REQUEST, NULL},
        {"GET", HOST, HOST, HOST, ROUTE_BAD_REQUEST, NULL},
        {"CONNECT", HOST ":443", HOST, HOST, ROUTE_BAD_REQUEST, NULL},
        {"GET", "ftp://" HOST PATH, HOST, HOST, ROUTE_BAD_REQUEST, NULL},
        {"GET", PATH " x", HOST, HOST, ROUTE_BAD_REQUEST, NULL},
        {"GET", PATH "\x7f", HOST, HOST, ROUTE_BAD_REQUEST, NULL},
        {"GET", PATH "\xff", HOST, HOST, ROUTE_BAD_REQUEST, NULL},
        {"GET", "https://other" PATH, HOST, HOST, ROUTE_BAD_REQUEST, NULL},
        {"GET", "https://" PATH, HOST, HOST, ROUTE_BAD_REQUEST, NULL},
        {"GET", "https://u@" HOST PATH, HOST, HOST, ROUTE_BAD_REQUEST, NULL},
        {"GET", "https://" HOST PATH, "other", HOST, ROUTE_BAD_REQUEST, NULL},
    };
    CHECK(cases);
}

static void a_nul_is_a_byte_like_any_other(void **state)
{
    (void)state;
    struct route_case good = {"GET", PATH, HOST, HOST, ROUTE_POLICY, NULL};
    struct route_request request = request_of(&good);
    char buffer[ROUTE_NAME_MAX];
    struct sts_str name;

    request.target = STS_STR(PATH "\0");
    assert_int_equal(route_decide(&request, buffer, sizeof(buffer), &name), ROUTE_BAD_REQUEST);
    request = request_of(&good);
    request.authority = STS_STR(HOST "\0");
    assert_int_equal(route_decide(&request, buffer, sizeof(buffer), &name), ROUTE_BAD_REQUEST);
    request = request_of(&good);
    request.method = STS_STR("GET\0");
    assert_int_equal(route_decide(&request, buffer, sizeof(buffer), &name), ROUTE_BAD_METHOD);
}

/* RFC 9112 §3.2 (one Host), §6.3 (no body), §11.2 (smuggling). */
static void flags_of_the_head_are_obeyed(void **state)
{
    (void)state;
    struct route_case good = {"GET", PATH, HOST, HOST, ROUTE_POLICY, NULL};
    char buffer[ROUTE_NAME_MAX];
    struct sts_str name;
    for (int i = 0; i < 4; i++) {
        struct route_request request = request_of(&good);
        request.host_count = i == 0 ? 0 : i == 1 ? 2 : 1;
        request.announces_body = i == 2;
        request.malformed = i == 3;
        assert_int_equal(route_decide(&request, buffer, sizeof(buffer), &name), ROUTE_BAD_REQUEST);
    }
}

static void overlong_hosts_are_refused(void **state)
{
    (void)state;
    char host[300], buffer[ROUTE_NAME_MAX];
    struct sts_str name;
    struct route_case good = {"GET", PATH, HOST, "", ROUTE_POLICY, NULL};
    struct route_request request = request_of(&good);

    memset(host, 'a', sizeof(host));
    request.authority = (struct sts_str){host, 253};
    assert_int_equal(route_decide(&request, buffer, sizeof(buffer), &name), ROUTE_POLICY);
    assert_int_equal(name.len, 253);
    request.authority.len = 254;
    assert_int_equal(route_decide(&request, buffer, sizeof(buffer), &name), ROUTE_BAD_REQUEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_policy_is_found),
        cmocka_unit_test(other_paths_are_not_found),
        cmocka_unit_test(other_methods_are_refused),
        cmocka_unit_test(hosts_other_than_the_sni_are_misdirected),
        cmocka_unit_test(bad_hosts_and_targets_are_refused),
        cmocka_unit_test(a_nul_is_a_byte_like_any_other),
        cmocka_unit_test(flags_of_the_head_are_obeyed),
        cmocka_unit_test(overlong_hosts_are_refused),
    };
    return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}
