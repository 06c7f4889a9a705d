/* Bytes of a certificate file and a key file to a checked pair. */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/sys/file.h"
#include "server/tls/cert_index.h"
#include "server/tls/cert_key.h"
#include "server/tls/cert_leaf.h"
#include "server/tls/cert_pair.h"
#include "server/tls/cert_pem.h"

/* What one candidate turned out to hold. */
struct load {
    struct cert_loader *loader;
    const struct cert_candidate *candidate;
    struct sts_diags *diags;
    struct sts_str file, key_file; /* as reported; in the arena of diags */
    struct sts_buf text, key_text; /* key_text is empty when the key is in `text` */
    struct cert_pair *pair;
    struct sts_str ders[CERT_CHAIN_MAX]; /* certificates, leaf first */
    uint32_t lines[CERT_CHAIN_MAX];      /* where they begin */
    size_t count;
    struct cert_objects objects;
    struct stat st[2]; /* of both files as they were read */
    bool has_key;      /* a private key block is there, usable or not */
};

static struct sts_str digest_key(const unsigned char *digest)
{
    return (struct sts_str){(const char *)digest, SHA256_DIGEST_LENGTH};
}

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
    pthread_mutex_destroy(&loader->lock);
}

static struct sts_diag *report(struct load *l, const char *code, struct sts_str file, uint32_t line,
                               const char *message)
{
    struct sts_pos at = {.source = file, .line = line, .column = line ? 1 : 0};
    return sts_diag_add(l->diags, STS_ERROR, code, at, "%s", message);
}

static void report_unreadable(struct load *l, size_t index)
{
    struct sts_diag *d = report(l, "certificate-pem", l->file, l->lines[index],
                                "this block is not a readable certificate");
    sts_diag_help(l->diags, d, "the file may be damaged: copy or issue it again");
}

/* Where an earlier pair could be kept, a file that is being written is waited for: a chain cut
 * between two certificates looks whole. */
static bool read_one(struct load *l, struct sts_str path, struct sts_str shown, struct sts_buf *out,
                     struct stat *st)
{
    if ((l->loader->previous ? file_read_settled : file_read)(path.ptr, CERT_FILE_MAX, out, st) ==
        0)
        return true;
    int error = errno;
    struct sts_diag *d = report(l, "certificate-unreadable", shown, 0, file_error(error));
    d->related = l->candidate->where;
    if (error == EACCES)
        sts_diag_help(l->diags, d, "let the user of the service read it (and enter its folders)");
    return false;
}

/* A certificate whose key file is missing may still carry its key itself. */
static bool read_files(struct load *l)
{
    const struct cert_candidate *c = l->candidate;

    if (!read_one(l, c->file, l->file, &l->text, &l->st[0]))
        return false;
    l->st[1] = l->st[0];
    if (sts_str_eq(c->file, c->key_file))
        return true;
    if (stat(c->key_file.ptr, &l->st[1]) != 0 && errno == ENOENT)
        return true;
    return read_one(l, c->key_file, l->key_file, &l->key_text, &l->st[1]);
}

static void digest_files(const struct load *l, unsigned char out[SHA256_DIGEST_LENGTH])
{
    EVP_MD_CTX *md = sts_must(EVP_MD_CTX_new());
    uint64_t len = l->text.len;

    /* The length in front keeps "ab"+"c" and "a"+"bc" apart. */
    if (EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1 ||
        EVP_DigestUpdate(md, &len, sizeof(len)) != 1 ||
        EVP_DigestUpdate(md, l->text.ptr, l->text.len) != 1 ||
        EVP_DigestUpdate(md, l->key_text.ptr, l->key_text.len) != 1 ||
        EVP_DigestFinal_ex(md, out, NULL) != 1)
        sts_must(NULL);
    EVP_MD_CTX_free(md);
}

/* The earlier pair of the same files, counted, or NULL. */
static struct cert_pair *earlier(const struct load *l)
{
    const struct cert_store *previous = l->loader->previous;
    const struct cert_pair *old =
        previous ? cert_store_by_file(previous, l->candidate->file) : NULL;

    return old && sts_str_eq(old->info.key_file, l->candidate->key_file) ? cert_pair_ref(old)
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
    return chain ? cert_chain_ref(chain) : NULL;
}

