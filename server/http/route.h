/* Route: what to answer, decided from bytes alone (pure, fuzzed). The only resource is
 * /.well-known/mta-sts.txt (RFC 8461 §3.2), for GET and HEAD (RFC 9110 §9.3). */
#ifndef MTASTS_HTTP_ROUTE_H
#define MTASTS_HTTP_ROUTE_H

#include "mtasts/str.h"

struct route_request {
    struct sts_str method, target,
        authority;       /* raw, as received; authority: Host or absolute-form */
    struct sts_str host; /* SNI name of the connection (canonical), empty without TLS */
    unsigned host_count; /* number of Host header fields */
    bool announces_body; /* any Content-Length other than one "0", or Transfer-Encoding */
};

enum route_result {
    ROUTE_POLICY,
    ROUTE_BAD_REQUEST,
    ROUTE_NOT_FOUND,
    ROUTE_BAD_METHOD,
    ROUTE_MISDIRECTED
};

/* `name` (may point into the request or static storage) receives the canonical lower-case host the
 * request is for, written to `buffer` of at least 256 bytes. */
enum route_result route_decide(const struct route_request *request, char *buffer, size_t size,
                               struct sts_str *name);

#endif
