/* What a pack says about pairs: taken at a start instead of reading certificates, and written for
 * the next one. The files decide: only where their attributes or bytes are as they were, what
 * stands here counts, and the dates are checked again. */
#ifndef MTASTS_TLS_CERT_INDEX_H
#define MTASTS_TLS_CERT_INDEX_H

#include "server/tls/cert_pack.h"
#include "server/tls/cert_pair.h"

/* NULL when there is no pack that can be trusted. */
struct cert_index *cert_index_read(const char *path);
void cert_index_free(struct cert_index *index); /* NULL is fine */
size_t cert_index_count(const struct cert_index *index);
struct cert_pack *cert_index_pack(const struct cert_index *index); /* borrowed */
/* The chain of this digest, borrowed, or NULL. */
struct cert_chain *cert_index_chain(const struct cert_index *index, struct sts_str digest);

/* What is known of the pair that came from these files. */
struct cert_known;
const struct cert_known *cert_index_find(const struct cert_index *index, struct sts_str file,
                                         struct sts_str key_file);
/* Of the only pair that was in the folder `path` when that was as `now`; NULL: none is known. */
const struct cert_known *cert_index_in_folder(const struct cert_index *index, struct sts_str path,
                                              const struct stat *now);
/* The names of its files in their folder, the key empty when there is one file; borrowed. */
void cert_known_names(const struct cert_known *known, struct sts_str *file, struct sts_str *key);
bool cert_known_seen(const struct cert_known *known, const struct stat st[2]);
bool cert_known_has(const struct cert_known *known, const unsigned char digest[32]);
/* The pair, but for its key; NULL: not all of it is known. */
struct cert_pair *cert_known_pair(const struct cert_index *index, const struct cert_known *known,
                                  struct sts_str file, struct sts_str key_file);

/* Adds the records of those pairs that are not in *pack as they are, or says all anew in a new file
 * when *pack (may be NULL) is not at `path` any more, cannot be written, or half of it is of no
 * use. -1 with errno. */
int cert_index_write(struct cert_pack **pack, const char *path, struct cert_pair *const *pairs,
                     size_t count);

#endif
