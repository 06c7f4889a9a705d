/* The rules that a certificate must meet before it is presented to a sender. */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "server/tls/cert_key.h"
#include "server/tls/cert_leaf.h"
#include "server/tls/cert_pair.h"

struct check {
    const struct cert_pair *pair;
    const struct cert_objects *objects; /* NULL: only what does not need the leaf is asked */
    struct sts_str der;                 /* the leaf */
    time_t now;
    struct sts_diags *diags;
    struct sts_str file; /* in the arena of diags */
};

static struct sts_pos cert_check_at(const struct check *c, size_t index)
{
    return (struct sts_pos){.source = c->file, .line = c->pair->lines[index], .column = 1};
}

static struct sts_str cert_check_day(const struct check *c, const struct tm *tm)
{
    char text[32];

    if (strftime(text, sizeof(text), "%Y-%m-%d", tm) == 0)
        return STS_STR("an unknown date");
    return sts_arena_dup(c->diags->arena, sts_str_from(text));
}

static struct sts_str cert_check_date(const struct check *c, time_t t)
{
    struct tm tm = {0};

    gmtime_r(&t, &tm);
    return cert_check_day(c, &tm);
}

static size_t cert_check_count(const struct check *c)
{
    return c->pair->info.chain_length;
}

static X509 *cert_check_certificate(const struct check *c, size_t index)
{
    return index == 0 ? c->objects->leaf : sk_X509_value(c->pair->chain->certs, (int)index - 1);
}

/* Compares the public halves. */
static bool key_fits(const struct check *c, size_t index)
{
    const EVP_PKEY *public = X509_get0_pubkey(cert_check_certificate(c, index));
    bool fits = public && EVP_PKEY_eq(public, c->objects->key) == 1;

    ERR_clear_error();
    return fits;
}

static bool cert_check_refuse_key(const struct check *c, const char *code, const char *what)
{
    struct sts_diag *d = sts_diag_add(c->diags, STS_ERROR, code, cert_check_at(c, 0), "%s", what);
    sts_diag_help(c->diags, d, CERT_KEY_HELP);
    return false;
}

static bool check_key_fits(const struct check *c)
{
    struct sts_diag *d;

    if (!X509_get0_pubkey(c->objects->leaf)) {
        ERR_clear_error();
        return cert_check_refuse_key(c, "certificate-key-broken",
                                     "the certificate's public key is not one of its kind");
    }
    if (key_fits(c, 0))
        return true;
    for (size_t i = 1; i < cert_check_count(c); i++) {
        if (!key_fits(c, i))
            continue;
        d = sts_diag_add(c->diags, STS_ERROR, "certificate-leaf-not-first", cert_check_at(c, i),
                         "the host's own certificate is number %zu in the file, not the first",
                         i + 1);
        sts_diag_help(c->diags, d, "order: the host's certificate, then each one's issuer");
        return false;
    }
    d = sts_diag_add(c->diags, STS_ERROR, "certificate-key-mismatch", cert_check_at(c, 0),
                     "the private key belongs to another certificate");
    char space[CERT_PATH_MAX];
    sts_diag_help(c->diags, d, "key file: %.*s; a renewal must replace both",
                  STS_ARG(cert_pair_key_file(c->pair, space)));
    return false;
}

/* What a handshake costs grows with the cube of the modulus, and what anybody pays for verifying
 * it with the public exponent. */
static bool check_rsa(const struct check *c)
{
    const EVP_PKEY *key = c->objects->key;
    BIGNUM *e = NULL;
    int bits = EVP_PKEY_get_bits(key);

    if (bits < CERT_RSA_BITS_MIN)
        return cert_check_refuse_key(c, "certificate-weak-key",
                                     "the RSA key is shorter than 2048 bits");
    if (bits > CERT_RSA_BITS_MAX)
        return cert_check_refuse_key(c, "certificate-key-size",
                                     "the RSA key is longer than 4096 bits");
    bool good = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) == 1 && BN_is_odd(e) &&
                !BN_is_one(e) && BN_num_bits(e) <= CERT_RSA_EXPONENT_MAX;
    BN_free(e);
    return good ||
           cert_check_refuse_key(c, "certificate-key-exponent",
                                 "the RSA key's public exponent is 1, even or above 32 bits");
}

