/* Unit tests of server/daemon/said: a refusal is one line, not one for each look. */
#include "tests/unit/stderr_capture.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/daemon/said.h"

/* What said_log writes to standard error, and the number it returns. */
static size_t lines(const struct diagnosis *before, const struct diagnosis *now, char *text,
                    size_t size)
{
    struct stderr_capture capture = stderr_begin();
    size_t news = said_log(before, now);
    stderr_end(capture, text, size);
    return news;
}

static void add(struct sts_diags *diags, enum sts_severity severity, const char *tenant,
                const char *message)
{
    struct sts_diag *diag = sts_diag_add(diags, severity, "some-code",
                                         (struct sts_pos){STS_STR("f.yaml"), 3, 4}, "%s", message);
    diag->tenant = sts_str_from(tenant);
}

static void each_line_once(void **state)
{
    struct diagnosis none = {0}, first, second, empty;
    char text[4096];

    (void)state;
    diagnosis_init(&first);
    diagnosis_init(&second);
    diagnosis_init(&empty);
    add(&first.own, STS_ERROR, "a.example", "is wrong");
    add(&first.own, STS_WARNING, "b.example", "is odd");
    add(&first.own, STS_NOTE, "b.example", "is long");
    assert_int_equal(lines(&none, &first, text, sizeof(text)), 2);
    assert_non_null(strstr(text, "a.example"));
    assert_non_null(strstr(text, "is odd"));
    assert_null(strstr(text, "is long"));

    add(&second.own, STS_WARNING, "b.example", "is odd");
    add(&second.own, STS_ERROR, "c.example", "is wrong");
    assert_int_equal(lines(&first, &second, text, sizeof(text)), 1);
    assert_non_null(strstr(text, "c.example"));
    assert_null(strstr(text, "b.example"));
    assert_int_equal(lines(&second, &second, text, sizeof(text)), 0);

    /* Mended and broken again: that is news. */
    assert_int_equal(lines(&second, &empty, text, sizeof(text)), 0);
    assert_int_equal(lines(&empty, &second, text, sizeof(text)), 2);
    diagnosis_fini(&first);
    diagnosis_fini(&second);
    diagnosis_fini(&empty);
}

/* A shard of one tenant, of which this is said. */
static struct shard *shard_of(struct body_pool *pool, const char *tenant, const char *message)
{
    struct sts_arena *arena = sts_arena_new();
    struct shard *shard = shard_new(pool, 0);
    struct sts_diags diags;

    sts_diags_init(&diags, arena);
    add(&diags, STS_WARNING, tenant, message);
    add(&diags, STS_NOTE, tenant, "is long");
    shard->diags = sts_diags_pack(&diags);
    sts_arena_free(arena);
    return shard;
}

/* What two looks share is not said again, and what came anew is compared with what went. */
static void parts_are_shared(void **state)
{
    struct body_pool *pool = body_pool_new();
    struct shard *a = shard_of(pool, "a.example", "is odd"),
                 *b = shard_of(pool, "b.example", "is odd"),
                 *again = shard_of(pool, "b.example", "is odd"),
                 *other = shard_of(pool, "b.example", "is worse");
    struct diagnosis first, second, third;
    char text[4096];

    (void)state;
    diagnosis_init(&first);
    diagnosis_init(&second);
    diagnosis_init(&third);
    diagnosis_add_shard(&first, a);
    add(&first.own, STS_ERROR, "", "in between");
    diagnosis_add_shard(&first, b);
    diagnosis_add_shard(&second, a);
    diagnosis_add_shard(&second, again);
    diagnosis_add_shard(&third, other);
    diagnosis_add_shard(&third, a);
    assert_int_equal(diagnosis_errors(&first), 1);
    assert_int_equal(diagnosis_warnings(&first), 2);

    assert_int_equal(lines(&(struct diagnosis){0}, &first, text, sizeof(text)), 3);
    const char *places[] = {strstr(text, "a.example"), strstr(text, "between"),
                            strstr(text, "b.example")};
    assert_true(places[0] && places[0] < places[1] && places[1] < places[2]);
    assert_int_equal(lines(&first, &second, text, sizeof(text)), 0);
    assert_int_equal(lines(&second, &third, text, sizeof(text)), 1);
    assert_non_null(strstr(text, "is worse"));
    diagnosis_fini(&first);
    diagnosis_fini(&second);
    diagnosis_fini(&third);
    shard_unref(a);
    shard_unref(b);
    shard_unref(again);
    shard_unref(other);
    body_pool_unref(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_line_once),
                                       cmocka_unit_test(parts_are_shared)};
    return cmocka_run_group_tests_name("said", tests, NULL, NULL);
}
