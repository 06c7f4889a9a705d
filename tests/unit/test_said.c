/* Unit tests of server/daemon/said: a refusal is one line, not one for each look. */
#include "tests/unit/stderr_capture.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/daemon/said.h"

/* What said_log writes to standard error, and the number it returns. */
static size_t lines(struct said *said, const struct sts_diags *diags, char *text, size_t size)
{
    struct stderr_capture capture = stderr_begin();
    size_t news = said_log(said, diags);
    stderr_end(capture, text, size);
    return news;
}

static struct sts_diag *add(struct sts_diags *diags, enum sts_severity severity, const char *tenant,
                            const char *message)
{
    struct sts_diag *diag = sts_diag_add(diags, severity, "some-code",
                                         (struct sts_pos){STS_STR("f.yaml"), 3, 4}, "%s", message);
    diag->tenant = sts_str_from(tenant);
    return diag;
}

static void each_line_once(void **state)
{
    struct sts_arena *arena = sts_arena_new();
    struct sts_diags first, second, empty;
    struct said said = {0};
    char text[4096];

    (void)state;
    sts_diags_init(&first, arena);
    sts_diags_init(&second, arena);
    sts_diags_init(&empty, arena);
    add(&first, STS_ERROR, "a.example", "is wrong");
    add(&first, STS_WARNING, "b.example", "is odd");
    add(&first, STS_NOTE, "b.example", "is long");
    assert_int_equal(lines(&said, &first, text, sizeof(text)), 2);
    assert_non_null(strstr(text, "a.example"));
    assert_non_null(strstr(text, "is odd"));
    assert_null(strstr(text, "is long"));

    add(&second, STS_WARNING, "b.example", "is odd");
    add(&second, STS_ERROR, "c.example", "is wrong");
    assert_int_equal(lines(&said, &second, text, sizeof(text)), 1);
    assert_non_null(strstr(text, "c.example"));
    assert_null(strstr(text, "b.example"));
    assert_int_equal(lines(&said, &second, text, sizeof(text)), 0);

    /* Mended and broken again: that is news. */
    assert_int_equal(lines(&said, &empty, text, sizeof(text)), 0);
    assert_int_equal(lines(&said, &second, text, sizeof(text)), 2);
    said_fini(&said);
    sts_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_line_once)};
    return cmocka_run_group_tests_name("said", tests, NULL, NULL);
}
