#include "server/daemon/publish.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "server/sys/clock.h"
#include "server/sys/file.h"
#include "server/sys/log.h"

void log_diags(const struct sts_diags *diags)
{
    for (const struct sts_diag *diag = diags->first; diag; diag = diag->next)
        if (diag->severity != STS_NOTE)
            log_diag(diag);
}

/* Without the lock `records` could not know that a server runs, and issue ids beside it. */
static bool publish_lock(struct publisher *p, const struct snapshot *s, struct sts_diags *diags)
{
    if (p->lock >= 0 && !ledger_lock_is_in_place(p->lock, s->ledger.ptr)) {
        close(p->lock);
        p->lock = -1;
    }
    if (p->lock < 0)
        p->lock = ledger_lock_server(s->ledger.ptr);
    if (p->lock >= 0)
        return true;
    p->other_server = errno == EADDRINUSE;
    bool busy = errno == EWOULDBLOCK, gone = p->ledger && errno == ENOENT;
    struct sts_diag *diag =
        sts_diag_add(diags, busy ? STS_WARNING : STS_ERROR,
                     busy              ? "ledger-busy"
                     : p->other_server ? "ledger-in-use"
                                       : "ledger-lock",
                     s->settings.ledger.where, "%.*s.lock %s", STS_ARG(s->ledger),
                     busy              ? "is held by another command"
                     : p->other_server ? "is held by another server: two cannot share a ledger"
                                       : file_error(errno));
    sts_diag_help(diags, diag, "%s",
                  p->other_server ? "stop the other one, or give this one a ledger: of its own"
                  : gone
                      ? "put its directory back, and do not stop the server before: it still has "
                        "all of the ledger open, and tries within a minute to write it there"
                      : "it is tried again within a minute; no new id is announced before");
    return false;
}

static void publish_open_ledger(struct publisher *p, const struct snapshot *s,
                                struct sts_diags *diags)
{
    p->ledger = ledger_open(s->ledger.ptr, LEDGER_WRITE, s->settings.ledger.where, diags);
    if (!p->ledger || publish_lock(p, s, diags))
        return;
    ledger_close(p->ledger);
    p->ledger = NULL;
}

static struct ledger_entry entry_of(const struct snapshot *s, const struct tenant *t)
{
    return (struct ledger_entry){t->domain, tenant_policy(t), tenant_stored_file(s, t)};
}

/* All of it: at the start, and whenever the ledger may not know what was before. */
static bool publish_commit_all(struct publisher *p, const struct snapshot *s,
                               struct sts_diags *diags)
{
    struct ledger_entry *entries = STS_ARRAY(diags->arena, s->tenant_count, struct ledger_entry);
    size_t count = 0;

    if (!p->ledger)
        publish_open_ledger(p, s, diags);
    if (!p->ledger)
        return false;
    for (size_t i = 0; i < s->tenant_count; i++)
        if (tenant_is_current(&s->tenants[i]))
            entries[count++] = entry_of(s, &s->tenants[i]);
    ledger_give_up_when(p->ledger, p->is_end_asked);
    bool good = ledger_serve(p->ledger, entries, count, clock_wall(), diags);
    ledger_give_up_when(p->ledger, NULL);
    return good;
}

/* What differs between two snapshots, for the ledger; both are sorted by domain. */
static void find_changes(const struct snapshot *from, const struct snapshot *to,
                         struct ledger_entry *entries, struct sts_str *ended,
                         struct ledger_change *out)
{
    size_t i = 0, k = 0;

    *out = (struct ledger_change){.entries = entries, .ended = ended};
    while (i < from->tenant_count || k < to->tenant_count) {
        const struct tenant *old = i < from->tenant_count ? &from->tenants[i] : NULL;
        const struct tenant *new = k < to->tenant_count ? &to->tenants[k] : NULL;
        int order = !old ? 1 : !new ? -1 : sts_str_cmp(old->domain, new->domain);
        i += order <= 0;
        k += order >= 0;
        old = order <= 0 && tenant_is_current(old) ? old : NULL;
        new = order >= 0 && tenant_is_current(new) ? new : NULL;
        if (new && !(old && tenant_same_body(old, new) &&
                     sts_str_eq(tenant_file(from, old).name, tenant_file(to, new).name)))
            entries[out->count++] = entry_of(to, new);
        else if (old && !new)
            ended[out->ended_count++] = old->domain;
    }
}

