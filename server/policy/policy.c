/* The policy as a value: modes, canonical form, the one rendering, the digest. */
#include "mtasts/policy.h"

#include <assert.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "server/policy/names.h"

const char *const sts_mode_names[] = {
    [STS_MODE_NONE] = "none", [STS_MODE_TESTING] = "testing", [STS_MODE_ENFORCE] = "enforce", NULL};

const char *sts_mode_name(enum sts_mode mode)
{
    return sts_mode_names[mode];
}

bool sts_mode_from(struct sts_str name, enum sts_mode *out)
{
    for (size_t i = 0; sts_mode_names[i]; i++)
        if (sts_str_is(name, sts_mode_names[i])) {
            *out = (enum sts_mode)i;
            return true;
        }
    return false;
}

static int policy_by_bytes(const void *a, const void *b)
{
    return sts_str_cmp(*(const struct sts_str *)a, *(const struct sts_str *)b);
}

void sts_policy_canonicalise(struct sts_arena *arena, struct sts_policy *policy)
{
    struct sts_str *mx = STS_ARRAY(arena, policy->mx_count, struct sts_str);
    size_t kept = 0;

    if (policy->mx_count)
        memcpy(mx, policy->mx, policy->mx_count * sizeof(*mx));
    qsort(mx, policy->mx_count, sizeof(*mx), policy_by_bytes);
    for (size_t i = 0; i < policy->mx_count; i++)
        if (kept == 0 || !sts_str_eq(mx[kept - 1], mx[i]))
            mx[kept++] = mx[i];
    policy->mx = mx;
    policy->mx_count = kept;
}

static bool mx_is_canonical(struct sts_str mx)
{
    bool wild = sts_str_starts(mx, STS_STR("*."));
    return sts_name_check_wire(wild ? sts_str_sub(mx, 2, mx.len) : mx);
}

void sts_policy_render(struct sts_buf *out, const struct sts_policy *policy)
{
    assert(policy->mode <= STS_MODE_ENFORCE && policy->max_age <= STS_MAX_AGE_LIMIT);
    sts_buf_printf(out, "version: STSv1\r\nmode: %s\r\n", sts_mode_name(policy->mode));
    for (size_t i = 0; i < policy->mx_count; i++) {
        assert(mx_is_canonical(policy->mx[i]));
        assert(i == 0 || sts_str_cmp(policy->mx[i - 1], policy->mx[i]) < 0);
        sts_buf_printf(out, "mx: %.*s\r\n", STS_ARG(policy->mx[i]));
    }
    sts_buf_printf(out, "max_age: %u\r\n", policy->max_age);
}

void sts_policy_digest(const struct sts_policy *policy, unsigned char out[STS_DIGEST_LEN])
{
    struct sts_buf body = {0};

    sts_policy_render(&body, policy);
    SHA256((const unsigned char *)body.ptr, body.len, out);
    sts_buf_fini(&body);
}
