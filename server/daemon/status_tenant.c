/* What `status` shows of tenants: policy, id, certificates, and what is missing. */
#include <stdlib.h>
#include <string.h>

#include "mtasts/domain.h"
#include "server/base/memory.h"
#include "server/daemon/parts.h"
#include "server/snapshot/renewal.h"
#include "server/snapshot/report.h"
#include "server/sys/clock.h"

enum { DAY = 86400, REMOVED_MAX = 1000 /* that are listed */ };

/* What the ledger knows of a tenant whose policy is committed. */
struct known {
    bool committed, unpublished;
    char id[STS_ID_MAX + 1];
    time_t since, cached_until;
};

struct view {
    struct daemon *d;
    time_t now;
    struct sts_arena *arena;
    struct known *known;            /* in the place of each tenant */
    struct sts_diags removed;       /* who is no tenant any more, while senders hold its policy */
    const struct sts_diag **sorted; /* what the last usable look said, by what it concerns */
    size_t count;
};

/* --- Diagnostics by tenant --- */

/* A file that cannot be used concerns every tenant in it. */
static struct sts_str status_tenant_subject(const struct sts_diag *diag)
{
    return diag->tenant.len ? diag->tenant : diag->where.source;
}

struct placed {
    const struct sts_diag *diag;
    size_t place;
};

static int by_subject(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    int order = sts_str_cmp(status_tenant_subject(x->diag), status_tenant_subject(y->diag));
    return order ? order : (x->place > y->place) - (x->place < y->place);
}

static void sort_diags(struct view *v, const struct diagnosis *diagnosis)
{
    struct diagnosis_walk walk = {0};
    struct placed *placed = NULL;
    size_t count = 0, capacity = 0;

    for (const struct sts_diag *diag; (diag = diagnosis_next(diagnosis, &walk)); count++) {
        placed = sts_heap_grow(placed, count, &capacity, sizeof(*placed));
        placed[count] = (struct placed){diag, count};
    }
    if (placed)
        qsort(placed, count, sizeof(*placed), by_subject);
    v->sorted = STS_ARRAY(v->arena, count, const struct sts_diag *);
    for (size_t i = 0; i < count; i++)
        v->sorted[i] = placed[i].diag;
    v->count = count;
    free(placed);
}

