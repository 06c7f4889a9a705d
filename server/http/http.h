/* HTTP: worker threads, listeners and the one resource. The only folder that knows libh2o.
 *
 * The control thread calls everything here; workers share nothing with it but messages and
 * immutable snapshots. */
#ifndef MTASTS_HTTP_H
#define MTASTS_HTTP_H

#include "server/snapshot/snapshot.h"
#include "server/tls/cert_cache.h"

struct http_server;

/* Binds all `listen` entries of the snapshot's settings (SO_REUSEPORT, one socket per worker and
 * entry), prepares TLS and the workers. Does not accept yet. NULL with errors ("listen-...") in
 * `diags`. Takes its own reference on the snapshot. */
struct http_server *http_server_new(struct snapshot *snapshot, struct sts_diags *diags);

/* The bound addresses, one per `listen` entry, "[::]:443" with the real port. */
size_t http_server_address_count(const struct http_server *server);
struct sts_str http_server_address(const struct http_server *server, size_t index);

/* Starts the worker threads; from here on requests are answered. -1/errno. */
int http_server_start(struct http_server *server);

/* Publishes a snapshot to all workers and waits until every one of them uses it, at most `wait_ms`:
 * one that is busy for longer goes on with the one before until it hears of this. Takes its own
 * references. Tenants, certificates, timeouts and the access log change at once, also for open
 * connections. The listening addresses, the number of workers and the connection caps stay those of
 * http_server_new. */
void http_server_publish(struct http_server *server, struct snapshot *snapshot, unsigned wait_ms);
/* Whether all workers use what was published last. Snapshots that they do not use any more go. */
bool http_server_settled(struct http_server *server);

/* How the certificates that are ready to use did so far; all 0 without a TLS listener. */
void http_server_certificate_cache(const struct http_server *server, struct cert_cache_counts *out);

/* Stops accepting, finishes requests in flight, closes idle connections; returns true when all
 * connections ended within `deadline_ms`. Call once, also when http_server_start failed; the server
 * must not be used again and the process exits afterwards (worker threads rest until then). */
bool http_server_stop(struct http_server *server, unsigned deadline_ms);

#endif
