#include "server/cli/select.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mtasts/domain.h"
#include "server/base/memory.h"
#include "server/sys/clock.h"
#include "server/sys/file.h"

bool selection_init(struct selection *s, const struct options *options)
{
    const struct snapshot_input input = {
        .main_file = options->config, .now = clock_wall(), .with_ledger = true};

    *s = (struct selection){.arena = sts_arena_new(), .lock = -1};
    sts_diags_init(&s->diags, s->arena);
    s->snapshot = snapshot_build(&input, &s->diags);
    return s->snapshot != NULL;
}

void selection_fini(struct selection *s)
{
    ledger_close(s->ledger);
    if (s->lock >= 0)
        close(s->lock);
    snapshot_unref(s->snapshot);
    free(s->chosen);
    sts_arena_free(s->arena);
}

static struct chosen *select_add(struct selection *s, struct sts_str domain)
{
    s->chosen = sts_heap_grow(s->chosen, s->count, &s->capacity, sizeof(*s->chosen));
    struct chosen *chosen = &s->chosen[s->count++];
    bool provider = s->side == STS_SIDE_PROVIDER;
    *chosen = (struct chosen){.domain = domain,
                              .zone = provider      ? s->snapshot->settings.delegation_zone
                                      : s->zone.len ? s->zone
                                                    : sts_domain_zone(domain)};
    return chosen;
}

/* On the provider's side only what is delegated has records. */
static bool is_of_side(const struct selection *s, struct sts_str domain)
{
    return s->side == STS_SIDE_TENANT ||
           snapshot_changing_side(s->snapshot, domain) == STS_SIDE_PROVIDER;
}

static bool is_wanted(const struct selection *s, struct sts_str domain)
{
    return (!s->zone.len || sts_domain_is_within(domain, s->zone)) && is_of_side(s, domain);
}

static void select_add_tenant(struct selection *s, const struct tenant *t)
{
    if (t->state != TENANT_REFUSED && is_wanted(s, t->domain))
        select_add(s, t->domain)->tenant = t;
}

static void select_refuse(struct selection *s, const char *code, struct sts_str name,
                          const char *message, const char *help)
{
    struct sts_diag *diag = sts_diag_add(&s->diags, STS_ERROR, code, (struct sts_pos){0}, "%.*s %s",
                                         STS_ARG(name), message);
    sts_diag_help(&s->diags, diag, "%s", help);
}

static bool choose_one(struct selection *s, const char *name)
{
    struct sts_str domain;

    if (!sts_domain_parse(s->arena, sts_str_from(name), STS_DOMAIN_CONFIG, (struct sts_pos){0},
                          &s->diags, &domain))
        return false;
    const struct tenant *t = snapshot_find_domain(s->snapshot, domain);
    if (!t)
        select_refuse(s, "tenant-unknown", domain, "is not a tenant",
                      "write it as under tenants:, without mta-sts.");
    else if (t->state == TENANT_REFUSED)
        select_refuse(s, "tenant-refused", domain, "has errors", "mend its configuration");
    else if (!is_wanted(s, domain))
        select_refuse(s, "tenant-elsewhere", domain, "has no records there",
                      "look at --zone, --side and records.delegation_zone");
    else
        select_add_tenant(s, t);
    return t && t->state != TENANT_REFUSED && is_wanted(s, domain);
}

static bool choose_matching(struct selection *s, const char *pattern)
{
    size_t before = s->count;

    /* Names in the arena of a snapshot end with NUL. */
    for (size_t i = 0; i < s->snapshot->tenant_count; i++)
        if (fnmatch(pattern, s->snapshot->tenants[i].domain.ptr, FNM_CASEFOLD) == 0)
            select_add_tenant(s, &s->snapshot->tenants[i]);
    if (s->count == before)
        select_refuse(s, "tenant-unknown", sts_str_from(pattern), "matches no tenant",
                      "quote it for the shell: '*.example.org'");
    return s->count > before;
}

/* Orders what most likely is in order. */
static void select_sort(struct selection *s, int (*compare)(const void *, const void *))
{
    size_t i = 1;

    while (i < s->count && compare(&s->chosen[i - 1], &s->chosen[i]) <= 0)
        i++;
    if (i < s->count)
        qsort(s->chosen, s->count, sizeof(*s->chosen), compare);
}

static int by_tenant(const void *a, const void *b)
{
    const struct chosen *x = a, *y = b;
    return (x->tenant > y->tenant) - (x->tenant < y->tenant);
}

