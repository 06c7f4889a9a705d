#include "server/http/accept.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "server/http/connection.h"
#include "server/http/proxy.h"
#include "server/http/server.h"

#define BATCH 64 /* accepted in one turn of the loop, so that the others get theirs */

static void serve_http(struct connection *c)
{
    struct timeval connected_at;

    gettimeofday(&connected_at, NULL);
    connection_enter(c, CONNECTION_HEAD);
    h2o_http1_accept(&c->worker->accept, c->sock, connected_at); /* may free c */
}

static void on_handshake(h2o_socket_t *sock, const char *error)
{
    if (error)
        h2o_socket_close(sock);
    else
        serve_http(connection_of(sock));
}

static void accept_serve(struct connection *c)
{
    if (!c->listener->tls) {
        serve_http(c);
        return;
    }
    connection_enter(c, CONNECTION_HANDSHAKE);
    h2o_socket_ssl_handshake(c->sock, tls_server_context(c->worker->server->tls), NULL,
                             on_handshake);
}

static void on_proxy_line(h2o_socket_t *sock, const char *error)
{
    struct connection *c = connection_of(sock);
    struct proxy_client client;
    size_t len = 0;
    struct sts_str input = {sock->input->bytes, sock->input->size};

    if (error) {
        h2o_socket_close(sock);
        return;
    }
    switch (proxy_parse(input, &client, &len)) {
    case PROXY_INCOMPLETE:
        return;
    case PROXY_BAD:
        h2o_socket_close(sock);
        return;
    case PROXY_OK:
        break;
    }
    if (client.known && !connection_set_address(c, &client.address)) {
        connection_refuse(c);
        return;
    }
    h2o_buffer_consume(&sock->input, len);
    accept_serve(c); /* what came behind the line stays in the buffer and is read first */
}

static void to_in6(const struct sockaddr_storage *from, struct in6_addr *to)
{
    if (from->ss_family == AF_INET6) {
        *to = ((const struct sockaddr_in6 *)from)->sin6_addr;
        return;
    }
    memset(to, 0, sizeof(*to));
    memset(to->s6_addr + 10, 0xff, 2);
    memcpy(to->s6_addr + 12, &((const struct sockaddr_in *)from)->sin_addr, 4);
}

static void accept_admit(struct worker *worker, const struct listener *listener, int fd,
                         const struct sockaddr_storage *from)
{
    struct connection *c = connection_new(worker, listener, fd);
    struct in6_addr address;

    if (listener->proxy_protocol) { /* the address is in the line */
        h2o_socket_read_start(c->sock, on_proxy_line);
        return;
    }
    if (!listener->is_unix) {
        to_in6(from, &address);
        if (!connection_set_address(c, &address)) {
            connection_refuse(c);
            return;
        }
    }
    accept_serve(c);
}

/* Whether the next accept can work although this one failed. */
static bool is_passing(int error)
{
    switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return false;
    default: /* accept(2): errors of the new connection itself */
        return true;
    }
}

void on_listener_ready(h2o_socket_t *sock, const char *error)
{
    struct worker_listener *l = sock->data;
    struct worker *worker = l->worker;
    struct http_server *server = worker->server;

    (void)error;
    for (unsigned i = 0; i < BATCH; i++) {
        struct sockaddr_storage from = {0};
        socklen_t len = sizeof(from);

        if (atomic_fetch_add(&server->connections, 1) >= server->max_connections) {
            atomic_fetch_sub(&server->connections, 1);
            worker_pause(worker, "max_connections");
            return;
        }
        int fd = accept4(h2o_socket_get_fd(sock), (struct sockaddr *)&from, &len,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            int failure = errno;
            atomic_fetch_sub(&server->connections, 1);
            if (failure == EAGAIN)
                return;
            if (is_passing(failure))
                continue;
            worker_pause(worker, strerrordesc_np(failure));
            return;
        }
        accept_admit(worker, l->entry, fd, &from);
    }
}

static bool accept_identify(void *transport, struct sts_str host, struct cert_identity *out)
{
    struct connection *c = connection_of(transport);
    const struct tenant *tenant = snapshot_find_host(c->worker->snapshot, host);

    if (!tenant || (!tenant->identity.ec && !tenant->identity.rsa) || host.len >= sizeof(c->host))
        return false;
    memcpy(c->host, host.ptr, host.len);
    c->host_len = host.len;
    *out = tenant->identity;
    return true;
}

static int accept_descriptor(void *transport)
{
    return h2o_socket_get_fd(transport);
}

const struct tls_hooks accept_tls_hooks = {.identify = accept_identify,
                                           .descriptor = accept_descriptor};