/* The sizes first: nothing is computed with a number that has not been measured. */
static void check_key(const struct check *c)
{
    if (EVP_PKEY_get_base_id(c->objects->key) == EVP_PKEY_RSA && !check_rsa(c))
        return;
    if (cert_key_works(c->objects->key))
        return;
    struct sts_diag *d =
        sts_diag_add(c->diags, STS_ERROR, "certificate-key-broken", cert_check_at(c, 0),
                     "the numbers of the private key do not belong together: it is damaged, or has "
                     "parts that OpenSSL needs left out");
    char space[CERT_PATH_MAX];
    sts_diag_help(c->diags, d, "key file: %.*s; issue key and certificate again",
                  STS_ARG(cert_pair_key_file(c->pair, space)));
}

/* The signature of a root is not looked at by anyone (RFC 5280 §6.1). */
static void check_signatures(const struct check *c)
{
    for (size_t i = 0; i < cert_check_count(c); i++) {
        X509 *cert = cert_check_certificate(c, i);
        int digest = NID_undef;
        if (i > 0 && X509_self_signed(cert, 0) == 1)
            continue;
        X509_get_signature_info(cert, &digest, NULL, NULL, NULL);
        if (digest != NID_md5 && digest != NID_sha1 && digest != NID_md5_sha1)
            continue;
        struct sts_diag *d = sts_diag_add(
            c->diags, STS_ERROR, "certificate-weak-signature", cert_check_at(c, i),
            "it is signed with %s, which senders refuse", digest == NID_sha1 ? "SHA-1" : "MD5");
        sts_diag_help(c->diags, d, "have it issued again: authorities sign with SHA-256 or better");
    }
}

static void check_names(const struct check *c)
{
    if (c->pair->name_count > 0)
        return;
    struct sts_diag *d =
        sts_diag_add(c->diags, STS_ERROR, "certificate-no-name", cert_check_at(c, 0),
                     "it has no DNS name in the subjectAltName extension");
    sts_diag_help(c->diags, d,
                  "issue it with subjectAltName DNS:mta-sts.DOMAIN; the CN does not count "
                  "(RFC 8461 section 3.3)");
}

static void check_dates(const struct check *c)
{
    const struct cert_info *info = &c->pair->info;
    struct sts_diag *d;

    if (info->not_after < c->now) {
        d = sts_diag_add(c->diags, STS_ERROR, "certificate-expired", cert_check_at(c, 0),
                         "the certificate expired on %.*s",
                         STS_ARG(cert_check_date(c, info->not_after)));
        sts_diag_help(c->diags, d, "renew it");
    } else if (info->not_before > c->now) {
        d = sts_diag_add(c->diags, STS_ERROR, "certificate-not-yet-valid", cert_check_at(c, 0),
                         "the certificate is not valid before %.*s",
                         STS_ARG(cert_check_date(c, info->not_before)));
        sts_diag_help(c->diags, d, "is the clock of this machine right?");
    }
    for (size_t i = 1; i < cert_check_count(c); i++) {
        const ASN1_TIME *end = X509_get0_notAfter(cert_check_certificate(c, i));
        struct tm tm = {0};
        if (X509_cmp_time(end, (time_t[]){c->now}) >= 0)
            continue;
        ASN1_TIME_to_tm(end, &tm);
        if (i == 1) {
            d = sts_diag_add(c->diags, STS_WARNING, "certificate-chain-expired",
                             cert_check_at(c, i),
                             "the issuer's certificate expired on %.*s: senders refuse the chain",
                             STS_ARG(cert_check_day(c, &tm)));
            sts_diag_help(c->diags, d,
                          "renew, or replace it by the authority's present intermediate");
        } else {
            /* Such as an old root's signature below a root that all have by now. */
            d = sts_diag_add(c->diags, STS_WARNING, "certificate-chain-end-expired",
                             cert_check_at(c, i),
                             "the chain's certificate number %zu expired on %.*s: senders that do "
                             "not trust the one before it refuse the chain",
                             i + 1, STS_ARG(cert_check_day(c, &tm)));
            sts_diag_help(c->diags, d, "leave it out, or replace it by a present one");
        }
    }
}

