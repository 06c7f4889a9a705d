/* The candidates of one load, divided among threads. */
#include "server/base/memory.h"
#include "server/sys/thread.h"
#include "server/tls/cert_pair.h"

enum { WORTH_A_THREAD = 64 /* candidates: some 10 ms */ };

struct work {
    struct cert_loader *loader;
    const struct cert_candidates *candidates;
    struct cert_result *results;
    struct sts_arena *spare[THREADS_MAX]; /* of a thread, for the next one's diagnostics */
};

static void load_one(void *data, size_t thread, size_t i)
{
    struct work *w = data;
    struct cert_result *r = &w->results[i];
    struct sts_arena **spare = &w->spare[thread];

    if (!*spare)
        *spare = sts_arena_new();
    sts_diags_init(&r->diags, *spare);
    r->outcome = cert_load(w->loader, &w->candidates->items[i], &r->diags, &r->pair);
    if (r->diags.first) { /* of a hundred thousand, most have nothing to say */
        r->arena = *spare;
        *spare = NULL;
    } else {
        sts_arena_reset(*spare);
    }
}

void cert_load_all(struct cert_loader *loader, const struct cert_candidates *candidates,
                   struct cert_result *results)
{
    struct work w = {.loader = loader, .candidates = candidates, .results = results};
    size_t threads = loader->previous ? 1 : threads_for(candidates->count, WORTH_A_THREAD);

    threads_run(threads, candidates->count, load_one, &w);
    for (size_t i = 0; i < THREADS_MAX; i++)
        sts_arena_free(w.spare[i]);
}

void cert_result_fini(struct cert_result *result)
{
    cert_pair_unref(result->pair);
    sts_arena_free(result->arena);
}
