/* Unit tests of the index of certificates: folders that are as they were are not listed again, and
 * whatever was done to them since is seen. Replaces the C library's getdents64, to count. */
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>

#include "tests/unit/cert_index_fixture.h"
#include "tests/unit/random.h"

enum { FOLDERS = 5, EDITS = 150 };

static atomic_uint listed; /* calls: two for each folder that is listed */

ssize_t getdents64(int fd, void *buffer, size_t size)
{
    ssize_t (*real)(int, void *, size_t);

    *(void **)&real = dlsym(RTLD_NEXT, "getdents64");
    listed++;
    return real(fd, buffer, size);
}

static int setup_old(void **state)
{
    cert_young_ns = -1000000000; /* all stamps can be trusted at once */
    return setup(state);
}

/* Edits may follow within one tick of the file system's clock: the stamps differ even so. */
static void touch(const char *path)
{
    static time_t next = 1700000000;
    const struct timespec times[2] = {{.tv_sec = next}, {.tv_sec = next}};

    next++;
    assert_int_equal(utimensat(AT_FDCWD, test_path(path), times, 0), 0);
}

static void link_to(const char *target, const char *name)
{
    test_mkdirs(test_path(name));
    assert_int_equal(symlink(target, test_path(name)), 0);
}

static void remember(struct cert_store *s)
{
    assert_int_equal(cert_store_remember(s, test_path(INDEX)), 0);
    cert_store_unref(s);
}

static void folders_of_one_pair_are_not_listed_again(void **state)
{
    (void)state;
    /* certbot */
    write_good("d/archive/a/fullchain1.pem", "d/archive/a/privkey1.pem");
    test_write_chain("d/archive/a/chain1.pem", NULL, mid.x, NULL);
    test_write_chain("d/archive/a/cert1.pem", NULL, leaf.x, NULL);
    link_to("../../archive/a/fullchain1.pem", "d/live/a/fullchain.pem");
    link_to("../../archive/a/privkey1.pem", "d/live/a/privkey.pem");
    link_to("../../archive/a/chain1.pem", "d/live/a/chain.pem");
    link_to("../../archive/a/cert1.pem", "d/live/a/cert.pem");
    test_write("d/live/a/README", "x", 1);
    /* acme.sh, Kubernetes, one file, and a link to the folder */
    write_good("d/b_ecc/fullchain.cer", "d/b_ecc/mta-sts.example.org.key");
    write_good("d/c/tls.crt", "d/c/tls.key");
    write_host("d/e/some.pem", "DNS:e.example", 20 * DAYS);
    write_host("f/some.pem", "DNS:f.example", 20 * DAYS);
    link_to("../f", "d/f");

    for (size_t i = 0; i < 3; i++) {
        listed = 0;
        struct cert_store *s = start("d", NOW);
        assert_silent();
        assert_int_equal(listed, i ? 2 * 2 : 2 * 7); /* d and live; archive is passed over */
        assert_int_equal(cert_store_work(s).read, i ? 0 : 5);
        assert_int_equal(cert_store_count(s), 5);
        assert_non_null(find(s, "mta-sts.example.org").ec);
        assert_non_null(find(s, "e.example").ec);
        assert_non_null(find(s, "f.example").ec);
        remember(s);
    }
}

static void folders_of_more_are_listed(void **state)
{
    (void)state;
    write_host("d/two/a.pem", "DNS:a.example", 20 * DAYS);
    write_host("d/two/b.pem", "DNS:b.example", 20 * DAYS);
    write_host("d/nested/c.pem", "DNS:c.example", 20 * DAYS);
    write_host("d/nested/in/d.pem", "DNS:d.example", 20 * DAYS);
    for (size_t i = 0; i < 3; i++) {
        listed = 0;
        struct cert_store *s = start("d", NOW);
        assert_int_equal(listed, i ? 2 * 3 : 2 * 4); /* nested/in is known */
        assert_int_equal(cert_store_count(s), 4);
        remember(s);
    }
}

static void a_young_folder_is_listed_until_it_is_not(void **state)
{
    (void)state;
    write_good("d/h/fullchain.pem", "d/h/privkey.pem");
    cert_young_ns = INT64_MAX / 2;
    remember(start("d", NOW));
    cert_young_ns = -1000000000;
    for (size_t i = 0; i < 3; i++) {
        listed = 0;
        struct cert_store *s = start("d", NOW);
        assert_int_equal(listed, i ? 2 : 4);
        assert_int_equal(cert_store_work(s).read, i == 0);
        remember(s);
    }
}

/* --- anything that may be done between two starts ----------------------------------------------
 */

static const char *path_in(unsigned folder, const char *name)
{
    static char paths[4][64];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof(paths[0]), "d/f%u%s%s", folder, *name ? "/" : "", name);
    return path;
}

