/* Makes the certificates of the measurements: an EC key for each tenant, and a certificate with the
 * extensions and the size of a public authority's, signed by one throw-away intermediate.
 *
 *     generate DIR COUNT          all of them; DIR/complete is written last
 *     generate DIR COUNT TENANT   one anew, each file replaced by rename; prints its serial number
 *
 * DIR/live/HOST/{fullchain,privkey}.pem is what certbot leaves, DIR/combined/HOST.pem what HAProxy
 * and Caddy read. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bench/tenant.h"

#define THREADS      2
#define DAY          86400L
#define DAYS         365
#define SCT_OID      "1.3.6.1.4.1.11129.2.4.2"
#define SCT_SIZE     242 /* two of them, as embedded by Let's Encrypt */
#define PATH_SIZE    512
#define SERIAL_SIZE  16
#define CONSTANT_MAX 8

static const char *directory;

struct authority {
    X509 *certificate;
    EVP_PKEY *key;
    X509_EXTENSION *constant[CONSTANT_MAX]; /* the same in all leaves */
    size_t constants;
};

static void need(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "generate: %s: %s\n", what, strerror(errno));
    ERR_print_errors_fp(stderr);
    exit(1);
}

static X509_EXTENSION *extension(X509V3_CTX *context, int nid, const char *value)
{
    CONF *empty = NCONF_new(NULL); /* one extension's parser wants it */
    X509_EXTENSION *made;

    X509V3_set_nconf(context, empty);
    made = X509V3_EXT_nconf_nid(empty, context, nid, value);
    need(made, OBJ_nid2sn(nid));
    NCONF_free(empty);
    return made;
}

static void add(X509 *to, X509V3_CTX *context, int nid, const char *value)
{
    X509_EXTENSION *made = extension(context, nid, value);

    need(X509_add_ext(to, made, -1), "X509_add_ext");
    X509_EXTENSION_free(made);
}

static void set_name(X509_NAME *name, const char *value)
{
    need(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)value, -1, -1,
                                    0),
         value);
}

static X509 *begin_certificate(EVP_PKEY *key, const char *subject, X509_NAME *issuer)
{
    unsigned char serial[SERIAL_SIZE];
    BIGNUM *number;
    X509 *made = X509_new();

    need(RAND_bytes(serial, sizeof(serial)) == 1, "RAND_bytes");
    serial[0] = (serial[0] & 0x7f) | 0x40;
    number = BN_bin2bn(serial, sizeof(serial), NULL);
    need(made && number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(made)), "serial");
    BN_free(number);
    X509_set_version(made, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(made), -DAY);
    X509_gmtime_adj(X509_getm_notAfter(made), DAYS * DAY);
    set_name(X509_get_subject_name(made), subject);
    need(X509_set_issuer_name(made, issuer ? issuer : X509_get_subject_name(made)) &&
             X509_set_pubkey(made, key),
         "certificate");
    return made;
}

static void prepare(struct authority *authority)
{
    X509V3_CTX context;
    unsigned char sct[SCT_SIZE] = {0x04, 0x81, SCT_SIZE - 3};
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    ASN1_OBJECT *oid = OBJ_txt2obj(SCT_OID, 1);
    static const struct {
        int nid;
        const char *value;
    } row[] = {
        {NID_key_usage, "critical,digitalSignature"},
        {NID_ext_key_usage, "serverAuth,clientAuth"},
        {NID_basic_constraints, "critical,CA:FALSE"},
        {NID_authority_key_identifier, "keyid"},
        {NID_info_access, "caIssuers;URI:http://e7.i.ca.example/"},
        {NID_certificate_policies, "2.23.140.1.2.1"},
        {NID_crl_distribution_points, "URI:http://e7.c.ca.example/31.crl"},
    };

    X509V3_set_ctx(&context, authority->certificate, NULL, NULL, NULL, 0);
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
        authority->constant[authority->constants++] = extension(&context, row[i].nid, row[i].value);
    need(value && oid && ASN1_OCTET_STRING_set(value, sct, sizeof(sct)), "SCT");
    authority->constant[authority->constants++] = X509_EXTENSION_create_by_OBJ(NULL, oid, 0, value);
    ASN1_OBJECT_free(oid);
    ASN1_OCTET_STRING_free(value);
}

