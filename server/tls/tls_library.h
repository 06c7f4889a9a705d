/* What the TLS server takes from OpenSSL, in a library context of its own: of the default provider
 * only what a handshake needs, because OpenSSL 3.0 walks over the names of all algorithms for each
 * key that it makes; and a TLS13-KDF that is Nettle's HKDF, because OpenSSL's looks up digest and
 * MAC by name for each of a handshake's secrets. Together a fifteenth of a fetch's CPU. */
#ifndef MTASTS_TLS_LIBRARY_H
#define MTASTS_TLS_LIBRARY_H

#include <openssl/core.h>
#include <openssl/core_dispatch.h>
#include <openssl/types.h>

/* To be called before anything of OpenSSL is used: a library context takes over all legacy names of
 * ciphers when it is made, and nothing here looks one up by them. And nothing is taken down when
 * the process ends: workers that did not drain are still in the midst of it. */
void tls_library_begin(void);

/* One for the whole process, made on first use by any thread, never freed. */
OSSL_LIB_CTX *tls_library(void);

/* One whose only provider is this one, built in. */
OSSL_LIB_CTX *tls_library_of(const char *name, OSSL_provider_init_fn *provider);

/* The key schedule of TLS 1.3 (RFC 8446 §7.1) as a KDF of an OpenSSL provider. All parameters must
 * come with the derivation itself; the provider's context serves as the KDF's. */
extern const OSSL_DISPATCH tls_schedule_functions[];

#endif
