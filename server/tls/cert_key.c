/* EC_KEY and RSA are deprecated, but "provided" keys can be made by the generic decoders only, or
 * at six times the price, and X509_set_pubkey would encode and decode them again. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "server/tls/cert_key.h"

#include <limits.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <string.h>

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

/* ECPrivateKey (RFC 5915) of a curve that is served; NULL for all else. `nid`: the curve that an
 * envelope names. */
static EVP_PKEY *read_ec(const unsigned char *der, long len, int nid)
{
    const unsigned char *at = der;
    EC_KEY *ec = NULL;
    bool good = false;

    for (size_t i = 0; i < CURVES; i++)
        if (curves[i].nid == nid)
            ec = new_ec(curves[i].group);
    if (nid != NID_undef && !ec)
        return NULL;
    EC_KEY *read = d2i_ECPrivateKey(ec ? &ec : NULL, &at, len);
    if (read && at == der + len) {
        int found = EC_GROUP_get_curve_name(EC_KEY_get0_group(read));
        for (size_t i = 0; i < CURVES; i++)
            good |= curves[i].nid == found && (nid == NID_undef || nid == found);
    }
    if (good)
        return wrap_ec(read);
    EC_KEY_free(read ? read : ec);
    return NULL;
}

static EVP_PKEY *read_rsa(const unsigned char *der, long len)
{
    return wrap_rsa(d2i_RSAPrivateKey(NULL, &der, len));
}

static EVP_PKEY *read_pkcs8(const unsigned char *der, long len)
{
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &der, len);
    const ASN1_OBJECT *kind = NULL;
    const unsigned char *inner = NULL;
    const X509_ALGOR *algorithm = NULL;
    const void *parameter = NULL;
    EVP_PKEY *key = NULL;
    int inner_len = 0, type = 0;

    if (info && PKCS8_pkey_get0(&kind, &inner, &inner_len, &algorithm, info) == 1) {
        X509_ALGOR_get0(NULL, &type, &parameter, algorithm);
        if (OBJ_obj2nid(kind) == NID_rsaEncryption)
            key = read_rsa(inner, inner_len);
        else if (OBJ_obj2nid(kind) == NID_X9_62_id_ecPublicKey && type == V_ASN1_OBJECT)
            key = read_ec(inner, inner_len, OBJ_obj2nid(parameter));
    }
    PKCS8_PRIV_KEY_INFO_free(info);
    return key;
}

static EVP_PKEY *read_short(const struct cert_block *block)
{
    size_t len;
    unsigned char *der = cert_pem_decode(block, &len);
    EVP_PKEY *key = NULL;

    if (!der)
        return NULL;
    pthread_once(&curves_once, make_curves);
    if (sts_str_is(block->label, "PRIVATE KEY"))
        key = read_pkcs8(der, (long)len);
    else if (sts_str_is(block->label, "EC PRIVATE KEY"))
        key = read_ec(der, (long)len, NID_undef);
    else if (sts_str_is(block->label, "RSA PRIVATE KEY"))
        key = read_rsa(der, (long)len);
    OPENSSL_clear_free(der, len);
    return key;
}

/* OpenSSL would ask on the terminal. */
static int no_passphrase(char *buf, int size, int rwflag, void *data)
{
    (void)buf, (void)size, (void)rwflag, (void)data;
    return -1;
}

EVP_PKEY *cert_key_read(const struct cert_block *block)
{
    EVP_PKEY *key = read_short(block);

    if (!key) {
        BIO *bio = sts_must(BIO_new_mem_buf(block->text.ptr, (int)block->text.len));
        key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
        BIO_free(bio);
    }
    ERR_clear_error();
    return key;
}

static unsigned char *pack_ec(const EVP_PKEY *key, size_t *len)
{
    const EC_KEY *ec = EVP_PKEY_get0_EC_KEY(key);
    int nid = ec ? EC_GROUP_get_curve_name(EC_KEY_get0_group(ec)) : NID_undef;

    for (size_t i = 0; i < CURVES; i++) {
        if (curves[i].nid != nid)
            continue;
        unsigned char *out = sts_must(OPENSSL_malloc(curves[i].bytes));
        if (BN_bn2binpad(EC_KEY_get0_private_key(ec), out, (int)curves[i].bytes) < 0) {
            OPENSSL_free(out);
            return NULL;
        }
        *len = curves[i].bytes;
        return out;
    }
    return NULL;
}

unsigned char *cert_key_pack(const EVP_PKEY *key, size_t *len)
{
    unsigned char *out = NULL;

    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC)
        return pack_ec(key, len);
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA)
        return NULL;
    int size = i2d_RSAPrivateKey(EVP_PKEY_get0_RSA(key), &out);
    if (size <= 0)
        return NULL;
    *len = (size_t)size;
    return out;
}

static EVP_PKEY *unpack_ec(struct sts_str packed, const ASN1_BIT_STRING *public)
{
    for (size_t i = 0; i < CURVES; i++) {
        if (curves[i].bytes != packed.len)
            continue;
        EC_KEY *ec = new_ec(curves[i].group);
        BIGNUM *scalar =
            sts_must(BN_bin2bn((const unsigned char *)packed.ptr, (int)packed.len, NULL));
        bool good = EC_KEY_oct2key(ec, ASN1_STRING_get0_data(public),
                                   (size_t)ASN1_STRING_length(public), NULL) == 1 &&
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
