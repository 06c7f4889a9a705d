/* Unit tests of server/daemon/expiry and of the certificates that a snapshot presents. */
#include "tests/unit/stderr_capture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/daemon/expiry.h"
#include "server/snapshot/renewal.h"
#include "server/tls/cert_pair.h"

enum { DAY = 86400 };
#define END ((time_t)1780000000)

static void thresholds(void **state)
{
    const struct {
        time_t left;
        int level;
    } expected[] = {
        {90 * DAY, 0}, {14 * DAY + 1, 0},      {14 * DAY, 1}, {7 * DAY + 1, 1},
        {7 * DAY, 2},  {3 * DAY, 3},           {DAY + 1, 3},  {DAY, 4},
        {0, 4},        {-1, EXPIRY_EXPIRED},   {-9 * DAY, 5}, {END, 0},
        {END + 1, 0},  {-END, EXPIRY_EXPIRED},
    };

    const struct cert_info info = {.not_after = END};

    (void)state;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_int_equal(expiry_level(&info, END - expected[i].left), expected[i].level);
    /* Each level begins when the one before says so. */
    for (int level = 0; level < EXPIRY_EXPIRED; level++) {
        assert_int_equal(expiry_level(&info, expiry_next(&info, level)), level + 1);
        assert_int_equal(expiry_level(&info, expiry_next(&info, level) - 1), level);
    }
    assert_true(expiry_next(&info, EXPIRY_EXPIRED) == EXPIRY_NEVER);
}

/* Somebody must act when half of the third is gone in which clients renew. */
static void overdue_by_lifetime(void **state)
{
    const struct {
        time_t lifetime, left;
    } expected[] = {
        {398 * DAY, 14 * DAY},
        {90 * DAY, 14 * DAY},
        {84 * DAY, 14 * DAY},
        {47 * DAY, 47 * DAY / 6},
        {6 * DAY, DAY},
        {DAY, 4 * 3600},
        {0, 0},
        {-5 * DAY, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        const struct cert_info info = {.not_before = END - expected[i].lifetime, .not_after = END};
        assert_true(renewal_overdue_at(&info) == END - expected[i].left);
        /* The log says so at this moment, not earlier and not later. */
        assert_int_equal(expiry_level(&info, END - expected[i].left - 1), 0);
        assert_true(expiry_level(&info, END - expected[i].left) > 0);
    }
}

static const struct sts_diag *warned(struct sts_diags *diags, time_t now)
{
    const struct cert_info info = {
        .file = STS_STR("shared.pem"), .not_before = END - 90 * DAY, .not_after = END};
    size_t before = sts_diags_count(diags);
    bool said = renewal_warn(diags, &info, STS_STR("a.example"), before ? 1 : 3, now);
    const struct sts_diag *last = diags->first;

    assert_int_equal(sts_diags_count(diags), before + said);
    while (last && last->next)
        last = last->next;
    return said ? last : NULL;
}

static void what_is_said_of_it(void **state)
{
    struct sts_diags diags;
    const struct sts_diag *diag;

    (void)state;
    sts_diags_init(&diags, sts_arena_new());
    assert_null(warned(&diags, END - 14 * DAY - 1));
    diag = warned(&diags, END - 14 * DAY);
    assert_string_equal(diag->code, "certificate-expires");
    assert_int_equal(diag->severity, STS_WARNING);
    assert_string_equal(diag->message.ptr,
                        "the certificate of a.example and 2 more tenants expires at "
                        "2026-05-28T20:26:40Z, in 14 days, and was not renewed");
    assert_string_equal(diag->where.source.ptr, "shared.pem");
    assert_string_equal(diag->tenant.ptr, "a.example");
    assert_true(diag->help.len);
    assert_non_null(strstr(warned(&diags, END - 2 * DAY + 1)->message.ptr, "in 47 hours,"));
    assert_non_null(strstr(warned(&diags, END - 7199)->message.ptr, "in 119 minutes,"));
    assert_non_null(strstr(warned(&diags, END - 60)->message.ptr, "in 1 minute,"));
    diag = warned(&diags, END + 1);
    assert_string_equal(diag->code, "certificate-expired");
    assert_int_equal(diag->severity, STS_ERROR);
    assert_string_equal(diag->message.ptr, "the certificate of a.example expired at "
                                           "2026-05-28T20:26:40Z: senders refuse it");
    sts_arena_free(diags.arena);
}

/* --- a snapshot of three tenants: A and B with one certificate, C with two ------------------- */

enum { SHARED, OF_EC, OF_RSA, RENEWED, PAIRS };

struct world {
    struct cert_pair *pairs[PAIRS];
    struct tenant tenants[3];
    struct snapshot snapshot;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    static const char *const files[] = {"shared.pem", "ec.pem", "rsa.pem", "shared.pem"};
    static const time_t ends[] = {END, END + 40 * DAY, END + 41 * DAY, END + 90 * DAY};

    assert_non_null(w);
    for (size_t i = 0; i < PAIRS; i++) {
        w->pairs[i] = cert_pair_new(sts_str_from(files[i]), sts_str_from(files[i]));
        w->pairs[i]->info.not_after = ends[i];
    }
    w->tenants[0] = (struct tenant){.domain = STS_STR("a.example"), .state = TENANT_SERVED};
    w->tenants[1] = (struct tenant){.domain = STS_STR("b.example"), .state = TENANT_SERVED};
    w->tenants[2] = (struct tenant){.domain = STS_STR("c.example"), .state = TENANT_SERVED};
    w->tenants[0].identity.ec = w->tenants[1].identity.ec = w->pairs[SHARED];
    w->tenants[2].identity = (struct cert_identity){w->pairs[OF_EC], w->pairs[OF_RSA]};
    w->snapshot.tenants = w->tenants;
    w->snapshot.tenant_count = 3;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < PAIRS; i++)
        cert_pair_unref(w->pairs[i]);
    free(w);
    return 0;
}

