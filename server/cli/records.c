/* records: the DNS records of tenants, in the format that somebody's tool takes. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mtasts/config.h"
#include "mtasts/domain.h"
#include "server/cli/select.h"
#include "server/snapshot/rollout.h"
#include "server/sys/clock.h"

/* The whole of a withdrawn one is the record that is to be removed. */
static void make_withdrawn(struct sts_arena *arena, const struct selection *s,
                           const struct chosen *c, struct sts_record_set *out)
{
    struct sts_record *record = STS_NEW(arena, struct sts_record);
    struct sts_buf value = {0};

    sts_txt_render(&value, sts_str_from(c->id));
    *record = (struct sts_record){.owner = snapshot_id_name(arena, s->snapshot, c->domain),
                                  .type = STS_RR_TXT,
                                  .ttl = snapshot_id_ttl(s->snapshot),
                                  .value = sts_arena_dup(arena, sts_buf_str(&value)),
                                  .purpose = "to be removed"};
    sts_buf_fini(&value);
    *out = (struct sts_record_set){.domain = c->domain,
                                   .zone = c->zone,
                                   .id = sts_str_from(c->id),
                                   .withdrawn = true,
                                   .records = record,
                                   .count = 1};
}

static void make_set(struct sts_arena *arena, const struct selection *s, const struct chosen *c,
                     struct sts_record_set *out)
{
    const struct snapshot_records_input in = {.tenant = c->tenant,
                                              .id = c->pending ? NULL : c->id,
                                              .pending = c->pending,
                                              .side = s->side,
                                              .zone = c->zone};
    if (c->tenant)
        snapshot_records(arena, s->snapshot, &in, out);
    else
        make_withdrawn(arena, s, c, out);
}

/* Also where there is no other. */
static bool is_other_zone(const struct selection *s, size_t i, size_t other)
{
    return other >= s->count || !sts_str_eq(s->chosen[i].zone, s->chosen[other].zone);
}

static void print_one(struct sts_buf *out, const struct sts_record_format *format,
                      struct sts_format_context *c, struct selection *s, struct sts_arena *arena)
{
    struct sts_record_set set;

    sts_arena_reset(arena);
    make_set(arena, s, &s->chosen[c->index], &set);
    if (format->with_steps)
        rollout_steps(arena, s->ledger, s->snapshot, c->now, &s->diags, &set);
    c->zone_begins = is_other_zone(s, c->index, c->index - 1);
    c->zone_ends = is_other_zone(s, c->index, c->index + 1);
    format->set(out, c, &set);
}

/* One tenant after the other: however many there are, one set and a piece of output are held. */
static bool records_print(struct selection *s, const struct sts_record_format *format,
                          bool relative)
{
    size_t batch = 0;
    struct sts_format_context c = {.terminal = isatty(STDOUT_FILENO),
                                   .relative = relative,
                                   .now = clock_wall(),
                                   .batch = &batch};
    struct sts_arena *arena = sts_arena_new();
    struct progress progress;
    struct sts_buf out = {0};
    bool good = true;

    progress_begin(&progress, "records", s->count);
    if (format->begin)
        format->begin(&out, &c);
    for (; good && c.index < s->count; c.index++) {
        print_one(&out, format, &c, s, arena);
        good = output_pieces(&out, OUTPUT_PIECE);
        progress_at(&progress, c.index);
    }
    if (format->end)
        format->end(&out, &c);
    good = good && output_pieces(&out, 0);
    progress_end(&progress);
    sts_buf_fini(&out);
    sts_arena_free(arena);
    return good;
}

/* Instead of records, what there is to say of them; *any: something. */
static bool print_check(const struct selection *s, bool *any)
{
    struct sts_buf out = {0};
    bool good = true;

    *any = s->count > 0;
    for (size_t i = 0; good && i < s->count; i++) {
        const struct chosen *c = &s->chosen[i];
        sts_buf_printf(&out, "%.*s: ", STS_ARG(c->domain));
        if (c->pending)
            sts_buf_printf(&out, "%s\n", c->pending);
        else
            sts_buf_printf(&out,
                           c->tenant ? "id %s is not known to be published\n"
                                     : "no tenant any more, and its id %s was published\n",
                           c->id);
        good = output_pieces(&out, OUTPUT_PIECE);
    }
    good = good && output_pieces(&out, 0);
    sts_buf_fini(&out);
    return good;
}

/* Of those that stand in the selection because they are there, only the pending ones matter. */
static void drop_ready(struct selection *s)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->count; i++)
        if (s->chosen[i].pending)
            s->chosen[kept++] = s->chosen[i];
    s->count = kept;
}

