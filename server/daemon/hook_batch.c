#include "server/daemon/hook_batch.h"

#include <string.h>

#include "mtasts/domain.h"
#include "server/base/json.h"

struct collect {
    struct hook_batch *batch;
    const struct snapshot *s;
    struct sts_str after;
    struct ledger_published *behind, *before; /* `after`, HOOK_BATCH_MAX at most of each */
    size_t behind_count, before_count;
};

/* Whether it can be told now. */
static bool hook_batch_is_ready(const struct snapshot *s, const struct ledger_instance *instance)
{
    const struct tenant *t = snapshot_find_domain(s, instance->domain);
    unsigned char digest[STS_DIGEST_LEN];

    if (instance->last_served)
        return !t;
    if (!t || t->state != TENANT_SERVED)
        return false;
    sts_policy_digest(tenant_policy(t), digest);
    return memcmp(digest, instance->digest, sizeof(digest)) == 0;
}

static void hook_batch_take(struct collect *c, struct ledger_published *list, size_t *count,
                            const struct ledger_instance *instance)
{
    struct sts_arena *arena = c->batch->arena;
    const char *id = instance->last_served ? NULL : instance->id;

    if (*count < HOOK_BATCH_MAX)
        list[(*count)++] = (struct ledger_published){sts_arena_dup(arena, instance->domain),
                                                     sts_arena_dup(arena, sts_str_from(id))};
}

static void hook_batch_on_unpublished(void *data, const struct ledger_instance *instance)
{
    struct collect *c = data;

    if (!hook_batch_is_ready(c->s, instance))
        return;
    c->batch->pending++;
    c->batch->mark += sts_str_hash(instance->domain) * 31 +
                      sts_str_hash(sts_str_from(instance->id)) + !!instance->last_served;
    if (sts_str_cmp(instance->domain, c->after) > 0)
        hook_batch_take(c, c->behind, &c->behind_count, instance);
    else
        hook_batch_take(c, c->before, &c->before_count, instance);
}

static json_t *hook_batch_record_json(const struct sts_record *r)
{
    json_t *object = json_object();

    json_object_set_new(object, "name", sts_json_str(r->owner));
    json_object_set_new(object, "type", json_string(sts_rr_type_name(r->type)));
    json_object_set_new(object, "ttl", json_integer(r->ttl));
    json_object_set_new(object, "value", sts_json_str(r->value));
    return object;
}

static json_t *changed_json(struct hook_batch *b, const struct snapshot *s,
                            const struct ledger_published *item)
{
    json_t *object = json_object(), *records = json_array();
    struct sts_record_set set;

    const struct snapshot_records_input in = {.tenant = snapshot_find_domain(s, item->domain),
                                              .id = item->id.ptr,
                                              .side = snapshot_changing_side(s, item->domain)};
    snapshot_records(b->arena, s, &in, &set);
    for (size_t i = 0; i < set.count; i++)
        json_array_append_new(records, hook_batch_record_json(&set.records[i]));
    json_object_set_new(object, "domain", sts_json_str(item->domain));
    json_object_set_new(object, "id", sts_json_str(item->id));
    json_object_set_new(object, "records", records);
    return object;
}

/* Only what announces the policy: mta-sts.DOMAIN may be needed by senders that still look, and
 * where TLS reports go has nothing to do with a policy. */
static json_t *removed_json(struct hook_batch *b, const struct snapshot *s,
                            const struct ledger_published *item)
{
    json_t *object = json_object(), *records = json_array(), *record = json_object();
    struct sts_str name = snapshot_id_name(b->arena, s, item->domain);

    json_object_set_new(record, "name", sts_json_str(name));
    json_object_set_new(record, "type", json_string(sts_rr_type_name(STS_RR_TXT)));
    json_array_append_new(records, record);
    json_object_set_new(object, "domain", sts_json_str(item->domain));
    json_object_set_new(object, "records", records);
    return object;
}

void hook_batch_render(struct hook_batch *b, const struct snapshot *s)
{
    json_t *top = json_object(), *changed = json_array(), *removed = json_array();

    for (size_t i = 0; i < b->count; i++)
        if (b->items[i].id.len)
            json_array_append_new(changed, changed_json(b, s, &b->items[i]));
        else
            json_array_append_new(removed, removed_json(b, s, &b->items[i]));
    json_object_set_new(top, "version", json_integer(1));
    json_object_set_new(top, "changed", changed);
    json_object_set_new(top, "removed", removed);
    sts_json_render(&b->input, top, true);
    sts_buf_add(&b->input, STS_STR("\n"));
}

bool hook_batch_init(struct hook_batch *b, struct ledger *ledger, const struct snapshot *s,
                     struct sts_str after, struct sts_diags *diags)
{
    struct collect c = {.batch = b, .s = s, .after = after};

    *b = (struct hook_batch){.arena = sts_arena_new()};
    c.behind = STS_ARRAY(b->arena, HOOK_BATCH_MAX, struct ledger_published);
    c.before = STS_ARRAY(b->arena, HOOK_BATCH_MAX, struct ledger_published);
    bool good = ledger_each_unpublished(ledger, hook_batch_on_unpublished, &c, diags);
    b->items = c.behind_count ? c.behind : c.before;
    b->count = c.behind_count ? c.behind_count : c.before_count;
    for (size_t i = 0; i < b->count; i++)
        b->removed += !b->items[i].id.len;
    return good;
}

void hook_batch_fini(struct hook_batch *b)
{
    sts_arena_free(b->arena);
    sts_buf_fini(&b->input);
    *b = (struct hook_batch){0};
}
