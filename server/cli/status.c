/* status: what the running server serves, and what is wrong, as it says itself. */
#include <errno.h>
#include <string.h>

#include "server/cli/command.h"
#include "server/cli/server.h"
#include "server/snapshot/report.h"
#include "server/sys/file.h"

enum { ASK_MS = 30000 };

struct page {
    struct sts_arena *arena;
    struct sts_buf out;
    bool wrong; /* something is */
};

static const char *status_word(const struct page *p, const json_t *object, const char *key)
{
    return sts_json_line(p->arena, object, key).ptr;
}

static long long status_number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static bool status_is_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static bool status_failed(const struct page *p, const json_t *reload)
{
    const char *result = status_word(p, reload, "result");
    return strcmp(result, "refused") == 0 || strcmp(result, "waiting") == 0;
}

/* Each line of it two columns further in. */
static void print_diags(struct page *p, const json_t *array, enum sts_severity least)
{
    struct sts_diags diags;
    struct sts_buf text = {0};

    sts_diags_init(&diags, p->arena);
    sts_diags_from_json(&diags, array);
    for (const struct sts_diag *diag = diags.first; diag; diag = diag->next)
        if (diag->severity >= least)
            sts_diag_render_text(&text, diag, false);
    for (struct sts_str rest = sts_buf_str(&text); rest.len;) {
        size_t end = sts_str_find(rest, '\n', 0);
        sts_buf_printf(&p->out, "  %.*s\n", STS_ARG(sts_str_sub(rest, 0, end)));
        rest = sts_str_sub(rest, end + 1, rest.len);
    }
    sts_buf_fini(&text);
}

/* --- The server --- */

static void print_summary(struct page *p, const json_t *top)
{
    const json_t *snapshot = json_object_get(top, "snapshot");
    const json_t *reload = json_object_get(top, "reload");

    sts_buf_printf(&p->out, "serving %lld of %lld tenants", status_number(snapshot, "served"),
                   status_number(snapshot, "tenants"));
    server_counts_text(&p->out, snapshot);
    sts_buf_printf(&p->out, "; generation %lld, loaded %s; ", status_number(snapshot, "generation"),
                   status_word(p, snapshot, "loaded"));
    sts_buf_printf(&p->out, "last reload %s at %s", status_word(p, reload, "result"),
                   status_word(p, reload, "at"));
    if (status_number(reload, "errors"))
        sts_buf_printf(&p->out, ", %lld error%s", status_number(reload, "errors"),
                       status_number(reload, "errors") == 1 ? "" : "s");
    sts_buf_add_cstr(&p->out, "\n");
}

static void print_reload(struct page *p, const json_t *reload)
{
    if (status_failed(p, reload))
        sts_buf_add_cstr(&p->out, "what was there before is served:\n");
    print_diags(p, json_object_get(reload, "diagnostics"), STS_WARNING);
}

static void print_watch(struct page *p, const json_t *watch)
{
    if (strcmp(status_word(p, watch, "mode"), "polling") == 0)
        sts_buf_printf(&p->out, "watch: some changes are only found by looking: %s; %s\n",
                       status_word(p, watch, "why"), status_word(p, watch, "help"));
}

static void print_ledger(struct page *p, const json_t *ledger)
{
    if (status_is_true(ledger, "pending"))
        sts_buf_printf(&p->out, "ledger: %s cannot be written, so no new id is announced: %s\n",
                       status_word(p, ledger, "path"), status_word(p, ledger, "why"));
    if (*status_word(p, ledger, "notice"))
        sts_buf_printf(&p->out, "ledger: %s %s\n", status_word(p, ledger, "path"),
                       status_word(p, ledger, "notice"));
}

static void print_on_change(struct page *p, const json_t *hook)
{
    const char *phase = status_word(p, hook, "phase");

    if (strcmp(phase, "off") == 0)
        return;
    sts_buf_printf(&p->out, "on_change: %s", phase);
    if (status_number(hook, "pending"))
        sts_buf_printf(&p->out, ", %lld to be published", status_number(hook, "pending"));
    if (*status_word(p, hook, "result"))
        sts_buf_printf(&p->out, "; last run: %s", status_word(p, hook, "result"));
    if (*status_word(p, hook, "last_success"))
        sts_buf_printf(&p->out, "; last success %s", status_word(p, hook, "last_success"));
    if (*status_word(p, hook, "next_try"))
        sts_buf_printf(&p->out, "; %lld failed, next try %s", status_number(hook, "failures"),
                       status_word(p, hook, "next_try"));
    sts_buf_add_cstr(&p->out, "\n");
}

