#include "server/daemon/expiry.h"

#include <assert.h>
#include <stdlib.h>

#include "server/base/memory.h"
#include "server/sys/log.h"

enum { DAY = 86400 };

time_t expiry_next(time_t not_after, int level)
{
    static const int days[] = {21, 7, 3, 1};

    assert(level >= 0);
    if (level >= EXPIRY_EXPIRED)
        return EXPIRY_NEVER;
    return level < EXPIRY_EXPIRED - 1 ? not_after - days[level] * DAY : not_after + 1;
}

int expiry_level(time_t not_after, time_t now)
{
    int level = 0;

    while (expiry_next(not_after, level) <= now)
        level++;
    return level;
}

/* Renewals come when a third of the lifetime is left: before that nothing is broken. */
static bool is_late(const struct cert_info *info, int level)
{
    time_t left = info->not_after - expiry_next(info->not_after, level - 1);
    return level == EXPIRY_EXPIRED || left * 3 <= info->not_after - info->not_before;
}

static void say(const struct presented *p, int level, time_t now)
{
    const struct cert_info *info = cert_pair_info(p->pair);
    bool expired = level == EXPIRY_EXPIRED;
    struct log_line line;
    struct tm tm;
    char date[32];

    gmtime_r(&info->not_after, &tm);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm);
    log_begin(&line, expired ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
              expired ? "certificate-expired" : "certificate-expires");
    log_str(&line, "tenant", p->tenant->domain);
    log_int(&line, "tenants", (long long)p->tenants);
    log_str(&line, "file", info->file);
    log_cstr(&line, "not_after", date);
    if (!expired)
        log_int(&line, "days", (long long)(info->not_after - now + DAY - 1) / DAY);
    log_cstr(&line, "message",
             expired ? "senders refuse it; put a renewed one in place"
                     : "it was not renewed yet; see what renews it");
    log_end(&line);
}

void expiry_update(struct expiry *e, const struct snapshot *s)
{
    struct expiry next = {.last = e->last}; /* .next: at once */
    struct presented *list = snapshot_presented(s, NULL, &next.count);

    next.list = sts_must(calloc(next.count + 1, sizeof(*next.list)));
    for (size_t i = 0, k = 0; i < next.count; i++) {
        uintptr_t pair = (uintptr_t)list[i].pair;
        while (k < e->count && (uintptr_t)e->list[k].presented.pair < pair)
            k++;
        bool known = k < e->count && (uintptr_t)e->list[k].presented.pair == pair;
        next.list[i] = (struct expiring){list[i], known ? e->list[k].level : 0};
    }
    free(list);
    free(e->list);
    *e = next;
}

bool expiry_tick(struct expiry *e, time_t now)
{
    bool back = now < e->last, expired = false;

    e->last = now;
    if (now < e->next && !back)
        return false;
    e->next = EXPIRY_NEVER;
    for (size_t i = 0; i < e->count; i++) {
        struct expiring *x = &e->list[i];
        const struct cert_info *info = cert_pair_info(x->presented.pair);
        int level = expiry_level(info->not_after, now);
        if (level > x->level) {
            x->level = level;
            expired |= level == EXPIRY_EXPIRED;
            if (is_late(info, level))
                say(&x->presented, level, now);
        }
        time_t next = expiry_next(info->not_after, level);
        e->next = next < e->next ? next : e->next;
    }
    return back || expired;
}

void expiry_fini(struct expiry *e)
{
    free(e->list);
    *e = (struct expiry){0};
}
