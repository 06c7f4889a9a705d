#include "server/daemon/said.h"

#include <stdlib.h>

#include "server/base/memory.h"
#include "server/base/table.h"
#include "server/sys/log.h"

/* Diagnostics as they are read, whichever build they are of. */
struct said {
    uint64_t *hashes;
    size_t count, capacity;
};

static uint64_t said_hash(const struct sts_diag *diag)
{
    struct sts_buf text = {0};

    sts_diag_render_text(&text, diag, false);
    sts_buf_printf(&text, "%.*s", STS_ARG(diag->tenant));
    uint64_t result = sts_hash(sts_buf_str(&text));
    sts_buf_fini(&text);
    return result;
}

static int said_by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool said_has(const struct said *said, uint64_t value)
{
    return said->count &&
           bsearch(&value, said->hashes, said->count, sizeof(value), said_by_value) != NULL;
}

/* --- Which parts two builds share --------------------------------------------------------------
 */

/* Shards are many. What files say besides is little, and hashed each time. */
static void said_mark(const struct diagnosis *d, const void *mark)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->parts[i].shard)
            d->parts[i].shard->mark = mark;
}

static bool said_is_marked(const struct diagnosis_part *part, const void *mark)
{
    return part->shard && part->shard->mark == mark;
}

/* --- What is new ------------------------------------------------------------------------------ */

/* All that `d` says, but for its parts that have this mark. */
static const struct sts_diag *said_next(const struct diagnosis *d, const void *mark,
                                        struct diagnosis_walk *walk)
{
    for (;;) {
        while (!walk->in && walk->part < d->count && d->parts[walk->part].place == walk->place &&
               said_is_marked(&d->parts[walk->part], mark))
            walk->part++;
        const struct sts_diag *diag = diagnosis_next(d, walk);
        if (!diag || diag->severity != STS_NOTE)
            return diag;
    }
}

static struct said said_collect(const struct diagnosis *d, const void *mark)
{
    struct diagnosis_walk walk = {0};
    struct said said = {0};

    for (const struct sts_diag *diag; (diag = said_next(d, mark, &walk));) {
        said.hashes = sts_heap_grow(said.hashes, said.count, &said.capacity, sizeof(*said.hashes));
        said.hashes[said.count++] = said_hash(diag);
    }
    if (said.count)
        qsort(said.hashes, said.count, sizeof(*said.hashes), said_by_value);
    return said;
}

size_t said_log(const struct diagnosis *before, const struct diagnosis *now)
{
    struct diagnosis_walk walk = {0};
    size_t news = 0;

    /* What strict takes back is in no part that both have. */
    said_mark(before, NULL);
    said_mark(now, now);
    struct said said = said_collect(before, now);
    said_mark(now, NULL);
    said_mark(before, before);
    for (const struct sts_diag *diag; (diag = said_next(now, before, &walk));) {
        if (said_has(&said, said_hash(diag)))
            continue;
        log_diag(diag);
        news++;
    }
    free(said.hashes);
    return news;
}
