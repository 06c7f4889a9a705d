/* Unit tests of private keys in memory: of a key that is not held any more nothing is left, neither
 * text nor bytes. The program that loads is this one again, in a process that never made the key.
 */
#include "tests/unit/cert_index_fixture.h"

#include <openssl/core_names.h>
#include <sys/wait.h>

#include "server/sys/file.h"
#include "server/tls/cert_key.h"
#include "server/tls/cert_pair.h"
#include "tests/unit/heap_scan.h"

enum { PIECE = 16, PIECES_MAX = 12 };

/* --- The process that loads -------------------------------------------------------------------
 */

static int unhex(const char *text, unsigned char piece[PIECE])
{
    unsigned byte;
    for (int i = 0; i < PIECE; i++) {
        if (sscanf(text + 2 * i, "%2x", &byte) != 1)
            return -1;
        piece[i] = (unsigned char)byte;
    }
    return 0;
}

/* Loads what is in the folder, makes a handshake's objects of each pair, and lets go of all of it.
 */
static void use_keys(bool with_index, size_t expected, size_t parsed, bool remember)
{
    struct cert_store *s = with_index ? start("d", NOW) : load("d");
    size_t count = 0;
    struct cert_pair **pairs = cert_store_pairs(s, &count);

    assert_int_equal(count, expected);
    assert_int_equal(cert_store_work(s).parsed, parsed);
    for (size_t i = 0; i < count; i++) {
        struct cert_objects objects;
        assert_true(cert_pair_decode(pairs[i], &objects));
        cert_objects_drop(&objects);
    }
    free(pairs);
    if (remember)
        assert_int_equal(cert_store_remember(s, test_path(INDEX)), 0);
    cert_store_unref(s);
}

/* The key alone, so that nothing comes afterwards that would take the same places. */
static void peel_key(const char *name)
{
    struct sts_buf text = {0};
    struct cert_block block;
    struct cert_key_bytes bytes;

    assert_int_equal(file_read(test_path(name), CERT_FILE_MAX, &text, NULL), 0);
    struct cert_pem pem = cert_pem_begin(sts_buf_str(&text));
    assert_true(cert_pem_next(&pem, &block));
    assert_int_equal(cert_key_peel(&block, &bytes), CERT_KEY_READ);
    cert_key_drop(&bytes);
    file_wipe(&text);
}

static int find_piece(char **hex)
{
    unsigned char piece[PIECE];

    for (int i = 0; hex[i]; i++)
        if (unhex(hex[i], piece) != 0 || heap_holds(piece, PIECE))
            return i + 1;
    return 0;
}

/* Arguments: the folder, how many pairs are in it, and pieces of secrets in hexadecimal digits. Its
 * result is the number of the first piece that is there, or 0. */
static int look_for(char **argv)
{
    size_t pairs = strtoul(argv[1], NULL, 10);

    snprintf(test_dir, sizeof(test_dir), "%s", argv[0]);
    arena = sts_arena_new();
    peel_key("d/plain.key");
    int found = find_piece(argv + 2);
    peel_key("d/traditional.key");
    if (!found)
        found = find_piece(argv + 2);
    use_keys(false, pairs, pairs, false);
    if (!found)
        found = find_piece(argv + 2);
    use_keys(true, pairs, pairs, true);
    use_keys(true, pairs, 0, false);
    if (!found)
        found = find_piece(argv + 2);
    sts_arena_free(arena);
    return found;
}

/* --- The test ---------------------------------------------------------------------------------
 */

struct pieces {
    char hex[PIECES_MAX][2 * PIECE + 1];
    size_t count;
};

static void add_piece(struct pieces *pieces, const void *bytes)
{
    assert_true(pieces->count < PIECES_MAX);
    for (int i = 0; i < PIECE; i++)
        sprintf(pieces->hex[pieces->count] + 2 * i, "%02x", ((const unsigned char *)bytes)[i]);
    pieces->count++;
}