static void make_authority(struct authority *out)
{
    X509V3_CTX context;
    EVP_PKEY *root_key = EVP_EC_gen("P-256");
    X509_NAME *root = X509_NAME_new();

    out->key = EVP_EC_gen("P-256");
    need(root_key && root && out->key, "EVP_EC_gen");
    set_name(root, "Throw-away root");
    out->certificate = begin_certificate(out->key, "Throw-away intermediate", root);
    X509V3_set_ctx(&context, out->certificate, out->certificate, NULL, NULL, 0);
    add(out->certificate, &context, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
    add(out->certificate, &context, NID_key_usage, "critical,digitalSignature,keyCertSign,cRLSign");
    add(out->certificate, &context, NID_subject_key_identifier, "hash");
    need(X509_sign(out->certificate, root_key, EVP_sha256()), "X509_sign");
    EVP_PKEY_free(root_key);
    X509_NAME_free(root);
}

/* Through a second file: whoever reads sees the old or the new one, whole. */
static void write_file(const char *folder, const char *name, int mode, const BUF_MEM *text)
{
    char path[PATH_SIZE], fresh[PATH_SIZE];
    int fd;

    snprintf(path, sizeof(path), "%s/%s/%s", directory, folder, name);
    snprintf(fresh, sizeof(fresh), "%s/%s/.%s.new", directory, folder, name);
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    need(fd >= 0 && write(fd, text->data, text->length) == (ssize_t)text->length && close(fd) == 0,
         fresh);
    need(rename(fresh, path) == 0, path);
}

static void make_folder(const char *name)
{
    char path[PATH_SIZE];

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    need(mkdir(path, 0755) == 0 || errno == EEXIST, path);
}

static X509 *make_leaf(const struct authority *authority, EVP_PKEY *key, const char *host)
{
    X509 *leaf = begin_certificate(key, host, X509_get_subject_name(authority->certificate));
    X509V3_CTX context;
    char names[HOST_SIZE + 4];

    snprintf(names, sizeof(names), "DNS:%s", host);
    X509V3_set_ctx(&context, authority->certificate, leaf, NULL, NULL, 0);
    for (size_t i = 0; i < authority->constants; i++)
        need(X509_add_ext(leaf, authority->constant[i], -1), "X509_add_ext");
    add(leaf, &context, NID_subject_key_identifier, "hash");
    add(leaf, &context, NID_subject_alt_name, names);
    need(X509_sign(leaf, authority->key, EVP_sha256()), "X509_sign");
    return leaf;
}

/* The serial number in hexadecimal, for OPENSSL_free. */
static char *make_tenant(const struct authority *authority, unsigned tenant)
{
    char host[HOST_SIZE], folder[HOST_SIZE + 8], file[HOST_SIZE + 8];
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *chain = BIO_new(BIO_s_mem()), *secret = BIO_new(BIO_s_mem());
    BUF_MEM *text;
    X509 *leaf;

    tenant_host(tenant, host);
    need(key && chain && secret, "memory");
    leaf = make_leaf(authority, key, host);
    need(PEM_write_bio_X509(chain, leaf) && PEM_write_bio_X509(chain, authority->certificate) &&
             PEM_write_bio_PrivateKey(secret, key, NULL, NULL, 0, NULL, NULL),
         "PEM");
    snprintf(folder, sizeof(folder), "live/%s", host);
    snprintf(file, sizeof(file), "%s.pem", host);
    make_folder(folder);
    BIO_get_mem_ptr(secret, &text);
    write_file(folder, "privkey.pem", 0600, text);
    BIO_get_mem_ptr(chain, &text);
    write_file(folder, "fullchain.pem", 0644, text);
    need(PEM_write_bio_PrivateKey(chain, key, NULL, NULL, 0, NULL, NULL), "PEM");
    BIO_get_mem_ptr(chain, &text);
    write_file("combined", file, 0600, text);

    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(leaf), NULL);
    char *serial = BN_bn2hex(number);
    BN_free(number);
    X509_free(leaf);
    EVP_PKEY_free(key);
    BIO_free(chain);
    BIO_free(secret);
    return serial;
}

struct part {
    const struct authority *authority;
    unsigned first, count;
};

static void *make_part(void *data)
{
    const struct part *part = data;

    for (unsigned tenant = part->first; tenant < part->count; tenant += THREADS)
        OPENSSL_free(make_tenant(part->authority, tenant));
    return NULL;
}

/* The intermediate, certificate and key, is kept for renewals. */
static void make_all(struct authority *authority, unsigned count)
{
    pthread_t thread[THREADS];
    struct part part[THREADS];
    BIO *text = BIO_new(BIO_s_mem());
    BUF_MEM *bytes;

    make_folder("live");
    make_folder("combined");
    make_authority(authority);
    need(text && PEM_write_bio_X509(text, authority->certificate) &&
             PEM_write_bio_PrivateKey(text, authority->key, NULL, NULL, 0, NULL, NULL),
         "PEM");
    BIO_get_mem_ptr(text, &bytes);
    write_file(".", "authority.pem", 0600, bytes);
    prepare(authority);
    for (unsigned i = 0; i < THREADS; i++) {
        part[i] = (struct part){authority, i, count};
        need(pthread_create(&thread[i], NULL, make_part, &part[i]) == 0, "pthread_create");
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    write_file(".", "complete", 0644, bytes);
    BIO_free(text);
}

static void read_authority(struct authority *out)
{
    char path[PATH_SIZE];
    BIO *file;

    snprintf(path, sizeof(path), "%s/authority.pem", directory);
    file = BIO_new_file(path, "r");
    need(file, path);
    out->certificate = PEM_read_bio_X509(file, NULL, NULL, NULL);
    out->key = PEM_read_bio_PrivateKey(file, NULL, NULL, NULL);
    need(out->certificate && out->key, path);
    BIO_free(file);
    prepare(out);
}

int main(int argc, char **argv)
{
    struct authority authority = {0};

    if (argc < 3 || argc > 4 || strlen(argv[1]) > PATH_SIZE - 3 * HOST_SIZE) {
        fprintf(stderr, "usage: generate DIR COUNT [TENANT]\n");
        return 2;
    }
    directory = argv[1];
    if (argc == 3) {
        make_all(&authority, (unsigned)strtoul(argv[2], NULL, 10));
    } else {
        read_authority(&authority);
        char *serial = make_tenant(&authority, (unsigned)strtoul(argv[3], NULL, 10));
        printf("%s\n", serial);
        OPENSSL_free(serial);
    }
    for (size_t i = 0; i < authority.constants; i++)
        X509_EXTENSION_free(authority.constant[i]);
    X509_free(authority.certificate);
    EVP_PKEY_free(authority.key);
    return 0;
}
