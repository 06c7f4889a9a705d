/* Record formats for DNS tools, byte by byte: what the program cannot be brought to print yet, or
 * not easily. That real parsers read them is tested in tests/integration/test_formats_tools.py. */
#include "tests/unit/test.h"

#include <string.h>

#include "mtasts/record.h"

#define ID "20261123100000df45f7eeZ"

static struct sts_arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = sts_arena_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sts_arena_free(arena);
    return 0;
}

/* All sets are of one zone when their zones are equal. */
static struct sts_str print(const char *name, const struct sts_record_set *sets, size_t count)
{
    const struct sts_record_format *format = sts_record_format_find(sts_str_from(name));
    size_t batch = 0;
    struct sts_format_context c = {.batch = &batch};
    struct sts_buf out = {0};

    assert_non_null(format);
    if (format->begin)
        format->begin(&out, &c);
    for (; c.index < count; c.index++) {
        const struct sts_record_set *set = &sets[c.index];
        c.zone_begins = c.index == 0 || !sts_str_eq(set[-1].zone, set->zone);
        c.zone_ends = c.index + 1 == count || !sts_str_eq(set[1].zone, set->zone);
        format->set(&out, &c, set);
    }
    if (format->end)
        format->end(&out, &c);
    struct sts_str text = sts_arena_dup(arena, sts_buf_str(&out));
    sts_buf_fini(&out);
    return text.len ? text : STS_STR("");
}

static void expect(const char *name, const struct sts_record_set *sets, size_t count,
                   const char *text)
{
    assert_string_equal(print(name, sets, count).ptr, text);
}

static size_t times(struct sts_str text, const char *what)
{
    size_t n = 0;
    for (const char *p = text.ptr; (p = strstr(p, what)); p++)
        n++;
    return n;
}

static struct sts_record_set made(const char *domain, const struct sts_record_input *in)
{
    struct sts_record_input own = *in;
    struct sts_record_set set;

    own.domain = sts_str_from(domain);
    sts_record_set_make(arena, &own, &set);
    return set;
}

/* A tenant with a CNAME and an id. */
static struct sts_record_set simple(const char *domain)
{
    return made(domain, &(struct sts_record_input){.id = STS_STR(ID),
                                                   .ttl_id = 300,
                                                   .ttl_host = 600,
                                                   .policy_host = STS_STR("p.example.net")});
}

static struct sts_record_set pending(const char *domain)
{
    return made(domain, &(struct sts_record_input){
                            .pending = STS_STR("not yet, \"soon\"\n*/ <b> `x` \\ _y_"),
                            .ttl_host = 600,
                            .policy_host = STS_STR("p.example.net")});
}

static struct sts_record_set withdrawn(const char *domain)
{
    struct sts_record_set set =
        made(domain, &(struct sts_record_input){.id = STS_STR(ID), .ttl_id = 300});
    set.withdrawn = true;
    return set;
}

static struct sts_record_set one(struct sts_record record, const char *zone)
{
    struct sts_record *copy = STS_NEW(arena, struct sts_record);

    *copy = record;
    copy->purpose = "test";
    return (struct sts_record_set){
        .domain = sts_str_from(zone), .zone = sts_str_from(zone), .records = copy, .count = 1};
}

/* --- what is withdrawn, what is pending --- */

static void csv_says_what_to_do(void **state)
{
    (void)state;
    const struct sts_record_set sets[] = {pending("a.example.org"), withdrawn("b.example.org"),
                                          simple("c.example.org")};
    expect("csv", sets, 3,
           "zone,name,relative_name,type,ttl,value,domain,status,note\n"
           "example.org,mta-sts.a.example.org,mta-sts.a,CNAME,600,p.example.net,a.example.org,"
           "publish,where the policy is served\n"
           "example.org,,,,,,a.example.org,pending,"
           "\"not yet, \"\"soon\"\"\\x0A*/ <b> `x` \\x5C _y_\"\n"
           "example.org,_mta-sts.b.example.org,_mta-sts.b,TXT,300,v=STSv1; id=" ID ";,"
           "b.example.org,remove,announces the policy\n"
           "example.org,mta-sts.c.example.org,mta-sts.c,CNAME,600,p.example.net,c.example.org,"
           "publish,where the policy is served\n"
           "example.org,_mta-sts.c.example.org,_mta-sts.c,TXT,300,v=STSv1; id=" ID ";,"
           "c.example.org,publish,announces the policy\n");
}