static void write_pair(unsigned folder, const char *name, const char *key, uint64_t *seed)
{
    char san[64];

    snprintf(san, sizeof(san), "DNS:h%u.example,DNS:x%u.example", folder, random_below(seed, 8));
    struct test_cert c = test_cert_make((struct test_spec){
        .san = san, .issuer = &mid, .to = (long)(10 + random_below(seed, 80)) * DAYS});
    test_write_chain(path_in(folder, name), NULL, c.x, mid.x, NULL);
    test_write_key(path_in(folder, key), c.key);
    touch(path_in(folder, name));
    touch(path_in(folder, key));
    test_cert_free(&c);
}

static void edit(unsigned folder, uint64_t *seed)
{
    const char *old = test_path(path_in(folder, "fullchain.pem"));
    unsigned other = random_below(seed, FOLDERS);

    switch (random_below(seed, 10)) {
    case 0: /* renewed */
        write_pair(folder, "fullchain.pem", "privkey.pem", seed);
        break;
    case 1: /* one more beside it */
        write_pair(folder, "more.crt", "more.key", seed);
        break;
    case 2:
        remove(test_path(path_in(folder, "more.crt")));
        break;
    case 3: /* of another client */
        rename(old, test_path(path_in(folder, "fullchain.cer")));
        rename(test_path(path_in(folder, "privkey.pem")), test_path(path_in(folder, "h.key")));
        break;
    case 4: /* the key is gone, or another one's */
        remove(test_path(path_in(folder, "privkey.pem")));
        break;
    case 5:
        rename(test_path(path_in(folder, "h.key")), test_path(path_in(folder, "privkey.pem")));
        break;
    case 6: /* a folder in it */
        write_pair(folder, "in/tls.crt", "in/tls.key", seed);
        break;
    case 7: /* another folder in its place */
        rename(test_path(path_in(folder, "")), test_path("d/moving"));
        rename(test_path(path_in(other, "")), test_path(path_in(folder, "")));
        rename(test_path("d/moving"), test_path(path_in(other, "")));
        break;
    case 8:
        folder_remove(test_path(path_in(folder, "")));
        break;
    default: /* nothing */
        return;
    }
    if (access(test_path(path_in(folder, "")), F_OK) == 0)
        touch(path_in(folder, ""));
}

static void assert_same(const struct cert_store *a, const struct cert_store *b, const char *host)
{
    const struct cert_pair *of_a = find(a, host).ec, *of_b = find(b, host).ec;

    assert_int_equal(of_a == NULL, of_b == NULL);
    if (!of_a)
        return;
    assert_true(sts_str_eq(of_a->info.file, of_b->info.file));
    assert_memory_equal(of_a->digest, of_b->digest, sizeof(of_a->digest));
    assert_int_equal(of_a->key_len, of_b->key_len);
    assert_memory_equal(of_a->key, of_b->key, of_a->key_len);
}

static void whatever_was_done_is_seen(void **state)
{
    (void)state;
    uint64_t seed = 7;
    unsigned spared = 0;

    for (unsigned i = 0; i < FOLDERS; i++)
        write_pair(i, "fullchain.pem", "privkey.pem", &seed);
    for (unsigned i = 0; i < EDITS; i++) {
        struct cert_store *fresh = load("d");
        size_t errors = diags.errors, warnings = diags.warnings;
        unsigned calls = listed;
        struct cert_store *known = start("d", NOW);
        char host[32];

        spared += listed - calls < 2 * (FOLDERS + 1);
        assert_int_equal(diags.errors, errors);
        assert_int_equal(diags.warnings, warnings);
        assert_int_equal(cert_store_count(known), cert_store_count(fresh));
        for (unsigned k = 0; k < FOLDERS + 8; k++) {
            snprintf(host, sizeof(host), "%c%u.example", k < FOLDERS ? 'h' : 'x',
                     k < FOLDERS ? k : k - FOLDERS);
            assert_same(known, fresh, host);
        }
        cert_store_unref(fresh);
        if (random_below(&seed, 3))
            remember(known);
        else
            cert_store_unref(known);
        edit(random_below(&seed, FOLDERS), &seed);
    }
    assert_true(spared > EDITS / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(folders_of_one_pair_are_not_listed_again, setup_old,
                                        teardown),
        cmocka_unit_test_setup_teardown(folders_of_more_are_listed, setup_old, teardown),
        cmocka_unit_test_setup_teardown(a_young_folder_is_listed_until_it_is_not, setup_old,
                                        teardown),
        cmocka_unit_test_setup_teardown(whatever_was_done_is_seen, setup_old, teardown),
    };
    return cmocka_run_group_tests_name("cert_early", tests, group_setup, group_teardown);
}
