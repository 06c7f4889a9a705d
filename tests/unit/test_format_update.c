/* Unit tests of server/dns/format_*: what nsupdate, knot and powerdns print, to the byte. Other
 * programs read it back in tests/integration/test_formats_zone.py. */
#include "tests/unit/format_fixture.h"

#include <stdlib.h>
#include <string.h>

static void nsupdate_is_one_transaction_a_zone(void **state)
{
    (void)state;
    expect_as(
        "nsupdate", script,
        TENANTS({"a.example.org", POINTED}, {"example.org", PENDING}, {"example.net", WITHDRAWN}),
        "zone example.org.\n"
        "; a.example.org\n"
        "prereq nxrrset mta-sts.a.example.org. NS\n"
        "prereq nxrrset mta-sts.a.example.org. MX\n"
        "prereq nxrrset mta-sts.a.example.org. TXT\n"
        "update delete mta-sts.a.example.org. CNAME\n"
        "update delete mta-sts.a.example.org. A\n"
        "update delete mta-sts.a.example.org. AAAA\n"
        "update delete mta-sts.a.example.org. CAA\n"
        "update add mta-sts.a.example.org. 3600 CNAME policy.example.net.\n"
        "prereq nxrrset _smtp._tls.a.example.org. NS\n"
        "update delete _smtp._tls.a.example.org. TXT\n"
        "update delete _smtp._tls.a.example.org. CNAME\n"
        "update add _smtp._tls.a.example.org. 7200 TXT "
        "\"v=TLSRPTv1; rua=mailto:o'r@example.net\"\n"
        "prereq nxrrset _mta-sts.a.example.org. NS\n"
        "update delete _mta-sts.a.example.org. TXT\n"
        "update delete _mta-sts.a.example.org. CNAME\n"
        "update add _mta-sts.a.example.org. 300 TXT \"v=STSv1; id=7Z;\"\n"
        "; example.org\n"
        "; _mta-sts.example.org is pending: not\\x0Aserved\n"
        "prereq nxrrset mta-sts.example.org. NS\n"
        "update delete mta-sts.example.org. CNAME\n"
        "update delete mta-sts.example.org. A\n"
        "update delete mta-sts.example.org. AAAA\n"
        "update delete mta-sts.example.org. CAA\n"
        "update add mta-sts.example.org. 3600 A 192.0.2.1\n"
        "update add mta-sts.example.org. 3600 A 192.0.2.2\n"
        "update add mta-sts.example.org. 3600 AAAA 2001:db8::1\n"
        "update add mta-sts.example.org. 900 CAA 0 issue \"ca.example; "
        "accounturi=https://ca.example/'$a\"\n"
        "prereq nxrrset _smtp._tls.example.org. NS\n"
        "update delete _smtp._tls.example.org. TXT\n"
        "update delete _smtp._tls.example.org. CNAME\n"
        "update add _smtp._tls.example.org. 7200 TXT "
        "\"v=TLSRPTv1; rua=mailto:o'r@example.net\"\n"
        "send\n"
        "zone example.net.\n"
        "; example.net\n"
        "update delete _mta-sts.example.net. TXT \"v=STSv1; id=7Z;\"\n"
        "send\n");
}

/* A zone of its own has NS records; a CAA that we do not print is not touched. */
static void nsupdate_leaves_what_is_not_ours(void **state)
{
    (void)state;
    struct sts_arena *arena = sts_arena_new();
    struct sts_record_set set = make(arena, "example.org", PLAIN);
    struct sts_buf out = {0};

    set.zone = STS_STR("mta-sts.example.org");
    set.count = 1;
    render(&out, "nsupdate", script, &set, 1);
    assert_string_equal(out.ptr, "zone mta-sts.example.org.\n; example.org\n"
                                 "update delete mta-sts.example.org. CNAME\n"
                                 "update delete mta-sts.example.org. A\n"
                                 "update delete mta-sts.example.org. AAAA\n"
                                 "update add mta-sts.example.org. 3600 A 192.0.2.1\nsend\n");
    sts_buf_fini(&out);
    sts_arena_free(arena);
}

