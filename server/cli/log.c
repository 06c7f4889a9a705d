/* log: every policy that was served, and what each changed. The oldest comes first, because each is
 * compared with the one before: so any number of them needs the memory of two. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mtasts/config.h"
#include "mtasts/domain.h"
#include "server/base/json.h"
#include "server/cli/command.h"
#include "server/ledger/ledger.h"
#include "server/snapshot/rollout.h"
#include "server/sys/file.h"

enum { NAMED_MAX = 6 };

struct history {
    struct sts_arena *arena;
    struct sts_diags diags;
    struct sts_source *main_source;
    struct ledger *ledger;
    struct sts_buf out;
    bool json, written;
    size_t count; /* entries shown */
    /* The entry before, of the same tenant. */
    struct sts_buf domain;
    struct sts_arena *before;
    struct sts_policy policy;
};

struct entry {
    const struct ledger_instance *instance;
    struct sts_policy policy; /* not when damaged */
    bool damaged;
};

static bool log_has_mx(const struct sts_policy *policy, struct sts_str mx)
{
    for (size_t i = 0; i < policy->mx_count; i++)
        if (sts_str_eq(policy->mx[i], mx))
            return true;
    return false;
}

/* --- text --- */

static void text_changes(struct sts_buf *out, const struct sts_policy *a,
                         const struct sts_policy *b, char sign, size_t *count)
{
    for (size_t i = 0; i < a->mx_count; i++) {
        if (log_has_mx(b, a->mx[i]))
            continue;
        if (++*count <= NAMED_MAX)
            sts_buf_printf(out, " %c%.*s", sign, STS_ARG(a->mx[i]));
    }
}

static void text_begin(struct history *h, struct sts_str domain)
{
    sts_buf_add_cstr(&h->out, h->count ? "\n" : "");
    sts_buf_add_escaped(&h->out, domain, STS_DOMAIN_MAX);
    sts_buf_printf(&h->out, "\n  %-20s  %-20s  %-23s  %-7s  %-10s  MX\n", "FIRST SERVED",
                   "LAST SERVED", "ID", "MODE", "MAX_AGE");
}

static void text_entry(struct history *h, const struct entry *e)
{
    char first[ROLLOUT_TIME_SIZE], last[ROLLOUT_TIME_SIZE] = "now", span[ROLLOUT_SPAN_SIZE];
    const struct ledger_instance *i = e->instance;
    size_t count = 0;

    if (i->last_served)
        rollout_time(last, i->last_served);
    sts_buf_printf(&h->out, "  %-20s  %-20s  ", rollout_time(first, i->first_served), last);
    if (e->damaged) {
        sts_buf_add_cstr(&h->out, "(damaged)\n");
        return;
    }
    sts_buf_printf(&h->out, "%-23s  %-7s  %-10s ", i->id, sts_mode_name(i->mode),
                   rollout_span(span, i->max_age));
    text_changes(&h->out, &e->policy, &h->policy, '+', &count);
    text_changes(&h->out, &h->policy, &e->policy, '-', &count);
    if (count > NAMED_MAX)
        sts_buf_printf(&h->out, " and %zu more", count - NAMED_MAX);
    sts_buf_add_cstr(&h->out, count ? "\n" : " =\n");
}

/* --- JSON --- */

static json_t *log_json_time(time_t at)
{
    char text[ROLLOUT_TIME_SIZE];
    return at ? json_string(rollout_time(text, at)) : json_null();
}

/* The mx of `a` that `b` lacks; all without `b`. */
static json_t *json_mx(const struct sts_policy *a, const struct sts_policy *b)
{
    json_t *list = json_array();

    for (size_t i = 0; i < a->mx_count; i++)
        if (!b || !log_has_mx(b, a->mx[i]))
            json_array_append_new(list, sts_json_str(a->mx[i]));
    return list;
}

static void json_entry(struct history *h, const struct entry *e)
{
    const struct ledger_instance *i = e->instance;
    json_t *object = json_object();

    json_object_set_new(object, "domain", sts_json_str(i->domain));
    json_object_set_new(object, "first_served", log_json_time(i->first_served));
    json_object_set_new(object, "last_served", log_json_time(i->last_served));
    json_object_set_new(object, "damaged", json_boolean(e->damaged));
    if (!e->damaged) {
        json_object_set_new(object, "id", json_string(i->id));
        json_object_set_new(object, "mode", json_string(sts_mode_name(i->mode)));
        json_object_set_new(object, "max_age", json_integer(i->max_age));
        json_object_set_new(object, "cached_until", log_json_time(i->cached_until));
        json_object_set_new(object, "mx", json_mx(&e->policy, NULL));
        json_object_set_new(object, "added", json_mx(&e->policy, &h->policy));
        json_object_set_new(object, "removed", json_mx(&h->policy, &e->policy));
    }
    sts_buf_add_cstr(&h->out, h->count ? ",\n" : "\n");
    sts_json_render(&h->out, object, false);
}

