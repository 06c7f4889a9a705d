/* Unit tests of server/policy: domains, mx patterns, IDNA (RFC 8461 §3.2, rules P10 to P14). */
#include "tests/unit/test.h"

#include <stdio.h>
#include <string.h>

#include "mtasts/domain.h"
#include "tests/unit/random.h"

/* One attempt: what came out, or the code of the only error. */
struct attempt {
    struct sts_arena *arena;
    struct sts_diags diags;
    struct sts_str out;
    bool good;
};

typedef bool parse_fn(struct sts_arena *, struct sts_str, enum sts_domain_form, struct sts_pos,
                      struct sts_diags *, struct sts_str *);

static void attempt(struct attempt *a, parse_fn *parse, struct sts_str in,
                    enum sts_domain_form form)
{
    const struct sts_pos where = {STS_STR("t"), 3, 7};
    const struct sts_str untouched = STS_STR("untouched");

    a->arena = sts_arena_new();
    a->out = untouched;
    sts_diags_init(&a->diags, a->arena);
    a->good = parse(a->arena, in, form, where, &a->diags, &a->out);
    if (a->good) {
        assert_null(a->diags.first);
        return;
    }
    /* Exactly one error, at the place given, with what would be right; *out is left alone. */
    assert_int_equal(a->diags.errors, 1);
    assert_null(a->diags.first->next);
    assert_int_equal(a->diags.first->where.line, 3);
    assert_int_equal(a->diags.first->where.column, 7);
    assert_true(a->diags.first->help.len > 0);
    assert_true(sts_str_eq(a->out, untouched));
}

/* `expected` is the canonical form, or "!code". */
static void expect(parse_fn *parse, struct sts_str in, enum sts_domain_form form,
                   const char *expected)
{
    struct attempt a;

    attempt(&a, parse, in, form);
    if (expected[0] == '!') {
        if (a.good)
            fail_msg("\"%.*s\" accepted as \"%.*s\"", STS_ARG(in), STS_ARG(a.out));
        assert_string_equal(a.diags.first->code, expected + 1);
    } else {
        if (!a.good)
            fail_msg("\"%.*s\": %.*s", STS_ARG(in), STS_ARG(a.diags.first->message));
        assert_int_equal(a.out.len, strlen(expected));
        assert_memory_equal(a.out.ptr, expected, a.out.len);
    }
    sts_arena_free(a.arena);
}

struct name_case {
    const char *in, *wire, *config; /* config NULL: same as wire */
};

static void walk(parse_fn *parse, const struct name_case *cases)
{
    for (; cases->in; cases++) {
        struct sts_str in = sts_str_from(cases->in);
        expect(parse, in, STS_DOMAIN_WIRE, cases->wire);
        expect(parse, in, STS_DOMAIN_CONFIG, cases->config ? cases->config : cases->wire);
    }
}

#define L63 "a23456789012345678901234567890123456789012345678901234567890123"

/* P10, P13: RFC 5321 §4.1.2, RFC 1035 §2.3.4. */
static void p10_host_names(void **state)
{
    (void)state;
    static const struct name_case cases[] = {
        {"example.org", "example.org", NULL},
        {"Mail.EXAMPLE.Org", "mail.example.org", NULL},
        {"localhost", "localhost", NULL},
        {"a", "a", NULL},
        {"1.example.org", "1.example.org", NULL},
        {"3com.com", "3com.com", NULL},
        {"a-b.r3---sn.example.org", "a-b.r3---sn.example.org", NULL},
        {L63 ".org", L63 ".org", NULL},
        {"", "!domain-empty", NULL},
        {".", "!domain-empty-label", NULL},
        {"..", "!domain-trailing-dot", "!domain-empty-label"},
        {".example.org", "!domain-empty-label", NULL},
        {"example..org", "!domain-empty-label", NULL},
        {"example.org.", "!domain-trailing-dot", "example.org"},
        {"example.org..", "!domain-trailing-dot", "!domain-empty-label"},
        {"-a.example.org", "!domain-hyphen", NULL},
        {"a-.example.org", "!domain-hyphen", NULL},
        {"example.org-", "!domain-hyphen", NULL},
        {"mx_1.example.org", "!domain-underscore", NULL},
        {"_dmarc.example.org", "!domain-underscore", NULL},
        {"a*.example.org", "!domain-wildcard", NULL},
        {"mx1.example.org!", "!domain-character", NULL},
        {"mx\"1.example.org", "!domain-character", NULL},
        {"mx\\1.example.org", "!domain-character", NULL},
        {L63 "x.org", "!domain-label-too-long", NULL},
        {NULL, NULL, NULL}};
    walk(sts_domain_parse, cases);
}

