/* Unit tests of the TLS server: what is refused, and that the client is told why. */
#include "tests/unit/tls_fixture.h"

static void sni_is_parsed_strictly(void **state)
{
    (void)state;
    struct host_name host;
    const struct {
        struct sts_str bytes;
        enum sni result;
    } cases[] = {
        {STS_STR("\0\x06\0\0\x03\x41.b"), SNI_OK},
        {STS_STR(""), SNI_MALFORMED},
        {STS_STR("\0"), SNI_MALFORMED},
        {STS_STR("\0\0"), SNI_MALFORMED},
        {STS_STR("\0\x01\0"), SNI_MALFORMED},
        {STS_STR("\0\x03\0\0\0"), SNI_MALFORMED},              /* empty name */
        {STS_STR("\0\x04\x01\0\x01x"), SNI_MALFORMED},         /* not a host_name */
        {STS_STR("\0\x04\0\0\x02x"), SNI_MALFORMED},           /* name longer than list */
        {STS_STR("\0\x05\0\0\x01xy"), SNI_MALFORMED},          /* more behind it */
        {STS_STR("\0\x04\0\0\x01xy"), SNI_MALFORMED},          /* list shorter */
        {STS_STR("\0\x08\0\0\x01x\0\0\x01y"), SNI_MALFORMED},  /* two names */
        {STS_STR("\0\x06\0\0\x03x\0y"), SNI_NOT_A_HOST},       /* NUL */
        {STS_STR("\0\x05\0\0\x02x."), SNI_NOT_A_HOST},         /* trailing dot */
        {STS_STR("\0\x05\0\0\x02\xc3\xa4"), SNI_NOT_A_HOST},   /* UTF-8 */
        {STS_STR("\0\x0a\0\0\x07\x31.2.3.4"), SNI_NOT_A_HOST}, /* address */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(sni_parse(cases[i].bytes, &host), cases[i].result);
    assert_int_equal(sni_parse(cases[0].bytes, &host), SNI_OK);
    assert_string_equal(host.text, "a.b");
}

static void host_names_have_limits(void **state)
{
    (void)state;
    struct host_name host;
    char name[300];

    memset(name, 'a', sizeof(name));
    assert_true(host_name_parse((struct sts_str){name, 63}, &host));
    assert_false(host_name_parse((struct sts_str){name, 64}, &host));
    for (size_t i = 49; i < sizeof(name); i += 50)
        name[i] = '.';
    assert_true(host_name_parse((struct sts_str){name, 253}, &host));
    assert_int_equal(host.len, 253);
    assert_false(host_name_parse((struct sts_str){name, 254}, &host));
    const char *const bad[] = {"",     ".",   "a..b", ".a", "a.", "-a.b",
                               "a-.b", "a b", "*.a",  "1",  "a.1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(host_name_parse(sts_str_from(bad[i]), &host));
    assert_true(host_name_parse(STS_STR("1a.xn--p1ai"), &host));
    assert_true(host_name_parse_pattern(STS_STR("*.A.b"), &host));
    assert_string_equal(host.text, "*.a.b");
}

static void unknown_and_odd_names_are_refused(void **state)
{
    (void)state;
    const char *const names[] = {
        NULL,                 /* no SNI */
        "mta-sts.c.example",  /* nobody's */
        "b.example",          /* the mail domain itself */
        "mta-sts.b.example.", /* RFC 6066 §3: no trailing dot */
        "mta-sts..b.example",
        "mta_sts.b.example",
        "*.b.example",
        "mta-sts.b.example\n",
        "127.0.0.1", /* no literal addresses */
        " ",
    };
    for (size_t v = 0; v < 2; v++) {
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            struct conn c;
            conn_open(&c, names[i]);
            only_version(&c, versions[v]);
            assert_alert(&c, SSL_AD_UNRECOGNIZED_NAME);
            conn_close(&c);
        }
    }
}

/* Moves the client's flight into the server's input and gives it for mangling. */
static char *intercept(struct conn *c, const char *find)
{
    char bytes[4096];

    assert_true(client_step(c));
    ssize_t n = recv(c->transport.fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    assert_true(n > 0);
    sts_buf_add(&c->transport.in, (struct sts_str){bytes, (size_t)n});
    return memmem(c->transport.in.ptr, c->transport.in.len, find, strlen(find));
}

/* A C string would stop at the NUL: "mta-sts.b.example" must not be recognised before it. */
static void a_nul_in_the_name_is_refused(void **state)
{
    (void)state;
    struct conn c;
    char *name;

    conn_open(&c, HOST_B "xevil.example");
    name = intercept(&c, HOST_B);
    assert_non_null(name);
    name[strlen(HOST_B)] = '\0';
    assert_alert(&c, SSL_AD_UNRECOGNIZED_NAME);
    conn_close(&c);

    conn_open(&c, HOST_B);
    name = intercept(&c, HOST_B);
    name[-1]--; /* the name's length does not fill its list */
    assert_alert(&c, SSL_AD_DECODE_ERROR);
    conn_close(&c);
}

static void no_common_ground_is_told(void **state)
{
    (void)state;
    struct conn c;

    conn_open(&c, HOST_B);
    SSL_set_security_level(c.client, 0);
    only_version(&c, TLS1_1_VERSION);
    assert_alert(&c, SSL_AD_PROTOCOL_VERSION);
    conn_close(&c);

    for (size_t i = 0; i < 2; i++) {
        conn_open(&c, HOST_B);
        only_version(&c, versions[i]);
        SSL_set_alpn_protos(c.client, (const unsigned char *)"\x02h2\x08http/1.0", 12);
        assert_alert(&c, SSL_AD_NO_APPLICATION_PROTOCOL);
        conn_close(&c);

        conn_open(&c, HOST_B); /* which has no RSA certificate */
        only_version(&c, versions[i]);
        SSL_set1_sigalgs_list(c.client, "RSA-PSS+SHA256:RSA+SHA256");
        assert_alert(&c, SSL_AD_HANDSHAKE_FAILURE);
        conn_close(&c);

        conn_open(&c, HOST_B);
        only_version(&c, versions[i]);
        SSL_set1_groups_list(c.client, "P-521");
        assert_alert(&c, SSL_AD_HANDSHAKE_FAILURE);
        conn_close(&c);
    }
    const char *const suites[] = {"AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256",
                                  "DHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"};
    for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
        conn_open(&c, HOST_B);
        only_version(&c, TLS1_2_VERSION);
        assert_int_equal(SSL_set_cipher_list(c.client, suites[i]), 1);
        assert_alert(&c, SSL_AD_HANDSHAKE_FAILURE);
        conn_close(&c);
    }
    conn_open(&c, HOST_B);
    only_version(&c, TLS1_3_VERSION);
    SSL_set_ciphersuites(c.client, "TLS_AES_128_CCM_SHA256");
    assert_alert(&c, SSL_AD_HANDSHAKE_FAILURE);
    conn_close(&c);
}

/* A snapshot without the name is published between two ClientHellos. */
static void a_name_that_vanishes_is_refused(void **state)
{
    (void)state;
    struct conn c;
    struct cert_store *less = load_store("a-only");

    conn_open(&c, HOST_B);
    SSL_set1_groups_list(c.client, "P-521:X25519"); /* stops for a retry */
    assert_true(client_step(&c));
    server_step(&c);
    assert_false(c.server_failed);
    c.transport.store = less;
    assert_true(client_step(&c));
    server_step(&c);
    assert_true(c.server_failed);
    ERR_clear_error();
    assert_false(client_step(&c));
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()),
                     SSL_AD_REASON_OFFSET + SSL_AD_UNRECOGNIZED_NAME);
    conn_close(&c);
    cert_store_unref(less);
}

