/* Host names as they may stand in a ClientHello or a subjectAltName: letters, digits and inner
 * hyphens in labels of 63 octets, 253 in all, no trailing dot (RFC 6066 §3), not an IP address.
 * Works in the caller's storage: it runs once per handshake. */
#ifndef MTASTS_TLS_HOST_NAME_H
#define MTASTS_TLS_HOST_NAME_H

#include "mtasts/domain.h"

struct host_name {
    char text[STS_DOMAIN_MAX + 1]; /* lower case, NUL-terminated */
    size_t len;
};

bool host_name_parse(struct sts_str in, struct host_name *out);
/* The same with one optional "*." in front, as certificates have it (RFC 6125 §6.4.3). */
bool host_name_parse_pattern(struct sts_str in, struct host_name *out);
struct sts_str host_name_str(const struct host_name *name);

#endif
