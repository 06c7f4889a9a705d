#include "server/sys/clock.h"

time_t clock_wall(void)
{
    return time(NULL);
}

uint64_t clock_monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

const char *clock_text(time_t t, char out[CLOCK_TEXT])
{
    static const time_t last = 253402300799; /* 9999-12-31 23:59:59 UTC: RFC 3339 knows no later */
    struct tm tm = {0};

    t = t < 0 ? 0 : t > last ? last : t;
    gmtime_r(&t, &tm);
    strftime(out, CLOCK_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return out;
}
