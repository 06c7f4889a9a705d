/* Certificate store: all certificates found under the configured paths, indexed by the DNS names of
 * their subjectAltName (RFC 8461 §3.3: the CN does not count; one-level wildcards do).
 *
 * Immutable once loaded and shared between snapshots by reference; unchanged files reuse the pairs
 * of the previous store, without being read when their attributes tell. A pair holds what it takes
 * to be presented whatever becomes of its files: names, paths, and the key in its shortest form,
 * half a kilobyte with an EC key; the leaf is in a pack beside the ledger, or in memory where none
 * can be written. cert_cache has the objects of those in demand.
 * Layouts are found by themselves: NAME/fullchain.pem+privkey.pem (certbot, dehydrated),
 * NAME/fullchain.cer+*.key (acme.sh), NAME.crt+NAME.key (lego, Caddy), tls.crt+tls.key
 * (Kubernetes), cert.pem+key.pem, NAME.pem+NAME-key.pem (mkcert), NAME.pem (combined), and plain
 * files named in the configuration. */
#ifndef MTASTS_TLS_CERT_STORE_H
#define MTASTS_TLS_CERT_STORE_H

#include <time.h>

#include "mtasts/config.h"
#include "mtasts/diag.h"
#include "server/sys/file.h"

struct cert_store;

enum cert_key_type { CERT_EC, CERT_RSA };

/* One usable certificate with its key and chain, for people and logs. Borrowed from the store. */
struct cert_info {
    enum cert_key_type key_type;
    struct sts_str file; /* certificate file */
    time_t not_before, not_after;
    size_t chain_length; /* leaf included */
};

/* What may be presented for one host: an EC and/or an RSA pair (NULL when there is none). */
struct cert_identity {
    const struct cert_pair *ec, *rsa;
};
const struct cert_info *cert_pair_info(const struct cert_pair *pair);
struct cert_pair *cert_pair_ref(const struct cert_pair *pair); /* atomic */
void cert_pair_unref(struct cert_pair *pair);                  /* NULL is fine */

/* Loads every pair; directories are searched two levels deep. Unusable ones (key does not match,
 * not yet valid, expired, unreadable, FIFO, no DNS name, weak key or signature, leaf not first,
 * chain out of order or with a gap...) are reported with codes "certificate-..." and left out. A
 * leaf without any intermediate is served with a warning: whether its issuer is a trusted root is
 * not known here. With `previous`, a pair caught half-renewed, or whose files vanished below a path
 * that is still configured, keeps the earlier one until that expires ("certificate-kept", a
 * warning). A pair that replaces one that would have lasted longer is taken, with the warning
 * "certificate-expires-earlier". Never NULL. Relative paths are taken from base_dir. `index` (may
 * be NULL) is the pack that cert_store_remember wrote, used when there is no previous store. */
struct cert_store *cert_store_load(const struct sts_path *paths, size_t count,
                                   struct sts_str base_dir, const char *index,
                                   const struct cert_store *previous, time_t now,
                                   struct sts_diags *diags);

/* The same without a previous store, in a thread of its own until it is finished, which must be.
 * What is given is borrowed until then. */
struct cert_loading;
struct cert_loading *cert_loading_begin(const struct sts_path *paths, size_t count,
                                        struct sts_str base_dir, const char *index, time_t now);
struct cert_store *cert_loading_finish(struct cert_loading *loading, struct sts_diags *diags);

/* A look at a few folders, when what else there is did not change since `previous` was made. */
struct cert_update {
    const struct sts_path *paths; /* as for cert_store_load */
    size_t path_count;
    struct sts_str base_dir;
    struct cert_store *previous;
    const struct file_entry *entries; /* what happened there, by paths without links; without a
                                         name: to a folder that is new */
    size_t entry_count;
    time_t now;
    struct sts_arena *arena;
    struct sts_str *names; /* receives, in `arena`, whose identity may be another now */
    size_t name_count;
};
/* What cert_store_load would give: `previous` itself, referenced, when nothing changed, or one that
 * has it as its base. NULL: cert_store_load is to be asked. */
struct cert_store *cert_store_update(struct cert_update *update, struct sts_diags *diags);
struct cert_store *cert_store_ref(struct cert_store *store); /* atomic: workers may hold refs */
void cert_store_unref(struct cert_store *store);
size_t cert_store_count(const struct cert_store *store); /* usable pairs */

/* What it took to load the store. */
struct cert_work {
    size_t read;   /* pairs of files whose attributes did not tell that they are as before */
    size_t parsed; /* and whose bytes were not as before either, nor known to the index */
};
struct cert_work cert_store_work(const struct cert_store *store);
/* Adds what is not there yet to the pack `index`, for the next start and instead of memory. By one
 * thread, while others may present the pairs. -1 with errno: then all stays as it was. */
int cert_store_remember(struct cert_store *store, const char *index);

/* Whether a pair of this store is the earlier one, because its files are not usable as they are. */
bool cert_store_is_kept(const struct cert_store *store, const struct cert_pair *pair);
/* The pair that is kept though this file of it is gone; NULL when there is none. */
const struct cert_pair *cert_store_gone(const struct cert_store *store, struct sts_str file);
/* Whether anything was left out that may become usable without being written again: it could not be
 * read, or is not valid yet. */
bool cert_store_may_mend(const struct cert_store *store);

/* The identity for a canonical host name. A self-signed pair is presented only where none that has
 * an issuer is left, one that is kept only where none of those on disk is as good; neither the name
 * nor the key type nor the end changes that. Among equals exact names go before the one-level
 * wildcard, and of several of one key type the one that expires last. False when none. */
bool cert_store_find(const struct cert_store *store, struct sts_str host,
                     struct cert_identity *out);

/* Why no certificate was usable for `host`, for a diagnostic: "expired on 2026-01-01 (FILE)" or
 * "no certificate names it"; in `arena`. */
struct sts_str cert_store_why_not(const struct cert_store *store, struct sts_arena *arena,
                                  struct sts_str host);

#endif
