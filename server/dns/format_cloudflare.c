/* Cloudflare: JSON for POST /zones/ID/dns_records/batch ("Batch DNS Records" in its API reference).
 * Each line is for one zone:
 *
 *   {"zone": NAME, "posts": [RECORD, ...]}      records that there are to be
 *   {"zone": NAME, "withdrawn": [RECORD, ...]}  records that there are no more
 *
 * posts is what the endpoint takes. It adds records, whatever there is, and a second _mta-sts TXT
 * would end the policy (RFC 8461 §3.1); to replace or delete one, its id is needed, which
 * Cloudflare alone knows. So the jq filter in mta-stsd(8) makes the request from such a line and a
 * list of the records that exist.
 *
 * TXT is in quotes, in strings of 255 octets; proxied is false, as the policy host answers itself;
 * a TTL is 60 seconds to a day. A line has at most 100 records: with as many deletions that is the
 * least that a plan allows. What is pending is not there: exit code 1 tells. */
#include "server/base/json.h"
#include "server/dns/format.h"

static void set_content(json_t *record, const struct sts_record *r)
{
    struct sts_buf text = {0};

    if (r->type == STS_RR_CAA) {
        json_t *data = json_object();
        json_object_set_new(data, "flags", json_integer(0));
        json_object_set_new(data, "tag", json_string("issue"));
        json_object_set_new(data, "value", sts_json_str(r->value));
        json_object_set_new(record, "data", data);
        return;
    }
    if (r->type == STS_RR_TXT)
        format_add_txt(&text, r->value);
    else
        sts_buf_add(&text, r->value);
    json_object_set_new(record, "content", sts_json_str(sts_buf_str(&text)));
    sts_buf_fini(&text);
}

static json_t *format_cloudflare_record_json(const struct sts_record *r)
{
    json_t *record = json_object();

    json_object_set_new(record, "name", sts_json_str(r->owner));
    json_object_set_new(record, "type", json_string(sts_rr_type_name(r->type)));
    json_object_set_new(record, "ttl", json_integer(format_cloudflare_ttl(r->ttl)));
    if (r->type != STS_RR_TXT && r->type != STS_RR_CAA)
        json_object_set_new(record, "proxied", json_false());
    set_content(record, r);
    return record;
}

void format_cloudflare(struct sts_buf *out, const struct sts_format_context *c,
                       const struct sts_record_set *set)
{
    const struct format_batch batch = {set->withdrawn ? "withdrawn" : "posts", 100};
    struct sts_buf head = {0};

    sts_buf_printf(&head, "\"zone\":\"%.*s\",", STS_ARG(set->zone));
    if (set->withdrawn)
        format_batch_end(out, c);
    for (size_t i = 0, count; i < set->count; i += count) {
        count = format_rrset(set, i); /* what replaces the old ones comes in one request */
        for (size_t j = 0; j < count; j++) {
            format_batch_next(out, c, &batch, sts_buf_str(&head), j ? 0 : count);
            sts_json_render(out, format_cloudflare_record_json(&set->records[i + j]), false);
        }
    }
    if (set->withdrawn || c->zone_ends)
        format_batch_end(out, c);
    sts_buf_fini(&head);
}
