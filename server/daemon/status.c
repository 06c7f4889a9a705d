/* What `status` shows, as JSON. */
#include <string.h>
#include <unistd.h>

#include "server/daemon/parts.h"
#include "server/snapshot/report.h"
#include "server/sys/clock.h"

json_t *status_time(time_t t)
{
    char text[CLOCK_TEXT];
    return t ? json_string(clock_text(t, text)) : json_null();
}

static json_t *status_text_or_null(const char *text)
{
    return text && *text ? json_string(text) : json_null();
}

static void set_size(json_t *object, const char *key, size_t value)
{
    json_object_set_new(object, key, json_integer((json_int_t)value));
}

static json_t *snapshot_json(const struct snapshot *s)
{
    json_t *object = report_counts(s);

    json_object_set_new(object, "generation", json_integer((json_int_t)s->generation));
    json_object_set_new(object, "loaded", status_time(s->built));
    return object;
}

/* What concerns a tenant is said there, unless the look came to nothing; who was removed is said
 * for as long as the ledger knows that it matters. */
static json_t *diagnostics_json(const struct daemon *d)
{
    const struct attempt *a = &d->attempt;
    struct sts_arena *scratch = sts_arena_new();
    struct diagnosis_walk walk = {0};
    struct sts_diags rest;

    sts_diags_init(&rest, scratch);
    for (const struct sts_diag *diag; (diag = diagnosis_next(&a->diagnosis, &walk));)
        if (!a->usable || !diag->tenant.len ||
            (!snapshot_find_domain(d->snapshot, diag->tenant) &&
             strcmp(diag->code, "tenant-removed") != 0))
            sts_diags_add_copy(&rest, diag);
    json_t *array = sts_diags_json(&rest);
    sts_arena_free(scratch);
    return array;
}

static json_t *reload_json(const struct daemon *d)
{
    const struct attempt *a = &d->attempt;
    json_t *object = json_object();

    json_object_set_new(object, "at", status_time(a->at));
    json_object_set_new(object, "result", json_string(a->result));
    set_size(object, "errors", diagnosis_errors(&a->diagnosis));
    set_size(object, "warnings", diagnosis_warnings(&a->diagnosis));
    json_object_set_new(object, "diagnostics", diagnostics_json(d));
    return object;
}

static json_t *watch_json(const struct daemon *d)
{
    json_t *object = json_object();
    struct watch_state state;
    const char *help = NULL, *why = watching_why(d, &help);

    watch_state(d->watch, &state);
    json_object_set_new(object, "mode", json_string(state.polling ? "polling" : "events"));
    set_size(object, "directories", state.watches);
    set_size(object, "without", state.failed);
    json_object_set_new(object, "why", status_text_or_null(why));
    json_object_set_new(object, "help", status_text_or_null(help));
    return object;
}

/* For who sizes limits.certificate_cache. */
static json_t *cache_json(const struct daemon *d)
{
    json_t *object = json_object();
    struct cert_cache_counts counts;

    http_server_certificate_cache(d->http, &counts);
    set_size(object, "hits", counts.hits);
    set_size(object, "misses", counts.misses);
    set_size(object, "evicted", counts.evicted);
    set_size(object, "entries", counts.entries);
    set_size(object, "bytes", counts.bytes);
    return object;
}

static json_t *ledger_json(const struct daemon *d)
{
    json_t *object = json_object();
    const struct snapshot *s = d->snapshot;

    json_object_set_new(object, "path", sts_json_str(s->ledger));
    json_object_set_new(object, "pending", json_boolean(d->publisher.pending));
    json_object_set_new(object, "why", status_text_or_null(d->publisher.why));
    json_object_set_new(
        object, "notice",
        status_text_or_null(d->publisher.ledger ? ledger_notice(d->publisher.ledger) : NULL));
    return object;
}

static json_t *hook_json(const struct hook_state *state)
{
    static const char *const phases[] = {[HOOK_OFF] = "off",
                                         [HOOK_IDLE] = "idle",
                                         [HOOK_RUNNING] = "running",
                                         [HOOK_WAITING] = "waiting"};
    json_t *object = json_object();

    json_object_set_new(object, "phase", json_string(phases[state->phase]));
    set_size(object, "pending", state->pending);
    set_size(object, "failures", state->failures);
    json_object_set_new(object, "last_success", status_time(state->last_success));
    json_object_set_new(object, "next_try",
                        status_time(state->phase == HOOK_WAITING ? state->next_try : 0));
    json_object_set_new(object, "result", status_text_or_null(state->result));
    return object;
}

void status_render(struct sts_buf *out, struct daemon *d, const struct status_question *question)
{
    json_t *top = json_object();

    json_object_set_new(top, "version", json_string(MTA_STSD_VERSION));
    json_object_set_new(top, "pid", json_integer(getpid()));
    json_object_set_new(top, "started", status_time(d->started));
    json_object_set_new(top, "now", status_time(question->now));
    json_object_set_new(top, "config", sts_json_str(sts_str_from(d->config)));
    json_object_set_new(top, "snapshot", snapshot_json(d->snapshot));
    json_object_set_new(top, "reload", reload_json(d));
    json_object_set_new(top, "watch", watch_json(d));
    json_object_set_new(top, "certificate_cache", cache_json(d));
    json_object_set_new(top, "ledger", ledger_json(d));
    json_object_set_new(top, "on_change", hook_json(hook_state(d->hook)));
    sts_json_render(out, top, false);
    out->len--; /* the tenants, one by one: a tree of all of them would be large */
    status_tenants(out, d, question);
    sts_buf_add_cstr(out, "}");
}
