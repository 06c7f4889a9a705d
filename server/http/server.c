#include "server/http/server.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "server/base/memory.h"
#include "server/http/accept.h"
#include "server/http/handler.h"

#define WORKERS_MAX        256
#define DESCRIPTOR_RESERVE 64 /* ledger, files, watches, notification, standard streams */
#define DESCRIPTORS_WORKER 4  /* event loop, message pipe, timer; listening sockets come on top */

static size_t count_workers(const struct sts_settings *settings)
{
    cpu_set_t set;
    size_t count = settings->workers;

    if (count == 0 && sched_getaffinity(0, sizeof(set), &set) == 0)
        count = (size_t)CPU_COUNT(&set);
    if (count == 0)
        count = 1;
    return count < WORKERS_MAX ? count : WORKERS_MAX;
}

/* At most what is configured, and always fewer than there are descriptors. */
static unsigned count_connections(const struct sts_settings *settings, size_t workers)
{
    struct rlimit limit;
    rlim_t most = settings->max_connections;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        rlim_t reserve =
            DESCRIPTOR_RESERVE + workers * (DESCRIPTORS_WORKER + settings->listen_count);
        if (reserve > limit.rlim_cur / 2)
            reserve = limit.rlim_cur / 2;
        if (most > limit.rlim_cur - reserve)
            most = limit.rlim_cur - reserve;
    }
    return most > 0 ? (unsigned)most : 1;
}

static bool needs_tls(const struct http_server *server)
{
    for (size_t i = 0; i < server->listener_count; i++)
        if (server->listeners[i].tls)
            return true;
    return false;
}

static void init_sync(struct http_server *server)
{
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->changed, NULL);
}

struct http_server *http_server_new(struct snapshot *snapshot, struct sts_diags *diags)
{
    const struct sts_settings *settings = &snapshot->settings;
    struct sts_arena *arena = sts_arena_new();
    size_t workers = count_workers(settings);
    struct http_server *server = sts_must(calloc(1, sizeof(*server)));

    server->arena = arena;
    server->listener_count = settings->listen_count;
    if (!listeners_open(arena, settings->listen, settings->listen_count, snapshot->base_dir,
                        workers, diags, &server->listeners))
        goto fail;
    if (needs_tls(server)) {
        server->tls =
            tls_server_new(&accept_tls_hooks, (size_t)settings->certificate_cache << 20, diags);
        if (!server->tls) {
            listeners_close(server->listeners, server->listener_count);
            goto fail;
        }
    }
    signal(SIGPIPE, SIG_IGN); /* libh2o writes without MSG_NOSIGNAL */
    handler_configure(&server->config);
    init_sync(server);
    server->max_connections = count_connections(settings, workers);
    server->peers = peers_new(server->max_connections, settings->max_connections_per_ip);
    server->snapshot = snapshot_ref(snapshot);
    server->worker_count = workers;
    server->workers = STS_ARRAY(arena, workers, struct worker);
    for (size_t i = 0; i < workers; i++)
        worker_init(&server->workers[i], server, i);
    return server;

fail:
    sts_arena_free(arena);
    free(server);
    return NULL;
}

size_t http_server_address_count(const struct http_server *server)
{
    return server->listener_count;
}

struct sts_str http_server_address(const struct http_server *server, size_t index)
{
    assert(index < server->listener_count);
    return server->listeners[index].address;
}

int http_server_start(struct http_server *server)
{
    for (; server->running < server->worker_count; server->running++)
        if (worker_start(&server->workers[server->running]) < 0)
            return -1;
    return 0;
}

static struct timespec server_deadline(unsigned ms)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

static bool server_has_answer(const struct worker *worker)
{
    return worker->answered;
}

static bool server_has_drained(const struct worker *worker)
{
    return worker->drained;
}

/* False when a worker did not come so far before the deadline. */
static bool server_await(struct http_server *server, bool (*done)(const struct worker *worker),
                         const struct timespec *deadline)
{
    bool all = true;

    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < server->running && all; i++)
        while (all && !done(&server->workers[i]))
            all = pthread_cond_clockwait(&server->changed, &server->lock, CLOCK_MONOTONIC,
                                         deadline) == 0 ||
                  done(&server->workers[i]);
    pthread_mutex_unlock(&server->lock);
    return all;
}

bool http_server_settled(struct http_server *server)
{
    bool settled = true;

    for (size_t i = 0; i < server->running; i++)
        settled &= worker_take_back(&server->workers[i]);
    return settled;
}

void http_server_publish(struct http_server *server, struct snapshot *snapshot, unsigned wait_ms)
{
    struct timespec deadline = server_deadline(wait_ms);

    for (size_t i = 0; i < server->running; i++)
        worker_send(&server->workers[i], WORKER_PUBLISH, snapshot_ref(snapshot));
    server_await(server, server_has_answer, &deadline);
    (void)http_server_settled(server);
    for (size_t i = server->running; i < server->worker_count; i++) { /* not started yet */
        struct snapshot *old = server->workers[i].snapshot;
        server->workers[i].snapshot = snapshot_ref(snapshot);
        snapshot_unref(old);
    }
    snapshot_unref(server->snapshot);
    server->snapshot = snapshot_ref(snapshot);
}

void http_server_certificate_cache(const struct http_server *server, struct cert_cache_counts *out)
{
    *out = (struct cert_cache_counts){0};
    if (server->tls)
        tls_server_count(server->tls, out);
}

static void server_release(struct http_server *server)
{
    for (size_t i = 0; i < server->worker_count; i++)
        snapshot_unref(server->workers[i].snapshot);
    snapshot_unref(server->snapshot);
    tls_server_free(server->tls);
    peers_free(server->peers);
}

bool http_server_stop(struct http_server *server, unsigned deadline_ms)
{
    struct timespec deadline = server_deadline(deadline_ms);

    for (size_t i = 0; i < server->running; i++)
        worker_send(&server->workers[i], WORKER_STOP, NULL);
    bool answered = server_await(server, server_has_answer, &deadline);
    listeners_close(server->listeners, server->listener_count);
    if (!answered || !server_await(server, server_has_drained, &deadline))
        return false;
    server_release(server);
    if (server->running > 0)
        return true; /* the threads rest on it (see worker_main) until the process ends */
    h2o_config_dispose(&server->config);
    pthread_mutex_destroy(&server->lock);
    pthread_cond_destroy(&server->changed);
    sts_arena_free(server->arena);
    free(server);
    return true;
}
