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
#include "server/sys/thread.h"

enum { WORTH_A_THREAD = 8 /* files */ };

/* A file as it was read. */
struct reading {
    struct snapshot_source source;
    int error;   /* without one: errno */
    bool parsed; /* else it is as it was before */
    bool half;   /* somebody writes it, and there may be more to come */
};

/* The table has places in an array that moves while it grows, + 1. */
struct source_key {
    const struct snapshot *snapshot;
    struct sts_str name;
};

static bool source_has_name(const void *value, const void *key)
{
    const struct source_key *wanted = key;
    return sts_str_eq(wanted->snapshot->sources[(uintptr_t)value - 1].source->name, wanted->name);
}

static const struct snapshot_source *source_find_hash(const struct snapshot *s, struct sts_str name,
                                                      uint64_t hash)
{
    const struct source_key key = {s, name};
    uintptr_t place = (uintptr_t)sts_table_find(&s->sources_by_name, hash, source_has_name, &key);
    return place ? &s->sources[place - 1] : NULL;
}

const struct snapshot_source *source_find(const struct snapshot *s, struct sts_str name)
{
    return source_find_hash(s, name, sts_hash(name));
}

/* The source that this file had before. Files come in the same order each time. */
static const struct snapshot_source *sources_before(struct build *b, struct sts_str name)
{
    const struct snapshot *previous = b->input->previous;

    if (!previous)
        return NULL;
    const struct snapshot_source *old =
        b->near < previous->source_count &&
                sts_str_eq(previous->sources[b->near].source->name, name)
            ? &previous->sources[b->near]
            : source_find(previous, name);
    if (old)
        b->near = (size_t)(old - previous->sources) + 1;
    return old;
}

/* Takes the caller's reference. `old`: what the file was before, or NULL. */
static struct sts_source *sources_append(struct build *b, struct snapshot_source source,
                                         const struct snapshot_source *old)
{
    struct snapshot *s = b->snapshot;
    struct sts_str name = source.source->name;

    s->sources =
        sts_heap_grow(s->sources, s->source_count, &b->source_capacity, sizeof(*s->sources));
    source.hash = old ? old->hash : sts_hash(name);
    source.base_hash = old ? old->base_hash : sts_hash(file_basename(name));
    source.before = old ? (size_t)(old - b->input->previous->sources) + 1 : 0;
    source.shard = NULL;
    source.relative = b->relative;
    s->sources[s->source_count++] = source;
    if (!source_find_hash(s, name, source.hash))
        sts_table_add(&s->sources_by_name, source.hash, (void *)(uintptr_t)s->source_count);
    return source.source;
}

/* As it was, without a look at its bytes. What was no good then is no good now. */
static struct sts_source *sources_take_over(struct build *b, const struct snapshot_source *old)
{
    diagnosis_add_source(b->diagnosis, old->source);
    b->missing |= old->source->broken || old->source->empty;
    sts_source_ref(old->source);
    return sources_append(b, *old, old);
}

void sources_fini(struct snapshot *s)
{
    for (size_t i = 0; i < s->source_count; i++) {
        shard_unref(s->sources[i].shard);
        sts_source_unref(s->sources[i].source);
    }
    free(s->sources);
    sts_table_fini(&s->sources_by_name);
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
    return sources_append(b, kept, old);
}

/* The directory of `name`, which lives as long as the build; neighbours have the same. */
static struct file_id directory_of(struct build *b, struct sts_str name)
{
    struct sts_str directory = sts_str_sub(name, 0, name.len - file_basename(name).len);

    if (!b->directory.ptr || !sts_str_eq(directory, b->directory))
        b->directory_id = file_identify(file_dirname(b->snapshot->arena, name).ptr);
    b->directory = directory.ptr ? directory : STS_STR("");
    return b->directory_id;
}

static bool is_file(const struct snapshot_source *source, const struct file_name *file,
                    uint64_t hash)
{
    return source->base_hash == hash && file_id_same(source->directory, file->directory) &&
           sts_str_eq(file_basename(source->source->name), file->name);
}

/* Which one it was before, or is now. */
struct file_id source_directory(const struct build *b, struct sts_str name)
{
    const struct snapshot *previous = b->input->previous;
    const struct snapshot_source *old = previous ? source_find(previous, name) : NULL;

    return old ? old->directory : file_identify(file_dirname(b->scratch, name).ptr);
}

/* The same file under the name that another include pattern gave it. Only patterns that changed
 * make that worth a search. */
