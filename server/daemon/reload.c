/* Reload: look, build, publish, commit, in this order: served first, announced second (RFC 8461
 * §8.1). Every event, signal or retry ends here, and only says "look again". */
#include <errno.h>
#include <stdio.h>

#include "server/daemon/parts.h"
#include "server/snapshot/report.h"
#include "server/sys/clock.h"
#include "server/sys/file.h"
#include "server/sys/heap.h"
#include "server/sys/log.h"
#include "server/sys/notify.h"

enum {
    PUBLISH_WAIT_MS = 1000, /* for what takes a worker microseconds, in a flood milliseconds */
    SETTLE_MS = 500,        /* from then on, how often it is looked at */
};

static struct snapshot_input input_of(const struct daemon *d)
{
    return (struct snapshot_input){.main_file = d->config,
                                   .now = clock_wall(),
                                   .previous = d->snapshot,
                                   .ledger = d->publisher.ledger,
                                   .with_ledger = !d->snapshot,
                                   .with_certificates = true};
}

/* What the attempt before said is not said again. It stays when it is the last one that was of use,
 * and what is served is so because of it. */
static size_t reload_end_attempt(struct daemon *d, struct attempt *before)
{
    size_t news = said_log(&before->diagnosis, &d->attempt.diagnosis);

    if (d->attempt.usable || before->usable) {
        diagnosis_fini(&d->good.diagnosis);
        d->good = (struct attempt){0};
    }
    if (before->usable && !d->attempt.usable)
        d->good = *before;
    else
        diagnosis_fini(&before->diagnosis);
    return news;
}

const struct attempt *reload_reasons(const struct daemon *d)
{
    return d->attempt.usable ? &d->attempt : &d->good;
}

static struct snapshot *reload_build(struct daemon *d, enum snapshot_look look,
                                     struct snapshot_touched touched, struct attempt *before)
{
    struct sts_source *main_source = NULL;
    struct snapshot_input input = input_of(d);

    input.look = look;
    input.touched = touched;
    input.main_source = &main_source;
    *before = d->attempt;
    d->attempt = (struct attempt){.at = input.now};
    diagnosis_init(&d->attempt.diagnosis);
    struct snapshot *s = snapshot_diagnose(&input, &d->attempt.diagnosis);
    d->attempt.usable = s != NULL;
    if (main_source) {
        sts_source_unref(d->looked_at);
        d->looked_at = main_source;
    }
    return s;
}

/* One line: the outcome, what is served now, and what this look changed. */
static void log_result(const struct daemon *d, const char *event)
{
    const struct snapshot *s = d->snapshot;
    const char *result = d->attempt.result;
    struct log_line line;

    log_begin(&line, *result == 'r' ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, event);
    log_cstr(&line, "result", result);
    log_int(&line, "generation", (long long)s->generation);
    log_int(&line, "served", (long long)s->served);
    log_int(&line, "without_certificate", (long long)s->without_certificate);
    log_int(&line, "refused", (long long)s->refused);
    log_int(&line, "kept", (long long)s->kept);
    log_int(&line, "retiring", (long long)s->retiring);
    if (*result == 'd') {
        log_int(&line, "added", (long long)s->changes.added);
        log_int(&line, "changed", (long long)s->changes.changed);
        log_int(&line, "removed", (long long)s->changes.removed);
        log_int(&line, "renewed", (long long)s->changes.renewed);
        log_int(&line, "files_read", (long long)s->work.read);
        log_int(&line, "files_parsed", (long long)s->work.parsed);
        log_int(&line, "tenants_resolved", (long long)s->work.resolved);
        log_int(&line, "certificates_read", (long long)s->work.certificates.read);
        log_cstr(&line, "certificate_folders", s->searched ? "all" : "told");
    }
    log_end(&line);
}

struct snapshot *reload_first(struct daemon *d)
{
    struct attempt before;
    struct snapshot *s = reload_build(d, LOOK_STAT, (struct snapshot_touched){0}, &before);

    reload_end_attempt(d, &before);
    d->attempt.result = s ? "done" : "refused";
    return s;
}

/* `where` is of a snapshot that may be dropped, because nothing else changed. */
static void needs_restart(struct sts_diags *diags, struct sts_pos where, const char *key)
{
    where.source = sts_arena_dup(diags->arena, where.source);
    struct sts_diag *diag = sts_diag_add(diags, STS_WARNING, "restart-needed", where,
                                         "%s changed, and counts after a restart only", key);
    sts_diag_help(diags, diag, "systemctl restart mta-stsd");
}

