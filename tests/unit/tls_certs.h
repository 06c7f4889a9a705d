/* Certificates made in memory for the tests of server/tls, with any flaw one may think of, and a
 * temporary folder to write them to. Times are relative to NOW, which is not the real time. */
#ifndef MTASTS_TESTS_UNIT_TLS_CERTS_H
#define MTASTS_TESTS_UNIT_TLS_CERTS_H

#include "tests/unit/folder.h"

#include <dirent.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NOW  ((time_t)1780000000) /* 2026-05-28 */
#define DAYS (24 * 3600L)

struct test_cert {
    X509 *x;
    EVP_PKEY *key;
};

struct test_spec {
    const char *san, *cn, *eku;
    long from, to; /* seconds from NOW; both 0: a day ago to 90 days ahead */
    const struct test_cert *issuer;
    bool ca;
    const EVP_MD *md;  /* default SHA-256 */
    EVP_PKEY *key;     /* taken over; default a new P-256 key */
    const char *bytes; /* one more dNSName of `bytes_len` raw bytes */
    size_t bytes_len;
};

static inline EVP_PKEY *test_key_ec(const char *curve)
{
    EVP_PKEY *key = EVP_EC_gen(curve);
    assert_non_null(key);
    return key;
}

static inline EVP_PKEY *test_key_rsa(unsigned bits)
{
    EVP_PKEY *key = EVP_RSA_gen(bits);
    assert_non_null(key);
    return key;
}

static inline void test_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(e);
    assert_int_equal(X509_add_ext(x, e, -1), 1);
    X509_EXTENSION_free(e);
}

static inline void test_raw_name(X509 *x, const char *bytes, size_t len)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();

    assert_int_equal(ASN1_STRING_set(text, bytes, (int)len), 1);
    GENERAL_NAME_set0_value(name, GEN_DNS, text);
    sk_GENERAL_NAME_push(names, name);
    assert_int_equal(X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, 0), 1);
    GENERAL_NAMES_free(names);
}

static inline struct test_cert test_cert_make(struct test_spec s)
{
    static long serial = 1;
    struct test_cert c = {X509_new(), s.key ? s.key : test_key_ec("P-256")};
    X509 *issuer = s.issuer ? s.issuer->x : c.x;
    EVP_PKEY *signer = s.issuer ? s.issuer->key : c.key;
    bool no_md = EVP_PKEY_get_base_id(signer) == EVP_PKEY_ED25519;
    char number[32];

    if (!s.from && !s.to) {
        s.from = -1 * DAYS;
        s.to = 90 * DAYS;
    }
    snprintf(number, sizeof(number), "%ld", serial);
    X509_set_version(c.x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(c.x), serial++);
    ASN1_TIME_set(X509_getm_notBefore(c.x), NOW + s.from);
    ASN1_TIME_set(X509_getm_notAfter(c.x), NOW + s.to);
    X509_set_pubkey(c.x, c.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(c.x), "CN", MBSTRING_ASC,
                               (const unsigned char *)(s.cn ? s.cn : number), -1, -1, 0);
    X509_set_issuer_name(c.x, X509_get_subject_name(issuer));
    test_extension(c.x, issuer, NID_basic_constraints,
                   s.ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    test_extension(c.x, issuer, NID_subject_key_identifier, "hash");
    if (s.san)
        test_extension(c.x, issuer, NID_subject_alt_name, s.san);
    if (s.bytes)
        test_raw_name(c.x, s.bytes, s.bytes_len);
    if (s.eku)
        test_extension(c.x, issuer, NID_ext_key_usage, s.eku);
    assert_true(X509_sign(c.x, signer, no_md ? NULL : s.md ? s.md : EVP_sha256()) > 0);
    return c;
}

static inline void test_cert_free(struct test_cert *c)
{
    X509_free(c->x);
    EVP_PKEY_free(c->key);
    *c = (struct test_cert){0};
}

/* --- a folder of files ------------------------------------------------------------------------ */

static char test_dir[200];

static inline void test_dir_make(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(test_dir, sizeof(test_dir), "%s/mta-sts-tls.XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(test_dir));
}

static inline void test_dir_remove(void)
{
    folder_remove(test_dir);
}

/* A path in the folder; one of a few rotating buffers. */
static inline const char *test_path(const char *name)
{
    static char paths[8][512];
    static unsigned next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof(paths[0]), "%s/%s", test_dir, name);
    return path;
}

static inline void test_mkdirs(const char *path)
{
    char copy[512];
    snprintf(copy, sizeof(copy), "%s", path);
    for (char *p = copy + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        mkdir(copy, 0755);
        *p = '/';
    }
}

static inline FILE *test_open(const char *name)
{
    const char *path = test_path(name);
    test_mkdirs(path);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    return f;
}

static inline void test_write(const char *name, const char *text, size_t len)
{
    FILE *f = test_open(name);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static inline void test_put_key(FILE *f, EVP_PKEY *key)
{
    assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
}

static inline void test_write_key(const char *name, EVP_PKEY *key)
{
    FILE *f = test_open(name);
    test_put_key(f, key);
    assert_int_equal(fclose(f), 0);
}

/* Certificates one after another, NULL at the end; then the key unless NULL. */
static inline void test_write_chain(const char *name, EVP_PKEY *key, X509 *first, ...)
{
    FILE *f = test_open(name);
    va_list ap;

    va_start(ap, first);
    for (X509 *x = first; x; x = va_arg(ap, X509 *))
        assert_int_equal(PEM_write_X509(f, x), 1);
    va_end(ap);
    if (key)
        test_put_key(f, key);
    assert_int_equal(fclose(f), 0);
}

#endif
