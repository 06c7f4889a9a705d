/* Unit tests of the certificate store: which files are found to belong together. */
#include "tests/unit/cert_store_fixture.h"

#include "server/tls/cert_pair.h"

static void every_layout_is_found(void **state)
{
    (void)state;
    const char *const layouts[][2] = {
        {"d/mta-sts.example.org/fullchain.pem", "d/mta-sts.example.org/privkey.pem"},
        {"d/mta-sts.example.org/fullchain.pem", "d/mta-sts.example.org/key.pem"},
        {"d/a_ecc/fullchain.cer", "d/a_ecc/mta-sts.example.org.key"},
        {"d/acme/host/mta-sts.example.org.crt", "d/acme/host/mta-sts.example.org.key"},
        {"d/tls.crt", "d/tls.key"},
        {"d/cert.pem", "d/key.pem"},
        {"d/cert.pem", "d/privkey.pem"},
        {"d/mta-sts.example.org.pem", "d/mta-sts.example.org-key.pem"},
        {"d/mta-sts.example.org.pem", "d/mta-sts.example.org.key"},
    };
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        write_good(layouts[i][0], layouts[i][1]);
        for (int explicit = 0; explicit < 2; explicit ++) {
            struct cert_store *s = load(explicit ? test_path(layouts[i][0]) : "d");
            assert_silent();
            assert_int_equal(cert_store_count(s), 1);
            const struct cert_pair *pair = find(s, "mta-sts.example.org").ec;
            assert_non_null(pair);
            assert_string_equal(cert_pair_info(pair)->file.ptr, test_path(layouts[i][0]));
            assert_string_equal(cert_pair_key_file(pair, (char[CERT_PATH_MAX]){0}).ptr,
                                test_path(layouts[i][1]));
            assert_int_equal(cert_pair_info(pair)->chain_length, 2);
            assert_int_equal(cert_pair_info(pair)->not_after, NOW + 90 * DAYS);
            cert_store_unref(s);
        }
        assert_int_equal(folder_remove(test_path("d")), 0);
    }
}

static void combined_files_are_found(void **state)
{
    (void)state;
    const char *const names[] = {"d/host.pem", "d/host.crt", "d/sub/fullchain.pem",
                                 "d/tls.crt",  "d/cert.pem", "d/a_ecc/fullchain.cer"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        test_write_chain(names[i], leaf.key, leaf.x, mid.x, NULL);
        struct cert_store *s = load("d/");
        assert_silent();
        assert_int_equal(cert_store_count(s), 1);
        cert_store_unref(s);
        assert_int_equal(folder_remove(test_path("d")), 0);
    }
}

/* certbot: live/ links into archive/; Kubernetes: names link through "..data". */
static void links_are_followed(void **state)
{
    (void)state;
    write_good("le/archive/h/fullchain1.pem", "le/archive/h/privkey1.pem");
    test_write("le/live/README", "x", 1);
    test_write_chain("le/live/h/cert.pem", NULL, leaf.x, NULL);
    test_write_chain("le/live/h/chain.pem", NULL, mid.x, NULL);
    assert_int_equal(
        symlink("../../archive/h/fullchain1.pem", test_path("le/live/h/fullchain.pem")), 0);
    assert_int_equal(symlink("../../archive/h/privkey1.pem", test_path("le/live/h/privkey.pem")),
                     0);
    struct cert_store *s = load("le");
    assert_silent();
    assert_int_equal(cert_store_count(s), 1);
    cert_store_unref(s);

    write_good("k8s/..2026/tls.crt", "k8s/..2026/tls.key");
    assert_int_equal(symlink("..2026", test_path("k8s/..data")), 0);
    assert_int_equal(symlink("..data/tls.crt", test_path("k8s/tls.crt")), 0);
    assert_int_equal(symlink("..data/tls.key", test_path("k8s/tls.key")), 0);
    s = load("k8s");
    assert_silent();
    assert_int_equal(cert_store_count(s), 1);
    cert_store_unref(s);
}

