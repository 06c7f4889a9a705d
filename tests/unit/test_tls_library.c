/* Unit tests of what the TLS server takes from OpenSSL: the key schedule of TLS 1.3 against the
 * traces of RFC 8448 and against OpenSSL's own, and which algorithms there are. */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "server/tls/tls_library.h"
#include "tests/unit/random.h"
#include "tests/unit/test.h"

enum { LONGEST = 255 * 48 };

struct call {
    int mode;
    const char *digest;
    size_t key, salt, prefix, label, data, out; /* lengths; ABSENT: not given */
};
#define ABSENT SIZE_MAX

static unsigned char keys[600], salts[600], labels[600], datas[600];

static int derive(OSSL_LIB_CTX *library, const OSSL_PARAM *params, unsigned char *out, size_t len)
{
    EVP_KDF *kdf = EVP_KDF_fetch(library, "TLS13-KDF", NULL);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);

    assert_non_null(context);
    int good = EVP_KDF_derive(context, out, len, params);
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    ERR_clear_error();
    return good;
}

static void octets(OSSL_PARAM **at, const char *name, const void *ptr, size_t len)
{
    if (len != ABSENT)
        *(*at)++ = OSSL_PARAM_construct_octet_string(name, (void *)ptr, len);
}

static int ask(OSSL_LIB_CTX *library, const struct call *call, unsigned char *out)
{
    OSSL_PARAM params[9], *at = params;
    int mode = call->mode;

    *at++ = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
    *at++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)call->digest, 0);
    octets(&at, OSSL_KDF_PARAM_KEY, keys, call->key);
    octets(&at, OSSL_KDF_PARAM_SALT, salts, call->salt);
    octets(&at, OSSL_KDF_PARAM_PREFIX, "tls13 ", call->prefix);
    octets(&at, OSSL_KDF_PARAM_LABEL, labels, call->label);
    octets(&at, OSSL_KDF_PARAM_DATA, datas, call->data);
    *at = OSSL_PARAM_construct_end();
    memset(out, 0, call->out);
    return derive(library, params, out, call->out);
}

static void expect_as_openssl(const struct call *call)
{
    static unsigned char ours[LONGEST + 1], theirs[LONGEST + 1];

    assert_int_equal(ask(NULL, call, theirs), 1);
    assert_int_equal(ask(tls_library(), call, ours), 1);
    assert_memory_equal(ours, theirs, call->out);
}

static void fill(uint64_t *seed, unsigned char *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (unsigned char)random_next(seed);
}

static void secrets_are_those_of_openssl(void **state)
{
    const char *const digests[] = {"SHA256", "SHA384", "SHA2-256", "sha2-384"};
    const size_t units[] = {32, 48, 32, 48};
    uint64_t seed = 8446;

    (void)state;
    for (unsigned i = 0; i < 4000; i++) {
        size_t unit = units[i % 4];
        struct call expand = {
            EVP_KDF_HKDF_MODE_EXPAND_ONLY, digests[i % 4], unit, ABSENT, 6, 0, 0, 0};
        struct call extract = {
            EVP_KDF_HKDF_MODE_EXTRACT_ONLY, digests[i % 4], unit, unit, 6, 7, ABSENT, unit};

        fill(&seed, keys, unit * 2);
        fill(&seed, salts, unit);
        fill(&seed, labels, 250);
        fill(&seed, datas, 255);
        expand.label = random_below(&seed, 250);
        expand.data = random_below(&seed, 10) ? random_below(&seed, 256) : ABSENT;
        expand.out = 1 + random_below(&seed, i % 8 ? 64 : 255 * (uint32_t)unit);
        expect_as_openssl(&expand);
        extract.key = random_below(&seed, 4) ? 1 + random_below(&seed, 96) : ABSENT;
        extract.salt = random_below(&seed, 4) ? unit : ABSENT;
        expect_as_openssl(&extract);
    }
}

