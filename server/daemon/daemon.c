#include "server/daemon/daemon.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "server/daemon/publish.h"
#include "server/http/http.h"
#include "server/sys/clock.h"
#include "server/sys/file.h"
#include "server/sys/log.h"
#include "server/sys/notify.h"

enum { TICK_MS = 60000 };

struct daemon {
    const char *config;
    int signals;
    struct snapshot *snapshot;
    struct http_server *http;
    struct publisher publisher;
};

static struct snapshot *build(const struct daemon *d)
{
    struct sts_arena *arena = sts_arena_new();
    struct sts_diags diags;
    const struct snapshot_input input = {.main_file = d->config,
                                         .now = clock_wall(),
                                         .previous = d->snapshot,
                                         .with_certificates = true};

    sts_diags_init(&diags, arena);
    struct snapshot *s = snapshot_build(&input, &diags);
    log_diags(&diags);
    sts_arena_free(arena);
    return s;
}

static void log_snapshot(enum log_level level, const char *event, const char *result,
                         const struct snapshot *s)
{
    struct log_line line;

    log_begin(&line, level, event);
    log_cstr(&line, "result", result);
    if (s) {
        log_int(&line, "generation", (long long)s->generation);
        log_int(&line, "served", (long long)s->served);
        log_int(&line, "without_certificate", (long long)s->without_certificate);
        log_int(&line, "refused", (long long)s->refused);
        log_int(&line, "kept", (long long)s->kept);
    }
    log_end(&line);
}

/* Signals arrive by descriptor; workers inherit the mask and never see one. */
static int block_signals(void)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
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

static bool announce(const struct daemon *d, const char *ready_file)
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

static void say_ready(const struct daemon *d)
{
    char status[100];

    snprintf(status, sizeof(status), "serving %zu of %zu tenants", d->snapshot->served,
             d->snapshot->tenant_count);
    notify_ready(status);
}

/* Any failure leaves the running snapshot untouched. */
static void reload(struct daemon *d)
{
    notify_reloading();
    struct snapshot *next = build(d);
    if (!next) {
        log_snapshot(LOG_LEVEL_ERROR, "reload", "refused", d->snapshot);
        say_ready(d);
        return;
    }
    struct snapshot *old = d->snapshot;
    http_server_publish(d->http, next);
    d->snapshot = next;
    publisher_commit(&d->publisher, next);
    log_snapshot(LOG_LEVEL_INFO, "reload", "done", next);
    snapshot_unref(old);
    say_ready(d);
}

/* True when it is time to stop. */
static bool take_signals(struct daemon *d)
{
    struct signalfd_siginfo info;
    bool hangup = false;

    while (read(d->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo != SIGHUP)
            return true;
        hangup = true;
    }
    if (hangup)
        reload(d);
    return false;
}

static void run(struct daemon *d)
{
    uint64_t next_tick = clock_monotonic_ms() + TICK_MS;
    struct pollfd poll_signals = {.fd = d->signals, .events = POLLIN};

    for (;;) {
        uint64_t now = clock_monotonic_ms();
        if (now >= next_tick) {
            publisher_tick(&d->publisher, d->snapshot);
            next_tick = now + TICK_MS;
        }
        if (poll(&poll_signals, 1, (int)(next_tick - now > TICK_MS ? 0 : next_tick - now)) > 0 &&
            take_signals(d))
            return;
    }
}

static void stop(struct daemon *d)
{
    struct log_line line;

    notify_stopping();
    bool drained = http_server_stop(d->http, d->snapshot->settings.shutdown_timeout * 1000);
    publisher_tick(&d->publisher, d->snapshot);
    log_begin(&line, LOG_LEVEL_INFO, "stopped");
    log_cstr(&line, "drained", drained ? "yes" : "no");
    log_end(&line);
}

enum daemon_result daemon_run(const char *config, const char *ready_file)
{
    struct daemon d = {.config = config, .publisher = {.lock = -1}};
    enum daemon_result result = DAEMON_FAILED;

    d.signals = block_signals();
    d.snapshot = build(&d);
    if (!d.snapshot) {
        log_snapshot(LOG_LEVEL_ERROR, "start", "refused", NULL);
        return access(config, R_OK) == 0 ? DAEMON_REFUSED : DAEMON_FAILED;
    }
    if (listen_and_start(&d)) {
        /* Served first, announced second. */
        publisher_commit(&d.publisher, d.snapshot);
        log_snapshot(LOG_LEVEL_INFO, "start", "done", d.snapshot);
        if (announce(&d, ready_file)) {
            say_ready(&d);
            run(&d);
            result = DAEMON_STOPPED;
        }
    }
    if (d.http)
        stop(&d);
    publisher_close(&d.publisher);
    /* Worker threads rest until exit; what they may still see is left to the kernel. */
    if (!d.http)
        snapshot_unref(d.snapshot);
    close(d.signals);
    return result;
}
