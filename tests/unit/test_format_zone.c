/* Unit tests of server/dns/format_*: what table, bind and json print, to the byte. Other
 * programs read it back in tests/integration/test_formats_zone.py. */
#include "tests/unit/format_fixture.h"

static void a_table_for_scripts_is_tab_separated(void **state)
{
    (void)state;
    expect_as("table", script, TENANTS({"example.org", PLAIN}),
              "mta-sts.example.org\tA\t3600\t192.0.2.1\n"
              "mta-sts.example.org\tA\t3600\t192.0.2.2\n"
              "mta-sts.example.org\tAAAA\t3600\t2001:db8::1\n"
              "mta-sts.example.org\tCAA\t900\t0 issue \"ca.example; "
              "accounturi=https://ca.example/'$a\"\n"
              "_smtp._tls.example.org\tTXT\t7200\tv=TLSRPTv1; rua=mailto:o'r@example.net\n"
              "_mta-sts.example.org\tTXT\t300\tv=STSv1; id=7Z;\n");
    expect_as(
        "table", relative,
        TENANTS({"a.example.org", POINTED}, {"b.example.org", WITHDRAWN}, {"example.com", PENDING}),
        "mta-sts.a\tCNAME\t3600\tpolicy.example.net\n"
        "_smtp._tls.a\tTXT\t7200\tv=TLSRPTv1; rua=mailto:o'r@example.net\n"
        "_mta-sts.a\tTXT\t300\tv=STSv1; id=7Z;\n"
        "# remove _mta-sts.b.example.org. TXT \"v=STSv1; id=7Z;\", because b.example.org is "
        "no tenant any more\n"
        "mta-sts\tA\t3600\t192.0.2.1\n"
        "mta-sts\tA\t3600\t192.0.2.2\n"
        "mta-sts\tAAAA\t3600\t2001:db8::1\n"
        "mta-sts\tCAA\t900\t0 issue \"ca.example; accounturi=https://ca.example/'$a\"\n"
        "_smtp._tls\tTXT\t7200\tv=TLSRPTv1; rua=mailto:o'r@example.net\n"
        "# _mta-sts.example.com is pending: not\\x0Aserved\n");
}

static void a_table_for_people_has_both_names_and_the_value_last(void **state)
{
    (void)state;
    expect_as("table", terminal, TENANTS({"a.example.org", PLAIN}, {"example.org", WITHDRAWN}),
              "a.example.org, in zone example.org\n"
              "\n  where the policy is served\n"
              "    Host   mta-sts.a.example.org  or  mta-sts.a\n"
              "    Type   A\n    TTL    3600\n    Value  192.0.2.1\n    Value  192.0.2.2\n"
              "\n  where the policy is served\n"
              "    Host   mta-sts.a.example.org  or  mta-sts.a\n"
              "    Type   AAAA\n    TTL    3600\n    Value  2001:db8::1\n"
              "\n  who may issue its certificate\n"
              "    Host   mta-sts.a.example.org  or  mta-sts.a\n"
              "    Type   CAA, flags 0, tag issue\n    TTL    900\n"
              "    Value  ca.example; accounturi=https://ca.example/'$a\n"
              "\n  where TLS reports go\n"
              "    Host   _smtp._tls.a.example.org  or  _smtp._tls.a\n"
              "    Type   TXT\n    TTL    7200\n"
              "    Value  v=TLSRPTv1; rua=mailto:o'r@example.net\n"
              "\n  announces the policy\n"
              "    Host   _mta-sts.a.example.org  or  _mta-sts.a\n"
              "    Type   TXT\n    TTL    300\n    Value  v=STSv1; id=7Z;\n"
              "\nexample.org is no tenant any more; remove:\n"
              "\n  announces the policy\n"
              "    Host   _mta-sts.example.org  or  _mta-sts\n"
              "    Type   TXT\n    TTL    300\n    Value  v=STSv1; id=7Z;\n");
    expect_as("table", both, TENANTS({"a.example.org", DELEGATED}),
              "a.example.org, in zone example.org\n"
              "\n  where the policy is served\n"
              "    Host   mta-sts.a\n    Type   CNAME\n    TTL    3600\n"
              "    Value  mta-sts.a.example.org.dlg.example.net\n"
              "\n  where TLS reports go\n"
              "    Host   _smtp._tls.a\n    Type   CNAME\n    TTL    7200\n"
              "    Value  _smtp._tls.a.example.org.dlg.example.net\n"
              "\n  announces the policy\n"
              "    Host   _mta-sts.a\n    Type   CNAME\n    TTL    300\n"
              "    Value  _mta-sts.a.example.org.dlg.example.net\n");
}

static void a_table_for_people_says_what_is_pending(void **state)
{
    (void)state;
    struct sts_arena *arena = sts_arena_new();
    struct sts_record_set set = make(arena, "example.org", PENDING);
    struct sts_buf out = {0};

    set.count = 1;
    render(&out, "table", both, &set, 1);
    assert_string_equal(out.ptr, "example.org\n"
                                 "\n  where the policy is served\n    Host   mta-sts\n"
                                 "    Type   A\n    TTL    3600\n    Value  192.0.2.1\n"
                                 "\n  _mta-sts.example.org is pending: not\\x0Aserved\n");
    sts_buf_fini(&out);
    sts_arena_free(arena);
}

