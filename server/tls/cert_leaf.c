#include "server/tls/cert_leaf.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/tls/tls_library.h"

/* --- A library context with nothing but SHA-1, by which X509 objects tell each other apart ------
 */

enum { SHA1_BYTES = 20, SHA1_BLOCK = 64 };

static void *sha1_new(void *provider)
{
    (void)provider;
    return EVP_MD_CTX_new();
}

static void sha1_free(void *context)
{
    EVP_MD_CTX_free(context);
}

static int sha1_init(void *context, const OSSL_PARAM params[])
{
    (void)params;
    return EVP_DigestInit_ex(context, EVP_sha1(), NULL);
}

static int sha1_update(void *context, const unsigned char *bytes, size_t len)
{
    return EVP_DigestUpdate(context, bytes, len);
}

static int sha1_final(void *context, unsigned char *out, size_t *len, size_t size)
{
    unsigned written = 0;

    if (size < SHA1_BYTES || EVP_DigestFinal_ex(context, out, &written) != 1)
        return 0;
    *len = written;
    return 1;
}

static int sha1_params(OSSL_PARAM params[])
{
    OSSL_PARAM *size = OSSL_PARAM_locate(params, OSSL_DIGEST_PARAM_SIZE);
    OSSL_PARAM *block = OSSL_PARAM_locate(params, OSSL_DIGEST_PARAM_BLOCK_SIZE);

    return (!size || OSSL_PARAM_set_size_t(size, SHA1_BYTES)) &&
           (!block || OSSL_PARAM_set_size_t(block, SHA1_BLOCK));
}

#define FUNCTION(id, function)                                                                     \
    {                                                                                              \
        id, (void (*)(void))(function)                                                             \
    }

static const OSSL_DISPATCH sha1_functions[] = {
    FUNCTION(OSSL_FUNC_DIGEST_NEWCTX, sha1_new),
    FUNCTION(OSSL_FUNC_DIGEST_FREECTX, sha1_free),
    FUNCTION(OSSL_FUNC_DIGEST_INIT, sha1_init),
    FUNCTION(OSSL_FUNC_DIGEST_UPDATE, sha1_update),
    FUNCTION(OSSL_FUNC_DIGEST_FINAL, sha1_final),
    FUNCTION(OSSL_FUNC_DIGEST_GET_PARAMS, sha1_params),
    {0, NULL},
};

static const OSSL_ALGORITHM *cert_leaf_query(void *provider, int operation, int *no_cache)
{
    static const OSSL_ALGORITHM digests[] = {{"SHA1", "provider=bare", sha1_functions, NULL},
                                             {NULL, NULL, NULL, NULL}};

    (void)provider;
    *no_cache = 0;
    return operation == OSSL_OP_DIGEST ? digests : NULL;
}

static int cert_leaf_provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                                   const OSSL_DISPATCH **out, void **provider)
{
    static const OSSL_DISPATCH functions[] = {
        FUNCTION(OSSL_FUNC_PROVIDER_QUERY_OPERATION, cert_leaf_query), {0, NULL}};

    (void)in;
    *out = functions;
    *provider = (void *)handle; /* anything but NULL */
    return 1;
}

static OSSL_LIB_CTX *bare_context;
static pthread_once_t bare_once = PTHREAD_ONCE_INIT;

static void make_bare_context(void)
{
    bare_context = tls_library_of("bare", cert_leaf_provider_init);
}

/* --- Decoding -----------------------------------------------------------------------------------
 */

static X509 *cert_leaf_decode(X509 *into, struct sts_str der)
{
    const unsigned char *at = (const unsigned char *)der.ptr;
    X509 *cert = into;

    if (!d2i_X509(&cert, &at, (long)der.len) || at != (const unsigned char *)der.ptr + der.len) {
        X509_free(cert);
        cert = NULL;
    }
    ERR_clear_error();
    return cert;
}

X509 *cert_decode(struct sts_str der)
{
    return cert_leaf_decode(NULL, der);
}

X509 *cert_decode_bare(struct sts_str der)
{
    pthread_once(&bare_once, make_bare_context);
    return cert_leaf_decode(sts_must(X509_new_ex(bare_context, NULL)), der);
}

bool cert_put_key(X509 *bare, EVP_PKEY *key)
{
    bool good = X509_set_pubkey(bare, key) == 1;

    ERR_clear_error();
    return good;
}

bool cert_fit_key(X509 *bare, EVP_PKEY *key, struct sts_str der)
{
    unsigned char *own = NULL, *other = NULL, *sent = NULL;
    int own_len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(bare), &own), other_len = 0, sent_len = 0;
    bool fits = own_len > 0 && cert_put_key(bare, key);

    if (fits) {
        other_len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(bare), &other);
        sent_len = i2d_X509(bare, &sent);
        fits = other_len == own_len && memcmp(own, other, (size_t)own_len) == 0 &&
               sent_len == (int)der.len && memcmp(sent, der.ptr, der.len) == 0;
    }
    OPENSSL_free(own);
    OPENSSL_free(other);
    OPENSSL_free(sent);
    ERR_clear_error();
    return fits;
}

/* --- Signatures ---------------------------------------------------------------------------------
 */

/* The part of a certificate that is signed, as it stands there. */
static bool signed_part(struct sts_str der, struct sts_str *out)
{
    const unsigned char *at = (const unsigned char *)der.ptr, *begin;
    long len;
    int tag, class;

    if (ASN1_get_object(&at, &len, &tag, &class, (long)der.len) & 0x80)
        return false;
    begin = at;
    if (ASN1_get_object(&at, &len, &tag, &class, len) & 0x80)
        return false;
    *out = (struct sts_str){(const char *)begin, (size_t)(at - begin) + (size_t)len};
    return true;
}

/* The long way, also for what is rare (RSA-PSS). */
static bool verify_decoded(struct sts_str der, EVP_PKEY *issuer)
{
    X509 *cert = cert_decode(der);
    bool good = cert && X509_verify(cert, issuer) == 1;

    X509_free(cert);
    return good;
}

bool cert_signed_by(const X509 *cert, struct sts_str der, EVP_PKEY *issuer)
{
    const ASN1_BIT_STRING *signature = NULL;
    const X509_ALGOR *algorithm = NULL;
    struct sts_str part;
    int digest = NID_undef, kind = NID_undef;
    bool good;

    X509_get0_signature(&signature, &algorithm, cert);
    if (!OBJ_find_sigid_algs(OBJ_obj2nid(algorithm->algorithm), &digest, &kind) ||
        digest == NID_undef || (kind != NID_rsaEncryption && kind != NID_X9_62_id_ecPublicKey) ||
        kind != EVP_PKEY_get_base_id(issuer) || !signed_part(der, &part)) {
        good = verify_decoded(der, issuer);
    } else {
        EVP_MD_CTX *md = sts_must(EVP_MD_CTX_new());
        good = X509_ALGOR_cmp(algorithm, X509_get0_tbs_sigalg(cert)) == 0 &&
               (signature->flags & 7) == 0 &&
               EVP_DigestVerifyInit(md, NULL, EVP_get_digestbynid(digest), NULL, issuer) == 1 &&
               EVP_DigestVerify(md, ASN1_STRING_get0_data(signature),
                                (size_t)ASN1_STRING_length(signature),
                                (const unsigned char *)part.ptr, part.len) == 1;
        EVP_MD_CTX_free(md);
    }
    ERR_clear_error();
    return good;
}
