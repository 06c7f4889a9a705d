/* A private key's bytes out of the envelopes that it is written in. */
#include <openssl/asn1.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/tls/cert_key.h"

enum {
    PARAMETERS = 0, /* their context-specific tag */
    KEY_MAX = 8192  /* bytes; RSA with 4096 bits and its envelope have 2400 */
};

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
static bool cert_peel_take(struct sts_str *from, int tag, int class, struct sts_str *out)
{
    const unsigned char *begin = (const unsigned char *)from->ptr, *at = begin;
    int found, found_class;
    long len;

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
    return cert_peel_take(from, tag, V_ASN1_UNIVERSAL, out);
}

/* As many bytes as the curve's order has, whatever zeros the writer put in front or left out. */
static enum cert_key_state peel_scalar(struct sts_str scalar, size_t bytes,
                                       struct cert_key_bytes *out)
{
    while (scalar.len > bytes && scalar.ptr[0] == 0)
        scalar = sts_str_sub(scalar, 1, scalar.len);
    if (scalar.len == 0 || scalar.len > bytes)
        return CERT_KEY_BROKEN;
    *out = (struct cert_key_bytes){CERT_EC, sts_must(OPENSSL_zalloc(bytes)), bytes};
    memcpy(out->ptr + bytes - scalar.len, scalar.ptr, scalar.len);
    return CERT_KEY_READ;
}

/* ECPrivateKey (RFC 5915). The envelope names the curve, or the key itself. */
static enum cert_key_state peel_ec(struct sts_str der, struct sts_str curve,
                                   struct cert_key_bytes *out)
{
    struct sts_str key, version, scalar, parameters;

    if (!take_any(&der, V_ASN1_SEQUENCE, &key) || !take_any(&key, V_ASN1_INTEGER, &version) ||
        !take_any(&key, V_ASN1_OCTET_STRING, &scalar))
        return CERT_KEY_UNREADABLE;
    if (!curve.len && (!cert_peel_take(&key, PARAMETERS, V_ASN1_CONTEXT_SPECIFIC, &parameters) ||
                       !take_any(&parameters, V_ASN1_OBJECT, &curve)))
        return CERT_KEY_CURVE;
    for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
        if (sts_str_eq(curve, curves[i].object))
            return peel_scalar(scalar, curves[i].bytes, out);
    return CERT_KEY_CURVE;
}

static enum cert_key_state peel_rsa(struct sts_str der, struct cert_key_bytes *out)
{
    if (!der.len)
        return CERT_KEY_UNREADABLE;
    *out = (struct cert_key_bytes){CERT_RSA, sts_must(OPENSSL_malloc(der.len)), der.len};
    memcpy(out->ptr, der.ptr, der.len);
    return CERT_KEY_READ;
}

static enum cert_key_state peel_pkcs8(struct sts_str der, struct cert_key_bytes *out)
{
    struct sts_str info, version, algorithm, kind, curve, inner;

    if (!take_any(&der, V_ASN1_SEQUENCE, &info) || !take_any(&info, V_ASN1_INTEGER, &version) ||
        !take_any(&info, V_ASN1_SEQUENCE, &algorithm) ||
        !take_any(&algorithm, V_ASN1_OBJECT, &kind) ||
        !take_any(&info, V_ASN1_OCTET_STRING, &inner))
        return CERT_KEY_UNREADABLE;
    if (sts_str_eq(kind, rsa_key))
        return peel_rsa(inner, out);
    if (!sts_str_eq(kind, ec_key))
        return CERT_KEY_TYPE;
    return take_any(&algorithm, V_ASN1_OBJECT, &curve) ? peel_ec(inner, curve, out)
                                                       : CERT_KEY_CURVE;
}

enum cert_key_state cert_key_peel(const struct cert_block *block, struct cert_key_bytes *out)
{
    enum cert_key_state state = CERT_KEY_UNREADABLE;
    size_t size;
    unsigned char *der = cert_pem_decode(block, &size);
    struct sts_str text = {(const char *)der, size};

    if (!der)
        return state;
    bool ec = sts_str_is(block->label, "EC PRIVATE KEY");
    bool rsa = sts_str_is(block->label, "RSA PRIVATE KEY");
    if (size > KEY_MAX)
        state = CERT_KEY_SIZE;
    else if (ec || rsa || sts_str_is(block->label, "PRIVATE KEY"))
        state = peel_pkcs8(text, out); /* some programs name the kind of the key above it */
    if (state == CERT_KEY_UNREADABLE && ec)
        state = peel_ec(text, (struct sts_str){0}, out);
    else if (state == CERT_KEY_UNREADABLE && rsa)
        state = peel_rsa(text, out);
    OPENSSL_clear_free(der, size);
    ERR_clear_error();
    return state;
}

void cert_key_drop(struct cert_key_bytes *bytes)
{
    OPENSSL_clear_free(bytes->ptr, bytes->len);
    *bytes = (struct cert_key_bytes){0};
}
