/* Head: a second, strict look at the raw bytes of a request head (pure, fuzzed).
 *
 * libh2o keeps one of several Host and Content-Length fields and forgets that there were more, and
 * it accepts folded lines and bare line feeds. Whatever two parsers could read differently
 * (RFC 9112 §11.2, request smuggling) has to be seen before we answer, so it is counted here. */
#ifndef MTASTS_HTTP_HEAD_H
#define MTASTS_HTTP_HEAD_H

#include "mtasts/str.h"

#define HEAD_MAX 16384 /* octets of one head that we answer; real ones have a few hundred */

struct head {
    size_t len; /* octets up to and including the empty line */
    struct sts_str method, target;
    struct sts_str host; /* value of the last Host field, trimmed */
    unsigned host_count;
    bool announces_body; /* any Content-Length other than one "0", or Transfer-Encoding */
    bool malformed;      /* see above: answer 400 and close */
};

/* Scans the head at the start of `bytes` (one empty line in front is skipped, RFC 9112 §2.2).
 * False when no empty line ends it within `bytes`. Slices point into `bytes`. Names compare
 * without case: libh2o lower-cases them in place. */
bool head_scan(struct sts_str bytes, struct head *out);

#endif