static void bind_has_absolute_names_or_an_origin(void **state)
{
    (void)state;
    expect_as(
        "bind", script,
        TENANTS({"example.com", PENDING}, {"a.example.org", WITHDRAWN}, {"example.org", POINTED}),
        "; example.com\n"
        "mta-sts.example.com. 3600 IN A 192.0.2.1\n"
        "mta-sts.example.com. 3600 IN A 192.0.2.2\n"
        "mta-sts.example.com. 3600 IN AAAA 2001:db8::1\n"
        "mta-sts.example.com. 900 IN CAA 0 issue \"ca.example; "
        "accounturi=https://ca.example/'$a\"\n"
        "_smtp._tls.example.com. 7200 IN TXT \"v=TLSRPTv1; rua=mailto:o'r@example.net\"\n"
        "; _mta-sts.example.com is pending: not\\x0Aserved\n"
        "; a.example.org, in zone example.org\n"
        "; remove _mta-sts.a.example.org. TXT \"v=STSv1; id=7Z;\", because a.example.org is "
        "no tenant any more\n"
        "; example.org\n"
        "mta-sts.example.org. 3600 IN CNAME policy.example.net.\n"
        "_smtp._tls.example.org. 7200 IN TXT \"v=TLSRPTv1; rua=mailto:o'r@example.net\"\n"
        "_mta-sts.example.org. 300 IN TXT \"v=STSv1; id=7Z;\"\n");
    expect_as("bind", relative,
              TENANTS({"a.example.org", DELEGATED}, {"example.org", DELEGATED},
                      {"example.org", PROVIDER}),
              "$ORIGIN example.org.\n"
              "; a.example.org, in zone example.org\n"
              "mta-sts.a 3600 IN CNAME mta-sts.a.example.org.dlg.example.net.\n"
              "_smtp._tls.a 7200 IN CNAME _smtp._tls.a.example.org.dlg.example.net.\n"
              "_mta-sts.a 300 IN CNAME _mta-sts.a.example.org.dlg.example.net.\n"
              "; example.org\n"
              "mta-sts 3600 IN CNAME mta-sts.example.org.dlg.example.net.\n"
              "_smtp._tls 7200 IN CNAME _smtp._tls.example.org.dlg.example.net.\n"
              "_mta-sts 300 IN CNAME _mta-sts.example.org.dlg.example.net.\n"
              "$ORIGIN dlg.example.net.\n"
              "; example.org, in zone dlg.example.net\n"
              "mta-sts.example.org 3600 IN A 192.0.2.1\n"
              "mta-sts.example.org 3600 IN A 192.0.2.2\n"
              "mta-sts.example.org 3600 IN AAAA 2001:db8::1\n"
              "mta-sts.example.org 900 IN CAA 0 issue \"ca.example; "
              "accounturi=https://ca.example/'$a\"\n"
              "_smtp._tls.example.org 7200 IN TXT \"v=TLSRPTv1; rua=mailto:o'r@example.net\"\n"
              "_mta-sts.example.org 300 IN TXT \"v=STSv1; id=7Z;\"\n");
}

static void json_has_all_that_is_known(void **state)
{
    (void)state;
    expect_as("json", script, TENANTS({"a.example.org", WITHDRAWN}),
              "[\n{\n  \"domain\": \"a.example.org\",\n  \"id\": \"7Z\",\n  \"pending\": null,\n"
              "  \"zone\": \"example.org\",\n  \"state\": null,\n  \"mode\": null,\n"
              "  \"max_age\": null,\n  \"withdrawn\": true,\n  \"records\": [\n    {\n"
              "      \"name\": \"_mta-sts.a.example.org\",\n      \"type\": \"TXT\",\n"
              "      \"ttl\": 300,\n      \"value\": \"v=STSv1; id=7Z;\",\n"
              "      \"purpose\": \"announces the policy\"\n    }\n  ]\n}\n]\n");
}

static void json_of_a_pending_tenant(void **state)
{
    (void)state;
    struct sts_arena *arena = sts_arena_new();
    struct sts_record_set sets[] = {make(arena, "example.org", PENDING),
                                    make(arena, "example.org", WITHDRAWN)};
    struct sts_buf out = {0};

    sets[0].count = sets[1].count = 0;
    render(&out, "json", script, sets, 2);
    assert_string_equal(out.ptr,
                        "[\n{\n  \"domain\": \"example.org\",\n  \"id\": null,\n"
                        "  \"pending\": \"not\\nserved\",\n  \"zone\": \"example.org\",\n"
                        "  \"state\": \"served\",\n  \"mode\": \"enforce\",\n"
                        "  \"max_age\": 86400,\n  \"withdrawn\": false,\n  \"records\": []\n},\n"
                        "{\n  \"domain\": \"example.org\",\n  \"id\": \"7Z\",\n"
                        "  \"pending\": null,\n  \"zone\": \"example.org\",\n"
                        "  \"state\": null,\n  \"mode\": null,\n  \"max_age\": null,\n"
                        "  \"withdrawn\": true,\n  \"records\": []\n}\n]\n");
    sts_buf_fini(&out);
    sts_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_for_scripts_is_tab_separated),
        cmocka_unit_test(a_table_for_people_has_both_names_and_the_value_last),
        cmocka_unit_test(a_table_for_people_says_what_is_pending),
        cmocka_unit_test(bind_has_absolute_names_or_an_origin),
        cmocka_unit_test(json_has_all_that_is_known),
        cmocka_unit_test(json_of_a_pending_tenant),
    };
    return cmocka_run_group_tests_name("zone formats", tests, NULL, NULL);
}
