/* PROXY protocol, version 1 (pure, fuzzed): the line a TCP load balancer sends ahead of everything
 * else, with the client's address. Only read where the configuration says so, because whoever may
 * send it chooses the address that is logged and counted. */
#ifndef MTASTS_HTTP_PROXY_H
#define MTASTS_HTTP_PROXY_H

#include <netinet/in.h>

#include "mtasts/str.h"

#define PROXY_MAX 107 /* octets of the longest line, CRLF included */

enum proxy_result { PROXY_OK, PROXY_INCOMPLETE, PROXY_BAD };

/* What the line says. With `known` false ("PROXY UNKNOWN") the address means nothing. */
struct proxy_client {
    bool known;
    struct in6_addr address; /* IPv4 as ::ffff:a.b.c.d */
    uint16_t port;
};

/* Parses the line at the start of `bytes`; on PROXY_OK *len is its length including CRLF. Strict:
 * single spaces, canonical numbers, addresses of the family it names. */
enum proxy_result proxy_parse(struct sts_str bytes, struct proxy_client *out, size_t *len);

#endif
