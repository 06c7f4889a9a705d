/* Unit tests of server/sys/clock: dates of any time that a database or a file may hold. */
#include "tests/unit/test.h"

#include <stdint.h>

#include "server/sys/clock.h"

static void any_time_is_a_date(void **state)
{
    char text[CLOCK_TEXT];

    (void)state;
    assert_string_equal(clock_text(1700000000, text), "2023-11-14T22:13:20Z");
    assert_string_equal(clock_text(10413792000, text), "2300-01-01T00:00:00Z");
    assert_string_equal(clock_text(253402300799, text), "9999-12-31T23:59:59Z");
    assert_string_equal(clock_text(253402300800, text), "9999-12-31T23:59:59Z");
    assert_string_equal(clock_text(INT64_MAX, text), "9999-12-31T23:59:59Z");
    assert_string_equal(clock_text(INT64_MIN, text), "1970-01-01T00:00:00Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_time_is_a_date)};
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
