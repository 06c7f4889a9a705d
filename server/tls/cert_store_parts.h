/* Between cert_store.c, which makes a whole store, and cert_update.c, which makes one that differs
 * from another in a few pairs. */
#ifndef MTASTS_TLS_CERT_STORE_PARTS_H
#define MTASTS_TLS_CERT_STORE_PARTS_H

#include "server/tls/cert_pair.h"

/* A certificate without a key, and a name in it. */
struct cert_bare {
    struct cert_bare *next;
    struct sts_str file, name;
};

struct cert_store {
    atomic_uint refs;
    struct sts_arena *arena;
    /* A whole store, referenced: what is not here is there. NULL: this is one. */
    struct cert_store *base;
    struct cert_pair **pairs; /* referenced */
    size_t count, capacity;
    size_t added;              /* pairs here whose file `base` does not have */
    struct cert_table hosts;   /* name or "*." pattern -> struct cert_identity */
    struct cert_table files;   /* certificate file -> struct cert_pair */
    struct cert_table refused; /* name -> struct sts_str, why its certificate was left out */
    struct cert_table kept;    /* certificate file -> struct cert_pair, of an earlier store */
    struct cert_table gone;    /* those of them whose files are not there */
    struct cert_table chains;  /* digest -> struct cert_chain, referenced */
    struct cert_table several; /* names that more pairs of one key type have; any value */
    struct cert_table spoken;  /* candidates of which something was said or refused that matters to
                                * some host; any value */
    struct cert_bare *bare;    /* while it is loaded */
    struct sts_diags said;     /* all that was said at the load */
    struct cert_work work;
    struct cert_pack *pack; /* referenced; NULL: there is none, or none that was good */
    time_t loaded, until;   /* between these two all pairs are valid, those refused are not */
    bool unusual;           /* only another load tells what has become of it */
    bool may_mend;
};

struct cert_store *cert_store_new(time_t now);
/* The store itself, or the one below it. */
const struct cert_store *cert_store_whole(const struct cert_store *s);
/* Takes the caller's reference, and leaves names aside. */
void cert_store_add_bare(struct cert_store *s, struct cert_pair *pair);
/* Whether it can be that of a tenant's host. */
bool cert_name_matters(struct sts_str name);
/* The slot of a pair's key type. */
const struct cert_pair **cert_store_slot(struct cert_identity *id, const struct cert_pair *pair);
/* Which of two pairs goes before the other, whatever their dates, names and key types are: the
 * higher one. A pair that has an issuer, so that a neighbour who makes one for a name of somebody
 * else takes nothing from him; not even while the owner's renewal is half there and the pair before
 * it is kept. Then one that is on disk. */
enum cert_rank {
    CERT_RANK_NONE,
    CERT_RANK_SELF_SIGNED_KEPT,
    CERT_RANK_SELF_SIGNED,
    CERT_RANK_ISSUED_KEPT,
    CERT_RANK_ISSUED,
};
enum cert_rank cert_store_rank(const struct cert_store *store, const struct cert_pair *pair);
/* Whether a pair of an earlier store would not be presented for any of its names if it was kept. */
bool cert_store_does_without(const struct cert_store *store, const struct cert_pair *pair);
/* By the very name, pattern or not; NULL when there is none. */
const struct cert_identity *cert_store_exact(const struct cert_store *store, struct sts_str name);

#endif
