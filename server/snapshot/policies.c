/* Named policies, of all sources together. */
#include <stdlib.h>
#include <string.h>

#include "server/snapshot/parts.h"

static int policies_by_name(const void *a, const void *b)
{
    const struct sts_named_policy *x = *(const struct sts_named_policy *const *)a;
    const struct sts_named_policy *y = *(const struct sts_named_policy *const *)b;
    return sts_str_cmp(x->name, y->name);
}

static void report_duplicates(struct build *b)
{
    const struct snapshot *s = b->snapshot;

    for (size_t i = 1; i < s->policy_count; i++) {
        const struct sts_named_policy *first = s->policies[i - 1], *other = s->policies[i];
        if (!sts_str_eq(first->name, other->name))
            continue;
        struct sts_diag *diag =
            sts_diag_add(b->diags, STS_ERROR, "policy-duplicate", other->where,
                         "the policy \"%.*s\" is defined twice", STS_ARG(other->name));
        diag->related = first->where;
        sts_diag_help(b->diags, diag, "rename or remove one of the two");
    }
}

/* An unchanged source has its policies where they were. */
static bool same_as_before(const struct build *b)
{
    const struct snapshot *s = b->snapshot, *previous = b->input->previous;

    return previous && previous->policy_count == s->policy_count &&
           memcmp(previous->policies, s->policies, s->policy_count * sizeof(*s->policies)) == 0;
}

void policies_collect(struct build *b)
{
    struct snapshot *s = b->snapshot;
    size_t total = 0, kept = 0;

    for (size_t i = 0; i < s->source_count; i++)
        total += s->sources[i].source->policy_count;
    s->policies = STS_ARRAY(s->arena, total, const struct sts_named_policy *);
    for (size_t i = 0; i < s->source_count; i++)
        for (size_t j = 0; j < s->sources[i].source->policy_count; j++)
            s->policies[kept++] = &s->sources[i].source->policies[j];
    qsort(s->policies, total, sizeof(*s->policies), policies_by_name);
    s->policy_count = total;
    b->same_policies = same_as_before(b);
    report_duplicates(b);
}

static bool policies_belongs(const struct sts_source *source, const struct sts_named_policy *policy)
{
    uintptr_t from = (uintptr_t)source->policies, at = (uintptr_t)policy;
    return at >= from && at < from + source->policy_count * sizeof(*policy);
}

/* Of several policies of one name the first counts, so that a file cannot take away another's. But
 * a tenant whose own file has one of the others most likely means that one: neither is right for
 * it, and it is refused as with a policy that has errors. */
const struct sts_named_policy *policies_find(const struct build *b, const struct sts_source *source,
                                             struct sts_str name)
{
    const struct sts_named_policy key = {.name = name}, *pointer = &key;
    const struct sts_named_policy **all = b->snapshot->policies;
    const struct sts_named_policy **end = all + b->snapshot->policy_count;

    if (!name.len || all == end)
        return NULL;
    const struct sts_named_policy **found =
        bsearch(&pointer, all, b->snapshot->policy_count, sizeof(*all), policies_by_name);
    if (!found)
        return NULL;
    while (found > all && sts_str_eq(found[-1]->name, name))
        found--;
    for (const struct sts_named_policy **other = found + 1;
         other < end && sts_str_eq((*other)->name, name); other++) {
        if (!policies_belongs(source, *other))
            continue;
        struct sts_named_policy *lost = STS_NEW(b->snapshot->arena, struct sts_named_policy);
        *lost = **other;
        lost->broken = true;
        return lost;
    }
    return *found;
}

static const char *policies_nearest(struct build *b, struct sts_str name)
{
    const struct snapshot *s = b->snapshot;

    if (!b->policy_names)
        b->policy_names = STS_ARRAY(s->arena, s->policy_count + 1, const char *);
    for (size_t i = 0; i < s->policy_count && !b->policy_names[i]; i++)
        b->policy_names[i] = s->policies[i]->name.ptr; /* from an arena, so NUL-terminated */
    return sts_suggest(name, b->policy_names);
}

void policies_suggest(struct build *b, struct sts_str name, struct sts_diags *diags,
                      struct sts_diag *report)
{
    /* Each one looks at all names; after a hundred, one more is of no help. */
    const char *near = b->suggestions++ < 100 ? policies_nearest(b, name) : NULL;
    if (near && report)
        sts_diag_help(diags, report, "did you mean %s?", near);
}
