/* A private key's bytes out of the envelopes that it is written in. */
#include <openssl/crypto.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/tls/cert_key.h"

enum { SEQUENCE = 0x30, INTEGER = 0x02, OCTETS = 0x04, OBJECT = 0x06, PARAMETERS = 0xa0 };

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

/* The contents of the next element, which must have this tag, and all of it be there (DER). */
static bool take(struct sts_str *from, unsigned char tag, struct sts_str *out)
{
    const unsigned char *at = (const unsigned char *)from->ptr;

    if (from->len < 2 || at[0] != tag)
        return false;
    size_t len = at[1], head = 2;
    if (len & 0x80) {
        size_t bytes = len & 0x7f;
        if (bytes == 0 || bytes > 3 || from->len < 2 + bytes)
            return false;
        for (len = 0; bytes > 0; bytes--)
            len = len << 8 | at[head++];
    }
    if (from->len - head < len)
        return false;
    *out = sts_str_sub(*from, head, head + len);
    *from = sts_str_sub(*from, head + len, from->len);
    return true;
}

/* ECPrivateKey (RFC 5915). The envelope names the curve, or the key itself. */
static bool peel_ec(struct sts_str der, struct sts_str curve, struct sts_str *out)
{
    struct sts_str key, version, parameters;

    if (!take(&der, SEQUENCE, &key) || !take(&key, INTEGER, &version) || !take(&key, OCTETS, out) ||
        (!curve.len &&
         (!take(&key, PARAMETERS, &parameters) || !take(&parameters, OBJECT, &curve))))
        return false;
    for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
        if (sts_str_eq(curve, curves[i].object))
            return out->len == curves[i].bytes;
    return false;
}

static bool peel_pkcs8(struct sts_str der, struct sts_str *out)
{
    struct sts_str info, version, algorithm, kind, curve, inner;

    if (!take(&der, SEQUENCE, &info) || !take(&info, INTEGER, &version) ||
        !take(&info, SEQUENCE, &algorithm) || !take(&algorithm, OBJECT, &kind) ||
        !take(&info, OCTETS, &inner))
        return false;
    if (sts_str_eq(kind, rsa_key)) {
        *out = inner;
        return true;
    }
    return sts_str_eq(kind, ec_key) && take(&algorithm, OBJECT, &curve) &&
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
    return packed;
}
