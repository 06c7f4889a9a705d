/* What the tests of the index of certificates share: starts that use it, and its file. */
#ifndef MTASTS_TESTS_UNIT_CERT_INDEX_FIXTURE_H
#define MTASTS_TESTS_UNIT_CERT_INDEX_FIXTURE_H

#include "tests/unit/cert_store_fixture.h"

#include "server/tls/cert_index.h"

static const char INDEX[] = "ledger.db.certs";

static inline struct cert_store *start(const char *path, time_t now)
{
    const struct sts_path list = {{STS_STR("main.yaml"), 3, 5}, sts_str_from(path)};

    sts_diags_init(&diags, arena);
    return cert_store_load(&list, 1, sts_str_from(test_dir), test_path(INDEX), NULL, now, &diags);
}

static inline void write_all_kinds(void)
{
    write_good("d/h/fullchain.pem", "d/h/privkey.pem");
    write_host("d/b.pem", "DNS:b.example,DNS:*.b.example", 20 * DAYS);
    struct test_cert c = write_spec(
        "d/r.pem", (struct test_spec){.san = "DNS:r.example", .key = test_key_rsa(2048)});
    test_cert_free(&c);
    c = test_cert_make((struct test_spec){.san = "DNS:alone.example"});
    test_write_chain("d/alone.pem", c.key, c.x, NULL);
    test_cert_free(&c);
}

enum { KINDS = 4 };

/* Whether the store is what the files say, and how many pairs were parsed for it. */
static inline size_t judge(struct cert_store *s)
{
    assert_int_equal(cert_store_count(s), KINDS);
    assert_int_equal(diags.errors, 0);
    assert_int_equal(diag("certificate-self-signed")->severity, STS_WARNING);
    assert_int_equal(cert_pair_info(find(s, "mta-sts.example.org").ec)->chain_length, 2);
    assert_ptr_equal(find(s, "x.b.example").ec, find(s, "b.example").ec);
    assert_int_equal(cert_pair_info(find(s, "b.example").ec)->not_after, NOW + 20 * DAYS);
    assert_int_equal(cert_pair_info(find(s, "r.example").rsa)->key_type, CERT_RSA);
    assert_null(find(s, "r.example").ec);
    assert_non_null(find(s, "alone.example").ec);
    struct cert_objects objects;
    assert_true(cert_pair_decode(find(s, "r.example").rsa, &objects));
    assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(objects.leaf), objects.key), 1);
    cert_objects_drop(&objects);
    return cert_store_work(s).parsed;
}

static inline struct sts_buf read_index(void)
{
    struct sts_buf text = {0};
    FILE *f = fopen(test_path(INDEX), "r");
    char bytes[4096];

    assert_non_null(f);
    for (size_t n; (n = fread(bytes, 1, sizeof(bytes), f)) > 0;)
        sts_buf_add(&text, (struct sts_str){bytes, n});
    fclose(f);
    return text;
}

static inline void make_index(void)
{
    struct cert_store *s = start("d", NOW);
    assert_int_equal(judge(s), KINDS);
    assert_int_equal(cert_store_remember(s, test_path(INDEX)), 0);
    cert_store_unref(s);
}

/* Starts again; true when everything was parsed, so nothing taken from the index. */
static inline bool is_not_used(void)
{
    struct cert_store *s = start("d", NOW);
    size_t parsed = judge(s);
    cert_store_unref(s);
    assert_true(parsed == 0 || parsed == KINDS);
    return parsed == KINDS;
}

static inline void write_index(const struct sts_buf *text, size_t len)
{
    test_write(INDEX, text->ptr, len);
    assert_int_equal(chmod(test_path(INDEX), 0600), 0);
}

static inline uint64_t size_of_index(ino_t *inode)
{
    struct stat st;

    assert_int_equal(stat(test_path(INDEX), &st), 0);
    *inode = st.st_ino;
    return (uint64_t)st.st_size;
}

#endif