static bool commit_changes(struct publisher *p, const struct snapshot *before,
                           const struct snapshot *s, struct sts_diags *diags)
{
    struct ledger_change change;

    find_changes(before, s, STS_ARRAY(diags->arena, s->tenant_count, struct ledger_entry),
                 STS_ARRAY(diags->arena, before->tenant_count, struct sts_str), &change);
    return ledger_change(p->ledger, &change, clock_wall(), diags);
}

/* The long way follows when this one fails, so that its errors do not matter. */
static void publisher_keep_warnings(struct sts_diags *to, const struct sts_diags *from)
{
    for (const struct sts_diag *diag = from->first; diag; diag = diag->next)
        if (diag->severity == STS_WARNING)
            sts_diags_add_copy(to, diag);
}

/* The short way when the ledger is known to know `before` (may be NULL), else the whole. */
static bool publish_commit(struct publisher *p, const struct snapshot *before,
                           const struct snapshot *s, struct sts_diags *diags)
{
    struct sts_diags own;
    bool done = false;

    if (p->ledger && !publish_lock(p, s, diags))
        return false;
    sts_diags_init(&own, diags->arena);
    if (before && p->ledger && !p->pending)
        done = commit_changes(p, before, s, &own);
    publisher_keep_warnings(diags, &own);
    return done || publish_commit_all(p, s, diags);
}

static bool publish_touch(struct publisher *p, const struct snapshot *s, struct sts_diags *diags)
{
    return publish_lock(p, s, diags) && ledger_touch(p->ledger, clock_wall(), diags);
}

static void remember_why(struct publisher *p, bool done, const struct sts_diags *diags)
{
    const struct sts_diag *diag = done ? NULL : diags->first;

    while (diag && diag->severity == STS_NOTE)
        diag = diag->next;
    p->why[0] = 0;
    if (diag)
        snprintf(p->why, sizeof(p->why), "%.*s", STS_ARG(diag->message));
}

/* A failure is logged once, not each minute; the way back is logged, too. */
static void publish_settle(struct publisher *p, bool done, const struct sts_diags *diags)
{
    remember_why(p, done, diags);
    bool given_up = !done && p->is_end_asked && p->is_end_asked();
    if (!given_up && (!p->pending || done))
        log_diags(diags);
    if (p->pending && done) {
        struct log_line line;
        log_begin(&line, LOG_LEVEL_INFO, "ledger-recovered");
        log_end(&line);
    }
    p->pending = !done;
}

bool publisher_start(struct publisher *p, const struct snapshot *s)
{
    struct sts_arena *arena = sts_arena_new();
    struct sts_diags diags;

    sts_diags_init(&diags, arena);
    publish_lock(p, s, &diags);
    if (p->other_server)
        log_diags(&diags);
    sts_arena_free(arena);
    return !p->other_server;
}

void publisher_commit(struct publisher *p, const struct snapshot *before, const struct snapshot *s)
{
    struct sts_arena *arena = sts_arena_new();
    struct sts_diags diags;

    sts_diags_init(&diags, arena);
    publish_settle(p, publish_commit(p, before, s, &diags), &diags);
    sts_arena_free(arena);
}

void publisher_tick(struct publisher *p, const struct snapshot *s)
{
    struct sts_arena *arena = sts_arena_new();
    struct sts_diags diags;

    sts_diags_init(&diags, arena);
    /* A start that fails ends before the first commit: nothing is known that would have to be. */
    if (p->ledger || p->pending)
        publish_settle(
            p, p->pending ? publish_commit(p, NULL, s, &diags) : publish_touch(p, s, &diags),
            &diags);
    sts_arena_free(arena);
}

void publisher_close(struct publisher *p)
{
    ledger_close(p->ledger);
    p->ledger = NULL;
    if (p->lock >= 0)
        close(p->lock);
    p->lock = -1;
}
