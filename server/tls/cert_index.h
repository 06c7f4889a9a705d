/* What was found out about certificates, in a file beside the ledger, so that the next start need
 * not find it out again: names, dates and kind of each good pair, by the digest of its files. No
 * key, and nothing that is not in the certificate.
 *
 * The files themselves are read at every start; only bytes that are the same as before take what
 * stands here, and the dates are checked again. An index of another version, that may have been
 * written by others, or has one wrong bit, is not used and written anew.
 *
 *   a line: name, version of the format, of this program, and of OpenSSL
 *   the number of entries (8 bytes, as all numbers in the order of this machine)
 *   each entry: length of the rest (4), its checksum (8), struct fixed, names (length, bytes)
 *   SHA-256 of all before
 */
#ifndef MTASTS_TLS_CERT_INDEX_H
#define MTASTS_TLS_CERT_INDEX_H

#include "server/tls/cert_pair.h"

#define CERT_INDEX_MAX (1u << 30) /* bytes: some five million pairs */

/* NULL when there is none that can be trusted. */
struct cert_index *cert_index_read(const char *path);
void cert_index_free(struct cert_index *index); /* NULL is fine */
size_t cert_index_count(const struct cert_index *index);
/* Fills in what is known of the pair of these digest and chain; false: nothing is. */
bool cert_index_describe(const struct cert_index *index, struct cert_pair *pair);
/* Replaces the file. -1 with errno. */
int cert_index_write(const char *path, struct cert_pair *const *pairs, size_t count);

#endif
