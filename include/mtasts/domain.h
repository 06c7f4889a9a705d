/* Policy domains and mx patterns in canonical form: lower-case A-labels without a trailing dot.
 * Everything past this module holds canonical names only, so names compare bytewise. */
#ifndef MTASTS_DOMAIN_H
#define MTASTS_DOMAIN_H

#include "mtasts/arena.h"
#include "mtasts/diag.h"

#define STS_DOMAIN_MAX 253 /* octets, RFC 1035 §2.3.4 */
#define STS_LABEL_MAX  63

/* How strict to be. Operators may write U-labels, upper case and one trailing dot in YAML; a
 * policy body on the wire may not (RFC 8461 §3.2, RFC 5321 §4.1.2). */
enum sts_domain_form { STS_DOMAIN_WIRE, STS_DOMAIN_CONFIG };

/* True and *out canonical (in the arena) when `in` is a host name: labels of letters, digits and
 * inner hyphens, 63 octets a label, 253 in all; with STS_DOMAIN_CONFIG also U-labels (IDNA2008 by
 * libidn2) and a trailing dot. Upper case is always accepted and folded. Otherwise false with one
 * error in `diags` (codes "domain-..."). IP addresses, whole or in part, are refused
 * ("domain-ip-address"), and so are A-labels that are none (RFC 5891 §4.2; "domain-idna"). */
bool sts_domain_parse(struct sts_arena *arena, struct sts_str in, enum sts_domain_form form,
                      struct sts_pos where, struct sts_diags *diags, struct sts_str *out);

/* Same for an mx pattern: a domain with an optional "*." in front (RFC 8461 §3.2; codes as
 * above and "mx-bare-wildcard"). In the wire form upper case is legal and folded. */
bool sts_mx_parse(struct sts_arena *arena, struct sts_str in, enum sts_domain_form form,
                  struct sts_pos where, struct sts_diags *diags, struct sts_str *out);

/* RFC 8461 §4.1: "*." stands for exactly one left-most label. Both canonical. */
bool sts_mx_matches(struct sts_str pattern, struct sts_str host);
/* Whether every host that `narrow` matches is matched by `wide` (equal patterns included). */
bool sts_mx_covers(struct sts_str wide, struct sts_str narrow);

bool sts_domain_is_public_suffix(struct sts_str domain); /* libpsl's built-in list, ICANN+private */
/* The zone that `domain` most likely is in: the label below its public suffix and what follows, or
 * `domain` itself when it is a public suffix. A part of `domain`. */
struct sts_str sts_domain_zone(struct sts_str domain);
/* Whether `domain` is `zone` or a name below it. Both canonical. */
bool sts_domain_is_within(struct sts_str domain, struct sts_str zone);
size_t sts_domain_labels(struct sts_str domain);

#endif