/* Whoever names one twice gets it once. */
static void select_drop_repeated(struct selection *s)
{
    size_t kept = 0;

    select_sort(s, by_tenant);
    for (size_t i = 0; i < s->count; i++)
        if (!kept || s->chosen[kept - 1].tenant != s->chosen[i].tenant)
            s->chosen[kept++] = s->chosen[i];
    s->count = kept;
}

bool selection_choose(struct selection *s, char *const *names, size_t count)
{
    bool good = true;

    s->all = !count;
    for (size_t i = 0; s->all && i < s->snapshot->tenant_count; i++)
        select_add_tenant(s, &s->snapshot->tenants[i]);
    for (size_t i = 0; i < count; i++)
        good = (strpbrk(names[i], "*?[") ? choose_matching : choose_one)(s, names[i]) && good;
    select_drop_repeated(s);
    return good;
}

enum { PAUSE_MS = 50, WAIT_MAX_MS = 5000 };

void selection_open_ledger(struct selection *s)
{
    const struct sts_settings *settings = &s->snapshot->settings;
    struct sts_str path = file_resolve(s->arena, s->snapshot->base_dir, settings->ledger.path);
    uint64_t wait = (uint64_t)settings->settle_limit + 1000;

    s->lock = ledger_lock(path.ptr, true);
    int error = s->lock < 0 ? errno : 0;
    s->server_runs = error == EWOULDBLOCK;
    s->wait_until = clock_monotonic_ms() + (wait < WAIT_MAX_MS ? wait : WAIT_MAX_MS);
    s->ledger = ledger_open(path.ptr, s->server_runs || s->only_look ? LEDGER_READ : LEDGER_WRITE,
                            settings->ledger.where, &s->diags);
    if (!s->ledger || s->server_runs)
        return;
    s->issues = !error && !s->only_look;
    if (!error)
        return;
    /* Without the lock a server may be running unseen: no id is issued. */
    struct sts_diag *diag =
        sts_diag_add(&s->diags, STS_ERROR, "ledger-lock", settings->ledger.where, "%.*s.lock %s",
                     STS_ARG(path), file_error(error));
    sts_diag_help(&s->diags, diag, "it must be a file that this user may write");
    ledger_close(s->ledger);
    s->ledger = NULL;
}

/* Takes the id of the tenant's latest instance, when it is of the policy that it has now. */
static void select_take_id(const struct selection *s, struct chosen *c,
                           const struct ledger_instance *latest)
{
    c->pending = s->server_runs ? "the running server does not serve this policy yet"
                                : "this policy was not served yet, and no server runs";
    if (latest->last_served || !sts_str_eq(latest->body, tenant_body(c->tenant)))
        return;
    c->pending = NULL;
    memcpy(c->id, latest->id, sizeof(c->id));
    c->since = latest->first_served;
}

static void select_look_at(struct selection *s, struct chosen *c)
{
    struct sts_arena *scratch = sts_arena_new();
    struct ledger_instance latest;

    c->pending = "the ledger cannot be used, so there is no id";
    if (s->ledger && ledger_latest(s->ledger, scratch, c->domain, &latest, &s->diags))
        select_take_id(s, c, &latest);
    else if (s->ledger)
        c->pending = s->server_runs ? "the running server does not serve it yet"
                                    : "it was never served, and no server runs";
    sts_arena_free(scratch);
}

/* Whoever saves a file and asks for the records means the new ones: the running server gets the
 * time that it takes to notice, once for all tenants. */
static void wait_for(struct selection *s, struct chosen *c)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    size_t errors = s->diags.errors;

    for (;;) {
        select_look_at(s, c);
        if (!c->pending || !s->ledger || !s->server_runs || s->diags.errors != errors ||
            clock_monotonic_ms() >= s->wait_until)
            return;
        nanosleep(&pause, NULL);
    }
}

/* Where a tenant has CNAMEs only, no id is missing. */
static void select_look_again(struct selection *s, struct chosen *c)
{
    if (snapshot_changing_side(s->snapshot, c->domain) == s->side) {
        wait_for(s, c);
    } else {
        select_look_at(s, c);
        c->pending = NULL;
    }
}

static int select_by_domain(const void *a, const void *b)
{
    return sts_str_cmp(((const struct chosen *)a)->domain, ((const struct chosen *)b)->domain);
}

static int by_zone(const void *a, const void *b)
{
    int order = sts_str_cmp(((const struct chosen *)a)->zone, ((const struct chosen *)b)->zone);
    return order ? order : select_by_domain(a, b);
}

static int select_to_domain(const void *key, const void *chosen)
{
    return sts_str_cmp(*(const struct sts_str *)key, ((const struct chosen *)chosen)->domain);
}

