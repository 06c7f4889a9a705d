/* SHA-256 of some pieces, one behind the other. By the functions below EVP, which cost as much
 * again to find for pieces as short as these, and take a lock. */
#ifndef MTASTS_TLS_CERT_SUM_H
#define MTASTS_TLS_CERT_SUM_H

#include "mtasts/str.h"

enum { CERT_SUM = 32 };

void cert_sum(const struct sts_str *pieces, size_t count, unsigned char out[CERT_SUM]);
/* As the key of a table. */
struct sts_str cert_sum_str(const unsigned char sum[CERT_SUM]);

#endif
