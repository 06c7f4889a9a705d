/* check: what serve would do with this configuration, by the same builder. */
#include <stdio.h>
#include <string.h>

#include "server/base/json.h"
#include "server/cli/command.h"
#include "server/cli/predict.h"
#include "server/snapshot/snapshot.h"
#include "server/sys/clock.h"

static void text_summary(struct sts_buf *out, const struct snapshot *s,
                         const struct sts_diags *diags)
{
    if (!s) {
        sts_buf_printf(out, "nothing would be served: %zu error%s\n", diags->errors,
                       diags->errors == 1 ? "" : "s");
        return;
    }
    sts_buf_printf(out, "%zu tenant%s: %zu served", s->tenant_count,
                   s->tenant_count == 1 ? "" : "s", s->served);
    if (s->without_certificate)
        sts_buf_printf(out, ", %zu without certificate", s->without_certificate);
    if (s->kept)
        sts_buf_printf(out, " (%zu kept as before)", s->kept);
    if (s->retiring)
        sts_buf_printf(out, ", %zu retiring", s->retiring);
    if (s->refused)
        sts_buf_printf(out, ", %zu refused", s->refused);
    sts_buf_add_cstr(out, "\n");
}

static const char *state_name(enum tenant_state state)
{
    static const char *const names[] = {[TENANT_SERVED] = "served",
                                        [TENANT_NO_CERTIFICATE] = "no-certificate",
                                        [TENANT_REFUSED] = "refused"};
    return names[state];
}

static json_t *tenants_json(const struct snapshot *s)
{
    json_t *tenants = json_array();

    for (size_t i = 0; s && i < s->tenant_count; i++) {
        json_t *object = json_object();
        json_object_set_new(object, "domain", sts_json_str(s->tenants[i].domain));
        json_object_set_new(object, "state", json_string(state_name(s->tenants[i].state)));
        json_object_set_new(object, "kept", json_boolean(s->tenants[i].kept != KEPT_NOT));
        json_array_append_new(tenants, object);
    }
    return tenants;
}

static void json_report(struct sts_buf *out, const struct snapshot *s, const struct served *served,
                        const struct sts_diags *diags)
{
    json_t *report = json_object();

    json_object_set_new(report, "usable", json_boolean(s != NULL));
    json_object_set_new(report, "errors", json_integer((json_int_t)diags->errors));
    json_object_set_new(report, "warnings", json_integer((json_int_t)diags->warnings));
    json_object_set_new(report, "tenants", tenants_json(s));
    json_object_set_new(report, "changes", predict_json(s, served));
    json_object_set_new(report, "diagnostics", sts_diags_json(diags));
    sts_json_render(out, report, true);
    sts_buf_add_cstr(out, "\n");
}

static enum exit_code report(const struct options *options, bool json, const struct snapshot *s,
                             const struct served *served, const struct sts_diags *diags)
{
    struct sts_buf out = {0};

    if (json) {
        json_report(&out, s, served, diags);
    } else {
        output_diags(diags, STS_NOTE);
        if (s)
            predict_text(&out, s, served, options->diff);
        text_summary(&out, s, diags);
    }
    bool written = output_write(sts_buf_str(&out));
    sts_buf_fini(&out);
    if (!written || output_blind(diags, options->config))
        return EXIT_BLIND;
    return diags->errors ? EXIT_ERRORS : EXIT_FINE;
}

enum exit_code command_check(const struct options *options)
{
    bool json = options->format && strcmp(options->format, "json") == 0;

    if (options->argument_count ||
        (options->format && !json && strcmp(options->format, "text") != 0)) {
        output_error("check takes no arguments, and --format text or json");
        return EXIT_USAGE;
    }
    struct sts_arena *arena = sts_arena_new();
    struct sts_diags diags;
    sts_diags_init(&diags, arena);
    struct served served;
    served_init(&served);
    const struct snapshot_input input = {.main_file = options->config,
                                         .now = clock_wall(),
                                         .served = &served,
                                         .with_ledger = true,
                                         .with_certificates = true};
    struct snapshot *s = snapshot_build(&input, &diags);
    enum exit_code code = report(options, json, s, &served, &diags);
    served_fini(&served);
    snapshot_unref(s);
    sts_arena_free(arena);
    return code;
}
