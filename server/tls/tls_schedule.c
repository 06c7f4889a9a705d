#include <nettle/hkdf.h>
#include <nettle/hmac.h>
#include <nettle/nettle-meta.h>
#include <nettle/sha2.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "server/tls/tls_library.h"

/* HKDF (RFC 5869) is Nettle's; here are the labels of TLS 1.3 and the parameters of OpenSSL. */

enum { VECTOR_MAX = 255 }; /* HkdfLabel's label and context: their length is one octet */

struct hash {
    const char *names[2]; /* which OpenSSL knows it by */
    const struct nettle_hash *plain;
    const struct nettle_mac *hmac;
};

static const struct hash hashes[] = {
    {{"SHA2-256", "SHA256"}, &nettle_sha256, &nettle_hmac_sha256},
    {{"SHA2-384", "SHA384"}, &nettle_sha384, &nettle_hmac_sha384},
};

union state {
    struct sha256_ctx sha256;
    struct sha384_ctx sha384;
    struct hmac_sha256_ctx hmac_sha256;
    struct hmac_sha384_ctx hmac_sha384;
};

struct octets {
    const uint8_t *ptr;
    size_t len;
};

struct request {
    int mode;
    const struct hash *hash;
    struct octets key, salt, prefix, label, data;
};

/* RFC 5869 §2.2. `salt` has the length of the hash, as all salts of a key schedule have. */
static void tls_schedule_extract(const struct hash *hash, const uint8_t *salt, struct octets key,
                                 uint8_t *out)
{
    const struct nettle_mac *hmac = hash->hmac;
    union state state;

    hmac->set_key(&state, salt);
    hkdf_extract(&state, hmac->update, hmac->digest, hmac->digest_size, key.len, key.ptr, out);
    OPENSSL_cleanse(&state, sizeof(state));
}

/* RFC 5869 §2.3. */
static void tls_schedule_expand(const struct hash *hash, const uint8_t *key, struct octets info,
                                uint8_t *out, size_t len)
{
    const struct nettle_mac *hmac = hash->hmac;
    union state state;

    hmac->set_key(&state, key);
    hkdf_expand(&state, hmac->update, hmac->digest, hmac->digest_size, info.len, info.ptr, len,
                out);
    OPENSSL_cleanse(&state, sizeof(state));
}

static uint8_t *tls_schedule_put(uint8_t *at, struct octets what)
{
    if (what.len > 0)
        memcpy(at, what.ptr, what.len);
    return at + what.len;
}

/* HKDF-Expand-Label of RFC 8446 §7.1. */
static bool expand_label(const struct request *r, struct octets key, struct octets context,
                         uint8_t *out, size_t len)
{
    uint8_t info[2 + 1 + VECTOR_MAX + 1 + VECTOR_MAX];
    size_t label = r->prefix.len + r->label.len, unit = r->hash->hmac->digest_size;

    if (key.len != unit || r->prefix.len > VECTOR_MAX || r->label.len > VECTOR_MAX ||
        label > VECTOR_MAX || context.len > VECTOR_MAX || len == 0 || len > VECTOR_MAX * unit)
        return false;
    info[0] = (uint8_t)(len >> 8);
    info[1] = (uint8_t)len;
    info[2] = (uint8_t)label;
    uint8_t *at = tls_schedule_put(tls_schedule_put(info + 3, r->prefix), r->label);
    *at++ = (uint8_t)context.len;
    at = tls_schedule_put(at, context);
    tls_schedule_expand(r->hash, key.ptr, (struct octets){info, (size_t)(at - info)}, out, len);
    return true;
}

/* The next secret of the key schedule: from the one before, when there is one, and what the key
 * agreement gave, when it has taken place. */
static bool next_secret(const struct request *r, uint8_t *out, size_t len)
{
    const struct hash *hash = r->hash;
    uint8_t zeros[SHA384_DIGEST_SIZE] = {0}, nothing[SHA384_DIGEST_SIZE];
    uint8_t derived[SHA384_DIGEST_SIZE];
    size_t unit = hash->plain->digest_size;
    struct octets key = r->key.ptr ? r->key : (struct octets){zeros, unit};
    union state state;

    if (len != unit)
        return false;
    if (!r->salt.ptr) {
        tls_schedule_extract(hash, zeros, key, out);
        return true;
    }
    hash->plain->init(&state);
    hash->plain->digest(&state, unit, nothing);
    if (!expand_label(r, r->salt, (struct octets){nothing, unit}, derived, unit))
        return false;
    tls_schedule_extract(hash, derived, key, out);
    OPENSSL_cleanse(derived, sizeof(derived));
    return true;
}

static const struct hash *hash_of(const OSSL_PARAM *param)
{
    const char *name = NULL;

    if (!OSSL_PARAM_get_utf8_string_ptr(param, &name))
        return NULL;
    for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++)
        if (strcasecmp(name, hashes[i].names[0]) == 0 || strcasecmp(name, hashes[i].names[1]) == 0)
            return &hashes[i];
    return NULL;
}

static struct octets *octets_of(struct request *r, const char *name)
{
    if (strcmp(name, OSSL_KDF_PARAM_KEY) == 0)
        return &r->key;
    if (strcmp(name, OSSL_KDF_PARAM_SALT) == 0)
        return &r->salt;
    if (strcmp(name, OSSL_KDF_PARAM_PREFIX) == 0)
        return &r->prefix;
    if (strcmp(name, OSSL_KDF_PARAM_LABEL) == 0)
        return &r->label;
    if (strcmp(name, OSSL_KDF_PARAM_DATA) == 0)
        return &r->data;
    return NULL;
}

static bool read_request(const OSSL_PARAM *param, struct request *out)
{
    for (; param && param->key; param++) {
        struct octets *octets = octets_of(out, param->key);
        const void *ptr = NULL;

        if (octets) {
            if (!OSSL_PARAM_get_octet_string_ptr(param, &ptr, &octets->len))
                return false;
            octets->ptr = ptr;
        } else if (strcmp(param->key, OSSL_KDF_PARAM_DIGEST) == 0) {
            out->hash = hash_of(param);
        } else if (strcmp(param->key, OSSL_KDF_PARAM_MODE) == 0) {
            if (!OSSL_PARAM_get_int(param, &out->mode))
                return false;
        }
    }
    return out->hash != NULL;
}

/* libssl gives all parameters together with each call, so that nothing is kept in between. */
static int tls_schedule_derive(void *context, unsigned char *out, size_t len,
                               const OSSL_PARAM *params)
{
    struct request request = {.mode = -1};

    (void)context;
    if (!read_request(params, &request))
        return 0;
    switch (request.mode) {
    case EVP_KDF_HKDF_MODE_EXTRACT_ONLY:
        return next_secret(&request, out, len);
    case EVP_KDF_HKDF_MODE_EXPAND_ONLY:
        return expand_label(&request, request.key, request.data, out, len);
    default:
        return 0;
    }
}

static void *context_new(void *provider)
{
    return provider;
}

static void context_free(void *context)
{
    (void)context;
}

const OSSL_DISPATCH tls_schedule_functions[] = {
    {OSSL_FUNC_KDF_NEWCTX, (void (*)(void))context_new},
    {OSSL_FUNC_KDF_FREECTX, (void (*)(void))context_free},
    {OSSL_FUNC_KDF_DERIVE, (void (*)(void))tls_schedule_derive},
    {0, NULL},
};