/* What a tick writes to standard error, and what it returns. */
static bool tick(struct expiry *e, time_t now, char *text, size_t size)
{
    struct stderr_capture capture = stderr_begin();
    bool again = expiry_tick(e, now);
    stderr_end(capture, text, size);
    return again;
}

static void each_threshold_once(void **state)
{
    struct world *w = *state;
    struct expiry e = {0};
    char text[4096];

    expiry_update(&e, NULL, &w->snapshot);
    assert_false(tick(&e, END - 30 * DAY, text, sizeof(text)));
    assert_string_equal(text, "");
    assert_int_equal(e.next, END - 14 * DAY);

    static const int days[] = {14, 7, 3, 1};
    for (size_t i = 0; i < 4; i++) {
        char expected[32];
        snprintf(expected, sizeof(expected), "days=%d", days[i]);
        assert_false(tick(&e, END - days[i] * DAY + 30, text, sizeof(text)));
        assert_non_null(strstr(text, "event=certificate-expires tenant=a.example tenants=2 "
                                     "file=shared.pem not_after=2026-05-28T20:26:40Z"));
        assert_non_null(strstr(text, expected));
        assert_non_null(strstr(text, "level=warning"));
        assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
        /* Nor by what is published meanwhile. */
        expiry_update(&e, &w->snapshot, &w->snapshot);
        assert_false(tick(&e, END - days[i] * DAY + 60, text, sizeof(text)));
        assert_string_equal(text, "");
    }
    assert_true(tick(&e, END + 1, text, sizeof(text)));
    assert_non_null(strstr(text, "level=error"));
    assert_non_null(strstr(text, "event=certificate-expired tenant=a.example"));
    assert_false(tick(&e, END + 2, text, sizeof(text)));
    assert_string_equal(text, "");
    assert_int_equal(e.next, END + 26 * DAY); /* of the EC one */
    expiry_fini(&e);
}

/* What lives for six days is renewed two days before its end, so it is overdue on the last. */
static void short_lives_are_said_later(void **state)
{
    struct world *w = *state;
    struct expiry e = {0};
    char text[4096];

    w->pairs[SHARED]->info.not_before = END - 6 * DAY;
    expiry_update(&e, NULL, &w->snapshot);
    for (int days = 6; days > 1; days--) {
        assert_false(tick(&e, END - days * DAY, text, sizeof(text)));
        assert_string_equal(text, "");
    }
    assert_false(tick(&e, END - DAY, text, sizeof(text)));
    assert_non_null(strstr(text, "days=1"));
    assert_true(tick(&e, END + 1, text, sizeof(text)));
    assert_non_null(strstr(text, "event=certificate-expired"));
    expiry_fini(&e);
}

