/* An array with an object a tenant, for scripts: all that is known, null for what is not. Values
 * are bare, names absolute without the final dot. A withdrawn one has the records to be removed. */
#include "server/base/json.h"
#include "server/dns/format.h"

static json_t *format_json_record_json(const struct sts_record *r)
{
    json_t *object = json_object();
    json_object_set_new(object, "name", sts_json_str(r->owner));
    json_object_set_new(object, "type", json_string(sts_rr_type_name(r->type)));
    json_object_set_new(object, "ttl", json_integer(r->ttl));
    json_object_set_new(object, "value", sts_json_str(r->value));
    json_object_set_new(object, "purpose", json_string(r->purpose));
    return object;
}

static json_t *word_json(const char *word)
{
    return word ? json_string(word) : json_null();
}

static json_t *set_json(const struct sts_record_set *set)
{
    json_t *object = json_object(), *records = json_array();
    json_object_set_new(object, "domain", sts_json_str(set->domain));
    json_object_set_new(object, "id", set->id.len ? sts_json_str(set->id) : json_null());
    json_object_set_new(object, "pending",
                        set->pending.len ? sts_json_str(set->pending) : json_null());
    json_object_set_new(object, "zone", sts_json_str(set->zone));
    json_object_set_new(object, "state", word_json(set->state));
    json_object_set_new(object, "mode", word_json(set->mode));
    json_object_set_new(object, "max_age", set->mode ? json_integer(set->max_age) : json_null());
    json_object_set_new(object, "withdrawn", json_boolean(set->withdrawn));
    for (size_t i = 0; i < set->count; i++)
        json_array_append_new(records, format_json_record_json(&set->records[i]));
    json_object_set_new(object, "records", records);
    return object;
}

void format_json_begin(struct sts_buf *out, const struct sts_format_context *c)
{
    (void)c;
    sts_buf_add(out, STS_STR("["));
}

void format_json(struct sts_buf *out, const struct sts_format_context *c,
                 const struct sts_record_set *set)
{
    sts_buf_add_cstr(out, c->index ? ",\n" : "\n");
    sts_json_render(out, set_json(set), true);
}

void format_json_end(struct sts_buf *out, const struct sts_format_context *c)
{
    sts_buf_add_cstr(out, c->index ? "\n]\n" : "]\n");
}
