/* Unit tests of private keys: which are served, that none costs much before it is refused, and that
 * what is served can sign. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "tests/unit/cert_store_fixture.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/dsa.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>

#include "server/tls/cert_pair.h"

enum { SCALAR = 32 };

/* --- EC ---------------------------------------------------------------------------------------
 */

/* An ECPrivateKey (RFC 5915) on P-256 with these bytes as the scalar; `point` (65 bytes, or NULL)
 * is said to be the public key. */
static size_t ec_key(unsigned char out[128], const unsigned char *scalar, size_t len,
                     const unsigned char *point)
{
    static const char version[] = "\x30\0\x02\x01\x01\x04", public[] = "\xa1\x44\x03\x42\0";
    static const char curve[] = "\xa0\x0a\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
    unsigned char *at = mempcpy(out, version, sizeof(version) - 1);

    *at++ = (unsigned char)len;
    at = mempcpy(at, scalar, len);
    at = mempcpy(at, curve, sizeof(curve) - 1);
    if (point) {
        at = mempcpy(at, public, sizeof(public) - 1);
        at = mempcpy(at, point, 65);
    }
    out[1] = (unsigned char)(at - out - 2);
    assert_true(out[1] < 0x80);
    return (size_t)(at - out);
}

static void write_block(const char *name, const char *label, const unsigned char *der, size_t len)
{
    FILE *f = test_open(name);
    assert_true(PEM_write(f, label, "", der, (long)len) > 0);
    assert_int_equal(fclose(f), 0);
}

static void write_ec(const char *name, const unsigned char *scalar, size_t len,
                     const unsigned char *point)
{
    unsigned char der[128];
    write_block(name, "EC PRIVATE KEY", der, ec_key(der, scalar, len, point));
}

static BIGNUM *scalar_of(EVP_PKEY *key, unsigned char out[SCALAR])
{
    BIGNUM *number = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &number), 1);
    assert_int_equal(BN_bn2binpad(number, out, SCALAR), SCALAR);
    return number;
}

static void point_of(EVP_PKEY *key, unsigned char out[65])
{
    size_t len = 0;
    assert_int_equal(
        EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, out, 65, &len), 1);
    assert_int_equal(len, 65);
}

static const BIGNUM *order(void)
{
    static EC_GROUP *group;
    if (!group)
        group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    return EC_GROUP_get0_order(group);
}

static void the_scalar_must_lead_to_the_certificate(void **state)
{
    (void)state;
    unsigned char own[SCALAR], other[SCALAR], point[65];
    BN_free(scalar_of(leaf.key, own));
    BN_free(scalar_of(root.key, other));
    point_of(leaf.key, point);
    test_write_chain("h.crt", NULL, leaf.x, mid.x, NULL);

    write_ec("h.key", other, SCALAR, point); /* the file claims the certificate's point */
    assert_refused("h.crt", "certificate-key-mismatch");
    write_ec("h.key", other, SCALAR, NULL);
    assert_refused("h.crt", "certificate-key-mismatch");
    /* in the envelope of PKCS#8, too */
    static const char head[] = "\x30\x81\0\x02\x01\0\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"
                               "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x04";
    unsigned char der[200];
    unsigned char *inner = mempcpy(der, head, sizeof(head) - 1);
    *inner = (unsigned char)ec_key(inner + 1, other, SCALAR, point);
    size_t len = (size_t)(inner - der) + 1 + *inner;
    der[2] = (unsigned char)(len - 3);
    write_block("h.key", "PRIVATE KEY", der, len);
    assert_refused("h.crt", "certificate-key-mismatch");
}

