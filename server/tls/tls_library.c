#include "server/tls/tls_library.h"

#include <openssl/crypto.h>
#include <openssl/provider.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "server/base/memory.h"

enum { NEEDED = 4 };

/* By the first of its names, as the default provider spells it. Kept together with the suites,
 * groups and signatures of tls_server.c. */
static const struct {
    int operation;
    const char *names[NEEDED];
} needed[] = {
    {OSSL_OP_DIGEST, {"SHA2-256", "SHA2-384", "SHA2-512"}},
    {OSSL_OP_CIPHER, {"AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305"}},
    {OSSL_OP_MAC, {"HMAC"}},
    {OSSL_OP_KDF, {"TLS1-PRF"}},
    {OSSL_OP_RAND, {"CTR-DRBG", "SEED-SRC"}},
    {OSSL_OP_KEYMGMT, {"EC", "RSA", "RSA-PSS", "X25519"}},
    {OSSL_OP_KEYEXCH, {"ECDH", "X25519"}},
    {OSSL_OP_SIGNATURE, {"ECDSA", "RSA"}},
};
#define OPERATIONS (sizeof(needed) / sizeof(needed[0]))

static OSSL_PROVIDER *whole;                           /* OpenSSL's default provider */
static OSSL_ALGORITHM offered[OPERATIONS][NEEDED + 1]; /* each ends with an empty one */
static OSSL_LIB_CTX *library;
static pthread_once_t once = PTHREAD_ONCE_INIT;

void tls_library_begin(void)
{
    OPENSSL_init_crypto(OPENSSL_INIT_NO_ADD_ALL_CIPHERS | OPENSSL_INIT_NO_ATEXIT, NULL);
}

static bool is_needed(size_t index, const OSSL_ALGORITHM *algorithm)
{
    size_t len = strcspn(algorithm->algorithm_names, ":");

    for (size_t i = 0; i < NEEDED && needed[index].names[i]; i++) {
        const char *name = needed[index].names[i];

        if (strlen(name) == len && memcmp(algorithm->algorithm_names, name, len) == 0)
            return true;
    }
    return false;
}

/* The arrays and functions of the default provider stay where they are: it is never unloaded. */
static void tls_library_pick(size_t index)
{
    int no_cache = 0;
    const OSSL_ALGORITHM *all =
        OSSL_PROVIDER_query_operation(whole, needed[index].operation, &no_cache);
    OSSL_ALGORITHM *next = offered[index];

    for (; all && all->algorithm_names; all++)
        if (is_needed(index, all))
            *next++ = *all;
    if (needed[index].operation == OSSL_OP_KDF)
        *next = (OSSL_ALGORITHM){.algorithm_names = "TLS13-KDF",
                                 .property_definition = "provider=mta-stsd",
                                 .implementation = tls_schedule_functions};
}

static const OSSL_ALGORITHM *tls_library_query(void *context, int operation, int *no_cache)
{
    (void)context;
    *no_cache = 0;
    for (size_t i = 0; i < OPERATIONS; i++)
        if (needed[i].operation == operation)
            return offered[i];
    return NULL;
}

/* Of TLS: which groups there are. Those without an algorithm here are passed over. */
static int tls_library_capabilities(void *context, const char *capability, OSSL_CALLBACK *each,
                                    void *data)
{
    (void)context;
    return OSSL_PROVIDER_get_capabilities(whole, capability, each, data);
}

static int tls_library_provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                                     const OSSL_DISPATCH **out, void **context)
{
    static const OSSL_DISPATCH functions[] = {
        {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))tls_library_query},
        {OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))tls_library_capabilities},
        {0, NULL},
    };

    (void)handle, (void)in;
    *out = functions;
    *context = OSSL_PROVIDER_get0_provider_ctx(whole); /* its algorithms are given it */
    return 1;
}

OSSL_LIB_CTX *tls_library_of(const char *name, OSSL_provider_init_fn *provider)
{
    OSSL_LIB_CTX *made = sts_must(OSSL_LIB_CTX_new());

    if (OSSL_PROVIDER_add_builtin(made, name, provider) != 1)
        sts_must(NULL);
    sts_must(OSSL_PROVIDER_load(made, name));
    return made;
}

static void tls_library_make(void)
{
    whole = sts_must(OSSL_PROVIDER_load(NULL, "default"));
    for (size_t i = 0; i < OPERATIONS; i++)
        tls_library_pick(i);
    library = tls_library_of("mta-stsd", tls_library_provider_init);
}

OSSL_LIB_CTX *tls_library(void)
{
    pthread_once(&once, tls_library_make);
    return library;
}
