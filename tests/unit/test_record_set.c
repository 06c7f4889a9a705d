/* Record sets: which records a tenant has, on which side, in which order. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <string.h>

#include "mtasts/domain.h"
#include "mtasts/record.h"

#define ID "20261123100000df45f7eeZ"

static const struct sts_str addresses[] = {{"2001:db8::1", 11}, {"192.0.2.1", 9}, {"192.0.2.2", 9}};
static const struct sts_str rua[] = {{"mailto:a@example.net", 20}};
static const struct sts_caa caa[] = {{{"letsencrypt.org", 15}, {NULL, 0}},
                                     {{"ca.example", 10}, {"https://ca.example/1", 20}}};

static struct sts_record_input base(void)
{
    return (struct sts_record_input){.domain = STS_STR("example.org"),
                                     .id = STS_STR(ID),
                                     .ttl_host = 1,
                                     .ttl_tls_reports = 2,
                                     .ttl_id = 3,
                                     .ttl_caa = 4,
                                     .rua = rua,
                                     .rua_count = 1};
}

/* A line a record: "owner ttl TYPE value". */
static void expect(const struct sts_record_input *in, const char *zone, const char *lines)
{
    struct sts_arena *arena = sts_arena_new();
    struct sts_record_set set;
    struct sts_buf text = {0};

    sts_record_set_make(arena, in, &set);
    for (size_t i = 0; i < set.count; i++)
        sts_buf_printf(&text, "%.*s %u %s %.*s\n", STS_ARG(set.records[i].owner),
                       set.records[i].ttl, sts_rr_type_name(set.records[i].type),
                       STS_ARG(set.records[i].value));
    sts_buf_add(&text, (struct sts_str){"", 1});
    assert_string_equal(text.ptr, lines);
    assert_true(sts_str_is(set.zone, zone));
    sts_buf_fini(&text);
    sts_arena_free(arena);
}

#define REPORTS  "_smtp._tls.example.org 2 TXT v=TLSRPTv1; rua=mailto:a@example.net\n"
#define ANNOUNCE "_mta-sts.example.org 3 TXT v=STSv1; id=" ID ";\n"

static void a_host_is_a_cname(void **state)
{
    struct sts_record_input in = base();

    (void)state;
    in.policy_host = STS_STR("policy.example.net");
    in.addresses = addresses;
    in.address_count = 3;
    in.caa = caa;
    in.caa_count = 2;
    expect(&in, "example.org", "mta-sts.example.org 1 CNAME policy.example.net\n" REPORTS ANNOUNCE);
}

static void addresses_stand_together_and_caa_beside_them(void **state)
{
    struct sts_record_input in = base();

    (void)state;
    in.addresses = addresses;
    in.address_count = 3;
    in.caa = caa;
    in.caa_count = 2;
    expect(
        &in, "example.org",
        "mta-sts.example.org 1 A 192.0.2.1\n"
        "mta-sts.example.org 1 A 192.0.2.2\n"
        "mta-sts.example.org 1 AAAA 2001:db8::1\n"
        "mta-sts.example.org 4 CAA letsencrypt.org\n"
        "mta-sts.example.org 4 CAA ca.example; accounturi=https://ca.example/1\n" REPORTS ANNOUNCE);
}

static void nothing_is_announced_without_an_id(void **state)
{
    struct sts_record_input in = base();

    (void)state;
    in.id = (struct sts_str){0};
    in.rua_count = 0;
    expect(&in, "example.org", "");
}

/* RFC 8461 §8.2: the tenant edits DNS once, the provider's zone has what changes. */
static void delegation_has_two_sides(void **state)
{
    struct sts_record_input in = base();

    (void)state;
    in.policy_host = STS_STR("policy.example.net");
    in.delegation_zone = STS_STR("sts.example.net");
    expect(&in, "example.org",
           "mta-sts.example.org 1 CNAME policy.example.net\n"
           "_smtp._tls.example.org 2 CNAME _smtp._tls.example.org.sts.example.net\n"
           "_mta-sts.example.org 3 CNAME _mta-sts.example.org.sts.example.net\n");
    in.side = STS_SIDE_PROVIDER;
    expect(&in, "sts.example.net",
           "_smtp._tls.example.org.sts.example.net 2 TXT v=TLSRPTv1; rua=mailto:a@example.net\n"
           "_mta-sts.example.org.sts.example.net 3 TXT v=STSv1; id=" ID ";\n");
    in.policy_host = (struct sts_str){0};
    in.addresses = addresses;
    in.address_count = 1;
    in.caa = caa;
    in.caa_count = 1;
    in.rua_count = 0;
    expect(&in, "sts.example.net",
           "mta-sts.example.org.sts.example.net 1 AAAA 2001:db8::1\n"
           "mta-sts.example.org.sts.example.net 4 CAA letsencrypt.org\n"
           "_mta-sts.example.org.sts.example.net 3 TXT v=STSv1; id=" ID ";\n");
    in.side = STS_SIDE_TENANT;
    expect(&in, "example.org",
           "mta-sts.example.org 1 CNAME mta-sts.example.org.sts.example.net\n"
           "_smtp._tls.example.org 2 CNAME _smtp._tls.example.org.sts.example.net\n"
           "_mta-sts.example.org 3 CNAME _mta-sts.example.org.sts.example.net\n");
}

