/* Unit tests of server/sys/loop: descriptors and timers, and callbacks that change both. */
#include "tests/unit/test.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "server/sys/loop.h"

struct bench {
    struct loop *loop;
    int a[2], b[2]; /* pipes */
    struct loop_timer first, second;
    char seen[64];
    int rounds;
};

static int set_up(void **state)
{
    static struct bench bench;

    memset(&bench, 0, sizeof(bench));
    bench.loop = loop_new();
    *state = &bench;
    return pipe(bench.a) || pipe(bench.b) ? -1 : 0;
}

static int tear_down(void **state)
{
    struct bench *t = *state;

    loop_free(t->loop);
    for (int i = 0; i < 2; i++) {
        close(t->a[i]);
        close(t->b[i]);
    }
    return 0;
}

static void note(struct bench *t, const char *what)
{
    strcat(t->seen, what);
}

static void on_stop(void *data)
{
    struct bench *t = data;
    note(t, ".");
    loop_stop(t->loop);
}

static void on_first(void *data)
{
    note(data, "1");
}

static void on_second(void *data)
{
    note(data, "2");
}

static void timers_run_in_order_of_time(void **state)
{
    struct bench *t = *state;
    struct loop_timer end = {0};

    loop_set(t->loop, &end, 5, on_stop, t);
    loop_set(t->loop, &t->second, 3, on_second, t);
    loop_set(t->loop, &t->first, 1, on_first, t);
    loop_run(t->loop);
    assert_string_equal(t->seen, "12.");
    assert_false(t->first.set || t->second.set || end.set);
}

static void timers_of_one_time_run_as_they_were_set(void **state)
{
    struct bench *t = *state;
    struct loop_timer end = {0};

    loop_set(t->loop, &t->first, 0, on_first, t);
    loop_set(t->loop, &t->second, 0, on_second, t);
    loop_set(t->loop, &end, 1, on_stop, t);
    loop_run(t->loop);
    assert_string_equal(t->seen, "12.");
}

static void a_timer_set_again_moves_and_unset_never_runs(void **state)
{
    struct bench *t = *state;
    struct loop_timer end = {0};

    loop_set(t->loop, &t->first, 0, on_first, t);
    loop_set(t->loop, &t->second, 1, on_second, t);
    loop_set(t->loop, &t->first, 2, on_first, t);
    loop_unset(t->loop, &t->second);
    loop_unset(t->loop, &t->second);
    loop_set(t->loop, &end, 4, on_stop, t);
    loop_run(t->loop);
    assert_string_equal(t->seen, "1.");
}

static void on_a(void *data)
{
    struct bench *t = data;
    char c;

    assert_int_equal(read(t->a[0], &c, 1), 1);
    note(t, "a");
    if (++t->rounds == 3)
        loop_stop(t->loop);
}

static void a_ready_descriptor_calls_each_round(void **state)
{
    struct bench *t = *state;

    assert_int_equal(write(t->a[1], "xyz", 3), 3);
    loop_watch(t->loop, t->a[0], POLLIN, on_a, t);
    loop_run(t->loop);
    assert_string_equal(t->seen, "aaa");
}

/* Forgets the other one, which is ready too: it must not be called any more. */
static void on_a_forgets_b(void *data)
{
    struct bench *t = data;
    note(t, "a");
    loop_forget(t->loop, t->a[0]);
    loop_forget(t->loop, t->b[0]);
    loop_set(t->loop, &t->first, 0, on_stop, t);
}

static void on_b(void *data)
{
    note(data, "b");
}

static void a_forgotten_descriptor_is_not_called(void **state)
{
    struct bench *t = *state;

    assert_int_equal(write(t->a[1], "x", 1) + write(t->b[1], "x", 1), 2);
    loop_watch(t->loop, t->a[0], POLLIN, on_a_forgets_b, t);
    loop_watch(t->loop, t->b[0], POLLIN, on_b, t);
    loop_forget(t->loop, 1000000);
    loop_run(t->loop);
    assert_string_equal(t->seen, "a.");
}

/* Watches the other one, and itself with another callback. */
static void on_a_watches_both(void *data)
{
    struct bench *t = data;
    note(t, "w");
    loop_watch(t->loop, t->a[0], POLLIN, on_stop, t);
    loop_watch(t->loop, t->b[1], POLLOUT, on_b, t);
}

static void a_callback_may_watch_others_and_itself_anew(void **state)
{
    struct bench *t = *state;

    assert_int_equal(write(t->a[1], "x", 1), 1);
    loop_watch(t->loop, t->a[0], POLLIN, on_a_watches_both, t);
    loop_run(t->loop);
    assert_string_equal(t->seen, "w.");
}

static void a_hang_up_counts_as_ready(void **state)
{
    struct bench *t = *state;

    close(t->a[1]);
    t->a[1] = dup(t->b[1]);
    loop_watch(t->loop, t->a[0], POLLIN, on_stop, t);
    loop_run(t->loop);
    assert_string_equal(t->seen, ".");
}

static void many_descriptors(void **state)
{
    struct bench *t = *state;
    int copies[40];

    for (size_t i = 0; i < 40; i++) {
        copies[i] = dup(t->b[0]);
        loop_watch(t->loop, copies[i], POLLIN, on_b, t);
    }
    loop_watch(t->loop, t->a[0], POLLIN, on_stop, t);
    assert_int_equal(write(t->a[1], "x", 1), 1);
    loop_run(t->loop);
    assert_string_equal(t->seen, ".");
    for (size_t i = 0; i < 40; i++)
        close(copies[i]);
}

static void nothing_to_free(void **state)
{
    (void)state;
    loop_free(NULL);
}

#define LOOP_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(timers_run_in_order_of_time),
        LOOP_TEST(timers_of_one_time_run_as_they_were_set),
        LOOP_TEST(a_timer_set_again_moves_and_unset_never_runs),
        LOOP_TEST(a_ready_descriptor_calls_each_round),
        LOOP_TEST(a_forgotten_descriptor_is_not_called),
        LOOP_TEST(a_callback_may_watch_others_and_itself_anew),
        LOOP_TEST(a_hang_up_counts_as_ready),
        LOOP_TEST(many_descriptors),
        cmocka_unit_test(nothing_to_free),
    };
    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
