/* A running http_server on loopback and a raw client: what the tests of server/http share. */
#ifndef MTASTS_TESTS_UNIT_HTTP_FIXTURE_H
#define MTASTS_TESTS_UNIT_HTTP_FIXTURE_H

#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/base/memory.h"
#include "server/http/http.h"
#include "server/snapshot/parts.h"

#define HOST      "mta-sts.example.org"
#define RESOURCE  "/.well-known/mta-sts.txt"
#define POLICY    "version: STSv1\r\nmode: testing\r\nmx: mx.example.org\r\nmax_age: 604800\r\n"
#define REQUEST   "GET " RESOURCE " HTTP/1.1\r\nHost: " HOST "\r\n\r\n"
#define CLOSING   "GET " RESOURCE " HTTP/1.1\r\nHost: " HOST "\r\nConnection: close\r\n\r\n"
#define PATIENCE  20000 /* ms: only ever the upper bound of a wait that normally ends at once */
#define UNUSED_FN __attribute__((unused)) static

/* One entry "ADDRESS PORT" with the options of a plain listener. */
UNUSED_FN struct sts_listen plain_on(const char *host, uint16_t port)
{
    return (struct sts_listen){
        .where = {STS_STR("test.yaml"), 1, 1},
        .address = sts_str_from(host),
        .host = sts_str_from(host),
        .port = port,
        .is_unix = host[0] == '/',
    };
}

/* Generous settings that no test runs into by accident. */
UNUSED_FN struct sts_settings settings_for(const struct sts_listen *listen, size_t count)
{
    return (struct sts_settings){
        .listen = listen,
        .listen_count = count,
        .workers = 2,
        .max_connections = 1000,
        .handshake_timeout = 60,
        .request_timeout = 60,
        .idle_timeout = 60,
        .lifetime = 60,
    };
}

UNUSED_FN void add_tenant(struct snapshot *s, const char *domain, enum tenant_state state,
                          const char *body)
{
    struct tenant *t = &s->tenants[s->tenant_count++];
    struct sts_str host = sts_arena_printf(s->arena, STS_HOST_LABEL "%s", domain);
    struct body *own = STS_NEW(s->arena, struct body);
    own->text = sts_arena_dup(s->arena, sts_str_from(body));
    t->domain = sts_str_sub(host, strlen(STS_HOST_LABEL), host.len);
    t->state = state;
    t->body = own;
    t->hash = tenant_hash(host);
    sts_table_add(&s->hosts, t->hash, t);
}

/* example.org with `body` (or no tenant at all with NULL), and one tenant that is refused. */
UNUSED_FN struct snapshot *make_snapshot(const struct sts_settings *settings, const char *body)
{
    struct sts_arena *arena = sts_arena_new();
    struct snapshot *s = sts_must(calloc(1, sizeof(*s)));
    atomic_init(&s->refs, 1);
    s->arena = arena;
    s->settings = *settings;
    s->base_dir = STS_STR("/tmp");
    s->tenants = STS_ARRAY(arena, 4, struct tenant);
    if (body)
        add_tenant(s, "example.org", TENANT_SERVED, body);
    add_tenant(s, "nocert.example", TENANT_NO_CERTIFICATE, POLICY);
    add_tenant(s, "refused.example", TENANT_REFUSED, "");
    return s;
}

UNUSED_FN struct http_server *start_server(struct sts_settings settings)
{
    struct sts_arena *arena = sts_arena_new();
    struct sts_diags diags;
    sts_diags_init(&diags, arena);
    struct snapshot *snapshot = make_snapshot(&settings, POLICY);
    struct http_server *server = http_server_new(snapshot, &diags);
    snapshot_unref(snapshot);
    if (!server)
        print_error("%.*s\n", STS_ARG(diags.first->message));
    assert_non_null(server);
    assert_int_equal(http_server_start(server), 0);
    sts_arena_free(arena);
    return server;
}