static void octodns_leaves_out_what_is_withdrawn(void **state)
{
    (void)state;
    const struct sts_record_set sets[] = {pending("a.example.org"), withdrawn("b.example.org"),
                                          simple("c.example.org"), withdrawn("example.com")};
    expect("octodns", sets, 4,
           "---\n"
           "# example.org.yaml\n"
           "# several tenants: the provider needs enforce_order: false\n"
           "# _mta-sts.a.example.org is pending: "
           "not yet, \"soon\"\\x0A*/ <b> `x` \\x5C _y_\n"
           "'mta-sts.a':\n"
           "  ttl: 600\n"
           "  type: CNAME\n"
           "  value: 'p.example.net.'\n"
           "# remove _mta-sts.b.example.org. TXT \"v=STSv1; id=20261123100000df45f7eeZ;\", because "
           "b.example.org is no tenant any more\n"
           "'_mta-sts.c':\n"
           "  ttl: 300\n"
           "  type: TXT\n"
           "  value: 'v=STSv1\\; id=" ID "\\;'\n"
           "'mta-sts.c':\n"
           "  ttl: 600\n"
           "  type: CNAME\n"
           "  value: 'p.example.net.'\n"
           "---\n"
           "# example.com.yaml\n"
           "# remove _mta-sts.example.com. TXT \"v=STSv1; id=20261123100000df45f7eeZ;\", because "
           "example.com is no tenant any more\n");
}

static void dnscontrol_leaves_out_what_is_withdrawn(void **state)
{
    (void)state;
    const struct sts_record_set sets[] = {pending("a.example.org"), withdrawn("b.example.org"),
                                          simple("c.example.org")};
    expect("dnscontrol", sets, 3,
           "// a.example.org\n"
           "// _mta-sts.a.example.org is pending: "
           "not yet, \"soon\"\\x0A*/ <b> `x` \\x5C _y_\n"
           "D_EXTEND(\"example.org\",\n"
           "    CNAME(\"mta-sts.a\", \"p.example.net.\", TTL(600))\n"
           ");\n"
           "// b.example.org\n"
           "// remove _mta-sts.b.example.org. TXT \"v=STSv1; id=20261123100000df45f7eeZ;\", "
           "because b.example.org is no tenant any more\n"
           "// c.example.org\n"
           "D_EXTEND(\"example.org\",\n"
           "    CNAME(\"mta-sts.c\", \"p.example.net.\", TTL(600)),\n"
           "    TXT(\"_mta-sts.c\", \"v=STSv1; id=" ID ";\", TTL(300))\n"
           ");\n");
}

