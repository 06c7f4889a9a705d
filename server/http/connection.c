#include "server/http/connection.h"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "server/base/memory.h"
#include "server/http/head.h"
#include "server/http/server.h"

#define FIRST_REQUEST_MS 1000 /* how long a stopping server waits for a new client's request */

static void on_close(void *data)
{
    struct connection *c = data;
    struct worker *worker = c->worker;

    if (c->counted)
        peers_release(worker->server->peers, &c->address);
    if (c->previous)
        c->previous->next = c->next;
    else
        worker->first = c->next;
    if (c->next)
        c->next->previous = c->previous;
    else
        worker->last = c->previous;
    worker->connection_count--;
    atomic_fetch_sub(&worker->server->connections, 1);
    free(c);
    worker_connection_ended(worker);
}

struct connection *connection_new(struct worker *worker, const struct listener *listener, int fd)
{
    struct connection *c = sts_must(calloc(1, sizeof(*c)));

    c->worker = worker;
    c->listener = listener;
    c->accepted = c->since = worker_now();
    snprintf(c->client, sizeof(c->client), "%s", listener->is_unix ? "unix" : "-");
    c->sock = h2o_evloop_socket_create(worker->loop, fd, H2O_SOCKET_FLAG_IS_ACCEPTED_CONNECTION);
    c->sock->on_close.cb = on_close;
    c->sock->on_close.data = c;
    c->previous = worker->last;
    if (worker->last)
        worker->last->next = c;
    else
        worker->first = c;
    worker->last = c;
    worker->connection_count++;
    worker_wake(worker);
    return c;
}

bool connection_set_address(struct connection *c, const struct in6_addr *address)
{
    c->address = *address;
    c->has_address = true;
    if (IN6_IS_ADDR_V4MAPPED(address))
        inet_ntop(AF_INET, address->s6_addr + 12, c->client, sizeof(c->client));
    else
        inet_ntop(AF_INET6, address, c->client, sizeof(c->client));
    c->counted = peers_take(c->worker->server->peers, address);
    return c->counted;
}

/* Nothing of a reset connection stays behind in the kernel. */
static void set_reset(int fd)
{
    static const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

void connection_refuse(struct connection *c)
{
    set_reset(h2o_socket_get_fd(c->sock));
    h2o_socket_close(c->sock);
}

void connection_enter(struct connection *c, enum connection_phase phase)
{
    c->phase = phase;
    c->since = worker_now();
}

struct connection *connection_of(h2o_socket_t *sock)
{
    return sock->on_close.data;
}

/* Ends it from outside: libh2o owns the socket, sees the end and frees everything itself. Where it
 * is reading, an end of input lets it close in good order (TLS close_notify). */
static void connection_end(struct connection *c)
{
    bool reads = c->phase == CONNECTION_HEAD || c->phase == CONNECTION_IDLE;
    int fd = h2o_socket_get_fd(c->sock);

    if (c->cuts++ == 0 && reads) {
        shutdown(fd, SHUT_RD);
        return;
    }
    set_reset(fd);
    shutdown(fd, SHUT_RDWR);
}

/* As above for a client that is late. When it has not even taken what it was sent, the connection
 * is reset: after a close in good order the kernel would keep all that for it. */
static void connection_cut(struct connection *c)
{
    int unsent = 0;

    if (ioctl(h2o_socket_get_fd(c->sock), SIOCOUTQ, &unsent) == 0 && unsent > 0)
        c->cuts++;
    connection_end(c);
}

/* libh2o does not say when a head begins to arrive; its first bytes are seen here. */
static void notice_head(struct connection *c)
{
    if (c->phase == CONNECTION_IDLE && c->sock->input->size > 0)
        connection_enter(c, CONNECTION_HEAD);
}

static bool is_over(uint64_t since, uint32_t seconds, uint64_t now)
{
    return now - since >= (uint64_t)seconds * 1000;
}

void connection_check(struct connection *c, const struct sts_settings *settings, uint64_t now)
{
    bool over = c->cuts > 0 || is_over(c->accepted, settings->lifetime, now);

    notice_head(c);
    switch (c->phase) {
    case CONNECTION_PROXY:
    case CONNECTION_HANDSHAKE:
        over |= is_over(c->since, settings->handshake_timeout, now);
        break;
    case CONNECTION_HEAD:
        /* The library would collect 400 KiB before it gives up. */
        over |= is_over(c->since, settings->request_timeout, now) ||
                c->sock->input->size > (size_t)4 * HEAD_MAX;
        break;
    case CONNECTION_IDLE:
        over |= is_over(c->since, settings->idle_timeout, now);
        break;
    case CONNECTION_ANSWER:
        break;
    }
    if (over)
        connection_cut(c);
}

void connection_drain(struct connection *c, uint64_t stop_since, uint64_t now)
{
    notice_head(c);
    if (c->cuts > 0)
        return;
    if (c->phase == CONNECTION_IDLE ||
        (c->phase != CONNECTION_ANSWER && now - stop_since >= FIRST_REQUEST_MS))
        connection_end(c);
}
