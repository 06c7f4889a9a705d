/* The keys that session tickets are sealed with. OpenSSL's own are made once and live as long as
 * the process: whoever learns them later opens every TLS 1.2 session recorded since. These are
 * replaced every hour; the previous ones still open tickets for one hour more. */
#ifndef MTASTS_TLS_TLS_TICKET_H
#define MTASTS_TLS_TLS_TICKET_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define TICKET_KEY_LIFE_MS (3600u * 1000u) /* and the lifetime of a session */

struct ticket_key {
    unsigned char name[16], cipher[32], mac[32];
};

struct tickets {
    pthread_mutex_t lock;
    struct ticket_key now, before;
    uint64_t born_ms; /* of `now` */
    bool has_before;
};

bool tickets_init(struct tickets *t, uint64_t now_ms); /* false: no random bytes */
void tickets_fini(struct tickets *t);
/* The key to seal with, renewed when it is too old; false: no random bytes. */
bool tickets_seal(struct tickets *t, uint64_t now_ms, struct ticket_key *out);
/* The key of this name; *renew: the client should get a new ticket. False when unknown. */
bool tickets_open(struct tickets *t, uint64_t now_ms, const unsigned char name[16],
                  struct ticket_key *out, bool *renew);

/* The body of an SSL_CTX_set_tlsext_ticket_key_evp_cb callback. */
int tickets_use(struct tickets *t, uint64_t now_ms, unsigned char name[16], unsigned char *iv,
                EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool seal);

#endif
