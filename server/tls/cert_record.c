#include "server/tls/cert_record.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"

static void cert_record_put(struct sts_buf *out, const void *bytes, size_t len)
{
    sts_buf_add(out, (struct sts_str){bytes, len});
}

static bool cert_record_take(struct sts_str *from, void *out, size_t len)
{
    if (from->len < len)
        return false;
    memcpy(out, from->ptr, len);
    *from = sts_str_sub(*from, len, from->len);
    return true;
}

static bool take_slice(struct sts_str *from, size_t len, struct sts_str *out)
{
    if (from->len < len)
        return false;
    *out = sts_str_sub(*from, 0, len);
    *from = sts_str_sub(*from, len, from->len);
    return true;
}

/* --- Pairs --------------------------------------------------------------------------------------
 */

bool record_put_pair(struct sts_buf *out, const struct cert_pair *pair, struct sts_str leaf)
{
    struct record_fixed fixed;

    if (pair->info.file.len > UINT16_MAX || pair->key_name.len > UINT16_MAX ||
        pair->name_count > UINT16_MAX)
        return false;
    memset(&fixed, 0, sizeof(fixed)); /* padding too */
    memcpy(fixed.digest, pair->digest, sizeof(fixed.digest));
    memcpy(fixed.seen, pair->seen, sizeof(fixed.seen));
    if (pair->chain)
        memcpy(fixed.chain, pair->chain->digest, sizeof(fixed.chain));
    fixed.folder = pair->folder;
    fixed.not_before = pair->info.not_before;
    fixed.not_after = pair->info.not_after;
    fixed.leaf = (uint32_t)leaf.len;
    fixed.file = (uint16_t)pair->info.file.len;
    fixed.key_name = (uint16_t)pair->key_name.len;
    fixed.names = (uint16_t)pair->name_count;
    fixed.lines = (uint16_t)pair->info.chain_length;
    fixed.rsa = pair->info.key_type == CERT_RSA;
    fixed.bare = pair->bare;
    fixed.self_signed = pair->self_signed;
    fixed.ca = pair->ca;
    cert_record_put(out, &fixed, sizeof(fixed));
    sts_buf_add(out, pair->info.file);
    sts_buf_add(out, pair->key_name);
    cert_record_put(out, pair->lines, fixed.lines * sizeof(*pair->lines));
    for (size_t i = 0; i < pair->name_count; i++) {
        uint8_t len = (uint8_t)pair->names[i].len; /* STS_DOMAIN_MAX */
        cert_record_put(out, &len, sizeof(len));
        sts_buf_add(out, pair->names[i]);
    }
    sts_buf_add(out, leaf);
    return true;
}

bool record_front(struct sts_str body, struct sts_str *front)
{
    struct sts_str rest = body;
    struct record_fixed fixed;

    if (!cert_record_take(&rest, &fixed, sizeof(fixed)) || rest.len < fixed.leaf)
        return false;
    *front = sts_str_sub(body, 0, body.len - fixed.leaf);
    return true;
}

bool record_take_pair(struct sts_str front, struct record_pair *out)
{
    out->names = front;
    return cert_record_take(&out->names, &out->fixed, sizeof(out->fixed)) &&
           take_slice(&out->names, out->fixed.file, &out->file) &&
           take_slice(&out->names, out->fixed.key_name, &out->key_name) &&
           take_slice(&out->names, out->fixed.lines * sizeof(uint32_t), &out->lines);
}

static bool describe_names(struct sts_str from, uint32_t count, struct cert_pair *pair)
{
    struct sts_str *names;
    bool good = count > 0 && count <= from.len;

    if (!good)
        return false;
    names = sts_must(calloc(count, sizeof(*names)));
    for (uint32_t i = 0; i < count && good; i++) {
        uint8_t len;
        good = cert_record_take(&from, &len, sizeof(len)) && take_slice(&from, len, &names[i]);
    }
    good = good && from.len == 0;
    if (good)
        cert_pair_set_names(pair, names, count);
    free(names);
    return good;
}

bool record_describe(const struct record_pair *record, struct cert_chain *chain,
                     struct cert_pair *pair)
{
    const struct record_fixed *fixed = &record->fixed;
    uint32_t lines[CERT_CHAIN_MAX];
    size_t certificates = 1 + (chain ? (size_t)sk_X509_num(chain->certs) : 0);

    if (fixed->lines != certificates || fixed->lines > CERT_CHAIN_MAX ||
        !describe_names(record->names, fixed->names, pair))
        return false;
    memcpy(lines, record->lines.ptr, record->lines.len); /* not aligned there */
    cert_pair_set_lines(pair, lines, certificates);
    memcpy(pair->digest, fixed->digest, sizeof(pair->digest));
    memcpy(pair->seen, fixed->seen, sizeof(pair->seen));
    pair->folder = fixed->folder;
    pair->chain = chain ? cert_chain_ref(chain) : NULL;
    pair->info.key_type = fixed->rsa ? CERT_RSA : CERT_EC;
    pair->info.not_before = fixed->not_before;
    pair->info.not_after = fixed->not_after;
    pair->info.chain_length = certificates;
    pair->leaf_len = fixed->leaf;
    pair->bare = fixed->bare;
    pair->self_signed = fixed->self_signed;
    pair->ca = fixed->ca;
    return true;
}

/* --- Chains -------------------------------------------------------------------------------------
 */

void record_put_chain(struct sts_buf *out, const struct cert_chain *chain)
{
    uint32_t count = (uint32_t)sk_X509_num(chain->certs);

    cert_record_put(out, chain->digest, sizeof(chain->digest));
    cert_record_put(out, &count, sizeof(count));
    for (uint32_t i = 0; i < count; i++) {
        unsigned char *der = NULL;
        int len = i2d_X509(sk_X509_value(chain->certs, (int)i), &der);
        uint32_t size = len > 0 ? (uint32_t)len : 0;
        cert_record_put(out, &size, sizeof(size));
        cert_record_put(out, der, size);
        OPENSSL_free(der);
    }
}

struct cert_chain *record_take_chain(struct sts_str body)
{
    struct sts_str ders[CERT_CHAIN_MAX];
    unsigned char digest[32];
    uint32_t count, len;
    size_t bad;

    if (!cert_record_take(&body, digest, sizeof(digest)) ||
        !cert_record_take(&body, &count, sizeof(count)) || count == 0 || count >= CERT_CHAIN_MAX)
        return NULL;
    for (uint32_t i = 0; i < count; i++)
        if (!cert_record_take(&body, &len, sizeof(len)) || !take_slice(&body, len, &ders[i]))
            return NULL;
    struct cert_chain *chain = body.len == 0 ? cert_chain_new(ders, count, &bad) : NULL;
    /* Other than DER is written again as DER: then it is another one. */
    if (!chain || memcmp(chain->digest, digest, sizeof(digest)) == 0)
        return chain;
    cert_chain_unref(chain);
    return NULL;
}