static bool same_listen(const struct sts_settings *a, const struct sts_settings *b)
{
    bool same = a->listen_count == b->listen_count;

    for (size_t i = 0; same && i < a->listen_count; i++)
        same = sts_str_eq(a->listen[i].address, b->listen[i].address) &&
               a->listen[i].tls == b->listen[i].tls &&
               a->listen[i].proxy_protocol == b->listen[i].proxy_protocol;
    return same;
}

/* What only http_server_new and the first opening of the ledger look at. */
static void compare_settings(const struct daemon *d, const struct snapshot *next,
                             struct sts_diags *diags)
{
    const struct sts_settings *a = &d->origin->settings, *b = &next->settings;
    struct sts_pos file = {next->main_file, 0, 0};

    if (!same_listen(a, b))
        needs_restart(diags, b->listen_count ? b->listen[0].where : file, "listen");
    if (!sts_str_eq(a->ledger.path, b->ledger.path))
        needs_restart(diags, b->ledger.where, "ledger");
    if (a->workers != b->workers)
        needs_restart(diags, file, "limits.workers");
    if (a->max_connections != b->max_connections)
        needs_restart(diags, file, "limits.connections");
    if (a->max_connections_per_ip != b->max_connections_per_ip)
        needs_restart(diags, file, "limits.connections_per_ip");
    if (a->certificate_cache != b->certificate_cache)
        needs_restart(diags, file, "limits.certificate_cache");
}

void reload_say_ready(const struct daemon *d)
{
    char status[120];

    snprintf(status, sizeof(status), "serving %zu of %zu tenants%s", d->snapshot->served,
             d->snapshot->tenant_count,
             diagnosis_errors(&d->attempt.diagnosis) ? "; see mta-stsd status" : "");
    notify_ready(status);
}

static void reload_log_unsettled(bool unsettled)
{
    struct log_line line;

    log_begin(&line, unsettled ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
              unsettled ? "worker-busy" : "worker-ready");
    log_cstr(&line, "message",
             unsettled ? "a worker is busy and may still serve what was before: new ids wait for it"
                       : "all workers serve what is new");
    log_end(&line);
}

static void reload_try_settled(void *data)
{
    reload_commit(data, NULL);
}

/* An id is announced when no worker can answer with another policy any more. */
void reload_commit(struct daemon *d, const struct snapshot *before)
{
    bool waited = d->unsettled;

    d->unsettled = !http_server_settled(d->http);
    if (waited != d->unsettled)
        reload_log_unsettled(d->unsettled);
    if (d->unsettled) {
        loop_set(d->loop, &d->settle, SETTLE_MS, reload_try_settled, d);
        return;
    }
    publisher_commit(&d->publisher, waited ? NULL : before, d->snapshot);
    reload_committed(d);
}

void reload_committed(struct daemon *d)
{
    retire_update(&d->retire, d->snapshot, d->publisher.ledger, clock_wall());
    if (!d->publisher.pending)
        hook_changed(d->hook, d->snapshot);
}

void reload_remember(struct daemon *d)
{
    struct cert_store *store = d->snapshot->certificates;
    struct sts_arena *arena = sts_arena_new();
    struct sts_str path = snapshot_certificate_index(d->snapshot, arena);
    struct log_line line;
    int error = 0;

    if (store && d->publisher.lock >= 0 && cert_store_remember(store, path.ptr) != 0)
        error = errno;
    if (error && error != d->index_error) {
        log_begin(&line, LOG_LEVEL_WARNING, "certificate-index");
        log_str(&line, "file", path);
        log_cstr(&line, "message", file_error(error));
        log_end(&line);
    }
    d->index_error = error;
    sts_arena_free(arena);
}

static void reload_publish(struct daemon *d, struct snapshot *next)
{
    struct snapshot *old = d->snapshot;

    http_server_publish(d->http, next, PUBLISH_WAIT_MS);
    d->snapshot = next;
    expiry_update(&d->expiry, old, next);
    reload_commit(d, old);
    snapshot_unref(old);
}

static void on_look(void *data)
{
    struct daemon *d = data;
    uint64_t now = clock_monotonic_ms();

    switch (schedule_work(&d->schedule, now)) {
    case SCHEDULE_LOOK:
        reload(d, false);
        return;
    case SCHEDULE_COMPARE:
        watching_rescan(d);
        break;
    case SCHEDULE_WAIT:
        break;
    }
    reload_plan(d);
}

/* Sets the timer for whatever comes next. */
void reload_plan(struct daemon *d)
{
    uint64_t now = clock_monotonic_ms(), next = schedule_next(&d->schedule);
    loop_set(d->loop, &d->look, next > now ? next - now : 0, on_look, d);
}

