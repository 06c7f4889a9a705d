/* import: policies that exist elsewhere as mta-sts.txt files, into tenants in YAML. */
#include <stdlib.h>
#include <string.h>

#include "mtasts/config.h"
#include "mtasts/domain.h"
#include "server/cli/command.h"
#include "server/cli/import.h"

struct import {
    struct sts_arena *arena;
    struct sts_diags diags;
    struct sts_str domain; /* --domain, or empty */
    struct import_tenant *tenants;
    size_t count, capacity;
};

static void import_add(struct import *im, const struct import_tenant *t)
{
    im->tenants =
        sts_arena_grow(im->arena, im->tenants, im->count, &im->capacity, sizeof(*im->tenants));
    im->tenants[im->count++] = *t;
}

/* What would not be served must not come out; what could be better, `check` says. */
static bool would_be_served(struct import *im, const struct import_tenant *t)
{
    const struct sts_lint_context context = {.domain = t->domain, .where = {t->path, 0, 0}};
    struct sts_diags said, errors;

    sts_diags_init(&said, im->arena);
    sts_diags_init(&errors, im->arena);
    if (sts_policy_lint(&t->policy, &context, &said))
        return true;
    for (const struct sts_diag *d = said.first; d; d = d->next)
        if (d->severity == STS_ERROR)
            sts_diag_help(
                &errors,
                sts_diag_add(&errors, STS_ERROR, d->code, d->where, "%.*s", STS_ARG(d->message)),
                "%.*s", STS_ARG(d->help));
    sts_diags_append(&im->diags, &errors);
    return false;
}

static void on_file(void *data, struct sts_str path, struct sts_str body)
{
    struct import *im = data;
    struct import_tenant t = {.path = path, .domain = im->domain};

    if (!im->domain.len && !import_domain(im->arena, path, &im->diags, &t.domain))
        return;
    if (!sts_policy_repair(im->arena, body, path, &im->diags, &t.policy) ||
        !would_be_served(im, &t))
        return;
    sts_policy_digest(&t.policy, t.digest);
    import_add(im, &t);
}

static int import_by_domain(const void *a, const void *b)
{
    const struct import_tenant *x = a, *y = b;
    int order = sts_str_cmp(x->domain, y->domain);
    return order ? order : sts_str_cmp(x->path, y->path);
}

/* One domain in two files: nobody can tell which one is right. */
static void import_drop_repeated(struct import *im)
{
    size_t kept = 0;

    if (im->count)
        qsort(im->tenants, im->count, sizeof(*im->tenants), import_by_domain);
    for (size_t i = 0; i < im->count; i++) {
        const struct import_tenant *t = &im->tenants[i];
        if (!kept || !sts_str_eq(im->tenants[kept - 1].domain, t->domain)) {
            im->tenants[kept++] = *t;
            continue;
        }
        const struct import_tenant *first = &im->tenants[kept - 1];
        bool same = memcmp(first->digest, t->digest, sizeof(t->digest)) == 0;
        struct sts_diag *diag = sts_diag_add(
            &im->diags, same ? STS_WARNING : STS_ERROR, "import-repeated",
            (struct sts_pos){t->path, 0, 0}, "%.*s has %s in %.*s, which counts",
            STS_ARG(t->domain), same ? "the same policy" : "another policy", STS_ARG(first->path));
        sts_diag_help(&im->diags, diag, "give one file of the two");
    }
    im->count = kept;
}

static bool import_print(struct import *im)
{
    struct sts_buf out = {0};

    import_yaml(&out, im->arena, im->tenants, im->count);
    bool good = output_write(sts_buf_str(&out));
    sts_buf_fini(&out);
    return good;
}

static enum exit_code import_run(struct import *im, const struct options *options)
{
    struct zone zone = {0};
    bool good = true;

    for (size_t i = 0; i < options->argument_count; i++)
        good = import_find(im->arena, options->arguments[i], &im->diags, on_file, im) && good;
    import_drop_repeated(im);
    if (options->zone_file) {
        if (zone_read(im->arena, options->zone_file, &im->diags, &zone))
            zone_match(im->arena, &zone, options->zone_file, im->tenants, im->count, &im->diags);
        else
            good = false;
    }
    if (!import_print(im) || !good)
        return EXIT_BLIND;
    return im->diags.errors ? EXIT_ERRORS : EXIT_FINE;
}

enum exit_code command_import(const struct options *options)
{
    struct import im = {0};
    struct sts_pos nowhere = {0};
    enum exit_code code = EXIT_USAGE;

    if (!options->argument_count || (options->domain && options->argument_count > 1)) {
        output_error("import takes one FILE or DIR or more, and --domain with one FILE alone");
        return EXIT_USAGE;
    }
    im.arena = sts_arena_new();
    sts_diags_init(&im.diags, im.arena);
    if (!options->domain || sts_domain_parse(im.arena, sts_str_from(options->domain),
                                             STS_DOMAIN_CONFIG, nowhere, &im.diags, &im.domain))
        code = import_run(&im, options);
    output_diags(&im.diags, STS_NOTE);
    sts_arena_free(im.arena);
    return code;
}
