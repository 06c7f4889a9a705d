/* Any bytes as a domain and as an mx pattern. What is accepted is made of [a-z0-9.-] behind an
 * optional "*.", is its own canonical form, and whatever the wire accepts a configuration does. */
#include <assert.h>
#include <stdint.h>

#include "mtasts/domain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef bool parse_fn(struct sts_arena *, struct sts_str, enum sts_domain_form, struct sts_pos,
                      struct sts_diags *, struct sts_str *);

static bool attempt(struct sts_arena *arena, parse_fn *parse, struct sts_str in,
                    enum sts_domain_form form, struct sts_str *out)
{
    struct sts_diags diags;

    sts_diags_init(&diags, arena);
    bool good = parse(arena, in, form, (struct sts_pos){0}, &diags, out);
    assert(diags.errors == !good);
    assert(good || diags.first->help.len);
    return good;
}

static void check_canonical(struct sts_str name)
{
    assert(name.len > 0 && name.len <= STS_DOMAIN_MAX);
    if (sts_str_starts(name, STS_STR("*.")))
        name = sts_str_sub(name, 2, name.len);
    for (size_t i = 0, label = 0; i < name.len; i++) {
        char c = name.ptr[i];
        assert((c >= 'a' && c <= 'z') || sts_is_digit(c) || c == '-' || c == '.');
        label = c == '.' ? 0 : label + 1;
        assert(label <= STS_LABEL_MAX);
        assert(c != '.' || (i > 0 && i + 1 < name.len && name.ptr[i - 1] != '.'));
    }
}

static void check_both_forms(struct sts_arena *arena, parse_fn *parse, struct sts_str in)
{
    struct sts_str wire, config, again;
    bool on_wire = attempt(arena, parse, in, STS_DOMAIN_WIRE, &wire);
    bool in_config = attempt(arena, parse, in, STS_DOMAIN_CONFIG, &config);

    assert(!on_wire || (in_config && sts_str_eq(wire, config)));
    if (!in_config)
        return;
    check_canonical(config);
    assert(attempt(arena, parse, config, STS_DOMAIN_WIRE, &again) && sts_str_eq(config, again));
    assert(sts_mx_covers(config, config));
    assert(sts_domain_labels(config) > 0);
    sts_domain_is_public_suffix(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct sts_str in = {(const char *)data, size};
    struct sts_arena *arena = sts_arena_new();
    struct sts_str domain, mx;

    check_both_forms(arena, sts_domain_parse, in);
    check_both_forms(arena, sts_mx_parse, in);
    /* Every domain is an mx pattern, and matches itself only. */
    if (attempt(arena, sts_domain_parse, in, STS_DOMAIN_CONFIG, &domain)) {
        assert(attempt(arena, sts_mx_parse, in, STS_DOMAIN_CONFIG, &mx));
        assert(sts_str_eq(domain, mx) && sts_mx_matches(mx, domain));
    }
    sts_arena_free(arena);
    return 0;
}