/* One letter a line: z(one), ;(comment), u(pdate), s(end). */
static void outline(struct sts_buf *out, const struct sts_record_set *sets, size_t count)
{
    struct sts_buf text = {0};
    char *rest, *line;

    render(&text, "nsupdate", script, sets, count);
    for (line = strtok_r(text.ptr, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        sts_buf_add(out, (struct sts_str){line, 1});
    sts_buf_add(out, (struct sts_str){"", 1});
    sts_buf_fini(&text);
}

/* A message of DNS has 65535 octets, a transaction is one. */
static void nsupdate_splits_what_is_too_long(void **state)
{
    (void)state;
    struct sts_arena *arena = sts_arena_new();
    struct sts_record_set sets[20];
    struct sts_buf out = {0};
    char *value = calloc(1, 4001);

    assert_non_null(value);
    for (size_t i = 0; i < 20; i++)
        sets[i] = make(arena, "example.org", WITHDRAWN);
    outline(&out, sets, 20);
    assert_string_equal(out.ptr, "z;u;u;u;u;u;u;u;u;u;u;u;u;u;u;u;usz;u;u;u;us");
    sts_buf_fini(&out);

    struct sts_record large = sets[1].records[0];
    large.value = (struct sts_str){memset(value, 'a', 4000), 4000};
    sets[0].records = sets[2].records = sets[3].records = &large;
    outline(&out, sets, 5);
    assert_string_equal(out.ptr, "z;usz;usz;uszsz;usz;us");
    sts_buf_fini(&out);
    outline(&out, sets + 1, 2);
    assert_string_equal(out.ptr, "z;usz;us");
    sts_buf_fini(&out);
    free(value);
    sts_arena_free(arena);
}

#define KNOT_BEGIN                                                                                 \
    "set -eu\ntrap 'exit 1' HUP INT TERM\n"                                                        \
    "# OWNER TYPE [DATA], if it is there: removing nothing is an error\n"                          \
    "remove() {\n    if found=$(knotc zone-get \"$zone\" \"$1\" \"$2\"); then\n"                   \
    "        case $found in *\"${3-[}\"*) knotc zone-unset \"$zone\" \"$@\" ;; esac\n"             \
    "    fi\n}\n"
#define KNOT_ZONE(zone)                                                                            \
    "\nzone='" zone "'\nknotc zone-begin \"$zone\"\ntrap 'knotc zone-abort \"$zone\"' EXIT\n"
#define KNOT_END "knotc zone-commit \"$zone\"\ntrap - EXIT\n"

static void knot_is_one_transaction_a_zone(void **state)
{
    (void)state;
    expect_as(
        "knot", script,
        TENANTS({"a.example.org", WITHDRAWN}, {"example.org", PENDING}, {"example.org", DELEGATED}),
        KNOT_BEGIN KNOT_ZONE(
            "example.org.") "# a.example.org\n"
                            "remove '_mta-sts.a.example.org.' TXT '\"v=STSv1; id=7Z;\"'\n"
                            "# example.org\n"
                            "# _mta-sts.example.org is pending: not\\x0Aserved\n"
                            "remove 'mta-sts.example.org.' CNAME\n"
                            "remove 'mta-sts.example.org.' A\n"
                            "remove 'mta-sts.example.org.' AAAA\n"
                            "remove 'mta-sts.example.org.' CAA\n"
                            "knotc zone-set \"$zone\" 'mta-sts.example.org.' 3600 A '192.0.2.1'\n"
                            "knotc zone-set \"$zone\" 'mta-sts.example.org.' 3600 A '192.0.2.2'\n"
                            "knotc zone-set \"$zone\" 'mta-sts.example.org.' 3600 AAAA "
                            "'2001:db8::1'\n"
                            "knotc zone-set \"$zone\" 'mta-sts.example.org.' 900 CAA '0 issue "
                            "\"ca.example; "
                            "accounturi=https://ca.example/'\\''$a\"'\n"
                            "remove '_smtp._tls.example.org.' TXT\n"
                            "remove '_smtp._tls.example.org.' CNAME\n"
                            "knotc zone-set \"$zone\" '_smtp._tls.example.org.' 7200 TXT "
                            "'\"v=TLSRPTv1; rua=mailto:o'\\''r@example.net\"'\n"
                            "# example.org\n"
                            "remove 'mta-sts.example.org.' CNAME\n"
                            "remove 'mta-sts.example.org.' A\n"
                            "remove 'mta-sts.example.org.' AAAA\n"
                            "remove 'mta-sts.example.org.' CAA\n"
                            "knotc zone-set \"$zone\" 'mta-sts.example.org.' 3600 CNAME "
                            "'mta-sts.example.org.dlg.example.net.'\n"
                            "remove '_smtp._tls.example.org.' TXT\n"
                            "remove '_smtp._tls.example.org.' CNAME\n"
                            "knotc zone-set \"$zone\" '_smtp._tls.example.org.' 7200 CNAME "
                            "'_smtp._tls.example.org.dlg.example.net.'\n"
                            "remove '_mta-sts.example.org.' TXT\n"
                            "remove '_mta-sts.example.org.' CNAME\n"
                            "knotc zone-set \"$zone\" '_mta-sts.example.org.' 300 CNAME "
                            "'_mta-sts.example.org.dlg.example.net.'\n" KNOT_END);
    expect_as(
        "knot", script, TENANTS({"example.com", WITHDRAWN}, {"example.org", WITHDRAWN}),
        KNOT_BEGIN KNOT_ZONE(
            "example.com.") "# example.com\n"
                            "remove '_mta-sts.example.com.' TXT '\"v=STSv1; id=7Z;\"'\n" KNOT_END
                                KNOT_ZONE("example.org.") "# example.org\n"
                                                          "remove '_mta-sts.example.org.' TXT "
                                                          "'\"v=STSv1; id=7Z;\"'\n" KNOT_END);
}

static void powerdns_replaces_what_is_ours(void **state)
{
    (void)state;
    expect_as(
        "powerdns", script,
        TENANTS({"a.example.org", WITHDRAWN}, {"example.org", PENDING}, {"example.org", PROVIDER}),
        "set -eu\n"
        "\n# a.example.org\n"
        "pdnsutil delete-rrset 'example.org' '_mta-sts.a' TXT\n"
        "# example.org\n"
        "# _mta-sts.example.org is pending: not\\x0Aserved\n"
        "pdnsutil delete-rrset 'example.org' 'mta-sts' CNAME\n"
        "pdnsutil replace-rrset 'example.org' 'mta-sts' A 3600 '192.0.2.1' '192.0.2.2'\n"
        "pdnsutil replace-rrset 'example.org' 'mta-sts' AAAA 3600 '2001:db8::1'\n"
        "pdnsutil replace-rrset 'example.org' 'mta-sts' CAA 900 '0 issue \"ca.example; "
        "accounturi=https://ca.example/'\\''$a\"'\n"
        "pdnsutil delete-rrset 'example.org' '_smtp._tls' CNAME\n"
        "pdnsutil replace-rrset 'example.org' '_smtp._tls' TXT 7200 "
        "'\"v=TLSRPTv1; rua=mailto:o'\\''r@example.net\"'\n"
        "pdnsutil increase-serial 'example.org'\n"
        "pdnsutil rectify-zone 'example.org'\n"
        "\n# example.org\n"
        "pdnsutil delete-rrset 'dlg.example.net' 'mta-sts.example.org' CNAME\n"
        "pdnsutil replace-rrset 'dlg.example.net' 'mta-sts.example.org' A 3600 "
        "'192.0.2.1' '192.0.2.2'\n"
        "pdnsutil replace-rrset 'dlg.example.net' 'mta-sts.example.org' AAAA 3600 "
        "'2001:db8::1'\n"
        "pdnsutil replace-rrset 'dlg.example.net' 'mta-sts.example.org' CAA 900 "
        "'0 issue \"ca.example; accounturi=https://ca.example/'\\''$a\"'\n"
        "pdnsutil delete-rrset 'dlg.example.net' '_smtp._tls.example.org' CNAME\n"
        "pdnsutil replace-rrset 'dlg.example.net' '_smtp._tls.example.org' TXT 7200 "
        "'\"v=TLSRPTv1; rua=mailto:o'\\''r@example.net\"'\n"
        "pdnsutil delete-rrset 'dlg.example.net' '_mta-sts.example.org' CNAME\n"
        "pdnsutil replace-rrset 'dlg.example.net' '_mta-sts.example.org' TXT 300 "
        "'\"v=STSv1; id=7Z;\"'\n"
        "pdnsutil increase-serial 'dlg.example.net'\n"
        "pdnsutil rectify-zone 'dlg.example.net'\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nsupdate_is_one_transaction_a_zone),
        cmocka_unit_test(nsupdate_leaves_what_is_not_ours),
        cmocka_unit_test(nsupdate_splits_what_is_too_long),
        cmocka_unit_test(knot_is_one_transaction_a_zone),
        cmocka_unit_test(powerdns_replaces_what_is_ours),
    };
    return cmocka_run_group_tests_name("update formats", tests, NULL, NULL);
}
