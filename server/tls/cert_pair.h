/* Inside of server/tls: one certificate with its key and chain, and the steps that make one.
 *
 * find (which files belong together) -> load (bytes to objects) -> check (may it be presented) ->
 * store (index by name). A pair is immutable and counted: stores of several snapshots share it. */
#ifndef MTASTS_TLS_CERT_PAIR_H
#define MTASTS_TLS_CERT_PAIR_H

#include <openssl/x509.h>
#include <stdatomic.h>

#include "server/tls/cert_store.h"
#include "server/tls/cert_table.h"

#define CERT_FILE_MAX  (1u << 20) /* bytes of one certificate or key file */
#define CERT_CHAIN_MAX 10         /* certificates in a file: where OpenSSL and browsers stop too */

struct cert_pair {
    atomic_uint refs;
    struct cert_info info;    /* its strings belong to the pair */
    unsigned char digest[32]; /* SHA-256 of the bytes of both files */
    X509 *leaf;
    EVP_PKEY *key;
    STACK_OF(X509) * chain; /* without the leaf, may be empty */
    struct sts_str *names;  /* DNS names of the leaf, lower case; "*." patterns as they are */
    size_t name_count;
    uint32_t lines[CERT_CHAIN_MAX]; /* where each certificate begins, leaf first */
};

struct cert_pair *cert_pair_new(struct sts_str file, struct sts_str key_file);
struct cert_pair *cert_pair_ref(const struct cert_pair *pair);
void cert_pair_unref(struct cert_pair *pair); /* NULL is fine */
/* Reads the DNS names and validity of pair->leaf into the pair. */
void cert_pair_describe(struct cert_pair *pair);
bool cert_pair_has_name(const struct cert_pair *pair, struct sts_str name);

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
/* After all paths: joins keys that were configured as files of their own with certificates. */
void cert_find_finish(struct cert_candidates *list);
void cert_candidates_fini(struct cert_candidates *list);

/* State of one cert_store_load. */
struct cert_loader {
    time_t now;
    const struct cert_store *previous;
    struct cert_table issuers; /* SHA-256 of DER -> X509: chains share certificates */
    struct sts_arena *arena;
};
void cert_loader_fini(struct cert_loader *loader);

enum cert_outcome { CERT_LOADED, CERT_IGNORED, CERT_BROKEN };

/* Loads and checks one candidate. CERT_LOADED gives a reference in *out; CERT_BROKEN has reported
 * errors and gives in *out what could be read (for its names), or NULL. */
enum cert_outcome cert_load(struct cert_loader *loader, const struct cert_candidate *candidate,
                            struct sts_diags *diags, struct cert_pair **out);

/* All rules a pair must meet to be presented; true when no error was added. */
bool cert_check(const struct cert_pair *pair, time_t now, struct sts_diags *diags);
/* The part of cert_check that time or the reader changes, for a pair that is reused. */
bool cert_check_again(const struct cert_pair *pair, time_t now, struct sts_diags *diags);

/* The pair that came from this certificate file, or NULL. */
const struct cert_pair *cert_store_by_file(const struct cert_store *store, struct sts_str file);

#endif
