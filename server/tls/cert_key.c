/* EC_KEY and RSA are deprecated, but "provided" keys can be made by the generic decoders only, or
 * at six times the price, and X509_set_pubkey would encode and decode them again. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "server/tls/cert_key.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <pthread.h>

#include "server/base/memory.h"

enum { P256_BYTES = 32, P384_BYTES = 48, P521_BYTES = 66 };

static struct {
    int nid;
    size_t bytes; /* of a scalar */
    EC_GROUP *group;
} curves[] = {
    {NID_X9_62_prime256v1, P256_BYTES, NULL},
    {NID_secp384r1, P384_BYTES, NULL},
    {NID_secp521r1, P521_BYTES, NULL},
};

enum { CURVES = sizeof(curves) / sizeof(curves[0]) };

static pthread_once_t curves_once = PTHREAD_ONCE_INIT;

static void make_curves(void)
{
    for (size_t i = 0; i < CURVES; i++)
        curves[i].group = sts_must(EC_GROUP_new_by_curve_name(curves[i].nid));
}

static EC_KEY *new_ec(const EC_GROUP *group)
{
    EC_KEY *ec = sts_must(EC_KEY_new());

    if (EC_KEY_set_group(ec, group) != 1)
        sts_must(NULL);
    return ec;
}

static EVP_PKEY *wrap_ec(EC_KEY *ec)
{
    EVP_PKEY *key = sts_must(EVP_PKEY_new());

    if (EVP_PKEY_assign_EC_KEY(key, ec) != 1)
        sts_must(NULL);
    return key;
}

static EVP_PKEY *wrap_rsa(RSA *rsa)
{
    EVP_PKEY *key;

    if (!rsa)
        return NULL;
    key = sts_must(EVP_PKEY_new());
    if (EVP_PKEY_assign_RSA(key, rsa) != 1)
        sts_must(NULL);
    return key;
}

static EVP_PKEY *read_rsa(const unsigned char *der, long len)
{
    return wrap_rsa(d2i_RSAPrivateKey(NULL, &der, len));
}

/* The point that the private part leads to; false when there is none. */
static bool cert_key_compute_public(EC_KEY *ec, const BIGNUM *scalar)
{
    const EC_GROUP *group = EC_KEY_get0_group(ec);

    if (BN_is_zero(scalar) || BN_cmp(scalar, EC_GROUP_get0_order(group)) >= 0)
        return false;
    EC_POINT *point = sts_must(EC_POINT_new(group));
    bool good = EC_POINT_mul(group, point, scalar, NULL, NULL, NULL) == 1 &&
                EC_KEY_set_public_key(ec, point) == 1;
    EC_POINT_free(point);
    return good;
}

static bool cert_key_take_public(EC_KEY *ec, const ASN1_BIT_STRING *public)
{
    return EC_KEY_oct2key(ec, ASN1_STRING_get0_data(public), (size_t)ASN1_STRING_length(public),
                          NULL) == 1;
}

static EVP_PKEY *unpack_ec(struct sts_str packed, const ASN1_BIT_STRING *public)
{
    for (size_t i = 0; i < CURVES; i++) {
        if (curves[i].bytes != packed.len)
            continue;
        EC_KEY *ec = new_ec(curves[i].group);
        BIGNUM *scalar =
            sts_must(BN_bin2bn((const unsigned char *)packed.ptr, (int)packed.len, NULL));
        bool good =
            (public ? cert_key_take_public(ec, public) : cert_key_compute_public(ec, scalar)) &&
            EC_KEY_set_private_key(ec, scalar) == 1;
        BN_clear_free(scalar);
        if (good)
            return wrap_ec(ec);
        EC_KEY_free(ec);
    }
    return NULL;
}

EVP_PKEY *cert_key_unpack(enum cert_key_type type, struct sts_str packed,
                          const ASN1_BIT_STRING *public)
{
    pthread_once(&curves_once, make_curves);
    return type == CERT_EC ? unpack_ec(packed, public)
                           : read_rsa((const unsigned char *)packed.ptr, (long)packed.len);
}

