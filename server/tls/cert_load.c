/* Bytes of a certificate file and a key file to a checked pair. */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/sys/file.h"
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
    size_t count; /* certificates */
    bool has_key; /* a private key block is there, usable or not */
};

/* A chain certificate, shared by all pairs of one load that have it. */
struct cert_issuer {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    X509 *cert;
};

static struct sts_str digest_key(const unsigned char *digest)
{
    return (struct sts_str){(const char *)digest, SHA256_DIGEST_LENGTH};
}

void cert_loader_fini(struct cert_loader *loader)
{
    for (size_t i = 0; i < loader->issuers.size; i++) {
        struct cert_issuer *issuer = loader->issuers.slots[i].value;
        if (issuer)
            X509_free(issuer->cert);
    }
    cert_table_fini(&loader->issuers);
}

static struct sts_diag *report(struct load *l, const char *code, struct sts_str file, uint32_t line,
                               const char *message)
{
    struct sts_pos at = {.source = file, .line = line, .column = line ? 1 : 0};
    return sts_diag_add(l->diags, STS_ERROR, code, at, "%s", message);
}

/* Where an earlier pair could be kept, a file that is being written is waited for: a chain cut
 * between two certificates looks whole. */
static bool read_one(struct load *l, struct sts_str path, struct sts_str shown, struct sts_buf *out)
{
    if ((l->loader->previous ? file_read_settled : file_read)(path.ptr, CERT_FILE_MAX, out, NULL) ==
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
    struct stat st;

    if (!read_one(l, c->file, l->file, &l->text))
        return false;
    if (sts_str_eq(c->file, c->key_file))
        return true;
    if (stat(c->key_file.ptr, &st) != 0 && errno == ENOENT)
        return true;
    return read_one(l, c->key_file, l->key_file, &l->key_text);
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

/* The earlier pair of the same bytes, counted, or NULL. */
static struct cert_pair *reuse(const struct load *l, const unsigned char *digest)
{
    if (!l->loader->previous)
        return NULL;
    const struct cert_pair *old = cert_store_by_file(l->loader->previous, l->candidate->file);
    if (!old || !sts_str_eq(old->info.key_file, l->candidate->key_file) ||
        memcmp(old->digest, digest, sizeof(old->digest)) != 0)
        return NULL;
    return cert_pair_ref(old);
}

static X509 *decode(const unsigned char *der, long len)
{
    const unsigned char *end = der;
    X509 *cert = d2i_X509(NULL, &end, len);

    if (cert && end != der + len) {
        X509_free(cert);
        return NULL;
    }
    return cert;
}

static X509 *decode_shared(struct cert_loader *loader, const unsigned char *der, long len)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];

    SHA256(der, (size_t)len, digest);
    struct cert_issuer *issuer = cert_table_find(&loader->issuers, digest_key(digest));
    if (!issuer) {
        X509 *cert = decode(der, len);
        if (!cert)
            return NULL;
        issuer = STS_NEW(loader->arena, struct cert_issuer);
        memcpy(issuer->digest, digest, sizeof(digest));
        issuer->cert = cert;
        cert_table_add(&loader->issuers, digest_key(issuer->digest), issuer);
    }
    X509_up_ref(issuer->cert);
    return issuer->cert;
}

static X509 *read_certificate(struct load *l, const struct cert_block *block)
{
    BIO *bio = sts_must(BIO_new_mem_buf(block->text.ptr, (int)block->text.len));
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    long len = 0;
    X509 *cert = NULL;

    if (PEM_read_bio(bio, &name, &header, &der, &len) == 1)
        cert = l->count == 0 ? decode(der, len) : decode_shared(l->loader, der, len);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    BIO_free(bio);
    ERR_clear_error();
    return cert;
}

static bool add_certificate(struct load *l, const struct cert_block *block)
{
    if (l->count == CERT_CHAIN_MAX) {
        report(l, "certificate-chain-order", l->file, block->line,
               "too many certificates in one file");
        return false;
    }
    X509 *cert = read_certificate(l, block);
    if (!cert) {
        struct sts_diag *d = report(l, "certificate-pem", l->file, block->line,
                                    "this block is not a readable certificate");
        sts_diag_help(l->diags, d, "the file may be damaged: copy or issue it again");
        return false;
    }
    l->pair->lines[l->count++] = block->line;
    if (l->count == 1)
        l->pair->leaf = cert;
    else if (!sk_X509_push(l->pair->chain, cert))
        sts_must(NULL);
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

/* OpenSSL would ask on the terminal. */
static int no_passphrase(char *buf, int size, int rwflag, void *data)
{
    (void)buf, (void)size, (void)rwflag, (void)data;
    return -1;
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
    BIO *bio = sts_must(BIO_new_mem_buf(block->text.ptr, (int)block->text.len));
    l->pair->key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    ERR_clear_error();
    if (l->pair->key)
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

static enum cert_outcome build(struct load *l, const unsigned char *digest)
{
    l->pair = cert_pair_new(l->candidate->file, l->candidate->key_file);
    memcpy(l->pair->digest, digest, sizeof(l->pair->digest));
    enum cert_outcome outcome = parse(l);
    if (l->pair->leaf)
        cert_pair_describe(l->pair);
    if (outcome == CERT_LOADED && !cert_check(l->pair, l->loader->now, l->diags))
        outcome = CERT_BROKEN;
    return outcome;
}

enum cert_outcome cert_load(struct cert_loader *loader, const struct cert_candidate *candidate,
                            struct sts_diags *diags, struct cert_pair **out)
{
    struct load l = {.loader = loader, .candidate = candidate, .diags = diags};
    enum cert_outcome outcome = CERT_BROKEN;
    unsigned char digest[SHA256_DIGEST_LENGTH];

    *out = NULL;
    l.file = sts_arena_dup(diags->arena, candidate->file);
    l.key_file = sts_arena_dup(diags->arena, candidate->key_file);
    if (read_files(&l)) {
        digest_files(&l, digest);
        l.pair = reuse(&l, digest);
        if (!l.pair)
            outcome = build(&l, digest);
        else if (cert_check_again(l.pair, loader->now, diags))
            outcome = CERT_LOADED;
    }
    if (l.text.ptr)
        OPENSSL_cleanse(l.text.ptr, l.text.cap);
    if (l.key_text.ptr)
        OPENSSL_cleanse(l.key_text.ptr, l.key_text.cap);
    sts_buf_fini(&l.text);
    sts_buf_fini(&l.key_text);
    *out = l.pair;
    return outcome;
}