/* It vanishes between ClientHello and the choice of the certificate. */
static void a_name_without_certificate_ends_the_handshake(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct conn c;
        conn_open(&c, HOST_B);
        only_version(&c, versions[i]);
        c.transport.give_up_at = 2;
        assert_alert(&c, SSL_AD_INTERNAL_ERROR);
        conn_close(&c);
    }
}

/* After the server's flight an alert in plaintext would be a forgery to the client. */
static void nothing_in_plaintext_after_the_server_flight(void **state)
{
    (void)state;
    unsigned char wire[16384];
    struct conn c;

    conn_open(&c, HOST_B);
    only_version(&c, TLS1_3_VERSION);
    assert_true(client_step(&c));
    server_step(&c);
    assert_true(recv(c.fd, wire, sizeof(wire), 0) > 0);
    const unsigned char junk[] = {23, 3, 3, 0, 17, 1, 2, 3, 4, 5, 6,
                                  7,  8, 9, 0, 1,  2, 3, 4, 5, 6, 7};
    assert_int_equal(send(c.fd, junk, sizeof(junk), 0), sizeof(junk));
    server_step(&c);
    assert_true(c.server_failed);
    assert_int_equal(recv(c.fd, wire, sizeof(wire), MSG_DONTWAIT), -1);
    conn_close(&c);
}

/* HTTP on the TLS port: OpenSSL has no alert for it, and nothing else is sent. */
static void what_is_not_tls_ends_quietly(void **state)
{
    (void)state;
    const char *const lines[] = {"GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                                 "\x16\x03\x01\xff\xff", "SSH-2.0-x\r\n"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct conn c;
        unsigned char wire[64];
        conn_open(&c, HOST_B);
        assert_true(send(c.fd, lines[i], strlen(lines[i]), 0) > 0);
        server_step(&c);
        assert_true(c.server_failed);
        ssize_t n = recv(c.fd, wire, sizeof(wire), MSG_DONTWAIT);
        assert_true(n == -1 || (n == 7 && wire[0] == 21));
        assert_int_equal(c.transport.identified, 0);
        conn_close(&c);
    }
}

static void a_closed_or_missing_socket_harms_nothing(void **state)
{
    (void)state;
    struct conn c;
    conn_open(&c, "mta-sts.c.example");
    intercept(&c, "mta-sts");
    shutdown(c.fd, SHUT_RDWR);
    server_step(&c);
    assert_true(c.server_failed);
    conn_close(&c);

    conn_open(&c, "mta-sts.c.example");
    intercept(&c, "mta-sts");
    int fd = c.transport.fd;
    c.transport.fd = -1;
    server_step(&c);
    assert_true(c.server_failed);
    c.transport.fd = fd;
    conn_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sni_is_parsed_strictly),
        cmocka_unit_test(host_names_have_limits),
        cmocka_unit_test(unknown_and_odd_names_are_refused),
        cmocka_unit_test(a_nul_in_the_name_is_refused),
        cmocka_unit_test(no_common_ground_is_told),
        cmocka_unit_test(a_name_that_vanishes_is_refused),
        cmocka_unit_test(a_name_without_certificate_ends_the_handshake),
        cmocka_unit_test(nothing_in_plaintext_after_the_server_flight),
        cmocka_unit_test(what_is_not_tls_ends_quietly),
        cmocka_unit_test(a_closed_or_missing_socket_harms_nothing),
    };
    return cmocka_run_group_tests_name("tls_alert", tests, group_setup, group_teardown);
}