/* What is above the leaf; false when a part of it is unreadable. */
static bool take_chain(struct load *l)
{
    struct cert_loader *loader = l->loader;
    unsigned char digest[SHA256_DIGEST_LENGTH];
    size_t bad;

    if (l->count < 2)
        return true;
    cert_chain_digest(l->ders + 1, l->count - 1, digest);
    l->pair->chain = find_chain(loader, digest_key(digest));
    if (l->pair->chain)
        return true;
    l->pair->chain = cert_chain_new(l->ders + 1, l->count - 1, &bad);
    if (!l->pair->chain) {
        report_unreadable(l, bad + 1);
        return false;
    }
    pthread_mutex_lock(&loader->lock);
    if (cert_table_add(&loader->chains, digest_key(l->pair->chain->digest), l->pair->chain))
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

static bool add_certificate(struct load *l, const struct cert_block *block)
{
    size_t len;

    if (l->count == CERT_CHAIN_MAX) {
        report(l, "certificate-chain-order", l->file, block->line,
               "too many certificates in one file");
        return false;
    }
    l->lines[l->count] = block->line;
    unsigned char *der = cert_pem_decode(block, &len);
    if (!der) {
        report_unreadable(l, l->count);
        return false;
    }
    l->ders[l->count++] = (struct sts_str){(const char *)der, len};
    return true;
}

static bool is_certificate(struct sts_str label)
{
    return sts_str_is(label, "CERTIFICATE") || sts_str_is(label, "X509 CERTIFICATE");
}

static bool is_key(struct sts_str label)
{
    return sts_str_ends(label, STS_STR("PRIVATE KEY"));
}

static bool not_cut(struct load *l, struct sts_str file, const struct cert_block *block)
{
    if (!block->cut)
        return true;
    sts_diag_help(l->diags,
                  report(l, "certificate-pem", file, block->line,
                         "a block begins here, but its END line is missing"),
                  "the file was cut off: copy it again, and replace it by renaming");
    return false;
}

static bool contains(struct sts_str text, struct sts_str word)
{
    return memmem(text.ptr, text.len, word.ptr, word.len) != NULL;
}

static bool read_key(struct load *l, struct sts_str file, const struct cert_block *block)
{
    struct sts_diag *d;

    if (sts_str_is(block->label, "ENCRYPTED PRIVATE KEY") ||
        contains(block->text, STS_STR("Proc-Type: 4,ENCRYPTED"))) {
        d = report(l, "certificate-key-encrypted", file, block->line,
                   "the private key asks for a passphrase, which a service cannot type");
        sts_diag_help(l->diags, d, "remove it: openssl pkey -in OLD -out NEW (and chmod 600 NEW)");
        return false;
    }
    l->objects.key = cert_key_read(block);
    if (l->objects.key)
        return true;
    report(l, "certificate-pem", file, block->line, "this block is not a readable private key");
    return false;
}

/* Walks one file; takes certificates when `certificates`, and the first private key. */
static bool scan(struct load *l, const struct sts_buf *text, struct sts_str file, bool certificates)
{
    struct cert_pem pem = cert_pem_begin(sts_buf_str(text));
    struct cert_block block;

    while (cert_pem_next(&pem, &block)) {
        bool cert = certificates && is_certificate(block.label);
        bool key = !l->has_key && is_key(block.label);
        if (!cert && !key)
            continue;
        l->has_key |= key;
        if (!not_cut(l, file, &block))
            return false;
        if (cert ? !add_certificate(l, &block) : !read_key(l, file, &block))
            return false;
    }
    return true;
}

static bool is_binary(struct sts_str text)
{
    return text.len > 1 && (unsigned char)text.ptr[0] == 0x30 && (text.ptr[1] & 0x80);
}

static void report_no_certificate(struct load *l)
{
    struct sts_diag *d;

    if (is_binary(sts_buf_str(&l->text))) {
        d = report(l, "certificate-no-certificate", l->file, 0, "not PEM, but binary (DER or PFX)");
        sts_diag_help(l->diags, d,
                      "convert it: openssl x509 -inform DER -in OLD -out NEW, or for PFX openssl "
                      "pkcs12 -in OLD -nodes -out NEW");
    } else if (l->has_key) {
        d = report(l, "certificate-no-certificate", l->file, 0,
                   "a private key without a certificate");
        sts_diag_help(l->diags, d, "name the certificate file; its key is found beside it");
    } else {
        d = report(l, "certificate-no-certificate", l->file, 0,
                   l->text.len ? "there is no certificate in this file" : "the file is empty");
    }
    d->related = l->candidate->where;
}

static void report_no_key(struct load *l)
{
    bool apart = !sts_str_eq(l->candidate->file, l->candidate->key_file);
    struct sts_diag *d;

    if (l->key_text.len) {
        d = report(l, "certificate-no-key", l->key_file, 0, "there is no private key in this file");
    } else {
        d = report(l, "certificate-no-key", l->file, 0,
                   "the private key of this certificate is missing");
        if (apart)
            sts_diag_help(l->diags, d, "expected in %.*s", STS_ARG(l->key_file));
        else
            sts_diag_help(l->diags, d,
                          "put it beside the certificate (NAME.crt and NAME.key, or "
                          "fullchain.pem and privkey.pem) or into the same file");
    }
    d->related = l->candidate->where;
}

static enum cert_outcome parse(struct load *l)
{
    bool apart = l->key_text.len > 0;

    if (apart && !scan(l, &l->key_text, l->key_file, false))
        return CERT_BROKEN;
    if (!scan(l, &l->text, l->file, true))
        return l->has_key || l->candidate->required ? CERT_BROKEN : CERT_IGNORED;
    if (l->count > 0 && l->has_key)
        return CERT_LOADED;
    if (l->count == 0 && (l->candidate->required || (l->text.len == 0 && apart))) {
        report_no_certificate(l);
        return CERT_BROKEN;
    }
    if (l->candidate->required) {
        report_no_key(l);
        return CERT_BROKEN;
    }
    return CERT_IGNORED;
}

/* The names and dates of bytes that were good before are known. False: parse it all. */
static bool recall(struct load *l)
{
    const struct cert_index *known = l->loader->known;

    if (!known || !cert_index_describe(known, l->pair))
        return false;
    cert_pair_set_lines(l->pair, l->lines, l->count);
    cert_pair_pack(l->pair, l->ders[0], l->objects.key);
    atomic_fetch_add(&l->loader->recalled, 1);
    return true;
}

static enum cert_outcome build(struct load *l, const unsigned char *digest)
{
    l->pair = cert_pair_new(l->candidate->file, l->candidate->key_file);
    memcpy(l->pair->digest, digest, sizeof(l->pair->digest));
    enum cert_outcome outcome = parse(l);
    bool readable = take_chain(l);
    if (outcome == CERT_LOADED && readable && recall(l))
        return cert_check_again(l->pair, l->loader->now, l->diags) ? CERT_LOADED : CERT_BROKEN;
    atomic_fetch_add(&l->loader->parsed, 1);
    if (l->count == 0)
        return outcome;
    take_leaf(l);
    if (readable && !l->objects.leaf) {
        report_unreadable(l, 0);
        readable = false;
    }
    if (!readable)
        outcome = l->has_key || l->candidate->required ? CERT_BROKEN : CERT_IGNORED;
    if (l->objects.leaf)
        cert_pair_describe(l->pair, l->objects.leaf);
    if (outcome == CERT_LOADED) {
        cert_pair_set_lines(l->pair, l->lines, l->count);
        cert_pair_pack(l->pair, l->ders[0], l->objects.key);
        if (!cert_check(l->pair, &l->objects, l->loader->now, l->diags))
            outcome = CERT_BROKEN;
    }
    return outcome;
}

static void wipe(struct sts_buf *text)
{
    if (text->ptr)
        OPENSSL_cleanse(text->ptr, text->cap);
    sts_buf_fini(text);
}

static void load_fini(struct load *l)
{
    for (size_t i = 0; i < l->count; i++)
        OPENSSL_free((void *)l->ders[i].ptr);
    cert_objects_drop(&l->objects);
    wipe(&l->text);
    wipe(&l->key_text);
}

/* Reads the files; the pair is `old` again when their bytes are. */
static enum cert_outcome read_pair(struct load *l, struct cert_pair *old)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    int64_t before = file_clock_ns();
    enum cert_outcome outcome = CERT_LOADED;

    atomic_fetch_add(&l->loader->read, 1);
    if (!read_files(l))
        return CERT_BROKEN;
    digest_files(l, digest);
    if (old && memcmp(old->digest, digest, sizeof(digest)) == 0)
        l->pair = cert_pair_ref(old);
    else
        outcome = build(l, digest);
    cert_seen_at(l->pair, l->st, before);
    return outcome;
}

enum cert_outcome cert_load(struct cert_loader *loader, const struct cert_candidate *candidate,
                            struct sts_diags *diags, struct cert_pair **out)
{
    struct load l = {.loader = loader, .candidate = candidate, .diags = diags};
    enum cert_outcome outcome = CERT_LOADED;
    struct cert_pair *old = earlier(&l);

    l.file = sts_arena_dup(diags->arena, candidate->file);
    l.key_file = sts_arena_dup(diags->arena, candidate->key_file);
    if (old && cert_seen_same(old))
        l.pair = cert_pair_ref(old);
    else
        outcome = read_pair(&l, old);
    if (old && l.pair == old && !cert_check_again(old, loader->now, diags))
        outcome = CERT_BROKEN;
    load_fini(&l);
    cert_pair_unref(old);
    *out = l.pair;
    return outcome;
}