static const struct snapshot_source *source_find_renamed(struct build *b, struct sts_str name)
{
    struct snapshot *s = b->snapshot;
    const struct snapshot *previous = b->input->previous;

    if (!previous->renamed && snapshot_same_paths(&previous->settings, &s->settings))
        return NULL;
    struct file_name file = {directory_of(b, name), file_basename(name)};
    uint64_t hash = sts_hash(file.name);
    for (size_t i = 1; previous->sources && i < previous->source_count; i++) {
        const struct snapshot_source *old = &previous->sources[i];
        if (!is_file(old, &file, hash) || source_find(s, old->source->name))
            continue;
        s->renamed = true;
        return old;
    }
    return NULL;
}

/* The source that this file had before, when it is of any use. */
static const struct snapshot_source *good_before(struct build *b, struct sts_str name)
{
    const struct snapshot_source *old =
        b->input->previous ? source_find(b->input->previous, name) : NULL;
    if (!old && b->input->previous)
        old = source_find_renamed(b, name);
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
static struct sts_source *sources_busy(struct build *b, struct sts_str name, bool is_main)
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
    return sources_append(b, *old, old);
}

static struct sts_source *sources_unreadable(struct build *b, struct sts_str name, bool is_main,
                                             struct sts_pos where, int error)
{
    struct sts_diag *diag = sts_diag_add(b->diags, STS_ERROR, "file-unreadable", where, "%.*s %s",
                                         STS_ARG(name), file_error(error));
    sts_diag_help(b->diags, diag,
                  is_main && error == EACCES ? "run this as a user who may read it; try sudo"
                  : is_main                  ? "name the configuration with -c FILE"
                                             : "mend the file, or the include pattern");
    b->snapshot->incomplete = true;
    return is_main ? NULL : keep_or_miss(b, name, KEPT_MISSING);
}

/* Content decides; this is when stat is enough to know it. */
static bool is_as_before(const struct build *b, const struct snapshot_source *old)
{
    struct stat st;

    if (b->look == LOOK_READ || b->look == LOOK_TOLD || !old->settled ||
        stat(old->source->name.ptr, &st) != 0)
        return false;
    struct file_stamp stamp = file_stamp_of(&st);
    return file_stamp_same(&stamp, &old->stamp);
}

/* What a writer has open is never taken half-way; but without a last good one to fall back to, what
 * is there must do. At a start the ledger may know one: that is asked later. */
static int sources_read_file(const struct build *b, struct sts_str name, struct sts_buf *text,
                             struct reading *out)
{
    struct snapshot_source *read = &out->source;
    struct stat st;

    bool ask = b->input->previous || b->input->look != LOOK_READ;

    read->settled = ask && file_read_settled(name.ptr, STS_SOURCE_MAX, text, &st) == 0;
    if (!read->settled && ask && (b->input->previous || errno != EAGAIN))
        return -1;
    out->half = ask && !read->settled;
    if (!read->settled && file_read(name.ptr, STS_SOURCE_MAX, text, &st) != 0)
        return -1;
    read->stamp = file_stamp_of(&st);
    read->settled = read->settled && file_stamp_is_old(&read->stamp, b->input->now);
    return 0;
}

/* Changes nothing but *out, so that threads can do it. */
static void read_source(const struct build *b, struct sts_str name, bool is_main,
                        const struct snapshot_source *old, struct reading *out)
{
    struct snapshot_source *read = &out->source;
    struct sts_buf text = {0};

    *out = (struct reading){0};
    if (sources_read_file(b, name, &text, out) != 0) {
        out->error = errno;
        return;
    }
    SHA256((const unsigned char *)text.ptr, text.len, read->digest);
    out->parsed = !old || old->source->is_main != is_main ||
                  memcmp(old->digest, read->digest, sizeof(old->digest)) != 0;
    read->source = out->parsed ? sts_source_parse(sts_buf_str(&text), name, is_main)
                               : sts_source_ref(old->source);
    sts_buf_fini(&text);
}

/* A start finds a file that somebody writes at this moment: what it lacks was not taken out of it.
 * Of an included one that was served from before nothing is used until its writer is done. The main
 * file says how to serve, so that it is used as it is. */
static void sources_take_half(struct build *b, struct sts_str name, bool is_main,
                              struct reading *reading)
{
    struct snapshot_file file = {name, b->relative};

    b->half_main = b->half_main || is_main;
    b->snapshot->incomplete |= is_main;
    if (is_main || !served_from_file(b->served, snapshot_stored_file(b->snapshot, file)))
        return;
    sts_source_unref(reading->source.source);
    reading->source.source = NULL;
    reading->error = EAGAIN;
}

/* Adds what was read, or what is in its place. */
static struct sts_source *take_reading(struct build *b, struct sts_str name, bool is_main,
                                       const struct snapshot_source *old, struct reading *reading,
                                       struct sts_pos where)
{
    struct snapshot_source *read = &reading->source;
    struct sts_source *kept = NULL;

