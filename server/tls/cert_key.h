/* Private keys: read from PEM, kept as few bytes, and made usable again in microseconds.
 *
 * OpenSSL 3 sends every key through its generic decoders, which takes 0.5 ms. The two kinds that
 * are served have short ways, and only what is written in another form takes the long one. */
#ifndef MTASTS_TLS_CERT_KEY_H
#define MTASTS_TLS_CERT_KEY_H

#include <openssl/x509.h>

#include "mtasts/str.h"
#include "server/tls/cert_pem.h"
#include "server/tls/cert_store.h"

/* NULL when it is not a readable private key, or one that asks for a passphrase. */
EVP_PKEY *cert_key_read(const struct cert_block *block);

/* The bytes to keep of an EC (the scalar) or RSA key (PKCS#1). To be freed with OPENSSL_clear_free;
 * NULL when the key is of another kind. */
unsigned char *cert_key_pack(const EVP_PKEY *key, size_t *len);
/* The same bytes without making a key of them, as fast as they can be copied: for what was a good
 * key before. NULL: it is written in another form. */
unsigned char *cert_key_peel(const struct cert_block *block, size_t *len);
/* The key again; `public` is the subjectPublicKey of its certificate. NULL: these are no such
 * bytes. */
EVP_PKEY *cert_key_unpack(enum cert_key_type type, struct sts_str packed,
                          const ASN1_BIT_STRING *public);

#endif
