/* Unit tests of server/snapshot: what one renewed certificate costs, or one that is new with its
 * tenant, counted, not timed. */
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

static void put_pair(int tenant)
{
    char name[100];

    put_certificate(tenant);
    snprintf(name, sizeof(name), "live/t%d/privkey.pem", tenant);
    if (tenant)
        assert_int_equal(link(test_path("live/t0/privkey.pem"), test_path(name)), 0);
    else
        test_write_key(name, key);
}

static void put_tenant(int tenant)
{
    char name[100];

    snprintf(name, sizeof(name), "tenants.d/t%d.yaml", tenant);
    FILE *file = test_open(name);
    fprintf(file, "tenants: {t%d.example: {mode: none}}\n", tenant);
    assert_int_equal(fclose(file), 0);
}

static void put_tenants(int count)
{
    FILE *main_file = test_open("main.yaml");

    fputs("listen: [\"127.0.0.1:0\"]\nledger: ledger.db\ncertificates: [live]\n"
          "include: [tenants.d/*.yaml]\ntenants:\n",
          main_file);
    for (int i = 0; i < count; i++) {
        fprintf(main_file, "  t%d.example: {mode: none}\n", i);
        put_pair(i);
    }
    assert_int_equal(fclose(main_file), 0);
    put_tenant(count);
    put_pair(count);
}

/* `name`: of what happened in the directory; empty: it is new. */
static struct snapshot *look(const struct snapshot *previous, enum snapshot_look how,
                             const char *directory, const char *name, struct sts_arena *arena)
{
    char *real = directory ? realpath(test_path(directory), NULL) : NULL;
    const struct file_entry entry = {sts_str_from(real ? real : ""), sts_str_from(name)};
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

/* What a look at everything comes to, and what it cost not to. */
static struct cert_work as_whole(const struct snapshot *after, struct sts_arena *arena)
{
    struct snapshot *whole = look(after, LOOK_STAT, NULL, "", arena);

    assert_false(after->searched);
    assert_true(whole->searched);
    assert_true(snapshot_same(after, whole));
    snapshot_unref(whole);
    return after->work.certificates;
}

static struct cert_work renew_one(const struct snapshot *before, int tenant,
                                  struct sts_arena *arena)
{
    char folder[100];
    size_t others = 0;

    put_certificate(tenant);
    struct snapshot *after = look(before, LOOK_TOLD, "live/t1", "fullchain.pem", arena);
    assert_ptr_equal(after->certificates, before->certificates); /* it was another folder */
    snapshot_unref(after);
    snprintf(folder, sizeof(folder), "live/t%d", tenant);
    after = look(before, LOOK_TOLD, folder, "fullchain.pem", arena);
    assert_int_equal(after->work.resolved, 0);
    assert_int_equal(after->served, before->served);
    assert_int_equal(after->changes.renewed, 1);
    for (size_t i = 0; i < after->tenant_count; i++)
        others += after->tenants[i].identity.ec != before->tenants[i].identity.ec;
    assert_int_equal(others, 1);
    struct cert_work work = as_whole(after, arena);
    snapshot_unref(after);
    return work;
}

/* The new file is found among all, the new folder is looked at alone. */
static struct cert_work add_one(const struct snapshot *before, int tenant, struct sts_arena *arena)
{
    char folder[100];

    put_tenant(tenant);
    put_pair(tenant);
    snprintf(folder, sizeof(folder), "live/t%d", tenant);
    struct snapshot *after = look(before, LOOK_NEW, folder, "", arena);
    assert_int_equal(after->served, before->served + 1);
    assert_int_equal(after->work.resolved, 1);
    struct cert_work work = as_whole(after, arena);
    snapshot_unref(after);
    return work;
}

static void among(int count)
{
    struct sts_arena *arena = sts_arena_new();

    put_tenants(count);
    struct snapshot *before = look(NULL, LOOK_READ, NULL, "", arena);
    assert_int_equal(before->served, count + 1);
    assert_true(before->searched);
    assert_int_equal(before->work.certificates.parsed, count + 1);
    struct cert_work renewed = renew_one(before, count / 2, arena);
    assert_int_equal(renewed.read, 1);
    assert_int_equal(renewed.parsed, 1);
    snapshot_unref(before);
    before = look(NULL, LOOK_READ, NULL, "", arena);
    struct cert_work added = add_one(before, count + 1, arena);
    assert_int_equal(added.read, 1);
    assert_int_equal(added.parsed, 1);
    snapshot_unref(before);
    sts_arena_free(arena);
}

static void the_cost_is_the_same_among_more_tenants(void **state)
{
    (void)state;
    among(FEW);
    test_dir_remove();
    test_dir_make();
    among(MANY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_cost_is_the_same_among_more_tenants, up, down),
    };
    return cmocka_run_group_tests(tests, group_up, group_down);
}
