#include "server/tls/cert_pair.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/sys/file.h"
#include "server/tls/cert_key.h"
#include "server/tls/cert_leaf.h"
#include "server/tls/host_name.h"

/* Copies `s` to *at, NUL-terminated, and moves *at behind it. */
static struct sts_str cert_pair_put(char **at, struct sts_str s)
{
    char *copy = *at;

    if (s.len)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    *at += s.len + 1;
    return (struct sts_str){copy, s.len};
}

/* The part of `path` up to its last slash, that included. */
static struct sts_str cert_pair_folder_of(struct sts_str path)
{
    return sts_str_sub(path, 0, path.len - file_basename(path).len);
}

/* Empty: the certificate's file. A plain name: in the same folder. Else with a slash: a path. */
struct sts_str cert_key_name(struct sts_str file, struct sts_str key_file)
{
    struct sts_str folder = cert_pair_folder_of(file);

    if (sts_str_eq(file, key_file))
        return (struct sts_str){0};
    return sts_str_eq(folder, cert_pair_folder_of(key_file))
               ? sts_str_sub(key_file, folder.len, key_file.len)
               : key_file;
}

struct sts_str cert_pair_key_file(const struct cert_pair *pair, char space[CERT_PATH_MAX])
{
    struct sts_str name = pair->key_name, folder = cert_pair_folder_of(pair->info.file);

    if (!name.len)
        return pair->info.file;
    if (sts_str_find(name, '/', 0) < name.len)
        return name;
    int len = snprintf(space, CERT_PATH_MAX, "%.*s%.*s", STS_ARG(folder), STS_ARG(name));
    return (struct sts_str){space, (size_t)len < CERT_PATH_MAX ? (size_t)len : CERT_PATH_MAX - 1};
}

struct cert_pair *cert_pair_new(struct sts_str file, struct sts_str key_file)
{
    struct sts_str key_name = cert_key_name(file, key_file);
    size_t text = sts_add_size(file.len, key_name.len);
    struct cert_pair *pair = sts_must(calloc(1, sts_add_size(sizeof(*pair), text + 2)));
    char *at = (char *)(pair + 1);

    atomic_init(&pair->refs, 1);
    pair->info.file = cert_pair_put(&at, file);
    pair->key_name = cert_pair_put(&at, key_name);
    return pair;
}

static void free_parts(struct cert_pair *pair)
{
    free(pair->names);
    free(pair->lines);
    OPENSSL_clear_free(pair->key, pair->key_len);
}

static struct sts_str *copy_names(struct sts_str *to, const struct cert_pair *from, char **text)
{
    for (size_t i = 0; i < from->name_count; i++)
        to[i] = cert_pair_put(text, from->names[i]);
    return to;
}

struct cert_pair *cert_pair_seal(struct cert_pair *loose)
{
    size_t lines = loose->lines ? loose->info.chain_length : 0, text = 0;

    for (size_t i = 0; i < loose->name_count; i++)
        text += loose->names[i].len + 1;
    text += loose->info.file.len + 1 + loose->key_name.len + 1 + loose->key_len;
    size_t names_len = sts_mul_size(loose->name_count, sizeof(*loose->names));
    size_t fixed = sizeof(*loose) + sts_add_size(names_len, lines * sizeof(*loose->lines));
    struct cert_pair *pair = sts_must(malloc(sts_add_size(fixed, text)));
    char *at = (char *)pair + fixed;

    memcpy(pair, loose, sizeof(*pair));
    pair->sealed = true;
    pair->key = (unsigned char *)at;
    if (pair->key_len)
        memcpy(pair->key, loose->key, pair->key_len);
    at += pair->key_len;
    pair->info.file = cert_pair_put(&at, loose->info.file);
    pair->key_name = cert_pair_put(&at, loose->key_name);
    pair->names = copy_names((struct sts_str *)(pair + 1), loose, &at);
    pair->lines = (uint32_t *)(pair->names + pair->name_count);
    if (lines)
        memcpy(pair->lines, loose->lines, lines * sizeof(*pair->lines));
    free_parts(loose);
    free(loose);
    return pair;
}

struct cert_pair *cert_pair_ref(const struct cert_pair *pair)
{
    struct cert_pair *counted = (struct cert_pair *)pair; /* the count may always change */
    atomic_fetch_add_explicit(&counted->refs, 1, memory_order_relaxed);
    return counted;
}

void cert_pair_unref(struct cert_pair *pair)
{
    if (!pair || atomic_fetch_sub_explicit(&pair->refs, 1, memory_order_acq_rel) != 1)
        return;
    cert_leaf_drop(pair);
    cert_chain_unref(pair->chain);
    if (pair->sealed)
        OPENSSL_cleanse(pair->key, pair->key_len);
    else
        free_parts(pair);
    free(pair);
}

const struct cert_info *cert_pair_info(const struct cert_pair *pair)
{
    return &pair->info;
}

static time_t to_time(const ASN1_TIME *t)
{
    struct tm tm;
    return ASN1_TIME_to_tm(t, &tm) ? timegm(&tm) : 0;
}

static bool parse_name(const GENERAL_NAME *name, struct host_name *out)
{
    if (name->type != GEN_DNS)
        return false;
    struct sts_str raw = {(const char *)ASN1_STRING_get0_data(name->d.dNSName),
                          (size_t)ASN1_STRING_length(name->d.dNSName)};
    return host_name_parse_pattern(raw, out);
}