static void check_purpose(const struct check *c)
{
    if (X509_check_purpose(c->objects->leaf, X509_PURPOSE_SSL_SERVER, 0) == 1)
        return;
    struct sts_diag *d =
        sts_diag_add(c->diags, STS_ERROR, "certificate-purpose", cert_check_at(c, 0),
                     "the certificate is not for TLS servers");
    sts_diag_help(c->diags, d, "it needs extendedKeyUsage serverAuth and digitalSignature");
}

static bool cert_check_issued(const struct check *c, size_t subject, size_t issuer)
{
    X509 *s = cert_check_certificate(c, subject), *i = cert_check_certificate(c, issuer);
    EVP_PKEY *key = X509_get0_pubkey(i);
    bool ok = key && X509_check_issued(i, s) == X509_V_OK;

    if (ok)
        ok = subject == 0 ? cert_signed_by(s, c->der, key) : X509_verify(s, key) == 1;
    ERR_clear_error();
    return ok;
}

static void check_chain_order(const struct check *c)
{
    for (size_t i = 0; i + 1 < cert_check_count(c); i++) {
        if (i == 0 ? cert_check_issued(c, 0, 1) : i <= c->pair->chain->linked)
            continue;
        bool present = false;
        for (size_t k = 0; k < cert_check_count(c); k++)
            present |= k != i && cert_check_issued(c, i, k);
        struct sts_diag *d;
        if (present)
            d = sts_diag_add(
                c->diags, STS_ERROR, "certificate-chain-order", cert_check_at(c, i + 1),
                "certificate number %zu should be the issuer of number %zu", i + 2, i + 1);
        else
            d = sts_diag_add(
                c->diags, STS_ERROR, "certificate-chain-incomplete", cert_check_at(c, i + 1),
                "certificate number %zu did not issue number %zu, and none here did", i + 2, i + 1);
        sts_diag_help(c->diags, d,
                      "order: the host's certificate, then each one's issuer; the "
                      "root may be left out");
        return;
    }
}

/* Whether an authority that signs leaves directly is trusted cannot be known here. */
static void check_alone(const struct check *c)
{
    struct sts_diag *d;

    if (c->pair->self_signed) {
        d = sts_diag_add(c->diags, STS_WARNING, "certificate-self-signed", cert_check_at(c, 0),
                         "the certificate is self-signed: no mail sender trusts it");
        sts_diag_help(c->diags, d, "RFC 8461 section 3.3 asks for one of a public authority");
    } else if (cert_check_count(c) == 1) {
        d = sts_diag_add(c->diags, STS_WARNING, "certificate-chain-incomplete", cert_check_at(c, 0),
                         "no intermediate certificate follows: senders written in Go (mox, maddy, "
                         "chasquid, postfix-tlspol) or on OpenSSL will not trust it");
        sts_diag_help(c->diags, d,
                      "use the file with the whole chain (certbot: fullchain.pem, not cert.pem)");
    }
}

bool cert_check_again(const struct cert_pair *pair, time_t now, struct sts_diags *diags)
{
    size_t before = diags->errors;
    struct check c = {.pair = pair, .now = now, .diags = diags};

    c.file = sts_arena_dup(diags->arena, pair->info.file);
    check_dates(&c);
    check_alone(&c);
    return diags->errors == before;
}

bool cert_check(const struct cert_pair *pair, const struct cert_objects *objects,
                struct sts_str der, time_t now, struct sts_diags *diags)
{
    size_t before = diags->errors;
    struct check c = {.pair = pair, .objects = objects, .der = der, .now = now, .diags = diags};

    c.file = sts_arena_dup(diags->arena, pair->info.file);
    if (!check_key_fits(&c))
        return false;
    check_key(&c);
    check_signatures(&c);
    check_names(&c);
    check_purpose(&c);
    check_chain_order(&c);
    check_dates(&c);
    check_alone(&c);
    return diags->errors == before;
}
