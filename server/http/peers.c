#include "server/http/peers.h"

#include <assert.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "server/base/memory.h"

struct peer {
    uint64_t key[2];
    unsigned count; /* 0: the slot is free */
};

/* Open addressing with linear probing. There are never more keys than connections, and at least
 * twice as many slots, so a free one is always near. */
struct peers {
    pthread_mutex_t lock;
    unsigned limit;
    uint64_t seed[2]; /* clients must not be able to choose their slots */
    size_t mask;
    size_t used, capacity;
    struct peer slots[];
};

struct peers *peers_new(size_t connections, unsigned limit)
{
    struct peers *peers;
    size_t size = 16;

    if (limit == 0)
        return NULL;
    while (size < sts_mul_size(connections, 2))
        size *= 2;
    peers = sts_must(
        calloc(1, sts_add_size(sizeof(*peers), sts_mul_size(size, sizeof(peers->slots[0])))));
    pthread_mutex_init(&peers->lock, NULL);
    peers->limit = limit;
    peers->mask = size - 1;
    peers->capacity = connections;
    if (getrandom(peers->seed, sizeof(peers->seed), GRND_NONBLOCK) < 0)
        peers->seed[0] = (uintptr_t)peers; /* early boot: address randomisation must do */
    return peers;
}

void peers_free(struct peers *peers)
{
    if (!peers)
        return;
    pthread_mutex_destroy(&peers->lock);
    free(peers);
}

static void key_of(const struct in6_addr *address, uint64_t key[2])
{
    memcpy(key, address, 16);
    if (!IN6_IS_ADDR_V4MAPPED(address))
        key[1] = 0;
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static size_t home_of(const struct peers *peers, const uint64_t key[2])
{
    return mix(mix(key[0] ^ peers->seed[0]) + (key[1] ^ peers->seed[1])) & peers->mask;
}

/* The slot of the key, or the free one where it belongs. */
static size_t find_slot(const struct peers *peers, const uint64_t key[2])
{
    size_t at = home_of(peers, key);

    while (peers->slots[at].count && memcmp(peers->slots[at].key, key, 16) != 0)
        at = (at + 1) & peers->mask;
    return at;
}

/* Frees a slot and moves up what probing would no longer reach across the gap. */
static void remove_slot(struct peers *peers, size_t gap)
{
    size_t at = gap;

    for (;;) {
        at = (at + 1) & peers->mask;
        if (!peers->slots[at].count)
            break;
        size_t home = home_of(peers, peers->slots[at].key);
        if (((at - home) & peers->mask) >= ((at - gap) & peers->mask)) {
            peers->slots[gap] = peers->slots[at];
            gap = at;
        }
    }
    peers->slots[gap] = (struct peer){0};
    peers->used--;
}

bool peers_take(struct peers *peers, const struct in6_addr *address)
{
    uint64_t key[2];
    bool taken;

    if (!peers)
        return true;
    key_of(address, key);
    pthread_mutex_lock(&peers->lock);
    struct peer *slot = &peers->slots[find_slot(peers, key)];
    taken = slot->count < peers->limit;
    if (taken && slot->count++ == 0) {
        memcpy(slot->key, key, sizeof(key));
        peers->used++;
        assert(peers->used <= peers->capacity);
    }
    pthread_mutex_unlock(&peers->lock);
    return taken;
}

void peers_release(struct peers *peers, const struct in6_addr *address)
{
    uint64_t key[2];

    if (!peers)
        return;
    key_of(address, key);
    pthread_mutex_lock(&peers->lock);
    size_t at = find_slot(peers, key);
    assert(peers->slots[at].count > 0);
    if (--peers->slots[at].count == 0) {
        peers->slots[at].count = 1; /* removal looks at occupied slots only */
        remove_slot(peers, at);
    }
    pthread_mutex_unlock(&peers->lock);
}
