#include "server/snapshot/diagnosis.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"

void diagnosis_init(struct diagnosis *d)
{
    *d = (struct diagnosis){.arena = sts_arena_new()};
    sts_diags_init(&d->own, d->arena);
}

void diagnosis_fini(struct diagnosis *d)
{
    for (size_t i = 0; i < d->count; i++) {
        sts_source_unref(d->parts[i].source);
        shard_unref(d->parts[i].shard);
    }
    free(d->parts);
    sts_arena_free(d->arena);
    *d = (struct diagnosis){0};
}

const struct sts_diags *diagnosis_said_by(const struct diagnosis_part *part)
{
    return part->shard ? part->shard->diags : &part->source->diags;
}

static void diagnosis_add(struct diagnosis *d, struct diagnosis_part part)
{
    const struct sts_diags *said = diagnosis_said_by(&part);

    part.place = sts_diags_count(&d->own);
    d->parts = sts_heap_grow(d->parts, d->count, &d->capacity, sizeof(*d->parts));
    d->parts[d->count++] = part;
    d->errors += said->errors;
    d->warnings += said->warnings;
}

void diagnosis_add_source(struct diagnosis *d, struct sts_source *source)
{
    if (source->diags.first)
        diagnosis_add(d, (struct diagnosis_part){.source = sts_source_ref(source)});
}

void diagnosis_add_shard(struct diagnosis *d, struct shard *shard)
{
    if (shard->diags)
        diagnosis_add(d, (struct diagnosis_part){.shard = shard_ref(shard)});
}

void diagnosis_settle(struct diagnosis *d)
{
    for (struct sts_diag *diag = d->own.first; diag; diag = diag->next) {
        diag->where.source = sts_arena_dup(d->arena, diag->where.source);
        diag->tenant = sts_arena_dup(d->arena, diag->tenant);
        diag->related.source = sts_arena_dup(d->arena, diag->related.source);
    }
}

static bool diagnosis_shows(const struct diagnosis *d, const struct sts_diag *diag)
{
    return !d->strict ||
           (strcmp(diag->code, "tenant-kept") != 0 && strcmp(diag->code, "source-kept") != 0);
}

static const struct sts_diag *diagnosis_step(const struct diagnosis *d, struct diagnosis_walk *walk)
{
    const struct sts_diag *diag = walk->in;

    if (diag) {
        walk->in = diag->next;
        return diag;
    }
    if (walk->part < d->count && d->parts[walk->part].place == walk->place) {
        diag = diagnosis_said_by(&d->parts[walk->part++])->first;
        walk->in = diag->next;
        return diag;
    }
    diag = walk->own ? walk->own->next : d->own.first;
    if (diag) {
        walk->own = diag;
        walk->place++;
    }
    return diag;
}

const struct sts_diag *diagnosis_next(const struct diagnosis *d, struct diagnosis_walk *walk)
{
    const struct sts_diag *diag;

    do
        diag = diagnosis_step(d, walk);
    while (diag && !diagnosis_shows(d, diag));
    return diag;
}

void diagnosis_copy(const struct diagnosis *d, struct sts_diags *to)
{
    struct diagnosis_walk walk = {0};

    for (const struct sts_diag *diag; (diag = diagnosis_next(d, &walk));)
        sts_diags_add_copy(to, diag);
}

static size_t diagnosis_count(const struct diagnosis *d, enum sts_severity severity)
{
    struct diagnosis_walk walk = {0};
    size_t count = 0;

    for (const struct sts_diag *diag; (diag = diagnosis_next(d, &walk));)
        count += diag->severity == severity;
    return count;
}

size_t diagnosis_errors(const struct diagnosis *d)
{
    return d->own.errors + d->errors;
}

/* Those that are left out are warnings. */
size_t diagnosis_warnings(const struct diagnosis *d)
{
    return d->strict ? diagnosis_count(d, STS_WARNING) : d->own.warnings + d->warnings;
}
