#define OPENSSL_SUPPRESS_DEPRECATED
#include "server/tls/cert_sum.h"

#include <openssl/sha.h>

#include "server/base/memory.h"

_Static_assert(CERT_SUM == SHA256_DIGEST_LENGTH, "a SHA-256");

void cert_sum(const struct sts_str *pieces, size_t count, unsigned char out[CERT_SUM])
{
    SHA256_CTX sha;
    bool good = SHA256_Init(&sha) == 1;

    for (size_t i = 0; i < count; i++)
        good = good && SHA256_Update(&sha, pieces[i].ptr, pieces[i].len) == 1;
    if (!good || SHA256_Final(out, &sha) != 1)
        sts_must(NULL);
}

struct sts_str cert_sum_str(const unsigned char sum[CERT_SUM])
{
    return (struct sts_str){(const char *)sum, CERT_SUM};
}
