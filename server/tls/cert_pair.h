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

#define CERT_FILE_MAX  (1u << 20)  /* bytes of one certificate or key file */
#define CERT_CHAIN_MAX 10          /* certificates in a file: where OpenSSL and browsers stop too */
#define CERT_DER_MAX   (32u << 10) /* bytes of all of them, decoded */
#define CERT_KEY_HELP  "use ECDSA P-256, or RSA with 2048 to 4096 bits and exponent 65537"

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

struct cert_index;
struct cert_known;
struct cert_pack;
struct cert_slab;

enum { CERT_SEEN = 16 };

/* The bytes of leaf and key are kept, not the objects: a tenth of the memory, and a pair whose
 * files are gone or half-renewed can still be presented. cert_cache makes the objects when a client
 * asks. The leaf's bytes go out of memory as soon as the pack beside the ledger has them.
 *
 * A hundred thousand of these are held: a sealed pair is one piece of the heap.
 */
struct cert_pair {
    atomic_uint refs;
    bool sealed;
    bool stale;               /* its record in the pack says other attributes */
    bool bare;                /* cert_put_key makes the leaf, else only cert_decode does */
    bool self_signed;         /* the leaf: nobody but its own key vouches for its names */
    bool ca;                  /* it may issue certificates: no host's own */
    struct cert_info info;    /* its strings belong to the pair */
    struct sts_str key_name;  /* see cert_pair_key_file */
    unsigned char digest[32]; /* SHA-256 of the bytes of both files */
    /* Of the attributes of both files; all 0: they were too young to tell by them that nothing
     * was written since. Only the builder looks at it, and renews it. */
    unsigned char seen[CERT_SEEN];
    uint64_t folder;          /* cert_seen_folder, when it is the only pair there; by the builder */
    struct sts_str *names;    /* DNS names of the leaf, lower case; "*." patterns as they are */
    struct cert_chain *chain; /* referenced; NULL: none */
    uint32_t *lines;          /* where each certificate begins, leaf first */
    unsigned char *key;       /* as cert_key_peel gives it */
    uint32_t name_count;
    uint32_t key_len, leaf_len;
    uint32_t record; /* bytes of its record in a pack; 0: the leaf is in memory */
    union {          /* by cert_leaf_* only: it may move at any time */
        struct {
            struct cert_pack *pack; /* referenced */
            uint64_t at;
        };
        struct {
            struct cert_slab *slab; /* referenced */
            const unsigned char *leaf;
        };
    };
};

struct cert_pair *cert_pair_new(struct sts_str file, struct sts_str key_file);
/* The same in one piece; for the last change. Takes the reference, which must be the only one. */
struct cert_pair *cert_pair_seal(struct cert_pair *pair);
/* Reads the DNS names, validity and kind of the leaf into the pair; pair->chain is there. */
void cert_pair_describe(struct cert_pair *pair, X509 *leaf);
/* The same from what is known already: names are as they were kept, without duplicates. */
void cert_pair_set_names(struct cert_pair *pair, const struct sts_str *names, size_t count);
void cert_pair_set_lines(struct cert_pair *pair, const uint32_t *lines, size_t count);
/* Takes bytes from OPENSSL_malloc. */
void cert_pair_set_key(struct cert_pair *pair, unsigned char *packed, size_t len);
bool cert_pair_has_name(const struct cert_pair *pair, struct sts_str name);
/* How a pair keeps the path of its key file. */
struct sts_str cert_key_name(struct sts_str file, struct sts_str key_file);
/* The path of its key file, in `space` when it has to be put together. */
#define CERT_PATH_MAX 4096
struct sts_str cert_pair_key_file(const struct cert_pair *pair, char space[CERT_PATH_MAX]);

/* Where the leaf's bytes are. Many of one load share a slab, so that whole pages become free when
 * the pack has them. */
enum { CERT_SLAB = 256 << 10 };
struct cert_slab *cert_slab_new(size_t size);
void cert_slab_unref(struct cert_slab *slab); /* NULL is fine */
/* Keeps a copy of `leaf` for the pair: false when the slab has no more room. */
bool cert_leaf_keep(struct cert_pair *pair, struct cert_slab *slab, struct sts_str leaf);
/* The pack has it at `at`. At any time, by one thread. */
void cert_leaf_settle(struct cert_pair *pair, struct cert_pack *pack, uint64_t at, uint32_t record);
void cert_leaf_drop(struct cert_pair *pair); /* with the pair */
bool cert_leaf_is_in(const struct cert_pair *pair, const struct cert_pack *pack);
/* Appends the leaf as DER: from memory, from the pack, or, when that is not what it was, from the
 * certificate's file as long as that is what it was. False: it is gone. By any thread. */
