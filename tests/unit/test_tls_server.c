/* Unit tests of the TLS server: whole handshakes between a client and the server's context over a
 * socket pair. The server's BIO does as libh2o's does: output is collected, written after each
 * step, and thrown away when the handshake failed. */
#include "tests/unit/tls_certs.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "server/tls/cert_store.h"
#include "server/tls/tls_parts.h"
#include "server/tls/tls_server.h"
#include "server/tls/tls_ticket.h"

#define HOST_A "mta-sts.a.example" /* EC and RSA */
#define HOST_B "mta-sts.b.example" /* EC */
#define HOST_R "mta-sts.r.example" /* RSA */

/* --- the server's side ------------------------------------------------------------------------ */

struct transport {
    int fd;
    const struct cert_store *store;
    struct sts_buf out;
    struct sts_buf in; /* bytes to read before those of the socket */
    size_t in_at;
    unsigned identified, give_up_at; /* the call of identify that says no, 0: none */
    char host[STS_DOMAIN_MAX + 1];   /* of the last call */
};

static struct test_cert root, mid, cert_a, cert_ar, cert_b, cert_r;
static struct cert_store *store;
static struct tls_server *server;
static BIO_METHOD *method;
static struct sts_arena *arena;

static int bio_read(BIO *bio, char *buf, int len)
{
    struct transport *t = BIO_get_data(bio);
    ssize_t n;

    BIO_clear_retry_flags(bio);
    if (t->in_at < t->in.len) {
        n = (ssize_t)(t->in.len - t->in_at) < len ? (ssize_t)(t->in.len - t->in_at) : len;
        memcpy(buf, t->in.ptr + t->in_at, (size_t)n);
        t->in_at += (size_t)n;
        return (int)n;
    }
    n = recv(t->fd, buf, (size_t)len, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        BIO_set_retry_read(bio);
    return (int)n;
}

static int bio_write(BIO *bio, const char *buf, int len)
{
    struct transport *t = BIO_get_data(bio);
    sts_buf_add(&t->out, (struct sts_str){buf, (size_t)len});
    return len;
}

static long bio_ctrl(BIO *bio, int cmd, long number, void *data)
{
    (void)bio, (void)number, (void)data;
    return cmd == BIO_CTRL_FLUSH;
}

static bool identify(void *transport, struct sts_str host, struct cert_identity *out)
{
    struct transport *t = transport;

    if (++t->identified == t->give_up_at)
        return false;
    snprintf(t->host, sizeof(t->host), "%.*s", STS_ARG(host));
    return cert_store_find(t->store, host, out);
}

static int descriptor(void *transport)
{
    return ((struct transport *)transport)->fd;
}

static const struct tls_hooks hooks = {identify, descriptor};

/* --- one connection --------------------------------------------------------------------------- */

struct conn {
    struct transport transport;
    SSL_CTX *client_context;
    SSL *client, *server;
    int fd; /* the client's end */
    bool server_failed;
    unsigned sessions; /* tickets the client got */
    SSL_SESSION *session;
};

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct conn *c = SSL_get_app_data(ssl);

    c->sessions++;
    SSL_SESSION_free(c->session);
    c->session = session;
    return 1;
}

