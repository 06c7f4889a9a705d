/* Connection: our record of one client beside libh2o's. It hangs on the socket's on_close, knows
 * what the connection waits for and since when, and is what deadlines are enforced on. */
#ifndef MTASTS_HTTP_CONNECTION_H
#define MTASTS_HTTP_CONNECTION_H

#include <netinet/in.h>

#include "mtasts/domain.h"
#include "server/http/guard.h"
#include "server/http/worker.h"

#define CONNECTION_REQUESTS 100 /* answered on one connection, then it closes */

enum connection_phase {
    CONNECTION_PROXY,     /* the PROXY line is awaited */
    CONNECTION_HANDSHAKE, /* TLS */
    CONNECTION_HEAD,      /* the first byte to the end of a request head */
    CONNECTION_ANSWER,    /* from the handler until the answer is written */
    CONNECTION_IDLE,      /* between two requests */
};

struct connection {
    struct connection *previous, *next;
    struct worker *worker;
    const struct listener *listener;
    h2o_socket_t *sock;
    enum connection_phase phase;
    uint64_t accepted;   /* ms, monotonic */
    uint64_t since;      /* ms: when the phase began */
    uint64_t request_us; /* us: when the handler was called */
    unsigned requests;
    unsigned cuts;             /* how often we tried to end it */
    bool has_address, counted; /* counted: peers has it */
    struct in6_addr address;   /* IPv4 as ::ffff:a.b.c.d */
    char client[INET6_ADDRSTRLEN];
    char host[STS_DOMAIN_MAX + 1]; /* SNI, canonical; empty without TLS */
    size_t host_len;
    char tenant[STS_DOMAIN_MAX + 1]; /* of the current request, for the log */
    size_t tenant_len;
};

/* Takes over `fd` and one place of the connection cap; both are given back when it ends. */
struct connection *connection_new(struct worker *worker, const struct listener *listener, int fd);
/* The address that is logged and counted; false when it has too many connections already. */
bool connection_set_address(struct connection *c, const struct in6_addr *address);
/* Resets and frees a connection that libh2o was not given yet. */
void connection_refuse(struct connection *c);
void connection_enter(struct connection *c, enum connection_phase phase);
/* The record behind a socket. */
struct connection *connection_of(h2o_socket_t *sock);

/* Ends what has passed a deadline of `settings`. */
void connection_check(struct connection *c, const struct sts_settings *settings, uint64_t now);
/* On shutdown: ends what has no request; one that has just come may still send its first. */
void connection_drain(struct connection *c, uint64_t stop_since, uint64_t now);

#endif
