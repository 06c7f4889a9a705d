/* Which files of a folder belong together: the layouts that ACME clients and orchestrators write.
 *
 *   NAME/fullchain.pem + privkey.pem    certbot, dehydrated
 *   NAME/fullchain.cer + *.key          acme.sh
 *   NAME.crt + NAME.key                 lego, Caddy, Debian
 *   tls.crt + tls.key                   Kubernetes
 *   cert.pem + key.pem                  containers
 *   NAME.pem + NAME-key.pem             mkcert
 *   NAME.pem                            certificate and key in one file
 */
#ifndef MTASTS_TLS_CERT_LAYOUT_H
#define MTASTS_TLS_CERT_LAYOUT_H

#include "server/tls/cert_folder.h"
#include "server/tls/cert_pair.h"

/* The folder that a file is in. */
struct place {
    struct sts_arena *arena;
    struct sts_str path;         /* ends with a slash, or is empty */
    const struct folder *folder; /* NULL: the file system is asked */
};

struct sts_str place_path(const struct place *place, struct sts_str name);

/* The name of the key that belongs to the file of this name; empty: it is in the same file, if
 * anywhere. False when it does not look like a certificate's. */
bool layout_match(const struct place *place, struct sts_str name, struct sts_str *key);
/* What these two names, which belong together, stand for. */
struct cert_candidate layout_candidate(const struct place *place, struct sts_str name,
                                       struct sts_str key, struct sts_pos where);

#endif
