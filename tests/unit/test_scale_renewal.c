/* Unit tests of server/snapshot: what one renewed certificate costs, counted, not timed. */
#include <signal.h>

#include "server/snapshot/snapshot.h"
#include "tests/unit/tls_certs.h"

enum { FEW = 1000, MANY = 10000 };

static struct test_cert authority;
static EVP_PKEY *key;

static int group_up(void **state)
{
    (void)state;
    signal(SIGIO, SIG_IGN); /* of file_read_settled */
    authority = test_cert_make((struct test_spec){.ca = true, .cn = "authority"});
    key = test_key_ec("P-256");
    return 0;
}

static int group_down(void **state)
{
    (void)state;
    test_cert_free(&authority);
    EVP_PKEY_free(key);
    return 0;
}

static int up(void **state)
{
    (void)state;
    test_dir_make();
    return 0;
}

static int down(void **state)
{
    (void)state;
    test_dir_remove();
    return 0;
}

static void put_certificate(int tenant)
{
    char san[100], name[100];

    snprintf(san, sizeof(san), "DNS:mta-sts.t%d.example", tenant);
    EVP_PKEY_up_ref(key);
    struct test_cert c =
        test_cert_make((struct test_spec){.san = san, .key = key, .issuer = &authority});
    snprintf(name, sizeof(name), "live/t%d/fullchain.pem", tenant);
    test_write_chain(name, NULL, c.x, authority.x, NULL);
    test_cert_free(&c);
}

static void put_tenants(int count)
{
    FILE *main_file = test_open("main.yaml");

    fputs("listen: [\"127.0.0.1:0\"]\nledger: ledger.db\ncertificates: [live]\ntenants:\n",
          main_file);
    for (int i = 0; i < count; i++) {
        char name[100];
        fprintf(main_file, "  t%d.example: {mode: none}\n", i);
        put_certificate(i);
        snprintf(name, sizeof(name), "live/t%d/privkey.pem", i);
        if (i)
            assert_int_equal(link(test_path("live/t0/privkey.pem"), test_path(name)), 0);
        else
            test_write_key(name, key);
    }
    assert_int_equal(fclose(main_file), 0);
}

static struct snapshot *look(const struct snapshot *previous, enum snapshot_look how,
                             const char *directory, struct sts_arena *arena)
{
    char *real = directory ? realpath(test_path(directory), NULL) : NULL;
    const struct file_entry entry = {sts_str_from(real ? real : ""), STS_STR("fullchain.pem")};
    const struct snapshot_input input = {
        .main_file = test_path("main.yaml"),
        .now = NOW,
        .previous = previous,
        .look = how,
        .touched = {.entries = &entry, .entry_count = directory != NULL},
        .with_certificates = true};
    struct sts_diags diags;

    sts_diags_init(&diags, arena);
    struct snapshot *s = snapshot_build(&input, &diags);
    free(real);
    assert_non_null(s);
    assert_int_equal(diags.errors, 0);
    return s;
}

static struct cert_work renew_one(int count)
{
    struct sts_arena *arena = sts_arena_new();

    put_tenants(count);
    struct snapshot *before = look(NULL, LOOK_READ, NULL, arena);
    assert_int_equal(before->served, count);
    assert_true(before->searched);
    assert_int_equal(before->work.certificates.parsed, count);
    put_certificate(count / 2);
    struct snapshot *after = look(before, LOOK_TOLD, "live/t1", arena);
    assert_ptr_equal(after->certificates, before->certificates); /* it was another folder */
    snapshot_unref(after);
    char folder[100];
    snprintf(folder, sizeof(folder), "live/t%d", count / 2);
    after = look(before, LOOK_TOLD, folder, arena);
    assert_false(after->searched);
    assert_int_equal(after->work.resolved, 0);
    assert_int_equal(after->served, count);
    assert_int_equal(after->changes.renewed, 1);
    size_t others = 0;
    for (size_t i = 0; i < after->tenant_count; i++)
        others += after->tenants[i].identity.ec != before->tenants[i].identity.ec;
    assert_int_equal(others, 1);
    struct snapshot *whole = look(after, LOOK_STAT, NULL, arena);
    assert_true(whole->searched);
    assert_true(snapshot_same(after, whole));
    struct cert_work work = after->work.certificates;
    snapshot_unref(before);
    snapshot_unref(after);
    snapshot_unref(whole);
    sts_arena_free(arena);
    return work;
}

static void a_renewal_costs_the_same_among_more_tenants(void **state)
{
    (void)state;
    struct cert_work few = renew_one(FEW);
    test_dir_remove();
    test_dir_make();
    struct cert_work many = renew_one(MANY);

    assert_int_equal(few.read, 1);
    assert_int_equal(few.parsed, 1);
    assert_int_equal(many.read, few.read);
    assert_int_equal(many.parsed, few.parsed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_renewal_costs_the_same_among_more_tenants, up, down),
    };
    return cmocka_run_group_tests(tests, group_up, group_down);
}