/* --- entries --- */

static void begin_tenant(struct history *h, struct sts_str domain)
{
    if (h->count && sts_str_eq(domain, sts_buf_str(&h->domain)))
        return;
    h->domain.len = 0;
    sts_buf_add(&h->domain, domain);
    h->policy = (struct sts_policy){0};
    if (!h->json)
        text_begin(h, domain);
}

/* Only the body is proved by the digest; what stands beside it must be the same. */
static bool log_parse(struct sts_arena *arena, const struct ledger_instance *i,
                      struct sts_policy *out)
{
    struct sts_diags ignored;

    sts_diags_init(&ignored, arena);
    return sts_policy_parse(arena, i->body, STS_STR("ledger"), &ignored, out) &&
           out->mode == i->mode && out->max_age == i->max_age;
}

static void log_show(void *data, const struct ledger_instance *instance, bool readable)
{
    struct history *h = data;
    struct sts_arena *arena = sts_arena_new();
    struct entry e = {.instance = instance};

    e.damaged = !readable || !log_parse(arena, instance, &e.policy);
    begin_tenant(h, instance->domain);
    (h->json ? json_entry : text_entry)(h, &e);
    h->count++;
    if (!e.damaged) {
        struct sts_arena *old = h->before;
        h->before = arena;
        h->policy = e.policy;
        arena = old;
    }
    sts_arena_free(arena);
    if (h->written)
        h->written = output_pieces(&h->out, OUTPUT_PIECE);
    else
        h->out.len = 0;
}

static bool show_tenant(struct history *h, const char *name)
{
    struct sts_pos nowhere = {0};
    struct sts_str domain;
    size_t count = h->count;

    if (!sts_domain_parse(h->arena, sts_str_from(name), STS_DOMAIN_CONFIG, nowhere, &h->diags,
                          &domain))
        return false;
    bool good = ledger_each_entry(h->ledger, domain, log_show, h, &h->diags);
    if (!good || h->count > count)
        return good;
    struct sts_diag *diag = sts_diag_add(&h->diags, STS_ERROR, "tenant-unknown", nowhere,
                                         "%.*s never was served", STS_ARG(domain));
    sts_diag_help(&h->diags, diag, "write it as under tenants:, without mta-sts.");
    return false;
}

static bool show_all(struct history *h, const struct options *options)
{
    bool good = true;

    sts_buf_add_cstr(&h->out, h->json ? "[" : "");
    for (size_t i = 0; i < options->argument_count; i++)
        good = show_tenant(h, options->arguments[i]) && good;
    if (!options->argument_count)
        good = ledger_each_entry(h->ledger, (struct sts_str){0}, log_show, h, &h->diags);
    sts_buf_add_cstr(&h->out, !h->json ? "" : h->count ? "\n]\n" : "]\n");
    h->written = h->written && output_write(sts_buf_str(&h->out));
    return good;
}

/* --- the command --- */

/* Of the configuration only the place of the ledger matters: its tenants may be broken. */
static enum exit_code log_open_ledger(struct history *h, const char *config)
{
    struct sts_str name = sts_arena_dup(h->arena, sts_str_from(config));
    struct sts_buf text = {0};

    if (file_read(config, STS_SOURCE_MAX, &text, NULL) != 0) {
        output_error("%s %s", config, file_error(errno));
        sts_buf_fini(&text);
        return EXIT_BLIND;
    }
    h->main_source = sts_source_parse(sts_buf_str(&text), name, true);
    sts_buf_fini(&text);
    if (h->main_source->broken) {
        sts_diags_append(&h->diags, &h->main_source->diags);
        return EXIT_ERRORS;
    }
    h->ledger = output_ledger(h->arena, file_dirname(h->arena, name),
                              &h->main_source->settings.ledger, &h->diags);
    return h->ledger ? EXIT_FINE : EXIT_BLIND;
}

enum exit_code command_log(const struct options *options)
{
    struct history h = {.json = output_is_json(options->format), .written = true};

    if (!output_is_format(options->format)) {
        output_error("log takes TENANTs, and --format text or json");
        return EXIT_USAGE;
    }
    h.arena = sts_arena_new();
    sts_diags_init(&h.diags, h.arena);
    enum exit_code code = log_open_ledger(&h, options->config);
    if (code == EXIT_FINE && !show_all(&h, options))
        code = EXIT_ERRORS;
    if (!h.written)
        code = EXIT_BLIND;
    output_diags(&h.diags, STS_ERROR);
    ledger_close(h.ledger);
    sts_source_unref(h.main_source);
    sts_arena_free(h.before);
    sts_buf_fini(&h.domain);
    sts_buf_fini(&h.out);
    sts_arena_free(h.arena);
    return code;
}