static void the_scalar_must_be_one_of_its_curve(void **state)
{
    (void)state;
    unsigned char bytes[40] = {0}, point[65];
    BIGNUM *n = BN_dup(order()), *scalar = scalar_of(leaf.key, bytes);
    point_of(leaf.key, point);
    test_write_chain("h.crt", NULL, leaf.x, mid.x, NULL);

    memset(bytes, 0, sizeof(bytes));
    write_ec("h.key", bytes, SCALAR, point); /* 0 */
    assert_refused("h.crt", "certificate-key-broken");
    write_ec("h.key", bytes, 0, point);
    assert_refused("h.crt", "certificate-key-broken");
    BN_bn2binpad(n, bytes, SCALAR); /* n */
    write_ec("h.key", bytes, SCALAR, point);
    assert_refused("h.crt", "certificate-key-broken");
    BN_add(n, n, scalar); /* the same key, once around */
    BN_bn2binpad(n, bytes, SCALAR + 1);
    write_ec("h.key", bytes, SCALAR + 1, point);
    assert_refused("h.crt", "certificate-key-broken");
    memset(bytes, 0xff, sizeof(bytes));
    write_ec("h.key", bytes, SCALAR, point);
    assert_refused("h.crt", "certificate-key-broken");
    assert_int_equal(diag("certificate-key-broken")->where.line, 1);
    assert_string_equal(diag("certificate-key-broken")->where.source.ptr, test_path("h.key"));
    BN_free(n);
    BN_free(scalar);
}

/* The public part may be left out or wrong, and zeros in front may be left out or added. */
static void other_ways_to_write_a_scalar_are_read(void **state)
{
    (void)state;
    unsigned char bytes[SCALAR + 1] = {0}, junk[65];
    memset(junk, 4, sizeof(junk));
    test_write_chain("h.crt", NULL, leaf.x, mid.x, NULL);
    BN_free(scalar_of(leaf.key, bytes + 1));
    const unsigned char *const points[] = {NULL, junk};
    for (size_t i = 0; i < 4; i++) {
        write_ec("h.key", bytes + i % 2, SCALAR + 1 - i % 2, points[i / 2]);
        struct cert_store *s = load("h.crt");
        assert_silent();
        assert_int_equal(cert_store_count(s), 1);
        cert_store_unref(s);
    }
    EVP_PKEY *small = EVP_PKEY_new(); /* its scalar is 258 */
    EC_KEY *ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *point = EC_POINT_new(EC_KEY_get0_group(ec));
    BIGNUM *scalar = BN_new();
    BN_set_word(scalar, 258);
    EC_POINT_mul(EC_KEY_get0_group(ec), point, scalar, NULL, NULL, NULL);
    EC_KEY_set_private_key(ec, scalar);
    EC_KEY_set_public_key(ec, point);
    EVP_PKEY_assign_EC_KEY(small, ec);
    struct test_cert c =
        test_cert_make((struct test_spec){.san = "DNS:a.example", .issuer = &mid, .key = small});
    test_write_chain("h.crt", NULL, c.x, mid.x, NULL);
    write_ec("h.key", (const unsigned char *)"\x01\x02", 2, NULL);
    struct cert_store *s = load("h.crt");
    struct cert_objects objects;
    assert_silent();
    assert_true(cert_pair_decode(find(s, "a.example").ec, &objects));
    assert_int_equal(EVP_PKEY_eq(objects.key, small), 1);
    cert_objects_drop(&objects);
    cert_store_unref(s);
    test_cert_free(&c);
    EC_POINT_free(point);
    BN_free(scalar);
}

static void a_point_beside_the_curve_is_refused(void **state)
{
    (void)state;
    struct test_cert c = test_cert_make((struct test_spec){.san = "DNS:a.example", .issuer = &mid});
    unsigned char point[65], *der = NULL;
    int len = i2d_X509(c.x, &der);
    point_of(c.key, point);
    unsigned char *there = memmem(der, (size_t)len, point, sizeof(point));
    assert_non_null(there);
    there[64] ^= 1;
    write_block("h.crt", "CERTIFICATE", der, (size_t)len);
    test_write_key("h.key", c.key);
    assert_refused("h.crt", "certificate-key-broken");
    OPENSSL_free(der);
    test_cert_free(&c);
}

/* --- RSA --------------------------------------------------------------------------------------
 */

/* In the order of PKCS#1. */
enum { MODULUS, PUBLIC, PRIVATE, P, Q, P_REST, Q_REST, INVERSE, NUMBERS };

struct rsa_numbers {
    BIGNUM *at[NUMBERS];
};