static void conn_open(struct conn *c, const char *sni)
{
    int fds[2];

    *c = (struct conn){0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    c->fd = fds[0];
    c->transport.fd = fds[1];
    c->transport.store = store;
    c->server = SSL_new(tls_server_context(server));
    BIO *bio = BIO_new(method);
    BIO_set_data(bio, &c->transport);
    BIO_set_init(bio, 1);
    SSL_set_bio(c->server, bio, bio);
    SSL_set_accept_state(c->server);
    c->client_context = SSL_CTX_new(TLS_client_method());
    /* no internal store: it would mark its sessions as not resumable when the context ends */
    SSL_CTX_set_session_cache_mode(c->client_context,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(c->client_context, on_session);
    c->client = SSL_new(c->client_context);
    SSL_set_app_data(c->client, c);
    SSL_set_fd(c->client, c->fd);
    SSL_set_connect_state(c->client);
    if (sni)
        assert_int_equal(SSL_set_tlsext_host_name(c->client, sni), 1);
}

static void conn_close(struct conn *c)
{
    /* else OpenSSL takes the session for broken */
    SSL_set_shutdown(c->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_SESSION_free(c->session);
    SSL_free(c->client);
    SSL_free(c->server);
    SSL_CTX_free(c->client_context);
    close(c->fd);
    close(c->transport.fd);
    sts_buf_fini(&c->transport.out);
    sts_buf_fini(&c->transport.in);
    ERR_clear_error();
}

/* As h2o: output of a step that failed is never written. */
static void server_step(struct conn *c)
{
    char byte;
    int r = SSL_is_init_finished(c->server) ? SSL_read(c->server, &byte, 1)
                                            : SSL_do_handshake(c->server);
    int error = SSL_get_error(c->server, r);

    if (r > 0 || error == SSL_ERROR_WANT_READ) {
        struct sts_buf *out = &c->transport.out;
        if (out->len)
            assert_int_equal(send(c->transport.fd, out->ptr, out->len, MSG_NOSIGNAL), out->len);
        out->len = 0;
    } else {
        c->server_failed = true;
    }
    ERR_clear_error();
}

static bool client_step(struct conn *c)
{
    int r = SSL_do_handshake(c->client);
    return r == 1 || SSL_get_error(c->client, r) == SSL_ERROR_WANT_READ;
}

/* Both sides until the client is done and has its tickets; false when either failed. */
static bool handshake(struct conn *c)
{
    char byte;

    for (int i = 0; i < 8; i++) {
        ERR_clear_error();
        if (!client_step(c))
            return false;
        if (!c->server_failed)
            server_step(c);
    }
    if (!SSL_is_init_finished(c->client) || c->server_failed)
        return false;
    assert_int_equal(SSL_read(c->client, &byte, 1), -1); /* takes the ticket in */
    return true;
}

static void assert_ok(struct conn *c)
{
    if (!handshake(c)) {
        print_error("%s\n", ERR_reason_error_string(ERR_peek_error()));
        fail();
    }
}

/* The first flight of the client reaches the server, which must refuse: exactly one plaintext
 * alert record is on the wire, and the client understands it. */
static void assert_alert(struct conn *c, int alert)
{
    unsigned char wire[100];

    assert_true(client_step(c));
    server_step(c);
    assert_true(c->server_failed);
    assert_int_equal(recv(c->fd, wire, sizeof(wire), MSG_PEEK), 7);
    const unsigned char expected[] = {21, 3, wire[2], 0, 2, 2, (unsigned char)alert};
    assert_memory_equal(wire, expected, sizeof(expected));
    assert_in_range(wire[2], 1, 3);
    ERR_clear_error();
    assert_false(client_step(c));
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_AD_REASON_OFFSET + alert);
}

/* --- setting up ------------------------------------------------------------------------------- */

static struct cert_store *load_store(const char *dir)
{
    const struct sts_path path = {.path = sts_str_from(dir)};
    struct sts_diags diags;

    sts_diags_init(&diags, arena);
    struct cert_store *s = cert_store_load(&path, 1, sts_str_from(test_dir), NULL, NOW, &diags);
    assert_int_equal(diags.errors + diags.warnings, 0);
    return s;
}

static struct test_cert host_cert(const char *file, const char *san, EVP_PKEY *key)
{
    struct test_cert c = test_cert_make((struct test_spec){.san = san, .issuer = &mid, .key = key});
    test_write_chain(file, c.key, c.x, mid.x, NULL);
    return c;
}

static int group_setup(void **state)
{
    (void)state;
    struct sts_diags diags;

    test_dir_make();
    arena = sts_arena_new();
    root = test_cert_make((struct test_spec){.ca = true, .cn = "root"});
    mid = test_cert_make((struct test_spec){.ca = true, .cn = "mid", .issuer = &root});
    cert_a = host_cert("d/a.pem", "DNS:" HOST_A, NULL);
    cert_ar = host_cert("d/ar.pem", "DNS:" HOST_A, test_key_rsa(2048));
    cert_b = host_cert("d/b.pem", "DNS:" HOST_B, NULL);
    cert_r = host_cert("d/r.pem", "DNS:" HOST_R, test_key_rsa(2048));
    test_write_chain("a-only/a.pem", cert_a.key, cert_a.x, mid.x, NULL);
    store = load_store("d");
    sts_diags_init(&diags, arena);
    server = tls_server_new(&hooks, &diags);
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "collecting");
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_ctrl);
    return server ? 0 : -1;
}

static int group_teardown(void **state)
{
    (void)state;
    struct test_cert *certs[] = {&root, &mid, &cert_a, &cert_ar, &cert_b, &cert_r};

    tls_server_free(server);
    cert_store_unref(store);
    BIO_meth_free(method);
    sts_arena_free(arena);
    for (size_t i = 0; i < sizeof(certs) / sizeof(certs[0]); i++)
        test_cert_free(certs[i]);
    test_dir_remove();
    return 0;
}

