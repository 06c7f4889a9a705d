/* Unit tests of what becomes of TLS 1.3 early data, which the server never accepts: a client that
 * sends some with a ticket of another server gets a full handshake (RFC 8446 §4.2.10). */
#include "tests/unit/tls_fixture.h"

#include <sys/ioctl.h>

enum { ALLOWED = 16384, LARGE = 8192 };

/* A session of a server that holds HOST_B's key and takes early data. */
static SSL_SESSION *foreign_session(void)
{
    SSL_CTX *other = SSL_CTX_new(TLS_server_method());
    struct conn c;

    assert_int_equal(SSL_CTX_use_certificate(other, cert_b.x), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(other, cert_b.key), 1);
    assert_int_equal(SSL_CTX_set_max_early_data(other, 1 << 20), 1);
    conn_open(&c, HOST_B);
    BIO *bio = SSL_get_rbio(c.server);
    assert_int_equal(BIO_up_ref(bio), 1);
    SSL_free(c.server);
    c.server = SSL_new(other);
    SSL_set_bio(c.server, bio, bio);
    SSL_set_accept_state(c.server);
    only_version(&c, TLS1_3_VERSION);
    assert_ok(&c);
    assert_non_null(c.session);
    SSL_SESSION *session = c.session;
    SSL_SESSION_up_ref(session);
    assert_int_equal(SSL_SESSION_get_max_early_data(session), 1 << 20);
    conn_close(&c);
    SSL_CTX_free(other);
    return session;
}

/* A client that has sent so many pieces of so many bytes with its first flight. */
static void open_early(struct conn *c, const char *groups, size_t pieces, size_t size)
{
    SSL_SESSION *session = foreign_session();
    static const char data[LARGE];
    size_t written;

    conn_open(c, HOST_B);
    only_version(c, TLS1_3_VERSION);
    assert_int_equal(SSL_set_session(c->client, session), 1);
    if (groups)
        assert_int_equal(SSL_set1_groups_list(c->client, groups), 1);
    for (size_t i = 0; i < pieces; i++)
        assert_int_equal(SSL_write_early_data(c->client, data, size, &written), 1);
    SSL_SESSION_free(session);
}

static void a_foreign_ticket_gets_a_full_handshake(void **state)
{
    (void)state;
    static const char *const groups[] = {NULL, "P-521:P-256"}; /* is asked for another one first */
    static const size_t sizes[] = {1, 512, 1024, LARGE};
    char text[20] = "";

    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
            struct conn c;
            open_early(&c, groups[i], k ? ALLOWED / sizes[k] : 1, sizes[k]);
            assert_ok(&c);
            assert_true(presented(&c, &cert_b));
            assert_false(SSL_session_reused(c.server));
            assert_int_equal(SSL_get_early_data_status(c.server), SSL_EARLY_DATA_REJECTED);
            assert_int_equal(SSL_get_early_data_status(c.client), SSL_EARLY_DATA_REJECTED);
            /* Nothing of it is taken for what comes afterwards. */
            assert_int_equal(SSL_write(c.client, "GET", 3), 3);
            assert_int_equal(SSL_read(c.server, text, sizeof(text)), 3);
            assert_string_equal(text, "GET");
            conn_close(&c);
        }
}

/* Who goes on and on is not listened to. */
static void so_much_is_dropped_and_no_more(void **state)
{
    (void)state;
    static const char *const groups[] = {NULL, "P-521:P-256"};

    for (size_t i = 0; i < 2; i++) {
        struct conn c;
        int left = 0;
        open_early(&c, groups[i], 8, LARGE);
        for (int step = 0; step < 4 && !c.server_failed; step++)
            server_step(&c);
        assert_true(c.server_failed);
        assert_false(SSL_is_init_finished(c.server));
        assert_int_equal(ioctl(c.transport.fd, FIONREAD, &left), 0);
        assert_true(left >= 4 * LARGE);
        conn_close(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_foreign_ticket_gets_a_full_handshake),
        cmocka_unit_test(so_much_is_dropped_and_no_more),
    };
    return cmocka_run_group_tests_name("tls_early_data", tests, group_setup, group_teardown);
}