/* P10, P11: mistakes that deserve their own words. */
static void p11_addresses_and_other_mistakes(void **state)
{
    (void)state;
    static const struct name_case cases[] = {
        {"192.0.2.1", "!domain-ip-address", NULL},
        {"192.0.2.1.", "!domain-ip-address", NULL},
        {"2.1.", "!domain-trailing-dot", "!domain-ip-address"},
        {"192.0.2.0/24", "!domain-ip-address", NULL},
        {"0.2.1", "!domain-ip-address", NULL},
        {"mx.25", "!domain-ip-address", NULL},
        {"25", "!domain-ip-address", NULL},
        {"2001:db8::1", "!domain-ip-address", NULL},
        {"::", "!domain-ip-address", NULL},
        {"::ffff:192.0.2.1", "!domain-ip-address", NULL},
        {"2001:db8::/32", "!domain-ip-address", NULL},
        {"fe80::1%eth0", "!domain-ip-address", NULL},
        {"[192.0.2.1]", "!domain-ip-address", NULL},
        {"[IPv6:2001:db8::1]", "!domain-ip-address", NULL},
        {"mx.example.org:25", "!domain-port", NULL},
        {"mx.example.org:", "!domain-port", NULL},
        {"https://mx.example.org", "!domain-url", NULL},
        {"https://mx.example.org:443/", "!domain-url", NULL},
        {"mx.example.org/path", "!domain-url", NULL},
        {"postmaster@example.org", "!domain-mail-address", NULL},
        {"mailto:postmaster@example.org", "!domain-mail-address", NULL},
        {"mx1.example.org,mx2.example.org", "!domain-list", NULL},
        {"mx1.example.org;", "!domain-list", NULL},
        {"10 mx1.example.org", "!domain-space", NULL},
        {" mx1.example.org", "!domain-space", NULL},
        {"mx1.example.org ", "!domain-space", NULL},
        {"mx1.example.org\t", "!domain-control-character", NULL},
        {"mx1.example.org\r\nmx: evil.example", "!domain-control-character", NULL},
        {"mx1.example.org\x7f", "!domain-control-character", NULL},
        {NULL, NULL, NULL}};
    walk(sts_domain_parse, cases);
}