/* A part of a number in both orders of bytes. */
static void add_number(struct pieces *pieces, EVP_PKEY *key, const char *name)
{
    unsigned char bytes[1024];
    BIGNUM *number = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(key, name, &number), 1);
    int len = BN_num_bytes(number);
    BN_bn2bin(number, bytes);
    add_piece(pieces, bytes + len / 2 - PIECE / 2);
    BN_bn2lebinpad(number, bytes, len);
    add_piece(pieces, bytes + len / 2 - PIECE / 2);
    BN_clear_free(number);
}

/* The middle of the text, and the last whole piece of it. */
static void add_text(struct pieces *pieces, const char *name)
{
    char text[8192];
    FILE *f = fopen(test_path(name), "r");
    size_t len = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[len] = '\0';
    char *end = strstr(text, "\n-----END"), *middle = strchr(text, '\n') + 1;
    middle += (end - middle) / 2 / 65 * 65; /* the begin of a line */
    add_piece(pieces, middle + 8);
    char *last = end;
    while (last[-1] != '\n')
        last--;
    add_piece(pieces, end - last >= PIECE ? end - PIECE : last - PIECE - 1);
}

static void write_key_pair(const char *name, EVP_PKEY *key, bool traditional, struct pieces *pieces)
{
    char path[40];
    EVP_PKEY_up_ref(key);
    snprintf(path, sizeof(path), "d/%s.crt", name);
    struct test_cert c =
        test_cert_make((struct test_spec){.san = "DNS:k.example", .issuer = &mid, .key = key});
    test_write_chain(path, NULL, c.x, mid.x, NULL);
    snprintf(path, sizeof(path), "d/%s.key", name);
    BIO *file = BIO_new_file(test_path(path), "w");
    if (traditional)
        PEM_write_bio_PrivateKey_traditional(file, key, NULL, NULL, 0, NULL, NULL);
    else
        PEM_write_bio_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    BIO_free(file);
    add_text(pieces, path);
    test_cert_free(&c);
}

static void nothing_is_left(size_t pairs, struct pieces *pieces)
{
    char program[] = "test_cert_secrets", count[24];
    char *argv[PIECES_MAX + 4] = {program, test_dir, count};
    int status;

    snprintf(count, sizeof(count), "%zu", pairs);
    for (size_t i = 0; i < pieces->count; i++)
        argv[3 + i] = pieces->hex[i];
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        execv("/proc/self/exe", argv);
        _exit(255);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0); /* else the number of the piece that was found */
}

static void nothing_is_left_of_ec_keys(void **state)
{
    (void)state;
    struct pieces pieces = {0};
    if (!HEAP_IS_PLAIN)
        skip();
    EVP_PKEY *key = test_key_ec("P-256");
    add_number(&pieces, key, OSSL_PKEY_PARAM_PRIV_KEY);
    write_key_pair("plain", key, false, &pieces);
    write_key_pair("traditional", key, true, &pieces);
    nothing_is_left(2, &pieces);
    EVP_PKEY_free(key);
}

static void nothing_is_left_of_rsa_keys(void **state)
{
    (void)state;
    struct pieces pieces = {0};
    if (!HEAP_IS_PLAIN)
        skip();
    EVP_PKEY *key = test_key_rsa(2048);
    add_number(&pieces, key, OSSL_PKEY_PARAM_RSA_D);
    add_number(&pieces, key, OSSL_PKEY_PARAM_RSA_FACTOR1);
    add_number(&pieces, key, OSSL_PKEY_PARAM_RSA_EXPONENT1);
    write_key_pair("plain", key, false, &pieces);
    write_key_pair("traditional", key, true, &pieces);
    nothing_is_left(2, &pieces);
    EVP_PKEY_free(key);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_left_of_ec_keys),
        TEST(nothing_is_left_of_rsa_keys),
    };
    if (argc > 1)
        return look_for(argv + 1);
    return cmocka_run_group_tests_name("cert_secrets", tests, group_setup, group_teardown);
}
