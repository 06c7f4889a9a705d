/* What no server can avoid in a full TLS 1.3 handshake: one P-256 signature, one X25519 key and one
 * X25519 agreement; and what OpenSSL as it is takes for the server's half of a fetch in memory,
 * without sockets. Prints the least CPU time of each, in microseconds, as JSON. */
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BATCHES 400 /* the least of many short ones: what other programs disturb is left out */
#define BATCH   20

static EVP_PKEY *signer, *own, *peer;
static SSL_CTX *server_context, *client_context;

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

/* --- The server's half in memory ----------------------------------------------------------------
 */

static X509 *make_certificate(void)
{
    X509 *x = X509_new();

    need(x && X509_set_version(x, X509_VERSION_3) == 1 && X509_set_pubkey(x, signer) == 1 &&
         X509_gmtime_adj(X509_getm_notBefore(x), 0) &&
         X509_gmtime_adj(X509_getm_notAfter(x), 24 * 3600L) &&
         X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                                    (const unsigned char *)"mta-sts.example", -1, -1, 0) == 1 &&
         X509_set_issuer_name(x, X509_get_subject_name(x)) == 1 &&
         X509_sign(x, signer, EVP_sha256()) > 0);
    return x;
}

static void make_contexts(void)
{
    X509 *certificate = make_certificate();

    server_context = SSL_CTX_new(TLS_server_method());
    client_context = SSL_CTX_new(TLS_client_method());
    need(server_context && client_context &&
         SSL_CTX_use_certificate(server_context, certificate) == 1 &&
         SSL_CTX_use_PrivateKey(server_context, signer) == 1 &&
         SSL_CTX_set_num_tickets(server_context, 0) == 1 &&
         SSL_CTX_set_ciphersuites(client_context, "TLS_AES_128_GCM_SHA256") == 1 &&
         SSL_CTX_set1_sigalgs_list(client_context, "ECDSA+SHA256") == 1 &&
         SSL_CTX_set1_groups_list(client_context, "X25519") == 1);
    SSL_CTX_set_session_cache_mode(server_context, SSL_SESS_CACHE_OFF);
    X509_free(certificate);
}

static SSL *half(SSL_CTX *context)
{
    SSL *ssl = SSL_new(context);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

    need(ssl && in && out);
    SSL_set_bio(ssl, in, out);
    return ssl;
}

static void carry(const SSL *from, const SSL *to)
{
    char bytes[16384];
    int n;

    while ((n = BIO_read(SSL_get_wbio(from), bytes, sizeof(bytes))) > 0)
        need(BIO_write(SSL_get_rbio(to), bytes, n) == n);
}

static double fetch(void)
{
    SSL *client = half(client_context);
    char request[64];
    double begin, taken;

    SSL_connect(client);
    begin = now();
    SSL *server = half(server_context);
    taken = now() - begin;
    carry(client, server);
    begin = now();
    SSL_accept(server);
    taken += now() - begin;
    carry(server, client);
    need(SSL_connect(client) == 1 && SSL_write(client, "GET", 3) == 3);
    carry(client, server);
    begin = now();
    need(SSL_accept(server) == 1 && SSL_read(server, request, sizeof(request)) == 3 &&
         SSL_write(server, "answer", 6) == 6 && SSL_shutdown(server) == 0);
    SSL_free(server);
    taken += now() - begin;
    SSL_free(client);
    return taken;
}

static double least_fetch(void)
{
    double best = 1e9;

    for (int i = 0; i < BATCHES / 4; i++) {
        double taken = 0;
        for (int j = 0; j < BATCH; j++)
            taken += fetch();
        best = taken / BATCH < best ? taken / BATCH : best;
    }
    return best;
}

int main(void)
{
    double times[3], memory;

    signer = EVP_EC_gen("P-256");
    own = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    peer = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    need(signer && own && peer);
    times[0] = least(sign);
    times[1] = least(make_key);
    times[2] = least(agree);
    make_contexts();
    memory = least_fetch();
    printf("{\"sign_us\": %.1f, \"keygen_us\": %.1f, \"derive_us\": %.1f, \"sum_us\": %.1f, "
           "\"memory_us\": %.1f}\n",
           times[0], times[1], times[2], times[0] + times[1] + times[2], memory);
    SSL_CTX_free(server_context);
    SSL_CTX_free(client_context);
    EVP_PKEY_free(signer);
    EVP_PKEY_free(own);
    EVP_PKEY_free(peer);
    return 0;
}