/* As long as they can be, and one octet more. */
static void what_does_not_fit_is_refused(void **state)
{
    const struct call expand = {EVP_KDF_HKDF_MODE_EXPAND_ONLY, "SHA256", 32, ABSENT, 6, 5, 32, 32};
    const struct call extract = {
        EVP_KDF_HKDF_MODE_EXTRACT_ONLY, "SHA256", 32, 32, 6, 7, ABSENT, 32};
    static unsigned char out[LONGEST + 1];
    struct call most = expand, bad[16];
    size_t count = 0;

    (void)state;
    most.label = 249, most.data = 255, most.out = 255 * 32;
    expect_as_openssl(&most);
#define BAD(from, field, value) bad[count] = (from), bad[count++].field = (value)
    BAD(expand, label, 250);
    BAD(expand, label, 256);
    BAD(expand, label, SIZE_MAX - 5);
    BAD(expand, prefix, 256);
    BAD(expand, data, 256);
    BAD(expand, out, 0);
    BAD(expand, out, 255 * 32 + 1);
    BAD(expand, key, 31);
    BAD(expand, key, ABSENT);
    BAD(expand, digest, "SHA512");
    BAD(expand, digest, "MD5");
    BAD(expand, mode, EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND);
    BAD(expand, mode, 7);
    BAD(extract, out, 31);
    BAD(extract, salt, 33);
    BAD(extract, label, 250);
    for (size_t i = 0; i < count; i++)
        if (ask(tls_library(), &bad[i], out) > 0)
            fail_msg("number %zu is taken", i);
}

static void what_is_not_what_it_should_be_is_refused(void **state)
{
    OSSL_LIB_CTX *library = tls_library();
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    unsigned char out[32];
    const OSSL_PARAM good[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, keys, 32),
        OSSL_PARAM_construct_octet_string("another", keys, 32), OSSL_PARAM_construct_end()};

    (void)state;
    assert_int_equal(derive(library, good, out, sizeof(out)), 1);
    for (size_t i = 0; i < 3; i++) {
        OSSL_PARAM bad[5];
        memcpy(bad, good, sizeof(bad));
        bad[i].data_type = i == 1 ? OSSL_PARAM_OCTET_STRING : OSSL_PARAM_UTF8_STRING;
        assert_int_equal(derive(library, bad, out, sizeof(out)), 0);
        bad[i].key = "another"; /* is missing */
        assert_int_equal(derive(library, bad, out, sizeof(out)), 0);
    }
    assert_int_equal(derive(library, NULL, out, sizeof(out)), 0);
}

static size_t from_hex(const char *hex, unsigned char *out)
{
    size_t len = strlen(hex) / 2;

    for (size_t i = 0; i < len; i++) {
        unsigned octet = 0;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &octet), 1);
        out[i] = (unsigned char)octet;
    }
    return len;
}

static void expect_traced(struct call call, const char *key, const char *salt, const char *data,
                          const char *expected)
{
    unsigned char out[64], want[64];

    call.digest = "SHA256";
    call.prefix = 6;
    call.key = key ? from_hex(key, keys) : ABSENT;
    call.salt = salt ? from_hex(salt, salts) : ABSENT;
    call.data = data ? from_hex(data, datas) : ABSENT;
    call.out = from_hex(expected, want);
    assert_int_equal(ask(tls_library(), &call, out), 1);
    assert_memory_equal(out, want, call.out);
}

static void expect_secret(const char *before, const char *agreed, const char *expected)
{
    struct call call = {.mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY, .label = strlen("derived")};

    memcpy(labels, "derived", call.label);
    expect_traced(call, agreed, before, NULL, expected);
}

static void expect_expanded(const char *secret, const char *label, const char *hash,
                            const char *expected)
{
    struct call call = {.mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY, .label = strlen(label)};

    memcpy(labels, label, call.label);
    expect_traced(call, secret, NULL, hash, expected);
}

