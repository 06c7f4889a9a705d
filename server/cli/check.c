/* check: what serve would do with this configuration, by the same builder: run by the server itself
 * when it runs with this file, for only it knows what it would keep. */
#include <stdio.h>
#include <string.h>

#include "server/cli/command.h"
#include "server/cli/predict.h"
#include "server/cli/server.h"
#include "server/snapshot/report.h"
#include "server/sys/clock.h"

enum { ASK_MS = 60000 }; /* a build of many tenants takes its time */

static json_t *check_ask(struct sts_str socket, const char *what, const char *file)
{
    json_t *request = json_object();

    json_object_set_new(request, "ask", json_string(what));
    if (file)
        json_object_set_new(request, "file", sts_json_str(sts_str_from(file)));
    return server_ask(socket, request, ASK_MS);
}

/* What a running server says that it serves; false when none says so. */
static bool ask_served(struct sts_arena *arena, struct sts_str socket, struct served *served)
{
    json_t *reply = check_ask(socket, "served", NULL);
    const json_t *list = json_object_get(reply, "served"), *item;
    struct sts_str last = {0};
    size_t i;

    json_array_foreach(list, i, item)
    {
        struct sts_str domain = sts_json_text(arena, item, "domain");
        if (sts_str_cmp(last, domain) < 0)
            served_add(served, &(struct served_tenant){domain, sts_json_text(arena, item, "body"),
                                                       sts_json_text(arena, item, "file")});
        last = domain;
    }
    bool good = json_is_array(list);
    json_decref(reply);
    return good;
}

static json_t *build_here(const char *config, struct sts_arena *arena, struct sts_str socket)
{
    struct sts_diags diags;
    struct served served;

    sts_diags_init(&diags, arena);
    served_init(&served);
    bool asked = socket.len && ask_served(arena, socket, &served);
    const struct snapshot_input input = {.main_file = config,
                                         .now = clock_wall(),
                                         .served = &served,
                                         .with_ledger = true,
                                         .with_certificates = true};
    struct snapshot *s = snapshot_build(&input, &diags);
    const struct report_input report = {.snapshot = s,
                                        .served = &served,
                                        .diags = &diags,
                                        .now = input.now,
                                        .compared_with = asked          ? "served"
                                                         : served.count ? "ledger"
                                                                        : NULL,
                                        .config = config};
    json_t *json = report_json(&report);
    served_fini(&served);
    snapshot_unref(s);
    return json;
}

/* The report of the running server when it runs with this file, else one made here. */
static json_t *check_predict(const char *config, struct sts_arena *arena)
{
    struct sts_str socket;

    if (!server_find(arena, config, &socket))
        return build_here(config, arena, (struct sts_str){0});
    json_t *report = check_ask(socket, "check", server_main_file(arena, config).ptr);
    if (json_is_array(json_object_get(report, "diagnostics")))
        return report;
    bool other = json_is_true(json_object_get(report, "other_file"));
    json_decref(report);
    return build_here(config, arena, other ? socket : (struct sts_str){0});
}

static long long check_number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static const char *compared_with(const json_t *report)
{
    static const char *const words[][2] = {
        {"server", "; compared with the running server"},
        {"served", "; compared with what the running server serves, which has another main file"},
        {"ledger", "; compared with what the ledger says was served"}};
    const char *name = json_string_value(json_object_get(report, "compared_with"));

    for (size_t i = 0; name && i < sizeof(words) / sizeof(*words); i++)
        if (strcmp(name, words[i][0]) == 0)
            return words[i][1];
    return "";
}

static void unusable_summary(struct sts_buf *out, const json_t *report)
{
    const char *name = json_string_value(json_object_get(report, "compared_with"));
    bool runs = name && strcmp(name, "server") == 0;
    long long errors = check_number(report, "errors");

    sts_buf_printf(out, "nothing would %s: ", runs ? "change" : "be served");
    if (errors)
        sts_buf_printf(out, "%lld error%s", errors, errors == 1 ? "" : "s");
    else
        sts_buf_add_cstr(out, "the configuration is still being written");
}

static void text_summary(struct sts_buf *out, const json_t *report)
{
    const json_t *counts = json_object_get(report, "counts");

    if (!json_is_true(json_object_get(report, "usable"))) {
        unusable_summary(out, report);
    } else {
        long long tenants = check_number(counts, "tenants");
        sts_buf_printf(out, "%lld tenant%s: %lld served", tenants, tenants == 1 ? "" : "s",
                       check_number(counts, "served"));
        server_counts_text(out, counts);
    }
    sts_buf_printf(out, "%s\n", compared_with(report));
}

static enum exit_code check_judge(const json_t *report, const struct sts_diags *diags)
{
    const char *config = json_string_value(json_object_get(report, "config"));

    if (config && output_blind(diags, config))
        return EXIT_BLIND;
    if (report_any_alarm(diags))
        return EXIT_ERRORS;
    return json_is_true(json_object_get(report, "usable")) ? EXIT_FINE : EXIT_BLIND;
}

/* Releases the report. */
static enum exit_code check_print(const struct options *options, bool json, json_t *report,
                                  struct sts_arena *arena)
{
    struct sts_buf out = {0};
    struct sts_diags diags;

    sts_diags_init(&diags, arena);
    sts_diags_from_json(&diags, json_object_get(report, "diagnostics"));
    enum exit_code code = check_judge(report, &diags);
    if (json) {
        sts_json_render(&out, report, true);
        sts_buf_add_cstr(&out, "\n");
    } else {
        output_diags(&diags, STS_NOTE);
        if (json_is_string(json_object_get(report, "compared_with")))
            predict_text(&out, json_object_get(report, "changes"), options->diff);
        text_summary(&out, report);
        json_decref(report);
    }
    bool written = output_write(sts_buf_str(&out));
    sts_buf_fini(&out);
    return written ? code : EXIT_BLIND;
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
    enum exit_code code = check_print(options, json, check_predict(options->config, arena), arena);
    sts_arena_free(arena);
    return code;
}
