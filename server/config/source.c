/* One YAML file to one source. */
#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/config/bind_settings.h"
#include "server/config/schema.h"

static void source_refuse(struct sts_source *source, const char *code, const char *message,
                          const char *help)
{
    struct sts_diag *diag = sts_diag_add(&source->diags, STS_ERROR, code,
                                         (struct sts_pos){source->name, 1, 1}, "%s", message);
    sts_diag_help(&source->diags, diag, "%s", help);
    source->broken = true;
}

/* An included file without a tenant is no mistake, but more often one cut off than meant. */
static void report_empty(struct sts_source *source)
{
    struct sts_diag *diag =
        sts_diag_add(&source->diags, source->is_main ? STS_ERROR : STS_WARNING, "config-empty",
                     (struct sts_pos){source->name, 1, 1}, "the file is empty");

    sts_diag_help(&source->diags, diag, "write tenants: with at least one tenant");
    source->empty = true;
    source->broken = source->is_main;
}

static void bind_root(struct sts_source *source, struct sts_arena *scratch,
                      const struct yaml_node *root)
{
    struct binder b = {
        .source = source, .arena = source->arena, .scratch = scratch, .diags = &source->diags};

    if (!root) {
        if (source->diags.errors)
            source->broken = true;
        else
            report_empty(source);
        return;
    }
    if (!value_is_map(&b, root)) {
        source->broken = true;
        return;
    }
    schema_bind_map(&b, root, "");
    if (source->is_main)
        settings_check(&b, root);
}

/* The tree is far larger than what is made of it, so it does not stay. */
static void parse_text(struct sts_source *source, struct sts_str text)
{
    struct sts_arena *scratch = sts_arena_new();

    bind_root(source, scratch, yaml_tree_parse(scratch, text, source->name, &source->diags));
    sts_arena_free(scratch);
}

struct sts_source *sts_source_parse(struct sts_str text, struct sts_str name, bool is_main)
{
    struct sts_source *source = sts_must(calloc(1, sizeof(*source)));

    source->refs = 1;
    source->is_main = is_main;
    source->arena = sts_arena_new();
    source->name = sts_arena_dup(source->arena, name);
    sts_diags_init(&source->diags, source->arena);
    settings_defaults(&source->settings);
    if (text.len > STS_SOURCE_MAX)
        source_refuse(source, "config-too-large", "the file is larger than 8 MiB",
                      "spread the tenants over several files (include:)");
    else
        parse_text(source, text);
    return source;
}

struct sts_pos sts_source_pos(const struct sts_source *source, struct sts_place place)
{
    return (struct sts_pos){source->name, place.line, place.column};
}

struct sts_source *sts_source_ref(struct sts_source *source)
{
    source->refs++;
    return source;
}

void sts_source_unref(struct sts_source *source)
{
    if (!source || --source->refs)
        return;
    sts_arena_free(source->arena);
    free(source);
}
