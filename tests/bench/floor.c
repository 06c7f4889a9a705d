/* What no server can avoid in a full TLS 1.3 handshake: one P-256 signature, one X25519 key and one
 * X25519 agreement. Prints the least CPU time of each, in microseconds, as JSON. */
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BATCHES 400 /* the least of many short ones: what other programs disturb is left out */
#define BATCH   20

static EVP_PKEY *signer, *own, *peer;

static void need(bool ok)
{
    if (!ok) {
        fprintf(stderr, "floor: OpenSSL failed\n");
        exit(1);
    }
}

static void sign(void)
{
    unsigned char text[130] = {0}, signature[80];
    size_t len = sizeof(signature);
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    need(context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, signer) == 1 &&
         EVP_DigestSign(context, signature, &len, text, sizeof(text)) == 1);
    EVP_MD_CTX_free(context);
}

static void make_key(void)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");

    need(key);
    EVP_PKEY_free(key);
}

static void agree(void)
{
    unsigned char secret[32];
    size_t len = sizeof(secret);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(own, NULL);

    need(context && EVP_PKEY_derive_init(context) == 1 &&
         EVP_PKEY_derive_set_peer(context, peer) == 1 &&
         EVP_PKEY_derive(context, secret, &len) == 1);
    EVP_PKEY_CTX_free(context);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double least(void (*work)(void))
{
    double best = 1e9;

    for (int i = 0; i < BATCHES; i++) {
        double begin = now();
        for (int j = 0; j < BATCH; j++)
            work();
        double each = (now() - begin) / BATCH;
        best = each < best ? each : best;
    }
    return best;
}

int main(void)
{
    double times[3];

    signer = EVP_EC_gen("P-256");
    own = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    peer = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    need(signer && own && peer);
    times[0] = least(sign);
    times[1] = least(make_key);
    times[2] = least(agree);
    printf("{\"sign_us\": %.1f, \"keygen_us\": %.1f, \"derive_us\": %.1f, \"sum_us\": %.1f}\n",
           times[0], times[1], times[2], times[0] + times[1] + times[2]);
    EVP_PKEY_free(signer);
    EVP_PKEY_free(own);
    EVP_PKEY_free(peer);
    return 0;
}
