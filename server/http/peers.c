#include "server/http/peers.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/base/table.h"

struct peer {
    struct in6_addr address; /* what counts of it */
    unsigned connections;
    struct peer *next; /* of those that are free */
};

/* There are never more peers than connections, so nothing is allocated once a server answers. */
struct peers {
    pthread_mutex_t lock;
    unsigned limit;
    struct sts_table table; /* by address */
    struct peer *free_peers;
    struct peer places[];
};

struct peers *peers_new(size_t connections, unsigned limit)
{
    struct peers *peers;

    if (limit == 0)
        return NULL;
    peers = sts_must(calloc(
        1, sts_add_size(sizeof(*peers), sts_mul_size(connections, sizeof(peers->places[0])))));
    pthread_mutex_init(&peers->lock, NULL);
    peers->limit = limit;
    sts_table_reserve(&peers->table, connections);
    for (size_t i = connections; i > 0; i--) {
        peers->places[i - 1].next = peers->free_peers;
        peers->free_peers = &peers->places[i - 1];
    }
    return peers;
}

void peers_free(struct peers *peers)
{
    if (!peers)
        return;
    pthread_mutex_destroy(&peers->lock);
    sts_table_fini(&peers->table);
    free(peers);
}

static struct in6_addr peer_key(const struct in6_addr *address)
{
    struct in6_addr key = *address;

    if (!IN6_IS_ADDR_V4MAPPED(address))
        memset(key.s6_addr + 8, 0, 8);
    return key;
}

static uint64_t peer_hash(const struct in6_addr *key)
{
    return sts_hash((struct sts_str){(const char *)key, sizeof(*key)});
}

static bool peer_has_address(const void *peer, const void *key)
{
    return memcmp(&((const struct peer *)peer)->address, key, sizeof(struct in6_addr)) == 0;
}

static struct peer *peer_add(struct peers *peers, const struct in6_addr *key)
{
    struct peer *peer = peers->free_peers;

    assert(peer);
    peers->free_peers = peer->next;
    *peer = (struct peer){.address = *key};
    sts_table_add(&peers->table, peer_hash(key), peer);
    return peer;
}

bool peers_take(struct peers *peers, const struct in6_addr *address)
{
    bool taken;

    if (!peers)
        return true;
    const struct in6_addr key = peer_key(address);
    pthread_mutex_lock(&peers->lock);
    struct peer *peer = sts_table_find(&peers->table, peer_hash(&key), peer_has_address, &key);
    if (!peer)
        peer = peer_add(peers, &key);
    taken = peer->connections < peers->limit;
    peer->connections += taken;
    pthread_mutex_unlock(&peers->lock);
    return taken;
}

void peers_release(struct peers *peers, const struct in6_addr *address)
{
    if (!peers)
        return;
    const struct in6_addr key = peer_key(address);
    pthread_mutex_lock(&peers->lock);
    struct peer *peer = sts_table_find(&peers->table, peer_hash(&key), peer_has_address, &key);
    assert(peer);
    if (--peer->connections == 0) {
        sts_table_remove(&peers->table, peer_hash(&key), peer_has_address, &key);
        peer->next = peers->free_peers;
        peers->free_peers = peer;
    }
    pthread_mutex_unlock(&peers->lock);
}
