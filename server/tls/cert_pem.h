/* PEM text (RFC 7468) cut into its blocks, each with the line where it begins, so that a problem
 * can be reported as file:line. */
#ifndef MTASTS_TLS_CERT_PEM_H
#define MTASTS_TLS_CERT_PEM_H

#include <stdint.h>

#include "mtasts/str.h"

struct cert_block {
    struct sts_str label; /* "CERTIFICATE", "PRIVATE KEY"... */
    struct sts_str text;  /* from its BEGIN line to its END line, both included */
    uint32_t line;        /* of BEGIN, from 1 */
    bool cut;             /* the END line is missing */
};

struct cert_pem {
    struct sts_str text;
    size_t at;
    uint32_t line; /* of `at` */
};

struct cert_pem cert_pem_begin(struct sts_str text);
/* The next block; false at the end. Text between blocks is skipped. */
bool cert_pem_next(struct cert_pem *pem, struct cert_block *out);
/* The bytes that a block encodes, to be freed with OPENSSL_free (a key: OPENSSL_clear_free, of
 * *len); NULL when it is not base64. */
unsigned char *cert_pem_decode(const struct cert_block *block, size_t *len);

#endif