static void terraform_leaves_out_what_is_withdrawn(void **state)
{
    (void)state;
    const struct sts_record_set sets[] = {pending("163.com"), withdrawn("b.163.com"),
                                          simple("1.example.com")};
    expect("terraform-google", sets, 3,
           "variable \"zone_163_com\" {\n"
           "  description = \"name of the managed zone of 163.com\"\n"
           "  type        = string\n"
           "}\n"
           "\n"
           "# _mta-sts.163.com is pending: not yet, \"soon\"\\x0A*/ <b> `x` \\x5C _y_\n"
           "\n"
           "resource \"google_dns_record_set\" \"mta-sts_163_com_cname\" {\n"
           "  managed_zone = var.zone_163_com\n"
           "  name         = \"mta-sts.163.com.\"\n"
           "  type         = \"CNAME\"\n"
           "  ttl          = 600\n"
           "  rrdatas      = [\"p.example.net.\"]\n"
           "}\n"
           "\n"
           "# remove _mta-sts.b.163.com. TXT \"v=STSv1; id=20261123100000df45f7eeZ;\", because "
           "b.163.com is no tenant any more\n"
           "\n"
           "variable \"zone_example_com\" {\n"
           "  description = \"name of the managed zone of example.com\"\n"
           "  type        = string\n"
           "}\n"
           "\n"
           "resource \"google_dns_record_set\" \"mta-sts_1_example_com_cname\" {\n"
           "  managed_zone = var.zone_example_com\n"
           "  name         = \"mta-sts.1.example.com.\"\n"
           "  type         = \"CNAME\"\n"
           "  ttl          = 600\n"
           "  rrdatas      = [\"p.example.net.\"]\n"
           "}\n"
           "\n"
           "resource \"google_dns_record_set\" \"_mta-sts_1_example_com_txt\" {\n"
           "  managed_zone = var.zone_example_com\n"
           "  name         = \"_mta-sts.1.example.com.\"\n"
           "  type         = \"TXT\"\n"
           "  ttl          = 300\n"
           "  rrdatas      = [\"\\\"v=STSv1; id=" ID ";\\\"\"]\n"
           "}\n");
}

/* A DELETE that fails takes nothing with it. */
static void route53_deletes_alone(void **state)
{
    (void)state;
    const struct sts_record_set sets[] = {pending("a.example.org"), withdrawn("b.example.org"),
                                          simple("c.example.org")};
    expect("route53", sets, 3,
           "{\"Comment\":\"example.org\",\"Changes\":["
           "{\"Action\":\"UPSERT\",\"ResourceRecordSet\":{\"Name\":\"mta-sts.a.example.org\","
           "\"Type\":\"CNAME\",\"TTL\":600,\"ResourceRecords\":[{\"Value\":\"p.example.net.\"}]}}"
           "]}\n"
           "{\"Comment\":\"example.org\",\"Changes\":["
           "{\"Action\":\"DELETE\",\"ResourceRecordSet\":{\"Name\":\"_mta-sts.b.example.org\","
           "\"Type\":\"TXT\",\"TTL\":300,\"ResourceRecords\":["
           "{\"Value\":\"\\\"v=STSv1; id=" ID ";\\\"\"}]}}]}\n"
           "{\"Comment\":\"example.org\",\"Changes\":["
           "{\"Action\":\"UPSERT\",\"ResourceRecordSet\":{\"Name\":\"mta-sts.c.example.org\","
           "\"Type\":\"CNAME\",\"TTL\":600,\"ResourceRecords\":[{\"Value\":\"p.example.net.\"}]}},"
           "{\"Action\":\"UPSERT\",\"ResourceRecordSet\":{\"Name\":\"_mta-sts.c.example.org\","
           "\"Type\":\"TXT\",\"TTL\":300,\"ResourceRecords\":["
           "{\"Value\":\"\\\"v=STSv1; id=" ID ";\\\"\"}]}}]}\n");
}

static void cloudflare_has_what_is_withdrawn_apart(void **state)
{
    (void)state;
    const struct sts_record_set sets[] = {pending("a.example.org"), withdrawn("b.example.org"),
                                          simple("c.example.org")};
    expect("cloudflare", sets, 3,
           "{\"zone\":\"example.org\",\"posts\":["
           "{\"name\":\"mta-sts.a.example.org\",\"type\":\"CNAME\",\"ttl\":600,\"proxied\":false,"
           "\"content\":\"p.example.net\"}]}\n"
           "{\"zone\":\"example.org\",\"withdrawn\":["
           "{\"name\":\"_mta-sts.b.example.org\",\"type\":\"TXT\",\"ttl\":300,"
           "\"content\":\"\\\"v=STSv1; id=" ID ";\\\"\"}]}\n"
           "{\"zone\":\"example.org\",\"posts\":["
           "{\"name\":\"mta-sts.c.example.org\",\"type\":\"CNAME\",\"ttl\":600,\"proxied\":false,"
           "\"content\":\"p.example.net\"},"
           "{\"name\":\"_mta-sts.c.example.org\",\"type\":\"TXT\",\"ttl\":300,"
           "\"content\":\"\\\"v=STSv1; id=" ID ";\\\"\"}]}\n");
}

