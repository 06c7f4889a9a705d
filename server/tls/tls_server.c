#include "server/tls/tls_server.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/sys/clock.h"
#include "server/tls/cert_cache.h"
#include "server/tls/cert_sum.h"
#include "server/tls/tls_library.h"
#include "server/tls/tls_parts.h"
#include "server/tls/tls_ticket.h"

struct tls_server {
    struct tls_hooks hooks;
    SSL_CTX *context;
    struct cert_cache *cache;
    struct tickets tickets;
};

/* ECDHE and AEAD only. ECDSA first: with a server's preference this also decides which of two
 * certificates is presented. */
static const char SUITES_TLS12[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"
    "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305";
static const char SUITES_TLS13[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
/* X25519 first: P-256 first costs a handshake a fifth more. */
static const char GROUPS[] = "X25519:P-256:P-384";
static const char SIGNATURES[] =
    "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:"
    "RSA+SHA256:RSA+SHA384:RSA+SHA512";

static const char HTTP11[] = "http/1.1";

/* For TLS 1.3. Senders that keep sessions are rare, a ticket costs an eighth of a handshake, and a
 * resumed one, which agrees on keys anew, costs as much as a full one without a ticket. In TLS 1.2
 * a resumed one costs less than half: there, who asks gets a ticket. */
enum { TICKETS = 0 };

/* TLS 1.3 early data is never accepted: it may be a replay. But a client that has a ticket of
 * another server under this name (of the one that was here before, or of one behind the same
 * address) may send some, and gets a full handshake. What it sent until then is dropped (RFC 8446
 * §4.2.10), at most so many bytes: servers allow 16 KiB and less, and the overhead of records
 * counts here, of which OpenSSL drops 32 at most. */
enum { EARLY_DATA_DROPPED_MAX = 17 << 10 };

static int context_index = -1;
static pthread_once_t context_index_once = PTHREAD_ONCE_INIT;

static void make_context_index(void)
{
    context_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    assert(context_index >= 0);
}

/* Tickets are sealed with keys that all tenants share. Without a context of its own, one that was
 * issued for one tenant would open a session of another (as in CVE-2023-41337). */
static bool separate_sessions(SSL *ssl, struct sts_str host)
{
    unsigned char digest[CERT_SUM];

    static_assert(SSL_MAX_SID_CTX_LENGTH == 32, "holds a SHA-256");
    cert_sum(&host, 1, digest);
    return SSL_set_session_id_context(ssl, digest, sizeof(digest)) == 1;
}

static bool tls_server_identify(const struct tls_server *server, SSL *ssl, struct sts_str host,
                                struct cert_identity *out)
{
    *out = (struct cert_identity){0};
    return server->hooks.identify(transport_of(ssl), host, out) && (out->ec || out->rsa);
}

/* Runs first in every handshake, resumed ones and second ClientHellos included. */
static int on_client_hello(SSL *ssl, int *alert, void *data)
{
    const struct tls_server *server = data;
    struct host_name host;
    struct cert_identity identity;

    switch (sni_of_hello(ssl, &host)) {
    case SNI_OK:
        break;
    case SNI_MALFORMED:
        *alert = SSL_AD_DECODE_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    case SNI_MISSING:
    case SNI_NOT_A_HOST:
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_CLIENT_HELLO_ERROR;
    }
    if (!tls_server_identify(server, ssl, host_name_str(&host), &identity)) {
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_CLIENT_HELLO_ERROR;
    }
    if (!separate_sessions(ssl, host_name_str(&host))) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    return SSL_CLIENT_HELLO_SUCCESS;
}

static bool tls_server_install(const struct tls_server *server, SSL *ssl,
                               const struct cert_pair *pair)
{
    if (!pair)
        return true;
    const struct cert_objects *objects = cert_cache_get(server->cache, pair);
    if (!objects)
        return false;
    bool good = SSL_use_cert_and_key(ssl, objects->leaf, objects->key,
                                     pair->chain ? pair->chain->certs : NULL, 1) == 1;
    cert_cache_drop(objects);
    return good;
}

/* Only in full handshakes. Both types are installed: OpenSSL picks by what the client can take. */
static int on_certificate(SSL *ssl, void *data)
{
    const struct tls_server *server = data;
    struct cert_identity identity;
    struct host_name host;
    const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    if (!sni || !host_name_parse(sts_str_from(sni), &host) ||
        !tls_server_identify(server, ssl, host_name_str(&host), &identity))
        return 0;
    return tls_server_install(server, ssl, identity.rsa) &&
           tls_server_install(server, ssl, identity.ec);
}

/* Called only when the client offers ALPN. RFC 7301 §3.2: no protocol in common is fatal. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *in, unsigned in_len, void *data)
{
    (void)ssl, (void)data;
    for (unsigned at = 0; at < in_len; at += 1u + in[at]) {
        if (in[at] != sizeof(HTTP11) - 1 || in[at] >= in_len - at ||
            memcmp(in + at + 1, HTTP11, in[at]) != 0)
            continue;
        *out = in + at + 1;
        *out_len = in[at];
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static struct tls_server *server_of(const SSL *ssl)
{
    return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), context_index);
}

static void on_info(const SSL *ssl, int where, int value)
{
    alert_deliver(ssl, &server_of(ssl)->hooks, where, value);
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int seal)
{
    return tickets_use(&server_of(ssl)->tickets, clock_monotonic_ms(), name, iv, cipher, mac,
                       seal != 0);
}

/* Everything is set here, so that no openssl.cnf of the machine decides. */
static bool tls_server_set_up(struct tls_server *server)
{
    SSL_CTX *ctx = server->context;

    SSL_CTX_set_security_level(ctx, 2);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    /* No chain is ever completed from the machine's trust store, and idle connections give their
     * buffers back. No read-ahead: libh2o asks SSL_pending only, and a request that came together
     * with the client's Finished would wait for ever. */
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_read_ahead(ctx, 0);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_client_hello_cb(ctx, on_client_hello, server);
    SSL_CTX_set_cert_cb(ctx, on_certificate, server);
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    SSL_CTX_set_info_callback(ctx, on_info);
    SSL_CTX_set_timeout(ctx, TICKET_KEY_LIFE_MS / 1000);
    return SSL_CTX_set_ex_data(ctx, context_index, server) == 1 &&
           SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ctx, SUITES_TLS12) == 1 &&
           SSL_CTX_set_ciphersuites(ctx, SUITES_TLS13) == 1 &&
           SSL_CTX_set1_groups_list(ctx, GROUPS) == 1 &&
           SSL_CTX_set1_sigalgs_list(ctx, SIGNATURES) == 1 &&
           SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) == 1 &&
           SSL_CTX_set_num_tickets(ctx, TICKETS) == 1 && SSL_CTX_set_max_early_data(ctx, 0) == 1 &&
           SSL_CTX_set_recv_max_early_data(ctx, EARLY_DATA_DROPPED_MAX) == 1;
}

struct tls_server *tls_server_new(const struct tls_hooks *hooks, size_t cache,
                                  struct sts_diags *diags)
{
    struct tls_server *server = sts_must(calloc(1, sizeof(*server)));

    pthread_once(&context_index_once, make_context_index);
    server->hooks = *hooks;
    server->cache = cert_cache_new(cache);
    server->context = SSL_CTX_new_ex(tls_library(), NULL, TLS_server_method());
    if (tickets_init(&server->tickets, clock_monotonic_ms()) && server->context &&
        tls_server_set_up(server))
        return server;
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    sts_diag_add(diags, STS_ERROR, "tls-setup", (struct sts_pos){0},
                 "OpenSSL refuses the TLS settings: %s", reason ? reason : "unknown reason");
    ERR_clear_error();
    tls_server_free(server);
    return NULL;
}

void tls_server_free(struct tls_server *server)
{
    if (!server)
        return;
    SSL_CTX_free(server->context);
    cert_cache_free(server->cache);
    tickets_fini(&server->tickets);
    free(server);
}

struct ssl_ctx_st *tls_server_context(struct tls_server *server)
{
    return server->context;
}

void tls_server_count(struct tls_server *server, struct cert_cache_counts *out)
{
    cert_cache_count(server->cache, out);
}
