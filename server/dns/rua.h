/* Report addresses of RFC 8460 §3. What we publish must suit every reader; what others publish need
 * only be valid. */
#ifndef MTASTS_DNS_RUA_H
#define MTASTS_DNS_RUA_H

#include "mtasts/record.h"

/* Checks one URI; `pedantic` is the severity of what is legal but hurts some readers: STS_ERROR for
 * our own records (sts_rua_check), STS_WARNING for a record from anywhere. False if an error. */
bool rua_check(struct sts_str uri, struct sts_pos where, struct sts_diags *diags,
               enum sts_severity pedantic);

#endif