void reload_check_expiry(struct daemon *d)
{
    if (!expiry_tick(&d->expiry, clock_wall()))
        return;
    d->wide = true;
    schedule_event(&d->schedule, clock_monotonic_ms());
    reload_plan(d);
}

static void reload_configure(struct daemon *d)
{
    const struct sts_settings *s = &d->snapshot->settings;
    schedule_configure(&d->schedule, s->settle, s->settle_limit, s->rescan * 1000,
                       clock_monotonic_ms());
}

/* Who asks gets every file read. Else stat tells which to read; and when all that happened since a
 * look that left nothing open was told by events, only those files are looked at. What is new is
 * watched by then, but the place of a new file among the others is found by listing all. */
static enum snapshot_look reload_prepare(struct daemon *d, bool asked, struct sts_arena *scratch,
                                         struct snapshot_touched *touched)
{
    bool open = d->wide || !d->attempt.usable || d->schedule.retry != SCHEDULE_NEVER;
    enum told told = asked || open ? TOLD_NOT : watching_told(d, scratch, touched);

    if (told != TOLD_NOT)
        return told == TOLD_ALL ? LOOK_TOLD : LOOK_NEW;
    d->wide = false;
    watching_begin(d);
    return asked ? LOOK_READ : LOOK_STAT;
}

void reload(struct daemon *d, bool asked)
{
    struct attempt *a = &d->attempt, before;
    struct sts_arena *scratch = sts_arena_new();
    struct snapshot_touched touched = {0};

    if (asked)
        notify_reloading();
    enum snapshot_look look = reload_prepare(d, asked, scratch, &touched);
    struct snapshot *next = reload_build(d, look, touched, &before);
    if (next)
        compare_settings(d, next, &a->diagnosis.own);
    size_t news = reload_end_attempt(d, &before);
    bool incomplete = !next || next->incomplete, searched = next && next->searched;
    bool done = next && !snapshot_same(d->snapshot, next);
    a->result = done   ? "done"
                : next ? "unchanged"
                : diagnosis_errors(&a->diagnosis) == 0
                    ? "waiting" /* for whoever writes the main file */
                    : "refused";
    if (done)
        reload_publish(d, next);
    else
        snapshot_unref(next);
    if (!done && asked && d->publisher.pending) /* the ledger may have been mended... */
        reload_commit(d, NULL);
    else if (!done && asked) /* ...or deleted */
        publisher_tick(&d->publisher, d->snapshot);
    if (asked)
        hook_hurry(d->hook);
    if (asked || done || news)
        log_result(d, "reload");
    reload_configure(d);
    schedule_looked(&d->schedule, clock_monotonic_ms(), incomplete, done);
    /* Files may have changed while they were read. */
    bool told = look == LOOK_TOLD || look == LOOK_NEW;
    if (told && watching_all(d))
        watching_go_on(d);
    else
        watching_compare(d, told);
    sts_arena_free(scratch);
    reload_plan(d);
    reload_check_expiry(d);
    reload_say_ready(d);
    if (done)
        reload_remember(d);
    if (!told || searched)
        heap_trim(); /* milliseconds, more after many fetches: too much for a small change */
}

void reload_start(struct daemon *d)
{
    d->origin = sts_source_ref(d->snapshot->sources[0].source);
    log_result(d, "start");
    schedule_init(&d->schedule, clock_monotonic_ms());
    reload_configure(d);
    d->watch = watch_new();
    d->watch_descriptor = -1;
    expiry_update(&d->expiry, NULL, d->snapshot);
    reload_check_expiry(d);
}

void reload_go_on(struct daemon *d)
{
    watching_start(d);
    reload_plan(d);
}

json_t *reload_predict(const struct daemon *d)
{
    const struct snapshot_input input = input_of(d);
    struct sts_arena *arena = sts_arena_new();
    struct sts_diags diags;

    sts_diags_init(&diags, arena);
    struct snapshot *next = snapshot_build(&input, &diags);
    if (next)
        compare_settings(d, next, &diags);
    const struct report_input report = {.snapshot = next,
                                        .previous = d->snapshot,
                                        .diags = &diags,
                                        .now = input.now,
                                        .compared_with = "server",
                                        .config = d->config};
    json_t *json = report_json(&report);
    snapshot_unref(next);
    sts_arena_free(arena);
    return json;
}

void reload_fini(struct daemon *d)
{
    diagnosis_fini(&d->attempt.diagnosis);
    diagnosis_fini(&d->good.diagnosis);
    retire_fini(&d->retire);
    expiry_fini(&d->expiry);
    sts_source_unref(d->origin);
    sts_source_unref(d->looked_at);
    sts_source_unref(d->watched);
}
