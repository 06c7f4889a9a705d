/* Unit tests of the TLS server: handshakes, sessions and settings. */
#include "tests/unit/tls_fixture.h"

static void both_versions_present_the_chain(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct conn c;
        conn_open(&c, HOST_B);
        only_version(&c, versions[i]);
        X509_STORE *trust = SSL_CTX_get_cert_store(c.client_context);
        X509_STORE_add_cert(trust, root.x);
        X509_VERIFY_PARAM_set_time(SSL_get0_param(c.client), NOW);
        SSL_set1_host(c.client, HOST_B);
        SSL_set_verify(c.client, SSL_VERIFY_PEER, NULL);
        assert_ok(&c);
        assert_int_equal(SSL_version(c.client), versions[i]);
        assert_int_equal(SSL_get_verify_result(c.client), X509_V_OK);
        assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(c.client)), 2);
        assert_true(presented(&c, &cert_b));
        assert_string_equal(c.transport.host, HOST_B);
        assert_int_equal(c.transport.identified, 2);
        conn_close(&c);
    }
}

static void the_name_is_folded_to_lower_case(void **state)
{
    (void)state;
    struct conn c;
    conn_open(&c, "MTA-STS.b.Example");
    assert_ok(&c);
    assert_string_equal(c.transport.host, HOST_B);
    conn_close(&c);
}

static void ec_is_preferred_and_rsa_possible(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct conn c;
        conn_open(&c, HOST_A);
        only_version(&c, versions[i]);
        /* even when the client would rather have RSA */
        SSL_set1_sigalgs_list(c.client, "RSA-PSS+SHA256:RSA+SHA256:ECDSA+SHA256");
        assert_ok(&c);
        assert_true(presented(&c, &cert_a));
        conn_close(&c);

        conn_open(&c, HOST_A);
        only_version(&c, versions[i]);
        SSL_set1_sigalgs_list(c.client, "RSA-PSS+SHA256:RSA+SHA256");
        assert_ok(&c);
        assert_true(presented(&c, &cert_ar));
        conn_close(&c);

        conn_open(&c, HOST_R);
        only_version(&c, versions[i]);
        assert_ok(&c);
        assert_true(presented(&c, &cert_r));
        conn_close(&c);
    }
}

static void suites_groups_and_retries_work(void **state)
{
    (void)state;
    const char *const tls12[] = {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
                                 "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-AES128-GCM-SHA256",
                                 "ECDHE-RSA-AES256-GCM-SHA384",   "ECDHE-RSA-CHACHA20-POLY1305"};
    const char *const tls13[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                 "TLS_CHACHA20_POLY1305_SHA256"};
    const char *const groups[] = {"X25519", "P-256", "P-384", "P-521:X25519"};
    struct conn c;

    for (size_t i = 0; i < sizeof(tls12) / sizeof(tls12[0]); i++) {
        conn_open(&c, HOST_A);
        only_version(&c, TLS1_2_VERSION);
        SSL_set_cipher_list(c.client, tls12[i]);
        assert_ok(&c);
        assert_string_equal(SSL_get_cipher_name(c.client), tls12[i]);
        conn_close(&c);
    }
    for (size_t i = 0; i < sizeof(tls13) / sizeof(tls13[0]); i++) {
        conn_open(&c, HOST_A);
        SSL_set_ciphersuites(c.client, tls13[i]);
        assert_ok(&c);
        assert_string_equal(SSL_get_cipher_name(c.client), tls13[i]);
        conn_close(&c);
    }
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        conn_open(&c, HOST_A);
        only_version(&c, TLS1_3_VERSION);
        SSL_set1_groups_list(c.client, groups[i]);
        assert_ok(&c);
        /* the last one needs a HelloRetryRequest: both ClientHellos are identified */
        assert_int_equal(c.transport.identified, i == 3 ? 4 : 2);
        conn_close(&c);
    }
}

