/* Unit tests of the certificate store: which certificates are refused, or served with a warning,
 * and why. */
#include "tests/unit/cert_store_fixture.h"

static void odd_names_are_left_out(void **state)
{
    (void)state;
    const struct sts_str odd[] = {
        STS_STR("mta-sts.example.org\0.evil.example"),
        STS_STR("*.*.example.org"),
        STS_STR("a*.example.org"),
        STS_STR("mta-sts.example.org."),
        STS_STR("mta_sts.example.org"),
        STS_STR("mta-sts..example"),
        STS_STR("-a.example"),
        STS_STR("192.0.2.1"),
        STS_STR("*."),
        STS_STR(""),
    };
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        struct test_cert c =
            write_spec("o.pem", (struct test_spec){.bytes = odd[i].ptr, .bytes_len = odd[i].len});
        assert_refused("o.pem", "certificate-no-name");
        test_cert_free(&c);
    }
}

static void dates_are_checked(void **state)
{
    (void)state;
    struct test_cert c = write_spec(
        "e.pem", (struct test_spec){.san = "DNS:a.example", .from = -9 * DAYS, .to = -DAYS});
    assert_refused("e.pem", "certificate-expired");
    assert_non_null(strstr(diag("certificate-expired")->message.ptr, "expired on 2026-05-27"));
    assert_int_equal(diag("certificate-expired")->where.line, 1);
    test_cert_free(&c);
    c = write_spec("n.pem",
                   (struct test_spec){.san = "DNS:a.example", .from = DAYS, .to = 9 * DAYS});
    assert_refused("n.pem", "certificate-not-yet-valid");
    test_cert_free(&c);
}

static void an_expired_intermediate_is_a_warning(void **state)
{
    (void)state;
    struct test_cert old = test_cert_make((struct test_spec){
        .ca = true, .cn = "old", .issuer = &root, .from = -9 * DAYS, .to = -DAYS});
    struct test_cert c =
        write_spec("e.pem", (struct test_spec){.san = "DNS:a.example", .issuer = &old});
    struct cert_store *s = load("e.pem");
    assert_int_equal(diag("certificate-chain-expired")->severity, STS_WARNING);
    assert_true(diag("certificate-chain-expired")->where.line > 1);
    assert_int_equal(cert_store_count(s), 1);
    cert_store_unref(s);
    test_cert_free(&c);
    test_cert_free(&old);
}

/* An old root's signature below a root that all have by now: most senders never look at it. */
static void an_expired_end_of_a_chain_is_another_warning(void **state)
{
    (void)state;
    struct test_cert old = test_cert_make((struct test_spec){
        .ca = true, .cn = "cross", .issuer = &root, .from = -9 * DAYS, .to = -DAYS});
    struct test_cert middle =
        test_cert_make((struct test_spec){.ca = true, .cn = "middle", .issuer = &old});
    struct test_cert own =
        test_cert_make((struct test_spec){.san = "DNS:a.example", .issuer = &middle});
    test_write_chain("e.pem", own.key, own.x, middle.x, old.x, NULL);
    struct cert_store *s = load("e.pem");
    assert_int_equal(diag("certificate-chain-end-expired")->severity, STS_WARNING);
    for (const struct sts_diag *d = diags.first; d; d = d->next)
        assert_string_not_equal(d->code, "certificate-chain-expired");
    assert_int_equal(cert_store_count(s), 1);
    cert_store_unref(s);
    test_cert_free(&own);
    test_cert_free(&middle);
    test_cert_free(&old);
}

