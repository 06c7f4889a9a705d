/* Worker: one thread with its own event loop, listening sockets and connections. It answers from
 * the snapshot it was given last; everything it hears from the control thread is a message. */
#ifndef MTASTS_HTTP_WORKER_H
#define MTASTS_HTTP_WORKER_H

#include <pthread.h>

#include "server/http/guard.h"
#include "server/http/listener.h"
#include "server/snapshot/snapshot.h"

struct http_server;
struct connection;
struct worker;

/* One listening socket in one worker. */
struct worker_listener {
    struct worker *worker;
    const struct listener *entry;
    h2o_socket_t *sock;
};

enum worker_order { WORKER_PUBLISH, WORKER_STOP };

struct worker_message {
    h2o_multithread_message_t super;
    enum worker_order order;
    struct snapshot *snapshot; /* in: the new one; back: the old one, with its reference */
};

struct worker {
    struct http_server *server;
    size_t number;
    pthread_t thread;
    int timer; /* timerfd, handed over to the loop by the thread */

    h2o_loop_t *loop;
    h2o_context_t context;
    h2o_accept_ctx_t accept;
    h2o_multithread_receiver_t receiver;
    struct worker_listener *listeners;
    h2o_socket_t *ticker;
    bool ticking, paused, stopping, finished;
    uint64_t stop_since;  /* ms, monotonic */
    uint64_t pause_noted; /* ms, of the last log line about it; 0: never */
    struct snapshot *snapshot;
    struct connection *first, *last; /* by time of accept */
    size_t connection_count;

    struct worker_message message; /* the one message; under server->lock while it is under way */
    bool ready, drained;           /* under server->lock */
    bool answered;                 /* too: no message is under way */
};

void worker_init(struct worker *worker, struct http_server *server, size_t number);
/* Starts the thread and waits until its loop runs. -1/errno. */
int worker_start(struct worker *worker);
/* Sends an order; the worker sets `answered` (under the lock) when it has been carried out. An
 * order that a busy worker has not seen yet is replaced by this one. Takes the reference. */
void worker_send(struct worker *worker, enum worker_order order, struct snapshot *snapshot);
/* Lets go of the snapshot that the worker gave back; false when it has not answered yet. */
bool worker_take_back(struct worker *worker);

/* The rest is for the worker's own thread. */
uint64_t worker_now(void);               /* ms, monotonic */
void worker_wake(struct worker *worker); /* makes sure that deadlines are looked at */
void worker_pause(struct worker *worker, const char *reason); /* stops accepting for a while */
void worker_resume(struct worker *worker);
/* A connection ended: accept again, or finish when the worker is stopping. */
void worker_connection_ended(struct worker *worker);

#endif
