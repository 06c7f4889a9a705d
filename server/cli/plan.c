/* plan: what to do next for tenants, and from when on it is safe. It only reads. */
#include <stdio.h>
#include <string.h>

#include "mtasts/domain.h"
#include "server/base/json.h"
#include "server/cli/command.h"
#include "server/ledger/ledger.h"
#include "server/snapshot/rollout.h"
#include "server/sys/clock.h"

struct planning {
    struct sts_arena *arena;
    struct sts_diags diags;
    struct snapshot *snapshot;
    struct ledger *ledger; /* NULL: there is none yet */
    time_t now;
    struct sts_buf out;
    json_t *list; /* NULL: text */
    bool good;
};

static const char *const states[] = {
    [STS_STEP_DONE] = "done", [STS_STEP_NOW] = "now", [STS_STEP_WAIT] = "wait"};

/* --- text --- */

static void text_step(struct sts_buf *out, const struct sts_step *step)
{
    char day[ROLLOUT_TIME_SIZE], when[ROLLOUT_TIME_SIZE + 12];
    const char *word = "";

    *day = '\0';
    if (step->at && step->state == STS_STEP_DONE) {
        word = " since ";
        rollout_day(day, step->at);
    } else if (step->at && step->state == STS_STEP_WAIT) {
        word = " until ";
        rollout_day_after(day, step->at);
    }
    snprintf(when, sizeof(when), "%s%s%s", states[step->state], word, day);
    sts_buf_printf(out, "  %-21s  %.*s\n", when, STS_ARG(step->text));
}

static void text_safe(struct sts_buf *out, const struct sts_step *step)
{
    char day[ROLLOUT_TIME_SIZE];

    sts_buf_printf(out, "Safe to %.*s: ", STS_ARG(step->text));
    if (step->state == STS_STEP_NOW)
        sts_buf_add_cstr(out, "now\n");
    else if (step->at)
        sts_buf_printf(out, "from %s on\n", rollout_day_after(day, step->at));
    else
        sts_buf_add_cstr(out, "after the steps before it\n");
}

static void text_plan(struct sts_buf *out, struct sts_str domain, const struct rollout *plan)
{
    sts_buf_printf(out, "%s%.*s: %s\n", out->len ? "\n" : "", STS_ARG(domain),
                   rollout_situation_name(plan->situation));
    for (size_t i = 0; i < plan->step_count; i++)
        text_step(out, &plan->steps[i]);
    for (size_t i = 0; i < plan->safe_count; i++)
        text_safe(out, &plan->safe[i]);
}

/* --- JSON --- */

static json_t *plan_json_time(time_t at)
{
    char text[ROLLOUT_TIME_SIZE];
    return at ? json_string(rollout_time(text, at)) : json_null();
}

static json_t *json_steps(const struct sts_step *steps, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++) {
        json_t *object = json_object();
        json_object_set_new(object, "state", json_string(states[steps[i].state]));
        json_object_set_new(object, "code", json_string(steps[i].code));
        json_object_set_new(object, "at", plan_json_time(steps[i].at));
        json_object_set_new(object, "text", sts_json_str(steps[i].text));
        json_array_append_new(list, object);
    }
    return list;
}

static json_t *json_current(const struct rollout_policy *current)
{
    json_t *object = json_object(), *mx = json_array();

    for (size_t i = 0; i < current->policy.mx_count; i++)
        json_array_append_new(mx, sts_json_str(current->policy.mx[i]));
    json_object_set_new(object, "id", json_string(current->id));
    json_object_set_new(object, "mode", json_string(sts_mode_name(current->policy.mode)));
    json_object_set_new(object, "max_age", json_integer(current->policy.max_age));
    json_object_set_new(object, "mx", mx);
    return object;
}

static json_t *json_plan(struct sts_str domain, const struct rollout *plan)
{
    bool known = plan->current && !plan->current->damaged;
    json_t *object = json_object();

    json_object_set_new(object, "domain", sts_json_str(domain));
    json_object_set_new(object, "situation", json_string(rollout_situation_name(plan->situation)));
    json_object_set_new(object, "served", known ? json_current(plan->current) : json_null());
    json_object_set_new(object, "steps", json_steps(plan->steps, plan->step_count));
    json_object_set_new(object, "safe", json_steps(plan->safe, plan->safe_count));
    return object;
}

/* --- the command --- */

static void plan_one(struct planning *p, const char *name)
{
    struct sts_pos nowhere = {0};
    struct sts_str domain;
    struct rollout plan;

    if (!sts_domain_parse(p->arena, sts_str_from(name), STS_DOMAIN_CONFIG, nowhere, &p->diags,
                          &domain)) {
        p->good = false;
        return;
    }
    p->good =
        rollout_make(p->arena, p->ledger, p->snapshot, domain, p->now, &p->diags, &plan) && p->good;
    if (!plan.known) {
        struct sts_diag *diag =
            sts_diag_add(&p->diags, STS_ERROR, "tenant-unknown", nowhere,
                         "%.*s is not a tenant, and never was served", STS_ARG(domain));
        sts_diag_help(&p->diags, diag, "write it as under tenants:, without mta-sts.");
        p->good = false;
    } else if (p->list) {
        json_array_append_new(p->list, json_plan(domain, &plan));
    } else {
        text_plan(&p->out, domain, &plan);
    }
}

/* A ledger that is not there yet is fine: then nothing was ever served. */
static bool plan_open_ledger(struct planning *p)
{
    struct sts_diags own;

    sts_diags_init(&own, p->arena);
    p->ledger = output_ledger(p->arena, p->snapshot->base_dir, &p->snapshot->settings.ledger, &own);
    if (p->ledger || strcmp(own.first->code, "ledger-missing") == 0)
        return true;
    sts_diags_append(&p->diags, &own);
    return false;
}

static enum exit_code plan_run(struct planning *p, const struct options *options)
{
    const struct snapshot_input input = {
        .main_file = options->config, .now = p->now, .with_ledger = true};
    struct sts_diags build;

    sts_diags_init(&build, p->arena);
    p->snapshot = snapshot_build(&input, &build);
    if (!p->snapshot) {
        sts_diags_append(&p->diags, &build);
        return output_blind(&build, options->config) ? EXIT_BLIND : EXIT_ERRORS;
    }
    if (!plan_open_ledger(p))
        return EXIT_BLIND;
    p->good = true;
    for (size_t i = 0; i < options->argument_count; i++)
        plan_one(p, options->arguments[i]);
    if (p->list) {
        sts_json_render(&p->out, p->list, true);
        sts_buf_add_cstr(&p->out, "\n");
        p->list = NULL;
    }
    if (!output_write(sts_buf_str(&p->out)))
        return EXIT_BLIND;
    return p->good ? EXIT_FINE : EXIT_ERRORS;
}

enum exit_code command_plan(const struct options *options)
{
    struct planning p = {.now = clock_wall()};
    bool json = output_is_json(options->format);

    if (!options->argument_count || !output_is_format(options->format)) {
        output_error("plan takes one TENANT or more, and --format text or json");
        return EXIT_USAGE;
    }
    p.arena = sts_arena_new();
    sts_diags_init(&p.diags, p.arena);
    p.list = json ? json_array() : NULL;
    enum exit_code code = plan_run(&p, options);
    output_diags(&p.diags, STS_WARNING);
    json_decref(p.list);
    sts_buf_fini(&p.out);
    ledger_close(p.ledger);
    snapshot_unref(p.snapshot);
    sts_arena_free(p.arena);
    return code;
}
