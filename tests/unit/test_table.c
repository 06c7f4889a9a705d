/* Unit tests of the hash table: against a plain list, and its hash against the published values. */
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/table.h"

enum { KEYS = 600, STEPS = 60000 };

static bool is_number(const void *value, const void *key)
{
    return *(const unsigned *)value == *(const unsigned *)key;
}

/* The first and the last of the 64 values in the appendix of the SipHash paper's reference code:
 * key 00 01 ... 0f, input of n bytes 00 01 ... */
static void siphash_has_the_published_values(void **state)
{
    static const struct {
        size_t length;
        uint64_t hash;
    } cases[] = {{0, 0x726fdb47dd0e0e31u},
                 {1, 0x74f839c593dc67fdu},
                 {7, 0xab0200f58b01d137u},
                 {8, 0x93f5f5799a932462u},
                 {15, 0xa129ca6149be45e5u}};
    unsigned char bytes[16];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)i;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct sts_str input = {(const char *)bytes, cases[i].length};
        assert_true(sts_hash_keyed(bytes, input) == cases[i].hash);
    }
}

static void an_empty_table_has_nothing(void **state)
{
    struct sts_table table = {0};
    unsigned key = 1;
    size_t at = 0;

    (void)state;
    assert_null(sts_table_find(&table, 1, is_number, &key));
    assert_null(sts_table_remove(&table, 1, is_number, &key));
    assert_null(sts_table_next(&table, &at));
    sts_table_fini(&table);
}

static void compare(const struct sts_table *table, const bool *there, const unsigned *keys,
                    uint64_t hashes)
{
    size_t count = 0, listed = 0, at = 0;

    for (size_t i = 0; i < KEYS; i++) {
        const void *found = sts_table_find(table, keys[i] % hashes, is_number, &keys[i]);
        assert_ptr_equal(found, there[i] ? &keys[i] : NULL);
        count += there[i];
    }
    for (const unsigned *value; (value = sts_table_next(table, &at)); listed++)
        assert_true(there[value - keys]);
    assert_int_equal(table->count, count);
    assert_int_equal(listed, count);
}

/* With few hashes all keys collide, and removal has to move what was pushed aside. */
static void add_and_remove_as_a_list_does(void **state)
{
    static const uint64_t hashes[] = {1, 7, 100, UINT32_MAX};
    static unsigned keys[KEYS];

    (void)state;
    srand(1);
    for (unsigned i = 0; i < KEYS; i++)
        keys[i] = i * 2654435761u;
    for (size_t h = 0; h < sizeof(hashes) / sizeof(*hashes); h++) {
        struct sts_table table = {0};
        bool there[KEYS] = {false};
        for (size_t step = 0; step < STEPS; step++) {
            size_t i = (size_t)rand() % KEYS;
            uint64_t hash = keys[i] % hashes[h];
            if (there[i])
                assert_ptr_equal(sts_table_remove(&table, hash, is_number, &keys[i]), &keys[i]);
            else
                sts_table_add(&table, hash, &keys[i]);
            there[i] = !there[i];
            if (step % 5000 == 0)
                compare(&table, there, keys, hashes[h]);
        }
        compare(&table, there, keys, hashes[h]);
        sts_table_fini(&table);
    }
}

static void reserve_makes_room_once(void **state)
{
    static unsigned keys[KEYS];
    struct sts_table table = {0};

    (void)state;
    sts_table_reserve(&table, KEYS);
    const struct sts_table_slot *slots = table.slots;
    for (unsigned i = 0; i < KEYS; i++) {
        keys[i] = i;
        sts_table_add(&table, sts_hash_pair(i, 0), &keys[i]);
    }
    assert_ptr_equal(table.slots, slots);
    for (unsigned i = 0; i < KEYS; i++)
        assert_ptr_equal(sts_table_find(&table, sts_hash_pair(i, 0), is_number, &i), &keys[i]);
    sts_table_fini(&table);
}

static void hashes_of_parts_differ(void **state)
{
    (void)state;
    assert_true(sts_hash(STS_STR("a")) == sts_hash(STS_STR("a")));
    assert_true(sts_hash(STS_STR("a")) != sts_hash(STS_STR("b")));
    assert_true(sts_hash_pair(1, 2) != sts_hash_pair(2, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(siphash_has_the_published_values),
        cmocka_unit_test(an_empty_table_has_nothing),
        cmocka_unit_test(add_and_remove_as_a_list_does),
        cmocka_unit_test(reserve_makes_room_once),
        cmocka_unit_test(hashes_of_parts_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
