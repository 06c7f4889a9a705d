/* The inside of an http_server: what its workers share. All of it is set before they start and
 * constant afterwards, except what is atomic or said to be under the lock. */
#ifndef MTASTS_HTTP_SERVER_H
#define MTASTS_HTTP_SERVER_H

#include <pthread.h>
#include <stdatomic.h>

#include "server/http/guard.h"
#include "server/http/http.h"
#include "server/http/listener.h"
#include "server/http/peers.h"
#include "server/http/worker.h"
#include "server/tls/tls_server.h"

struct http_server {
    struct sts_arena *arena;
    struct listener *listeners;
    size_t listener_count;
    struct worker *workers;
    size_t worker_count;
    struct tls_server *tls; /* NULL without a TLS listener */
    h2o_globalconf_t config;
    struct peers *peers;
    unsigned max_connections;
    atomic_uint connections; /* of all workers */
    struct snapshot *snapshot;
    size_t running; /* workers whose thread was started; control thread only */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* one of the workers' flags below the lock changed */
};

#endif
