/* Files to sources. A source whose bytes did not change is shared with the previous snapshot, so
 * one edited file costs one parse, not all of them. */
#include <errno.h>
#include <glob.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/snapshot/parts.h"
#include "server/sys/file.h"

static void append(struct build *b, struct sts_source *source)
{
    struct snapshot *s = b->snapshot;

    if (s->source_count == b->source_capacity) {
        b->source_capacity = b->source_capacity ? b->source_capacity * 2 : 16;
        s->sources = sts_must(
            realloc(s->sources, sts_mul_size(b->source_capacity, sizeof(struct snapshot_source))));
    }
    s->sources[s->source_count++] = (struct snapshot_source){.source = source};
}

static struct sts_source *unchanged(const struct snapshot *previous, struct sts_str path,
                                    bool is_main, const unsigned char *digest)
{
    for (size_t i = 0; previous && i < previous->source_count; i++) {
        const struct snapshot_source *old = &previous->sources[i];
        if (old->source->is_main == is_main && sts_str_eq(old->source->name, path) &&
            memcmp(old->digest, digest, sizeof(old->digest)) == 0)
            return sts_source_ref(old->source);
    }
    return NULL;
}

struct sts_source *sources_add(struct build *b, struct sts_str path, bool is_main,
                               struct sts_pos where)
{
    struct sts_str name = sts_arena_dup(b->snapshot->arena, path);
    struct sts_buf text = {0};
    unsigned char digest[STS_DIGEST_LEN];

    if (file_read(name.ptr, STS_SOURCE_MAX, &text, NULL) != 0) {
        struct sts_diag *diag = sts_diag_add(b->diags, STS_ERROR, "file-unreadable", where,
                                             "%.*s %s", STS_ARG(path), file_error(errno));
        sts_diag_help(b->diags, diag,
                      is_main ? "name the configuration with -c FILE"
                              : "mend the file, or the include pattern");
        return NULL;
    }
    SHA256((const unsigned char *)text.ptr, text.len, digest);
    struct sts_source *source = unchanged(b->input->previous, name, is_main, digest);
    if (!source)
        source = sts_source_parse(sts_buf_str(&text), name, is_main);
    sts_buf_fini(&text);
    append(b, source);
    memcpy(b->snapshot->sources[b->snapshot->source_count - 1].digest, digest, sizeof(digest));
    sts_diags_append(b->diags, &source->diags);
    return source;
}

static bool known(const struct snapshot *s, struct sts_str path)
{
    for (size_t i = 0; i < s->source_count; i++)
        if (sts_str_eq(s->sources[i].source->name, path))
            return true;
    return false;
}

static bool has_wildcard(struct sts_str pattern)
{
    for (size_t i = 0; i < pattern.len; i++)
        if (strchr("*?[", pattern.ptr[i]))
            return true;
    return false;
}

static void no_match(struct build *b, const struct sts_path *pattern)
{
    bool wild = has_wildcard(pattern->path);
    struct sts_diag *diag = sts_diag_add(b->diags, wild ? STS_WARNING : STS_ERROR,
                                         wild ? "include-empty" : "include-missing", pattern->where,
                                         "%.*s: no such file", STS_ARG(pattern->path));
    sts_diag_help(b->diags, diag, "names are relative to the directory of the main file");
}

void sources_include(struct build *b, const struct sts_path *pattern)
{
    struct snapshot *s = b->snapshot;
    struct sts_str full = file_resolve(s->arena, s->base_dir, pattern->path);
    glob_t found;
    int rc = glob(full.ptr, 0, NULL, &found);

    if (rc == GLOB_NOMATCH) {
        no_match(b, pattern);
        return;
    }
    if (rc != 0) {
        struct sts_diag *diag =
            sts_diag_add(b->diags, STS_ERROR, "file-unreadable", pattern->where,
                         "%.*s: the directory cannot be read", STS_ARG(pattern->path));
        sts_diag_help(b->diags, diag, "check its permissions");
        return;
    }
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct sts_str path = sts_str_from(found.gl_pathv[i]);
        /* Two patterns may name one file. */
        if (!known(s, path))
            sources_add(b, path, false, pattern->where);
    }
    globfree(&found);
}