static void late_at_the_start(void **state)
{
    struct world *w = *state;
    struct expiry e = {0};
    char text[4096];

    expiry_update(&e, NULL, &w->snapshot);
    assert_false(tick(&e, END - 2 * DAY + 1, text, sizeof(text)));
    assert_non_null(strstr(text, "days=2"));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    assert_false(tick(&e, END - 2 * DAY + 2, text, sizeof(text)));
    assert_string_equal(text, "");
    /* A renewed one begins anew. */
    struct tenant others[3];
    struct snapshot next = {.tenants = others, .tenant_count = 3};
    memcpy(others, w->tenants, sizeof(others));
    others[0].identity.ec = others[1].identity.ec = w->pairs[RENEWED];
    e.next = EXPIRY_NEVER;
    expiry_update(&e, &w->snapshot, &next);
    assert_int_equal(e.next, END + 76 * DAY);
    e.next = 0;
    assert_false(tick(&e, END - DAY, text, sizeof(text)));
    assert_string_equal(text, "");
    assert_int_equal(e.next, END + 26 * DAY);
    expiry_fini(&e);
}

static void the_clock_goes_back(void **state)
{
    struct world *w = *state;
    struct expiry e = {0};
    char text[4096];

    expiry_update(&e, NULL, &w->snapshot);
    assert_true(tick(&e, END + DAY, text, sizeof(text)));
    assert_true(tick(&e, END - 8 * DAY, text, sizeof(text)));
    assert_string_equal(text, ""); /* it was said */
    assert_false(tick(&e, END - 6 * DAY, text, sizeof(text)));
    assert_string_equal(text, "");
    expiry_fini(&e);
}

static void nothing_is_presented(void **state)
{
    struct world *w = *state;
    struct expiry e = {0};
    char text[4096];

    w->tenants[0].state = TENANT_REFUSED;
    w->tenants[1].state = TENANT_NO_CERTIFICATE;
    w->tenants[2].identity = (struct cert_identity){0}; /* listeners without TLS */
    expiry_update(&e, NULL, &w->snapshot);
    assert_int_equal(e.count, 0);
    assert_false(tick(&e, END + DAY, text, sizeof(text)));
    assert_string_equal(text, "");
    assert_true(e.next == EXPIRY_NEVER);
    expiry_fini(&e);
}

static size_t renewed(const struct snapshot *s, const struct snapshot *previous)
{
    size_t count;

    free(snapshot_presented(s, previous, &count));
    return count;
}

static void renewed_certificates(void **state)
{
    struct world *w = *state;
    struct tenant before[3];
    struct snapshot previous = {.tenants = before, .tenant_count = 3};

    memcpy(before, w->tenants, sizeof(before));
    assert_int_equal(renewed(&w->snapshot, &previous), 0);
    /* One certificate of two tenants. */
    w->tenants[0].identity.ec = w->tenants[1].identity.ec = w->pairs[RENEWED];
    assert_int_equal(renewed(&w->snapshot, &previous), 1);
    /* Not for the first time, or for the last. */
    before[0].state = TENANT_NO_CERTIFICATE;
    w->tenants[1].state = TENANT_REFUSED;
    assert_int_equal(renewed(&w->snapshot, &previous), 0);
    previous.tenants = before + 2; /* A and B are new */
    previous.tenant_count = 1;
    w->tenants[1].state = TENANT_SERVED;
    assert_int_equal(renewed(&w->snapshot, &previous), 0);
    /* The RSA one alone; then it goes. */
    w->tenants[2].identity.rsa = w->pairs[RENEWED];
    assert_int_equal(renewed(&w->snapshot, &previous), 1);
    w->tenants[2].identity.rsa = NULL;
    assert_int_equal(renewed(&w->snapshot, &previous), 0);
    previous.tenant_count = 0;
    assert_int_equal(renewed(&w->snapshot, &previous), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(thresholds),           TEST(each_threshold_once), TEST(short_lives_are_said_later),
        TEST(late_at_the_start),    TEST(the_clock_goes_back), TEST(nothing_is_presented),
        TEST(renewed_certificates), TEST(overdue_by_lifetime), TEST(what_is_said_of_it),
    };
    return cmocka_run_group_tests_name("expiry", tests, NULL, NULL);
}
