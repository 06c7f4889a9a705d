/* Unit tests of the certificate store: layouts, what is refused and why, and what survives a
 * renewal that is caught half-way. */
#include "tests/unit/tls_certs.h"

#include "server/tls/cert_pem.h"
#include "server/tls/cert_store.h"
#include "server/tls/host_name.h"

static struct test_cert root, mid, leaf; /* leaf: mta-sts.example.org, by mid, by root */

static struct sts_arena *arena;
static struct sts_diags diags;

static int group_setup(void **state)
{
    (void)state;
    root = test_cert_make((struct test_spec){.ca = true, .cn = "root"});
    mid = test_cert_make((struct test_spec){.ca = true, .cn = "mid", .issuer = &root});
    leaf = test_cert_make((struct test_spec){.san = "DNS:mta-sts.example.org", .issuer = &mid});
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    test_cert_free(&root);
    test_cert_free(&mid);
    test_cert_free(&leaf);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    test_dir_make();
    arena = sts_arena_new();
    sts_diags_init(&diags, arena);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_dir_remove();
    sts_arena_free(arena);
    return 0;
}

/* --- shorthands ------------------------------------------------------------------------------- */

static struct cert_store *load_paths(const char *const *paths, size_t count,
                                     const struct cert_store *previous, time_t now)
{
    struct sts_path list[4] = {0};

    for (size_t i = 0; i < count; i++)
        list[i] = (struct sts_path){{STS_STR("main.yaml"), 3, 5}, sts_str_from(paths[i])};
    sts_diags_init(&diags, arena);
    return cert_store_load(list, count, sts_str_from(test_dir), previous, now, &diags);
}

static struct cert_store *load(const char *path)
{
    return load_paths(&path, 1, NULL, NOW);
}

/* Loads again what is in `path` and frees the older store. */
static struct cert_store *reload(struct cert_store *previous, const char *path)
{
    struct cert_store *next = load_paths(&path, 1, previous, NOW);
    cert_store_unref(previous);
    return next;
}

static struct cert_identity find(const struct cert_store *s, const char *host)
{
    struct cert_identity id = {0};
    cert_store_find(s, sts_str_from(host), &id);
    return id;
}

static const struct sts_diag *diag(const char *code)
{
    for (const struct sts_diag *d = diags.first; d; d = d->next)
        if (strcmp(d->code, code) == 0)
            return d;
    struct sts_buf all = {0};
    sts_diags_render_json(&all, &diags);
    print_error("no %s in %.*s\n", code, STS_ARG(sts_buf_str(&all)));
    sts_buf_fini(&all);
    fail();
    return NULL;
}

static void assert_silent(void)
{
    if (!diags.first)
        return;
    print_error("unexpected: %s: %s\n", diags.first->code, diags.first->message.ptr);
    fail();
}

/* Loads `path`, which must give one error of `code` and no pair. */
static void assert_refused(const char *path, const char *code)
{
    struct cert_store *s = load(path);
    assert_int_equal(diag(code)->severity, STS_ERROR);
    assert_int_equal(diags.errors, 1);
    assert_int_equal(cert_store_count(s), 0);
    cert_store_unref(s);
}

static void write_good(const char *cert, const char *key)
{
    test_write_chain(cert, NULL, leaf.x, mid.x, NULL);
    test_write_key(key, leaf.key);
}

/* A combined file with one more certificate under `mid`. */
static struct test_cert write_spec(const char *name, struct test_spec spec)
{
    spec.issuer = spec.issuer ? spec.issuer : &mid;
    struct test_cert c = test_cert_make(spec);
    test_write_chain(name, c.key, c.x, spec.issuer->x, NULL);
    return c;
}

static void write_host(const char *name, const char *san, long to)
{
    struct test_cert c = write_spec(name, (struct test_spec){.san = san, .from = -DAYS, .to = to});
    test_cert_free(&c);
}

