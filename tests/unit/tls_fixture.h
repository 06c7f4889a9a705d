/* Whole handshakes between a client and the server's context over a socket pair. The server's BIO
 * does as libh2o's does: output is collected, written after each step, and thrown away when the
 * handshake failed. */
#ifndef MTASTS_TESTS_UNIT_TLS_FIXTURE_H
#define MTASTS_TESTS_UNIT_TLS_FIXTURE_H

#include "tests/unit/tls_certs.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "server/tls/cert_store.h"
#include "server/tls/tls_parts.h"
#include "server/tls/tls_server.h"
#include "server/tls/tls_ticket.h"

#define HOST_A   "mta-sts.a.example" /* EC and RSA */
#define HOST_B   "mta-sts.b.example" /* EC */
#define HOST_R   "mta-sts.r.example" /* RSA */
#define HOST_384 "mta-sts.p384.example"
#define HOST_521 "mta-sts.p521.example"

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

static struct test_cert root, mid, cert_a, cert_ar, cert_b, cert_r, cert_384, cert_521;
static struct cert_store *store;
static struct tls_server *server;
static BIO_METHOD *method;
static struct sts_arena *arena;

static inline int bio_read(BIO *bio, char *buf, int len)
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

static inline int bio_write(BIO *bio, const char *buf, int len)
{
    struct transport *t = BIO_get_data(bio);
    sts_buf_add(&t->out, (struct sts_str){buf, (size_t)len});
    return len;
}

static inline long bio_ctrl(BIO *bio, int cmd, long number, void *data)
{
    (void)bio, (void)number, (void)data;
    return cmd == BIO_CTRL_FLUSH;
}

static inline bool identify(void *transport, struct sts_str host, struct cert_identity *out)
{
    struct transport *t = transport;

    if (++t->identified == t->give_up_at)
        return false;
    snprintf(t->host, sizeof(t->host), "%.*s", STS_ARG(host));
    return cert_store_find(t->store, host, out);
}

static inline int descriptor(void *transport)
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

static inline int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct conn *c = SSL_get_app_data(ssl);

    c->sessions++;
    SSL_SESSION_free(c->session);
    c->session = session;
    return 1;
}

static inline void conn_open(struct conn *c, const char *sni)
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

static inline void conn_close(struct conn *c)
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
static inline void server_step(struct conn *c)
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

static inline bool client_step(struct conn *c)
{
    int r = SSL_do_handshake(c->client);
    return r == 1 || SSL_get_error(c->client, r) == SSL_ERROR_WANT_READ;
}

/* Both sides until the client is done and has its tickets; false when either failed. */
static inline bool handshake(struct conn *c)
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

static inline void assert_ok(struct conn *c)
{
    if (!handshake(c)) {
        print_error("%s\n", ERR_reason_error_string(ERR_peek_error()));
        fail();
    }
}

/* The first flight of the client reaches the server, which must refuse: exactly one plaintext
 * alert record is on the wire, and the client understands it. */
static inline void assert_alert(struct conn *c, int alert)
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

static inline struct cert_store *load_store(const char *dir)
{
    const struct sts_path path = {.path = sts_str_from(dir)};
    struct sts_diags diags;

    sts_diags_init(&diags, arena);
    struct cert_store *s =
        cert_store_load(&path, 1, sts_str_from(test_dir), NULL, NULL, NOW, &diags);
    assert_int_equal(diags.errors + diags.warnings, 0);
    return s;
}

static inline struct test_cert host_cert(const char *file, const char *san, EVP_PKEY *key)
{
    struct test_cert c = test_cert_make((struct test_spec){.san = san, .issuer = &mid, .key = key});
    test_write_chain(file, c.key, c.x, mid.x, NULL);
    return c;
}

static inline int group_setup(void **state)
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
    cert_384 = host_cert("d/384.pem", "DNS:" HOST_384, test_key_ec("P-384"));
    cert_521 = host_cert("d/521.pem", "DNS:" HOST_521, test_key_ec("P-521"));
    test_write_chain("a-only/a.pem", cert_a.key, cert_a.x, mid.x, NULL);
    store = load_store("d");
    sts_diags_init(&diags, arena);
    server = tls_server_new(&hooks, (size_t)1 << 20, &diags);
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "collecting");
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_ctrl);
    return server ? 0 : -1;
}

static inline int group_teardown(void **state)
{
    (void)state;
    struct test_cert *certs[] = {&root,   &mid,    &cert_a,   &cert_ar,
                                 &cert_b, &cert_r, &cert_384, &cert_521};

    tls_server_free(server);
    cert_store_unref(store);
    BIO_meth_free(method);
    sts_arena_free(arena);
    for (size_t i = 0; i < sizeof(certs) / sizeof(certs[0]); i++)
        test_cert_free(certs[i]);
    test_dir_remove();
    return 0;
}

static inline bool presented(const struct conn *c, const struct test_cert *cert)
{
    X509 *peer = SSL_get0_peer_certificate(c->client);
    return peer && X509_cmp(peer, cert->x) == 0;
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static inline void only_version(struct conn *c, int version)
{
    SSL_set_min_proto_version(c->client, version);
    SSL_set_max_proto_version(c->client, version);
}

#endif
