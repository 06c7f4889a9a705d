#include "server/tls/cert_pem.h"

#include <openssl/evp.h>

#include "server/base/memory.h"

#define DASHES "-----"

struct cert_pem cert_pem_begin(struct sts_str text)
{
    /* Editors on Windows put a byte order mark in front; OpenSSL would then miss the first block.
     */
    if (sts_str_starts(text, STS_STR("\xEF\xBB\xBF")))
        text = sts_str_sub(text, 3, text.len);
    return (struct cert_pem){text, 0, 1};
}

/* The next line without its end, or false. */
static bool cert_pem_next_line(struct cert_pem *pem, struct sts_str *line)
{
    if (pem->at >= pem->text.len)
        return false;
    size_t end = sts_str_find(pem->text, '\n', pem->at);
    *line = sts_str_sub(pem->text, pem->at, end);
    while (line->len > 0 && (line->ptr[line->len - 1] == '\r' || line->ptr[line->len - 1] == ' '))
        line->len--;
    pem->at = end == pem->text.len ? end : end + 1;
    pem->line++;
    return true;
}

static bool cert_pem_boundary(struct sts_str line, struct sts_str start, struct sts_str *label)
{
    if (line.len < start.len + 5 || !sts_str_starts(line, start) ||
        !sts_str_ends(line, STS_STR(DASHES)))
        return false;
    *label = sts_str_sub(line, start.len, line.len - 5);
    return true;
}

static bool find_begin(struct cert_pem *pem, struct cert_block *out, size_t *start)
{
    struct sts_str line;

    do {
        *start = pem->at;
        out->line = pem->line;
        if (!cert_pem_next_line(pem, &line))
            return false;
    } while (!cert_pem_boundary(line, STS_STR(DASHES "BEGIN "), &out->label));
    return true;
}

bool cert_pem_next(struct cert_pem *pem, struct cert_block *out)
{
    size_t start;
    struct sts_str line, label;

    if (!find_begin(pem, out, &start))
        return false;
    for (;;) {
        struct cert_pem before = *pem;
        bool more = cert_pem_next_line(pem, &line);
        bool other = more && cert_pem_boundary(line, STS_STR(DASHES "BEGIN "), &label);
        if (!more || other) {
            *pem = before; /* a BEGIN here is the next block's */
            out->cut = true;
            break;
        }
        if (cert_pem_boundary(line, STS_STR(DASHES "END "), &label) &&
            sts_str_eq(label, out->label)) {
            out->cut = false;
            break;
        }
    }
    out->text = sts_str_sub(pem->text, start, pem->at);
    return true;
}

/* It keeps the last line of what may be a key, and OpenSSL does not wipe it. */
static void cert_pem_free_decoder(EVP_ENCODE_CTX *decoder)
{
    EVP_ENCODE_CTX *clean = sts_must(EVP_ENCODE_CTX_new());

    EVP_ENCODE_CTX_copy(decoder, clean);
    EVP_ENCODE_CTX_free(clean);
    EVP_ENCODE_CTX_free(decoder);
}

unsigned char *cert_pem_decode(const struct cert_block *block, size_t *len)
{
    size_t from = sts_str_find(block->text, '\n', 0), to = block->text.len;
    int first = 0, last = 0;

    while (to > from && block->text.ptr[to - 1] != '-')
        to--; /* what follows END on its line */
    while (to > from && block->text.ptr[to - 1] != '\n')
        to--;
    struct sts_str body = sts_str_sub(block->text, from, to);
    EVP_ENCODE_CTX *decoder = sts_must(EVP_ENCODE_CTX_new());
    unsigned char *out = sts_must(OPENSSL_malloc(body.len + 1));
    EVP_DecodeInit(decoder);
    bool good = EVP_DecodeUpdate(decoder, out, &first, (const unsigned char *)body.ptr,
                                 (int)body.len) >= 0 &&
                EVP_DecodeFinal(decoder, out + first, &last) == 1;
    cert_pem_free_decoder(decoder);
    *len = (size_t)first + (size_t)last;
    if (good && *len > 0)
        return out;
    OPENSSL_clear_free(out, body.len + 1);
    return NULL;
}