static void what_is_no_pair_is_passed_over(void **state)
{
    (void)state;
    write_good("d/h/fullchain.pem", "d/h/privkey.pem");
    test_write_chain("d/ca.pem", NULL, root.x, NULL);
    test_write_chain("d/ca.crt", NULL, root.x, mid.x, NULL);
    test_write("d/notes.pem", "no certificate in here\n", 23);
    test_write("d/README", "x", 1);
    test_write("d/broken.txt", "-----BEGIN CERTIFICATE-----\n", 28);
    test_write("d/.hidden.pem", "-----BEGIN PRIVATE KEY-----\n", 28);
    test_write("d/.ca/tls.crt", "broken", 6);
    test_write_key("d/alone.key", leaf.key);
    test_write_key("d/lonely.pem", leaf.key);
    write_good("d/1/2/3/tls.crt", "d/1/2/3/tls.key"); /* too deep */
    assert_int_equal(symlink("..", test_path("d/loop")), 0);
    struct cert_store *s = load("d");
    assert_silent();
    assert_true(cert_store_count(s) >= 1); /* the loop is cut by depth */
    cert_store_unref(s);
}

/* Debian keeps certificates and keys apart, and both files are named in the configuration. */
static void listed_keys_join_their_certificates(void **state)
{
    (void)state;
    write_good("certs/h.pem", "private/h.key");
    write_host("other/o.pem", "DNS:other.example", DAYS);
    test_write_key("private/z.key", root.key);
    const char *const by_stem[] = {"private/z.key", "private/h.key", "certs/h.pem", "other/o.pem"};
    struct cert_store *s = load_paths(by_stem, 4, NULL, NOW);
    assert_int_equal(cert_store_count(s), 2);
    assert_int_equal(diags.errors, 1); /* z.key belongs to nothing */
    assert_string_equal(diag("certificate-no-certificate")->where.source.ptr,
                        test_path("private/z.key"));
    cert_store_unref(s);

    write_good("certs/h.pem", "private/unlike.key");
    const char *const only[] = {"certs/h.pem", "private/unlike.key"};
    s = load_paths(only, 2, NULL, NOW);
    assert_silent();
    assert_int_equal(cert_store_count(s), 1);
    cert_store_unref(s);

    const char *const beside[] = {"d/h.crt", "d/h.key", "d/h.crt", "d"};
    write_good("d/h.crt", "d/h.key");
    s = load_paths(beside, 4, NULL, NOW);
    assert_silent();
    assert_int_equal(cert_store_count(s), 1); /* named three times, loaded once */
    cert_store_unref(s);
}

/* The cost grows with the number of files, not with its square: comparing each of so many with each
 * would take ten minutes, and the alarm ends it. */
static void a_long_list_of_files_is_joined(void **state)
{
    (void)state;
    enum { PAIRS = 100000, PATIENCE_S = 60 };
    struct cert_candidates list = {.arena = arena, .paths = 2L * PAIRS};
    list.items = calloc(2L * PAIRS, sizeof(*list.items));
    assert_non_null(list.items);
    for (size_t i = 0; i < 2L * PAIRS; i++) {
        struct cert_candidate *c = &list.items[i];
        c->file = sts_arena_printf(arena, i < PAIRS ? "/certs/h%zu.pem" : "/keys/h%zu.key",
                                   i < PAIRS ? i : 2L * PAIRS - 1 - i);
        c->key_file = c->file;
        c->required = true;
    }
    list.count = list.capacity = 2L * PAIRS;
    alarm(PATIENCE_S);
    cert_find_finish(&list);
    alarm(0);
    assert_int_equal(list.count, PAIRS);
    for (size_t i = 0; i < PAIRS; i++) {
        struct sts_str key = list.items[i].key_file;
        char expected[40];
        snprintf(expected, sizeof(expected), "/keys/h%zu.key", i);
        assert_true(sts_str_is(key, expected));
    }
    cert_candidates_fini(&list);
}