/* A day, a time as in RFC 3339 in UTC, or how long ago. */
static bool parse_since(const char *text, time_t now, time_t *out)
{
    static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"};
    uint32_t ago;

    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        struct tm tm = {0};
        const char *end = strptime(text, forms[i], &tm);
        if (end && !*end) {
            *out = timegm(&tm);
            return *out > 0;
        }
    }
    if (!sts_duration_parse(sts_str_from(text), &ago))
        return false;
    *out = now - (time_t)ago;
    return true;
}

static bool parse_side(const char *text, enum sts_side *out)
{
    bool provider = text && strcmp(text, "provider") == 0;

    *out = provider ? STS_SIDE_PROVIDER : STS_SIDE_TENANT;
    return !text || provider || strcmp(text, "tenant") == 0;
}

struct request {
    const struct options *options;
    const struct sts_record_format *format;
    enum sts_side side;
    time_t since;
};

static void refuse_format(const char *name)
{
    const char *names[64] = {NULL}, *near = NULL;
    size_t count = 0;

    for (const struct sts_record_format *f = sts_record_formats; f->name && count < 63; f++) {
        names[count++] = f->name;
        if (!near && *name && strncmp(f->name, name, strlen(name)) == 0)
            near = f->name;
    }
    if (!near)
        near = sts_suggest(sts_str_from(name), names);
    if (near)
        output_error("unknown format \"%s\"; did you mean %s? (mta-stsd help formats)", name, near);
    else
        output_error("unknown format \"%s\"; see mta-stsd help formats", name);
}

static bool parse_request(const struct options *options, struct request *out)
{
    const char *name = options->format ? options->format : "table";

    *out =
        (struct request){.options = options, .format = sts_record_format_find(sts_str_from(name))};
    if (!out->format)
        refuse_format(name);
    else if (!parse_side(options->side, &out->side))
        output_error("unknown side \"%s\"; write tenant or provider", options->side);
    else if (options->since && !parse_since(options->since, clock_wall(), &out->since))
        output_error("unknown time \"%s\"; write 2026-11-25, 2026-11-25T08:00:00Z or 7d",
                     options->since);
    else if (options->mark_published && options->argument_count)
        output_error("--mark-published takes the tenants from the receipt");
    else
        return true;
    return false;
}

static bool parse_zone(struct selection *s, const char *zone)
{
    return !zone || sts_domain_parse(s->arena, sts_str_from(zone), STS_DOMAIN_CONFIG,
                                     (struct sts_pos){0}, &s->diags, &s->zone);
}

static bool has_side(struct selection *s)
{
    if (s->side == STS_SIDE_TENANT || s->snapshot->settings.delegation_zone.len)
        return true;
    struct sts_diag *diag =
        sts_diag_add(&s->diags, STS_ERROR, "delegation-none",
                     (struct sts_pos){s->snapshot->main_file, 0, 0}, "nothing is delegated");
    sts_diag_help(&s->diags, diag, "write records.delegation_zone: with a zone of yours");
    return false;
}

static bool any_pending(const struct selection *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->chosen[i].pending)
            return true;
    return false;
}

static enum exit_code records_check(struct selection *s, bool changed, bool good)
{
    bool any;

    if (!changed)
        drop_ready(s);
    if (!print_check(s, &any))
        return EXIT_BLIND;
    return good && !any && !(s->all && s->diags.errors) ? EXIT_FINE : EXIT_ERRORS;
}

static enum exit_code records_run(struct selection *s, const struct request *r)
{
    const struct options *options = r->options;

    /* Of what is delegated, changes are on the provider's side. */
    bool delegated = s->snapshot->settings.delegation_zone.len > 0;
    s->side = options->changed && !options->side && delegated ? STS_SIDE_PROVIDER : r->side;
    s->only_look = options->check;
    if (!parse_zone(s, options->zone) || !has_side(s))
        return EXIT_ERRORS;
    if (options->mark_published)
        return receipt_mark(s, options->mark_published) ? EXIT_FINE : EXIT_ERRORS;
    bool good = selection_choose(s, options->arguments, options->argument_count);
    selection_open_ledger(s);
    selection_look(s, options->changed, r->since);
    if (options->check)
        return records_check(s, options->changed, good);
    if (!records_print(s, r->format, options->relative) ||
        (options->receipt && !receipt_write(s, options->receipt)))
        return EXIT_BLIND;
    /* Whoever names tenants asks for those; what is wrong with others is said, not judged. */
    bool others = !options->argument_count && s->diags.errors;
    return good && !any_pending(s) && !others ? EXIT_FINE : EXIT_ERRORS;
}

enum exit_code command_records(const struct options *options)
{
    struct selection s;
    struct request r;

    if (!parse_request(options, &r))
        return EXIT_USAGE;
    enum exit_code code = EXIT_ERRORS;
    if (selection_init(&s, options))
        code = records_run(&s, &r);
    else if (output_blind(&s.diags, options->config))
        code = EXIT_BLIND;
    output_diags(&s.diags, STS_WARNING);
    selection_fini(&s);
    return code;
}