static void the_letter_says_what_to_do(void **state)
{
    (void)state;
    struct sts_record_set sets[] = {simple("a.example.org"), pending("b.example.org"),
                                    withdrawn("c.example.org")};
    expect("markdown", sets, 3,
           "## MTA-STS for a.example.org\n"
           "\n"
           "Please enter these DNS records, in this order, in the zone `example.org`.\n"
           "An older record of the same name and type is replaced.\n"
           "\n"
           "| Host | Type | TTL | Value |\n"
           "| --- | --- | --- | --- |\n"
           "| `mta-sts.a.example.org` | CNAME | 600 | `p.example.net` |\n"
           "| `_mta-sts.a.example.org` | TXT | 300 | `v=STSv1; id=" ID ";` |\n"
           "\n"
           "The last record announces the policy: enter it when the others are in place and\n"
           "<https://mta-sts.a.example.org/.well-known/mta-sts.txt>\n"
           "shows the policy.\n"
           "\n"
           "## MTA-STS for b.example.org\n"
           "\n"
           "Please enter this DNS record in the zone `example.org`.\n"
           "An older record of the same name and type is replaced.\n"
           "\n"
           "| Host | Type | TTL | Value |\n"
           "| --- | --- | --- | --- |\n"
           "| `mta-sts.b.example.org` | CNAME | 600 | `p.example.net` |\n"
           "\n"
           "The record that announces the policy, `_mta-sts.b.example.org`, is not ready: "
           "not yet, \"soon\"\\\\x0A\\*/ &#60;b&#62; \\`x\\` \\\\x5C \\_y\\_. Please leave\n"
           "it as it is until you hear from us.\n"
           "\n"
           "## MTA-STS for c.example.org\n"
           "\n"
           "This domain has no MTA-STS policy any more. Please delete, in the zone "
           "`example.org`:\n"
           "\n"
           "| Host | Type | TTL | Value |\n"
           "| --- | --- | --- | --- |\n"
           "| `_mta-sts.c.example.org` | TXT | 300 | `v=STSv1; id=" ID ";` |\n");
}

/* --- limits --- */

/* As the API counts: an UPSERT twice. */
static void route53_batches_stay_within_the_limits(void **state)
{
    (void)state;
    enum { SETS = 600 };
    struct sts_record_set *sets = STS_ARRAY(arena, SETS, struct sts_record_set);
    char uri[500] = "https://r.example.net/";
    memset(uri + strlen(uri), 'x', sizeof(uri) - 1 - strlen(uri));
    const struct sts_str rua[] = {sts_str_from(uri), STS_STR("mailto:r@example.net")};

    for (int long_ones = 0; long_ones < 2; long_ones++) {
        for (size_t i = 0; i < SETS; i++)
            sets[i] = made("example.org",
                           &(struct sts_record_input){.id = STS_STR("1"),
                                                      .policy_host = STS_STR("p.example.net"),
                                                      .rua = rua,
                                                      .rua_count = long_ones ? 2 : 0});
        struct sts_str text = print("route53", sets, SETS);
        size_t batches = 0, records = 0;
        for (size_t from = 0, end; from < text.len; from = end + 1, batches++) {
            end = sts_str_find(text, '\n', from);
            struct sts_str line = sts_arena_dup(arena, sts_str_sub(text, from, end));
            size_t in_line = times(line, "\"Value\":"), long_values = times(line, uri);
            assert_true(in_line > 0 && 2 * in_line <= 1000);
            assert_true(2 * long_values * sizeof(uri) <= 32000);
            assert_int_equal(times(line, "\"Changes\":["), 1);
            records += in_line;
        }
        assert_int_equal(records, SETS * (long_ones ? 3 : 2));
        assert_true(batches > 2 && batches < 40);
    }
}