/* dNSName entries that no host name can equal (a NUL inside, an underscore, "*.*.x") are left out:
 * nothing ever looks them up. */
static void read_names(struct cert_pair *pair, const X509 *leaf)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    size_t count = 0, text = 0;
    struct host_name name;

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        if (!parse_name(sk_GENERAL_NAME_value(names, i), &name))
            continue;
        count++;
        text += name.len + 1;
    }
    if (count > 0) {
        pair->names = sts_must(malloc(sts_mul_size(count, sizeof(*pair->names)) + text));
        char *at = (char *)(pair->names + count);
        for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
            if (parse_name(sk_GENERAL_NAME_value(names, i), &name) &&
                !cert_pair_has_name(pair, host_name_str(&name)))
                pair->names[pair->name_count++] = cert_pair_put(&at, host_name_str(&name));
    }
    GENERAL_NAMES_free(names);
}

void cert_pair_set_names(struct cert_pair *pair, const struct sts_str *names, size_t count)
{
    size_t text = 0;

    for (size_t i = 0; i < count; i++)
        text += names[i].len + 1;
    pair->names = sts_must(malloc(sts_mul_size(count, sizeof(*names)) + text));
    char *at = (char *)(pair->names + count);
    for (size_t i = 0; i < count; i++)
        pair->names[i] = cert_pair_put(&at, names[i]);
    pair->name_count = (uint32_t)count;
}

/* Anybody can write any issuer into a certificate, so it is the signature that tells. Where a chain
 * follows, cert_check wants it to be of the key of the first certificate there, and the bits of
 * both keys are compared (EVP_PKEY_eq would take a quarter of all the time of a load); else the
 * signature is looked at here. */
static bool pair_is_signed_by_itself(const struct cert_pair *pair, X509 *leaf, EVP_PKEY *key)
{
    unsigned char *der = NULL;

    if (pair->chain)
        return ASN1_STRING_cmp(X509_get0_pubkey_bitstr(leaf),
                               X509_get0_pubkey_bitstr(sk_X509_value(pair->chain->certs, 0))) == 0;
    int len = i2d_X509(leaf, &der);
    bool own =
        len > 0 && cert_signed_by(leaf, (struct sts_str){(const char *)der, (size_t)len}, key);
    OPENSSL_free(der);
    return own;
}

/* Also where it only names itself as its issuer: no client finds another one. */
static bool pair_is_self_signed(const struct cert_pair *pair, X509 *leaf, EVP_PKEY *key)
{
    const ASN1_OCTET_STRING *own = X509_get0_subject_key_id(leaf);
    const ASN1_OCTET_STRING *issuer = X509_get0_authority_key_id(leaf);

    return X509_NAME_cmp(X509_get_subject_name(leaf), X509_get_issuer_name(leaf)) == 0 ||
           (own && issuer && ASN1_OCTET_STRING_cmp(own, issuer) == 0) ||
           (key && pair_is_signed_by_itself(pair, leaf, key));
}

void cert_pair_describe(struct cert_pair *pair, X509 *leaf)
{
    EVP_PKEY *key = X509_get0_pubkey(leaf);

    pair->info.key_type = key && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA ? CERT_RSA : CERT_EC;
    pair->info.not_before = to_time(X509_get0_notBefore(leaf));
    pair->info.not_after = to_time(X509_get0_notAfter(leaf));
    pair->info.chain_length = 1 + (pair->chain ? (size_t)sk_X509_num(pair->chain->certs) : 0);
    pair->self_signed = pair_is_self_signed(pair, leaf, key);
    pair->ca = X509_check_ca(leaf) != 0;
    read_names(pair, leaf);
    ERR_clear_error();
}

void cert_pair_set_lines(struct cert_pair *pair, const uint32_t *lines, size_t count)
{
    pair->lines = sts_must(calloc(count, sizeof(*lines)));
    memcpy(pair->lines, lines, count * sizeof(*lines));
}

void cert_pair_set_key(struct cert_pair *pair, unsigned char *packed, size_t len)
{
    pair->key = packed;
    pair->key_len = packed ? (uint32_t)len : 0;
}

/* The leaf's bytes may have to be read from the pack, one small piece of a file that is most often
 * in the page cache. Where that fails, cert_leaf_get looks at the certificate's own file; when that
 * is another one by now, the client is refused until the next look takes the new pair. */
bool cert_pair_decode(const struct cert_pair *pair, struct cert_objects *out)
{
    struct sts_str key = {(const char *)pair->key, pair->key_len};
    struct cert_objects made = {0};
    struct sts_buf leaf = {0};

    if (cert_leaf_get(pair, &leaf))
        made.leaf = (pair->bare ? cert_decode_bare : cert_decode)(sts_buf_str(&leaf));
    sts_buf_fini(&leaf);
    if (made.leaf)
        made.key = cert_key_unpack(pair->info.key_type, key, X509_get0_pubkey_bitstr(made.leaf));
    ERR_clear_error();
    if (made.key && (!pair->bare || cert_put_key(made.leaf, made.key))) {
        *out = made;
        return true;
    }
    cert_objects_drop(&made);
    return false;
}

void cert_objects_drop(struct cert_objects *objects)
{
    X509_free(objects->leaf);
    EVP_PKEY_free(objects->key);
    *objects = (struct cert_objects){0};
}

bool cert_pair_has_name(const struct cert_pair *pair, struct sts_str name)
{
    for (size_t i = 0; i < pair->name_count; i++)
        if (sts_str_eq(pair->names[i], name))
            return true;
    return false;
}
