/* What the tests of configurations share: sources that end with the test, and their errors. */
#ifndef MTASTS_TESTS_UNIT_CONFIG_SOURCE_H
#define MTASTS_TESTS_UNIT_CONFIG_SOURCE_H

#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mtasts/config.h"

/* Sources of a test; freed by its tear-down. */
struct fixture {
    struct sts_source *sources[64];
    size_t count;
};

static inline int set_up(void **state)
{
    *state = calloc(1, sizeof(struct fixture));
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < f->count; i++)
        sts_source_unref(f->sources[i]);
    free(f);
    return 0;
}

static inline struct sts_source *parse_as(void **state, const char *text, bool is_main)
{
    struct fixture *f = *state;
    assert_true(f->count < sizeof(f->sources) / sizeof(*f->sources));
    struct sts_source *s = sts_source_parse(sts_str_from(text), STS_STR("f.yaml"), is_main);
    f->sources[f->count++] = s;
    return s;
}

static inline struct sts_source *parse(void **state, const char *text)
{
    return parse_as(state, text, true);
}

static inline const struct sts_diag *find(const struct sts_diags *d, const char *code)
{
    for (const struct sts_diag *diag = d->first; diag; diag = diag->next)
        if (strcmp(diag->code, code) == 0)
            return diag;
    return NULL;
}

/* The only error has this code and place, and says what would be right. */
static inline const struct sts_diag *assert_error(const struct sts_source *s, const char *code,
                                                  uint32_t line, uint32_t column)
{
    assert_int_equal(s->diags.errors, 1);
    const struct sts_diag *diag = find(&s->diags, code);
    if (!diag)
        fail_msg("no %s, but %s: %.*s", code, s->diags.first->code,
                 STS_ARG(s->diags.first->message));
    assert_true(sts_str_is(diag->where.source, "f.yaml"));
    assert_int_equal(diag->where.line, line);
    assert_int_equal(diag->where.column, column);
    assert_true(diag->help.len > 0);
    return diag;
}

#endif
