#include "server/snapshot/renewal.h"

#include <stdio.h>

#include "mtasts/domain.h"
#include "server/sys/clock.h"

enum { MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR, LEAD_MAX = 14 * DAY };

time_t renewal_overdue_at(const struct cert_info *info)
{
    time_t lead = (info->not_after - info->not_before) / 6;

    lead = lead < 0 ? 0 : lead > LEAD_MAX ? LEAD_MAX : lead;
    return info->not_after - lead;
}

/* "3 days", in the unit that tells how much hurry there is. */
static void renewal_print_left(char *out, size_t size, time_t left)
{
    time_t unit = left >= 2 * DAY ? DAY : left >= 2 * HOUR ? HOUR : MINUTE;
    long long count = left / unit;

    snprintf(out, size, "%lld %s%s", count,
             unit == DAY    ? "day"
             : unit == HOUR ? "hour"
                            : "minute",
             count == 1 ? "" : "s");
}

bool renewal_warn(struct sts_diags *diags, const struct cert_info *info, struct sts_str domain,
                  size_t tenants, time_t now)
{
    const struct sts_pos where = {.source = sts_arena_dup(diags->arena, info->file)};
    char end[CLOCK_TEXT], left[40], whose[STS_DOMAIN_MAX + 60];
    struct sts_diag *diag;

    if (now < renewal_overdue_at(info))
        return false;
    if (tenants > 1)
        snprintf(whose, sizeof(whose), "%.*s and %zu more tenants", STS_ARG(domain), tenants - 1);
    else
        snprintf(whose, sizeof(whose), "%.*s", STS_ARG(domain));
    clock_text(info->not_after, end);
    if (now > info->not_after) {
        diag = sts_diag_add(diags, STS_ERROR, "certificate-expired", where,
                            "the certificate of %s expired at %s: senders refuse it", whose, end);
    } else {
        renewal_print_left(left, sizeof(left), info->not_after - now);
        diag = sts_diag_add(diags, STS_WARNING, "certificate-expires", where,
                            "the certificate of %s expires at %s, in %s, and was not renewed",
                            whose, end, left);
    }
    diag->tenant = sts_arena_dup(diags->arena, domain);
    sts_diag_help(diags, diag, "see what renews it; a new one is presented without a restart");
    return true;
}
