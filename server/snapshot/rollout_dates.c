/* Dates and spans of time for people. */
#include <stdio.h>

#include "server/snapshot/rollout.h"

enum { DAY = 86400 };

const char *rollout_time(char text[ROLLOUT_TIME_SIZE], time_t at)
{
    struct tm tm = {0};

    at = at < 0 ? 0 : at > ledger_last_time ? ledger_last_time : at;
    gmtime_r(&at, &tm);
    strftime(text, ROLLOUT_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return text;
}

const char *rollout_day(char text[ROLLOUT_TIME_SIZE], time_t at)
{
    rollout_time(text, at);
    text[sizeof("2026-12-14") - 1] = '\0';
    return text;
}

const char *rollout_day_after(char text[ROLLOUT_TIME_SIZE], time_t until)
{
    return rollout_day(text, until < ledger_last_time ? until + DAY - 1 : until);
}

const char *rollout_span(char text[ROLLOUT_SPAN_SIZE], uint32_t seconds)
{
    static const struct {
        uint32_t seconds;
        const char *name;
    } units[] = {
        {7 * DAY, "week"}, {DAY, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"},
    };
    size_t i = 0;

    while (seconds % units[i].seconds != 0 || seconds < units[i].seconds)
        if (units[++i].seconds == 1)
            break;
    uint32_t count = seconds / units[i].seconds;
    snprintf(text, ROLLOUT_SPAN_SIZE, "%u %s%s", count, units[i].name, count == 1 ? "" : "s");
    return text;
}
