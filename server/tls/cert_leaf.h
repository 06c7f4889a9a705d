/* X509 objects without OpenSSL's decoders.
 *
 * d2i_X509 decodes the public key at once, by searching all decoders of all providers: 90 % of its
 * time. Here it is done in a library context that has none, and the key, which is known from the
 * private one, is put in afterwards: a tenth of the time, and no lock that threads wait for. */
#ifndef MTASTS_TLS_CERT_LEAF_H
#define MTASTS_TLS_CERT_LEAF_H

#include <openssl/x509.h>

#include "mtasts/str.h"

/* The plain way. NULL when `der` is not one whole certificate. */
X509 *cert_decode(struct sts_str der);
/* The same without its public key: for names and dates, or for cert_decode_with. */
X509 *cert_decode_bare(struct sts_str der);
/* The short way for a bare certificate whose key is `key`: false when it is not (the certificate is
 * then of no use), or when this OpenSSL would send other bytes than `der`. */
bool cert_fit_key(X509 *bare, EVP_PKEY *key, struct sts_str der);
/* The same without the comparison, for what fitted before. */
bool cert_put_key(X509 *bare, EVP_PKEY *key);

/* Whether `issuer` signed `der`, which `cert` was decoded from in either way. */
bool cert_signed_by(const X509 *cert, struct sts_str der, EVP_PKEY *issuer);

#endif
