/* Tenants as YAML that `check` accepts, readable, and the same for the same tenants. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "server/cli/import.h"

static int import_yaml_by_digest(const void *a, const void *b)
{
    const struct import_tenant *x = *(struct import_tenant *const *)a,
                               *y = *(struct import_tenant *const *)b;
    int order = memcmp(x->digest, y->digest, sizeof(x->digest));
    return order ? order : sts_str_cmp(x->domain, y->domain);
}

/* Numbers the policies that several have, by the first tenant of each; SIZE_MAX marks them until
 * then. */
static void number_shared(struct sts_arena *arena, struct import_tenant *tenants, size_t count)
{
    struct import_tenant **order = STS_ARRAY(arena, count, struct import_tenant *);
    struct import_tenant **first = STS_ARRAY(arena, count, struct import_tenant *);
    size_t number = 0;

    for (size_t i = 0; i < count; i++)
        order[i] = &tenants[i];
    qsort(order, count, sizeof(struct import_tenant *), import_yaml_by_digest);
    for (size_t i = 0; i < count; i++) {
        bool same = i && memcmp(order[i]->digest, order[i - 1]->digest, STS_DIGEST_LEN) == 0;
        struct import_tenant *one = same ? first[order[i - 1] - tenants] : order[i];
        first[order[i] - tenants] = one;
        if (same)
            one->shared = SIZE_MAX;
    }
    for (size_t i = 0; i < count; i++) {
        if (first[i] == &tenants[i])
            tenants[i].shared = tenants[i].shared ? ++number : 0;
        else
            tenants[i].shared = first[i]->shared;
    }
}

static void add_duration(struct sts_buf *out, uint32_t seconds)
{
    static const struct {
        uint32_t seconds;
        char unit;
    } units[] = {{604800, 'w'}, {86400, 'd'}, {3600, 'h'}, {60, 'm'}};

    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
        if (seconds == 0 || seconds % units[i].seconds != 0)
            continue;
        sts_buf_printf(out, "%" PRIu32 "%c", seconds / units[i].seconds, units[i].unit);
        return;
    }
    sts_buf_printf(out, "%" PRIu32 "s", seconds);
}

static void add_policy(struct sts_buf *out, const struct sts_policy *policy)
{
    sts_buf_printf(out, "    mode: %s\n    max_age: ", sts_mode_name(policy->mode));
    add_duration(out, policy->max_age);
    sts_buf_printf(out, "\n    mx:%s\n", policy->mx_count ? "" : " []");
    for (size_t i = 0; i < policy->mx_count; i++)
        sts_buf_printf(out, "      - \"%.*s\"\n", STS_ARG(policy->mx[i]));
}

void import_yaml(struct sts_buf *out, struct sts_arena *arena, struct import_tenant *tenants,
                 size_t count)
{
    size_t number = 0;

    number_shared(arena, tenants, count);
    for (size_t i = 0; i < count; i++) {
        if (tenants[i].shared <= number)
            continue;
        sts_buf_printf(out, "%s  imported-%zu:\n", number ? "" : "policies:\n", number + 1);
        number++;
        add_policy(out, &tenants[i].policy);
    }
    sts_buf_add_cstr(out, count ? "tenants:\n" : "");
    for (size_t i = 0; i < count; i++) {
        sts_buf_printf(out, "  \"%.*s\":", STS_ARG(tenants[i].domain));
        if (tenants[i].id.len)
            sts_buf_printf(out, " # was announced with id %.*s", STS_ARG(tenants[i].id));
        sts_buf_add_cstr(out, "\n");
        if (tenants[i].shared)
            sts_buf_printf(out, "    policy: imported-%zu\n", tenants[i].shared);
        else
            add_policy(out, &tenants[i].policy);
    }
}
