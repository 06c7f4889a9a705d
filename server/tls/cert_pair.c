#include "server/tls/cert_pair.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/tls/cert_key.h"
#include "server/tls/cert_leaf.h"
#include "server/tls/host_name.h"

/* Copies `s` to *at, NUL-terminated, and moves *at behind it. */
static struct sts_str put(char **at, struct sts_str s)
{
    char *copy = *at;

    if (s.len)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    *at += s.len + 1;
    return (struct sts_str){copy, s.len};
}

struct cert_pair *cert_pair_new(struct sts_str file, struct sts_str key_file)
{
    bool apart = !sts_str_eq(file, key_file);
    size_t text = sts_add_size(file.len, apart ? key_file.len : 0);
    struct cert_pair *pair = sts_must(calloc(1, sts_add_size(sizeof(*pair), text + 2)));
    char *at = (char *)(pair + 1);

    atomic_init(&pair->refs, 1);
    pair->info.file = put(&at, file);
    pair->info.key_file = apart ? put(&at, key_file) : pair->info.file;
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
    free(pair->names);
    free(pair->lines);
    cert_chain_unref(pair->chain);
    if (pair->bytes)
        OPENSSL_cleanse(pair->bytes + pair->leaf_len, pair->key_len);
    free(pair->bytes);
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
                pair->names[pair->name_count++] = put(&at, host_name_str(&name));
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
        pair->names[i] = put(&at, names[i]);
    pair->name_count = count;
}

void cert_pair_describe(struct cert_pair *pair, X509 *leaf)
{
    EVP_PKEY *key = X509_get0_pubkey(leaf);

    pair->info.key_type = key && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA ? CERT_RSA : CERT_EC;
    pair->info.not_before = to_time(X509_get0_notBefore(leaf));
    pair->info.not_after = to_time(X509_get0_notAfter(leaf));
    pair->info.chain_length = 1 + (pair->chain ? (size_t)sk_X509_num(pair->chain->certs) : 0);
    pair->self_signed = X509_self_signed(leaf, 0) == 1;
    pair->ca = X509_check_ca(leaf) != 0;
    read_names(pair, leaf);
    ERR_clear_error();
}

void cert_pair_set_lines(struct cert_pair *pair, const uint32_t *lines, size_t count)
{
    pair->lines = sts_must(calloc(count, sizeof(*lines)));
    memcpy(pair->lines, lines, count * sizeof(*lines));
}

void cert_pair_pack(struct cert_pair *pair, struct sts_str leaf, const EVP_PKEY *key)
{
    size_t len = 0;
    unsigned char *packed = cert_key_pack(key, &len);

    pair->bytes = sts_must(malloc(sts_add_size(leaf.len, len)));
    memcpy(pair->bytes, leaf.ptr, leaf.len);
    if (packed)
        memcpy(pair->bytes + leaf.len, packed, len);
    pair->leaf_len = (uint32_t)leaf.len;
    pair->key_len = packed ? (uint32_t)len : 0;
    OPENSSL_clear_free(packed, len);
    ERR_clear_error();
}

struct sts_str cert_pair_leaf(const struct cert_pair *pair)
{
    return (struct sts_str){(const char *)pair->bytes, pair->leaf_len};
}

bool cert_pair_decode(const struct cert_pair *pair, struct cert_objects *out)
{
    struct sts_str key = {(const char *)pair->bytes + pair->leaf_len, pair->key_len};
    struct cert_objects made = {0};

    made.leaf = (pair->bare ? cert_decode_bare : cert_decode)(cert_pair_leaf(pair));
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
