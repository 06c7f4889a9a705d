/* A first load beside other work: the files of a hundred thousand tenants are read meanwhile. */
#include <stdlib.h>

#include "server/base/memory.h"
#include "server/sys/thread.h"
#include "server/tls/cert_store.h"

struct cert_loading {
    const struct sts_path *paths;
    size_t count;
    struct sts_str base_dir;
    const char *index;
    time_t now;
    struct sts_arena *arena;
    struct sts_diags diags;
    struct cert_store *store;
    pthread_t thread;
    bool apart; /* there is one */
};

static void *cert_loading_load(void *data)
{
    struct cert_loading *l = data;

    l->store = cert_store_load(l->paths, l->count, l->base_dir, l->index, NULL, l->now, &l->diags);
    return NULL;
}

struct cert_loading *cert_loading_begin(const struct sts_path *paths, size_t count,
                                        struct sts_str base_dir, const char *index, time_t now)
{
    struct cert_loading *l = sts_must(calloc(1, sizeof(*l)));

    *l = (struct cert_loading){
        .paths = paths, .count = count, .base_dir = base_dir, .index = index, .now = now};
    l->arena = sts_arena_new();
    sts_diags_init(&l->diags, l->arena);
    l->apart = thread_start(&l->thread, 0, cert_loading_load, l) == 0;
    return l;
}

struct cert_store *cert_loading_finish(struct cert_loading *l, struct sts_diags *diags)
{
    if (l->apart)
        pthread_join(l->thread, NULL);
    else
        cert_loading_load(l);
    struct cert_store *store = l->store;
    sts_diags_append(diags, &l->diags);
    sts_arena_free(l->arena);
    free(l);
    return store;
}
