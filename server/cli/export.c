/* export: the policies for people who host them elsewhere, as files or in the configuration of a
 * web server. It announces nothing: export, upload, then `records` (RFC 8461 §8.1: served first).
 */
#include <stdio.h>
#include <string.h>

#include <openssl/sha.h>

#include "server/cli/command.h"
#include "server/cli/export.h"
#include "server/ledger/ledger.h"
#include "server/sys/clock.h"

struct export
{
    struct sts_arena *arena;
    struct sts_diags diags;
    struct snapshot *snapshot;
    struct export_list list;
};

static void set_digest(struct export_entry *e)
{
    unsigned char digest[STS_DIGEST_LEN];

    SHA256((const unsigned char *)e->body.ptr, e->body.len, digest);
    for (size_t i = 0; i < STS_DIGEST_LEN; i++)
        sprintf(e->digest + 2 * i, "%02x", digest[i]);
}

/* The id of this very body, when the ledger has issued one. */
static void set_id(struct export *x, struct ledger *ledger, struct export_entry *e)
{
    struct ledger_instance instance;
    struct sts_diags ignored;

    sts_diags_init(&ignored, x->arena);
    if (ledger && ledger_latest(ledger, x->arena, e->domain, &instance, &ignored) &&
        !instance.last_served && sts_str_eq(instance.body, e->body))
        e->id = sts_arena_dup(x->arena, sts_str_from(instance.id));
}

/* Everything that is or would be served. A ledger that cannot be used has been reported by the
 * builder; one that does not exist yet only means that there are no ids. */
static void export_collect(struct export *x)
{
    const struct snapshot *s = x->snapshot;
    struct sts_diags ignored;
    struct sts_str path = file_resolve(x->arena, s->base_dir, s->settings.ledger.path);

    sts_diags_init(&ignored, x->arena);
    struct ledger *ledger = ledger_open(path.ptr, LEDGER_READ, s->settings.ledger.where, &ignored);
    x->list.entries = STS_ARRAY(x->arena, s->tenant_count, struct export_entry);
    for (size_t i = 0; i < s->tenant_count; i++) {
        const struct tenant *t = &s->tenants[i];
        if (t->state == TENANT_REFUSED)
            continue;
        struct sts_str body = tenant_body(t);
        struct export_entry *e = &x->list.entries[x->list.count++];
        *e = (struct export_entry){.domain = t->domain, .body = body, .bytes = body.len};
        set_digest(e);
        set_id(x, ledger, e);
    }
    ledger_close(ledger);
}

static enum exit_code run_tree(struct export *x, const char *path)
{
    struct export_counts counts = {0};
    struct sts_buf out = {0};
    /* An include directory that lost its files looks like no tenants at all. */
    bool hold = x->diags.errors || x->snapshot->incomplete || !x->list.count;

    if (!export_tree(x->arena, path, &x->list, hold, &x->diags, &counts))
        return EXIT_BLIND;
    sts_buf_printf(&out, "%zu written, %zu unchanged, %zu removed", counts.written,
                   counts.unchanged, counts.removed);
    if (counts.refused)
        sts_buf_printf(&out, ", %zu not ours to write", counts.refused);
    sts_buf_add_cstr(&out,
                     hold ? "; nothing is removed while there are errors or no tenants\n" : "\n");
    bool written = output_write(sts_buf_str(&out));
    sts_buf_fini(&out);
    return written ? EXIT_FINE : EXIT_BLIND;
}

static enum exit_code run_list(struct export *x, const char *path)
{
    struct sts_buf out = {0};
    size_t left_out = export_list_render(&out, x->snapshot, clock_wall());

    (void)path;
    output_error("EFF's STARTTLS Everywhere list is discontinued since 2020: this is for private "
                 "lists alone");
    if (left_out)
        output_error("%zu in mode none left out: the format has no such mode", left_out);
    bool written = output_write(sts_buf_str(&out));
    sts_buf_fini(&out);
    return written ? EXIT_FINE : EXIT_BLIND;
}

static enum exit_code print_snippet(struct export *x, const struct export_snippet *snippet,
                                    const char *path)
{
    struct sts_buf out = {0};

    snippet->render(&out, &x->list, sts_str_from(path));
    bool written = output_write(sts_buf_str(&out));
    sts_buf_fini(&out);
    return written ? EXIT_FINE : EXIT_BLIND;
}

static const struct export_snippet *find_snippet(const char *format)
{
    for (const struct export_snippet *s = export_snippets; s->file; s++)
        if (s->format && strcmp(s->format, format) == 0)
            return s;
    return NULL;
}

/* What is wrong with the command line, or NULL. */
static const char *export_misuse(const struct options *options, const char *format,
                                 const struct export_snippet *snippet)
{
    bool list = strcmp(format, "starttls-everywhere") == 0;

    if (!list && !snippet && strcmp(format, "files") != 0)
        return "the formats are files, nginx, caddy, haproxy and starttls-everywhere";
    if (options->argument_count != !list)
        return list ? "starttls-everywhere goes to standard output: no DIR"
                    : "export takes one DIR";
    if (snippet && !export_dir_check(sts_str_from(options->arguments[0])))
        return "DIR must be the absolute path of the files on the machine that serves them, of "
               "letters, digits and / . _ - + , : @ = alone";
    return NULL;
}

static enum exit_code export_run(struct export *x, const struct options *options,
                                 const char *format, const struct export_snippet *snippet)
{
    const struct snapshot_input input = {
        .main_file = options->config, .now = clock_wall(), .with_ledger = true};
    enum exit_code code;

    x->snapshot = snapshot_build(&input, &x->diags);
    if (!x->snapshot)
        return output_blind(&x->diags, options->config) ? EXIT_BLIND : EXIT_ERRORS;
    export_collect(x);
    if (snippet)
        code = print_snippet(x, snippet, options->arguments[0]);
    else if (strcmp(format, "files") == 0)
        code = run_tree(x, options->arguments[0]);
    else
        code = run_list(x, options->arguments[0]);
    return code == EXIT_FINE && x->diags.errors ? EXIT_ERRORS : code;
}

enum exit_code command_export(const struct options *options)
{
    const char *format = options->format ? options->format : "files";
    const struct export_snippet *snippet = find_snippet(format);
    const char *wrong = export_misuse(options, format, snippet);
    struct export x = {0};

    if (wrong) {
        output_error("%s", wrong);
        return EXIT_USAGE;
    }
    x.arena = sts_arena_new();
    sts_diags_init(&x.diags, x.arena);
    enum exit_code code = export_run(&x, options, format, snippet);
    output_diags(&x.diags, STS_WARNING);
    snapshot_unref(x.snapshot);
    sts_arena_free(x.arena);
    return code;
}
