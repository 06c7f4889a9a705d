#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "server/http/peers.h"

static struct in6_addr address(const char *text)
{
    struct in6_addr out;
    assert_int_equal(inet_pton(AF_INET6, text, &out), 1);
    return out;
}

static bool take(struct peers *peers, const char *text)
{
    struct in6_addr a = address(text);
    return peers_take(peers, &a);
}

static void release(struct peers *peers, const char *text)
{
    struct in6_addr a = address(text);
    peers_release(peers, &a);
}

static void each_address_has_its_own_limit(void **state)
{
    (void)state;
    struct peers *peers = peers_new(10, 2);
    assert_true(take(peers, "::ffff:192.0.2.1"));
    assert_true(take(peers, "::ffff:192.0.2.1"));
    assert_false(take(peers, "::ffff:192.0.2.1"));
    assert_true(take(peers, "::ffff:192.0.2.2"));
    release(peers, "::ffff:192.0.2.1");
    assert_true(take(peers, "::ffff:192.0.2.1"));
    assert_false(take(peers, "::ffff:192.0.2.1"));
    peers_free(peers);
}

static void ipv6_counts_by_prefix(void **state)
{
    (void)state;
    struct peers *peers = peers_new(10, 1);
    assert_true(take(peers, "2001:db8::1"));
    assert_false(take(peers, "2001:db8::ffff:0:0:1"));
    assert_true(take(peers, "2001:db8:0:1::1"));
    release(peers, "2001:db8::2");
    assert_true(take(peers, "2001:db8::3"));
    peers_free(peers);
}

static void without_a_limit_nothing_is_counted(void **state)
{
    (void)state;
    struct in6_addr a = address("2001:db8::1");
    struct peers *peers = peers_new(10, 0);
    assert_null(peers);
    for (int i = 0; i < 100; i++)
        assert_true(peers_take(peers, &a));
    peers_release(peers, &a);
    peers_free(peers);
}

/* Against plain counters, with many keys that come and go in a table that is as full as it gets. */
static void the_table_agrees_with_a_model(void **state)
{
    (void)state;
    enum { KEYS = 300, ROOM = 200, LIMIT = 3, STEPS = 200000 };
    struct peers *peers = peers_new(ROOM, LIMIT);
    unsigned count[KEYS] = {0}, total = 0, random = 12345;
    for (int step = 0; step < STEPS; step++) {
        random = random * 1103515245u + 12345u;
        unsigned key = (random >> 8) % KEYS;
        struct in6_addr a = address("2001:db8::");
        a.s6_addr[4] = (unsigned char)(key >> 8);
        a.s6_addr[7] = (unsigned char)key;
        if (count[key] > 0 && (total >= ROOM || (random >> 24) % 2 == 0)) {
            peers_release(peers, &a);
            count[key]--;
            total--;
        } else if (total < ROOM) {
            bool taken = peers_take(peers, &a);
            assert_int_equal(taken, count[key] < LIMIT);
            count[key] += taken;
            total += taken;
        }
    }
    peers_free(peers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_address_has_its_own_limit),
        cmocka_unit_test(ipv6_counts_by_prefix),
        cmocka_unit_test(without_a_limit_nothing_is_counted),
        cmocka_unit_test(the_table_agrees_with_a_model),
    };
    return cmocka_run_group_tests_name("peers", tests, NULL, NULL);
}