/* --- Tenants --- */

static void print_policy(struct page *p, const json_t *policy)
{
    const json_t *mx = json_object_get(policy, "mx");

    if (!json_is_object(policy))
        return;
    sts_buf_printf(&p->out, "  policy       %s, max_age %lld\n", status_word(p, policy, "mode"),
                   status_number(policy, "max_age"));
    for (size_t i = 0; i < json_array_size(mx); i++) {
        const char *name = json_string_value(json_array_get(mx, i));
        sts_buf_add_cstr(&p->out, "  mx           ");
        sts_buf_add_escaped(&p->out, sts_str_from(name), 256);
        sts_buf_add_cstr(&p->out, "\n");
    }
}

static void print_certificates(struct page *p, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        long long days = status_number(one, "days");
        sts_buf_printf(&p->out, "  certificate  %s, expires %s (%lld day%s), %s\n",
                       status_word(p, one, "key_type"), status_word(p, one, "not_after"), days,
                       days == 1 ? "" : "s", status_word(p, one, "file"));
    }
}

static void print_retire(struct page *p, const json_t *retire)
{
    if (!json_is_object(retire))
        return;
    if (status_is_true(retire, "safe"))
        sts_buf_add_cstr(&p->out, "  retire       safe to remove now: no sender holds its policy "
                                  "any more; first the records, then the tenant\n");
    else
        sts_buf_printf(&p->out, "  retire       safe to remove after %s\n",
                       status_word(p, retire, "safe_after"));
}

static void print_details(struct page *p, const json_t *t)
{
    sts_buf_printf(&p->out, "  host         %s\n", status_word(p, t, "host"));
    print_policy(p, json_object_get(t, "policy"));
    if (*status_word(p, t, "id"))
        sts_buf_printf(&p->out, "  id           %s, since %s\n", status_word(p, t, "id"),
                       status_word(p, t, "id_since"));
    print_certificates(p, json_object_get(t, "certificates"));
}

static void print_tenant(struct page *p, const json_t *t, bool details)
{
    const char *state = status_word(p, t, "state");
    bool serves = strcmp(state, "refused") != 0 && strcmp(state, "no-certificate") != 0;

    sts_buf_printf(&p->out, "%s: %s%s\n", status_word(p, t, "domain"), state,
                   serves && !status_is_true(t, "ready") ? ", not ready" : "");
    if (details)
        print_details(p, t);
    print_retire(p, json_object_get(t, "retire"));
    print_diags(p, json_object_get(t, "why"), STS_NOTE);
    if (details)
        print_diags(p, json_object_get(t, "advice"), STS_NOTE);
}

static void print_tenants(struct page *p, const json_t *top, bool details)
{
    const json_t *tenants = json_object_get(top, "tenants");
    const json_t *unknown = json_object_get(top, "unknown");

    for (size_t i = 0; i < json_array_size(tenants); i++)
        print_tenant(p, json_array_get(tenants, i), details);
    for (size_t i = 0; i < json_array_size(unknown); i++) {
        const char *name = json_string_value(json_array_get(unknown, i));
        sts_buf_add_escaped(&p->out, sts_str_from(name), 256);
        sts_buf_add_cstr(&p->out, ": is not a tenant; write it as under tenants:, without "
                                  "mta-sts.\n");
    }
}

static void print_text(struct page *p, const json_t *top, bool named)
{
    print_summary(p, top);
    if (!named || status_failed(p, json_object_get(top, "reload")))
        print_reload(p, json_object_get(top, "reload"));
    if (!named) {
        print_watch(p, json_object_get(top, "watch"));
        print_ledger(p, json_object_get(top, "ledger"));
        print_on_change(p, json_object_get(top, "on_change"));
    }
    print_tenants(p, top, named);
    print_diags(p, json_object_get(top, "removed"), STS_NOTE);
}

static bool any_alarm(const struct page *p, const json_t *array)
{
    struct sts_diags diags;

    sts_diags_init(&diags, p->arena);
    sts_diags_from_json(&diags, array);
    return report_any_alarm(&diags);
}