/* TLS 1.3 ties a curve to its hash (RFC 8446 §4.2.3) and has no RSA with PKCS #1 v1.5. */
static void all_signatures_are_made(void **state)
{
    const struct {
        int version;
        const char *host, *signature;
    } made[] = {
        {TLS1_2_VERSION, HOST_B, "ECDSA+SHA256"},   {TLS1_2_VERSION, HOST_B, "ECDSA+SHA384"},
        {TLS1_2_VERSION, HOST_B, "ECDSA+SHA512"},   {TLS1_2_VERSION, HOST_384, "ECDSA+SHA256"},
        {TLS1_2_VERSION, HOST_521, "ECDSA+SHA512"}, {TLS1_2_VERSION, HOST_R, "RSA-PSS+SHA256"},
        {TLS1_2_VERSION, HOST_R, "RSA-PSS+SHA384"}, {TLS1_2_VERSION, HOST_R, "RSA-PSS+SHA512"},
        {TLS1_2_VERSION, HOST_R, "RSA+SHA256"},     {TLS1_2_VERSION, HOST_R, "RSA+SHA384"},
        {TLS1_2_VERSION, HOST_R, "RSA+SHA512"},     {TLS1_3_VERSION, HOST_B, "ECDSA+SHA256"},
        {TLS1_3_VERSION, HOST_384, "ECDSA+SHA384"}, {TLS1_3_VERSION, HOST_521, "ECDSA+SHA512"},
        {TLS1_3_VERSION, HOST_R, "RSA-PSS+SHA256"}, {TLS1_3_VERSION, HOST_R, "RSA-PSS+SHA384"},
        {TLS1_3_VERSION, HOST_R, "RSA-PSS+SHA512"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
        struct conn c;
        conn_open(&c, made[i].host);
        only_version(&c, made[i].version);
        SSL_set1_sigalgs_list(c.client, made[i].signature);
        assert_ok(&c);
        conn_close(&c);
    }
}

static void alpn_takes_http11_only(void **state)
{
    (void)state;
    const unsigned char offers[][20] = {"\x08http/1.1", "\x02h2\x08http/1.1",
                                        "\x08http/1.0\x08http/1.1"};
    const unsigned lens[] = {9, 12, 18};
    const unsigned char *chosen;
    unsigned len;
    struct conn c;

    for (size_t i = 0; i < 3; i++) {
        conn_open(&c, HOST_B);
        SSL_set_alpn_protos(c.client, offers[i], lens[i]);
        assert_ok(&c);
        SSL_get0_alpn_selected(c.client, &chosen, &len);
        assert_int_equal(len, 8);
        assert_memory_equal(chosen, "http/1.1", 8);
        conn_close(&c);
    }
    conn_open(&c, HOST_B);
    assert_ok(&c);
    SSL_get0_alpn_selected(c.client, &chosen, &len);
    assert_int_equal(len, 0);
    conn_close(&c);
}

static void renegotiation_is_refused(void **state)
{
    (void)state;
    struct conn c;
    conn_open(&c, HOST_B);
    only_version(&c, TLS1_2_VERSION);
    assert_ok(&c);
    unsigned identified = c.transport.identified;
    assert_int_equal(SSL_renegotiate(c.client), 1);
    client_step(&c);
    server_step(&c);
    server_step(&c);
    assert_int_equal(c.transport.identified, identified);
    assert_int_equal(SSL_num_renegotiations(c.server), 0);
    assert_false(client_step(&c)); /* told so */
    conn_close(&c);
}

/* A session of TLS 1.2 from `first`, offered with the SNI `second`. */
static bool resumes(const char *first, const char *second)
{
    struct conn c;
    conn_open(&c, first);
    only_version(&c, TLS1_2_VERSION);
    assert_ok(&c);
    assert_int_equal(c.sessions, 1);
    SSL_SESSION *session = c.session;
    SSL_SESSION_up_ref(session);
    assert_int_equal(SSL_SESSION_get_max_early_data(session), 0);
    conn_close(&c);

    conn_open(&c, second);
    only_version(&c, TLS1_2_VERSION);
    SSL_set_session(c.client, session);
    SSL_SESSION_free(session);
    assert_ok(&c);
    bool reused = SSL_session_reused(c.client);
    assert_int_equal(SSL_session_reused(c.server), reused);
    assert_string_equal(c.transport.host, second);
    /* resumed ones are identified too: a removed tenant is refused at once */
    assert_int_equal(c.transport.identified, reused ? 1 : 2);
    if (!reused)
        assert_true(presented(&c, strcmp(second, HOST_B) == 0 ? &cert_b : &cert_a));
    conn_close(&c);
    return reused;
}

/* The class of CVE-2023-41337. */
static void a_ticket_is_good_for_its_tenant_only(void **state)
{
    (void)state;
    assert_true(resumes(HOST_A, HOST_A));
    assert_true(resumes(HOST_B, HOST_B));
    assert_false(resumes(HOST_A, HOST_B));
    assert_false(resumes(HOST_B, HOST_A));
}

static void tls13_has_no_tickets(void **state)
{
    (void)state;
    struct conn c;
    conn_open(&c, HOST_A);
    only_version(&c, TLS1_3_VERSION);
    assert_ok(&c);
    assert_null(c.session);
    conn_close(&c);
}

static void a_ticket_of_a_removed_tenant_is_refused(void **state)
{
    (void)state;
    struct cert_store *less = load_store("a-only");
    struct conn c;
    conn_open(&c, HOST_B);
    only_version(&c, TLS1_2_VERSION);
    assert_ok(&c);
    SSL_SESSION *session = c.session;
    SSL_SESSION_up_ref(session);
    conn_close(&c);
    conn_open(&c, HOST_B);
    c.transport.store = less;
    only_version(&c, TLS1_2_VERSION);
    SSL_set_session(c.client, session);
    SSL_SESSION_free(session);
    assert_alert(&c, SSL_AD_UNRECOGNIZED_NAME);
    conn_close(&c);
    cert_store_unref(less);
}

static void ticket_keys_are_replaced(void **state)
{
    (void)state;
    const uint64_t life = TICKET_KEY_LIFE_MS;
    struct tickets t;
    struct ticket_key first, key;
    bool renew;

    assert_true(tickets_init(&t, 1000));
    assert_true(tickets_seal(&t, 1000 + life - 1, &first));
    assert_true(tickets_open(&t, 1000 + life - 1, first.name, &key, &renew));
    assert_false(renew);
    assert_memory_equal(&key, &first, sizeof(key));
    assert_true(tickets_seal(&t, 1000 + life, &key));
    assert_memory_not_equal(key.name, first.name, sizeof(key.name));
    assert_memory_not_equal(key.cipher, first.cipher, sizeof(key.cipher));
    assert_true(tickets_open(&t, 1000 + life, first.name, &key, &renew));
    assert_true(renew);
    assert_memory_equal(&key, &first, sizeof(key));
    assert_false(tickets_open(&t, 1000 + 2 * life, first.name, &key, &renew));
    /* a long quiet time: nothing of before it is opened */
    assert_true(tickets_seal(&t, 1000 + 2 * life, &first));
    assert_false(tickets_open(&t, 1000 + 9 * life, first.name, &key, &renew));
    unsigned char none[16] = {0};
    assert_false(tickets_open(&t, 1000 + 9 * life, none, &key, &renew));
    tickets_fini(&t);
}

static void settings_are_as_promised(void **state)
{
    (void)state;
    SSL_CTX *ctx = tls_server_context(server);
    STACK_OF(SSL_CIPHER) *suites = SSL_CTX_get_ciphers(ctx);

    assert_int_equal(sk_SSL_CIPHER_num(suites), 9);
    for (int i = 0; i < sk_SSL_CIPHER_num(suites); i++) {
        const SSL_CIPHER *suite = sk_SSL_CIPHER_value(suites, i);
        int kx = SSL_CIPHER_get_kx_nid(suite);
        assert_true(SSL_CIPHER_is_aead(suite));
        assert_true(kx == NID_kx_ecdhe || kx == NID_kx_any); /* any: TLS 1.3 */
    }
    uint64_t options = SSL_CTX_get_options(ctx);
    assert_true(options & SSL_OP_NO_RENEGOTIATION);
    assert_true(options & SSL_OP_NO_COMPRESSION);
    assert_true(options & SSL_OP_CIPHER_SERVER_PREFERENCE);
    assert_true(SSL_CTX_get_mode(ctx) & SSL_MODE_RELEASE_BUFFERS);
    /* libh2o would wait for ever for a request that came with the client's Finished */
    assert_int_equal(SSL_CTX_get_read_ahead(ctx), 0);
    assert_int_equal(SSL_CTX_get_session_cache_mode(ctx), SSL_SESS_CACHE_OFF);
    assert_int_equal(SSL_CTX_get_num_tickets(ctx), 0);
    assert_int_equal(SSL_CTX_get_max_early_data(ctx), 0);
    assert_int_equal(SSL_CTX_get_min_proto_version(ctx), TLS1_2_VERSION);
    assert_int_equal(SSL_CTX_get_verify_mode(ctx), SSL_VERIFY_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_versions_present_the_chain),
        cmocka_unit_test(the_name_is_folded_to_lower_case),
        cmocka_unit_test(ec_is_preferred_and_rsa_possible),
        cmocka_unit_test(suites_groups_and_retries_work),
        cmocka_unit_test(all_signatures_are_made),
        cmocka_unit_test(alpn_takes_http11_only),
        cmocka_unit_test(renegotiation_is_refused),
        cmocka_unit_test(a_ticket_is_good_for_its_tenant_only),
        cmocka_unit_test(tls13_has_no_tickets),
        cmocka_unit_test(a_ticket_of_a_removed_tenant_is_refused),
        cmocka_unit_test(ticket_keys_are_replaced),
        cmocka_unit_test(settings_are_as_promised),
    };
    return cmocka_run_group_tests_name("tls_server", tests, group_setup, group_teardown);
}
