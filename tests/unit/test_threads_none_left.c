/* Unit tests of server/sys/thread.h and who uses it: a machine that gives no more threads has the
 * work done by the one there is. Replaces the C library's pthread_create. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>

#include "server/sys/thread.h"
#include "tests/unit/cert_store_fixture.h"

enum { HOSTS = 150 }; /* worth two threads */

static bool none_left;

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
                   void *data)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

    *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    return none_left ? EAGAIN : real(thread, attr, start, data);
}

static void note(void *data, size_t thread, size_t number)
{
    unsigned char *done = data;

    assert_true(!none_left || thread == 0);
    assert_int_equal(done[number]++, 0);
}

static void all_is_done(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        unsigned char done[1000] = {0};
        none_left = i == 1;
        threads_run(4, sizeof(done), note, done);
        for (size_t k = 0; k < sizeof(done); k++)
            assert_int_equal(done[k], 1);
    }
}

static struct cert_store *load_apart(const struct sts_path *path)
{
    struct cert_loading *loading = cert_loading_begin(path, 1, sts_str_from(test_dir), NULL, NOW);
    return cert_loading_finish(loading, &diags);
}

static void all_is_loaded(void **state)
{
    (void)state;
    const struct sts_path path = {{STS_STR("main.yaml"), 3, 5}, STS_STR("d")};
    char file[80];

    for (int i = 0; i < HOSTS; i++) {
        snprintf(file, sizeof(file), "d/h%d/fullchain.pem", i);
        test_write_chain(file, NULL, leaf.x, mid.x, NULL);
        snprintf(file, sizeof(file), "d/h%d/privkey.pem", i);
        test_write_key(file, leaf.key);
    }
    test_write("d/h3/privkey.pem", "x", 1);
    for (int i = 0; i < 2; i++) {
        none_left = i == 1;
        sts_diags_init(&diags, arena);
        struct cert_store *s = load_apart(&path);
        none_left = false;
        assert_int_equal(cert_store_count(s), HOSTS - 1);
        assert_int_equal(diags.errors, 1);
        assert_string_equal(diags.first->code, "certificate-no-key");
        assert_true(sts_str_ends(diags.first->where.source, STS_STR("d/h3/privkey.pem")));
        struct cert_identity id;
        assert_true(cert_store_find(s, STS_STR("mta-sts.example.org"), &id));
        cert_store_unref(s);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(all_is_done), TEST(all_is_loaded)};
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
