/* What was found out about certificates, in a file beside the ledger: the next start need not find
 * it out again, and this process need not keep in memory what stands there.
 *
 * A head, then records, each behind the other. Records are only added; of two about the same files
 * the later one counts. When half of the file is about nothing any more, a new one replaces it.
 *
 *   a line: name, version of the format, of this program, and of OpenSSL
 *   16 random bytes, and the sum of all before
 *   each record: length of its body (4), kind (4), sum (32), body
 *
 * A sum is SHA-256 of the random bytes, where the record stands, length, kind and body: no piece of
 * a certificate can pass for a record, whichever bytes are lost. It is looked at whenever a record
 * is read. What is cut off, or has a wrong bit, is left out, and what it said is found out again.
 * A file of another version, or that others may have written, is not used at all.
 *
 * No private key is in it, and nothing waits for the disk: what a crash takes is found out again.
 */
#ifndef MTASTS_TLS_CERT_PACK_H
#define MTASTS_TLS_CERT_PACK_H

#include <stdint.h>

#include "mtasts/str.h"

enum cert_record { CERT_RECORD_CHAIN = 1, CERT_RECORD_PAIR };
enum { CERT_RECORD_MAX = 8 << 20 }; /* bytes of a body: a leaf and the names in it */

/* Counted; may be read by any thread, and added to by one. */
struct cert_pack;

/* NULL when there is no file that can be trusted. */
struct cert_pack *cert_pack_open(const char *path);
/* A new one, which nobody sees before it is put in place. NULL with errno; ENOTSUP when something
 * other than a regular file is at `path`. */
struct cert_pack *cert_pack_new(const char *path);
int cert_pack_put_in_place(struct cert_pack *pack); /* -1 with errno */
struct cert_pack *cert_pack_ref(struct cert_pack *pack);
void cert_pack_unref(struct cert_pack *pack); /* NULL is fine; removes what is not in place */

/* Hands out all good records. What the last good one is followed by will be overwritten. */
typedef void cert_pack_take(void *data, enum cert_record kind, uint64_t at, struct sts_str body);
void cert_pack_walk(struct cert_pack *pack, cert_pack_take *take, void *data);
/* Appends the body of the record that begins at `at` to `out`; false when it is not good. */
bool cert_pack_read(const struct cert_pack *pack, uint64_t at, size_t body, struct sts_buf *out);

/* A record that was good is not any more: the next to write begins a new file. True the first time.
 */
bool cert_pack_fail(struct cert_pack *pack);
/* Whether `path` is still this file, it may be written, and nothing failed. */
bool cert_pack_is_usable(const struct cert_pack *pack, const char *path);
uint64_t cert_pack_size(const struct cert_pack *pack);
uint64_t cert_pack_record_size(size_t body);

/* Whether a chain of this digest, the first 32 bytes of its body, is there. */
bool cert_pack_has_chain(const struct cert_pack *pack, const unsigned char digest[32]);

/* Adds a record, in memory at first; its place. */
uint64_t cert_pack_add(struct cert_pack *pack, enum cert_record kind, struct sts_str body);
size_t cert_pack_waiting(const struct cert_pack *pack); /* bytes in memory */
/* Writes what was added. -1 with errno: then it is dropped, and nothing is to be added any more. */
int cert_pack_flush(struct cert_pack *pack);

#endif