/* Where the diagnostics of this subject begin. */
static size_t first_of(const struct view *v, struct sts_str about)
{
    size_t low = 0, high = v->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sts_str_cmp(status_tenant_subject(v->sorted[middle]), about) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Adds those of this subject to `out`, unless it is NULL; whether there are any. */
static bool find_diags(const struct view *v, struct sts_str about, bool own, bool reasons,
                       struct sts_diags *out)
{
    bool any = false;

    for (size_t i = first_of(v, about);
         i < v->count && sts_str_eq(status_tenant_subject(v->sorted[i]), about); i++) {
        if (own != (v->sorted[i]->tenant.len != 0) || report_is_alarm(v->sorted[i]) != reasons)
            continue;
        any = true;
        if (out)
            sts_diags_add_copy(out, v->sorted[i]);
    }
    return any;
}

static void explain_id(const struct view *v, const struct tenant *t, const struct known *k,
                       struct sts_diags *out)
{
    const struct publisher *p = &v->d->publisher;
    const struct hook_state *hook = hook_state(v->d->hook);
    const struct sts_pos where = tenant_where(v->d->snapshot, t);
    struct sts_diag *diag;
    char text[CLOCK_TEXT];

    if (t->state != TENANT_SERVED || (k->committed && !k->unpublished))
        return;
    if (!k->committed) {
        diag = sts_diag_add(out, STS_ERROR, "id-pending", where, "%s", "");
        /* What it quotes is the message of a diagnostic, which is escaped already. */
        diag->message = sts_arena_printf(
            out->arena, "no id is announced: %s",
            v->d->unsettled ? "a worker is busy and may still serve what was before"
            : *p->why       ? p->why
                            : "the ledger does not tell it");
        sts_diag_help(out, diag,
                      v->d->unsettled ? "it is as soon as that one answers"
                                      : "mend the ledger; it is tried again each minute");
    } else if (hook->phase == HOOK_WAITING) {
        diag = sts_diag_add(out, STS_ERROR, "id-unpublished", where,
                            "on_change has not published id %s: %s; next try at %s", k->id,
                            *hook->result ? hook->result : "not tried yet",
                            clock_text(hook->next_try, text));
        sts_diag_help(out, diag, "the log says more; systemctl reload mta-stsd tries at once");
    } else {
        sts_diag_add(out, STS_WARNING, "id-unpublished", where,
                     "on_change is about to publish id %s", k->id);
    }
}

/* Whether somebody must look at the files of this certificate; says so in `out`, which may be NULL.
 * A newer pair that cannot be used is said of the file that is wrong. */
static bool explain_files(const struct view *v, const struct cert_pair *pair, struct sts_diags *out)
{
    char space[CERT_PATH_MAX];
    struct sts_str files[] = {cert_pair_info(pair)->file, cert_pair_key_file(pair, space)};
    bool any = false;

    for (size_t i = 0; i < (sts_str_eq(files[0], files[1]) ? 1 : 2); i++)
        any |= find_diags(v, files[i], false, true, out);
    return any;
}

static bool explain_certificates(const struct view *v, const struct tenant *t,
                                 struct sts_diags *out)
{
    const struct cert_pair *pairs[] = {t->identity.ec, t->identity.rsa};
    bool any = false;

    for (size_t i = 0; t->state == TENANT_SERVED && i < sizeof(pairs) / sizeof(*pairs); i++) {
        if (!pairs[i])
            continue;
        const struct cert_info *info = cert_pair_info(pairs[i]);
        any |= explain_files(v, pairs[i], out) || v->now >= renewal_overdue_at(info);
        if (out)
            renewal_warn(out, info, t->domain, 1, v->now);
    }
    return any;
}

static void find_reasons(const struct view *v, const struct tenant *t, struct sts_diags *out)
{
    find_diags(v, t->domain, true, true, out);
    if (t->kept != KEPT_NOT || t->state == TENANT_REFUSED)
        find_diags(v, tenant_where(v->d->snapshot, t).source, false, true, out);
    explain_certificates(v, t, out);
    explain_id(v, t, &v->known[t - v->d->snapshot->tenants], out);
}

/* --- The ledger --- */

static struct known *known_of(struct view *v, struct sts_str domain)
{
    const struct snapshot *s = v->d->snapshot;
    const struct tenant *t = snapshot_find_domain(s, domain);
    return t ? &v->known[t - s->tenants] : NULL;
}

/* A warning of the look that removed it is gone after the next one; senders are not. */
static void learn_removed(struct view *v, const struct ledger_history *history)
{
    const struct sts_pos where = {v->d->snapshot->main_file, 0, 0};

    if (history->cached_until > v->now && v->removed.warnings < REMOVED_MAX)
        report_removed(&v->removed, where, history->latest.domain, history->cached_until);
}

static void status_tenant_learn(void *data, const struct ledger_history *history)
{
    struct view *v = data;
    const struct ledger_instance *latest = &history->latest;
    const struct tenant *t = snapshot_find_domain(v->d->snapshot, latest->domain);
    struct known *k = known_of(v, latest->domain);

    if (!t)
        learn_removed(v, history);
    if (!t || latest->last_served || !sts_str_eq(latest->body, tenant_body(t)))
        return;
    k->committed = true;
    memcpy(k->id, latest->id, sizeof(k->id));
    k->since = latest->first_served;
    k->cached_until = history->cached_until;
}

static void status_tenant_on_unpublished(void *data, const struct ledger_instance *instance)
{
    struct known *k = known_of(data, instance->domain);

    if (k && !instance->last_served)
        k->unpublished = true;
}

/* --- One tenant --- */

static json_t *status_tenant_policy_json(const struct tenant *t)
{
    const struct sts_policy *policy = tenant_policy(t);
    json_t *object = json_object(), *mx = json_array();

    if (!t->body) {
        json_decref(object);
        json_decref(mx);
        return json_null();
    }
    for (size_t i = 0; i < policy->mx_count; i++)
        json_array_append_new(mx, sts_json_str(policy->mx[i]));
    json_object_set_new(object, "mode", json_string(sts_mode_name(policy->mode)));
    json_object_set_new(object, "mx", mx);
    json_object_set_new(object, "max_age", json_integer(policy->max_age));
    return object;
}

static void status_tenant_add_certificate(json_t *list, const struct cert_pair *pair, time_t now)
{
    json_t *object;

    if (!pair)
        return;
    const struct cert_info *info = cert_pair_info(pair);
    time_t left = info->not_after - now;
    object = json_object();
    json_object_set_new(object, "file", sts_json_str(info->file));
    json_object_set_new(object, "key_type", json_string(info->key_type == CERT_EC ? "ec" : "rsa"));
    json_object_set_new(object, "not_before", status_time(info->not_before));
    json_object_set_new(object, "not_after", status_time(info->not_after));
    json_object_set_new(object, "days", json_integer(left / DAY - (left % DAY < 0)));
    json_array_append_new(list, object);
}

static json_t *certificates_json(const struct view *v, const struct tenant *t)
{
    json_t *list = json_array();

    status_tenant_add_certificate(list, t->identity.ec, v->now);
    status_tenant_add_certificate(list, t->identity.rsa, v->now);
    return list;
}

/* Null before the ledger knows it: it would tell the date of the policy before. */
static json_t *retire_json(const struct view *v, const struct tenant *t, const struct known *k)
{
    if (!t->retiring || !k->committed)
        return json_null();
    json_t *object = json_object();
    json_object_set_new(object, "safe_after", status_time(k->cached_until));
    json_object_set_new(object, "safe", json_boolean(k->cached_until <= v->now));
    return object;
}

static bool status_tenant_is_ready(const struct view *v, const struct tenant *t)
{
    const struct known *k = &v->known[t - v->d->snapshot->tenants];
    return t->state == TENANT_SERVED && k->committed && !k->unpublished;
}

static json_t *tenant_json(const struct view *v, const struct tenant *t,
                           const struct sts_diags *reasons, const struct sts_diags *advice)
{
    const struct known *k = &v->known[t - v->d->snapshot->tenants];
    json_t *object = json_object();

    json_object_set_new(object, "domain", sts_json_str(t->domain));
    json_object_set_new(object, "host", sts_json_str(tenant_host(t)));
    json_object_set_new(object, "state", json_string(tenant_state_name(t)));
    json_object_set_new(object, "ready", json_boolean(status_tenant_is_ready(v, t)));
    json_object_set_new(object, "policy", status_tenant_policy_json(t));
    json_object_set_new(object, "id", k->committed ? json_string(k->id) : json_null());
    json_object_set_new(object, "id_since", status_time(k->since));
    json_object_set_new(object, "certificates", certificates_json(v, t));
    json_object_set_new(object, "retire", retire_json(v, t, k));
    json_object_set_new(object, "why", sts_diags_json(reasons));
    json_object_set_new(object, "advice", sts_diags_json(advice));
    return object;
}

/* Whether there is anything to say of it. */
static bool is_worth_a_look(const struct view *v, const struct tenant *t)
{
    return !status_tenant_is_ready(v, t) || t->kept != KEPT_NOT || t->retiring ||
           explain_certificates(v, t, NULL) || find_diags(v, t->domain, true, true, NULL);
}

static void status_tenant_add_tenant(const struct view *v, const struct tenant *t,
                                     const char **separator, struct sts_buf *out)
{
    struct sts_arena *arena = sts_arena_new();
    struct sts_diags reasons, advice;

    sts_diags_init(&reasons, arena);
    sts_diags_init(&advice, arena);
    find_reasons(v, t, &reasons);
    find_diags(v, t->domain, true, false, &advice);
    sts_buf_add_cstr(out, *separator);
    sts_json_render(out, tenant_json(v, t, &reasons, &advice), false);
    *separator = ",";
    sts_arena_free(arena);
}

/* --- Those that were asked for --- */

static const struct tenant *status_tenant_find(const struct view *v, struct sts_str name)
{
    struct sts_arena *arena = sts_arena_new();
    const struct tenant *t = NULL;
    struct sts_diags ignored;
    struct sts_pos nowhere = {0};
    struct sts_str domain;

    sts_diags_init(&ignored, arena);
    if (sts_domain_parse(arena, name, STS_DOMAIN_CONFIG, nowhere, &ignored, &domain))
        t = snapshot_find_domain(v->d->snapshot, domain);
    sts_arena_free(arena);
    return t;
}

static void add_named(struct view *v, const json_t *names, struct sts_buf *out)
{
    struct ledger *ledger = v->d->publisher.ledger;
    json_t *unknown = json_array(), *item;
    const char *separator = "";
    struct sts_diags ignored;
    size_t i;

    sts_diags_init(&ignored, v->arena);
    json_array_foreach(names, i, item)
    {
        struct sts_str name = {json_string_value(item), json_string_length(item)};
        const struct tenant *t = status_tenant_find(v, name);
        struct ledger_history history;
        if (!t) {
            json_array_append_new(unknown, sts_json_str(name));
            continue;
        }
        if (ledger && ledger_history(ledger, v->arena, t->domain, &history, &ignored))
            status_tenant_learn(v, &history);
        status_tenant_add_tenant(v, t, &separator, out);
    }
    sts_buf_add_cstr(out, "],\"unknown\":");
    sts_json_render(out, unknown, false);
}

static void status_tenant_add_all(struct view *v, bool list, struct sts_buf *out)
{
    const struct snapshot *s = v->d->snapshot;
    const char *separator = "";
    struct sts_diags ignored;

    sts_diags_init(&ignored, v->arena);
    if (v->d->publisher.ledger)
        ledger_each_history(v->d->publisher.ledger, status_tenant_learn, v, &ignored);
    for (size_t i = 0; i < s->tenant_count; i++)
        if (!list || is_worth_a_look(v, &s->tenants[i]))
            status_tenant_add_tenant(v, &s->tenants[i], &separator, out);
    sts_buf_add_cstr(out, "],\"unknown\":[],\"removed\":");
    sts_diags_render_json(out, &v->removed);
}

void status_tenants(struct sts_buf *out, struct daemon *d, const struct status_question *question)
{
    struct view v = {.d = d, .now = question->now, .arena = sts_arena_new()};
    struct sts_diags ignored;

    sts_diags_init(&ignored, v.arena);
    v.known = STS_ARRAY(v.arena, d->snapshot->tenant_count, struct known);
    sts_diags_init(&v.removed, v.arena);
    sort_diags(&v, &reload_reasons(d)->diagnosis);
    if (d->publisher.ledger && hook_state(d->hook)->phase != HOOK_OFF)
        ledger_each_unpublished(d->publisher.ledger, status_tenant_on_unpublished, &v, &ignored);
    sts_buf_add_cstr(out, ",\"tenants\":[");
    if (question->tenants)
        add_named(&v, question->tenants, out);
    else
        status_tenant_add_all(&v, !question->all, out);
    sts_arena_free(v.arena);
}