static bool presented(const struct conn *c, const struct test_cert *cert)
{
    X509 *peer = SSL_get0_peer_certificate(c->client);
    return peer && X509_cmp(peer, cert->x) == 0;
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static void only_version(struct conn *c, int version)
{
    SSL_set_min_proto_version(c->client, version);
    SSL_set_max_proto_version(c->client, version);
}

/* --- what works ------------------------------------------------------------------------------- */

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

/* --- refusals, each with its alert on the wire ------------------------------------------------ */

static void unknown_and_odd_names_are_refused(void **state)
{
    (void)state;
    const char *const names[] = {
        NULL,                  /* no SNI */
        "mta-sts.c.example",   /* nobody's */
        "b.example",           /* the mail domain itself */
        "mta-sts.b.example.",  /* RFC 6066 §3: no trailing dot */
        "mta-sts..b.example",  /* */
        "mta_sts.b.example",   /* */
        "*.b.example",         /* */
        "mta-sts.b.example\n", /* */
        "127.0.0.1",           /* no literal addresses */
        " ",                   /* */
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

/* --- sessions --------------------------------------------------------------------------------- */

/* A session from `first`, offered with the SNI `second`. */
static bool resumes(int version, const char *first, const char *second)
{
    struct conn c;
    conn_open(&c, first);
    only_version(&c, version);
    assert_ok(&c);
    assert_int_equal(c.sessions, 1);
    SSL_SESSION *session = c.session;
    SSL_SESSION_up_ref(session);
    assert_int_equal(SSL_SESSION_get_max_early_data(session), 0);
    conn_close(&c);

    conn_open(&c, second);
    only_version(&c, version);
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
    for (size_t i = 0; i < 2; i++) {
        assert_true(resumes(versions[i], HOST_A, HOST_A));
        assert_true(resumes(versions[i], HOST_B, HOST_B));
        assert_false(resumes(versions[i], HOST_A, HOST_B));
        assert_false(resumes(versions[i], HOST_B, HOST_A));
    }
}

static void a_ticket_of_a_removed_tenant_is_refused(void **state)
{
    (void)state;
    struct cert_store *less = load_store("a-only");
    for (size_t i = 0; i < 2; i++) {
        struct conn c;
        conn_open(&c, HOST_B);
        only_version(&c, versions[i]);
        assert_ok(&c);
        SSL_SESSION *session = c.session;
        SSL_SESSION_up_ref(session);
        conn_close(&c);
        conn_open(&c, HOST_B);
        c.transport.store = less;
        only_version(&c, versions[i]);
        SSL_set_session(c.client, session);
        SSL_SESSION_free(session);
        assert_alert(&c, SSL_AD_UNRECOGNIZED_NAME);
        conn_close(&c);
    }
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

/* --- settings and parsing --------------------------------------------------------------------- */

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
    assert_int_equal(SSL_CTX_get_num_tickets(ctx), 1);
    assert_int_equal(SSL_CTX_get_max_early_data(ctx), 0);
    assert_int_equal(SSL_CTX_get_min_proto_version(ctx), TLS1_2_VERSION);
    assert_int_equal(SSL_CTX_get_verify_mode(ctx), SSL_VERIFY_NONE);
}

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_versions_present_the_chain),
        cmocka_unit_test(the_name_is_folded_to_lower_case),
        cmocka_unit_test(ec_is_preferred_and_rsa_possible),
        cmocka_unit_test(suites_groups_and_retries_work),
        cmocka_unit_test(alpn_takes_http11_only),
        cmocka_unit_test(unknown_and_odd_names_are_refused),
        cmocka_unit_test(a_nul_in_the_name_is_refused),
        cmocka_unit_test(no_common_ground_is_told),
        cmocka_unit_test(a_name_that_vanishes_is_refused),
        cmocka_unit_test(a_name_without_certificate_ends_the_handshake),
        cmocka_unit_test(nothing_in_plaintext_after_the_server_flight),
        cmocka_unit_test(what_is_not_tls_ends_quietly),
        cmocka_unit_test(a_closed_or_missing_socket_harms_nothing),
        cmocka_unit_test(renegotiation_is_refused),
        cmocka_unit_test(a_ticket_is_good_for_its_tenant_only),
        cmocka_unit_test(a_ticket_of_a_removed_tenant_is_refused),
        cmocka_unit_test(ticket_keys_are_replaced),
        cmocka_unit_test(settings_are_as_promised),
        cmocka_unit_test(sni_is_parsed_strictly),
        cmocka_unit_test(host_names_have_limits),
    };
    return cmocka_run_group_tests_name("tls_server", tests, group_setup, group_teardown);
}