static void keys_are_checked(void **state)
{
    (void)state;
    EVP_PKEY *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    struct {
        EVP_PKEY *key;
        const char *code;
    } cases[] = {
        {test_key_rsa(1024), "certificate-weak-key"},
        {test_key_ec("secp256k1"), "certificate-weak-key"},
        {test_key_ec("P-224"), "certificate-weak-key"},
        {ed, "certificate-key-type"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct test_cert c =
            write_spec("k.pem", (struct test_spec){.san = "DNS:a.example", .key = cases[i].key});
        assert_refused("k.pem", cases[i].code);
        test_cert_free(&c);
    }
    const char *const fine[] = {"P-256", "P-384", "P-521"};
    for (size_t i = 0; i < 3; i++) {
        struct test_cert c = write_spec(
            "k.pem", (struct test_spec){.san = "DNS:a.example", .key = test_key_ec(fine[i])});
        struct cert_store *s = load("k.pem");
        assert_silent();
        assert_non_null(find(s, "a.example").ec);
        cert_store_unref(s);
        test_cert_free(&c);
    }
}

static void signatures_and_purpose_are_checked(void **state)
{
    (void)state;
    struct test_cert c =
        write_spec("s.pem", (struct test_spec){.san = "DNS:a.example", .md = EVP_sha1()});
    assert_refused("s.pem", "certificate-weak-signature");
    test_cert_free(&c);
    struct test_cert rsa =
        test_cert_make((struct test_spec){.ca = true, .cn = "rsa", .key = test_key_rsa(2048)});
    c = write_spec("s.pem",
                   (struct test_spec){.san = "DNS:a.example", .md = EVP_md5(), .issuer = &rsa});
    assert_refused("s.pem", "certificate-weak-signature");
    test_cert_free(&rsa);
    test_cert_free(&c);
    c = write_spec("s.pem", (struct test_spec){.san = "DNS:a.example", .eku = "clientAuth"});
    assert_refused("s.pem", "certificate-purpose");
    test_cert_free(&c);
    c = write_spec("s.pem", (struct test_spec){.cn = "a.example"});
    assert_refused("s.pem", "certificate-no-name"); /* the CN does not count */
    test_cert_free(&c);
}

/* A root of the SHA-1 age may stand in the chain: nobody looks at a root's own signature. */
static void a_root_may_be_signed_with_sha1(void **state)
{
    (void)state;
    struct test_cert old =
        test_cert_make((struct test_spec){.ca = true, .cn = "old root", .md = EVP_sha1()});
    struct test_cert c =
        write_spec("s.pem", (struct test_spec){.san = "DNS:a.example", .issuer = &old});
    struct cert_store *s = load("s.pem");
    assert_silent();
    assert_int_equal(cert_store_count(s), 1);
    cert_store_unref(s);
    test_cert_free(&c);
    test_cert_free(&old);
}

static void the_key_must_fit(void **state)
{
    (void)state;
    write_good("h.crt", "h.key");
    test_write_key("h.key", mid.key);
    assert_refused("h.crt", "certificate-leaf-not-first");
    test_write_key("h.key", root.key);
    assert_refused("h.crt", "certificate-key-mismatch");
    test_write_chain("h.crt", NULL, mid.x, leaf.x, NULL);
    test_write_key("h.key", leaf.key);
    assert_refused("h.crt", "certificate-leaf-not-first");
    assert_true(diag("certificate-leaf-not-first")->where.line > 1);
}

static void the_chain_must_be_in_order(void **state)
{
    (void)state;
    test_write_chain("h.pem", leaf.key, leaf.x, mid.x, root.x, NULL);
    struct cert_store *s = load("h.pem");
    assert_silent();
    assert_int_equal(cert_pair_info(find(s, "mta-sts.example.org").ec)->chain_length, 3);
    cert_store_unref(s);

    test_write_chain("h.pem", leaf.key, leaf.x, root.x, mid.x, NULL);
    assert_refused("h.pem", "certificate-chain-order");
    test_write_chain("h.pem", leaf.key, leaf.x, mid.x, mid.x, NULL);
    assert_refused("h.pem", "certificate-chain-incomplete");
    test_write_chain("h.pem", leaf.key, leaf.x, leaf.x, mid.x, NULL);
    assert_refused("h.pem", "certificate-chain-order");
    test_write_chain("h.pem", leaf.key, leaf.x, root.x, NULL);
    assert_refused("h.pem", "certificate-chain-incomplete");

    /* same name, other key: only the signature tells */
    struct test_cert twin =
        test_cert_make((struct test_spec){.ca = true, .cn = "mid", .issuer = &root});
    test_write_chain("h.pem", leaf.key, leaf.x, twin.x, NULL);
    assert_refused("h.pem", "certificate-chain-incomplete");
    test_cert_free(&twin);

    test_write_chain("h.pem", leaf.key, leaf.x, mid.x, mid.x, mid.x, mid.x, mid.x, mid.x, mid.x,
                     mid.x, mid.x, mid.x, NULL);
    assert_refused("h.pem", "certificate-chain-order");
}

/* Whether the issuer is a trusted root cannot be known, so these are served. */
static void a_leaf_alone_is_a_warning(void **state)
{
    (void)state;
    test_write_chain("h.pem", leaf.key, leaf.x, NULL);
    struct cert_store *s = load("h.pem");
    assert_int_equal(diag("certificate-chain-incomplete")->severity, STS_WARNING);
    assert_non_null(strstr(diag("certificate-chain-incomplete")->message.ptr, "chasquid"));
    assert_int_equal(cert_store_count(s), 1);
    s = reload(s, "h.pem"); /* unchanged, and still said */
    assert_int_equal(diag("certificate-chain-incomplete")->severity, STS_WARNING);
    cert_store_unref(s);

    struct test_cert self = test_cert_make((struct test_spec){.san = "DNS:a.example"});
    test_write_chain("h.pem", self.key, self.x, NULL);
    s = load("h.pem");
    assert_int_equal(diag("certificate-self-signed")->severity, STS_WARNING);
    assert_int_equal(diags.warnings, 1);
    assert_int_equal(cert_store_count(s), 1);
    cert_store_unref(s);
    test_cert_free(&self);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(odd_names_are_left_out),
        TEST(dates_are_checked),
        TEST(an_expired_intermediate_is_a_warning),
        TEST(an_expired_end_of_a_chain_is_another_warning),
        TEST(keys_are_checked),
        TEST(signatures_and_purpose_are_checked),
        TEST(a_root_may_be_signed_with_sha1),
        TEST(the_key_must_fit),
        TEST(the_chain_must_be_in_order),
        TEST(a_leaf_alone_is_a_warning),
    };
    return cmocka_run_group_tests_name("cert_check", tests, group_setup, group_teardown);
}