/* And what replaces the records of one name and type is one request, whatever its size. */
static void cloudflare_lines_have_a_hundred_records(void **state)
{
    (void)state;
    enum { SETS = 60, ADDRESSES = 7, MANY = 130 };
    struct sts_str addresses[MANY];
    struct sts_record_set sets[SETS];
    for (size_t i = 0; i < MANY; i++)
        addresses[i] = sts_arena_printf(arena, "192.0.2.%zu", i);
    struct sts_record_input in = {
        .id = STS_STR(ID), .addresses = addresses, .address_count = ADDRESSES};

    for (size_t i = 0; i < SETS; i++)
        sets[i] = made(sts_arena_printf(arena, "d%zu.example.org", i).ptr, &in);
    struct sts_str text = print("cloudflare", sets, SETS);
    assert_int_equal(times(text, "\"name\":"), SETS * (ADDRESSES + 1));
    assert_int_equal(times(text, "\n"), 5); /* 480 records, 100 and less each */
    for (size_t from = 0, end; from < text.len; from = end + 1) {
        end = sts_str_find(text, '\n', from);
        struct sts_str line = sts_arena_dup(arena, sts_str_sub(text, from, end));
        assert_true(times(line, "\"name\":") <= 100);
        assert_int_equal(times(line, "\"A\"") % ADDRESSES, 0);
    }

    in.address_count = MANY;
    sets[0] = made("example.org", &in);
    text = print("cloudflare", sets, 1);
    assert_int_equal(times(text, "\n"), 2);
    assert_int_equal(
        times(sts_arena_dup(arena, sts_str_sub(text, 0, sts_str_find(text, '\n', 0))), "\"A\""),
        MANY);
}

static void cloudflare_ttls_are_within_its_limits(void **state)
{
    (void)state;
    const uint32_t ttls[][2] = {{0, 60},        {59, 60},       {60, 60},
                                {86400, 86400}, {86401, 86400}, {604800, 86400}};
    for (size_t i = 0; i < sizeof(ttls) / sizeof(*ttls); i++) {
        struct sts_record_set set = one((struct sts_record){.owner = STS_STR("mta-sts.example.org"),
                                                            .type = STS_RR_CNAME,
                                                            .ttl = ttls[i][0],
                                                            .value = STS_STR("p.example.net")},
                                        "example.org");
        const char *json = sts_arena_printf(arena, "\"ttl\":%u,", ttls[i][1]).ptr;
        const char *hcl = sts_arena_printf(arena, "  ttl     = %u\n", ttls[i][1]).ptr;
        const char *note =
            sts_arena_printf(arena, "\n# a TTL of %u is not possible here\nresource", ttls[i][0])
                .ptr;
        struct sts_str text = print("terraform-cloudflare", &set, 1);
        assert_int_equal(times(print("cloudflare", &set, 1), json), 1);
        assert_int_equal(times(text, hcl), 1);
        assert_int_equal(times(text, note), ttls[i][0] != ttls[i][1]);
    }
}

/* --- names --- */

