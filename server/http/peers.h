/* Peers: how many connections each client address has, across all workers. IPv6 is counted by /64,
 * because one host can use every address of its prefix. */
#ifndef MTASTS_HTTP_PEERS_H
#define MTASTS_HTTP_PEERS_H

#include <netinet/in.h>

#include "mtasts/str.h"

struct peers;

/* Room for `connections` connections at once; at most `limit` for one address. NULL, which the
 * functions below take, when limit is 0: no limit. */
struct peers *peers_new(size_t connections, unsigned limit);
void peers_free(struct peers *peers);

/* Counts one more connection (IPv4 as ::ffff:a.b.c.d); false when that would pass the limit. */
bool peers_take(struct peers *peers, const struct in6_addr *address);
/* Undoes one successful peers_take of the same address. */
void peers_release(struct peers *peers, const struct in6_addr *address);

#endif