/* --- layouts ---------------------------------------------------------------------------------- */

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
            assert_string_equal(cert_pair_info(pair)->key_file.ptr, test_path(layouts[i][1]));
            assert_int_equal(cert_pair_info(pair)->chain_length, 2);
            assert_int_equal(cert_pair_info(pair)->not_after, NOW + 90 * DAYS);
            cert_store_unref(s);
        }
        assert_int_equal(nftw(test_path("d"), test_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
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
        assert_int_equal(nftw(test_path("d"), test_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
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

/* --- names ------------------------------------------------------------------------------------ */

/* RFC 8461 §3.3: DNS-ID by RFC 6125, "*" as the whole left-most label, one label deep. */
static void names_match_by_san(void **state)
{
    (void)state;
    write_host("d/w.pem", "DNS:*.example.org,DNS:Mta-Sts.Example.NET", 90 * DAYS);
    write_host("d/x.pem",
               "DNS:mta-sts.example.org,DNS:MTA-STS.example.org,IP:192.0.2.1,email:a@b.example",
               10 * DAYS);
    struct cert_store *s = load("d");
    assert_silent();
    const struct cert_pair *wild = find(s, "anything.example.org").ec;
    assert_non_null(wild);
    assert_ptr_equal(find(s, "mta-sts.example.net").ec, wild);
    const struct cert_pair *exact = find(s, "mta-sts.example.org").ec;
    assert_non_null(exact); /* before the wildcard, although that lasts longer */
    assert_ptr_not_equal(exact, wild);
    assert_null(find(s, "a.b.example.org").ec);
    assert_null(find(s, "example.org").ec);
    assert_null(find(s, "").ec);
    assert_null(find(s, ".").ec);
    assert_null(find(s, "org").ec);
    assert_null(find(s, "192.0.2.1").ec);
    char longest[400];
    memset(longest, 'a', sizeof(longest) - 1);
    longest[1] = '.';
    longest[sizeof(longest) - 1] = '\0';
    assert_null(find(s, longest).ec);
    cert_store_unref(s);
}

static void odd_names_are_left_out(void **state)
{
    (void)state;
    const struct sts_str odd[] = {
        STS_STR("mta-sts.example.org\0.evil.example"),
        STS_STR("*.*.example.org"),
        STS_STR("a*.example.org"),
        STS_STR("mta-sts.example.org."),
        STS_STR("mta_sts.example.org"),
        STS_STR("mta-sts..example"),
        STS_STR("-a.example"),
        STS_STR("192.0.2.1"),
        STS_STR("*."),
        STS_STR(""),
    };
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        struct test_cert c =
            write_spec("o.pem", (struct test_spec){.bytes = odd[i].ptr, .bytes_len = odd[i].len});
        assert_refused("o.pem", "certificate-no-name");
        test_cert_free(&c);
    }
}

static void the_last_to_expire_wins_per_key_type(void **state)
{
    (void)state;
    struct test_cert rsa =
        write_spec("d/rsa.pem",
                   (struct test_spec){.san = "DNS:mta-sts.example.org", .key = test_key_rsa(2048)});
    write_host("d/a.pem", "DNS:mta-sts.example.org", 10 * DAYS);
    write_host("d/b.pem", "DNS:mta-sts.example.org", 60 * DAYS);
    write_host("d/c.pem", "DNS:mta-sts.example.org", 30 * DAYS);
    struct cert_store *s = load("d");
    assert_silent();
    assert_int_equal(cert_store_count(s), 4);
    struct cert_identity id = find(s, "mta-sts.example.org");
    assert_string_equal(cert_pair_info(id.ec)->file.ptr, test_path("d/b.pem"));
    assert_string_equal(cert_pair_info(id.rsa)->file.ptr, test_path("d/rsa.pem"));
    assert_int_equal(cert_pair_info(id.rsa)->key_type, CERT_RSA);
    assert_int_equal(cert_pair_info(id.ec)->key_type, CERT_EC);
    cert_store_unref(s);
    test_cert_free(&rsa);
}

/* --- what is refused -------------------------------------------------------------------------- */

static void dates_are_checked(void **state)
{
    (void)state;
    struct test_cert c = write_spec(
        "e.pem", (struct test_spec){.san = "DNS:a.example", .from = -9 * DAYS, .to = -DAYS});
    assert_refused("e.pem", "certificate-expired");
    assert_non_null(strstr(diag("certificate-expired")->message.ptr, "expired on 2026-05-27"));
    assert_int_equal(diag("certificate-expired")->where.line, 1);
    test_cert_free(&c);
    c = write_spec("n.pem",
                   (struct test_spec){.san = "DNS:a.example", .from = DAYS, .to = 9 * DAYS});
    assert_refused("n.pem", "certificate-not-yet-valid");
    test_cert_free(&c);
}

static void an_expired_intermediate_is_a_warning(void **state)
{
    (void)state;
    struct test_cert old = test_cert_make((struct test_spec){
        .ca = true, .cn = "old", .issuer = &root, .from = -9 * DAYS, .to = -DAYS});
    struct test_cert c =
        write_spec("e.pem", (struct test_spec){.san = "DNS:a.example", .issuer = &old});
    struct cert_store *s = load("e.pem");
    assert_int_equal(diag("certificate-chain-expired")->severity, STS_WARNING);
    assert_true(diag("certificate-chain-expired")->where.line > 1);
    assert_int_equal(cert_store_count(s), 1);
    cert_store_unref(s);
    test_cert_free(&c);
    test_cert_free(&old);
}

static void keys_are_checked(void **state)
{
    (void)state;
    EVP_PKEY *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    struct {
        EVP_PKEY *key;
        const char *code;
    } cases[] = {
        {test_key_rsa(1024), "certificate-weak-key"},
        {test_key_ec("secp256k1"), "certificate-weak-key"},
        {test_key_ec("P-224"), "certificate-weak-key"},
        {ed, "certificate-key-type"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct test_cert c =
            write_spec("k.pem", (struct test_spec){.san = "DNS:a.example", .key = cases[i].key});
        assert_refused("k.pem", cases[i].code);
        test_cert_free(&c);
    }
    const char *const fine[] = {"P-256", "P-384", "P-521"};
    for (size_t i = 0; i < 3; i++) {
        struct test_cert c = write_spec(
            "k.pem", (struct test_spec){.san = "DNS:a.example", .key = test_key_ec(fine[i])});
        struct cert_store *s = load("k.pem");
        assert_silent();
        assert_non_null(find(s, "a.example").ec);
        cert_store_unref(s);
        test_cert_free(&c);
    }
}

static void signatures_and_purpose_are_checked(void **state)
{
    (void)state;
    struct test_cert c =
        write_spec("s.pem", (struct test_spec){.san = "DNS:a.example", .md = EVP_sha1()});
    assert_refused("s.pem", "certificate-weak-signature");
    test_cert_free(&c);
    struct test_cert rsa =
        test_cert_make((struct test_spec){.ca = true, .cn = "rsa", .key = test_key_rsa(2048)});
    c = write_spec("s.pem",
                   (struct test_spec){.san = "DNS:a.example", .md = EVP_md5(), .issuer = &rsa});
    assert_refused("s.pem", "certificate-weak-signature");
    test_cert_free(&rsa);
    test_cert_free(&c);
    c = write_spec("s.pem", (struct test_spec){.san = "DNS:a.example", .eku = "clientAuth"});
    assert_refused("s.pem", "certificate-purpose");
    test_cert_free(&c);
    c = write_spec("s.pem", (struct test_spec){.cn = "a.example"});
    assert_refused("s.pem", "certificate-no-name"); /* the CN does not count */
    test_cert_free(&c);
}

/* A root of the SHA-1 age may stand in the chain: nobody looks at a root's own signature. */
static void a_root_may_be_signed_with_sha1(void **state)
{
    (void)state;
    struct test_cert old =
        test_cert_make((struct test_spec){.ca = true, .cn = "old root", .md = EVP_sha1()});
    struct test_cert c =
        write_spec("s.pem", (struct test_spec){.san = "DNS:a.example", .issuer = &old});
    struct cert_store *s = load("s.pem");
    assert_silent();
    assert_int_equal(cert_store_count(s), 1);
    cert_store_unref(s);
    test_cert_free(&c);
    test_cert_free(&old);
}

static void the_key_must_fit(void **state)
{
    (void)state;
    write_good("h.crt", "h.key");
    test_write_key("h.key", mid.key);
    assert_refused("h.crt", "certificate-leaf-not-first");
    test_write_key("h.key", root.key);
    assert_refused("h.crt", "certificate-key-mismatch");
    test_write_chain("h.crt", NULL, mid.x, leaf.x, NULL);
    test_write_key("h.key", leaf.key);
    assert_refused("h.crt", "certificate-leaf-not-first");
    assert_true(diag("certificate-leaf-not-first")->where.line > 1);
}

static void the_chain_must_be_in_order(void **state)
{
    (void)state;
    test_write_chain("h.pem", leaf.key, leaf.x, mid.x, root.x, NULL);
    struct cert_store *s = load("h.pem");
    assert_silent();
    assert_int_equal(cert_pair_info(find(s, "mta-sts.example.org").ec)->chain_length, 3);
    cert_store_unref(s);

    test_write_chain("h.pem", leaf.key, leaf.x, root.x, mid.x, NULL);
    assert_refused("h.pem", "certificate-chain-order");
    test_write_chain("h.pem", leaf.key, leaf.x, mid.x, mid.x, NULL);
    assert_refused("h.pem", "certificate-chain-incomplete");
    test_write_chain("h.pem", leaf.key, leaf.x, leaf.x, mid.x, NULL);
    assert_refused("h.pem", "certificate-chain-order");
    test_write_chain("h.pem", leaf.key, leaf.x, root.x, NULL);
    assert_refused("h.pem", "certificate-chain-incomplete");

    /* same name, other key: only the signature tells */
    struct test_cert twin =
        test_cert_make((struct test_spec){.ca = true, .cn = "mid", .issuer = &root});
    test_write_chain("h.pem", leaf.key, leaf.x, twin.x, NULL);
    assert_refused("h.pem", "certificate-chain-incomplete");
    test_cert_free(&twin);

    test_write_chain("h.pem", leaf.key, leaf.x, mid.x, mid.x, mid.x, mid.x, mid.x, mid.x, mid.x,
                     mid.x, mid.x, mid.x, NULL);
    assert_refused("h.pem", "certificate-chain-order");
}

/* Whether the issuer is a trusted root cannot be known, so these are served. */
static void a_leaf_alone_is_a_warning(void **state)
{
    (void)state;
    test_write_chain("h.pem", leaf.key, leaf.x, NULL);
    struct cert_store *s = load("h.pem");
    assert_int_equal(diag("certificate-chain-incomplete")->severity, STS_WARNING);
    assert_non_null(strstr(diag("certificate-chain-incomplete")->message.ptr, "chasquid"));
    assert_int_equal(cert_store_count(s), 1);
    s = reload(s, "h.pem"); /* unchanged, and still said */
    assert_int_equal(diag("certificate-chain-incomplete")->severity, STS_WARNING);
    cert_store_unref(s);

    struct test_cert self = test_cert_make((struct test_spec){.san = "DNS:a.example"});
    test_write_chain("h.pem", self.key, self.x, NULL);
    s = load("h.pem");
    assert_int_equal(diag("certificate-self-signed")->severity, STS_WARNING);
    assert_int_equal(diags.warnings, 1);
    assert_int_equal(cert_store_count(s), 1);
    cert_store_unref(s);
    test_cert_free(&self);
}

static void encrypted_keys_are_refused(void **state)
{
    (void)state;
    for (int traditional = 0; traditional < 2; traditional++) {
        unsigned char word[] = "secret";
        test_write_chain("h.crt", NULL, leaf.x, mid.x, NULL);
        test_write("h.key", "", 0);
        BIO *out = BIO_new_file(test_path("h.key"), "w");
        if (traditional)
            PEM_write_bio_PrivateKey_traditional(out, leaf.key, EVP_aes_128_cbc(), word, 6, NULL,
                                                 NULL);
        else
            PEM_write_bio_PrivateKey(out, leaf.key, EVP_aes_128_cbc(), word, 6, NULL, NULL);
        BIO_free(out);
        assert_refused("h.crt", "certificate-key-encrypted");
        assert_string_equal(diag("certificate-key-encrypted")->where.source.ptr,
                            test_path("h.key"));
        assert_true(diag("certificate-key-encrypted")->help.len > 0);
    }
}

/* --- files ------------------------------------------------------------------------------------ */

static void damaged_text_is_reported_by_line(void **state)
{
    (void)state;
    char text[8192];
    write_good("h.crt", "h.key");
    FILE *f = fopen(test_path("h.crt"), "r");
    size_t len = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[len] = '\0';

    char *second = strstr(text + 1, "-----BEGIN");
    uint32_t line = 1;
    for (char *p = text; p < second; p++)
        line += *p == '\n';

    test_write("h.crt", text, (size_t)(second - text) + 100); /* cut */
    assert_refused("h.crt", "certificate-pem");
    assert_int_equal(diag("certificate-pem")->where.line, line);

    char saved = second[100];
    second[100] = '!'; /* not base64 */
    test_write("h.crt", text, len);
    assert_refused("h.crt", "certificate-pem");
    assert_int_equal(diag("certificate-pem")->where.line, line);
    second[100] = saved;

    char *first = strchr(text, '\n') + 9;
    *first ^= 1; /* base64, but no certificate any more */
    test_write("h.crt", text, len);
    struct cert_store *s = load("h.crt");
    assert_int_equal(diags.errors, 1);
    assert_int_equal(cert_store_count(s), 0);
    cert_store_unref(s);
    *first ^= 1;

    test_write("h.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 58);
    test_write("h.crt", text, len);
    assert_refused("h.crt", "certificate-pem");
    test_write("h.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n", 33);
    assert_refused("h.crt", "certificate-pem");
}

static void windows_line_ends_and_marks_are_read(void **state)
{
    (void)state;
    char text[8192] = "\xEF\xBB\xBF";
    size_t len = 3;
    int c;
    write_good("h.crt", "h.key");
    FILE *f = fopen(test_path("h.crt"), "r");
    while ((c = fgetc(f)) != EOF) {
        if (c == '\n')
            text[len++] = '\r';
        text[len++] = (char)c;
    }
    fclose(f);
    test_write("h.crt", text, len - 2); /* and no line end at the end */
    struct cert_store *s = load("h.crt");
    assert_silent();
    assert_int_equal(cert_store_count(s), 1);
    cert_store_unref(s);
}

static void files_that_are_no_certificate_are_reported(void **state)
{
    (void)state;
    test_write("e.pem", "", 0);
    assert_refused("e.pem", "certificate-no-certificate");
    test_write("t.pem", "hello\n", 6);
    assert_refused("t.pem", "certificate-no-certificate");
    assert_int_equal(diag("certificate-no-certificate")->related.line, 3);
    FILE *f = test_open("d.pem");
    i2d_X509_fp(f, leaf.x);
    fclose(f);
    assert_refused("d.pem", "certificate-no-certificate");
    assert_non_null(strstr(diag("certificate-no-certificate")->message.ptr, "binary"));
    test_write_key("k.key", leaf.key);
    assert_refused("k.key", "certificate-no-certificate");
    test_write_chain("c.pem", NULL, leaf.x, mid.x, NULL);
    assert_refused("c.pem", "certificate-no-key");
    test_write_chain("d/tls.crt", NULL, leaf.x, mid.x, NULL);
    assert_refused("d", "certificate-no-key");
    assert_non_null(strstr(diag("certificate-no-key")->help.ptr, "tls.key"));
    test_write_chain("d/tls.key", NULL, leaf.x, mid.x, NULL);
    assert_refused("d", "certificate-no-key");
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

static void a_broken_pair_harms_no_neighbour(void **state)
{
    (void)state;
    write_good("d/a/fullchain.pem", "d/a/privkey.pem");
    write_good("d/b/fullchain.pem", "d/b/privkey.pem");
    test_write_key("d/b/privkey.pem", root.key);
    write_host("d/c.pem", "DNS:c.example", DAYS);
    struct cert_store *s = load("d");
    assert_int_equal(diags.errors, 1);
    assert_int_equal(cert_store_count(s), 2);
    assert_non_null(find(s, "c.example").ec);
    cert_store_unref(s);
}

static void it_says_why_not(void **state)
{
    (void)state;
    const struct {
        const char *host, *part;
    } expected[] = {
        {"old.example", "expired on 2026-05-27 ("},   {"any.wild.example", "expired on"},
        {"mta-sts.example.org", "no private key"},    {"by-folder.example", "END line is missing"},
        {"other.example", "no certificate names it"},
    };
    struct test_cert c =
        write_spec("d/x.pem", (struct test_spec){.san = "DNS:old.example,DNS:*.wild.example",
                                                 .from = -9 * DAYS,
                                                 .to = -DAYS});
    test_cert_free(&c);
    test_write_chain("d/any.pem", NULL, leaf.x, mid.x, NULL);
    test_write("d/by-folder.example/fullchain.pem", "-----BEGIN CERTIFICATE-----\n", 28);
    struct cert_store *s = load("d");
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        struct sts_str why = cert_store_why_not(s, arena, sts_str_from(expected[i].host));
        assert_non_null(strstr(why.ptr, expected[i].part));
    }
    cert_store_unref(s);
}

/* --- reload ----------------------------------------------------------------------------------- */

static void unchanged_pairs_are_shared(void **state)
{
    (void)state;
    write_good("d/a/fullchain.pem", "d/a/privkey.pem");
    write_host("d/b.pem", "DNS:b.example", DAYS);
    struct cert_store *s = load("d");
    const struct cert_pair *a = find(s, "mta-sts.example.org").ec, *b = find(s, "b.example").ec;
    write_host("d/b.pem", "DNS:b.example", DAYS);
    write_good("d/a/fullchain.pem", "d/a/privkey.pem"); /* same bytes, other times */
    struct cert_store *held = cert_store_ref(s);
    s = reload(s, "d");
    assert_silent();
    assert_ptr_equal(find(s, "mta-sts.example.org").ec, a);
    assert_ptr_not_equal(find(s, "b.example").ec, b);
    assert_int_equal(cert_store_count(s), 2);
    cert_store_unref(s);
    assert_ptr_equal(find(held, "b.example").ec, b); /* an older snapshot still has it */
    cert_store_unref(held);
}

static void a_half_renewed_pair_keeps_the_earlier(void **state)
{
    (void)state;
    struct test_cert next = test_cert_make(
        (struct test_spec){.san = "DNS:mta-sts.example.org", .issuer = &mid, .to = 99 * DAYS});
    const char *crt = "d/h/fullchain.pem", *key = "d/h/privkey.pem";
    write_good(crt, key);
    struct cert_store *s = load("d");
    const struct cert_pair *old = find(s, "mta-sts.example.org").ec;

    for (int change = 0; change < 7; change++) {
        write_good(crt, key);
        switch (change) {
        case 0: /* key before certificate */
            test_write_key(key, next.key);
            break;
        case 1: /* certificate before key */
            test_write_chain(crt, NULL, next.x, mid.x, NULL);
            break;
        case 2: /* cut */
            test_write(crt, "-----BEGIN CERTIFICATE-----\nAB", 30);
            break;
        case 3: /* emptied */
            test_write(crt, "", 0);
            break;
        case 4: /* a FIFO */
            unlink(test_path(key));
            assert_int_equal(mkfifo(test_path(key), 0600), 0);
            break;
        case 5: /* key gone */
            unlink(test_path(key));
            break;
        case 6: /* all gone */
            nftw(test_path("d/h"), test_remove, 16, FTW_DEPTH | FTW_PHYS);
            break;
        }
        s = reload(s, "d");
        assert_int_equal(diag("certificate-kept")->severity, STS_WARNING);
        assert_int_equal(diags.errors, 0);
        assert_ptr_equal(find(s, "mta-sts.example.org").ec, old);
        unlink(test_path(key));
    }
    test_write_chain(crt, NULL, next.x, mid.x, NULL);
    test_write_key(key, next.key);
    s = reload(s, "d");
    assert_silent();
    assert_ptr_not_equal(find(s, "mta-sts.example.org").ec, old);
    cert_store_unref(s);
    test_cert_free(&next);
}

/* The key of a combined file, overwritten by the chain alone. */
static void a_combined_file_without_key_keeps_the_earlier(void **state)
{
    (void)state;
    test_write_chain("d/h.pem", leaf.key, leaf.x, mid.x, NULL);
    struct cert_store *s = load("d");
    const struct cert_pair *old = find(s, "mta-sts.example.org").ec;
    test_write_chain("d/h.pem", NULL, leaf.x, mid.x, NULL);
    s = reload(s, "d");
    assert_int_equal(diag("certificate-kept")->severity, STS_WARNING);
    assert_ptr_equal(find(s, "mta-sts.example.org").ec, old);
    cert_store_unref(s);
}

static void what_expired_is_not_kept(void **state)
{
    (void)state;
    const char *d = "d";
    write_good("d/h.crt", "d/h.key");
    struct cert_store *s = load(d);
    struct cert_store *late = load_paths(&d, 1, s, NOW + 91 * DAYS); /* unchanged */
    assert_int_equal(diag("certificate-expired")->severity, STS_ERROR);
    assert_int_equal(cert_store_count(late), 0);
    cert_store_unref(late);
    test_write_key("d/h.key", root.key);
    late = load_paths(&d, 1, s, NOW + 91 * DAYS);
    assert_int_equal(diag("certificate-key-mismatch")->severity, STS_ERROR);
    assert_int_equal(cert_store_count(late), 0);
    cert_store_unref(late);
    unlink(test_path("d/h.crt"));
    late = load_paths(&d, 1, s, NOW + 91 * DAYS);
    assert_int_equal(cert_store_count(late), 0);
    cert_store_unref(late);
    cert_store_unref(s);
}

static void a_removed_pair_goes_when_nothing_needs_it(void **state)
{
    (void)state;
    write_good("d/h.crt", "d/h.key");
    write_host("e/o.pem", "DNS:o.example", DAYS);
    const char *const both[] = {"d", "e"};
    struct cert_store *s = load_paths(both, 2, NULL, NOW);
    struct cert_store *one = load_paths(both, 1, s, NOW); /* "e" is not configured any more */
    assert_silent();
    assert_null(find(one, "o.example").ec);
    cert_store_unref(one);
    unlink(test_path("d/h.crt"));
    write_good("d/new/tls.crt", "d/new/tls.key"); /* moved to another layout */
    s = reload(s, "d");
    assert_silent();
    assert_int_equal(cert_store_count(s), 1);
    cert_store_unref(s);
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_layout_is_found),
        TEST(combined_files_are_found),
        TEST(links_are_followed),
        TEST(what_is_no_pair_is_passed_over),
        TEST(listed_keys_join_their_certificates),
        TEST(names_match_by_san),
        TEST(odd_names_are_left_out),
        TEST(the_last_to_expire_wins_per_key_type),
        TEST(dates_are_checked),
        TEST(an_expired_intermediate_is_a_warning),
        TEST(keys_are_checked),
        TEST(signatures_and_purpose_are_checked),
        TEST(a_root_may_be_signed_with_sha1),
        TEST(the_key_must_fit),
        TEST(the_chain_must_be_in_order),
        TEST(a_leaf_alone_is_a_warning),
        TEST(encrypted_keys_are_refused),
        TEST(damaged_text_is_reported_by_line),
        TEST(windows_line_ends_and_marks_are_read),
        TEST(files_that_are_no_certificate_are_reported),
        TEST(only_regular_files_are_read),
        TEST(permission_is_reported),
        TEST(a_broken_pair_harms_no_neighbour),
        TEST(it_says_why_not),
        TEST(unchanged_pairs_are_shared),
        TEST(a_half_renewed_pair_keeps_the_earlier),
        TEST(a_combined_file_without_key_keeps_the_earlier),
        TEST(what_expired_is_not_kept),
        TEST(a_removed_pair_goes_when_nothing_needs_it),
        TEST(the_script_makes_what_the_store_takes),
    };
#undef TEST
    return cmocka_run_group_tests_name("cert_store", tests, group_setup, group_teardown);
}
