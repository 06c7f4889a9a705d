/* Private keys: read from PEM, kept as few bytes, and made usable again in microseconds.
 *
 * OpenSSL 3 sends every key through its generic decoders, which takes 0.5 ms, computes with numbers
 * of any size, and leaves copies of a key in memory that it frees. The two kinds that are served
 * are taken out of their envelopes here, and nothing is computed with any other. */
#ifndef MTASTS_TLS_CERT_KEY_H
#define MTASTS_TLS_CERT_KEY_H

#include <openssl/x509.h>

#include "mtasts/str.h"
#include "server/tls/cert_pem.h"
#include "server/tls/cert_store.h"

enum {
    CERT_RSA_BITS_MIN = 2048,
    CERT_RSA_BITS_MAX = 4096,  /* a signature takes the cube of it: 4096 bits some 5 ms */
    CERT_RSA_EXPONENT_MAX = 32 /* bits */
};

struct cert_key_bytes {
    enum cert_key_type type;
    unsigned char *ptr; /* EC: the scalar, RSA: PKCS#1 */
    size_t len;
};

/* What a block of PEM turned out to be. */
enum cert_key_state {
    CERT_KEY_READ,
    CERT_KEY_UNREADABLE,
    CERT_KEY_TYPE,  /* neither EC nor RSA */
    CERT_KEY_CURVE, /* another one, or not by name */
    CERT_KEY_SIZE,  /* more bytes than any key that is served */
    CERT_KEY_BROKEN /* the scalar is not one of its curve */
};

/* The bytes to keep, to be given to cert_key_drop, and the key. The public part of an EC key is
 * computed from the private one, whatever the file says of it: when a certificate has the same, the
 * two belong together. */
enum cert_key_state cert_key_read(const struct cert_block *block, struct cert_key_bytes *bytes,
                                  EVP_PKEY **out);
/* The bytes without making a key of them, as fast as they can be copied: for what was a good key
 * before. */
enum cert_key_state cert_key_peel(const struct cert_block *block, struct cert_key_bytes *out);
void cert_key_drop(struct cert_key_bytes *bytes);
/* The key again; `public` is the subjectPublicKey of its certificate. NULL: these are no such
 * bytes. */
EVP_PKEY *cert_key_unpack(enum cert_key_type type, struct sts_str packed,
                          const ASN1_BIT_STRING *public);

/* Whether what a key that was read signs can be verified. Of an RSA key the sizes of modulus and
 * public exponent must have been looked at. */
bool cert_key_works(const EVP_PKEY *key);

#endif
