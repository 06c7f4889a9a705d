#include "server/daemon/expiry.h"

#include <assert.h>
#include <stdlib.h>

#include "server/base/memory.h"
#include "server/snapshot/renewal.h"
#include "server/sys/log.h"

enum { DAY = 86400 };

time_t expiry_next(const struct cert_info *info, int level)
{
    static const int days[] = {14, 7, 3, 1};

    assert(level >= 0);
    if (level >= EXPIRY_EXPIRED)
        return EXPIRY_NEVER;
    if (level == EXPIRY_EXPIRED - 1)
        return info->not_after + 1;
    time_t overdue = renewal_overdue_at(info), then = info->not_after - days[level] * DAY;
    return then > overdue ? then : overdue;
}

int expiry_level(const struct cert_info *info, time_t now)
{
    int level = 0;

    while (expiry_next(info, level) <= now)
        level++;
    return level;
}

static void expiry_say(const struct presented *p, int level, time_t now)
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

static void expiry_expect(struct expiry *e, const struct cert_pair *pair)
{
    time_t next = pair ? expiry_next(cert_pair_info(pair), 0) : EXPIRY_NEVER;
    e->next = next < e->next ? next : e->next;
}

/* Both are sorted by domain. */
void expiry_update(struct expiry *e, const struct snapshot *before, const struct snapshot *s)
{
    size_t k = 0, count = before ? before->tenant_count : 0;

    e->snapshot = s;
    if (!before)
        e->next = 0; /* at once */
    for (size_t i = 0; before && i < s->tenant_count; i++) {
        const struct tenant *t = &s->tenants[i];
        while (k < count && sts_str_cmp(before->tenants[k].domain, t->domain) < 0)
            k++;
        const struct tenant *old = k < count ? &before->tenants[k] : NULL;
        if (old && sts_str_eq(old->domain, t->domain) && old->state == t->state &&
            old->identity.ec == t->identity.ec && old->identity.rsa == t->identity.rsa)
            continue;
        expiry_expect(e, t->identity.ec);
        expiry_expect(e, t->identity.rsa);
    }
}

static void expiry_forget(struct expiry *e)
{
    for (size_t i = 0; i < e->count; i++)
        cert_pair_unref(e->list[i].pair);
    free(e->list);
}

/* At all that is presented; true when one has expired. */
static bool expiry_look(struct expiry *e, time_t now)
{
    struct expiry next = {.snapshot = e->snapshot, .next = EXPIRY_NEVER, .last = now};
    size_t count, k = 0;
    struct presented *all = snapshot_presented(e->snapshot, NULL, &count);
    bool expired = false;

    next.list = sts_must(calloc(count + 1, sizeof(*next.list)));
    for (size_t i = 0; i < count; i++) {
        const struct cert_info *info = cert_pair_info(all[i].pair);
        uintptr_t pair = (uintptr_t)all[i].pair;
        while (k < e->count && (uintptr_t)e->list[k].pair < pair)
            k++;
        int said = k < e->count && (uintptr_t)e->list[k].pair == pair ? e->list[k].level : 0;
        int level = expiry_level(info, now);
        if (level > said) {
            said = level;
            expired |= level == EXPIRY_EXPIRED;
            expiry_say(&all[i], level, now);
        }
        if (said)
            next.list[next.count++] = (struct expiring){cert_pair_ref(all[i].pair), said};
        time_t then = expiry_next(info, level);
        next.next = then < next.next ? then : next.next;
    }
    free(all);
    next.list = sts_must(realloc(next.list, (next.count + 1) * sizeof(*next.list)));
    expiry_forget(e);
    *e = next;
    return expired;
}

bool expiry_tick(struct expiry *e, time_t now)
{
    bool back = now < e->last;

    e->last = now;
    if (now < e->next && !back)
        return false;
    return expiry_look(e, now) || back;
}

void expiry_fini(struct expiry *e)
{
    expiry_forget(e);
    *e = (struct expiry){0};
}