/* Of known primes: making 4096 bits takes seconds. */
static struct rsa_numbers rsa_of(BIGNUM *p, BIGNUM *q, unsigned long long exponent)
{
    struct rsa_numbers rsa;
    BN_CTX *scratch = BN_CTX_new();
    BIGNUM *p_order = BN_dup(p), *q_order = BN_dup(q), *orders = BN_new();

    for (size_t i = 0; i < NUMBERS; i++)
        rsa.at[i] = i == P ? p : i == Q ? q : BN_new();
    BN_set_word(rsa.at[PUBLIC], exponent);
    BN_sub_word(p_order, 1);
    BN_sub_word(q_order, 1);
    BN_mul(rsa.at[MODULUS], p, q, scratch);
    BN_mul(orders, p_order, q_order, scratch);
    if (!BN_mod_inverse(rsa.at[PRIVATE], rsa.at[PUBLIC], orders, scratch))
        BN_copy(rsa.at[PRIVATE], rsa.at[PUBLIC]);
    BN_mod(rsa.at[P_REST], rsa.at[PRIVATE], p_order, scratch);
    BN_mod(rsa.at[Q_REST], rsa.at[PRIVATE], q_order, scratch);
    assert_non_null(BN_mod_inverse(rsa.at[INVERSE], q, p, scratch));
    BN_free(p_order);
    BN_free(q_order);
    BN_free(orders);
    BN_CTX_free(scratch);
    ERR_clear_error();
    return rsa;
}

/* Primes of 512 and 1536 bits more or less make 2304, of 1024 and 3072 bits 4096. */
static struct rsa_numbers rsa_2304(unsigned long long exponent)
{
    return rsa_of(BN_get_rfc3526_prime_1536(NULL), BN_get_rfc2409_prime_768(NULL), exponent);
}

/* Nothing but an odd number of so many bits. */
static struct rsa_numbers rsa_of_size(int bits)
{
    struct rsa_numbers rsa = rsa_2304(65537);
    assert_int_equal(BN_rand(rsa.at[MODULUS], bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD), 1);
    BN_copy(rsa.at[PRIVATE], rsa.at[MODULUS]);
    BN_rshift1(rsa.at[PRIVATE], rsa.at[PRIVATE]);
    return rsa;
}

/* A certificate and a key file of these numbers, which are freed. */
static void write_rsa(struct rsa_numbers rsa)
{
    RSA *key = RSA_new();
    EVP_PKEY *wrapped = EVP_PKEY_new();
    assert_int_equal(RSA_set0_key(key, rsa.at[MODULUS], rsa.at[PUBLIC], rsa.at[PRIVATE]), 1);
    assert_int_equal(RSA_set0_factors(key, rsa.at[P], rsa.at[Q]), 1);
    assert_int_equal(RSA_set0_crt_params(key, rsa.at[P_REST], rsa.at[Q_REST], rsa.at[INVERSE]), 1);
    assert_int_equal(EVP_PKEY_assign_RSA(wrapped, key), 1);
    struct test_cert c =
        test_cert_make((struct test_spec){.san = "DNS:r.example", .issuer = &mid, .key = wrapped});
    test_write_chain("r.crt", NULL, c.x, mid.x, NULL);
    FILE *f = test_open("r.key");
    assert_int_equal(PEM_write_RSAPrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(f), 0);
    test_cert_free(&c);
}

static void rsa_is_served(struct rsa_numbers rsa)
{
    write_rsa(rsa);
    struct cert_store *s = load("r.crt");
    assert_silent();
    assert_non_null(find(s, "r.example").rsa);
    cert_store_unref(s);
}

static void rsa_is_refused(struct rsa_numbers rsa, const char *code)
{
    write_rsa(rsa);
    assert_refused("r.crt", code);
    assert_true(diag(code)->help.len > 0);
}

static void rsa_has_2048_to_4096_bits(void **state)
{
    (void)state;
    rsa_is_refused(rsa_of_size(1024), "certificate-weak-key");
    rsa_is_refused(rsa_of_size(2047), "certificate-weak-key");
    rsa_is_served(rsa_2304(65537));
    rsa_is_served(rsa_of(BN_get_rfc3526_prime_3072(NULL), BN_get_rfc2409_prime_1024(NULL), 65537));
    const int sizes[] = {4097, 4104, 8192, 16384, 65536};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        rsa_is_refused(rsa_of_size(sizes[i]), "certificate-key-size");
}