static void both_sides_of_a_delegation(void **state)
{
    (void)state;
    struct sts_record_input in = {.id = STS_STR(ID),
                                  .ttl_id = 300,
                                  .ttl_host = 600,
                                  .ttl_tls_reports = 900,
                                  .policy_host = STS_STR("p.example.net"),
                                  .delegation_zone = STS_STR("sts.example.net"),
                                  .rua = (const struct sts_str[]){STS_STR("mailto:r@example.net")},
                                  .rua_count = 1};
    struct sts_record_set set = made("example.org", &in);
    expect("octodns", &set, 1,
           "---\n"
           "# example.org.yaml\n"
           "'_mta-sts':\n"
           "  ttl: 300\n"
           "  type: CNAME\n"
           "  value: '_mta-sts.example.org.sts.example.net.'\n"
           "'_smtp._tls':\n"
           "  ttl: 900\n"
           "  type: CNAME\n"
           "  value: '_smtp._tls.example.org.sts.example.net.'\n"
           "'mta-sts':\n"
           "  ttl: 600\n"
           "  type: CNAME\n"
           "  value: 'p.example.net.'\n");
    in.side = STS_SIDE_PROVIDER;
    set = made("example.org", &in);
    expect("dnscontrol", &set, 1,
           "// example.org\n"
           "D_EXTEND(\"sts.example.net\",\n"
           "    TXT(\"_smtp._tls.example.org\", \"v=TLSRPTv1; rua=mailto:r@example.net\", "
           "TTL(900)),\n"
           "    TXT(\"_mta-sts.example.org\", \"v=STSv1; id=" ID ";\", TTL(300))\n"
           ");\n");
    expect("terraform-aws", &set, 1,
           "data \"aws_route53_zone\" \"zone_sts_example_net\" {\n"
           "  name = \"sts.example.net\"\n"
           "}\n"
           "\n"
           "resource \"aws_route53_record\" \"_smtp__tls_example_org_sts_example_net_txt\" {\n"
           "  zone_id = data.aws_route53_zone.zone_sts_example_net.zone_id\n"
           "  name    = \"_smtp._tls.example.org.sts.example.net\"\n"
           "  type    = \"TXT\"\n"
           "  ttl     = 900\n"
           "  records = [\"v=TLSRPTv1; rua=mailto:r@example.net\"]\n"
           "}\n"
           "\n"
           "resource \"aws_route53_record\" \"_mta-sts_example_org_sts_example_net_txt\" {\n"
           "  zone_id = data.aws_route53_zone.zone_sts_example_net.zone_id\n"
           "  name    = \"_mta-sts.example.org.sts.example.net\"\n"
           "  type    = \"TXT\"\n"
           "  ttl     = 300\n"
           "  records = [\"v=STSv1; id=" ID ";\"]\n"
           "}\n");
}

/* The host of a tenant may be a zone of its own. */
static void a_record_of_the_zone_itself(void **state)
{
    (void)state;
    struct sts_record_set set =
        made("example.org",
             &(struct sts_record_input){.zone = STS_STR("mta-sts.example.org"),
                                        .ttl_host = 60,
                                        .addresses = (const struct sts_str[]){STS_STR("192.0.2.1")},
                                        .address_count = 1});
    expect("octodns", &set, 1,
           "---\n# mta-sts.example.org.yaml\n"
           "'':\n  ttl: 60\n  type: A\n  value: '192.0.2.1'\n");
    expect("dnscontrol", &set, 1,
           "// example.org\nD_EXTEND(\"mta-sts.example.org\",\n    A(\"@\", \"192.0.2.1\", "
           "TTL(60))\n);\n");
}

static void no_records_no_call(void **state)
{
    (void)state;
    struct sts_record_set set =
        made("example.org", &(struct sts_record_input){.zone = STS_STR("example.org")});
    expect("dnscontrol", &set, 1, "// example.org\n");
    expect("octodns", &set, 1, "---\n# example.org.yaml\n");
    expect("route53", &set, 1, "");
    expect("cloudflare", &set, 1, "");
    expect("markdown", &set, 1, "## MTA-STS for example.org\n");
}

