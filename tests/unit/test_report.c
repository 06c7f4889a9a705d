/* Unit tests of server/snapshot/report: which diagnostics are alarms. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <string.h>

#include "mtasts/policy.h"
#include "server/snapshot/report.h"

static bool judge(enum sts_severity severity, const char *code)
{
    struct sts_diags diags;

    sts_diags_init(&diags, sts_arena_new());
    sts_diag_add(&diags, STS_NOTE, "mode-testing", (struct sts_pos){0}, "in front of it");
    const struct sts_diag *diag = sts_diag_add(&diags, severity, code, (struct sts_pos){0}, "x");
    bool alarm = report_is_alarm(diag);
    assert_int_equal(report_any_alarm(&diags), alarm);
    sts_arena_free(diags.arena);
    return alarm;
}

static void errors_and_some_warnings_are_alarms(void **state)
{
    struct sts_diags none;

    (void)state;
    sts_diags_init(&none, NULL);
    assert_false(report_any_alarm(&none));
    assert_true(judge(STS_ERROR, "anything"));
    for (const struct report_alarm *alarm = report_alarms; alarm->code; alarm++) {
        assert_true(judge(STS_WARNING, alarm->code));
        assert_false(judge(STS_NOTE, alarm->code));
    }
    assert_false(judge(STS_WARNING, "mx-removed"));
    assert_false(judge(STS_WARNING, "tenant"));
}

/* What senders do not like may stay as it is for years. */
static void lints_are_advice(void **state)
{
    (void)state;
    for (const struct sts_lint *lint = sts_lints; lint->code; lint++)
        if (lint->severity != STS_ERROR)
            assert_false(judge(lint->severity, lint->code));
}

static void read_manual(struct sts_buf *out)
{
    FILE *file = fopen("packaging/man/mta-stsd.8", "r");
    char chunk[4096];
    size_t got;

    assert_non_null(file);
    while ((got = fread(chunk, 1, sizeof(chunk), file)) > 0)
        sts_buf_add(out, (struct sts_str){chunk, got});
    fclose(file);
    sts_buf_printf(out, "%c", 0);
}

/* In the same order, and nothing else. */
static void the_manual_lists_them(void **state)
{
    struct sts_buf expected = {0}, text = {0};
    char *begin, *end;

    (void)state;
    read_manual(&text);
    begin = strstr(text.ptr, "\nAlarms: ");
    assert_non_null(begin);
    begin = strstr(begin, "\n.It ");
    end = strstr(begin, "\n.El");
    assert_non_null(end);
    for (const struct report_alarm *alarm = report_alarms; alarm->code; alarm++) {
        assert_true(alarm == report_alarms || strcmp(alarm[-1].code, alarm->code) < 0);
        sts_buf_printf(&expected, "\n.It Ic %s\n%c%s.", alarm->code, alarm->why[0] - 'a' + 'A',
                       alarm->why + 1);
    }
    *end = 0;
    sts_buf_printf(&expected, "%c", 0);
    assert_string_equal(begin, expected.ptr);
    sts_buf_fini(&expected);
    sts_buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_and_some_warnings_are_alarms),
        cmocka_unit_test(lints_are_advice),
        cmocka_unit_test(the_manual_lists_them),
    };
    return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