/* A reading of the whole ledger beside the list; both are ordered by domain. */
struct reading {
    struct selection *s;
    size_t next;
    struct progress progress;
};

static void on_history(void *data, const struct ledger_history *history)
{
    struct reading *r = data;
    struct selection *s = r->s;

    while (r->next < s->count && sts_str_cmp(s->chosen[r->next].domain, history->latest.domain) < 0)
        r->next++;
    if (r->next < s->count && sts_str_eq(s->chosen[r->next].domain, history->latest.domain))
        select_take_id(s, &s->chosen[r->next], &history->latest);
    progress_at(&r->progress, r->next);
}

enum { MANY = 1000 }; /* from here on one reading is cheaper than asking for each */

static void read_ids(struct selection *s, struct reading *r)
{
    struct sts_diags ignored; /* what is damaged is found once more, and said then */

    r->next = 0;
    sts_diags_init(&ignored, s->arena);
    if (s->ledger && s->count >= MANY)
        ledger_each_history(s->ledger, on_history, r, &ignored);
}

static void forget_ids(struct selection *s)
{
    for (size_t i = 0; i < s->count; i++)
        s->chosen[i].pending = "";
}

/* Issues ids for changed policies; only while no server holds the lock. True when there were any.
 */
static bool select_issue(struct selection *s)
{
    struct ledger_entry *entries = STS_ARRAY(s->arena, s->count, struct ledger_entry);
    size_t count = 0;

    for (size_t i = 0; i < s->count; i++)
        if (s->chosen[i].pending)
            entries[count++] =
                (struct ledger_entry){s->chosen[i].domain, tenant_policy(s->chosen[i].tenant),
                                      tenant_stored_file(s->snapshot, s->chosen[i].tenant)};
    if (!count || ledger_commit(s->ledger, entries, count, clock_wall(), &s->diags))
        return count > 0;
    ledger_close(s->ledger);
    s->ledger = NULL;
    forget_ids(s);
    return false;
}

static void select_look_up(struct selection *s)
{
    struct reading r = {.s = s};

    progress_begin(&r.progress, "ids", s->count);
    forget_ids(s);
    read_ids(s, &r);
    if (s->issues && select_issue(s))
        read_ids(s, &r);
    for (size_t i = 0; i < s->count; i++) {
        if (s->chosen[i].pending)
            select_look_again(s, &s->chosen[i]);
        progress_at(&r.progress, i);
    }
    progress_end(&r.progress);
}

/* Those that the ledger calls unpublished; the list is ordered by domain, up to `known`. */
struct unpublished {
    struct selection *s;
    size_t known;
};

static void select_on_unpublished(void *data, const struct ledger_instance *instance)
{
    struct unpublished *u = data;
    struct selection *s = u->s;
    struct chosen *c = u->known ? bsearch(&instance->domain, s->chosen, u->known,
                                          sizeof(*s->chosen), select_to_domain)
                                : NULL;

    if (c)
        c->unpublished = snapshot_changing_side(s->snapshot, c->domain) == s->side;
    /* It is no tenant any more: one that is configured, but not served, is not withdrawn. */
    else if (s->all && instance->last_served && is_wanted(s, instance->domain) &&
             !snapshot_find_domain(s->snapshot, instance->domain))
        select_add(s, sts_arena_dup(s->arena, instance->domain))->unpublished = true;
}

static void look_for_unpublished(struct selection *s)
{
    struct unpublished u = {s, s->count};
    struct ledger_announced announced;

    if (s->ledger)
        ledger_each_unpublished(s->ledger, select_on_unpublished, &u, &s->diags);
    for (size_t i = u.known; i < s->count; i++) {
        struct chosen *c = &s->chosen[i];
        c->unpublished = ledger_announced(s->ledger, c->domain, &announced, &s->diags);
        if (c->unpublished)
            memcpy(c->id, announced.id, sizeof(c->id));
    }
}

static bool select_stays(const struct chosen *c, bool changed, time_t since)
{
    return (!changed || c->unpublished || c->pending) &&
           (!since || c->pending || c->since >= since);
}

void selection_look(struct selection *s, bool changed, time_t since)
{
    size_t kept = 0;

    select_sort(s, select_by_domain);
    select_look_up(s);
    if (changed)
        look_for_unpublished(s);
    for (size_t i = 0; i < s->count; i++)
        if (select_stays(&s->chosen[i], changed, since))
            s->chosen[kept++] = s->chosen[i];
    s->count = kept;
    select_sort(s, by_zone);
}