static void no_provider_without_delegation(void **state)
{
    struct sts_record_input in = base();

    (void)state;
    in.side = STS_SIDE_PROVIDER;
    expect(&in, "", "");
}

/* "_smtp._tls." + domain + "." + zone: 253 octets fit, 254 do not. */
static void a_name_too_long_is_not_delegated(void **state)
{
    char domain[256], zone[] = "sts.example.net";
    size_t longest = STS_DOMAIN_MAX - 11 - 1 - strlen(zone);

    (void)state;
    for (size_t i = 0; i < longest + 1; i++)
        domain[i] = i % 50 == 49 ? '.' : 'a';
    assert_true(sts_record_can_delegate((struct sts_str){domain, longest}, sts_str_from(zone)));
    assert_false(
        sts_record_can_delegate((struct sts_str){domain, longest + 1}, sts_str_from(zone)));
    struct sts_arena *arena = sts_arena_new();
    struct sts_record_input in = base();
    struct sts_record_set set;
    in.domain = (struct sts_str){domain, longest + 1};
    in.delegation_zone = sts_str_from(zone);
    sts_record_set_make(arena, &in, &set);
    assert_int_equal(set.count, 2);
    assert_int_equal(set.records[1].type, STS_RR_TXT);
    in.side = STS_SIDE_PROVIDER;
    sts_record_set_make(arena, &in, &set);
    assert_int_equal(set.count, 0);
    in.side = STS_SIDE_TENANT;
    in.domain.len = longest;
    sts_record_set_make(arena, &in, &set);
    for (size_t i = 0; i < set.count; i++)
        assert_true(set.records[i].value.len <= STS_DOMAIN_MAX);
    assert_int_equal(set.records[set.count - 1].type, STS_RR_CNAME);
    sts_arena_free(arena);
}

static void the_zone_is_that_below_the_public_suffix(void **state)
{
    static const char *const rows[][2] = {
        {"example.org", "example.org"},       {"a.b.example.org", "example.org"},
        {"a.example.co.uk", "example.co.uk"}, {"co.uk", "co.uk"},
        {"localhost", "localhost"},           {"", ""}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        assert_true(sts_str_is(sts_domain_zone(sts_str_from(rows[i][0])), rows[i][1]));
    struct sts_record_input in = base();
    in.rua_count = 0;
    in.domain = STS_STR("a.example.org");
    expect(&in, "example.org", "_mta-sts.a.example.org 3 TXT v=STSv1; id=" ID ";\n");
    in.zone = STS_STR("a.example.org");
    expect(&in, "a.example.org", "_mta-sts.a.example.org 3 TXT v=STSv1; id=" ID ";\n");
}

static void within_a_zone(void **state)
{
    (void)state;
    assert_true(sts_domain_is_within(STS_STR("a.example.org"), STS_STR("example.org")));
    assert_true(sts_domain_is_within(STS_STR("example.org"), STS_STR("example.org")));
    assert_false(sts_domain_is_within(STS_STR("anexample.org"), STS_STR("example.org")));
    assert_false(sts_domain_is_within(STS_STR("org"), STS_STR("example.org")));
    assert_false(sts_domain_is_within(STS_STR("example.org"), STS_STR("")));
}

static void what_a_caa_value_may_hold(void **state)
{
    (void)state;
    assert_true(sts_caa_check_uri(STS_STR("https://ca.example/acct/1?a=b&c=%3B")));
    assert_false(sts_caa_check_uri(STS_STR("")));
    assert_false(sts_caa_check_uri(STS_STR("https://ca.example/ 1")));
    assert_false(sts_caa_check_uri(STS_STR("https://ca.example/;x")));
    assert_false(sts_caa_check_uri(STS_STR("https://ca.example/\"")));
    assert_false(sts_caa_check_uri(STS_STR("https://ca.example/\\")));
    assert_false(sts_caa_check_uri(STS_STR("https://ca.example/\x7f")));
    assert_false(sts_caa_check_uri(STS_STR("https://ca.example/\n")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_is_a_cname),
        cmocka_unit_test(addresses_stand_together_and_caa_beside_them),
        cmocka_unit_test(nothing_is_announced_without_an_id),
        cmocka_unit_test(delegation_has_two_sides),
        cmocka_unit_test(no_provider_without_delegation),
        cmocka_unit_test(a_name_too_long_is_not_delegated),
        cmocka_unit_test(the_zone_is_that_below_the_public_suffix),
        cmocka_unit_test(within_a_zone),
        cmocka_unit_test(what_a_caa_value_may_hold),
    };
    return cmocka_run_group_tests_name("record set", tests, NULL, NULL);
}