static void of_two_keys_with_its_name_a_certificate_takes_the_later(void **state)
{
    (void)state;
    write_good("certs/h.pem", "private/h.key");
    test_write_key("old/h.key", root.key);
    const char *const later[] = {"old/h.key", "private/h.key", "certs/h.pem"};
    struct cert_store *s = load_paths(later, 3, NULL, NOW);
    assert_int_equal(cert_store_count(s), 1);
    cert_store_unref(s);
    const char *const earlier[] = {"private/h.key", "old/h.key", "certs/h.pem"};
    s = load_paths(earlier, 3, NULL, NOW);
    diag("certificate-key-mismatch");
    cert_store_unref(s);
}

/* A FIFO must not hang the server, nor a huge file fill it. */
static void only_regular_files_are_read(void **state)
{
    (void)state;
    write_good("d/h.crt", "d/h.key");
    unlink(test_path("d/h.key"));
    assert_int_equal(mkfifo(test_path("d/h.key"), 0600), 0);
    assert_refused("d", "certificate-unreadable");
    unlink(test_path("d/h.crt"));
    assert_int_equal(mkfifo(test_path("d/h.crt"), 0600), 0);
    assert_refused("d", "certificate-unreadable");
    assert_refused(test_path("d/h.crt"), "certificate-unreadable");
    assert_refused("nowhere", "certificate-unreadable");
    assert_int_equal(mkdir(test_path("d/h.pem"), 0755), 0);

    char *big = calloc(1, (1u << 20) + 1);
    test_write("big.pem", big, (1u << 20) + 1);
    free(big);
    assert_refused("big.pem", "certificate-unreadable");

    assert_int_equal(mkdir(test_path("empty"), 0755), 0);
    struct cert_store *s = load("empty");
    assert_int_equal(diag("certificate-none-found")->severity, STS_WARNING);
    cert_store_unref(s);
}

static void permission_is_reported(void **state)
{
    (void)state;
    const uid_t nobody = 65534;
    bool root_user = geteuid() == 0; /* who may read everything */
    write_good("d/h.crt", "d/h.key");
    assert_int_equal(chmod(test_path("d/h.key"), 0), 0);
    assert_int_equal(chmod(test_dir, 0755), 0);
    if (root_user)
        assert_int_equal(seteuid(nobody), 0);
    assert_refused("d", "certificate-unreadable");
    assert_true(diag("certificate-unreadable")->help.len > 0);
    if (root_user)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(test_path("d"), 0), 0);
    if (root_user)
        assert_int_equal(seteuid(nobody), 0);
    assert_refused("d", "certificate-unreadable");
    if (root_user)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(test_path("d"), 0755), 0);
}

static struct sts_buf all_found(bool by_threads)
{
    struct cert_candidates list = {.arena = sts_arena_new(), .by_threads = by_threads};
    struct sts_arena *scratch = list.arena;
    struct sts_buf out = {0};

    sts_diags_init(&diags, arena);
    cert_find(&list, sts_str_from(test_path("d")), (struct sts_pos){0}, &diags);
    cert_find_finish(&list);
    for (size_t i = 0; i < list.count; i++)
        sts_buf_printf(&out, "%s %s %.*s %d\n", list.items[i].file.ptr, list.items[i].key_file.ptr,
                       STS_ARG(list.items[i].label), list.items[i].required);
    for (const struct sts_diag *d = diags.first; d; d = d->next)
        sts_buf_printf(&out, "%s %s\n", d->code, d->where.source.ptr);
    cert_candidates_fini(&list);
    sts_arena_free(scratch);
    return out;
}

