/* Reading what was served over time: all instances of a tenant, folded into one answer. */
#include <string.h>

#include "server/ledger/parts.h"

/* Rows come tenant by tenant, oldest first; only the last of a tenant is held, as a copy. */
struct fold {
    struct ledger *ledger;
    ledger_visit_history *visit;
    void *data;
    struct sts_diags *diags;
    struct ledger_history held;
    struct sts_buf domain, body; /* of `held` */
    bool holds;
    bool readable; /* the row that is held */
    bool good;     /* all until now */
};

static void history_tell(struct fold *f)
{
    struct ledger_instance *latest = &f->held.latest;

    if (!f->holds)
        return;
    latest->domain = sts_buf_str(&f->domain);
    latest->body = sts_buf_str(&f->body);
    if (f->readable && ledger_is_proved(f->ledger, latest)) {
        f->visit(f->data, &f->held);
    } else {
        ledger_fail_entry(f->ledger, latest->domain, f->diags);
        f->good = false;
    }
}

static time_t none_since(const struct fold *f, const struct ledger_instance *next)
{
    if (next->mode != STS_MODE_NONE)
        return 0;
    if (f->held.none_since)
        return f->held.none_since;
    return next->first_served > 0 ? next->first_served : 1; /* the clock was wrong: long ago */
}

static void history_add(struct fold *f, sqlite3_stmt *stmt)
{
    struct ledger_instance next;
    bool readable = ledger_read_fields(stmt, &next);

    if (!f->holds || !sts_str_eq(next.domain, sts_buf_str(&f->domain))) {
        history_tell(f);
        f->held = (struct ledger_history){0};
        f->domain.len = 0;
        sts_buf_add(&f->domain, next.domain);
    }
    f->body.len = 0;
    sts_buf_add(&f->body, next.body);
    f->holds = true;
    f->readable = readable;
    f->held.none_since = none_since(f, &next);
    f->held.latest = next;
    if (f->held.cached_until < next.cached_until)
        f->held.cached_until = next.cached_until;
}

static bool fold_rows(struct fold *f, sqlite3_stmt *stmt, int rc)
{
    f->good = true;
    while (stmt && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
        history_add(f, stmt);
    if (rc == SQLITE_DONE)
        history_tell(f);
    else
        f->good = ledger_fail(f->ledger, rc, f->diags);
    sqlite3_reset(stmt);
    sts_buf_fini(&f->domain);
    sts_buf_fini(&f->body);
    return f->good;
}

bool ledger_each_history(struct ledger *ledger, ledger_visit_history *visit, void *data,
                         struct sts_diags *diags)
{
    struct fold f = {.ledger = ledger, .visit = visit, .data = data, .diags = diags};
    int rc;

    if (!ledger_refresh(ledger, LEDGER_READ, diags))
        return false;
    sqlite3_stmt *stmt =
        ledger_prepare(ledger, "SELECT " LEDGER_COLUMNS " FROM instance ORDER BY domain, seq", &rc);
    bool good = fold_rows(&f, stmt, rc);
    sqlite3_finalize(stmt);
    return good;
}

struct copy {
    struct sts_arena *arena;
    struct ledger_history *out;
    bool found;
};

static void copy_history(void *data, const struct ledger_history *history)
{
    struct copy *copy = data;

    *copy->out = *history;
    copy->out->latest.domain = sts_arena_dup(copy->arena, history->latest.domain);
    copy->out->latest.body = sts_arena_dup(copy->arena, history->latest.body);
    copy->found = true;
}

bool ledger_history(struct ledger *ledger, struct sts_arena *arena, struct sts_str domain,
                    struct ledger_history *out, struct sts_diags *diags)
{
    struct copy copy = {.arena = arena, .out = out};
    struct fold f = {.ledger = ledger, .visit = copy_history, .data = &copy, .diags = diags};
    int rc = SQLITE_OK;

    if (!ledger_refresh(ledger, LEDGER_READ, diags))
        return false;
    if (!ledger->history)
        ledger->history = ledger_prepare(
            ledger, "SELECT " LEDGER_COLUMNS " FROM instance WHERE domain = ?1 ORDER BY seq", &rc);
    if (!ledger->history)
        return ledger_fail(ledger, rc, diags);
    ledger_bind_str(ledger->history, 1, domain);
    fold_rows(&f, ledger->history, rc);
    sqlite3_clear_bindings(ledger->history); /* `domain` is borrowed, the statement stays */
    return copy.found;
}
