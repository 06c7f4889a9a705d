/* Files to sources. A source whose bytes did not change is shared with the previous snapshot, so
 * one edited file costs one parse, not all of them. A file that cannot be used keeps its source of
 * before: unreadable, half-written, empty, broken, or gone together with its directory. */
#include <errno.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/snapshot/parts.h"
#include "server/sys/file.h"

static size_t *slot_of(const struct snapshot *s, struct sts_str name)
{
    size_t i = (size_t)sts_str_hash(name) & (s->source_index_size - 1);

    while (s->source_index[i] && !sts_str_eq(s->sources[s->source_index[i] - 1].source->name, name))
        i = (i + 1) & (s->source_index_size - 1);
    return &s->source_index[i];
}

const struct snapshot_source *source_find(const struct snapshot *s, struct sts_str name)
{
    size_t place = s->source_index_size ? *slot_of(s, name) : 0;
    return place ? &s->sources[place - 1] : NULL;
}

static void grow(struct build *b)
{
    struct snapshot *s = b->snapshot;

    b->source_capacity = b->source_capacity ? b->source_capacity * 2 : 16;
    s->sources = sts_must(
        realloc(s->sources, sts_mul_size(b->source_capacity, sizeof(struct snapshot_source))));
    free(s->source_index);
    s->source_index_size = b->source_capacity * 2;
    s->source_index = sts_must(calloc(s->source_index_size, sizeof(*s->source_index)));
    for (size_t i = 0; i < s->source_count; i++)
        *slot_of(s, s->sources[i].source->name) = i + 1;
}

/* Takes the caller's reference. */
static struct sts_source *append(struct build *b, struct snapshot_source source)
{
    struct snapshot *s = b->snapshot;
    const struct snapshot *previous = b->input->previous;
    const struct snapshot_source *old =
        previous ? source_find(previous, source.source->name) : NULL;

    if (s->source_count == b->source_capacity)
        grow(b);
    source.before = old ? (size_t)(old - previous->sources) + 1 : 0;
    source.shard = NULL;
    s->sources[s->source_count++] = source;
    *slot_of(s, source.source->name) = s->source_count;
    return source.source;
}

void sources_fini(struct snapshot *s)
{
    for (size_t i = 0; i < s->source_count; i++) {
        shard_unref(s->sources[i].shard);
        sts_source_unref(s->sources[i].source);
    }
    free(s->sources);
    free(s->source_index);
}

struct sts_source *source_keep(struct build *b, const struct snapshot_source *old,
                               enum tenant_kept why)
{
    struct snapshot_source kept = *old;
    struct sts_diag *diag = sts_diag_add(
        b->diags, STS_WARNING, "source-kept", (struct sts_pos){old->source->name, 0, 0},
        "the file is used as it was before: %zu tenant%s", old->source->tenant_count,
        old->source->tenant_count == 1 ? "" : "s");

    sts_diag_help(b->diags, diag,
                  "mend it; to end its tenants, remove the file and leave its directory");
    kept.kept = why;
    sts_source_ref(kept.source);
    return append(b, kept);
}

/* The source that this file had before, when it is of any use. */
static const struct snapshot_source *good_before(const struct build *b, struct sts_str name)
{
    const struct snapshot_source *old =
        b->input->previous ? source_find(b->input->previous, name) : NULL;
    return old && !old->source->is_main && !old->source->broken && !old->source->empty ? old : NULL;
}

/* What was in the file is lost to us, unless it was read before. */
static struct sts_source *keep_or_miss(struct build *b, struct sts_str name, enum tenant_kept why)
{
    const struct snapshot_source *old = good_before(b, name);

    if (!old)
        b->missing = true;
    return old ? source_keep(b, old, why) : NULL;
}

/* Somebody writes it at this moment: what was read before stays until that is done. It is no fault
 * of anybody, so nothing counts as kept. */
static struct sts_source *busy(struct build *b, struct sts_str name, bool is_main)
{
    const struct snapshot_source *old = good_before(b, name);
    struct sts_diag *diag = sts_diag_add(b->diags, STS_WARNING, "file-busy",
                                         (struct sts_pos){name, 0, 0}, "is still being written");

    sts_diag_help(b->diags, diag, "it is read when its writer closes it");
    b->snapshot->incomplete = true;
    if (is_main)
        return NULL;
    if (!old) {
        b->missing = true;
        return NULL;
    }
    sts_source_ref(old->source);
    return append(b, *old);
}

static struct sts_source *unreadable(struct build *b, struct sts_str name, bool is_main,
                                     struct sts_pos where, int error)
{
    struct sts_diag *diag = sts_diag_add(b->diags, STS_ERROR, "file-unreadable", where, "%.*s %s",
                                         STS_ARG(name), file_error(error));
    sts_diag_help(b->diags, diag,
                  is_main ? "name the configuration with -c FILE"
                          : "mend the file, or the include pattern");
    b->snapshot->incomplete = true;
    return is_main ? NULL : keep_or_miss(b, name, KEPT_MISSING);
}

static struct sts_source *unchanged(const struct snapshot *previous, struct sts_str name,
                                    bool is_main, const unsigned char *digest)
{
    const struct snapshot_source *old = previous ? source_find(previous, name) : NULL;

    if (!old || old->source->is_main != is_main ||
        memcmp(old->digest, digest, sizeof(old->digest)) != 0)
        return NULL;
    return sts_source_ref(old->source);
}

struct sts_source *sources_add(struct build *b, struct sts_str path, bool is_main,
                               struct sts_pos where)
{
    const struct snapshot *previous = b->input->previous;
    struct sts_str name = sts_arena_dup(b->snapshot->arena, path);
    struct snapshot_source read = {0};
    struct sts_buf text = {0};

    /* Without a last good one to fall back to, what is there must do. */
    if ((previous ? file_read_settled : file_read)(name.ptr, STS_SOURCE_MAX, &text, NULL) != 0)
        return previous && errno == EAGAIN ? busy(b, name, is_main)
                                           : unreadable(b, name, is_main, where, errno);
    b->snapshot->work.read++;
    SHA256((const unsigned char *)text.ptr, text.len, read.digest);
    read.source = unchanged(previous, name, is_main, read.digest);
    if (!read.source) {
        read.source = sts_source_parse(sts_buf_str(&text), name, is_main);
        b->snapshot->work.parsed++;
    }
    sts_buf_fini(&text);
    sts_diags_append(b->diags, &read.source->diags);
    struct sts_source *kept = NULL;
    if (!is_main && (read.source->broken || read.source->empty))
        kept = keep_or_miss(b, name, read.source->broken ? KEPT_BROKEN : KEPT_MISSING);
    read.directory = file_identify(file_dirname(b->snapshot->arena, name).ptr);
    if (!kept)
        return append(b, read);
    sts_source_unref(read.source);
    return kept;
}
