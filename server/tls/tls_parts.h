/* Inside of the TLS server: reading the ClientHello, and delivering the fatal alert. */
#ifndef MTASTS_TLS_PARTS_H
#define MTASTS_TLS_PARTS_H

#include <openssl/ssl.h>

#include "server/tls/host_name.h"
#include "server/tls/tls_server.h"

enum sni { SNI_OK, SNI_MISSING, SNI_MALFORMED, SNI_NOT_A_HOST };

/* The host of a server_name extension's contents (RFC 6066 §3): exactly one entry, a host name
 * without a trailing dot. */
enum sni sni_parse(struct sts_str extension, struct host_name *out);
/* Of the ClientHello being processed; only inside the client hello callback. */
enum sni sni_of_hello(SSL *ssl, struct host_name *out);

/* Info callback part: sends a fatal alert in plaintext when the handshake fails before the server
 * has answered. libh2o closes a failed handshake without writing out what OpenSSL left in the
 * BIO, so a sender would see a closed connection instead of the reason. */
void alert_deliver(const SSL *ssl, const struct tls_hooks *hooks, int where, int value);

/* The h2o socket or whatever else carries the connection. */
void *transport_of(const SSL *ssl);

#endif
