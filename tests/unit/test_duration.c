/* Durations as people write them. */
#include "tests/unit/test.h"

#include <string.h>

#include "mtasts/config.h"

static void assert_seconds(const char *text, uint32_t expected)
{
    uint32_t seconds = 4711;
    if (!sts_duration_parse(sts_str_from(text), &seconds))
        fail_msg("refused: %s", text);
    assert_int_equal(seconds, expected);
}

static void assert_refused(struct sts_str text)
{
    uint32_t seconds = 4711;
    if (sts_duration_parse(text, &seconds))
        fail_msg("accepted: %.*s", STS_ARG(text));
    assert_int_equal(seconds, 4711); /* out-parameters are written on success only */
}

static void units(void **state)
{
    (void)state;
    assert_seconds("90", 90);
    assert_seconds("90s", 90);
    assert_seconds("15m", 900);
    assert_seconds("12h", 43200);
    assert_seconds("7d", 604800);
    assert_seconds("4w", 2419200);
    assert_seconds("0", 0);
    assert_seconds("0w", 0);
    assert_seconds("0007", 7);
}

static void limits(void **state)
{
    (void)state;
    assert_seconds("4294967295", UINT32_MAX);
    assert_seconds("4294967295s", UINT32_MAX);
    assert_refused(STS_STR("4294967296"));
    assert_seconds("7101w", 7101u * 604800u);
    assert_refused(STS_STR("7102w"));
    assert_refused(STS_STR("4294967295w"));
    assert_refused(STS_STR("99999999999999999999"));
}

static void everything_else_is_refused(void **state)
{
    static const char *const wrong[] = {"",     "s",     "w",     "-1",  "+1",   "1.5h", "1 week",
                                        "1 w",  " 1w",   "1w ",   "1y",  "1W",   "1ms",  "1w2d",
                                        "0x10", "1_000", "1,000", "1e3", "week", "P1W",  "1min"};
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        assert_refused(sts_str_from(wrong[i]));
    assert_refused((struct sts_str){NULL, 0});
    assert_refused(STS_STR("1\0w"));
    assert_refused(STS_STR("\xd9\xa1w")); /* an Arabic digit */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units),
        cmocka_unit_test(limits),
        cmocka_unit_test(everything_else_is_refused),
    };
    return cmocka_run_group_tests_name("duration", tests, NULL, NULL);
}