/* What is different stays different where a dot cannot be written. */
static void terraform_names_do_not_collide(void **state)
{
    (void)state;
    const struct sts_record_set sets[] = {simple("a.b.example.org"), simple("a-b.example.org"),
                                          simple("a--b.example.org"), simple("b.example.org")};
    struct sts_str text = print("terraform-aws", sets, 4);
    assert_int_equal(times(text, "\"mta-sts_a_b_example_org_cname\""), 1);
    assert_int_equal(times(text, "\"mta-sts_a-b_example_org_cname\""), 1);
    assert_int_equal(times(text, "\"mta-sts_a--b_example_org_cname\""), 1);
    assert_int_equal(times(text, "\"mta-sts_b_example_org_cname\""), 1);
    assert_int_equal(times(text, "data \"aws_route53_zone\" \""), 1);
}

/* --- values --- */

static const struct quoting {
    const char *format, *text;
} quotings[] = {
    /* The value: ${ %{ $${ $$ 100% " \ ' , <b> ` | */
    {"csv", ",TXT,0,\"${ %{ $${ $$ 100% \"\" \\ ' , <b> ` |\",example.org,"},
    {"octodns", "  value: '${ %{ $${ $$ 100% \" \\ '' , <b> ` |'\n"},
    {"dnscontrol", "TXT(\"t\", \"${ %{ $${ $$ 100% \\\" \\\\ ' , \\u003cb> ` |\", TTL(0))"},
    {"terraform-aws", "[\"$${ %%{ $$${ $$ 100% \\\\\\\" \\\\\\\\ ' , <b> ` |\"]"},
    {"terraform-cloudflare", "= \"\\\"$${ %%{ $$${ $$ 100% \\\\\\\" \\\\\\\\ ' , <b> ` |\\\"\"\n"},
    {"terraform-google", "[\"\\\"$${ %%{ $$${ $$ 100% \\\\\\\" \\\\\\\\ ' , <b> ` |\\\"\"]"},
    {"route53", "{\"Value\":\"\\\"${ %{ $${ $$ 100% \\\\\\\" \\\\\\\\ ' , <b> ` |\\\"\"}"},
    {"cloudflare", "\"content\":\"\\\"${ %{ $${ $$ 100% \\\\\\\" \\\\\\\\ ' , <b> ` |\\\"\"}"},
    {"markdown", "| TXT | 0 | <code>&#36;&#123;&#32;&#37;&#123;&#32;&#36;&#36;&#123;&#32;&#36;&#36;"
                 "&#32;100&#37;&#32;&#34;&#32;&#92;&#32;&#39;&#32;&#44;&#32;&#60;b&#62;&#32;&#96;"
                 "&#32;&#124;</code> |\n"},
};

static void every_format_quotes_in_its_own_way(void **state)
{
    (void)state;
    const struct sts_record_set set =
        one((struct sts_record){.owner = STS_STR("t.example.org"),
                                .value = STS_STR("${ %{ $${ $$ 100% \" \\ ' , <b> ` |")},
            "example.org");
    for (size_t i = 0; i < sizeof(quotings) / sizeof(*quotings); i++) {
        struct sts_str text = print(quotings[i].format, &set, 1);
        if (times(text, quotings[i].text) != 1)
            fail_msg("%s: %s", quotings[i].format, text.ptr);
    }
}

/* Strings of TXT have at most 255 octets (RFC 1035 section 3.3); some tools cut them themselves. */
static void long_text_is_cut_where_it_has_to_be(void **state)
{
    (void)state;
    char text[300], first[256], last[45];
    memset(text, 'x', sizeof(text));
    memset(first, 'x', sizeof(first));
    memset(last, 'x', sizeof(last));
    first[255] = last[44] = '\0';
    const struct sts_record_set set =
        one((struct sts_record){.owner = STS_STR("t.example.org"), .value = {text, 299}},
            "example.org");
    const char *cut = sts_arena_printf(arena, "\"%s\\\" \\\"%s\"", first, last).ptr;
    const char *quoted = sts_arena_printf(arena, "\"\\\"%s\\\" \\\"%s\\\"\"", first, last).ptr;
    const char *whole = sts_arena_printf(arena, "%s%s", first, last).ptr;

    assert_int_equal(times(print("terraform-aws", &set, 1), cut), 1);
    assert_int_equal(times(print("terraform-google", &set, 1), quoted), 1);
    assert_int_equal(times(print("terraform-cloudflare", &set, 1), quoted), 1);
    assert_int_equal(times(print("route53", &set, 1), quoted), 1);
    assert_int_equal(times(print("cloudflare", &set, 1), quoted), 1);
    assert_int_equal(times(print("octodns", &set, 1), whole), 1);
    assert_int_equal(times(print("dnscontrol", &set, 1), whole), 1);
    assert_int_equal(times(print("csv", &set, 1), whole), 1);
    assert_int_equal(times(print("markdown", &set, 1), whole), 1);
}

