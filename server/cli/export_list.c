/* The list format of STARTTLS Everywhere (EFF), version 0.1. The public list is discontinued since
 * 2020; private ones may still be read by somebody's own tools. */
#include "server/base/json.h"
#include "server/cli/export.h"

enum { VALID = 14 * 86400 }; /* seconds; what the public list gave itself */

static json_t *time_json(time_t at)
{
    char text[32];
    struct tm tm;

    return json_string(gmtime_r(&at, &tm) && strftime(text, sizeof(text), "%FT%T+00:00", &tm)
                           ? text
                           : "1970-01-01T00:00:00+00:00");
}

/* A leading dot where RFC 8461 has "*.". */
static struct sts_str suffix_of(struct sts_str mx)
{
    return sts_str_starts(mx, STS_STR("*.")) ? sts_str_sub(mx, 1, mx.len) : mx;
}

static json_t *export_list_policy_json(const struct sts_policy *policy)
{
    json_t *object = json_object(), *mxs = json_array();

    for (size_t i = 0; i < policy->mx_count; i++)
        json_array_append_new(mxs, sts_json_str(suffix_of(policy->mx[i])));
    json_object_set_new(object, "mode", json_string(sts_mode_name(policy->mode)));
    json_object_set_new(object, "mxs", mxs);
    return object;
}

size_t export_list_render(struct sts_buf *out, const struct snapshot *s, time_t now)
{
    json_t *root = json_object(), *policies = json_object();
    size_t left_out = 0;

    for (size_t i = 0; i < s->tenant_count; i++) {
        const struct tenant *t = &s->tenants[i];
        if (t->state == TENANT_REFUSED)
            continue;
        if (tenant_policy(t)->mode == STS_MODE_NONE)
            left_out++;
        else
            json_object_setn_new_nocheck(policies, t->domain.ptr, t->domain.len,
                                         export_list_policy_json(tenant_policy(t)));
    }
    json_object_set_new(root, "timestamp", time_json(now));
    json_object_set_new(root, "expires", time_json(now + VALID));
    json_object_set_new(root, "version", json_string("0.1"));
    json_object_set_new(root, "author", json_string("mta-stsd"));
    json_object_set_new(root, "policy-aliases", json_object());
    json_object_set_new(root, "policies", policies);
    sts_json_render(out, root, true);
    sts_buf_add_cstr(out, "\n");
    return left_out;
}
