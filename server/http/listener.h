/* Listener: the bound sockets of one `listen` entry. TCP entries get one SO_REUSEPORT socket for
 * each worker, so that the kernel spreads connections; a unix socket is shared by all of them. */
#ifndef MTASTS_HTTP_LISTENER_H
#define MTASTS_HTTP_LISTENER_H

#include "mtasts/config.h"

struct listener {
    bool tls, proxy_protocol, is_unix;
    struct sts_str address; /* as bound: "[::]:443", "unix:/run/x.sock" */
    const char *path;       /* of a unix socket */
    int *sockets;           /* one a worker; -1 once handed over */
    size_t count;
};

/* Binds `entries` (listening, non-blocking, close-on-exec) for `workers` workers. Results live in
 * `arena`. False with errors "listen-..." in `diags`, and then nothing stays open. Unix paths are
 * relative to `base_dir`. */
bool listeners_open(struct sts_arena *arena, const struct sts_listen *entries, size_t count,
                    struct sts_str base_dir, size_t workers, struct sts_diags *diags,
                    struct listener **out);

/* Closes what was not handed over and removes unix socket files. */
void listeners_close(struct listener *listeners, size_t count);

#endif