/* RFC 8448 §3: a simple handshake with one round trip. */
static void secrets_are_those_of_the_traces(void **state)
{
    const char *early = "33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a";
    const char *agreed = "8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d";
    const char *handshake = "1dc826e93606aa6fdc0aadc12f741b01046aa6b99f691ed221a9f0ca043fbeac";
    const char *hellos = "860c06edc07858ee8e78f0e7428c58edd6b43f2ca3e6e95f02ed063cf0e1cad8";
    const char *server = "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38";

    (void)state;
    expect_secret(NULL, NULL, early);
    expect_secret(early, agreed, handshake);
    expect_secret(handshake, NULL,
                  "18df06843d13a08bf2a449844c5f8a478001bc4d4c627984d5a41da8d0402919");
    expect_expanded(handshake, "c hs traffic", hellos,
                    "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21");
    expect_expanded(handshake, "s hs traffic", hellos, server);
    expect_expanded(server, "key", "", "3fce516009c21727d0f2e4e86ee403bc");
    expect_expanded(server, "iv", "", "5d313eb2671276ee13000b30");
    expect_expanded(server, "finished", "",
                    "008d3b66f816ea559f96b537e885c31fc068bf492c652f01f288a1d8cdc19fc8");
}

static bool has(int operation, const char *name)
{
    OSSL_LIB_CTX *library = tls_library();
    void *found = NULL;

#define FETCH(kind)                                                                                \
    {                                                                                              \
        kind *method = kind##_fetch(library, name, NULL);                                          \
        found = method;                                                                            \
        kind##_free(method);                                                                       \
        break;                                                                                     \
    }
    switch (operation) {
    case OSSL_OP_DIGEST:
        FETCH(EVP_MD);
    case OSSL_OP_CIPHER:
        FETCH(EVP_CIPHER);
    case OSSL_OP_MAC:
        FETCH(EVP_MAC);
    case OSSL_OP_KDF:
        FETCH(EVP_KDF);
    case OSSL_OP_RAND:
        FETCH(EVP_RAND);
    case OSSL_OP_KEYMGMT:
        FETCH(EVP_KEYMGMT);
    case OSSL_OP_KEYEXCH:
        FETCH(EVP_KEYEXCH);
    case OSSL_OP_SIGNATURE:
        FETCH(EVP_SIGNATURE);
    default:
        fail();
    }
    ERR_clear_error();
    return found;
}

static void there_is_what_a_handshake_needs_and_no_more(void **state)
{
    const struct {
        int operation;
        const char *name;
    } there[] = {
        {OSSL_OP_DIGEST, "SHA256"},      {OSSL_OP_DIGEST, "SHA384"},
        {OSSL_OP_DIGEST, "SHA512"},      {OSSL_OP_CIPHER, "AES-128-GCM"},
        {OSSL_OP_CIPHER, "AES-256-GCM"}, {OSSL_OP_CIPHER, "ChaCha20-Poly1305"},
        {OSSL_OP_MAC, "HMAC"},           {OSSL_OP_KDF, "TLS1-PRF"},
        {OSSL_OP_KDF, "TLS13-KDF"},      {OSSL_OP_RAND, "CTR-DRBG"},
        {OSSL_OP_RAND, "SEED-SRC"},      {OSSL_OP_KEYMGMT, "EC"},
        {OSSL_OP_KEYMGMT, "RSA"},        {OSSL_OP_KEYMGMT, "RSASSA-PSS"},
        {OSSL_OP_KEYMGMT, "X25519"},     {OSSL_OP_KEYEXCH, "ECDH"},
        {OSSL_OP_KEYEXCH, "X25519"},     {OSSL_OP_SIGNATURE, "ECDSA"},
        {OSSL_OP_SIGNATURE, "RSA"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++)
        if (!has(there[i].operation, there[i].name))
            fail_msg("%s is missing", there[i].name);
    assert_false(has(OSSL_OP_DIGEST, "MD5"));
    assert_false(has(OSSL_OP_CIPHER, "AES-256-CBC"));
    assert_false(has(OSSL_OP_KDF, "HKDF"));
    assert_false(has(OSSL_OP_KEYMGMT, "DH"));
    assert_false(has(OSSL_OP_SIGNATURE, "DSA"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_are_those_of_the_traces),
        cmocka_unit_test(secrets_are_those_of_openssl),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(what_is_not_what_it_should_be_is_refused),
        cmocka_unit_test(there_is_what_a_handshake_needs_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