enum cert_key_state cert_key_read(const struct cert_block *block, struct cert_key_bytes *bytes,
                                  EVP_PKEY **out)
{
    struct cert_key_bytes found;
    enum cert_key_state state = cert_key_peel(block, &found);

    if (state != CERT_KEY_READ)
        return state;
    struct sts_str packed = {(const char *)found.ptr, found.len};
    EVP_PKEY *key = cert_key_unpack(found.type, packed, NULL);
    ERR_clear_error();
    if (!key) {
        state = found.type == CERT_RSA ? CERT_KEY_UNREADABLE : CERT_KEY_BROKEN;
        cert_key_drop(&found);
        return state;
    }
    *bytes = found;
    *out = key;
    return CERT_KEY_READ;
}

/* --- Whether a key works ------------------------------------------------------------------------
 */

/* x mod (prime - 1) = expected */
static bool cert_key_is_rest(const BIGNUM *x, const BIGNUM *prime, const BIGNUM *expected,
                             BN_CTX *scratch)
{
    BN_CTX_start(scratch);
    BIGNUM *order = sts_must(BN_CTX_get(scratch)), *rest = sts_must(BN_CTX_get(scratch));
    bool same = BN_sub(order, prime, BN_value_one()) == 1 && BN_mod(rest, x, order, scratch) == 1 &&
                BN_cmp(rest, expected) == 0;
    BN_CTX_end(scratch);
    return same;
}

/* Whether the numbers by which OpenSSL signs fast belong to modulus and private exponent. Where
 * they are wrong it signs without them, at several times the price. None may be larger than the
 * modulus: one signature could take minutes. */
static bool cert_key_numbers_fit(const RSA *rsa, BN_CTX *scratch)
{
    const BIGNUM *n, *e, *d, *p, *q, *dp, *dq, *inverse;

    RSA_get0_key(rsa, &n, &e, &d);
    RSA_get0_factors(rsa, &p, &q);
    RSA_get0_crt_params(rsa, &dp, &dq, &inverse);
    const BIGNUM *const smaller[] = {e, d, p, q, dp, dq, inverse};
    for (size_t i = 0; i < sizeof(smaller) / sizeof(smaller[0]); i++)
        if (BN_is_negative(smaller[i]) || BN_is_zero(smaller[i]) || BN_cmp(smaller[i], n) >= 0)
            return false;
    if (!BN_is_odd(n) || BN_is_one(p) || BN_is_one(q) || BN_cmp(inverse, p) >= 0)
        return false;
    BN_CTX_start(scratch);
    BIGNUM *product = sts_must(BN_CTX_get(scratch));
    bool fit = BN_mul(product, p, q, scratch) == 1 && BN_cmp(product, n) == 0 &&
               cert_key_is_rest(d, p, dp, scratch) && cert_key_is_rest(d, q, dq, scratch) &&
               BN_mod_mul(product, inverse, q, p, scratch) == 1 && BN_is_one(product);
    BN_CTX_end(scratch);
    return fit;
}

static bool cert_key_signs(RSA *rsa)
{
    static const unsigned char digest[SHA256_DIGEST_LENGTH];
    unsigned char signature[CERT_RSA_BITS_MAX / 8];
    unsigned len = 0;

    return RSA_size(rsa) <= (int)sizeof(signature) &&
           RSA_sign(NID_sha256, digest, sizeof(digest), signature, &len, rsa) == 1 &&
           RSA_verify(NID_sha256, digest, sizeof(digest), signature, len, rsa) == 1;
}

bool cert_key_works(const EVP_PKEY *key)
{
    RSA *rsa = (RSA *)EVP_PKEY_get0_RSA(key); /* OpenSSL only adds what helps it compute */

    if (!rsa)
        return true; /* EC: cert_key_read computed the public part */
    BN_CTX *scratch = sts_must(BN_CTX_secure_new());
    bool works = cert_key_numbers_fit(rsa, scratch) && cert_key_signs(rsa);
    BN_CTX_free(scratch);
    ERR_clear_error();
    return works;
}
