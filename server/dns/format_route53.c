/* Route 53: change batches for `aws route53 change-resource-record-sets --change-batch`
 * ("ChangeResourceRecordSets" in its API reference). Each line is a batch, whole and for one hosted
 * zone, named in its Comment. A record set is one UPSERT, so a batch may be sent twice; values are
 * as in zone files, TXT in quotes and in strings of 255 octets, inside JSON strings.
 *
 * A batch holds no more than 1000 records and 32000 characters of values, where an UPSERT counts
 * twice. What is withdrawn is a DELETE, which must name TTL and value as they are: it is a batch
 * alone, so that the others do not fail with it. What is pending is not there: exit code 1 tells.
 */
#include "server/base/json.h"
#include "server/dns/format.h"

enum { RECORDS_MAX = 1000 / 2, CHARACTERS_MAX = 32000 / 2 };

static json_t *change_json(const char *action, const struct sts_record *r, size_t count,
                           size_t *cost)
{
    json_t *change = json_object(), *rrset = json_object(), *values = json_array();

    *cost = 0;
    for (size_t i = 0; i < count; i++) {
        struct sts_buf data = {0};
        json_t *value = json_object();
        format_add_rdata(&data, &r[i]);
        json_object_set_new(value, "Value", sts_json_str(sts_buf_str(&data)));
        json_array_append_new(values, value);
        /* So that one number bounds both. */
        size_t least = CHARACTERS_MAX / RECORDS_MAX;
        *cost += data.len < least ? least : data.len;
        sts_buf_fini(&data);
    }
    json_object_set_new(change, "Action", json_string(action));
    json_object_set_new(rrset, "Name", sts_json_str(r->owner));
    json_object_set_new(rrset, "Type", json_string(sts_rr_type_name(r->type)));
    json_object_set_new(rrset, "TTL", json_integer(r->ttl));
    json_object_set_new(rrset, "ResourceRecords", values);
    json_object_set_new(change, "ResourceRecordSet", rrset);
    return change;
}

void format_route53(struct sts_buf *out, const struct sts_format_context *c,
                    const struct sts_record_set *set)
{
    static const struct format_batch batch = {"Changes", CHARACTERS_MAX};
    const char *action = set->withdrawn ? "DELETE" : "UPSERT";
    struct sts_buf head = {0};

    sts_buf_printf(&head, "\"Comment\":\"%.*s\",", STS_ARG(set->zone));
    if (set->withdrawn)
        format_batch_end(out, c);
    for (size_t i = 0, count; i < set->count; i += count) {
        size_t cost;
        count = format_rrset(set, i);
        json_t *change = change_json(action, &set->records[i], count, &cost);
        format_batch_next(out, c, &batch, sts_buf_str(&head), cost);
        sts_json_render(out, change, false);
    }
    if (set->withdrawn || c->zone_ends)
        format_batch_end(out, c);
    sts_buf_fini(&head);
}
