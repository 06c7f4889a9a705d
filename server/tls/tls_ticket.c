#include "server/tls/tls_ticket.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

static bool renew_key(struct tickets *t, uint64_t now_ms)
{
    struct ticket_key fresh;

    if (RAND_bytes(fresh.name, sizeof(fresh.name)) != 1 ||
        RAND_priv_bytes(fresh.cipher, sizeof(fresh.cipher)) != 1 ||
        RAND_priv_bytes(fresh.mac, sizeof(fresh.mac)) != 1)
        return false;
    t->before = t->now;
    t->now = fresh;
    t->born_ms = now_ms;
    OPENSSL_cleanse(&fresh, sizeof(fresh));
    return true;
}

bool tickets_init(struct tickets *t, uint64_t now_ms)
{
    memset(t, 0, sizeof(*t));
    pthread_mutex_init(&t->lock, NULL);
    return renew_key(t, now_ms);
}

void tickets_fini(struct tickets *t)
{
    pthread_mutex_destroy(&t->lock);
    OPENSSL_cleanse(t, sizeof(*t));
}

/* After a quiet time both keys are too old, and no ticket of either may be opened any more. */
static bool keep_fresh(struct tickets *t, uint64_t now_ms)
{
    uint64_t age = now_ms - t->born_ms;

    if (age < TICKET_KEY_LIFE_MS)
        return true;
    if (!renew_key(t, now_ms))
        return false;
    t->has_before = age < 2 * TICKET_KEY_LIFE_MS;
    if (!t->has_before)
        OPENSSL_cleanse(&t->before, sizeof(t->before));
    return true;
}

bool tickets_seal(struct tickets *t, uint64_t now_ms, struct ticket_key *out)
{
    pthread_mutex_lock(&t->lock);
    bool ok = keep_fresh(t, now_ms);
    if (ok)
        *out = t->now;
    pthread_mutex_unlock(&t->lock);
    return ok;
}

static bool tls_ticket_named(const struct ticket_key *key, const unsigned char name[16])
{
    return memcmp(key->name, name, sizeof(key->name)) == 0;
}

bool tickets_open(struct tickets *t, uint64_t now_ms, const unsigned char name[16],
                  struct ticket_key *out, bool *renew)
{
    bool found = false;

    pthread_mutex_lock(&t->lock);
    if (keep_fresh(t, now_ms)) {
        *renew = !tls_ticket_named(&t->now, name);
        found = !*renew || (t->has_before && tls_ticket_named(&t->before, name));
        if (found)
            *out = *renew ? t->before : t->now;
    }
    pthread_mutex_unlock(&t->lock);
    return found;
}

static bool set_mac(EVP_MAC_CTX *mac, struct ticket_key *key)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* -1 ends the handshake; 0 means no ticket, or one to ignore; 2 asks for a new one. */
int tickets_use(struct tickets *t, uint64_t now_ms, unsigned char name[16], unsigned char *iv,
                EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool seal)
{
    struct ticket_key key;
    bool renew = false, ok;

    if (seal) {
        if (!tickets_seal(t, now_ms, &key) || RAND_bytes(iv, 16) != 1)
            return 0;
        memcpy(name, key.name, sizeof(key.name));
        ok = EVP_EncryptInit_ex2(cipher, EVP_aes_256_cbc(), key.cipher, iv, NULL) == 1;
    } else {
        if (!tickets_open(t, now_ms, name, &key, &renew))
            return 0;
        ok = EVP_DecryptInit_ex2(cipher, EVP_aes_256_cbc(), key.cipher, iv, NULL) == 1;
    }
    ok = ok && set_mac(mac, &key);
    OPENSSL_cleanse(&key, sizeof(key));
    return !ok ? -1 : renew ? 2 : 1;
}
