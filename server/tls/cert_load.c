/* Bytes of a certificate file and a key file to a checked pair. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/sys/file.h"
#include "server/tls/cert_index.h"
#include "server/tls/cert_leaf.h"
#include "server/tls/cert_load_parts.h"
#include "server/tls/cert_sum.h"

void cert_loader_init(struct cert_loader *loader, const struct cert_store *previous, time_t now)
{
    *loader = (struct cert_loader){.now = now, .previous = previous};
    pthread_mutex_init(&loader->lock, NULL);
}

void cert_loader_fini(struct cert_loader *loader)
{
    for (size_t i = 0; i < loader->chains.size; i++)
        cert_chain_unref(loader->chains.slots[i].value);
    cert_table_fini(&loader->chains);
    cert_slab_unref(loader->slab);
    pthread_mutex_destroy(&loader->lock);
}

/* Where an earlier pair could be kept, a file that is being written is waited for: a chain cut
 * between two certificates looks whole. */
static bool cert_load_read_one(struct load *l, struct sts_str path, struct sts_str shown,
                               struct sts_buf *out, struct stat *st)
{
    if ((l->loader->previous ? file_read_settled : file_read)(path.ptr, CERT_FILE_MAX, out, st) ==
        0)
        return true;
    int error = errno;
    struct sts_diag *d = load_report(l, "certificate-unreadable", shown, 0, file_error(error));
    d->related = l->candidate->where;
    if (error == EACCES)
        sts_diag_help(
            l->diags, d,
            "let the user of the service read it (and enter its folders); by hand, try sudo");
    return false;
}

/* A certificate whose key file is missing may still carry its key itself. */
static bool read_files(struct load *l)
{
    const struct cert_candidate *c = l->candidate;

    if (!cert_load_read_one(l, c->file, l->file, &l->text, &l->st[0]))
        return false;
    l->st[1] = l->st[0];
    if (sts_str_eq(c->file, c->key_file))
        return true;
    if (stat(c->key_file.ptr, &l->st[1]) != 0 && errno == ENOENT)
        return true;
    return cert_load_read_one(l, c->key_file, l->key_file, &l->key_text, &l->st[1]);
}

static void digest_files(const struct load *l, unsigned char out[CERT_SUM])
{
    uint64_t len = l->text.len;

    /* The length in front keeps "ab"+"c" and "a"+"bc" apart. */
    const struct sts_str pieces[] = {
        {(const char *)&len, sizeof(len)}, sts_buf_str(&l->text), sts_buf_str(&l->key_text)};
    cert_sum(pieces, 3, out);
}

/* The earlier pair of the same files, counted, or NULL. */
static struct cert_pair *cert_load_earlier(const struct load *l)
{
    const struct cert_store *previous = l->loader->previous;
    const struct cert_candidate *c = l->candidate;
    const struct cert_pair *old = previous ? cert_store_by_file(previous, c->file) : NULL;

    return old && sts_str_eq(old->key_name, cert_key_name(c->file, c->key_file))
               ? cert_pair_ref(old)
               : NULL;
}

/* The chain of this digest, counted, or NULL: of this load or of the previous store. */
static struct cert_chain *find_chain(struct cert_loader *loader, struct sts_str digest)
{
    pthread_mutex_lock(&loader->lock);
    struct cert_chain *chain = cert_table_find(&loader->chains, digest);
    pthread_mutex_unlock(&loader->lock);
    if (!chain && loader->previous)
        chain = cert_store_chain(loader->previous, digest);
    if (!chain && loader->known)
        chain = cert_index_chain(loader->known, digest);
    return chain ? cert_chain_ref(chain) : NULL;
}

/* What is above the leaf; false when a part of it is unreadable. */
static bool take_chain(struct load *l)
{
    struct cert_loader *loader = l->loader;
    unsigned char digest[CERT_SUM];
    size_t bad;

    if (l->count < 2)
        return true;
    cert_chain_digest(l->ders + 1, l->count - 1, digest);
    l->pair->chain = find_chain(loader, cert_sum_str(digest));
    if (l->pair->chain)
        return true;
    l->pair->chain = cert_chain_new(l->ders + 1, l->count - 1, &bad);
    if (!l->pair->chain) {
        load_report_unreadable(l, bad + 1);
        return false;
    }
    pthread_mutex_lock(&loader->lock);
    if (cert_table_add(&loader->chains, cert_sum_str(l->pair->chain->digest), l->pair->chain))
        cert_chain_ref(l->pair->chain);
    pthread_mutex_unlock(&loader->lock);
    return true;
}