/* Whoever names tenants asks for those; what is wrong with others is not judged. */
static bool anything_wrong(const struct page *p, const json_t *top, bool named)
{
    const json_t *reload = json_object_get(top, "reload");
    const json_t *hook = json_object_get(top, "on_change");
    const json_t *tenants = json_object_get(top, "tenants");
    bool wrong = status_failed(p, reload) || json_array_size(json_object_get(top, "unknown")) > 0;

    if (!named)
        wrong |= status_number(reload, "errors") ||
                 status_is_true(json_object_get(top, "ledger"), "pending") ||
                 status_number(hook, "pending") || status_number(hook, "failures") ||
                 strcmp(status_word(p, json_object_get(top, "watch"), "mode"), "polling") == 0 ||
                 any_alarm(p, json_object_get(reload, "diagnostics")) ||
                 any_alarm(p, json_object_get(top, "removed"));
    for (size_t i = 0; i < json_array_size(tenants); i++) {
        const json_t *t = json_array_get(tenants, i);
        wrong |= !status_is_true(t, "ready") || strcmp(status_word(p, t, "state"), "kept") == 0 ||
                 any_alarm(p, json_object_get(t, "why"));
    }
    return wrong;
}

/* --- Asking --- */

static json_t *status_ask(const struct options *options, struct sts_arena *arena,
                          struct sts_str socket, bool json)
{
    json_t *request = json_object(), *tenants = json_array();

    json_object_set_new(request, "ask", json_string("status"));
    json_object_set_new(request, "file", sts_json_str(server_main_file(arena, options->config)));
    for (size_t i = 0; i < options->argument_count; i++)
        json_array_append_new(tenants, sts_json_str(sts_str_from(options->arguments[i])));
    if (options->argument_count)
        json_object_set(request, "tenants", tenants);
    json_object_set_new(request, "all", json_boolean(json));
    json_decref(tenants);
    return server_ask(socket, request, ASK_MS);
}

static void say_unreachable(struct sts_str socket, int error)
{
    if (error == ENOENT || error == ECONNREFUSED || error == ENOTDIR)
        output_error(
            "no server answers at %s; when one runs, its log says why, else start it, or name "
            "its configuration with -c",
            socket.ptr);
    else if (error == EACCES)
        output_error("%s: only root and the server's own user may ask; try sudo", socket.ptr);
    else if (error == ETIMEDOUT)
        output_error("the server at %s does not answer in %d s", socket.ptr, ASK_MS / 1000);
    else if (error == EPROTO)
        output_error("what answers at %s is no mta-stsd", socket.ptr);
    else
        output_error("%s cannot be asked: %s", socket.ptr, strerrordesc_np(error));
}

/* Releases `top`. */
static enum exit_code status_print(const struct options *options, bool json, json_t *top,
                                   struct sts_arena *arena)
{
    struct page p = {.arena = arena};
    bool named = options->argument_count != 0, wrong = anything_wrong(&p, top, named);

    if (json) {
        sts_json_render(&p.out, top, true);
        sts_buf_add_cstr(&p.out, "\n");
    } else {
        print_text(&p, top, named);
        json_decref(top);
    }
    bool written = output_write(sts_buf_str(&p.out));
    sts_buf_fini(&p.out);
    return !written ? EXIT_BLIND : wrong ? EXIT_ERRORS : EXIT_FINE;
}

static enum exit_code status_run(const struct options *options, bool json, struct sts_arena *arena)
{
    struct sts_str socket;

    if (!server_find(arena, options->config, &socket)) {
        output_error("%s %s; name the configuration of the server with -c", options->config,
                     file_error(errno));
        return EXIT_BLIND;
    }
    json_t *top = status_ask(options, arena, socket, json);
    if (!top) {
        say_unreachable(socket, errno);
        return EXIT_BLIND;
    }
    const char *error = json_string_value(json_object_get(top, "error"));
    if (status_is_true(top, "other_file")) {
        output_error("the server at %s runs with another main file than %s: %s", socket.ptr,
                     options->config, json_string_value(json_object_get(top, "config")));
        json_decref(top);
        return EXIT_BLIND;
    }
    if (!error && json_is_object(json_object_get(top, "snapshot")))
        return status_print(options, json, top, arena);
    output_error("the server at %s says: %s", socket.ptr, error ? error : "nothing that is known");
    json_decref(top);
    return EXIT_BLIND;
}

enum exit_code command_status(const struct options *options)
{
    bool json = options->format && strcmp(options->format, "json") == 0;

    if (options->format && !json && strcmp(options->format, "text") != 0) {
        output_error("status takes --format text or json, and names of tenants");
        return EXIT_USAGE;
    }
    struct sts_arena *arena = sts_arena_new();
    enum exit_code code = status_run(options, json, arena);
    sts_arena_free(arena);
    return code;
}
