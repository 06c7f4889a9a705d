/* Unit tests of the cache of certificates that are ready to use, and of the bytes they come from.
 */
#include "tests/unit/cert_store_fixture.h"

#include <openssl/err.h>
#include <pthread.h>

#include "server/tls/cert_cache.h"

enum { HOSTS = 40, LARGE = 1 << 26 };

/* One pair a host, in a store. */
static struct cert_store *many_hosts(void)
{
    char file[40], san[60];

    for (int i = 0; i < HOSTS; i++) {
        snprintf(file, sizeof(file), "d/%d.pem", i);
        snprintf(san, sizeof(san), "DNS:h%d.example", i);
        write_host(file, san, 9 * DAYS);
    }
    return load("d");
}

static const struct cert_pair *host(const struct cert_store *s, int i)
{
    char name[40];

    snprintf(name, sizeof(name), "h%d.example", i);
    const struct cert_pair *pair = find(s, name).ec;
    assert_non_null(pair);
    return pair;
}

/* The key signs, and the certificate says so. */
static bool belong_together(const struct cert_objects *objects)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    unsigned char signature[1024];
    size_t len = sizeof(signature);
    bool good = EVP_DigestSignInit_ex(md, NULL, "SHA256", NULL, NULL, objects->key, NULL) == 1 &&
                EVP_DigestSign(md, signature, &len, (const unsigned char *)"x", 1) == 1;

    EVP_MD_CTX_free(md);
    md = EVP_MD_CTX_new();
    good = good &&
           EVP_DigestVerifyInit_ex(md, NULL, "SHA256", NULL, NULL, X509_get0_pubkey(objects->leaf),
                                   NULL) == 1 &&
           EVP_DigestVerify(md, signature, len, (const unsigned char *)"x", 1) == 1;
    EVP_MD_CTX_free(md);
    return good;
}

static bool is_named(const struct cert_objects *objects, const struct cert_pair *pair)
{
    return X509_check_host(objects->leaf, pair->names[0].ptr, 0, 0, NULL) == 1;
}

static struct cert_cache_counts count(struct cert_cache *cache)
{
    struct cert_cache_counts counts;

    cert_cache_count(cache, &counts);
    return counts;
}

static void what_was_made_is_found_again(void **state)
{
    (void)state;
    struct cert_store *s = many_hosts();
    struct cert_cache *cache = cert_cache_new(LARGE);
    const struct cert_objects *first, *again;

    first = cert_cache_get(cache, host(s, 0));
    assert_non_null(first);
    assert_true(belong_together(first) && is_named(first, host(s, 0)));
    s = reload(s, "d"); /* the digest tells, not the address */
    again = cert_cache_get(cache, host(s, 0));
    assert_non_null(again);
    assert_ptr_equal(again->leaf, first->leaf);
    assert_ptr_equal(again->key, first->key);
    cert_cache_drop(first);
    cert_cache_drop(again);
    struct cert_cache_counts counts = count(cache);
    assert_int_equal(counts.hits, 1);
    assert_int_equal(counts.misses, 1);
    assert_int_equal(counts.entries, 1);
    for (int i = 0; i < HOSTS; i++) {
        first = cert_cache_get(cache, host(s, i));
        assert_non_null(first);
        assert_true(is_named(first, host(s, i)));
        cert_cache_drop(first);
    }
    counts = count(cache);
    assert_int_equal(counts.entries, HOSTS);
    assert_int_equal(counts.evicted, 0);
    cert_cache_free(cache);
    cert_store_unref(s);
}

/* The budget of a shard takes two. */
static void those_asked_for_longest_ago_are_evicted(void **state)
{
    (void)state;
    struct cert_store *s = many_hosts();
    struct cert_cache *cache = cert_cache_new(LARGE);
    const struct cert_objects *objects;
    int same[HOSTS], found = 0;

    for (int i = 0; i < HOSTS && found < 3; i++) { /* three of one shard: 40 in 16 */
        found = 0;
        for (int k = i; k < HOSTS; k++)
            if (host(s, k)->digest[0] % 16 == host(s, i)->digest[0] % 16)
                same[found++] = k;
    }
    assert_true(found >= 3);
    objects = cert_cache_get(cache, host(s, same[0]));
    assert_non_null(objects);
    cert_cache_drop(objects);
    size_t cost = count(cache).bytes;
    cert_cache_free(cache);

    cache = cert_cache_new(16 * (2 * cost + cost / 2));
    const int order[] = {0, 1, 0, 2, 0, 1};
    const bool hit[] = {false, false, true, false, true, false};
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        uint64_t hits = count(cache).hits;
        objects = cert_cache_get(cache, host(s, same[order[i]]));
        assert_non_null(objects);
        assert_true(is_named(objects, host(s, same[order[i]])));
        assert_int_equal(count(cache).hits - hits, hit[i]);
        cert_cache_drop(objects);
    }
    assert_int_equal(count(cache).entries, 2);
    assert_int_equal(count(cache).evicted, 2);
    cert_cache_free(cache);
    cert_store_unref(s);
}