/* P12: A-labels only on the wire, U-labels in a configuration (RFC 5891, RFC 3492). */
static void p12_internationalised_names(void **state)
{
    (void)state;
    static const struct name_case cases[] = {
        {"xn--mnchen-3ya.de", "xn--mnchen-3ya.de", NULL},
        {"XN--MNCHEN-3YA.de", "xn--mnchen-3ya.de", NULL},
        {"mail.xn--fa-hia.de", "mail.xn--fa-hia.de", NULL},
        {"m\xc3\xbcnchen.de", "!domain-u-label", "xn--mnchen-3ya.de"},
        {"M\xc3\x9cNCHEN.DE", "!domain-u-label", "xn--mnchen-3ya.de"},
        /* not composed: the same name (NFC) */
        {"mu\xcc\x88nchen.de", "!domain-u-label", "xn--mnchen-3ya.de"},
        /* nontransitional: sharp s is its own letter */
        {"fa\xc3\x9f.de", "!domain-u-label", "xn--fa-hia.de"},
        {"m\xc3\xbcnchen.de.", "!domain-trailing-dot", "xn--mnchen-3ya.de"},
        {"b\xc3\xbc"
         "cher.xn--mnchen-3ya",
         "!domain-u-label", "xn--bcher-kva.xn--mnchen-3ya"},
        /* A-labels that are none */
        {"xn--.de", "!domain-hyphen", NULL},
        {"xn--a.de", "!domain-idna", NULL},
        {"mx.xn--mnchen-9999", "!domain-idna", NULL},
        {"xn--xn--.de", "!domain-hyphen", NULL},
        {"xn--ls8h.la", "!domain-idna", NULL}, /* a symbol, disallowed by RFC 5892 */
        {"xn--_a-wka.de", "!domain-underscore", NULL},
        /* U-labels that are none */
        {"\xc3\xbc-.de", "!domain-u-label", "!domain-idna"},
        {"\xc3\xbc_a.de", "!domain-u-label", "!domain-underscore"},
        {"a..\xc3\xbc", "!domain-u-label", "!domain-empty-label"},
        {"\xf0\x9f\x92\xa9.la", "!domain-u-label", "!domain-idna"},
        {"\xc3\xbc\xe2\x80\x8d.de", "!domain-u-label", "!domain-idna"},
        {"\xe2\x80\xaeorg.example", "!domain-u-label", "!domain-idna"},
        /* mapping must not make what was refused before: full-width digits, stars, spaces */
        {"\xef\xbc\x91\xef\xbc\x92.0.2.1", "!domain-u-label", "!domain-ip-address"},
        {"\xef\xbc\x8a.\xc3\xbc.de", "!domain-u-label", "!domain-wildcard"},
        {"a\xc2\xa0"
         "b.de",
         "!domain-u-label", "!domain-character"},
        /* not UTF-8 at all: Latin-1, overlong, surrogate, cut */
        {"m\xfcnchen.de", "!domain-u-label", "!domain-idna"},
        {"\xc0\xaf.de", "!domain-u-label", "!domain-idna"},
        {"\xed\xa0\x80.de", "!domain-u-label", "!domain-idna"},
        {"de.\xc3", "!domain-u-label", "!domain-idna"},
        {NULL, NULL, NULL}};
    walk(sts_domain_parse, cases);
}

/* P10, P11: "*" only as the whole left-most label and never alone. */
static void p10_wildcards(void **state)
{
    (void)state;
    static const struct name_case cases[] = {
        {"mx1.example.org", "mx1.example.org", NULL},
        {"*.example.org", "*.example.org", NULL},
        {"*.Example.ORG", "*.example.org", NULL},
        {"*.com", "*.com", NULL},
        {"*.m\xc3\xbcnchen.de", "!domain-u-label", "*.xn--mnchen-3ya.de"},
        {"*.example.org.", "!domain-trailing-dot", "*.example.org"},
        {"*", "!mx-bare-wildcard", NULL},
        {"*.", "!mx-bare-wildcard", NULL},
        {"", "!domain-empty", NULL},
        {"*example.org", "!domain-wildcard", NULL},
        {"mx*.example.org", "!domain-wildcard", NULL},
        {"mx.*.example.org", "!domain-wildcard", NULL},
        {"*.*.example.org", "!domain-wildcard", NULL},
        {"**.example.org", "!domain-wildcard", NULL},
        {"example.*", "!domain-wildcard", NULL},
        {"*..example.org", "!domain-empty-label", NULL},
        {".example.org", "!domain-empty-label", NULL},
        {"*.192.0.2.1", "!domain-ip-address", NULL},
        {"*.0.2.1", "!domain-ip-address", NULL},
        {"*.-example.org", "!domain-hyphen", NULL},
        {"*._tcp.example.org", "!domain-underscore", NULL},
        {"*.example.org:25", "!domain-port", NULL},
        {"mx1.example.org mx2.example.org", "!domain-space", NULL},
        {NULL, NULL, NULL}};
    walk(sts_mx_parse, cases);
    expect(sts_domain_parse, STS_STR("*.example.org"), STS_DOMAIN_CONFIG, "!domain-wildcard");
}

