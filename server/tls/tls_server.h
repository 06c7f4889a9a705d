/* TLS server: the one shared SSL_CTX. TLS 1.2 and 1.3, forward secret AEAD suites only, no
 * renegotiation, no compression, ALPN http/1.1 only, certificate by SNI per connection, session id
 * context per tenant, unknown or missing SNI refused with a delivered unrecognized_name alert
 * (RFC 8461 §7.1). Knows nothing of h2o: the transport is an opaque pointer with hooks. */
#ifndef MTASTS_TLS_SERVER_H
#define MTASTS_TLS_SERVER_H

#include "server/tls/cert_cache.h"
#include "server/tls/cert_store.h"

struct ssl_ctx_st;
struct tls_server;

struct tls_hooks {
    /* The identity to present for the SNI `host` (lower-case, validated as a host name), and the
     * canonical name that separates sessions of tenants. False refuses the handshake. Is
     * called several times in one handshake (each ClientHello, then certificate selection): the
     * answer must be looked up afresh each time. `transport` is BIO_get_data of the connection's
     * read BIO. */
    bool (*identify)(void *transport, struct sts_str host, struct cert_identity *out);
    int (*descriptor)(void *transport); /* socket, for the plaintext fatal alert */
};

/* `cache`: bytes for certificates and keys that are ready to use; the others are made ready in a
 * handshake. NULL with an error in `diags` when OpenSSL refuses the set-up. */
struct tls_server *tls_server_new(const struct tls_hooks *hooks, size_t cache,
                                  struct sts_diags *diags);
void tls_server_free(struct tls_server *server);
struct ssl_ctx_st *tls_server_context(struct tls_server *server); /* borrowed */
void tls_server_count(struct tls_server *server, struct cert_cache_counts *out);

#endif
