#include "server/tls/tls_parts.h"

enum { NAME_TYPE_HOST = 0 };

/* Takes a big-endian 16-bit length and that many bytes, which must be all that is left. */
static bool take_vector(struct sts_str *s)
{
    if (s->len < 2)
        return false;
    size_t len = (size_t)(unsigned char)s->ptr[0] << 8 | (unsigned char)s->ptr[1];
    *s = sts_str_sub(*s, 2, s->len);
    return s->len == len && len > 0;
}

enum sni sni_parse(struct sts_str extension, struct host_name *out)
{
    struct sts_str s = extension;

    /* The list may have one host name; no other type was ever defined, and an entry of an unknown
     * type has no length to skip it by. */
    if (!take_vector(&s) || s.ptr[0] != NAME_TYPE_HOST)
        return SNI_MALFORMED;
    s = sts_str_sub(s, 1, s.len);
    if (!take_vector(&s))
        return SNI_MALFORMED;
    return host_name_parse(s, out) ? SNI_OK : SNI_NOT_A_HOST;
}

enum sni sni_of_hello(SSL *ssl, struct host_name *out)
{
    const unsigned char *bytes;
    size_t len;

    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &len) != 1)
        return SNI_MISSING;
    return sni_parse((struct sts_str){(const char *)bytes, len}, out);
}
