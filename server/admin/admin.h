/* Admin: how a running server is asked: one line in, one document out, over a private Unix socket.
 * The server's side lives in the loop of the control thread and never blocks it by waiting; only
 * root and the server's own user may ask. The other side waits, for commands. */
#ifndef MTASTS_ADMIN_H
#define MTASTS_ADMIN_H

#include "mtasts/str.h"
#include "server/sys/loop.h"

enum {
    ADMIN_REQUEST_MAX = 32768, /* bytes of a request, line end not counted */
    ADMIN_REPLY_MAX = 1 << 28, /* bytes that a command takes */
    ADMIN_CLIENTS = 16,        /* at a time; others wait */
    ADMIN_TIMEOUT_MS = 10000,  /* without progress, then a client is given up */
};

/* --- The server --- */

/* Appends the reply to one request, which is borrowed. Everything else waits meanwhile. */
typedef void admin_answer(void *data, struct sts_str request, struct sts_buf *reply);

struct admin_setup {
    struct loop *loop;
    const char *path;
    bool replace;        /* a socket that is there is a left-over: no other server may use it */
    uint64_t timeout_ms; /* 0: ADMIN_TIMEOUT_MS */
    admin_answer *answer;
    void *data;
};

struct admin;

/* Makes the socket, mode 0600. NULL with errno: EADDRINUSE when something is there that is not ours
 * to remove. A directory may have a path of any length. */
struct admin *admin_open(const struct admin_setup *setup);
/* Whether a command that asks at its path reaches it. */
bool admin_is_in_place(const struct admin *a);
/* Removes the socket, unless another one took its place. NULL is fine. */
void admin_close(struct admin *a);

/* --- A command --- */

/* Asks the server at `path` and appends its reply. -1 with errno: ENOENT or ECONNREFUSED when no
 * server runs, EACCES when this user may not ask, ETIMEDOUT, EPROTO when it answered nothing. */
int admin_ask(const char *path, struct sts_str request, uint64_t timeout_ms, struct sts_buf *reply);

#endif