static void cloudflare_caa_is_structured(void **state)
{
    (void)state;
    const struct sts_record_set set =
        one((struct sts_record){.owner = STS_STR("mta-sts.example.org"),
                                .type = STS_RR_CAA,
                                .ttl = 300,
                                .value = STS_STR("ca.example; accounturi=https://a/1")},
            "example.org");
    expect(
        "cloudflare", &set, 1,
        "{\"zone\":\"example.org\",\"posts\":[{\"name\":\"mta-sts.example.org\",\"type\":\"CAA\","
        "\"ttl\":300,\"data\":{\"flags\":0,\"tag\":\"issue\",\"value\":\"ca.example; "
        "accounturi=https://a/1\"}}]}\n");
    expect("terraform-cloudflare", &set, 1,
           "data \"cloudflare_zone\" \"zone_example_org\" {\n"
           "  filter = {\n"
           "    name = \"example.org\"\n"
           "  }\n"
           "}\n"
           "\n"
           "resource \"cloudflare_dns_record\" \"mta-sts_example_org_caa\" {\n"
           "  for_each = toset([\"ca.example; accounturi=https://a/1\"])\n"
           "\n"
           "  zone_id = data.cloudflare_zone.zone_example_org.zone_id\n"
           "  name    = \"mta-sts.example.org\"\n"
           "  type    = \"CAA\"\n"
           "  ttl     = 300\n"
           "  proxied = false\n"
           "  data    = { flags = 0, tag = \"issue\", value = each.value }\n"
           "}\n");
}

static void the_letter_has_relative_names_when_asked(void **state)
{
    (void)state;
    const struct sts_record_set set = simple("a.example.org");
    struct sts_buf out = {0};
    const struct sts_record_format *format = sts_record_format_find(STS_STR("markdown"));

    format->set(&out, &(struct sts_format_context){.relative = true}, &set);
    assert_int_equal(times(sts_arena_dup(arena, sts_buf_str(&out)), "| `mta-sts.a` | CNAME |"), 1);
    sts_buf_fini(&out);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(csv_says_what_to_do),
        TEST(octodns_leaves_out_what_is_withdrawn),
        TEST(dnscontrol_leaves_out_what_is_withdrawn),
        TEST(terraform_leaves_out_what_is_withdrawn),
        TEST(route53_deletes_alone),
        TEST(cloudflare_has_what_is_withdrawn_apart),
        TEST(the_letter_says_what_to_do),
        TEST(route53_batches_stay_within_the_limits),
        TEST(cloudflare_lines_have_a_hundred_records),
        TEST(cloudflare_ttls_are_within_its_limits),
        TEST(both_sides_of_a_delegation),
        TEST(a_record_of_the_zone_itself),
        TEST(no_records_no_call),
        TEST(terraform_names_do_not_collide),
        TEST(every_format_quotes_in_its_own_way),
        TEST(long_text_is_cut_where_it_has_to_be),
        TEST(cloudflare_caa_is_structured),
        TEST(the_letter_has_relative_names_when_asked),
    };
    return cmocka_run_group_tests_name("formats for DNS tools", tests, NULL, NULL);
}
