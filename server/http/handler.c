#include "server/http/handler.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "server/http/connection.h"
#include "server/http/head.h"
#include "server/http/route.h"
#include "server/sys/log.h"

#define BODY_MAX        1024    /* octets of a request body that are read before it is refused */
#define LIBRARY_TIMEOUT 3600000 /* ms; the deadlines that matter are ours, by a monotonic clock */

struct answer {
    int status;
    const char *reason;
    struct sts_str body;
    bool close;
};

/* One line for the person who looks with a browser or curl. */
static const struct answer bad_request = {
    400, "Bad Request",
    STS_STR("Bad request: a plain GET or HEAD with one Host and no body is understood here.\n"),
    true};
static const struct answer no_resource = {
    404, "Not Found",
    STS_STR("Not found: the only resource here is /.well-known/mta-sts.txt (RFC 8461).\n"), false};
static const struct answer no_tenant = {
    404, "Not Found", STS_STR("Not found: no MTA-STS policy is published for this host.\n"), false};
static const struct answer bad_method = {405, "Method Not Allowed",
                                         STS_STR("Method not allowed: use GET or HEAD.\n"), false};
static const struct answer misdirected = {
    421, "Misdirected Request",
    STS_STR("Misdirected request: the Host header names another host than the TLS handshake.\n"),
    false};

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static struct sts_str str_of(h2o_iovec_t v)
{
    return (struct sts_str){v.base, v.len};
}

static void handler_add_field(h2o_req_t *req, const char *lower, const char *name,
                              const char *value)
{
    h2o_add_header_by_str(&req->pool, &req->res.headers, lower, strlen(lower), 1, name, value,
                          strlen(value));
}

/* The last answer, TLS's close_notify and the end of the connection travel as one packet: closing
 * is what sends them. Fails on a Unix socket, where there are no packets. */
