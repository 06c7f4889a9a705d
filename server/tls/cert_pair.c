#include "server/tls/cert_pair.h"

#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/tls/host_name.h"

static struct sts_str keep(struct sts_str s)
{
    char *copy = sts_must(malloc(sts_add_size(s.len, 1)));
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return (struct sts_str){copy, s.len};
}

static void drop(struct sts_str s)
{
    free((char *)s.ptr);
}

struct cert_pair *cert_pair_new(struct sts_str file, struct sts_str key_file)
{
    struct cert_pair *pair = sts_must(calloc(1, sizeof(*pair)));

    atomic_init(&pair->refs, 1);
    pair->info.file = keep(file);
    pair->info.key_file = keep(key_file);
    pair->chain = sts_must(sk_X509_new_null());
    return pair;
}

struct cert_pair *cert_pair_ref(const struct cert_pair *pair)
{
    struct cert_pair *counted = (struct cert_pair *)pair; /* the count is all that ever changes */
    atomic_fetch_add_explicit(&counted->refs, 1, memory_order_relaxed);
    return counted;
}

void cert_pair_unref(struct cert_pair *pair)
{
    if (!pair || atomic_fetch_sub_explicit(&pair->refs, 1, memory_order_acq_rel) != 1)
        return;
    drop(pair->info.file);
    drop(pair->info.key_file);
    for (size_t i = 0; i < pair->name_count; i++)
        drop(pair->names[i]);
    free(pair->names);
    sk_X509_pop_free(pair->chain, X509_free);
    X509_free(pair->leaf);
    EVP_PKEY_free(pair->key);
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

static void add_name(struct cert_pair *pair, const ASN1_IA5STRING *text)
{
    struct host_name name;
    struct sts_str raw = {(const char *)ASN1_STRING_get0_data(text),
                          (size_t)ASN1_STRING_length(text)};

    if (host_name_parse_pattern(raw, &name) && !cert_pair_has_name(pair, host_name_str(&name)))
        pair->names[pair->name_count++] = keep(host_name_str(&name));
}

/* dNSName entries that no host name can equal (a NUL inside, an underscore, "*.*.x") are left out:
 * nothing ever looks them up. */
static void read_names(struct cert_pair *pair)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(pair->leaf, NID_subject_alt_name, NULL, NULL);
    int count = sk_GENERAL_NAME_num(names);

    if (count > 0)
        pair->names = sts_must(calloc((size_t)count, sizeof(*pair->names)));
    for (int i = 0; i < count; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS)
            add_name(pair, name->d.dNSName);
    }
    GENERAL_NAMES_free(names);
}

void cert_pair_describe(struct cert_pair *pair)
{
    EVP_PKEY *key = X509_get0_pubkey(pair->leaf);

    pair->info.key_type = key && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA ? CERT_RSA : CERT_EC;
    pair->info.not_before = to_time(X509_get0_notBefore(pair->leaf));
    pair->info.not_after = to_time(X509_get0_notAfter(pair->leaf));
    pair->info.chain_length = 1 + (size_t)sk_X509_num(pair->chain);
    read_names(pair);
}

bool cert_pair_has_name(const struct cert_pair *pair, struct sts_str name)
{
    for (size_t i = 0; i < pair->name_count; i++)
        if (sts_str_eq(pair->names[i], name))
            return true;
    return false;
}
