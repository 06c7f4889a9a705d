/* Unit tests of server/daemon/schedule: single rules, then all of it against a model with random
 * events. */
#include "tests/unit/test.h"

#include "server/daemon/schedule.h"
#include "tests/unit/random.h"

static struct schedule fresh(void)
{
    struct schedule s;
    schedule_init(&s, 1000);
    schedule_configure(&s, 250, 2000, 60000, 1000);
    return s;
}

static void nothing_happens_but_the_rescan(void **state)
{
    struct schedule s = fresh();

    (void)state;
    assert_int_equal(schedule_next(&s), 61000);
    assert_int_equal(schedule_work(&s, 60999), SCHEDULE_WAIT);
    assert_int_equal(schedule_work(&s, 61000), SCHEDULE_COMPARE);
    assert_int_equal(schedule_work(&s, 61000), SCHEDULE_WAIT);
    assert_int_equal(schedule_next(&s), 121000);
}

static void the_rescan_lets_a_look_go_first(void **state)
{
    struct schedule s = fresh();

    (void)state;
    schedule_event(&s, 60900);
    assert_int_equal(schedule_next(&s), 61150);
    assert_int_equal(schedule_work(&s, 61149), SCHEDULE_WAIT);
    assert_int_equal(schedule_work(&s, 61150), SCHEDULE_LOOK);
    schedule_looked(&s, 61160, false, true);
    assert_int_equal(schedule_work(&s, 61160), SCHEDULE_COMPARE);
    /* Events that never end. */
    schedule_event(&s, 121000);
    for (uint64_t now = 121100; now < 123000; now += 100) {
        schedule_event(&s, now);
        assert_int_equal(schedule_work(&s, now), SCHEDULE_WAIT);
    }
    schedule_looked(&s, 123000, false, true);
    schedule_event(&s, 123000);
    assert_int_equal(schedule_next(&s), 123160);
    assert_int_equal(schedule_work(&s, 123160), SCHEDULE_COMPARE);
}

static void an_event_waits_for_quiet(void **state)
{
    struct schedule s = fresh();

    (void)state;
    schedule_event(&s, 1100);
    assert_int_equal(schedule_next(&s), 1350);
    schedule_event(&s, 1300);
    assert_int_equal(schedule_next(&s), 1550);
    assert_int_equal(schedule_work(&s, 1549), SCHEDULE_WAIT);
    assert_int_equal(schedule_work(&s, 1550), SCHEDULE_LOOK);
    schedule_looked(&s, 1560, false, true);
    assert_int_equal(schedule_work(&s, 1560), SCHEDULE_WAIT);
    assert_int_equal(schedule_next(&s), 61000);
}

static void events_without_end_do_not_starve_the_look(void **state)
{
    struct schedule s = fresh();
    uint64_t now = 1000;

    (void)state;
    for (; schedule_work(&s, now) != SCHEDULE_LOOK; now += 100)
        schedule_event(&s, now);
    assert_int_equal(now, 3000);
}

static void what_is_incomplete_is_tried_again_ever_more_slowly(void **state)
{
    static const uint64_t waits[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    struct schedule s = fresh();
    uint64_t now = 1000;

    (void)state;
    s.compare = SCHEDULE_NEVER;
    for (size_t i = 0; i < sizeof(waits) / sizeof(*waits); i++) {
        schedule_looked(&s, now, true, false);
        assert_int_equal(schedule_next(&s), now + waits[i]);
        now += waits[i];
        assert_int_equal(schedule_work(&s, now), SCHEDULE_LOOK);
    }
    schedule_looked(&s, now, true, true);
    assert_int_equal(schedule_next(&s), now + 1000);
    schedule_looked(&s, now, false, false);
    assert_int_equal(schedule_next(&s), SCHEDULE_NEVER);
}

static void new_settings_count_at_once(void **state)
{
    struct schedule s = fresh();

    (void)state;
    schedule_event(&s, 1100);
    schedule_configure(&s, 10, 100, 5000, 1150);
    assert_int_equal(schedule_next(&s), 1110);
    assert_int_equal(s.compare, 6150);
    schedule_configure(&s, 10, 100, 5000, 3000); /* the same: the rescan is not put off */
    assert_int_equal(s.compare, 6150);
    schedule_configure(&s, 0, 0, 5000, 3000);
    assert_int_equal(schedule_next(&s), 1100);
}

/* What must hold whatever happens: an event is looked at no earlier than after the quiet time or
 * the limit, no later than both; nothing is looked at without an event or a retry that is due; an
 * incomplete look is followed by another one within a minute; a comparison comes each rescan. */
static void any_history_keeps_the_promises(void **state)
{
    (void)state;
    for (unsigned run = 0; run < 2000; run++) {
        uint64_t seed = run, now = 1;
        uint64_t first = SCHEDULE_NEVER, last = SCHEDULE_NEVER, looked = 1;
        bool incomplete = false;
        struct schedule s;

        schedule_init(&s, now);
        schedule_configure(&s, (uint32_t)random_below(&seed, 500),
                           (uint32_t)random_below(&seed, 3000), 60000, now);
        for (unsigned step = 0; step < 200; step++) {
            now += random_below(&seed, 10) ? random_below(&seed, 300) : random_below(&seed, 90000);
            if (random_below(&seed, 2)) {
                schedule_event(&s, now);
                first = first == SCHEDULE_NEVER ? now : first;
                last = now;
            }
            uint64_t next = schedule_next(&s);
            enum schedule_work work = schedule_work(&s, now);
            bool quiet = last != SCHEDULE_NEVER && now >= last + s.settle;
            bool late = first != SCHEDULE_NEVER && now >= first + s.limit;
            assert_true((work == SCHEDULE_WAIT) == (next > now));
            if (work == SCHEDULE_LOOK) {
                assert_true(quiet || late || (incomplete && now >= looked + SCHEDULE_RETRY_MS));
                incomplete = random_below(&seed, 3) == 0;
                now += random_below(&seed, 50);
                schedule_looked(&s, now, incomplete, random_below(&seed, 2));
                first = last = SCHEDULE_NEVER;
                looked = now;
                assert_true(schedule_next(&s) > now || s.compare <= now);

                continue;
            }
            assert_false(quiet || late);
            assert_false(incomplete && now > looked + SCHEDULE_RETRY_MAX_MS);
            assert_true(s.compare + (first == SCHEDULE_NEVER ? 0 : s.limit) > now);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_happens_but_the_rescan),
        cmocka_unit_test(the_rescan_lets_a_look_go_first),
        cmocka_unit_test(an_event_waits_for_quiet),
        cmocka_unit_test(events_without_end_do_not_starve_the_look),
        cmocka_unit_test(what_is_incomplete_is_tried_again_ever_more_slowly),
        cmocka_unit_test(new_settings_count_at_once),
        cmocka_unit_test(any_history_keeps_the_promises),
    };
    return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
