/* One YAML file to a source: the settings, and the file as a whole. */
#include "tests/unit/config_source.h"

static void every_setting(void **state)
{
    const struct sts_source *s = parse(state, "listen:\n"
                                              "  - \"[2001:db8::1]:443\"\n"
                                              "  - {address: \"192.0.2.1:0\", tls: off}\n"
                                              "  - {address: \"unix:/run/x.sock\", tls: no, "
                                              "proxy_protocol: yes}\n"
                                              "certificates: [live, /etc/more]\n"
                                              "ledger: other.db\n"
                                              "contact: {tls_reports: [\"mailto:a@example.org\"]}\n"
                                              "records:\n"
                                              "  policy_host: Policy.Example.NET.\n"
                                              "  addresses: [192.0.2.1, \"2001:DB8::0001\"]\n"
                                              "  ttl: 1h\n"
                                              "strict: on\n"
                                              "access_log: off\n"
                                              "limits:\n"
                                              "  workers: 3\n"
                                              "  connections: 4\n"
                                              "  connections_per_ip: 5\n"
                                              "  certificate_cache: 12\n"
                                              "  handshake_timeout: 6\n"
                                              "  request_timeout: 7s\n"
                                              "  idle_timeout: 8\n"
                                              "  lifetime: 1m\n"
                                              "  shutdown_timeout: 10\n"
                                              "  on_change_timeout: 11\n"
                                              "include: a.yaml\n"
                                              "reload: {settle: 20ms, settle_limit: 3s, "
                                              "rescan: 2m}\n"
                                              "on_change: [/usr/bin/hook, two]\n"
                                              "tenants: {}\n");
    const struct sts_settings *c = &s->settings;
    assert_int_equal(s->diags.errors, 0);
    assert_false(s->broken);
    assert_int_equal(c->listen_count, 3);
    assert_true(sts_str_is(c->listen[0].host, "2001:db8::1"));
    assert_int_equal(c->listen[0].port, 443);
    assert_true(c->listen[0].tls);
    assert_int_equal(c->listen[0].where.line, 2);
    assert_true(sts_str_is(c->listen[1].address, "192.0.2.1:0"));
    assert_int_equal(c->listen[1].port, 0);
    assert_false(c->listen[1].tls);
    assert_true(c->listen[2].is_unix);
    assert_true(sts_str_is(c->listen[2].host, "/run/x.sock"));
    assert_true(c->listen[2].proxy_protocol);
    assert_int_equal(c->certificate_count, 2);
    assert_true(sts_str_is(c->certificates[1].path, "/etc/more"));
    assert_int_equal(c->certificates[1].where.column, 22);
    assert_true(sts_str_is(c->ledger.path, "other.db"));
    assert_int_equal(c->tls_report_count, 1);
    assert_true(sts_str_is(c->tls_reports[0], "mailto:a@example.org"));
    assert_true(sts_str_is(c->policy_host, "policy.example.net"));
    assert_int_equal(c->address_count, 2);
    assert_true(sts_str_is(c->addresses[1], "2001:db8::1"));
    assert_int_equal(c->ttl, 3600);
    assert_true(c->strict);
    assert_false(c->access_log);
    assert_int_equal(c->workers, 3);
    assert_int_equal(c->max_connections, 4);
    assert_int_equal(c->max_connections_per_ip, 5);
    assert_int_equal(c->certificate_cache, 12);
    assert_int_equal(c->handshake_timeout, 6);
    assert_int_equal(c->request_timeout, 7);
    assert_int_equal(c->idle_timeout, 8);
    assert_int_equal(c->lifetime, 60);
    assert_int_equal(c->shutdown_timeout, 10);
    assert_int_equal(c->include_count, 1);
    assert_int_equal(c->include[0].where.line, 25);
    assert_int_equal(c->on_change_timeout, 11);
    assert_int_equal(c->settle, 20);
    assert_int_equal(c->settle_limit, 3000);
    assert_int_equal(c->rescan, 120);
    assert_int_equal(c->on_change_count, 2);
    assert_true(sts_str_is(c->on_change[0], "/usr/bin/hook"));
    assert_true(sts_str_is(c->on_change[1], "two"));
    assert_int_equal(c->on_change_where.line, 27);
}