    b->snapshot->work.read++;
    b->snapshot->work.parsed += reading->parsed;
    if (reading->half)
        sources_take_half(b, name, is_main, reading);
    if (!read->source)
        return reading->error == EAGAIN
                   ? sources_busy(b, name, is_main)
                   : sources_unreadable(b, name, is_main, where, reading->error);
    if (!is_main && (read->source->broken || read->source->empty)) {
        sts_diags_append(b->diags, &read->source->diags);
        kept = keep_or_miss(b, name, read->source->broken ? KEPT_BROKEN : KEPT_MISSING);
    } else {
        diagnosis_add_source(b->diagnosis, read->source);
    }
    read->directory = directory_of(b, name);
    if (!kept)
        return sources_append(b, *read, old);
    sts_source_unref(read->source);
    return kept;
}

struct sts_source *sources_add(struct build *b, struct sts_str path, bool is_main,
                               struct sts_pos where)
{
    const struct snapshot_source *old = sources_before(b, path);
    struct reading reading;

    if (!is_main && old && !old->kept && is_as_before(b, old) &&
        file_id_same(directory_of(b, old->source->name), old->directory))
        return sources_take_over(b, old);
    struct sts_str name = old ? old->source->name : sts_arena_dup(b->snapshot->arena, path);
    read_source(b, name, is_main, old, &reading);
    return take_reading(b, name, is_main, old, &reading, where);
}

struct ahead {
    const struct build *b;
    char *const *paths;
    struct reading *readings;
};

/* Two patterns may name one file. */
static bool is_added(const struct build *b, const char *path)
{
    return source_find(b->snapshot, sts_str_from(path)) != NULL;
}

static void read_ahead(void *data, size_t thread, size_t number)
{
    const struct ahead *a = data;

    (void)thread;
    if (!is_added(a->b, a->paths[number]))
        read_source(a->b, sts_str_from(a->paths[number]), false, NULL, &a->readings[number]);
}

/* Nothing is known yet, so every file is to be read: by all processors. */
static void add_first(struct build *b, char *const *paths, size_t count, struct sts_pos where)
{
    struct reading *readings = sts_must(calloc(count, sizeof(*readings)));
    struct ahead a = {b, paths, readings};

    threads_run(threads_for(count, WORTH_A_THREAD), count, read_ahead, &a);
    for (size_t i = 0; i < count; i++) {
        struct sts_str name = sts_str_from(paths[i]);
        if (is_added(b, paths[i]))
            sts_source_unref(readings[i].source.source);
        else
            take_reading(b, sts_arena_dup(b->snapshot->arena, name), false, NULL, &readings[i],
                         where);
    }
    free(readings);
}

void sources_add_all(struct build *b, char *const *paths, size_t count, struct sts_pos where)
{
    if (!b->input->previous) {
        add_first(b, paths, count, where);
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (!is_added(b, paths[i]))
            sources_add(b, sts_str_from(paths[i]), false, where);
}

/* Links lead elsewhere, and what was removed is not there: that asks for a look at everything. */
static bool sources_is_there(const struct snapshot_source *source)
{
    struct stat st;
    return lstat(source->source->name.ptr, &st) == 0 && S_ISREG(st.st_mode);
}

static bool sources_knows(const struct snapshot *s, const struct file_name *file)
{
    uint64_t hash = sts_hash(file->name);
    bool any = false;

    for (size_t i = 0; i < s->source_count; i++) {
        if (!is_file(&s->sources[i], file, hash))
            continue;
        if (!sources_is_there(&s->sources[i]))
            return false;
        any = true;
    }
    return any;
}

bool snapshot_knows(const struct snapshot *s, const struct snapshot_touched *touched)
{
    bool good = s->plain;

    for (size_t i = 0; good && i < touched->count; i++)
        good = sources_knows(s, &touched->files[i]);
    return good;
}

static void sources_look_again(struct build *b, const struct snapshot_source *old)
{
    struct sts_str name = old->source->name;
    const struct sts_path *pattern = source_pattern(b, name);

    sources_add(b, name, false, pattern ? pattern->where : (struct sts_pos){name, 0, 0});
}

void sources_told(struct build *b)
{
    const struct snapshot_touched *touched = &b->input->touched;
    const struct snapshot *previous = b->input->previous;
    uint64_t *hashes = STS_ARRAY(b->snapshot->arena, touched->count, uint64_t);

    for (size_t i = 0; i < touched->count; i++)
        hashes[i] = sts_hash(touched->files[i].name);
    for (size_t i = 1; i < previous->source_count; i++) {
        const struct snapshot_source *old = &previous->sources[i];
        bool hit = false;
        for (size_t j = 0; !hit && j < touched->count; j++)
            hit = is_file(old, &touched->files[j], hashes[j]);
        b->relative = old->relative;
        if (hit)
            sources_look_again(b, old);
        else
            sources_take_over(b, old);
    }
}
