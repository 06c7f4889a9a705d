/* Unit tests of the index of certificates: what a start takes from it, and that it takes nothing
 * from one that anything is wrong with. */
#include "tests/unit/cert_store_fixture.h"

#include "server/tls/cert_index.h"

static const char INDEX[] = "ledger.db.certs";

static struct cert_store *start(const char *path, time_t now)
{
    const struct sts_path list = {{STS_STR("main.yaml"), 3, 5}, sts_str_from(path)};

    sts_diags_init(&diags, arena);
    return cert_store_load(&list, 1, sts_str_from(test_dir), test_path(INDEX), NULL, now, &diags);
}

static void write_all_kinds(void)
{
    write_good("d/h/fullchain.pem", "d/h/privkey.pem");
    write_host("d/b.pem", "DNS:b.example,DNS:*.b.example", 20 * DAYS);
    struct test_cert c = write_spec(
        "d/r.pem", (struct test_spec){.san = "DNS:r.example", .key = test_key_rsa(2048)});
    test_cert_free(&c);
    c = test_cert_make((struct test_spec){.san = "DNS:alone.example"});
    test_write_chain("d/alone.pem", c.key, c.x, NULL);
    test_cert_free(&c);
}

enum { KINDS = 4 };

/* Whether the store is what the files say, and how many pairs were parsed for it. */
static size_t judge(struct cert_store *s)
{
    assert_int_equal(cert_store_count(s), KINDS);
    assert_int_equal(diags.errors, 0);
    assert_int_equal(diag("certificate-self-signed")->severity, STS_WARNING);
    assert_int_equal(cert_pair_info(find(s, "mta-sts.example.org").ec)->chain_length, 2);
    assert_ptr_equal(find(s, "x.b.example").ec, find(s, "b.example").ec);
    assert_int_equal(cert_pair_info(find(s, "b.example").ec)->not_after, NOW + 20 * DAYS);
    assert_int_equal(cert_pair_info(find(s, "r.example").rsa)->key_type, CERT_RSA);
    assert_null(find(s, "r.example").ec);
    assert_non_null(find(s, "alone.example").ec);
    struct cert_objects objects;
    assert_true(cert_pair_decode(find(s, "r.example").rsa, &objects));
    assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(objects.leaf), objects.key), 1);
    cert_objects_drop(&objects);
    return cert_store_work(s).parsed;
}

static struct sts_buf read_index(void)
{
    struct sts_buf text = {0};
    FILE *f = fopen(test_path(INDEX), "r");
    char bytes[4096];

    assert_non_null(f);
    for (size_t n; (n = fread(bytes, 1, sizeof(bytes), f)) > 0;)
        sts_buf_add(&text, (struct sts_str){bytes, n});
    fclose(f);
    return text;
}

static void make_index(void)
{
    struct cert_store *s = start("d", NOW);
    assert_int_equal(judge(s), KINDS);
    assert_int_equal(cert_store_remember(s, test_path(INDEX)), 0);
    cert_store_unref(s);
}

/* Starts again; true when everything was parsed, so nothing taken from the index. */
static bool is_not_used(void)
{
    struct cert_store *s = start("d", NOW);
    size_t parsed = judge(s);
    cert_store_unref(s);
    assert_true(parsed == 0 || parsed == KINDS);
    return parsed == KINDS;
}

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

static void a_wrong_bit_is_found(void **state)
{
    (void)state;
    write_all_kinds();
    make_index();
    struct sts_buf text = read_index();
    for (size_t i = 0; i < text.len; i++) {
        text.ptr[i] ^= (char)(1 << i % 8);
        test_write(INDEX, text.ptr, text.len);
        struct cert_index *index = cert_index_read(test_path(INDEX));
        assert_null(index);
        if (i % 97 == 0)
            assert_true(is_not_used());
        text.ptr[i] ^= (char)(1 << i % 8);
    }
    for (size_t len = 0; len < text.len; len++) {
        test_write(INDEX, text.ptr, len);
        assert_null(cert_index_read(test_path(INDEX)));
    }
    sts_buf_add_cstr(&text, "x");
    test_write(INDEX, text.ptr, text.len);
    assert_true(is_not_used());
    test_write(INDEX, text.ptr, text.len - 1);
    assert_int_equal(chmod(test_path(INDEX), 0600), 0);
    assert_false(is_not_used());
    sts_buf_fini(&text);
}