/* Three labels of 63 and one that makes `len` octets in all. */
static struct sts_str name_of(char *buf, size_t len)
{
    int n = snprintf(buf, 400, "%s.%s.%s.", L63, L63, L63);
    memset(buf + n, 'b', len - (size_t)n);
    buf[len] = '\0';
    return (struct sts_str){buf, len};
}

/* P13: 253 octets, for a wildcard with its star; and nothing is read beyond the cap. */
static void p13_length(void **state)
{
    (void)state;
    char buf[400], wild[402];

    expect(sts_domain_parse, name_of(buf, 253), STS_DOMAIN_WIRE, buf);
    expect(sts_domain_parse, name_of(buf, 254), STS_DOMAIN_WIRE, "!domain-too-long");
    name_of(buf, 251);
    snprintf(wild, sizeof(wild), "*.%s", buf);
    expect(sts_mx_parse, sts_str_from(wild), STS_DOMAIN_WIRE, wild);
    name_of(buf, 252);
    snprintf(wild, sizeof(wild), "*.%s", buf);
    expect(sts_mx_parse, sts_str_from(wild), STS_DOMAIN_WIRE, "!domain-too-long");

    static char huge[100000];
    memset(huge, 'a', sizeof(huge));
    expect(sts_domain_parse, (struct sts_str){huge, sizeof(huge)}, STS_DOMAIN_CONFIG,
           "!domain-too-long");
    char u_labels[600];
    for (size_t i = 0; i < sizeof(u_labels); i += 2)
        memcpy(u_labels + i, "\xc3\xbc", 2);
    expect(sts_domain_parse, (struct sts_str){u_labels, sizeof(u_labels)}, STS_DOMAIN_CONFIG,
           "!domain-idna");
}

/* A NUL would cut the name for libraries that take C strings. */
static void nul_is_refused(void **state)
{
    (void)state;
    struct attempt a;

    expect(sts_domain_parse, STS_STR("example.org\0.evil.example"), STS_DOMAIN_CONFIG,
           "!domain-control-character");
    expect(sts_domain_parse, STS_STR("\0"), STS_DOMAIN_WIRE, "!domain-control-character");
    expect(sts_domain_parse, STS_STR("m\xc3\xbcnchen.de\0"), STS_DOMAIN_CONFIG,
           "!domain-control-character");
    attempt(&a, sts_mx_parse, STS_STR("ab\0c"), STS_DOMAIN_WIRE);
    assert_non_null(strstr(a.diags.first->message.ptr, "0x00 (octet 3)"));
    sts_arena_free(a.arena);
}

static bool matches(const char *pattern, const char *host)
{
    return sts_mx_matches(sts_str_from(pattern), sts_str_from(host));
}

/* P14: RFC 8461 §4.1, RFC 6125 §6.4.3. */
static void p14_wildcard_stands_for_one_label(void **state)
{
    (void)state;
    assert_true(matches("mx.example.org", "mx.example.org"));
    assert_true(matches("*.example.org", "a.example.org"));
    assert_false(matches("*.example.org", "example.org"));
    assert_false(matches("*.example.org", "b.a.example.org"));
    assert_false(matches("*.example.org", ".example.org"));
    assert_false(matches("*.example.org", "aexample.org"));
    assert_false(matches("*.example.org", "a.example.com"));
    assert_false(matches("*.example.org", ""));
    assert_false(matches("*.example.org", "org"));
    assert_false(matches("example.org", "a.example.org"));
}

static bool covers(const char *wide, const char *narrow)
{
    return sts_mx_covers(sts_str_from(wide), sts_str_from(narrow));
}

static void covering(void **state)
{
    (void)state;
    assert_true(covers("*.example.org", "mx.example.org"));
    assert_true(covers("*.example.org", "*.example.org"));
    assert_true(covers("mx.example.org", "mx.example.org"));
    assert_false(covers("mx.example.org", "*.example.org"));
    assert_false(covers("*.example.org", "*.a.example.org"));
    assert_false(covers("*.org", "*.example.org"));
    assert_false(covers("*.example.org", "a.mx.example.org"));
}