static void rsa_has_an_odd_exponent_of_32_bits(void **state)
{
    (void)state;
    const unsigned long long good[] = {3, 17, 0xffffffff}, bad[] = {1, 2, 65536, 0x100000001};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        rsa_is_served(rsa_2304(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        rsa_is_refused(rsa_2304(bad[i]), "certificate-key-exponent");
}

static void rsa_numbers_must_fit_each_other(void **state)
{
    (void)state;
    for (int i = 0; i < NUMBERS; i++) {
        for (int how = 0; how < 4; how++) {
            struct rsa_numbers rsa = rsa_2304(65537);
            if (i == PUBLIC && how != 1)
                BN_set_word(rsa.at[i], 3); /* another one */
            else if (how == 0)
                BN_add_word(rsa.at[i], 2); /* of a modulus and an exponent, it stays odd */
            else if (how == 1)
                BN_add_word(rsa.at[i], i == PUBLIC ? 2 : 1); /* even */
            else if (how == 2 && i != MODULUS)
                BN_zero(rsa.at[i]);
            else if (i != MODULUS)
                BN_add(rsa.at[i], rsa.at[i], rsa.at[MODULUS]); /* larger than any should be */
            else
                BN_sub_word(rsa.at[i], 3);
            rsa_is_refused(rsa, "certificate-key-broken");
        }
    }
    struct rsa_numbers one = rsa_2304(65537); /* "prime" is not looked at, but it must work */
    BN_copy(one.at[P], one.at[MODULUS]);
    BN_one(one.at[Q]);
    rsa_is_refused(one, "certificate-key-broken");
    BIGNUM *p = BN_get_rfc3526_prime_1536(NULL);
    BN_add_word(p, 2);
    rsa_is_refused(rsa_of(p, BN_get_rfc2409_prime_768(NULL), 65537), "certificate-key-broken");
}

/* --- Others -----------------------------------------------------------------------------------
 */

/* OpenSSL would compute the public part of it: with 65,536 bits for minutes. */
static void other_kinds_are_not_computed_with(void **state)
{
    (void)state;
    EVP_PKEY *wrapped = EVP_PKEY_new();
    DSA *dsa = DSA_new();
    BIGNUM *p = BN_new(), *x = BN_new();
    BN_rand(p, 20000, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD);
    BN_rand(x, 20000, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD);
    assert_int_equal(DSA_set0_pqg(dsa, p, BN_dup(p), BN_dup(x)), 1);
    assert_int_equal(DSA_set0_key(dsa, BN_dup(x), x), 1);
    assert_int_equal(EVP_PKEY_assign_DSA(wrapped, dsa), 1);
    test_write_chain("h.crt", NULL, leaf.x, mid.x, NULL);
    test_write_key("h.key", wrapped);
    assert_refused("h.crt", "certificate-key-size");
    EVP_PKEY_free(wrapped);
    wrapped = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    test_write_key("h.key", wrapped);
    assert_refused("h.crt", "certificate-key-type");
    EVP_PKEY_free(wrapped);
    wrapped = test_key_ec("brainpoolP256r1");
    test_write_key("h.key", wrapped);
    assert_refused("h.crt", "certificate-weak-key");
    EVP_PKEY_free(wrapped);
}

/* --- The size of certificates -----------------------------------------------------------------
 */

/* A certificate with so many bytes of an extension that nobody knows. */
static struct test_cert large_cert(size_t bytes)
{
    struct test_cert c = test_cert_make((struct test_spec){.san = "DNS:l.example", .issuer = &mid});
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    unsigned char *zeros = calloc(1, bytes + 1);
    ASN1_OBJECT *object = OBJ_txt2obj("1.3.6.1.4.1.55555.1", 1);

    ASN1_OCTET_STRING_set(value, zeros, (int)bytes);
    X509_EXTENSION *e = X509_EXTENSION_create_by_OBJ(NULL, object, 0, value);
    assert_int_equal(X509_add_ext(c.x, e, -1), 1);
    assert_true(X509_sign(c.x, mid.key, EVP_sha256()) > 0);
    X509_EXTENSION_free(e);
    ASN1_OBJECT_free(object);
    ASN1_OCTET_STRING_free(value);
    free(zeros);
    return c;
}

static void certificates_have_at_most_32_kib(void **state)
{
    (void)state;
    struct test_cert c = large_cert(20000);
    size_t rest = (32 << 10) - (size_t)i2d_X509(c.x, NULL) - (size_t)i2d_X509(mid.x, NULL);
    test_cert_free(&c);
    /* A signature has 70 to 72 bytes. */
    const size_t sizes[] = {20000 + rest - 4, 20000 + rest + 4, 700000};
    for (size_t i = 0; i < 3; i++) {
        c = large_cert(sizes[i]);
        test_write_chain("l.crt", NULL, c.x, mid.x, NULL);
        test_write_key("l.key", c.key);
        if (i) {
            assert_refused("l.crt", "certificate-size");
            assert_true(diag("certificate-size")->help.len > 0);
        } else {
            struct cert_store *s = load("l.crt");
            assert_silent();
            assert_non_null(find(s, "l.example").ec);
            cert_store_unref(s);
        }
        test_cert_free(&c);
    }
}

/* What was good before stays, as with any other renewal that is not. */
static void the_pair_before_stays(void **state)
{
    (void)state;
    struct test_cert c = large_cert(700000);
    test_write_chain("d/l.crt", NULL, leaf.x, mid.x, NULL);
    test_write_key("d/l.key", leaf.key);
    struct cert_store *s = load("d");
    test_write_chain("d/l.crt", NULL, c.x, mid.x, NULL);
    test_write_key("d/l.key", c.key);
    s = reload(s, "d");
    assert_non_null(strstr(diag("certificate-kept")->message.ptr, "32 KiB"));
    assert_non_null(find(s, "mta-sts.example.org").ec);
    cert_store_unref(s);
    test_write_chain("d/l.crt", NULL, c.x, mid.x, NULL); /* no pair: none of our business */
    assert_int_equal(unlink(test_path("d/l.key")), 0);
    test_write_chain("d/m.pem", NULL, c.x, NULL);
    s = load("d");
    assert_int_equal(cert_store_count(s), 0);
    cert_store_unref(s);
    test_cert_free(&c);
}

/* Some programs write PKCS#8 and name the kind of the key above it; OpenSSL reads that, too. */
static void the_label_may_name_the_kind_of_the_key(void **state)
{
    (void)state;
    const char *const labels[] = {"EC PRIVATE KEY", "RSA PRIVATE KEY"};

    for (size_t i = 0; i < 2; i++) {
        EVP_PKEY *key = i == 0 ? EVP_EC_gen("P-384") : EVP_RSA_gen(2048);
        struct test_cert c =
            test_cert_make((struct test_spec){.san = "DNS:p.example", .issuer = &mid, .key = key});
        PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
        unsigned char *der = NULL;
        int len = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
        test_write_chain("p.crt", NULL, c.x, mid.x, NULL);
        write_block("p.key", labels[i], der, (size_t)len);
        struct cert_store *s = load("p.crt");
        assert_silent();
        assert_int_equal(cert_store_count(s), 1);
        cert_store_unref(s);
        OPENSSL_free(der);
        PKCS8_PRIV_KEY_INFO_free(info);
        test_cert_free(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_scalar_must_lead_to_the_certificate),
        TEST(the_scalar_must_be_one_of_its_curve),
        TEST(other_ways_to_write_a_scalar_are_read),
        TEST(a_point_beside_the_curve_is_refused),
        TEST(rsa_has_2048_to_4096_bits),
        TEST(rsa_has_an_odd_exponent_of_32_bits),
        TEST(rsa_numbers_must_fit_each_other),
        TEST(other_kinds_are_not_computed_with),
        TEST(the_label_may_name_the_kind_of_the_key),
        TEST(certificates_have_at_most_32_kib),
        TEST(the_pair_before_stays),
    };
    return cmocka_run_group_tests_name("cert_key", tests, group_setup, group_teardown);
}
