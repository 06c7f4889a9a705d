/* The certificates above a leaf: a few authorities' intermediates, shared by a hundred thousand. */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/tls/cert_leaf.h"
#include "server/tls/cert_pair.h"
#include "server/tls/cert_sum.h"

void cert_chain_digest(const struct sts_str *ders, size_t count, unsigned char out[32])
{
    cert_sum(ders, count, out); /* DER tells its own length */
}

static size_t count_linked(const STACK_OF(X509) * certs)
{
    int i = 0;

    for (; i + 1 < sk_X509_num(certs); i++) {
        X509 *subject = sk_X509_value(certs, i), *issuer = sk_X509_value(certs, i + 1);
        if (X509_check_issued(issuer, subject) != X509_V_OK ||
            X509_verify(subject, X509_get0_pubkey(issuer)) != 1)
            break;
    }
    ERR_clear_error();
    return (size_t)i;
}

struct cert_chain *cert_chain_new(const struct sts_str *ders, size_t count, size_t *bad)
{
    struct cert_chain *chain = sts_must(calloc(1, sizeof(*chain)));

    atomic_init(&chain->refs, 1);
    chain->certs = sts_must(sk_X509_new_null());
    for (size_t i = 0; i < count; i++) {
        X509 *cert = cert_decode(ders[i]);
        if (!cert) {
            *bad = i;
            cert_chain_unref(chain);
            return NULL;
        }
        if (!sk_X509_push(chain->certs, cert))
            sts_must(NULL);
    }
    cert_chain_digest(ders, count, chain->digest);
    chain->linked = count_linked(chain->certs);
    return chain;
}

struct cert_chain *cert_chain_ref(struct cert_chain *chain)
{
    atomic_fetch_add_explicit(&chain->refs, 1, memory_order_relaxed);
    return chain;
}

void cert_chain_unref(struct cert_chain *chain)
{
    if (!chain || atomic_fetch_sub_explicit(&chain->refs, 1, memory_order_acq_rel) != 1)
        return;
    sk_X509_pop_free(chain->certs, X509_free);
    free(chain);
}