static void what_is_evicted_in_use_stays_usable(void **state)
{
    (void)state;
    struct cert_store *s = many_hosts();
    struct cert_cache *cache = cert_cache_new(0); /* keeps nothing */
    const struct cert_objects *held[HOSTS];

    for (int i = 0; i < HOSTS; i++) {
        held[i] = cert_cache_get(cache, host(s, i));
        assert_non_null(held[i]);
    }
    struct cert_cache_counts counts = count(cache);
    assert_int_equal(counts.entries, 0);
    assert_int_equal(counts.bytes, 0);
    assert_int_equal(counts.evicted, HOSTS);
    for (int i = 0; i < HOSTS; i++) {
        assert_true(belong_together(held[i]) && is_named(held[i], host(s, i)));
        cert_cache_drop(held[i]);
    }
    cert_cache_free(cache);
    cert_store_unref(s);
}

struct job {
    struct cert_cache *cache;
    const struct cert_store *store;
    int step;
    bool good;
};

static void *fetch(void *data)
{
    struct job *job = data;
    const struct cert_objects *objects;

    job->good = true;
    for (int i = 0; i < 20 * HOSTS; i++) {
        const struct cert_pair *pair = host(job->store, i * job->step % HOSTS);
        objects = cert_cache_get(job->cache, pair);
        if (!objects) {
            job->good = false;
            break;
        }
        job->good &= is_named(objects, pair) && (i % HOSTS || belong_together(objects));
        cert_cache_drop(objects);
    }
    return NULL;
}

static void threads_share_it(void **state)
{
    (void)state;
    struct cert_store *s = many_hosts();
    const size_t budgets[] = {0, 1 << 18, LARGE};

    for (size_t i = 0; i < 3; i++) {
        struct cert_cache *cache = cert_cache_new(budgets[i]);
        struct job jobs[4];
        pthread_t threads[4];
        for (int k = 0; k < 4; k++) {
            jobs[k] = (struct job){cache, s, 2 * k + 1, false};
            assert_int_equal(pthread_create(&threads[k], NULL, fetch, &jobs[k]), 0);
        }
        for (int k = 0; k < 4; k++) {
            pthread_join(threads[k], NULL);
            assert_true(jobs[k].good);
        }
        struct cert_cache_counts counts = count(cache);
        assert_int_equal(counts.hits + counts.misses, 4 * 20 * HOSTS);
        assert_true(counts.bytes <= budgets[i]);
        cert_cache_free(cache);
    }
    cert_store_unref(s);
}

/* Every form that a key is written in gives the same handshake. */
static void keys_of_every_form_come_back(void **state)
{
    (void)state;
    const char *const curves[] = {"P-256", "P-384", "P-521", NULL};
    struct cert_cache *cache = cert_cache_new(LARGE);

    for (size_t i = 0; i < 4; i++) {
        for (int traditional = 0; traditional < 2; traditional++) {
            EVP_PKEY *key = curves[i] ? test_key_ec(curves[i]) : test_key_rsa(2048);
            EVP_PKEY_up_ref(key);
            struct test_cert c =
                write_spec("k.crt", (struct test_spec){.san = "DNS:k.example", .key = key});
            test_write_chain("k.crt", NULL, c.x, mid.x, NULL);
            BIO *file = BIO_new_file(test_path("k.key"), "w");
            assert_int_equal(
                traditional
                    ? PEM_write_bio_PrivateKey_traditional(file, key, NULL, NULL, 0, NULL, NULL)
                    : PEM_write_bio_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL),
                1);
            BIO_free(file);
            struct cert_store *s = load("k.crt");
            assert_silent();
            struct cert_identity id = find(s, "k.example");
            const struct cert_pair *pair = id.ec ? id.ec : id.rsa;
            const struct cert_objects *objects;
            assert_true(pair->bare);
            objects = cert_cache_get(cache, pair);
            assert_non_null(objects);
            assert_true(belong_together(objects));
            assert_int_equal(EVP_PKEY_eq(objects->key, key), 1);
            assert_int_equal(X509_cmp(objects->leaf, c.x), 0);
            cert_cache_drop(objects);
            cert_store_unref(s);
            test_cert_free(&c);
            EVP_PKEY_free(key);
        }
    }
    cert_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_made_is_found_again),        TEST(those_asked_for_longest_ago_are_evicted),
        TEST(what_is_evicted_in_use_stays_usable), TEST(threads_share_it),
        TEST(keys_of_every_form_come_back),
    };
    return cmocka_run_group_tests_name("cert_cache", tests, group_setup, group_teardown);
}
