/* Any bytes as a configuration: main file and included file. Whatever is served must be a body that
 * parses without an error to the same policy; whatever is refused must say why. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mtasts/config.h"
#include "mtasts/domain.h"

static void check_diags(const struct sts_diags *d)
{
    size_t count = 0;
    struct sts_buf text = {0};

    for (const struct sts_diag *diag = d->first; diag; diag = diag->next) {
        assert(diag->code && diag->message.len);
        text.len = 0;
        sts_diag_render_text(&text, diag, false);
        /* No input forges a line: one each for message, help and related place. */
        size_t lines = 0;
        for (size_t i = 0; i < text.len; i++)
            lines += text.ptr[i] == '\n';
        assert(lines == 1u + (diag->help.len != 0) + (diag->related.line != 0));
        count++;
    }
    assert(count == d->errors + d->warnings + d->notes);
    sts_buf_fini(&text);
}

static void check_served(const struct sts_policy *policy)
{
    struct sts_arena *arena = sts_arena_new();
    struct sts_buf body = {0}, again = {0};
    struct sts_policy parsed;
    struct sts_diags diags;

    sts_diags_init(&diags, arena);
    sts_policy_render(&body, policy);
    assert(sts_policy_parse(arena, sts_buf_str(&body), STS_STR("body"), &diags, &parsed));
    assert(diags.errors == 0);
    sts_policy_canonicalise(arena, &parsed);
    sts_policy_render(&again, &parsed);
    assert(sts_str_eq(sts_buf_str(&body), sts_buf_str(&again)));
    sts_buf_fini(&body);
    sts_buf_fini(&again);
    sts_arena_free(arena);
}

/* A canonical name is its own canonical form. */
static void check_domain(struct sts_arena *arena, struct sts_str domain)
{
    struct sts_diags diags;
    struct sts_str again;

    sts_diags_init(&diags, arena);
    assert(sts_domain_parse(arena, domain, STS_DOMAIN_WIRE, (struct sts_pos){0}, &diags, &again));
    assert(sts_str_eq(domain, again));
}

static const struct sts_named_policy *find_policy(const struct sts_source *source,
                                                  struct sts_str name)
{
    for (size_t i = 0; name.len && i < source->policy_count; i++)
        if (sts_str_eq(source->policies[i].name, name))
            return &source->policies[i];
    return NULL;
}

static void check_tenant(const struct sts_source *source, const struct sts_tenant_decl *tenant)
{
    struct sts_arena *arena = sts_arena_new();
    struct sts_diags diags;
    struct sts_policy policy;

    sts_diags_init(&diags, arena);
    bool served =
        sts_tenant_resolve(source, tenant, find_policy(source, tenant->terms->policy_name),
                           &source->settings, &diags, &policy);
    assert(served == (!tenant->broken && diags.errors == 0));
    assert(!tenant->broken || source->diags.errors);
    check_diags(&diags);
    if (served) {
        check_domain(arena, tenant->domain);
        check_served(&policy);
    }
    sts_arena_free(arena);
}

static void check_source(struct sts_str text, bool is_main)
{
    struct sts_source *source = sts_source_parse(text, STS_STR("f.yaml"), is_main);

    check_diags(&source->diags);
    assert(!source->broken || source->diags.errors);
    for (size_t i = 0; i < source->tenant_count; i++)
        check_tenant(source, &source->tenants[i]);
    if (is_main && !source->broken)
        assert(source->settings.listen_count > 0);
    sts_source_unref(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct sts_str text = {(const char *)data, size};

    check_source(text, true);
    check_source(text, false);
    return 0;
}
