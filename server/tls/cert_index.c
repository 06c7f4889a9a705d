#include "server/tls/cert_index.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/memory.h"
#include "server/sys/file.h"

/* The rules of cert_check are part of the program, what X509 objects are good for of OpenSSL. */
static const char HEAD[] = "mta-stsd certificate index 1 " MTA_STSD_VERSION " ";

struct fixed {
    unsigned char digest[32], chain[32]; /* all 0: no chain */
    int64_t not_before, not_after;
    uint32_t names;
    uint8_t rsa, bare, self_signed, ca;
};

enum { CHECKSUM = 8 };

struct cert_index {
    struct sts_buf text;
    struct cert_table entries; /* digest -> the entry, of `text` */
    size_t count;
};

static void checksum(struct sts_str body, unsigned char out[CHECKSUM])
{
    unsigned char digest[SHA256_DIGEST_LENGTH];

    SHA256((const unsigned char *)body.ptr, body.len, digest);
    memcpy(out, digest, CHECKSUM);
}

/* --- Reading ------------------------------------------------------------------------------------
 */

static bool take(struct sts_str *from, void *out, size_t len)
{
    if (from->len < len)
        return false;
    memcpy(out, from->ptr, len);
    *from = sts_str_sub(*from, len, from->len);
    return true;
}

static bool take_text(struct sts_str *from, const char *text)
{
    size_t len = strlen(text);
    bool same = from->len >= len && memcmp(from->ptr, text, len) == 0;

    if (same)
        *from = sts_str_sub(*from, len, from->len);
    return same;
}

static bool is_whole(struct sts_str *text)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];

    if (text->len < sizeof(digest))
        return false;
    text->len -= sizeof(digest);
    SHA256((const unsigned char *)text->ptr, text->len, digest);
    return memcmp(digest, text->ptr + text->len, sizeof(digest)) == 0;
}

/* The rest of an entry, behind its checksum. */
static bool take_entry(struct sts_str *from, struct sts_str *body)
{
    unsigned char written[CHECKSUM], is[CHECKSUM];
    uint32_t len;

    if (!take(from, &len, sizeof(len)) || !take(from, written, sizeof(written)) ||
        len < sizeof(struct fixed) || from->len < len)
        return false;
    *body = sts_str_sub(*from, 0, len);
    *from = sts_str_sub(*from, len, from->len);
    checksum(*body, is);
    return memcmp(is, written, sizeof(is)) == 0;
}

static bool parse(struct cert_index *index)
{
    struct sts_str text = sts_buf_str(&index->text), body;
    uint64_t count;

    if (!is_whole(&text) || !take_text(&text, HEAD) ||
        !take_text(&text, OpenSSL_version(OPENSSL_FULL_VERSION_STRING)) ||
        !take_text(&text, "\n") || !take(&text, &count, sizeof(count)))
        return false;
    for (; count > 0; count--) {
        if (!take_entry(&text, &body))
            return false;
        /* The length stands before the checksum, and that before the body. */
        void *entry = (char *)body.ptr - CHECKSUM - sizeof(uint32_t);
        cert_table_add(&index->entries, sts_str_sub(body, 0, SHA256_DIGEST_LENGTH), entry);
        index->count++;
    }
    return text.len == 0;
}

