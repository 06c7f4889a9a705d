/* A private key's bytes out of the envelopes that it is written in. */
#include <openssl/asn1.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/tls/cert_key.h"
#include "server/tls/cert_pair.h"

enum { PARAMETERS = 0 /* their context-specific tag */ };

static const struct {
    struct sts_str object;
    size_t bytes; /* of a scalar */
} curves[] = {
    {{"\x2a\x86\x48\xce\x3d\x03\x01\x07", 8}, 32}, /* P-256 */
    {{"\x2b\x81\x04\x00\x22", 5}, 48},             /* P-384 */
    {{"\x2b\x81\x04\x00\x23", 5}, 66},             /* P-521 */
};
static const struct sts_str ec_key = {"\x2a\x86\x48\xce\x3d\x02\x01", 7};
static const struct sts_str rsa_key = {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", 9};

/* The contents of the next element, which must have this tag. */
static bool take(struct sts_str *from, int tag, int class, struct sts_str *out)
{
    const unsigned char *begin = (const unsigned char *)from->ptr, *at = begin;
    int found, found_class;
    long len;

    if (from->len > CERT_FILE_MAX)
        return false;
    int how = ASN1_get_object(&at, &len, &found, &found_class, (long)from->len);
    if (how & 0x81 || found != tag || found_class != class) /* an error, or no length */
        return false;
    size_t head = (size_t)(at - begin);
    *out = sts_str_sub(*from, head, head + (size_t)len);
    *from = sts_str_sub(*from, head + (size_t)len, from->len);
    return true;
}

static bool take_any(struct sts_str *from, int tag, struct sts_str *out)
{
    return take(from, tag, V_ASN1_UNIVERSAL, out);
}

/* ECPrivateKey (RFC 5915). The envelope names the curve, or the key itself. */
static bool peel_ec(struct sts_str der, struct sts_str curve, struct sts_str *out)
{
    struct sts_str key, version, parameters;

    if (!take_any(&der, V_ASN1_SEQUENCE, &key) || !take_any(&key, V_ASN1_INTEGER, &version) ||
        !take_any(&key, V_ASN1_OCTET_STRING, out) ||
        (!curve.len && (!take(&key, PARAMETERS, V_ASN1_CONTEXT_SPECIFIC, &parameters) ||
                        !take_any(&parameters, V_ASN1_OBJECT, &curve))))
        return false;
    for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
        if (sts_str_eq(curve, curves[i].object))
            return out->len == curves[i].bytes;
    return false;
}

static bool peel_pkcs8(struct sts_str der, struct sts_str *out)
{
    struct sts_str info, version, algorithm, kind, curve, inner;

    if (!take_any(&der, V_ASN1_SEQUENCE, &info) || !take_any(&info, V_ASN1_INTEGER, &version) ||
        !take_any(&info, V_ASN1_SEQUENCE, &algorithm) ||
        !take_any(&algorithm, V_ASN1_OBJECT, &kind) ||
        !take_any(&info, V_ASN1_OCTET_STRING, &inner))
        return false;
    if (sts_str_eq(kind, rsa_key)) {
        *out = inner;
        return true;
    }
    return sts_str_eq(kind, ec_key) && take_any(&algorithm, V_ASN1_OBJECT, &curve) &&
           peel_ec(inner, curve, out);
}

unsigned char *cert_key_peel(const struct cert_block *block, size_t *len)
{
    size_t size;
    unsigned char *der = cert_pem_decode(block, &size), *packed = NULL;
    struct sts_str text = {(const char *)der, size}, key = {0};
    bool good = false;

    if (!der)
        return NULL;
    if (sts_str_is(block->label, "PRIVATE KEY")) {
        good = peel_pkcs8(text, &key);
    } else if (sts_str_is(block->label, "EC PRIVATE KEY")) {
        good = peel_ec(text, (struct sts_str){0}, &key);
    } else if (sts_str_is(block->label, "RSA PRIVATE KEY")) {
        good = true;
        key = text;
    }
    if (good && key.len) {
        packed = sts_must(OPENSSL_malloc(key.len));
        memcpy(packed, key.ptr, key.len);
        *len = key.len;
    }
    OPENSSL_clear_free(der, size);
    ERR_clear_error();
    return packed;
}
