#include "server/http/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/sys/file.h"

#define BACKLOG         1024
#define DEFER_SECONDS   5     /* silent clients do not reach us before */
#define USER_TIMEOUT_MS 10000 /* unacknowledged data: the kernel gives up (zero-window readers) */
/* Requests and answers are small. Left to itself the kernel would collect megabytes for a client
 * that sends requests and never reads. */
#define RECEIVE_BUFFER 32768
#define SEND_BUFFER    65536

union address {
    struct sockaddr sa;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
};

static void listener_report(struct sts_diags *diags, const struct sts_listen *entry, int error)
{
    const char *code = "listen-failed", *help = NULL;

    switch (error) {
    case EADDRINUSE:
        code = "listen-address-in-use";
        help = "stop the other server on this address, or choose another port";
        break;
    case EACCES:
    case EPERM:
        code = "listen-permission";
        help = entry->is_unix ? "the directory must be writable for the user of the server"
                              : "ports below 1024 need CAP_NET_BIND_SERVICE; start as root, from "
                                "the service unit, or choose a higher port";
        break;
    case EADDRNOTAVAIL:
        code = "listen-address-unknown";
        help = "no interface of this host has the address";
        break;
    case EAFNOSUPPORT:
        code = "listen-family";
        help = "the kernel has no IPv6; use an IPv4 address such as \"0.0.0.0:443\"";
        break;
    default:
        break;
    }
    struct sts_diag *diag =
        sts_diag_add(diags, STS_ERROR, code, entry->where, "cannot listen on %.*s: %s",
                     STS_ARG(entry->address), strerrordesc_np(error));
    if (help)
        sts_diag_help(diags, diag, "%s", help);
}

static int listener_set_option(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value));
}

static bool parse_host(const struct sts_listen *entry, union address *out, socklen_t *len)
{
    char text[INET6_ADDRSTRLEN];

    memset(out, 0, sizeof(*out));
    if (entry->host.len >= sizeof(text))
        return false;
    memcpy(text, entry->host.ptr, entry->host.len);
    text[entry->host.len] = 0;
    if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(entry->port);
        *len = sizeof(out->v4);
        return true;
    }
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons(entry->port);
    *len = sizeof(out->v6);
    return inet_pton(AF_INET6, text, &out->v6.sin6_addr) == 1;
}

/* One bound, not yet listening socket; -1/errno. The first one of an entry is bound without
 * SO_REUSEPORT, so that a second server on the same port is refused instead of silently taking
 * half of the connections; it is set afterwards for our own others. */
static int bind_one(const union address *address, socklen_t len, bool only_v6, bool first)
{
    int fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (listener_set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0 ||
        (!first && listener_set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0) ||
        (address->sa.sa_family == AF_INET6 &&
         listener_set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, only_v6) < 0) ||
        bind(fd, &address->sa, len) < 0 ||
        (first && listener_set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0)) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    /* Accepted sockets inherit these. They make abuse cheaper, none is needed to serve. */
    listener_set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    listener_set_option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, DEFER_SECONDS);
    listener_set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS);
    listener_set_option(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER);
    listener_set_option(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER);
    return fd;
}

static struct sts_str render_address(struct sts_arena *arena, const union address *address)
{
    char text[INET6_ADDRSTRLEN];

    if (address->sa.sa_family == AF_INET) {
        inet_ntop(AF_INET, &address->v4.sin_addr, text, sizeof(text));
        return sts_arena_printf(arena, "%s:%u", text, ntohs(address->v4.sin_port));
    }
    inet_ntop(AF_INET6, &address->v6.sin6_addr, text, sizeof(text));
    return sts_arena_printf(arena, "[%s]:%u", text, ntohs(address->v6.sin6_port));
}

/* Binds all sockets before any of them listens: nobody connects to a server that then fails. */
static bool open_tcp(struct sts_arena *arena, const struct sts_listen *entry, bool only_v6,
                     struct listener *out)
{
    union address address;
    socklen_t len;

    if (!parse_host(entry, &address, &len)) {
        errno = EINVAL;
        return false;
    }
    for (size_t i = 0; i < out->count; i++) {
        out->sockets[i] = bind_one(&address, len, only_v6, i == 0);
        if (out->sockets[i] < 0)
            return false;
        if (i == 0 && getsockname(out->sockets[i], &address.sa, &len) < 0)
            return false; /* port 0: the others follow the one that the kernel chose */
    }
    for (size_t i = 0; i < out->count; i++)
        if (listen(out->sockets[i], BACKLOG) < 0)
            return false;
    out->address = render_address(arena, &address);
    return true;
}

/* A socket file that nobody answers on is left over from a crash: it may be replaced. */
static bool is_stale(const struct sockaddr_un *address)
{
    struct stat st;
    bool stale;
    int fd;

    if (lstat(address->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    stale = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
            errno == ECONNREFUSED;
    close(fd);
    return stale;
}

static bool open_unix(struct sts_arena *arena, const struct sts_listen *entry,
                      struct sts_str base_dir, struct listener *out)
{
    struct sts_str path = file_resolve(arena, base_dir, entry->host);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (path.len == 0 || path.len >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(address.sun_path, path.ptr, path.len);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    out->sockets[0] = fd;
    if (is_stale(&address))
        unlink(address.sun_path);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return false;
    out->path = path.ptr;
    if (listen(fd, BACKLOG) < 0)
        return false;
    for (size_t i = 1; i < out->count; i++) {
        out->sockets[i] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (out->sockets[i] < 0)
            return false;
    }
    out->address = sts_arena_printf(arena, "unix:%.*s", STS_ARG(path));
    return true;
}

/* Whether an IPv4 entry has the same port: then "[::]" must leave IPv4 to it. */
static bool has_v4_sibling(const struct sts_listen *entries, size_t count, uint16_t port)
{
    for (size_t i = 0; i < count; i++)
        if (!entries[i].is_unix && entries[i].port == port && port != 0 &&
            sts_str_find(entries[i].host, ':', 0) == entries[i].host.len)
            return true;
    return false;
}

bool listeners_open(struct sts_arena *arena, const struct sts_listen *entries, size_t count,
                    struct sts_str base_dir, size_t workers, struct sts_diags *diags,
                    struct listener **out)
{
    struct listener *listeners = STS_ARRAY(arena, count, struct listener);
    bool ok = true;

    for (size_t i = 0; i < count; i++) {
        struct listener *l = &listeners[i];
        l->tls = entries[i].tls;
        l->proxy_protocol = entries[i].proxy_protocol;
        l->is_unix = entries[i].is_unix;
        l->count = workers;
        l->sockets = STS_ARRAY(arena, workers, int);
        for (size_t w = 0; w < workers; w++)
            l->sockets[w] = -1;
        bool opened = l->is_unix ? open_unix(arena, &entries[i], base_dir, l)
                                 : open_tcp(arena, &entries[i],
                                            has_v4_sibling(entries, count, entries[i].port), l);
        if (!opened) {
            listener_report(diags, &entries[i], errno);
            ok = false;
        }
    }
    if (!ok) {
        listeners_close(listeners, count);
        return false;
    }
    *out = listeners;
    return true;
}

void listeners_close(struct listener *listeners, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (listeners[i].path)
            unlink(listeners[i].path); /* first: as long as we listen, nobody else takes the path */
        listeners[i].path = NULL;
        for (size_t w = 0; w < listeners[i].count; w++) {
            if (listeners[i].sockets[w] >= 0)
                close(listeners[i].sockets[w]);
            listeners[i].sockets[w] = -1;
        }
    }
}