/* Right in itself, and still not to be used: `from` replaced by `to`, and the sum made anew. */
static void edit(const struct sts_buf *text, size_t at, const void *to, size_t len)
{
    unsigned char digest[32];

    memcpy(text->ptr + at, to, len);
    assert_int_equal(EVP_Digest(text->ptr, text->len - 32, digest, NULL, EVP_sha256(), NULL), 1);
    memcpy(text->ptr + text->len - 32, digest, 32);
    test_write(INDEX, text->ptr, text->len);
    assert_int_equal(chmod(test_path(INDEX), 0600), 0);
}

static void what_another_version_wrote_is_not_used(void **state)
{
    (void)state;
    write_all_kinds();
    make_index();
    struct sts_buf text = read_index();
    const char *version = memmem(text.ptr, text.len, "index 1 ", 8);
    const char *openssl =
        memmem(text.ptr, text.len, OpenSSL_version(OPENSSL_FULL_VERSION_STRING), 3);
    size_t end = (size_t)((const char *)memchr(text.ptr, '\n', text.len) - text.ptr) + 1;
    size_t places[] = {(size_t)(version - text.ptr) + 6, (size_t)(openssl - text.ptr), end - 1};
    for (size_t i = 0; i < 3; i++) {
        char before = text.ptr[places[i]];
        edit(&text, places[i], "9", 1);
        assert_true(is_not_used());
        edit(&text, places[i], &before, 1);
        assert_false(is_not_used());
    }
    /* more entries than there are, fewer, and a length that leads out of the file */
    for (uint64_t count = 0; count < 10; count++) {
        edit(&text, end, &count, sizeof(count));
        assert_true(is_not_used() == (count != KINDS));
    }
    edit(&text, end, (uint64_t[]){KINDS}, sizeof(uint64_t));
    edit(&text, end + 8, (uint32_t[]){UINT32_MAX}, sizeof(uint32_t));
    assert_true(is_not_used());
    sts_buf_fini(&text);
}

static void only_a_file_that_nobody_else_writes_is_used(void **state)
{
    (void)state;
    write_all_kinds();
    make_index();
    const mode_t modes[] = {0620, 0602, 0666};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(chmod(test_path(INDEX), modes[i]), 0);
        assert_true(is_not_used());
    }
    assert_int_equal(chmod(test_path(INDEX), 0644), 0);
    assert_false(is_not_used());
    if (geteuid() == 0) {
        assert_int_equal(chown(test_path(INDEX), 4242, 4242), 0);
        assert_true(is_not_used());
    }
    unlink(test_path(INDEX));
    assert_true(is_not_used());
    test_write(INDEX, "SQLite format 3", 16);
    assert_true(is_not_used());
    unlink(test_path(INDEX));
    assert_int_equal(mkfifo(test_path(INDEX), 0600), 0);
    assert_true(is_not_used());
    struct cert_store *s = start("d", NOW);
    assert_int_equal(cert_store_remember(s, test_path(INDEX)), -1); /* it is somebody's */
    assert_int_equal(errno, ENOTSUP);
    unlink(test_path(INDEX));
    assert_int_equal(cert_store_remember(s, test_path(INDEX)), 0);
    cert_store_unref(s);
    assert_false(is_not_used());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_next_start_parses_nothing),
        TEST(other_bytes_are_parsed),
        TEST(what_expired_meanwhile_is_refused),
        TEST(no_key_is_in_it),
        TEST(a_wrong_bit_is_found),
        TEST(what_another_version_wrote_is_not_used),
        TEST(only_a_file_that_nobody_else_writes_is_used),
    };
    return cmocka_run_group_tests_name("cert_index", tests, group_setup, group_teardown);
}