/* The short way when the key fits, else the long one. */
static void take_leaf(struct load *l)
{
    X509 *leaf = l->objects.key ? cert_decode_bare(l->ders[0]) : NULL;

    l->pair->bare = leaf && cert_fit_key(leaf, l->objects.key, l->ders[0]);
    if (!l->pair->bare) {
        X509_free(leaf);
        leaf = cert_decode(l->ders[0]);
    }
    l->objects.leaf = leaf;
}

/* Keeps the leaf's bytes in memory; at a first start many together. */
static void keep_leaf(struct load *l)
{
    struct cert_loader *loader = l->loader;
    struct sts_str leaf = l->ders[0];

    pthread_mutex_lock(&loader->lock);
    if (!loader->slab || !cert_leaf_keep(l->pair, loader->slab, leaf)) {
        size_t size = loader->previous || leaf.len > CERT_SLAB ? leaf.len : CERT_SLAB;
        cert_slab_unref(loader->slab);
        loader->slab = cert_slab_new(size);
        cert_leaf_keep(l->pair, loader->slab, leaf);
    }
    pthread_mutex_unlock(&loader->lock);
}

/* The pair has the bytes from now on. */
static void load_give_key(struct load *l)
{
    cert_pair_set_key(l->pair, l->key.ptr, l->key.len);
    l->key = (struct cert_key_bytes){0};
}

static enum cert_outcome cert_load_build(struct load *l, const unsigned char *digest)
{
    l->pair = cert_pair_new(l->candidate->file, l->candidate->key_file);
    memcpy(l->pair->digest, digest, sizeof(l->pair->digest));
    atomic_fetch_add(&l->loader->parsed, 1);
    enum cert_outcome outcome = load_scan(l);
    bool readable = take_chain(l);
    if (l->count == 0)
        return outcome;
    take_leaf(l);
    if (readable && !l->objects.leaf) {
        load_report_unreadable(l, 0);
        readable = false;
    }
    if (!readable)
        outcome = l->has_key || l->candidate->required ? CERT_BROKEN : CERT_IGNORED;
    if (l->objects.leaf)
        cert_pair_describe(l->pair, l->objects.leaf);
    if (outcome != CERT_LOADED)
        return outcome;
    cert_pair_set_lines(l->pair, l->lines, l->count);
    if (!cert_check(l->pair, &l->objects, l->ders[0], l->loader->now, l->diags))
        return CERT_BROKEN;
    load_give_key(l);
    keep_leaf(l);
    l->pair = cert_pair_seal(l->pair);
    return CERT_LOADED;
}

static void load_fini(struct load *l)
{
    for (size_t i = 0; i < l->count; i++)
        OPENSSL_free((void *)l->ders[i].ptr);
    cert_objects_drop(&l->objects);
    cert_key_drop(&l->key);
    file_wipe(&l->text);
    file_wipe(&l->key_text);
}

/* The pair as the index has it, with the key of the text that was read. False: it must be parsed.
 */
static bool cert_load_recall(struct load *l, const struct cert_known *known)
{
    const struct cert_candidate *c = l->candidate;
    bool peeled = load_peel_key(sts_buf_str(l->key_text.len ? &l->key_text : &l->text), &l->key);
    struct cert_pair *pair =
        peeled ? cert_known_pair(l->loader->known, known, c->file, c->key_file) : NULL;

    if (!pair) {
        cert_key_drop(&l->key);
        return false;
    }
    l->pair = pair;
    load_give_key(l);
    l->pair = cert_pair_seal(pair);
    return true;
}

/* Nothing was written to the files since: only the key is read. They are named as seen from an open
 * folder. */
static bool take_unread(struct load *l, const struct cert_known *known, int folder,
                        const char *file, const char *key_file)
{
    bool apart = !sts_str_eq(l->candidate->file, l->candidate->key_file);
    struct sts_buf *text = apart ? &l->key_text : &l->text;

    if (apart && fstatat(folder, file, &l->st[0], 0) != 0)
        return false;
    bool good = file_read_in(folder, key_file, CERT_FILE_MAX, text, &l->st[apart]) == 0;
    if (!apart)
        l->st[1] = l->st[0];
    good = good && cert_known_seen(known, l->st) && cert_load_recall(l, known);
    if (!good)
        file_wipe(text);
    return good;
}

