#include <sys/socket.h>

#include "server/tls/tls_parts.h"

enum { RECORD_ALERT = 21 };

void *transport_of(const SSL *ssl)
{
    BIO *bio = SSL_get_rbio(ssl);
    return bio ? BIO_get_data(bio) : NULL;
}

/* Before the first server message nothing is encrypted and nothing else is under way, also after
 * a HelloRetryRequest, which the client has answered when its second ClientHello is here. */
static bool before_server_flight(const SSL *ssl)
{
    OSSL_HANDSHAKE_STATE state = SSL_get_state(ssl);
    return !SSL_is_init_finished(ssl) && (state == TLS_ST_BEFORE || state == TLS_ST_SR_CLNT_HELLO);
}

/* RFC 8446 §5.1: the version field is for old middle boxes. Old clients want their own there. */
static unsigned char record_minor(const SSL *ssl)
{
    int version = SSL_client_version(ssl);
    if (version >= TLS1_VERSION && version <= TLS1_2_VERSION)
        return (unsigned char)(version & 0xff);
    return TLS1_2_VERSION & 0xff;
}

void alert_deliver(const SSL *ssl, const struct tls_hooks *hooks, int where, int value)
{
    void *transport = transport_of(ssl);

    if ((where & SSL_CB_WRITE_ALERT) != SSL_CB_WRITE_ALERT || value >> 8 != SSL3_AL_FATAL ||
        !transport || !before_server_flight(ssl))
        return;
    int fd = hooks->descriptor(transport);
    unsigned char record[7] = {RECORD_ALERT,  TLS1_VERSION_MAJOR,           record_minor(ssl), 0, 2,
                               SSL3_AL_FATAL, (unsigned char)(value & 0xff)};
    /* A full or closed socket: the peer does without. */
    if (fd >= 0)
        (void)!send(fd, record, sizeof(record), MSG_NOSIGNAL | MSG_DONTWAIT);
}
