#include "server/snapshot/report.h"

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

static json_t *text_or_null(struct sts_str text)
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
    json_object_set_new(object, "before", text_or_null(change->body));
    json_object_set_new(object, "after", text_or_null(after));
    json_array_append_new(list, object);
}

json_t *report_json(const struct report_input *input)
{
    const struct snapshot *s = input->snapshot;
    json_t *report = json_object(), *changes = json_array();

    if (s)
        snapshot_each_change(s, input->previous, input->served, list_change, changes);
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
