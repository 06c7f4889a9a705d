/* Route: what to answer, decided from bytes alone (pure, fuzzed). The only resource is
 * /.well-known/mta-sts.txt (RFC 8461 §3.2), for GET and HEAD (RFC 9110 §9.3). */
#ifndef MTASTS_HTTP_ROUTE_H
#define MTASTS_HTTP_ROUTE_H

#include "mtasts/str.h"

#define ROUTE_NAME_MAX 256 /* octets of `buffer` in route_decide */

struct route_request {
    struct sts_str method, target;
    struct sts_str authority; /* value of the Host header field, raw */
    struct sts_str host;      /* SNI name of the connection (canonical), empty without TLS */
    unsigned host_count;      /* number of Host header fields */
    bool announces_body;      /* any Content-Length other than one "0", or Transfer-Encoding */
    bool malformed;           /* the head can be read in more than one way (see head.h) */
};

enum route_result {
    ROUTE_POLICY,
    ROUTE_BAD_REQUEST,
    ROUTE_NOT_FOUND,
    ROUTE_BAD_METHOD,
    ROUTE_MISDIRECTED
};

/* `name` receives the canonical lower-case host the request is for, written to `buffer` of at
 * least ROUTE_NAME_MAX bytes; it is set for every result except ROUTE_BAD_REQUEST (then empty).
 * With TLS a result other than ROUTE_BAD_REQUEST and ROUTE_MISDIRECTED means that it equals
 * `request->host`. Whether such a tenant exists is the caller's to look up. */
enum route_result route_decide(const struct route_request *request, char *buffer, size_t size,
                               struct sts_str *name);

#endif
