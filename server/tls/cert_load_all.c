/* The candidates of one load, divided among threads. */
#include <signal.h>
#include <unistd.h>

#include "server/base/memory.h"
#include "server/tls/cert_pair.h"

enum { THREADS_MAX = 16, WORTH_A_THREAD = 64 /* candidates: some 10 ms */ };

struct work {
    struct cert_loader *loader;
    const struct cert_candidates *candidates;
    struct cert_result *results;
    atomic_size_t next;
};

static void load_one(const struct work *w, size_t i)
{
    struct cert_result *r = &w->results[i];

    r->arena = sts_arena_new();
    sts_diags_init(&r->diags, r->arena);
    r->outcome = cert_load(w->loader, &w->candidates->items[i], &r->diags, &r->pair);
    if (r->diags.first)
        return;
    sts_arena_free(r->arena); /* of a hundred thousand, most have nothing to say */
    r->arena = NULL;
}

static void *run(void *data)
{
    struct work *w = data;
    size_t i;

    while ((i = atomic_fetch_add(&w->next, 1)) < w->candidates->count)
        load_one(w, i);
    return NULL;
}

static size_t count_threads(const struct work *w)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    size_t wanted = w->candidates->count / WORTH_A_THREAD;

    if (w->loader->previous || processors < 1)
        return 1;
    if (wanted > (size_t)processors)
        wanted = (size_t)processors;
    return wanted > THREADS_MAX ? THREADS_MAX : wanted;
}

void cert_load_all(struct cert_loader *loader, const struct cert_candidates *candidates,
                   struct cert_result *results)
{
    struct work w = {.loader = loader, .candidates = candidates, .results = results};
    size_t wanted = count_threads(&w), started = 0;
    pthread_t threads[THREADS_MAX];
    sigset_t all, before;

    /* Signals stay with the thread that waits for them; this one works too. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (started + 1 < wanted && pthread_create(&threads[started], NULL, run, &w) == 0)
        started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    run(&w);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}

void cert_result_fini(struct cert_result *result)
{
    cert_pair_unref(result->pair);
    sts_arena_free(result->arena);
}
