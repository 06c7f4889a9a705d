/* Unit tests of the index of certificates: what a start takes from it, and what it reads and parses
 * none the less. */
#include "tests/unit/cert_index_fixture.h"

#include <fcntl.h>

static void the_next_start_parses_nothing(void **state)
{
    (void)state;
    write_all_kinds();
    make_index();
    for (int i = 0; i < 2; i++)
        assert_false(is_not_used());
    struct stat before, after;
    assert_int_equal(stat(test_path(INDEX), &before), 0);
    assert_int_equal(before.st_mode & 0777, 0600);
    struct cert_store *s = start("d", NOW);
    assert_int_equal(cert_store_remember(s, test_path(INDEX)), 0); /* as it stands there */
    assert_int_equal(stat(test_path(INDEX), &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    write_host("d/b.pem", "DNS:new.example", 30 * DAYS);
    s = reload(s, "d");
    assert_int_equal(cert_store_work(s).parsed, 1);
    assert_int_equal(cert_store_remember(s, test_path(INDEX)), 0);
    cert_store_unref(s);
    s = start("d", NOW);
    assert_int_equal(cert_store_work(s).parsed, 0);
    assert_null(find(s, "b.example").ec);
    assert_non_null(find(s, "new.example").ec);
    cert_store_unref(s);
}

static void other_bytes_are_parsed(void **state)
{
    (void)state;
    write_all_kinds();
    make_index();
    write_host("d/b.pem", "DNS:b.example,DNS:*.b.example", 20 * DAYS);
    struct cert_store *s = start("d", NOW);
    assert_int_equal(judge(s), 1);
    cert_store_unref(s);
    test_write_key("d/h/privkey.pem", root.key);
    s = start("d", NOW);
    assert_int_equal(diag("certificate-key-mismatch")->severity, STS_ERROR);
    assert_null(find(s, "mta-sts.example.org").ec);
    cert_store_unref(s);
}

static void what_expired_meanwhile_is_refused(void **state)
{
    (void)state;
    write_all_kinds();
    make_index();
    struct cert_store *s = start("d", NOW + 21 * DAYS);
    assert_int_equal(cert_store_work(s).parsed, 0);
    assert_int_equal(diag("certificate-expired")->severity, STS_ERROR);
    assert_null(find(s, "b.example").ec);
    assert_int_equal(cert_store_count(s), KINDS - 1);
    cert_store_unref(s);
}

static void no_key_is_in_it(void **state)
{
    (void)state;
    write_all_kinds();
    make_index();
    struct sts_buf text = read_index();
    unsigned char scalar[32];
    BIGNUM *secret = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(leaf.key, "priv", &secret), 1);
    assert_int_equal(BN_bn2binpad(secret, scalar, sizeof(scalar)), sizeof(scalar));
    assert_non_null(memmem(text.ptr, text.len, "mta-sts.example.org", 19));
    assert_null(memmem(text.ptr, text.len, scalar, 16));
    BN_clear_free(secret);
    sts_buf_fini(&text);
}

static void files_not_written_since_are_not_read(void **state)
{
    (void)state;
    int64_t young = cert_young_ns;
    write_all_kinds();
    cert_young_ns = INT64_MAX / 2;
    make_index();
    struct cert_store *s = start("d", NOW); /* their attributes did not tell yet */
    assert_int_equal(judge(s), 0);
    assert_int_equal(cert_store_work(s).read, KINDS);
    cert_store_unref(s);
    cert_young_ns = -1000000000;
    for (int i = 0; i < 3; i++) { /* from the second on they do */
        s = start("d", NOW);
        assert_int_equal(judge(s), 0);
        assert_int_equal(cert_store_work(s).read, i ? 0 : KINDS);
        assert_int_equal(cert_store_remember(s, test_path(INDEX)), 0);
        cert_store_unref(s);
    }
    const char *const touched[] = {"d/h/fullchain.pem", "d/h/privkey.pem", "d/b.pem"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(utimensat(AT_FDCWD, test_path(touched[i]), NULL, 0), 0);
        s = start("d", NOW);
        assert_int_equal(judge(s), 0);
        assert_int_equal(cert_store_work(s).read, 1);
        assert_int_equal(cert_store_remember(s, test_path(INDEX)), 0);
        cert_store_unref(s);
    }
    test_write_key("d/h/privkey.pem", root.key);
    s = start("d", NOW);
    assert_int_equal(diag("certificate-key-mismatch")->severity, STS_ERROR);
    cert_store_unref(s);
    cert_young_ns = young;
}

/* Keys in every form, also those that are read the long way. */
static void keys_of_every_form_are_read_alone(void **state)
{
    (void)state;
    const char *const curves[] = {"P-256", "P-384", "P-521", NULL};
    int64_t young = cert_young_ns;
    cert_young_ns = -1000000000;
    for (int form = 0; form < 8; form++) {
        const char *curve = curves[form / 2];
        EVP_PKEY *key = curve ? test_key_ec(curve) : test_key_rsa(2048);
        EVP_PKEY_up_ref(key);
        struct test_cert c =
            write_spec("d/k.crt", (struct test_spec){.san = "DNS:k.example", .key = key});
        test_write_chain("d/k.crt", NULL, c.x, mid.x, NULL);
        BIO *file = BIO_new_file(test_path("d/k.key"), "w");
        assert_int_equal(
            form % 2 ? PEM_write_bio_PrivateKey_traditional(file, key, NULL, NULL, 0, NULL, NULL)
                     : PEM_write_bio_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL),
            1);
        BIO_free(file);
        for (int i = 0; i < 2; i++) {
            struct cert_store *s = start("d", NOW);
            struct cert_objects objects;
            struct cert_identity id = find(s, "k.example");
            assert_int_equal(cert_store_work(s).read, i == 0);
            assert_true(cert_pair_decode(id.ec ? id.ec : id.rsa, &objects));
            assert_int_equal(EVP_PKEY_eq(objects.key, key), 1);
            assert_int_equal(X509_cmp(objects.leaf, c.x), 0);
            cert_objects_drop(&objects);
            assert_int_equal(cert_store_remember(s, test_path(INDEX)), 0);
            cert_store_unref(s);
        }
        test_cert_free(&c);
        EVP_PKEY_free(key);
    }
    cert_young_ns = young;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_next_start_parses_nothing),        TEST(other_bytes_are_parsed),
        TEST(what_expired_meanwhile_is_refused),    TEST(no_key_is_in_it),
        TEST(files_not_written_since_are_not_read), TEST(keys_of_every_form_are_read_alone),
    };
    return cmocka_run_group_tests_name("cert_index", tests, group_setup, group_teardown);
}
