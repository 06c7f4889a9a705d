/* Renewal: from when on a certificate is overdue, and what is said of one that is. Clients renew
 * when a third of the lifetime is left: 30 of 90 days, 2 of 6. When half of that has passed too,
 * renewals have failed for a while, and somebody must look. Two weeks are enough for one that lives
 * longer than twelve weeks. */
#ifndef MTASTS_SNAPSHOT_RENEWAL_H
#define MTASTS_SNAPSHOT_RENEWAL_H

#include <time.h>

#include "mtasts/diag.h"
#include "server/tls/cert_pair.h"

time_t renewal_overdue_at(const struct cert_info *info);

/* Adds certificate-expires (warning) or certificate-expired (error) when it is overdue at `now`.
 * `domain`: of the tenant, or the first of the `tenants` that present it. Returns whether it did.
 */
bool renewal_warn(struct sts_diags *diags, const struct cert_info *info, struct sts_str domain,
                  size_t tenants, time_t now);

#endif
