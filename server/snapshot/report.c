#include "server/snapshot/report.h"

#include <stdlib.h>
#include <string.h>

#include "server/snapshot/renewal.h"
#include "server/snapshot/rollout.h"

/* mta-stsd(8) has this table, too; a test compares them. */
const struct report_alarm report_alarms[] = {
    {"certificate-chain-expired", "senders refuse the certificate"},
    {"certificate-expires", "renewal fails, and soon senders refuse the certificate"},
    {"certificate-kept", "a renewed certificate cannot be used, and the one before ends"},
    {"restart-needed", "a setting is not in effect"},
    {"source-kept", "a file cannot be used, and what it says is not served"},
    {"tenant-kept", "what the configuration says is not served"},
    {"tenant-removed", "senders hold the policy, and find none when they renew it"},
    {NULL, NULL},
};

bool report_is_alarm(const struct sts_diag *diag)
{
    const struct report_alarm *alarm = report_alarms;

    if (diag->severity != STS_WARNING)
        return diag->severity == STS_ERROR;
    while (alarm->code && strcmp(alarm->code, diag->code) != 0)
        alarm++;
    return alarm->code != NULL;
}

bool report_any_alarm(const struct sts_diags *diags)
{
    const struct sts_diag *diag = diags->first;

    while (diag && !report_is_alarm(diag))
        diag = diag->next;
    return diag != NULL;
}

void report_removed(struct sts_diags *diags, struct sts_pos where, struct sts_str domain,
                    time_t until)
{
    char day[ROLLOUT_TIME_SIZE];
    struct sts_diag *diag =
        sts_diag_add(diags, STS_WARNING, "tenant-removed", where,
                     "%.*s was removed, but senders may hold its policy until %s", STS_ARG(domain),
                     rollout_day_after(day, until));

    diag->tenant = sts_arena_dup(diags->arena, domain);
    sts_diag_help(diags, diag, "put it back with retire: on until then (RFC 8461 section 8.3)");
}

static int report_by_tenant(const void *a, const void *b)
{
    const struct presented *x = a, *y = b;
    uintptr_t p = (uintptr_t)x->tenant, q = (uintptr_t)y->tenant; /* one array, by domain */

    return (p > q) - (p < q);
}

static void report_warn_overdue(const struct report_input *input)
{
    size_t count;
    struct presented *all = snapshot_presented(input->snapshot, NULL, &count);

    qsort(all, count, sizeof(*all), report_by_tenant);
    for (size_t i = 0; i < count; i++)
        renewal_warn(input->diags, cert_pair_info(all[i].pair), all[i].tenant->domain,
                     all[i].tenants, input->now);
    free(all);
}

static void set_count(json_t *object, const char *key, size_t count)
{
    json_object_set_new(object, key, json_integer((json_int_t)count));
}

json_t *report_counts(const struct snapshot *s)
{
    json_t *object = json_object();

    set_count(object, "tenants", s->tenant_count);
    set_count(object, "served", s->served);
    set_count(object, "without_certificate", s->without_certificate);
    set_count(object, "refused", s->refused);
    set_count(object, "kept", s->kept);
    set_count(object, "retiring", s->retiring);
    return object;
}

static json_t *tenants_json(const struct snapshot *s)
{
    json_t *tenants = json_array();

    for (size_t i = 0; s && i < s->tenant_count; i++) {
        json_t *object = json_object();
        json_object_set_new(object, "domain", sts_json_str(s->tenants[i].domain));
        json_object_set_new(object, "state", json_string(tenant_state_name(&s->tenants[i])));
        json_object_set_new(object, "kept", json_boolean(s->tenants[i].kept != KEPT_NOT));
        json_array_append_new(tenants, object);
    }
    return tenants;
}

static json_t *report_text_or_null(struct sts_str text)
{
    return text.len ? sts_json_str(text) : json_null();
}

static void list_change(void *list, const struct snapshot_change *change)
{
    static const char *const words[] = {
        [CHANGE_ADDED] = "added", [CHANGE_CHANGED] = "changed", [CHANGE_REMOVED] = "removed"};
    struct sts_str after = change->tenant ? tenant_body(change->tenant) : (struct sts_str){0};
    json_t *object = json_object();

    json_object_set_new(object, "domain", sts_json_str(change->domain));
    json_object_set_new(object, "change", json_string(words[change->kind]));
    json_object_set_new(object, "before", report_text_or_null(change->body));
    json_object_set_new(object, "after", report_text_or_null(after));
    json_array_append_new(list, object);
}

json_t *report_json(const struct report_input *input)
{
    const struct snapshot *s = input->snapshot;
    json_t *report = json_object(), *changes = json_array();

    if (s) {
        snapshot_each_change(s, input->previous, input->served, list_change, changes);
        report_warn_overdue(input);
    }
    json_object_set_new(report, "usable", json_boolean(s != NULL));
    json_object_set_new(report, "config", sts_json_str(sts_str_from(input->config)));
    json_object_set_new(report, "compared_with",
                        input->compared_with ? json_string(input->compared_with) : json_null());
    set_count(report, "errors", input->diags->errors);
    set_count(report, "warnings", input->diags->warnings);
    json_object_set_new(report, "counts", s ? report_counts(s) : json_null());
    json_object_set_new(report, "tenants", tenants_json(s));
    json_object_set_new(report, "changes", changes);
    json_object_set_new(report, "diagnostics", sts_diags_json(input->diags));
    return report;
}
