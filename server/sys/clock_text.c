#include "server/sys/clock.h"

const char *clock_text(time_t t, char out[CLOCK_TEXT])
{
    static const time_t last = 253402300799; /* 9999-12-31 23:59:59 UTC: RFC 3339 knows no later */
    struct tm tm = {0};

    t = t < 0 ? 0 : t > last ? last : t;
    gmtime_r(&t, &tm);
    strftime(out, CLOCK_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return out;
}
