/* Record sets of each kind, and what a format makes of them. */
#ifndef MTASTS_TESTS_UNIT_FORMAT_FIXTURE_H
#define MTASTS_TESTS_UNIT_FORMAT_FIXTURE_H

#include "tests/unit/test.h"

#include "mtasts/record.h"

enum kind { PLAIN, PENDING, WITHDRAWN, POINTED, DELEGATED, PROVIDER };

static const struct sts_str addresses[] = {STS_STR("2001:db8::1"), STS_STR("192.0.2.1"),
                                           STS_STR("192.0.2.2")};
static const struct sts_caa caa[] = {{STS_STR("ca.example"), STS_STR("https://ca.example/'$a")}};
static const struct sts_str rua[] = {STS_STR("mailto:o'r@example.net")};

static struct sts_record_set make(struct sts_arena *arena, const char *domain, enum kind kind)
{
    bool delegated = kind == DELEGATED || kind == PROVIDER;
    struct sts_record_input in = {
        .domain = sts_str_from(domain),
        .id = kind == PENDING ? STS_STR("") : STS_STR("7Z"),
        .pending = kind == PENDING ? STS_STR("not\nserved") : STS_STR(""),
        .delegation_zone = delegated ? STS_STR("dlg.example.net") : STS_STR(""),
        .side = kind == PROVIDER ? STS_SIDE_PROVIDER : STS_SIDE_TENANT,
        .ttl_host = 3600,
        .ttl_tls_reports = 7200,
        .ttl_id = 300,
        .ttl_caa = 900,
        .policy_host = kind == POINTED ? STS_STR("policy.example.net") : STS_STR(""),
        .addresses = addresses,
        .address_count = sizeof(addresses) / sizeof(*addresses),
        .caa = caa,
        .caa_count = 1,
        .rua = rua,
        .rua_count = 1,
    };
    struct sts_record_set set;

    sts_record_set_make(arena, &in, &set);
    if (kind == WITHDRAWN) { /* as the ledger gives it: what was announced, nothing else */
        set.records += set.count - 1;
        set.count = 1;
        set.withdrawn = true;
    } else {
        set.state = "served";
        set.mode = "enforce";
        set.max_age = 86400;
    }
    return set;
}

static void render(struct sts_buf *out, const char *format, struct sts_format_context c,
                   const struct sts_record_set *sets, size_t count)
{
    const struct sts_record_format *f = sts_record_format_find(sts_str_from(format));

    assert_non_null(f);
    if (f->begin)
        f->begin(out, &c);
    for (; c.index < count; c.index++) {
        size_t i = c.index;
        c.zone_begins = i == 0 || !sts_str_eq(sets[i].zone, sets[i - 1].zone);
        c.zone_ends = i + 1 == count || !sts_str_eq(sets[i].zone, sets[i + 1].zone);
        f->set(out, &c, &sets[i]);
    }
    if (f->end)
        f->end(out, &c);
    sts_buf_add(out, (struct sts_str){"", 1});
}

struct tenant {
    const char *domain;
    enum kind kind;
};

/* The format of up to three tenants is `expected`. */
static void expect_as(const char *format, struct sts_format_context c, const struct tenant *tenants,
                      const char *expected)
{
    struct sts_arena *arena = sts_arena_new();
    struct sts_record_set sets[3];
    struct sts_buf out = {0};
    size_t count = 0;

    for (; tenants[count].domain; count++)
        sets[count] = make(arena, tenants[count].domain, tenants[count].kind);
    render(&out, format, c, sets, count);
    assert_string_equal(out.ptr, expected);
    sts_buf_fini(&out);
    sts_arena_free(arena);
}

#define TENANTS(...) ((const struct tenant[]){__VA_ARGS__, {NULL, PLAIN}})
static const struct sts_format_context script, terminal = {.terminal = true},
                                               relative = {.relative = true},
                                               both = {.terminal = true, .relative = true};

#endif
