/* The side of a command: plain blocking code with one time limit for all of it. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include "server/admin/address.h"
#include "server/admin/admin.h"
#include "server/sys/clock.h"

struct talk {
    int fd;
    uint64_t end; /* monotonic milliseconds */
};

static int ask_fail(int error)
{
    errno = error;
    return -1;
}

/* Waits for one of `events`; -1 when the time is over. */
static int ask_await(const struct talk *t, short events)
{
    for (;;) {
        uint64_t now = clock_monotonic_ms(), left = t->end > now ? t->end - now : 0;
        struct pollfd ready = {.fd = t->fd, .events = events};
        int count = poll(&ready, 1, left > INT_MAX ? INT_MAX : (int)left);
        if (count > 0)
            return 0;
        if (count == 0 && !left)
            return ask_fail(ETIMEDOUT);
        if (count < 0 && errno != EINTR)
            return -1;
    }
}

/* While the server's queue is full this waits, which no poll(2) can. */
static int ask_reach(const struct talk *t, const char *path, uint64_t timeout_ms)
{
    struct timeval limit = {.tv_sec = (time_t)(timeout_ms / 1000),
                            .tv_usec = (suseconds_t)(timeout_ms % 1000 * 1000)};
    struct admin_address a;

    if (setsockopt(t->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0 ||
        admin_address_open(&a, path) != 0)
        return -1;
    int result = connect(t->fd, (const struct sockaddr *)&a.address, sizeof(a.address));
    int error = errno == EAGAIN ? ETIMEDOUT : errno == EPERM ? EACCES : errno;
    close(a.directory);
    return result == 0 ? 0 : ask_fail(error);
}

/* A server that wants no more of it may still answer. */
static int send_all(const struct talk *t, struct sts_str text)
{
    while (text.len) {
        if (ask_await(t, POLLOUT) != 0)
            return -1;
        ssize_t n = send(t->fd, text.ptr, text.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
            return 0;
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return -1;
        text = sts_str_sub(text, n > 0 ? (size_t)n : 0, text.len);
    }
    return 0;
}

static int receive_all(const struct talk *t, struct sts_buf *reply)
{
    char piece[65536];
    size_t total = 0;

    for (;;) {
        if (ask_await(t, POLLIN) != 0)
            return -1;
        ssize_t n = recv(t->fd, piece, sizeof(piece), MSG_DONTWAIT);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0 && errno != ECONNRESET)
            return -1;
        if (n <= 0)
            return total ? 0 : ask_fail(EPROTO);
        total += (size_t)n;
        if (total > ADMIN_REPLY_MAX)
            return ask_fail(EFBIG);
        sts_buf_add(reply, (struct sts_str){piece, (size_t)n});
    }
}

int admin_ask(const char *path, struct sts_str request, uint64_t timeout_ms, struct sts_buf *reply)
{
    struct talk t = {.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
                     .end = clock_monotonic_ms() + timeout_ms};

    if (t.fd < 0)
        return -1;
    bool good = ask_reach(&t, path, timeout_ms) == 0 && send_all(&t, request) == 0 &&
                send_all(&t, STS_STR("\n")) == 0 && receive_all(&t, reply) == 0;
    int error = errno;
    close(t.fd);
    return good ? 0 : ask_fail(error);
}
