/* Inside of server/tls: one certificate with its key and chain, and the steps that make one.
 *
 * find (which files belong together) -> load (bytes to objects) -> check (may it be presented) ->
 * store (index by name). A pair is immutable and counted: stores of several snapshots share it. */
#ifndef MTASTS_TLS_CERT_PAIR_H
#define MTASTS_TLS_CERT_PAIR_H

#include <openssl/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "server/tls/cert_store.h"
#include "server/tls/cert_table.h"

#define CERT_FILE_MAX  (1u << 20) /* bytes of one certificate or key file */
#define CERT_CHAIN_MAX 10         /* certificates in a file: where OpenSSL and browsers stop too */

/* What stands above a leaf. Shared by all pairs that have the same, whichever store they are in. */
struct cert_chain {
    atomic_uint refs;
    unsigned char digest[32]; /* of all of it */
    STACK_OF(X509) * certs;   /* at least one */
    size_t linked;            /* so many of them were issued by the next one */
};

/* Before it is shared, `chain` belongs to the caller. NULL: certificate number *bad is unreadable.
 */
struct cert_chain *cert_chain_new(const struct sts_str *ders, size_t count, size_t *bad);
void cert_chain_digest(const struct sts_str *ders, size_t count, unsigned char out[32]);
struct cert_chain *cert_chain_ref(struct cert_chain *chain);
void cert_chain_unref(struct cert_chain *chain); /* NULL is fine */

/* The bytes of leaf and key are kept, not the objects: a tenth of the memory, and a pair whose
 * files are gone or half-renewed can still be presented. cert_cache makes the objects when a client
 * asks.
 */
struct cert_pair {
    atomic_uint refs;
    bool bare;                /* cert_put_key makes the leaf, else only cert_decode does */
    bool self_signed;         /* the leaf */
    bool ca;                  /* it may issue certificates: no host's own */
    struct cert_info info;    /* its strings belong to the pair */
    unsigned char digest[32]; /* SHA-256 of the bytes of both files */
    /* Of the attributes of both files; all 0: they were too young to tell by them that nothing
     * was written since. Only the builder looks at it, and renews it. */
    unsigned char seen[16];
    struct sts_str *names; /* DNS names of the leaf, lower case; "*." patterns as they are */
    size_t name_count;
    struct cert_chain *chain; /* referenced; NULL: none */
    uint32_t *lines;          /* where each certificate begins, leaf first */
    unsigned char *bytes;     /* the leaf as DER, then the key as cert_key_pack gives it */
    uint32_t leaf_len, key_len;
};

struct cert_index;

struct cert_pair *cert_pair_new(struct sts_str file, struct sts_str key_file);
/* Reads the DNS names, validity and kind of the leaf into the pair; pair->chain is there. */
void cert_pair_describe(struct cert_pair *pair, X509 *leaf);
/* The same from what is known already: names are as they were kept, without duplicates. */
void cert_pair_set_names(struct cert_pair *pair, const struct sts_str *names, size_t count);
/* Takes the bytes to keep. The key may be of a kind that is not kept: then it is refused later. */
void cert_pair_pack(struct cert_pair *pair, struct sts_str leaf, const EVP_PKEY *key);
void cert_pair_set_lines(struct cert_pair *pair, const uint32_t *lines, size_t count);
bool cert_pair_has_name(const struct cert_pair *pair, struct sts_str name);
struct sts_str cert_pair_leaf(const struct cert_pair *pair); /* DER */

/* The objects that a handshake needs, besides the chain. */
struct cert_objects {
    X509 *leaf;
    EVP_PKEY *key;
};
/* Makes them of the bytes; false when OpenSSL does not (out of the question for a checked pair). */
bool cert_pair_decode(const struct cert_pair *pair, struct cert_objects *out);
void cert_objects_drop(struct cert_objects *objects);

/* Remembers the attributes of both files, as they were when they were read after `now_ns`. */
void cert_seen_at(struct cert_pair *pair, const struct stat st[2], int64_t now_ns);
/* Whether nothing was written to them since. */
bool cert_seen_same(const struct cert_pair *pair);
extern int64_t cert_young_ns; /* changed by tests only */

/* Files that belong together, found by cert_find. */
struct cert_candidate {
    struct sts_str file, key_file; /* equal: certificate and key in one file */
    struct sts_str label;          /* a host name that the path suggests, or empty */
    struct sts_pos where;          /* the configured path */
    bool required; /* it must be a pair; else a file without a key is none of our business */
};

struct cert_candidates {
    struct sts_arena *arena;
    struct cert_candidate *items; /* on the heap */
    size_t count, capacity;
};

/* Adds what `path` (absolute, NUL-terminated) leads to; directories are walked two levels deep. */
void cert_find(struct cert_candidates *list, struct sts_str path, struct sts_pos where,
               struct sts_diags *diags);
/* Adds what is in this one folder, as cert_find does. */
void cert_find_folder(struct cert_candidates *list, struct sts_str path, struct sts_pos where,
                      struct sts_diags *diags);
/* After all paths: joins keys that were configured as files of their own with certificates. */
void cert_find_finish(struct cert_candidates *list);
/* Whether a file is taken for a key by its name. */
bool cert_find_is_key(struct sts_str path);
void cert_candidates_fini(struct cert_candidates *list);

/* State of one cert_store_load; several threads load with one. */
struct cert_loader {
    time_t now;
    const struct cert_store *previous;
    const struct cert_index *known; /* may be NULL */
    pthread_mutex_t lock;
    struct cert_table chains;             /* digest -> struct cert_chain, referenced */
    atomic_size_t read, parsed, recalled; /* pairs: see struct cert_work */
};
void cert_loader_init(struct cert_loader *loader, const struct cert_store *previous, time_t now);
void cert_loader_fini(struct cert_loader *loader);

enum cert_outcome { CERT_LOADED, CERT_IGNORED, CERT_BROKEN };

/* Loads and checks one candidate. CERT_LOADED gives a reference in *out; CERT_BROKEN has reported
 * errors and gives in *out what could be read (for its names), or NULL. */
enum cert_outcome cert_load(struct cert_loader *loader, const struct cert_candidate *candidate,
                            struct sts_diags *diags, struct cert_pair **out);

/* What became of one candidate. */
struct cert_result {
    enum cert_outcome outcome;
    struct cert_pair *pair;
    struct sts_diags diags;
    struct sts_arena *arena; /* of diags */
};

/* Loads all candidates; by as many threads as there are processors when nothing is served meanwhile
 * (no previous store). `results` has as many places, to be given to cert_result_fini each. */
void cert_load_all(struct cert_loader *loader, const struct cert_candidates *candidates,
                   struct cert_result *results);
void cert_result_fini(struct cert_result *result);

/* All rules a pair must meet to be presented; true when no error was added. */
bool cert_check(const struct cert_pair *pair, const struct cert_objects *objects, time_t now,
                struct sts_diags *diags);
/* The part of cert_check that time or the reader changes, for a pair that is reused. */
bool cert_check_again(const struct cert_pair *pair, time_t now, struct sts_diags *diags);

/* The pair that came from this certificate file, or NULL. */
const struct cert_pair *cert_store_by_file(const struct cert_store *store, struct sts_str file);
/* All of them, to be freed with free(). */
struct cert_pair **cert_store_pairs(const struct cert_store *store, size_t *count);
/* The chain of this digest that pairs of the store have, or NULL. */
struct cert_chain *cert_store_chain(const struct cert_store *store, struct sts_str digest);

#endif