/* YAML 1.1 and 1.2 disagree about these words; here they mean one thing, quoted or not. */
static void switches(void **state)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"on", true},   {"off", false},   {"true", true}, {"false", false},
                 {"yes", true},  {"no", false},    {"ON", true},   {"False", false},
                 {"'on'", true}, {"\"no\"", false}};
    char text[64];

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        snprintf(text, sizeof(text), "strict: %s\ntenants: {}\n", words[i].word);
        const struct sts_source *s = parse(state, text);
        assert_int_equal(s->diags.errors, 0);
        assert_int_equal(s->settings.strict, words[i].value);
    }
    assert_error(parse(state, "strict: 1\n"), "value-type", 1, 9);
    assert_error(parse(state, "strict: y\n"), "value-type", 1, 9);
    assert_error(parse(state, "strict:\n"), "value-type", 1, 8);
    assert_error(parse(state, "strict: [on]\n"), "value-type", 1, 9);
}

/* An error outside policies and tenants refuses the file, with its place. */
static void errors_in_settings_break_the_source(void **state)
{
    static const struct {
        const char *text, *code;
        uint32_t column;
    } cases[] = {
        {"reload: {settle: fast}", "value-duration", 18},
        {"reload: {settle: 1ms2}", "value-duration", 18},
        {"reload: {settle: ms}", "value-duration", 18},
        {"reload: {settle: [1]}", "value-duration", 18},
        {"reload: {settle: 60001ms}", "value-range", 18},
        {"reload: {settle: 4294967296ms}", "value-duration", 18},
        {"reload: {settle_limit: 601s}", "value-range", 24},
        {"reload: {rescan: 0}", "value-range", 18},
        {"reload: {rescan: 500ms}", "value-duration", 18},
        {"reload: fast", "value-type", 9},
        {"on_change: hook", "value-path", 12},
        {"on_change: {a: b}", "value-type", 12},
        {"on_change: [[/a]]", "value-type", 13},
        {"limits: {on_change_timeout: 0}", "value-range", 29},
        {"listen: 443", "listen-address", 9},
        {"listen: []", "listen-address", 9},
        {"listen: localhost:443", "listen-address", 9},
        {"listen: \"[::1]\"", "listen-address", 9},
        {"listen: \"[::1]443\"", "listen-address", 9},
        {"listen: \"[::1\"", "listen-address", 9},
        {"listen: \"::1:443\"", "listen-address", 9},
        {"listen: \"127.0.0.1:\"", "listen-address", 9},
        {"listen: \"127.0.0.1:65536\"", "listen-address", 9},
        {"listen: \"127.0.0.1:-1\"", "listen-address", 9},
        {"listen: \"127.0.0.1.:1\"", "listen-address", 9},
        {"listen: \"unix:\"", "listen-address", 9},
        {"listen: \"unix:relative\"", "listen-address", 9},
        {"listen: [{tls: off}]", "listen-address", 10},
        {"listen: [{adress: x, address: \"[::]:443\"}]", "key-unknown", 11},
        {"listen: [[\"[::]:443\"]]", "value-type", 10},
        {"listen: [\"[::]:443\", \"[::]:443\"]", "listen-duplicate", 22},
        {"certificates: ''", "value-type", 15},
        {"certificates: {a: b}", "value-type", 15},
        {"certificates: [[a]]", "value-type", 16},
        {"ledger: []", "value-type", 9},
        {"contact: x", "value-type", 10},
        {"contact: {tls_reports: a@example.org}", "tlsrpt-uri-scheme", 24},
        {"contact: {tls_reports: 'mailto:a@b.example, mailto:c@d.example'}", "value-joined", 24},
        {"records: []", "value-type", 10},
        {"records: {policy_host: \"*.example.org\"}", "domain-wildcard", 24},
        {"records: {addresses: 192.0.2}", "address", 22},
        {"records: {ttl: 0}", "value-range", 16},
        {"records: {ttl: soon}", "value-duration", 16},
        {"records: {ttls: 5m}", "value-type", 17},
        {"records: {ttls: {id: 0}}", "value-range", 22},
        {"records: {ttls: {host: 2w}}", "value-range", 24},
        {"records: {delegation_zone: a_b.example}", "domain-underscore", 28},
        {"records: {caa: letsencrypt.org}", "value-type", 16},
        {"records: {caa: {issuer: ';'}}", "domain-list", 25},
        {"records: {caa: [{account_uri: 'https://ca.example/1'}]}", "caa-issuer", 17},
        {"records: {caa: {issuer: ca.example, account_uri: 'http://a.b'}}", "caa-account-uri", 50},
        {"records: {caa: {issuer: ca.example, account_uri: 'https://a.b/;'}}", "caa-account-uri",
         50},
        {"records: {caa: {issuer: ca.example, account_uri: []}}", "value-type", 50},
        {"limits: {workers: 257}", "value-range", 19},
        {"limits: {workers: -1}", "value-type", 19},
        {"limits: {connections: 0}", "value-range", 23},
        {"limits: {workers: []}", "value-type", 19},
        {"limits: {lifetime: []}", "value-duration", 20},
        {"limits: 5", "value-type", 9},
        {"records: {addresses: ''}", "value-type", 22},
        {"records: {addresses: ['']}", "value-type", 23},
        {"contact: {tls_reports: {}}", "value-type", 24},
        {"listen: [[::]:443]", "yaml-key", 10},
        {"listen: [::]:443", "yaml-syntax", 10},
        {"include: {}", "value-type", 10},
        {"tenant: {}", "key-unknown", 1},
        {"tenants: []", "value-type", 10},
        {"policies: x", "value-type", 11},
        {"[a, b]", "value-type", 1},
        {"just text", "value-type", 1},
        {"strict: on\n\tx: y", "yaml-syntax", 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct sts_source *s =
            sts_source_parse(sts_str_from(cases[i].text), STS_STR("f.yaml"), true);
        assert_error(s, cases[i].code, strstr(cases[i].text, "\t") ? 2 : 1, cases[i].column);
        if (!s->broken)
            fail_msg("not broken: %s", cases[i].text);
        sts_source_unref(s);
    }
}

static void long_socket_path_is_refused(void **state)
{
    char text[200];
    snprintf(text, sizeof(text), "listen: \"unix:/%0107d\"\n", 0);
    assert_error(parse(state, text), "listen-address", 1, 9);
    snprintf(text, sizeof(text), "listen: \"unix:/%0106d\"\n", 0);
    assert_int_equal(parse(state, text)->diags.errors, 0);
}

static void too_many_entries(void **state)
{
    struct sts_buf text = {0};

    sts_buf_add_cstr(&text, "listen: [");
    for (int i = 0; i < 65; i++)
        sts_buf_printf(&text, "\"127.0.0.1:%d\", ", 1000 + i);
    sts_buf_add(&text, (struct sts_str){"]\n", 3});
    assert_error(parse(state, text.ptr), "value-too-many", 1, 9);
    sts_buf_fini(&text);
}

static void records_say_more_than_one_ttl(void **state)
{
    const struct sts_source *s =
        parse(state, "records:\n"
                     "  ttls: {host: 1h, id: 1m, tls_reports: 1d, caa: 2d}\n"
                     "  delegation_zone: STS.Example.NET.\n"
                     "  policy_host: policy.example.net\n");
    const struct sts_settings *c = &s->settings;

    assert_null(s->diags.first);
    assert_int_equal(c->ttl_host, 3600);
    assert_int_equal(c->ttl_id, 60);
    assert_int_equal(c->ttl_tls_reports, 86400);
    assert_int_equal(c->ttl_caa, 172800);
    assert_true(sts_str_is(c->delegation_zone, "sts.example.net"));
    s = parse(state, "records:\n"
                     "  addresses: 192.0.2.1\n"
                     "  caa:\n"
                     "    - issuer: LetsEncrypt.org\n"
                     "    - {issuer: ca.example, account_uri: 'https://ca.example/acct/1'}\n");
    assert_null(s->diags.first);
    assert_int_equal(s->settings.caa_count, 2);
    assert_true(sts_str_is(s->settings.caa[0].issuer, "letsencrypt.org"));
    assert_int_equal(s->settings.caa[0].account_uri.len, 0);
    assert_true(sts_str_is(s->settings.caa[1].account_uri, "https://ca.example/acct/1"));
}

static void too_many_records(void **state)
{
    struct sts_buf text = {0};

    sts_buf_printf(&text, "contact: {tls_reports: [");
    for (int i = 0; i < 21; i++)
        sts_buf_printf(&text, "'mailto:r%d@example.org', ", i);
    sts_buf_add(&text, (struct sts_str){"]}\n", 4});
    assert_error(parse(state, text.ptr), "value-too-many", 1, 24);
    text.len = 0;

    sts_buf_printf(&text, "records: {caa: [");
    for (int i = 0; i < 21; i++)
        sts_buf_printf(&text, "{issuer: ca.example}, ");
    sts_buf_add(&text, (struct sts_str){"]}\n", 4});
    assert_error(parse(state, text.ptr), "value-too-many", 1, 16);
    sts_buf_fini(&text);
}

static void what_does_not_fit_together(void **state)
{
    const struct sts_source *s =
        parse(state, "listen: [{address: \"127.0.0.1:0\", tls: off}]\n"
                     "certificates: live\n"
                     "records: {policy_host: p.example.org, addresses: [192.0.2.1]}\n");
    const struct sts_diag *diag = find(&s->diags, "certificates-unused");
    assert_int_equal(s->diags.errors, 0);
    assert_int_equal(s->diags.warnings, 2);
    assert_int_equal(diag->where.line, 2);
    assert_int_equal(find(&s->diags, "records-both")->where.line, 3);
    /* Nothing stands beside a CNAME; a CNAME leads somewhere. */
    s = parse(state, "records: {policy_host: p.example.org, caa: {issuer: ca.example}}\n");
    assert_int_equal(s->diags.warnings, 1);
    assert_non_null(find(&s->diags, "caa-behind-cname"));
    s = parse(state, "records: {delegation_zone: sts.example.org}\n");
    assert_int_equal(s->diags.warnings, 1);
    assert_non_null(find(&s->diags, "delegation-no-host"));
    /* One entry with TLS needs them. */
    s = parse(state, "listen: [{address: \"127.0.0.1:0\", tls: off}, \"[::1]:0\"]\n"
                     "certificates: live\n");
    assert_null(s->diags.first);
}

static void unknown_keys_get_a_hint(void **state)
{
    static const struct {
        const char *text, *hint;
    } cases[] = {
        {"tennants: {}", "did you mean tenants?"},
        {"domains: {}", "did you mean tenants?"},
        {"limits: {conections: 5}", "did you mean connections?"},
        {"ttl: 5", "this key belongs elsewhere: records.ttl"},
        {"mx: x", "this key belongs elsewhere: tenants.*.mx"},
        {"strict:on: x", "YAML wants a space behind the colon: key: value"},
        {"contact: {zzzzzzz: 1}", "known here: tls_reports"},
        {"version: STSv1", "remove it; mta-stsd writes it by itself"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct sts_source *s = parse(state, cases[i].text);
        const struct sts_diag *diag = find(&s->diags, "key-unknown");
        assert_non_null(diag);
        if (!sts_str_is(diag->help, cases[i].hint))
            fail_msg("%s: %.*s", cases[i].text, STS_ARG(diag->help));
    }
}

static void included_files_hold_no_settings(void **state)
{
    const struct sts_source *s =
        parse_as(state, "strict: on\ntenants: {example.org: {mode: none}}\n", false);
    assert_error(s, "key-main-only", 1, 1);
    assert_true(s->broken);
    s = parse_as(state, "policies: {p: {mode: none}}\ntenants: {example.org: {policy: p}}\n",
                 false);
    assert_int_equal(s->diags.errors, 0);
    assert_int_equal(s->policy_count, 1);
    assert_int_equal(s->tenant_count, 1);
    /* Settings are not offered as a correction there. */
    s = parse_as(state, "strickt: on\n", false);
    assert_null(strstr(find(&s->diags, "key-unknown")->help.ptr, "strict"));
}

static void empty_files(void **state)
{
    assert_error(parse(state, ""), "config-empty", 1, 1);
    assert_true(parse(state, "# nothing\n")->broken);
    const struct sts_source *s = parse_as(state, "", false);
    assert_int_equal(s->diags.errors, 0);
    assert_non_null(find(&s->diags, "config-empty"));
    assert_false(s->broken);
    s = sts_source_parse((struct sts_str){NULL, 0}, STS_STR("f.yaml"), true);
    assert_true(s->broken);
    sts_source_unref((struct sts_source *)s);
}

static void size_is_bounded(void **state)
{
    size_t len = STS_SOURCE_MAX + 1;
    char *text = malloc(len);
    (void)state;
    memset(text, '\n', len);
    memcpy(text, "tenants: {}", 11);
    struct sts_source *s = sts_source_parse((struct sts_str){text, len}, STS_STR("f.yaml"), true);
    assert_error(s, "config-too-large", 1, 1);
    assert_true(s->broken);
    sts_source_unref(s);
    s = sts_source_parse((struct sts_str){text, len - 1}, STS_STR("f.yaml"), true);
    assert_int_equal(s->diags.errors, 0);
    sts_source_unref(s);
    free(text);
}

static void references_are_counted(void **state)
{
    struct sts_source *s = sts_source_parse(STS_STR("tenants: {}\n"), STS_STR("f.yaml"), true);
    (void)state;
    assert_ptr_equal(sts_source_ref(s), s);
    assert_int_equal(s->refs, 2);
    sts_source_unref(s);
    assert_int_equal(s->tenant_count, 0); /* still there */
    sts_source_unref(s);
    sts_source_unref(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_setting),
        TEST(switches),
        TEST(errors_in_settings_break_the_source),
        TEST(long_socket_path_is_refused),
        TEST(unknown_keys_get_a_hint),
        TEST(too_many_entries),
        TEST(records_say_more_than_one_ttl),
        TEST(too_many_records),
        TEST(what_does_not_fit_together),
        TEST(included_files_hold_no_settings),
        TEST(empty_files),
        TEST(size_is_bounded),
        TEST(references_are_counted),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
