/* Any bytes as a policy, and as one to be repaired. What is accepted renders to lines of the four
 * fields, parses back to itself without a word, and keeps its digest; what is refused comes with an
 * error. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "mtasts/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct sts_policy *a, const struct sts_policy *b)
{
    unsigned char first[STS_DIGEST_LEN], second[STS_DIGEST_LEN];

    assert(a->mode == b->mode && a->max_age == b->max_age && a->mx_count == b->mx_count);
    for (size_t i = 0; i < a->mx_count; i++)
        assert(sts_str_eq(a->mx[i], b->mx[i]));
    sts_policy_digest(a, first);
    sts_policy_digest(b, second);
    assert(memcmp(first, second, STS_DIGEST_LEN) == 0);
}

static void check_body(struct sts_str body, const struct sts_policy *policy)
{
    size_t lines = 0;

    for (size_t i = 0; i < body.len; i++) {
        unsigned char c = (unsigned char)body.ptr[i];
        assert((c >= ' ' && c < 0x7f) || c == '\r' || c == '\n');
        assert((c == '\n') == (i > 0 && body.ptr[i - 1] == '\r'));
        lines += c == '\n';
    }
    assert(lines == policy->mx_count + 3);
    assert(sts_str_ends(body, STS_STR("\r\n")));
}

static void check_accepted(struct sts_arena *arena, const struct sts_policy *policy,
                           const struct sts_lint_context *context)
{
    struct sts_buf body = {0};
    struct sts_policy again;
    struct sts_diags diags;

    sts_diags_init(&diags, arena);
    sts_policy_render(&body, policy);
    check_body(sts_buf_str(&body), policy);
    assert(sts_policy_parse(arena, sts_buf_str(&body), STS_STR("again"), &diags, &again));
    assert(!diags.first);
    check_same(policy, &again);
    sts_policy_lint(policy, context, &diags);
    sts_buf_fini(&body);
}

static void check_diags(const struct sts_diags *diags, struct sts_str body)
{
    uint32_t lines = 1;

    for (size_t i = 0; i < body.len; i++)
        lines += body.ptr[i] == '\n';
    for (const struct sts_diag *d = diags->first; d; d = d->next) {
        assert(d->where.line <= lines && d->where.column <= body.len + 1);
        assert(d->message.len && d->help.len);
    }
}

/* What is good needs no repair; what is repaired is as good. */
static void check_repair(struct sts_arena *arena, struct sts_str body, bool good,
                         const struct sts_policy *policy, const struct sts_lint_context *context)
{
    struct sts_policy repaired;
    struct sts_diags diags;

    sts_diags_init(&diags, arena);
    bool again = sts_policy_repair(arena, body, STS_STR("f"), &diags, &repaired);
    assert(again == (diags.errors == 0));
    assert(again || !good);
    if (again)
        check_accepted(arena, &repaired, context);
    if (good && policy->max_age)
        check_same(policy, &repaired);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct sts_str body = {(const char *)data, size};
    struct sts_arena *arena = sts_arena_new();
    struct sts_lint_context context = {.domain = STS_STR("example.org"), .tlsrpt_known = true};
    struct sts_policy policy;
    struct sts_diags diags;

    sts_diags_init(&diags, arena);
    bool good = sts_policy_parse_places(arena, body, STS_STR("f"), &diags, &policy, &context);
    assert(good == (diags.errors == 0));
    check_diags(&diags, body);
    if (good)
        check_accepted(arena, &policy, &context);
    check_repair(arena, body, good, &policy, &context);
    sts_arena_free(arena);
    return 0;
}