static void public_suffixes(void **state)
{
    (void)state;
    assert_true(sts_domain_is_public_suffix(STS_STR("com")));
    assert_true(sts_domain_is_public_suffix(STS_STR("co.uk")));
    assert_true(sts_domain_is_public_suffix(STS_STR("github.io"))); /* the private section */
    assert_true(sts_domain_is_public_suffix(STS_STR("xn--fiqs8s")));
    assert_false(sts_domain_is_public_suffix(STS_STR("example.com")));
    assert_false(sts_domain_is_public_suffix(STS_STR("example.co.uk")));
    assert_false(sts_domain_is_public_suffix(STS_STR("")));
    char buf[400];
    assert_false(sts_domain_is_public_suffix(name_of(buf, 254)));
}

static void labels_are_counted(void **state)
{
    (void)state;
    assert_int_equal(sts_domain_labels(STS_STR("")), 0);
    assert_int_equal(sts_domain_labels(STS_STR("org")), 1);
    assert_int_equal(sts_domain_labels(STS_STR("a.example.org")), 3);
}

static bool is_canonical_char(char c)
{
    return (c >= 'a' && c <= 'z') || sts_is_digit(c) || c == '.' || c == '-';
}

/* Whatever comes in, only [a-z0-9.-] and a leading "*." come out, and coming out once more
 * changes nothing. */
static void no_hostile_byte_gets_through(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "a",    "mx1",        ".",  "-", "*",    "*.",           "example",      "org",
        "\n",   "\r",         " ",  ":", "\xc3", "\xc3\xbc",     "xn--",         "XN--A",
        "_",    "1",          "@",  "/", "\xff", "\xe3\x80\x82", "\xef\xbc\x8a", "\xe2\x80\xae",
        "\x7f", "mnchen-3ya", "\"", "\\"};
    uint64_t seed = 8461;
    size_t accepted = 0;

    for (int round = 0; round < 40000; round++) {
        char in[128];
        size_t len = 0;
        for (uint32_t n = random_below(&seed, 7); n > 0; n--) {
            uint32_t pick = random_below(&seed, sizeof(pieces) / sizeof(*pieces) + 1);
            const char *piece = pick < sizeof(pieces) / sizeof(*pieces) ? pieces[pick] : "";
            size_t piece_len = *piece ? strlen(piece) : 1;
            memcpy(in + len, piece, piece_len); /* "" gives a NUL */
            len += piece_len;
        }
        enum sts_domain_form form = random_below(&seed, 2) ? STS_DOMAIN_CONFIG : STS_DOMAIN_WIRE;
        bool mx = random_below(&seed, 2);
        struct attempt a;
        attempt(&a, mx ? sts_mx_parse : sts_domain_parse, (struct sts_str){in, len}, form);
        if (a.good) {
            struct sts_str rest = a.out, again;
            if (mx && sts_str_starts(rest, STS_STR("*.")))
                rest = sts_str_sub(rest, 2, rest.len);
            for (size_t i = 0; i < rest.len; i++)
                assert_true(is_canonical_char(rest.ptr[i]));
            assert_true((mx ? sts_mx_parse : sts_domain_parse)(
                a.arena, a.out, STS_DOMAIN_WIRE, (struct sts_pos){0}, &a.diags, &again));
            assert_true(sts_str_eq(a.out, again));
            accepted++;
        }
        sts_arena_free(a.arena);
    }
    assert_true(accepted > 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p10_host_names),
        cmocka_unit_test(p11_addresses_and_other_mistakes),
        cmocka_unit_test(p12_internationalised_names),
        cmocka_unit_test(p10_wildcards),
        cmocka_unit_test(p13_length),
        cmocka_unit_test(nul_is_refused),
        cmocka_unit_test(p14_wildcard_stands_for_one_label),
        cmocka_unit_test(covering),
        cmocka_unit_test(public_suffixes),
        cmocka_unit_test(labels_are_counted),
        cmocka_unit_test(no_hostile_byte_gets_through),
    };
    return cmocka_run_group_tests_name("domain", tests, NULL, NULL);
}
