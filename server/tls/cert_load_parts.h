/* Inside of loading: what one candidate turned out to hold. */
#ifndef MTASTS_TLS_CERT_LOAD_PARTS_H
#define MTASTS_TLS_CERT_LOAD_PARTS_H

#include "server/tls/cert_key.h"
#include "server/tls/cert_pair.h"
#include "server/tls/cert_pem.h"

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
    size_t size; /* bytes of all of them */
    struct cert_objects objects;
    struct cert_key_bytes key; /* of objects.key */
    struct stat st[2];         /* of both files as they were read */
    bool has_key;              /* a private key block is there, usable or not */
};

struct sts_diag *load_report(struct load *l, const char *code, struct sts_str file, uint32_t line,
                             const char *message);
void load_report_unreadable(struct load *l, size_t index); /* certificate number `index` */

/* Takes certificates and the key out of the text of both files. */
enum cert_outcome load_scan(struct load *l);
/* The key alone, as bytes to keep, of text that was good before. */
bool load_peel_key(struct sts_str text, struct cert_key_bytes *out);
/* The first certificate as DER (OPENSSL_free), or NULL. */
unsigned char *load_first_der(struct sts_str text, size_t *len);

#endif
