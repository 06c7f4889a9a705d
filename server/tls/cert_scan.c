/* PEM text to certificates and a key, and what to say where it is none. */
#include <openssl/crypto.h>
#include <string.h>

#include "server/tls/cert_load_parts.h"

struct sts_diag *load_report(struct load *l, const char *code, struct sts_str file, uint32_t line,
                             const char *message)
{
    struct sts_pos at = {.source = file, .line = line, .column = line ? 1 : 0};
    return sts_diag_add(l->diags, STS_ERROR, code, at, "%s", message);
}

void load_report_unreadable(struct load *l, size_t index)
{
    struct sts_diag *d = load_report(l, "certificate-pem", l->file, l->lines[index],
                                     "this block is not a readable certificate");
    sts_diag_help(l->diags, d, "the file may be damaged: copy or issue it again");
}

static bool cert_scan_add_certificate(struct load *l, const struct cert_block *block)
{
    size_t len;

    if (l->count == CERT_CHAIN_MAX) {
        load_report(l, "certificate-chain-order", l->file, block->line,
                    "too many certificates in one file");
        return false;
    }
    l->lines[l->count] = block->line;
    unsigned char *der = cert_pem_decode(block, &len);
    if (!der) {
        load_report_unreadable(l, l->count);
        return false;
    }
    l->ders[l->count++] = (struct sts_str){(const char *)der, len};
    l->size += len;
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
                  load_report(l, "certificate-pem", file, block->line,
                              "a block begins here, but its END line is missing"),
                  "the file was cut off: copy it again, and replace it by renaming");
    return false;
}

static bool cert_scan_contains(struct sts_str text, struct sts_str word)
{
    return memmem(text.ptr, text.len, word.ptr, word.len) != NULL;
}

static bool load_report_key(struct load *l, struct sts_str file, const struct cert_block *block,
                            enum cert_key_state state)
{
    static const struct {
        const char *code, *message;
    } flaws[] = {
        [CERT_KEY_UNREADABLE] = {"certificate-pem", "this block is not a readable private key"},
        [CERT_KEY_TYPE] = {"certificate-key-type",
                           "the key is neither ECDSA nor RSA: hardly any sender accepts it"},
        [CERT_KEY_CURVE] = {"certificate-weak-key",
                            "the key does not name P-256, P-384 or P-521 as its curve"},
        [CERT_KEY_SIZE] = {"certificate-key-size",
                           "the key has more bytes than RSA with 4096 bits needs"},
        [CERT_KEY_BROKEN] = {"certificate-key-broken",
                             "the private key is a number that its curve does not have"},
    };
    struct sts_diag *d = load_report(l, flaws[state].code, file, block->line, flaws[state].message);

    sts_diag_help(l->diags, d, "%s",
                  state == CERT_KEY_UNREADABLE || state == CERT_KEY_BROKEN
                      ? "the file may be damaged: copy it, or issue key and certificate again"
                      : CERT_KEY_HELP);
    return false;
}

static bool read_key(struct load *l, struct sts_str file, const struct cert_block *block)
{
    struct sts_diag *d;

    if (sts_str_is(block->label, "ENCRYPTED PRIVATE KEY") ||
        cert_scan_contains(block->text, STS_STR("Proc-Type: 4,ENCRYPTED"))) {
        d = load_report(l, "certificate-key-encrypted", file, block->line,
                        "the private key asks for a passphrase, which a service cannot type");
        sts_diag_help(l->diags, d, "remove it: openssl pkey -in OLD -out NEW (and chmod 600 NEW)");
        return false;
    }
    enum cert_key_state state = cert_key_read(block, &l->key, &l->objects.key);
    return state == CERT_KEY_READ || load_report_key(l, file, block, state);
}

/* The first block of a kind; false when there is none, or not all of it. */
static bool find_block(struct sts_str text, bool (*is_kind)(struct sts_str label),
                       struct cert_block *block)
{
    struct cert_pem pem = cert_pem_begin(text);

    while (cert_pem_next(&pem, block))
        if (is_kind(block->label))
            return !block->cut;
    return false;
}

bool load_peel_key(struct sts_str text, struct cert_key_bytes *out)
{
    struct cert_block block;

    return find_block(text, is_key, &block) && cert_key_peel(&block, out) == CERT_KEY_READ;
}

unsigned char *load_first_der(struct sts_str text, size_t *len)
{
    struct cert_block block;

    return find_block(text, is_certificate, &block) ? cert_pem_decode(&block, len) : NULL;
}

/* Walks one file; takes certificates when `certificates`, and the first private key. */
static bool cert_scan_file(struct load *l, const struct sts_buf *text, struct sts_str file,
                           bool certificates)
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
        if (cert ? !cert_scan_add_certificate(l, &block) : !read_key(l, file, &block))
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
        d = load_report(l, "certificate-no-certificate", l->file, 0,
                        "not PEM, but binary (DER or PFX)");
        sts_diag_help(l->diags, d,
                      "convert it: openssl x509 -inform DER -in OLD -out NEW, or for PFX openssl "
                      "pkcs12 -in OLD -nodes -out NEW");
    } else if (l->has_key) {
        d = load_report(l, "certificate-no-certificate", l->file, 0,
                        "a private key without a certificate");
        sts_diag_help(l->diags, d, "name the certificate file; its key is found beside it");
    } else {
        d = load_report(l, "certificate-no-certificate", l->file, 0,
                        l->text.len ? "there is no certificate in this file" : "the file is empty");
    }
    d->related = l->candidate->where;
}

static void report_no_key(struct load *l)
{
    bool apart = !sts_str_eq(l->candidate->file, l->candidate->key_file);
    struct sts_diag *d;

    if (l->key_text.len) {
        d = load_report(l, "certificate-no-key", l->key_file, 0,
                        "there is no private key in this file");
    } else {
        d = load_report(l, "certificate-no-key", l->file, 0,
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

/* Each connection holds a copy of what it sends, and nothing is read out of what is never sent. */
static enum cert_outcome load_refuse_size(struct load *l)
{
    struct sts_diag *d = load_report(l, "certificate-size", l->file, l->lines[0],
                                     "the certificates in this file have more than 32 KiB");

    sts_diag_help(l->diags, d,
                  "leave out what is no issuer of the first one, or issue that with fewer names");
    for (size_t i = 0; i < l->count; i++)
        OPENSSL_free((void *)l->ders[i].ptr);
    l->count = 0;
    return l->has_key || l->candidate->required ? CERT_BROKEN : CERT_IGNORED;
}

enum cert_outcome load_scan(struct load *l)
{
    bool apart = l->key_text.len > 0;

    if (apart && !cert_scan_file(l, &l->key_text, l->key_file, false))
        return CERT_BROKEN;
    if (!cert_scan_file(l, &l->text, l->file, true))
        return l->has_key || l->candidate->required ? CERT_BROKEN : CERT_IGNORED;
    if (l->size > CERT_DER_MAX)
        return load_refuse_size(l);
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
