#include "server/daemon/daemon.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "server/daemon/parts.h"
#include "server/sys/clock.h"
#include "server/sys/file.h"
#include "server/sys/heap.h"
#include "server/sys/log.h"
#include "server/sys/notify.h"
#include "server/tls/tls_library.h"

enum { TICK_MS = 60000 };

static sigset_t daemon_end_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    return set;
}

static void daemon_on_early_end(int number)
{
    (void)number;
    _exit(EXIT_SUCCESS);
}

/* The first build takes as long as there is to read, and nothing is open, bound or written before
 * it is over: until then SIGTERM ends the process at once. By a handler, because the first process
 * of a container is not ended by a signal whose action is the default one. */
static int daemon_begin_signals(void)
{
    const struct sigaction early = {.sa_handler = daemon_on_early_end};
    sigset_t end = daemon_end_signals(), all = end, hangup;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGIO, SIG_IGN); /* of file_read_settled */
    sigemptyset(&hangup);
    sigaddset(&hangup, SIGHUP);
    sigaddset(&all, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &hangup, NULL);
    sigaction(SIGTERM, &early, NULL);
    sigaction(SIGINT, &early, NULL);
    pthread_sigmask(SIG_UNBLOCK, &end, NULL);
    return signalfd(-1, &all, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* From now on all arrive by descriptor; workers inherit the mask and never see one. */
static void block_signals(void)
{
    const sigset_t end = daemon_end_signals();
    pthread_sigmask(SIG_BLOCK, &end, NULL);
}

/* One waits to be read by the loop, which a start comes to late. */
static bool daemon_is_end_asked(void)
{
    sigset_t pending;

    sigpending(&pending);
    return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1;
}

static bool listen_and_start(struct daemon *d)
{
    struct sts_arena *arena = sts_arena_new();
    struct sts_diags diags;

    sts_diags_init(&diags, arena);
    d->http = http_server_new(d->snapshot, &diags);
    log_diags(&diags);
    sts_arena_free(arena);
    if (!d->http)
        return false;
    if (http_server_start(d->http) == 0)
        return true;
    struct log_line line;
    log_begin(&line, LOG_LEVEL_ERROR, "start-failed");
    log_cstr(&line, "message", strerrordesc_np(errno));
    log_end(&line);
    return false;
}

static bool daemon_announce(const struct daemon *d, const char *ready_file)
{
    struct sts_buf text = {0};
    struct log_line line;
    bool good = true;

    for (size_t i = 0; i < http_server_address_count(d->http); i++) {
        struct sts_str address = http_server_address(d->http, i);
        log_begin(&line, LOG_LEVEL_INFO, "listening");
        log_str(&line, "address", address);
        log_end(&line);
        sts_buf_printf(&text, "address %.*s\n", STS_ARG(address));
    }
    if (ready_file && file_write_atomic(ready_file, sts_buf_str(&text), 0644) != 0) {
        log_begin(&line, LOG_LEVEL_ERROR, "ready-file");
        log_cstr(&line, "file", ready_file);
        log_cstr(&line, "message", file_error(errno));
        log_end(&line);
        good = false;
    }
    sts_buf_fini(&text);
    return good;
}

static void on_signal(void *data)
{
    struct daemon *d = data;
    struct signalfd_siginfo info;
    bool hangup = false;

    while (read(d->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo != SIGHUP) {
            loop_stop(d->loop);
            return;
        }
        hangup = true;
    }
    if (!hangup)
        return;
    reload(d, true);
    answer_start(d);
}

static void daemon_on_tick(void *data)
{
    struct daemon *d = data;

    bool pending = d->publisher.pending;
    if (!d->unsettled)
        publisher_tick(&d->publisher, d->snapshot);
    if (pending && !d->publisher.pending)
        reload_committed(d);
    retire_tick(&d->retire, clock_wall());
    reload_check_expiry(d);
    answer_start(d);
    loop_set(d->loop, &d->tick, TICK_MS, daemon_on_tick, d);
}

static void daemon_stop(struct daemon *d)
{
    struct log_line line;

    notify_stopping();
    admin_close(d->admin);
    hook_free(d->hook);
    bool drained = http_server_stop(d->http, d->snapshot->settings.shutdown_timeout * 1000);
    /* A start that was given up has nothing to add, and whoever asked for the end does not wait. */
    if (d->begun) {
        if (!d->unsettled)
            publisher_tick(&d->publisher, d->snapshot);
        reload_remember(d);
    }
    log_begin(&line, LOG_LEVEL_INFO, "stopped");
    log_cstr(&line, "drained", drained ? "yes" : "no");
    log_end(&line);
}

/* Building the next snapshot takes the processors that the workers leave; a thread's own, on Linux.
 */
static void yield_to_workers(void)
{
    enum { NICE = 5 };
    setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + NICE); /* where it is allowed */
}

/* From the first answer to the last one. Each step may take long when there is much to serve. */
static bool daemon_serve(struct daemon *d, const char *ready_file)
{
    if (!publisher_start(&d->publisher, d->snapshot) || !listen_and_start(d))
        return false;
    /* Served first, announced second. */
    d->hook = hook_new(d->loop, (struct ledger *const *)&d->publisher.ledger);
    d->publisher.is_end_asked = daemon_is_end_asked;
    reload_commit(d, NULL);
    d->publisher.is_end_asked = NULL;
    if (daemon_is_end_asked())
        return true;
    reload_start(d);
    answer_start(d);
    yield_to_workers();
    if (!daemon_announce(d, ready_file))
        return false;
    reload_say_ready(d);
    /* None of this is needed for the first answer. */
    if (!daemon_is_end_asked())
        reload_remember(d);
    if (daemon_is_end_asked())
        return true;
    reload_go_on(d);
    heap_trim();
    d->begun = true;
    loop_watch(d->loop, d->signals, POLLIN, on_signal, d);
    loop_set(d->loop, &d->tick, TICK_MS, daemon_on_tick, d);
    loop_run(d->loop);
    return true;
}

static enum daemon_result refuse_start(const char *config)
{
    struct log_line line;

    log_begin(&line, LOG_LEVEL_ERROR, "start");
    log_cstr(&line, "result", "refused");
    log_end(&line);
    return access(config, R_OK) == 0 ? DAEMON_REFUSED : DAEMON_FAILED;
}

enum daemon_result daemon_run(const char *config, const char *ready_file)
{
    struct daemon d = {.config = config, .publisher = {.lock = -1}, .started = clock_wall()};
    enum daemon_result result;

    heap_init();
    tls_library_begin();
    d.signals = daemon_begin_signals();
    d.snapshot = reload_first(&d);
    block_signals();
    if (d.snapshot) {
        d.loop = loop_new();
        result = daemon_serve(&d, ready_file) ? DAEMON_STOPPED : DAEMON_FAILED;
        if (d.http)
            daemon_stop(&d);
        publisher_close(&d.publisher);
        watch_free(d.watch);
        loop_free(d.loop);
    } else {
        result = refuse_start(config);
    }
    reload_fini(&d);
    /* Worker threads rest until exit; what they may still see, and took long to make, is left to
     * the kernel. */
    if (result == DAEMON_FAILED)
        snapshot_unref(d.snapshot);
    close(d.signals);
    return result;
}
