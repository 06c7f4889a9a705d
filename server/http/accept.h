/* Accept: our own three steps instead of h2o_accept: caps before anything is spent on a client, the
 * record with its deadlines, PROXY line, TLS, and then HTTP/1.1 and nothing else. */
#ifndef MTASTS_HTTP_ACCEPT_H
#define MTASTS_HTTP_ACCEPT_H

#include "server/http/worker.h"
#include "server/tls/tls_server.h"

/* Read callback of a listening socket (its data is the worker_listener). */
void on_listener_ready(h2o_socket_t *sock, const char *error);

/* How the TLS server asks for the certificate of a connection. */
extern const struct tls_hooks accept_tls_hooks;

#endif