static const struct cert_known *early_folder(void *data, int from, const char *name,
                                             struct sts_str path, struct sts_str *file,
                                             struct sts_str *key_file)
{
    const struct cert_loader *loader = data;
    const struct cert_known *known;
    struct stat st;

    if (fstatat(from, name, &st, 0) != 0 || !S_ISDIR(st.st_mode))
        return NULL;
    known = cert_index_in_folder(loader->known, path, &st);
    if (known)
        cert_known_names(known, file, key_file);
    return known;
}

static void early_pair(void *data, int from, size_t skip, const struct cert_known *known,
                       struct cert_candidate *candidate)
{
    struct load l = {.loader = data, .candidate = candidate};

    if (!known)
        known = cert_index_find(l.loader->known, candidate->file, candidate->key_file);
    if (known &&
        take_unread(&l, known, from, candidate->file.ptr + skip, candidate->key_file.ptr + skip))
        candidate->pair = l.pair;
    load_fini(&l);
}

struct cert_early cert_load_early(struct cert_loader *loader)
{
    return (struct cert_early){early_folder, early_pair, loader};
}

/* Reads the files; the pair is `old` again when their bytes are. */
static enum cert_outcome read_pair(struct load *l, struct cert_pair *old,
                                   const struct cert_known *known)
{
    unsigned char digest[CERT_SUM];
    int64_t before = file_clock_ns();
    enum cert_outcome outcome = CERT_LOADED;

    atomic_fetch_add(&l->loader->read, 1);
    if (!read_files(l))
        return CERT_BROKEN;
    digest_files(l, digest);
    if (old && memcmp(old->digest, digest, sizeof(digest)) == 0)
        l->pair = cert_pair_ref(old);
    else if (!known || !cert_known_has(known, digest) || !cert_load_recall(l, known))
        outcome = cert_load_build(l, digest);
    cert_seen_at(l->pair, l->st, before);
    return outcome;
}

enum cert_outcome cert_load(struct cert_loader *loader, const struct cert_candidate *candidate,
                            struct sts_diags *diags, struct cert_pair **out)
{
    struct load l = {.loader = loader, .candidate = candidate, .diags = diags};
    enum cert_outcome outcome = CERT_LOADED;
    struct cert_pair *old = cert_load_earlier(&l);
    const struct cert_known *known = NULL;

    l.file = sts_arena_dup(diags->arena, candidate->file);
    l.key_file = sts_arena_dup(diags->arena, candidate->key_file);
    if (!old && loader->known && !candidate->pair)
        known = cert_index_find(loader->known, candidate->file, candidate->key_file);
    if (old && cert_seen_same(old))
        l.pair = cert_pair_ref(old);
    else if (candidate->pair)
        l.pair = cert_pair_ref(candidate->pair);
    else if (!known ||
             !take_unread(&l, known, AT_FDCWD, candidate->file.ptr, candidate->key_file.ptr))
        outcome = read_pair(&l, old, known);
    if (outcome == CERT_LOADED && candidate->folder && l.pair->folder != candidate->folder) {
        l.pair->folder = candidate->folder;
        l.pair->stale = true;
    }
    /* What was not parsed now was good when it was; but time goes by. */
    if (outcome == CERT_LOADED && l.count == 0 && !cert_check_again(l.pair, loader->now, diags))
        outcome = CERT_BROKEN;
    load_fini(&l);
    cert_pair_unref(old);
    *out = l.pair;
    return outcome;
}

int cert_reread(struct sts_str file, struct sts_str key_file, unsigned char digest[CERT_SUM],
                struct sts_buf *leaf)
{
    struct load l = {0};
    bool apart = !sts_str_eq(file, key_file);
    size_t len = 0;
    unsigned char *der = NULL;

    if (file_read(file.ptr, CERT_FILE_MAX, &l.text, NULL) == 0 &&
        (!apart || file_read(key_file.ptr, CERT_FILE_MAX, &l.key_text, NULL) == 0 ||
         errno == ENOENT))
        der = load_first_der(sts_buf_str(&l.text), &len);
    if (der) {
        digest_files(&l, digest);
        sts_buf_add(leaf, (struct sts_str){(const char *)der, len});
    }
    OPENSSL_free(der);
    load_fini(&l);
    return der ? 0 : -1;
}