static void hold_until_closed(h2o_req_t *req)
{
    h2o_socket_t *sock = req->conn->callbacks->get_socket(req->conn);
    int on = 1;

    (void)setsockopt(h2o_socket_get_fd(sock), IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
}

/* h2o_send_inline copies the body: no answer points into a snapshot once we return. */
static void send_answer(h2o_req_t *req, int status, const char *reason, struct sts_str body)
{
    req->res.status = status;
    req->res.reason = reason;
    req->res.content_length = body.len;
    /* Without a charset parameter: KumoMTA compares the whole value (RFC 8461 §3.2). */
    handler_add_field(req, "content-type", "Content-Type", "text/plain");
    handler_add_field(req, "x-content-type-options", "X-Content-Type-Options", "nosniff");
    if (!req->http1_is_persistent)
        hold_until_closed(req);
    h2o_send_inline(req, body.ptr, body.len);
}

static void send_failure(h2o_req_t *req, const struct answer *answer)
{
    if (answer->close)
        req->http1_is_persistent = 0;
    if (answer->status == 405)
        handler_add_field(req, "allow", "Allow", "GET, HEAD");
    handler_add_field(req, "cache-control", "Cache-Control", "no-store");
    send_answer(req, answer->status, answer->reason, answer->body);
}

/* The head as it came. libh2o keeps it at the start of the input buffer until the answer is
 * written; should the two ever disagree about what the request is, it is refused. */
static void look_at_head(h2o_socket_t *sock, h2o_req_t *req, struct route_request *out)
{
    struct sts_str input = {sock->input->bytes, sock->input->size};
    struct head head;

    out->method = str_of(req->input.method);
    out->target = str_of(req->input.path);
    if (!head_scan(input, &head) || !sts_str_eq(head.method, out->method) ||
        !sts_str_eq(head.target, out->target)) {
        out->malformed = true;
        return;
    }
    out->authority = head.host;
    out->host_count = head.host_count;
    out->announces_body = head.announces_body;
    out->malformed = head.malformed;
}

static const struct answer *handler_decide(struct connection *c, h2o_req_t *req,
                                           const struct tenant **tenant)
{
    struct route_request request = {.host = {c->host, c->host_len}};
    char buffer[ROUTE_NAME_MAX];
    struct sts_str name;

    look_at_head(c->sock, req, &request);
    enum route_result result = route_decide(&request, buffer, sizeof(buffer), &name);
    *tenant = name.len > 0 ? snapshot_find_host(c->worker->snapshot, name) : NULL;
    switch (result) {
    case ROUTE_BAD_REQUEST:
        return &bad_request;
    case ROUTE_MISDIRECTED:
        return &misdirected;
    case ROUTE_NOT_FOUND:
        return *tenant ? &no_resource : &no_tenant;
    case ROUTE_BAD_METHOD:
        return *tenant ? &bad_method : &no_tenant;
    case ROUTE_POLICY:
        break;
    }
    if (!*tenant || (*tenant)->state == TENANT_REFUSED || tenant_body(*tenant).len == 0)
        return &no_tenant;
    return NULL;
}

static int handler_on_request(h2o_handler_t *self, h2o_req_t *req)
{
    struct connection *c = connection_of(req->conn->callbacks->get_socket(req->conn));
    const struct tenant *tenant = NULL;

    (void)self;
    connection_enter(c, CONNECTION_ANSWER);
    c->request_us = now_us();
    if (++c->requests >= CONNECTION_REQUESTS)
        req->http1_is_persistent = 0;
    const struct answer *failure = handler_decide(c, req, &tenant);
    if (tenant && tenant->domain.len < sizeof(c->tenant)) {
        memcpy(c->tenant, tenant->domain.ptr, tenant->domain.len);
        c->tenant_len = tenant->domain.len;
    }
    if (failure) {
        send_failure(req, failure);
        return 0;
    }
    handler_add_field(req, "cache-control", "Cache-Control", "max-age=60");
    send_answer(req, 200, "OK", tenant_body(tenant));
    return 0;
}

static void log_request(const struct connection *c, h2o_req_t *req)
{
    ssize_t agent = h2o_find_header(&req->headers, H2O_TOKEN_USER_AGENT, -1);
    const char *version = h2o_socket_get_ssl_protocol_version(c->sock);
    struct log_line line;

    log_begin(&line, LOG_LEVEL_INFO, "request");
    if (c->tenant_len > 0)
        log_str(&line, "tenant", (struct sts_str){c->tenant, c->tenant_len});
    log_int(&line, "status", req->res.status);
    log_int(&line, "bytes", (long long)req->bytes_sent);
    log_int(&line, "us", c->request_us ? (long long)(now_us() - c->request_us) : 0);
    log_cstr(&line, "tls", version ? version : "-");
    log_cstr(&line, "client", c->client);
    if (agent >= 0)
        log_str(&line, "agent", str_of(req->headers.entries[agent].value));
    else
        log_cstr(&line, "agent", "-");
    log_end(&line);
}

/* Called when a request is over: its answer was written, or the connection ended before. */
static void on_request_end(h2o_logger_t *self, h2o_req_t *req)
{
    struct connection *c = connection_of(req->conn->callbacks->get_socket(req->conn));

    (void)self;
    if (c->worker->snapshot->settings.access_log)
        log_request(c, req);
    c->request_us = 0;
    c->tenant_len = 0;
    connection_enter(c, CONNECTION_IDLE);
}

void handler_configure(h2o_globalconf_t *config)
{
    h2o_config_init(config);
    config->server_name = h2o_iovec_init("", 0);
    config->http1.upgrade_to_http2 = 0; /* RFC 9113 §3.4: the preface would still open HTTP/2 */
    config->http1.req_timeout = LIBRARY_TIMEOUT;
    config->max_request_entity_size = BODY_MAX;
    /* One host and only its fallback path: nothing is looked up per request, and every target,
     * whatever its form, reaches the handler. */
    h2o_hostconf_t *host =
        h2o_config_register_host(config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_create_handler(&host->fallback_path, sizeof(h2o_handler_t))->on_req = handler_on_request;
    h2o_create_logger(&host->fallback_path, sizeof(h2o_logger_t))->log_access = on_request_end;
}