bool cert_leaf_get(const struct cert_pair *pair, struct sts_buf *out);

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
/* Whether `seen` is of these attributes. */
bool cert_seen_is(const unsigned char seen[CERT_SEEN], const struct stat st[2]);
/* What a folder's attributes were before it was listed after `now_ns`: as long as they are, it has
 * the same names in it. 0: it was too young to tell. */
uint64_t cert_seen_folder(const struct stat *st, int64_t now_ns);
/* For comparing with it. */
uint64_t cert_seen_folder_now(const struct stat *st);
extern int64_t cert_young_ns; /* changed by tests only */

/* Files that belong together, found by cert_find. */
struct cert_candidate {
    struct sts_str file, key_file; /* equal: certificate and key in one file */
    struct sts_str label;          /* a host name that the path suggests, or empty */
    struct sts_pos where;          /* the configured path */
    bool required;   /* it must be a pair; else a file without a key is none of our business */
    uint64_t folder; /* cert_seen_folder, when nothing else in it is of interest; else 0 */
    struct cert_pair *pair; /* loaded early (referenced), or NULL */
};

/* What is known from earlier, asked while folders are open; by several threads. `from` is an open
 * folder. */
struct cert_early {
    /* The one pair that the folder `path`, which is `name` in `from`, held before and still holds,
     * and the names of its files, which live as long as `data`; or NULL. */
    const struct cert_known *(*folder)(void *data, int from, const char *name, struct sts_str path,
                                       struct sts_str *file, struct sts_str *key_file);
    /* Sets the candidate's pair if its files are as they were. What their paths have behind the
     * first `skip` bytes is where they are in `from`. `known`: what folder() gave, or NULL. */
    void (*pair)(void *data, int from, size_t skip, const struct cert_known *known,
                 struct cert_candidate *candidate);
    void *data;
};

struct cert_candidates {
    struct sts_arena *arena;
    struct cert_candidate *items; /* on the heap */
    size_t count, capacity;
    size_t paths;                   /* that were looked at */
    int64_t now_ns;                 /* file_clock_ns() before that */
    const struct cert_early *early; /* may be NULL */
    bool by_threads;                /* large folders are walked by several */
    struct sts_arena **arenas;      /* theirs */
    size_t arena_count;
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
    struct cert_table chains;   /* digest -> struct cert_chain, referenced */
    struct cert_slab *slab;     /* the one with room, or NULL */
    atomic_size_t read, parsed; /* pairs: see struct cert_work */
};
void cert_loader_init(struct cert_loader *loader, const struct cert_store *previous, time_t now);
void cert_loader_fini(struct cert_loader *loader);

enum cert_outcome { CERT_LOADED, CERT_IGNORED, CERT_BROKEN };

/* Loads and checks one candidate. CERT_LOADED gives a reference in *out; CERT_BROKEN has reported
 * errors and gives in *out what could be read (for its names), or NULL. */
enum cert_outcome cert_load(struct cert_loader *loader, const struct cert_candidate *candidate,
                            struct sts_diags *diags, struct cert_pair **out);

/* The part of it that is done best while the folder of both files is open: the pair that the index
 * knows of files nothing was written to since. */
struct cert_early cert_load_early(struct cert_loader *loader);

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

/* All rules a pair must meet to be presented; true when no error was added. `der`: the leaf. */
bool cert_check(const struct cert_pair *pair, const struct cert_objects *objects,
                struct sts_str der, time_t now, struct sts_diags *diags);
/* The part of cert_check that time or the reader changes, for a pair that is reused. */
bool cert_check_again(const struct cert_pair *pair, time_t now, struct sts_diags *diags);

/* The digest of the files as they are, and the leaf in them as DER. -1: it cannot be told. */
int cert_reread(struct sts_str file, struct sts_str key_file, unsigned char digest[32],
                struct sts_buf *leaf);

/* The pair that came from this certificate file, or NULL. */
const struct cert_pair *cert_store_by_file(const struct cert_store *store, struct sts_str file);
/* All of them, to be freed with free(). */
struct cert_pair **cert_store_pairs(const struct cert_store *store, size_t *count);
/* The chain of this digest that pairs of the store have, or NULL. */
struct cert_chain *cert_store_chain(const struct cert_store *store, struct sts_str digest);

#endif
