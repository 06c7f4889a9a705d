/* Inside of the index: the bodies of its records, in the order of bytes of this machine.
 *
 *   pair:  struct fixed, file, key name, lines (4 each), names (length, bytes), leaf
 *   chain: its digest (32), number of certificates (4), each: length (4), DER */
#ifndef MTASTS_TLS_CERT_RECORD_H
#define MTASTS_TLS_CERT_RECORD_H

#include "server/tls/cert_pair.h"

struct record_fixed {
    unsigned char digest[32]; /* first: see cert_leaf_get */
    unsigned char chain[32];  /* all 0: no chain */
    unsigned char seen[CERT_SEEN];
    uint64_t folder;
    int64_t not_before, not_after;
    uint32_t leaf;
    uint16_t file, key_name, names, lines;
    uint8_t rsa, bare, self_signed, ca;
};

/* False: a path or the names are longer than a record can say. */
bool record_put_pair(struct sts_buf *out, const struct cert_pair *pair, struct sts_str leaf);
void record_put_chain(struct sts_buf *out, const struct cert_chain *chain);

/* The body but for the leaf; false when it is no such body. */
bool record_front(struct sts_str body, struct sts_str *front);
/* A pair's record taken apart; it borrows from the front. */
struct record_pair {
    struct record_fixed fixed;
    struct sts_str file, key_name, lines, names;
};
bool record_take_pair(struct sts_str front, struct record_pair *out);
/* Fills in what the record says, but for key and leaf; false when the names are not whole. */
bool record_describe(const struct record_pair *record, struct cert_chain *chain,
                     struct cert_pair *pair);
struct cert_chain *record_take_chain(struct sts_str body); /* NULL: it is no such body */

#endif