UNUSED_FN struct http_server *start_plain(void)
{
    struct sts_listen listen = plain_on("127.0.0.1", 0);
    return start_server(settings_for(&listen, 1));
}

UNUSED_FN void publish(struct http_server *server, const struct sts_settings *settings,
                       const char *body)
{
    struct snapshot *snapshot = make_snapshot(settings, body);
    http_server_publish(server, snapshot, PATIENCE);
    snapshot_unref(snapshot);
}

UNUSED_FN void stop_server(struct http_server *server)
{
    assert_true(http_server_stop(server, PATIENCE));
}

UNUSED_FN uint16_t port_of(struct http_server *server, size_t index)
{
    struct sts_str address = http_server_address(server, index);
    unsigned long long port = 0;
    size_t colon = address.len;
    while (colon > 0 && address.ptr[colon - 1] != ':')
        colon--;
    assert_true(sts_str_to_uint(sts_str_sub(address, colon, address.len), 5, 65535, &port) &&
                port > 0);
    return (uint16_t)port;
}

UNUSED_FN int connect_to(struct http_server *server, size_t index)
{
    struct sts_str address = http_server_address(server, index);
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    int fd, done;
    if (sts_str_starts(address, STS_STR("unix:"))) {
        struct sockaddr_un local = {.sun_family = AF_UNIX};
        memcpy(local.sun_path, address.ptr + 5, address.len - 5);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        done = connect(fd, (struct sockaddr *)&local, sizeof(local));
    } else if (address.ptr[0] == '[') {
        v6.sin6_port = htons(port_of(server, index));
        fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
        done = connect(fd, (struct sockaddr *)&v6, sizeof(v6));
    } else {
        v4.sin_port = htons(port_of(server, index));
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        done = connect(fd, (struct sockaddr *)&v4, sizeof(v4));
    }
    assert_int_equal(done, 0);
    return fd;
}

/* Sends as much as the peer takes; a peer that has closed is no error here. */
UNUSED_FN void send_bytes(int fd, struct sts_str bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (sent < 0)
            return;
        bytes = sts_str_sub(bytes, (size_t)sent, bytes.len);
    }
}

/* Appends what comes next; false at the end of the connection (closed or reset). */
UNUSED_FN bool receive_some(int fd, struct sts_buf *into)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char chunk[16384];
    assert_int_equal(poll(&p, 1, PATIENCE), 1);
    ssize_t got = recv(fd, chunk, sizeof(chunk), 0);
    if (got <= 0)
        return false;
    sts_buf_add(into, (struct sts_str){chunk, (size_t)got});
    return true;
}

UNUSED_FN bool contains(struct sts_str text, const char *part)
{
    return text.len > 0 && memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

UNUSED_FN size_t count_of(struct sts_str text, const char *part)
{
    size_t count = 0, step = strlen(part);
    for (size_t i = 0; i + step <= text.len; i++)
        if (memcmp(text.ptr + i, part, step) == 0)
            count++;
    return count;
}

/* Receives until the connection ends. */
UNUSED_FN struct sts_str receive_all(int fd, struct sts_buf *into)
{
    while (receive_some(fd, into))
        continue;
    return sts_buf_str(into);
}

/* Receives one whole answer with the body of POLICY's length on an open connection. */
UNUSED_FN void expect_policy(int fd)
{
    struct sts_buf got = {0};
    while (!contains(sts_buf_str(&got), "max_age: 604800\r\n"))
        assert_true(receive_some(fd, &got));
    assert_true(sts_str_starts(sts_buf_str(&got), STS_STR("HTTP/1.1 200 OK\r\n")));
    sts_buf_fini(&got);
}

/* The whole conversation on a connection of its own. */
UNUSED_FN struct sts_str talk(struct http_server *server, size_t index, struct sts_str request,
                              struct sts_buf *into)
{
    int fd = connect_to(server, index);
    send_bytes(fd, request);
    struct sts_str answer = receive_all(fd, into);
    close(fd);
    return answer;
}

#endif