/* Whoever can write it could give a tenant's name to another. */
static bool is_ours(const struct stat *st)
{
    return (st->st_uid == geteuid() || st->st_uid == 0) && (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

struct cert_index *cert_index_read(const char *path)
{
    struct cert_index *index = sts_must(calloc(1, sizeof(*index)));
    struct stat st;

    if (file_read(path, CERT_INDEX_MAX, &index->text, &st) == 0 && is_ours(&st) && parse(index))
        return index;
    cert_index_free(index);
    return NULL;
}

void cert_index_free(struct cert_index *index)
{
    if (!index)
        return;
    cert_table_fini(&index->entries);
    sts_buf_fini(&index->text);
    free(index);
}

size_t cert_index_count(const struct cert_index *index)
{
    return index->count;
}

static bool same_chain(const struct fixed *fixed, const struct cert_chain *chain)
{
    static const unsigned char none[sizeof(fixed->chain)];
    return memcmp(fixed->chain, chain ? chain->digest : none, sizeof(none)) == 0;
}

static bool take_names(struct sts_str *from, uint32_t count, struct cert_pair *pair)
{
    struct sts_str *names;
    bool good = count > 0 && count <= from->len;

    if (!good)
        return false;
    names = sts_must(calloc(count, sizeof(*names)));
    for (uint32_t i = 0; i < count && good; i++) {
        uint8_t len;
        good = take(from, &len, sizeof(len)) && from->len >= len;
        if (good) {
            names[i] = sts_str_sub(*from, 0, len);
            *from = sts_str_sub(*from, len, from->len);
        }
    }
    good = good && from->len == 0;
    if (good)
        cert_pair_set_names(pair, names, count);
    free(names);
    return good;
}

bool cert_index_describe(const struct cert_index *index, struct cert_pair *pair)
{
    struct sts_str key = {(const char *)pair->digest, sizeof(pair->digest)}, body;
    const char *entry = cert_table_find(&index->entries, key);
    struct fixed fixed;

    if (!entry)
        return false;
    struct sts_str rest = sts_buf_str(&index->text);
    rest = sts_str_sub(rest, (size_t)(entry - rest.ptr), rest.len);
    if (!take_entry(&rest, &body) || !take(&body, &fixed, sizeof(fixed)) ||
        !same_chain(&fixed, pair->chain) || !take_names(&body, fixed.names, pair))
        return false;
    pair->info.key_type = fixed.rsa ? CERT_RSA : CERT_EC;
    pair->info.not_before = fixed.not_before;
    pair->info.not_after = fixed.not_after;
    pair->info.chain_length = 1 + (pair->chain ? (size_t)sk_X509_num(pair->chain->certs) : 0);
    pair->bare = fixed.bare;
    pair->self_signed = fixed.self_signed;
    pair->ca = fixed.ca;
    return true;
}

/* --- Writing ------------------------------------------------------------------------------------
 */

static void put(struct sts_buf *out, const void *bytes, size_t len)
{
    sts_buf_add(out, (struct sts_str){bytes, len});
}

static void put_entry(struct sts_buf *out, struct sts_buf *body, const struct cert_pair *pair)
{
    struct fixed fixed;
    unsigned char sum[CHECKSUM];

    memset(&fixed, 0, sizeof(fixed)); /* padding too */
    memcpy(fixed.digest, pair->digest, sizeof(fixed.digest));
    if (pair->chain)
        memcpy(fixed.chain, pair->chain->digest, sizeof(fixed.chain));
    fixed.not_before = pair->info.not_before;
    fixed.not_after = pair->info.not_after;
    fixed.names = (uint32_t)pair->name_count;
    fixed.rsa = pair->info.key_type == CERT_RSA;
    fixed.bare = pair->bare;
    fixed.self_signed = pair->self_signed;
    fixed.ca = pair->ca;
    body->len = 0;
    put(body, &fixed, sizeof(fixed));
    for (size_t i = 0; i < pair->name_count; i++) {
        uint8_t len = (uint8_t)pair->names[i].len; /* STS_DOMAIN_MAX */
        put(body, &len, sizeof(len));
        sts_buf_add(body, pair->names[i]);
    }
    uint32_t len = (uint32_t)body->len;
    checksum(sts_buf_str(body), sum);
    put(out, &len, sizeof(len));
    put(out, sum, sizeof(sum));
    sts_buf_add(out, sts_buf_str(body));
}

int cert_index_write(const char *path, struct cert_pair *const *pairs, size_t count)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    struct sts_buf out = {0}, body = {0};
    uint64_t entries = count;

    sts_buf_add_cstr(&out, HEAD);
    sts_buf_add_cstr(&out, OpenSSL_version(OPENSSL_FULL_VERSION_STRING));
    sts_buf_add_cstr(&out, "\n");
    put(&out, &entries, sizeof(entries));
    for (size_t i = 0; i < count; i++)
        put_entry(&out, &body, pairs[i]);
    SHA256((const unsigned char *)out.ptr, out.len, digest);
    put(&out, digest, sizeof(digest));
    int result = file_write_atomic(path, sts_buf_str(&out), 0600);
    sts_buf_fini(&out);
    sts_buf_fini(&body);
    return result;
}