/* Also what cannot be listed is reported in its place. */
static void several_threads_find_the_same_as_one(void **state)
{
    (void)state;
    const char *const layouts[][2] = {
        {"fullchain.pem", "privkey.pem"}, {"tls.crt", "tls.key"},        {"a.crt", "a.key"},
        {"deep/x.pem", "deep/y"},         {"fullchain.cer", "host.key"}, {"cert.pem", "none"}};
    char path[80];
    for (int i = 0; i < 400; i++) {
        for (int k = 0; k < 2; k++) {
            snprintf(path, sizeof(path), "d/h%d.example/%s", i, layouts[i % 6][k]);
            test_write(path, "x", 1);
        }
        snprintf(path, sizeof(path), "d/file%d.pem", i);
        test_write(path, "x", 1);
    }
    for (int i = 0; i < 400; i += 50) {
        snprintf(path, sizeof(path), "d/h%d.example/loop", i);
        assert_int_equal(symlink("loop", test_path(path)), 0);
        snprintf(path, sizeof(path), "d/z%d.pem", i);
        assert_int_equal(symlink("h1.example", test_path(path)), 0); /* a folder */
    }
    assert_int_equal(symlink("/proc/self/fd/999", test_path("d/dangling.crt")), 0);
    struct sts_buf one = all_found(false), several = all_found(true);
    assert_true(one.len > 800 * 40);
    assert_string_equal(one.ptr, several.ptr);
    sts_buf_fini(&one);
    sts_buf_fini(&several);
}

static void the_script_makes_what_the_store_takes(void **state)
{
    (void)state;
    char command[1200];
    const char *const flawed[][2] = {
        {"expired", "certificate-expired"},
        {"not-yet-valid", "certificate-not-yet-valid"},
        {"wrong-key", "certificate-key-mismatch"},
        {"missing-intermediate", "certificate-chain-incomplete"},
        {"leaf-not-first", "certificate-leaf-not-first"},
        {"no-san", "certificate-no-name"},
        {"encrypted-key", "certificate-key-encrypted"},
    };
    const char *script = "certs-example/make-certs.sh", *out = "out", *x = "x";
    snprintf(command, sizeof(command),
             "%s %s a.example b.example,c.example '*.w.example' && "
             "%s --lego --ca %s %s/lego l.example && %s --kubernetes --ca %s %s/k k.example && "
             "%s --combined --ca %s %s o.example && %s --rsa --ca %s %s/rsa a.example",
             script, test_path(out), script, test_path(out), test_path(out), script, test_path(out),
             test_path(out), script, test_path(out), test_path(out), script, test_path(out),
             test_path(out));
    assert_int_equal(system(command), 0);
    struct cert_store *s = load_paths(&out, 1, NULL, time(NULL));
    assert_silent();
    assert_int_equal(cert_store_count(s), 7);
    assert_non_null(find(s, "a.example").ec);
    assert_non_null(find(s, "a.example").rsa);
    assert_non_null(find(s, "c.example").ec);
    assert_non_null(find(s, "any.w.example").ec);
    cert_store_unref(s);
    for (size_t i = 0; i < sizeof(flawed) / sizeof(flawed[0]); i++) {
        snprintf(command, sizeof(command), "%s --%s --ca %s %s a.example", script, flawed[i][0],
                 test_path(out), test_path(x));
        assert_int_equal(system(command), 0);
        s = load_paths(&x, 1, NULL, time(NULL));
        diag(flawed[i][1]);
        cert_store_unref(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_layout_is_found),
        TEST(combined_files_are_found),
        TEST(links_are_followed),
        TEST(what_is_no_pair_is_passed_over),
        TEST(listed_keys_join_their_certificates),
        TEST(a_long_list_of_files_is_joined),
        TEST(of_two_keys_with_its_name_a_certificate_takes_the_later),
        TEST(only_regular_files_are_read),
        TEST(permission_is_reported),
        TEST(several_threads_find_the_same_as_one),
        TEST(the_script_makes_what_the_store_takes),
    };
    return cmocka_run_group_tests_name("cert_find", tests, group_setup, group_teardown);
}
