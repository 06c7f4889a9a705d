/* Unit tests of which pair goes first when several have the name of a host: whoever may put files
 * into one folder takes nothing from the hosts of another. */
#include "tests/unit/cert_store_fixture.h"

#include <unistd.h>

#include "server/tls/cert_pair.h"

#define HOST "mta-sts.example.org"

static const char *const folders[] = {"owner", "other"};

static struct cert_store *load_both(void)
{
    return load_paths(folders, 2, NULL, NOW);
}

static struct cert_store *reload_both(struct cert_store *previous)
{
    struct cert_store *next = load_paths(folders, 2, previous, NOW);
    cert_store_unref(previous);
    return next;
}

static int up(void **state)
{
    setup(state);
    test_mkdirs(test_path("owner/"));
    test_mkdirs(test_path("other/"));
    return 0;
}

static EVP_PKEY *key_of(enum cert_key_type type)
{
    return type == CERT_RSA ? test_key_rsa(2048) : test_key_ec("P-256");
}

static void put_issued(const char *file, const char *san, enum cert_key_type type, long to)
{
    struct test_cert c = write_spec(
        file, (struct test_spec){.san = san, .key = key_of(type), .from = -DAYS, .to = to});
    test_cert_free(&c);
}

static void put_self_signed(const char *file, const char *san, enum cert_key_type type, long to)
{
    struct test_cert c = test_cert_make(
        (struct test_spec){.san = san, .key = key_of(type), .from = -DAYS, .to = to});

    test_write_chain(file, c.key, c.x, NULL);
    test_cert_free(&c);
}

/* Nothing but `ec` and `rsa`, by the names of their files or NULL. */
static void assert_presented(const struct cert_store *s, const char *host, const char *ec,
                             const char *rsa)
{
    struct cert_identity id = find(s, host);

    assert_true(!id.ec == !ec);
    assert_true(!id.rsa == !rsa);
    if (ec)
        assert_string_equal(cert_pair_info(id.ec)->file.ptr, test_path(ec));
    if (rsa)
        assert_string_equal(cert_pair_info(id.rsa)->file.ptr, test_path(rsa));
}

static bool is_said(const char *code)
{
    for (const struct sts_diag *d = diags.first; d; d = d->next)
        if (strcmp(d->code, code) == 0)
            return true;
    return false;
}

/* --- Self-signed ---------------------------------------------------------------------------- */

static void self_signed_goes_behind_issued(void **state)
{
    (void)state;
    static const enum cert_key_type types[] = {CERT_EC, CERT_RSA};

    for (size_t i = 0; i < 4; i++) {
        enum cert_key_type own = types[i / 2], other = types[i % 2];
        put_issued("owner/o.pem", "DNS:" HOST, own, 10 * DAYS);
        struct cert_store *s = load_both();
        assert_false(is_said("certificate-kept"));
        put_self_signed("other/x.pem", "DNS:" HOST, other, 900 * DAYS);
        for (int again = 0; again < 2; again++) {
            s = reload_both(s);
            assert_int_equal(cert_store_count(s), 2);
            assert_true(is_said("certificate-self-signed"));
            assert_presented(s, HOST, own == CERT_EC ? "owner/o.pem" : NULL,
                             own == CERT_RSA ? "owner/o.pem" : NULL);
            cert_store_unref(s);
            s = load_both(); /* at a start, too */
        }
        cert_store_unref(s);
    }
}

/* Who is alone is presented, and so is one of each key type. */
static void self_signed_alone(void **state)
{
    (void)state;
    put_self_signed("other/x.pem", "DNS:" HOST, CERT_EC, 9 * DAYS);
    put_self_signed("other/y.pem", "DNS:" HOST, CERT_RSA, 9 * DAYS);
    struct cert_store *s = load_both();
    assert_presented(s, HOST, "other/x.pem", "other/y.pem");
    put_issued("owner/o.pem", "DNS:" HOST, CERT_RSA, 5 * DAYS);
    s = reload_both(s);
    assert_presented(s, HOST, NULL, "owner/o.pem");
    cert_store_unref(s);
}

/* The very name goes before a pattern only among equals. */
static void self_signed_goes_behind_a_pattern(void **state)
{
    (void)state;
    put_issued("owner/o.pem", "DNS:*.example.org", CERT_EC, 9 * DAYS);
    put_self_signed("other/x.pem", "DNS:" HOST, CERT_EC, 90 * DAYS);
    struct cert_store *s = load_both();
    assert_presented(s, HOST, "owner/o.pem", NULL);
    unlink(test_path("other/x.pem"));
    s = reload_both(s);
    assert_presented(s, HOST, "owner/o.pem", NULL);
    assert_false(is_said("certificate-kept"));
    put_self_signed("other/x.pem", "DNS:*.example.net", CERT_EC, 90 * DAYS);
    put_issued("owner/p.pem", "DNS:mta-sts.example.net", CERT_RSA, 9 * DAYS);
    s = reload_both(s);
    assert_presented(s, "mta-sts.example.net", NULL, "owner/p.pem");
    cert_store_unref(s);
}

/* --- What is self-signed, whatever name it gives its issuer ---------------------------------- */

/* One more certificate for `from`, of this issuer, signed with its own key. */
static void put_forged(const char *file, X509_NAME *issuer, int identifiers)
{
    struct test_cert c =
        test_cert_make((struct test_spec){.san = "DNS:" HOST, .from = -DAYS, .to = 90 * DAYS});
    struct test_cert stranger = {X509_new(), test_key_ec("P-256")};

    if (issuer)
        assert_int_equal(X509_set_issuer_name(c.x, issuer), 1);
    if (identifiers) /* of its own key, but another one signs */
        test_extension(c.x, c.x, NID_authority_key_identifier, "keyid:always");
    assert_true(X509_sign(c.x, identifiers ? stranger.key : c.key, EVP_sha256()) > 0);
    test_write_chain(file, c.key, c.x, NULL);
    test_cert_free(&stranger);
    test_cert_free(&c);
}

static void its_own_key_tells(void **state)
{
    (void)state;
    put_issued("owner/o.pem", "DNS:" HOST, CERT_EC, 9 * DAYS);
    for (int kind = 0; kind < 3; kind++) {
        put_forged("other/x.pem", kind ? X509_get_subject_name(mid.x) : NULL, kind == 2);
        struct cert_store *s = load_both();
        assert_int_equal(cert_store_count(s), 2);
        assert_true(is_said("certificate-self-signed"));
        assert_presented(s, HOST, "owner/o.pem", NULL);
        cert_store_unref(s);
    }
}

/* A certificate of the same key above it. */
static void its_own_key_above_it_tells(void **state)
{
    (void)state;
    struct test_cert above = test_cert_make((struct test_spec){.ca = true, .cn = "above"});
    EVP_PKEY_up_ref(above.key);
    struct test_cert c = test_cert_make((struct test_spec){
        .san = "DNS:" HOST, .issuer = &above, .key = above.key, .from = -DAYS, .to = 90 * DAYS});

    put_issued("owner/o.pem", "DNS:" HOST, CERT_EC, 9 * DAYS);
    test_write_chain("other/x.pem", c.key, c.x, above.x, NULL);
    struct cert_store *s = load_both();
    assert_int_equal(cert_store_count(s), 2);
    assert_presented(s, HOST, "owner/o.pem", NULL);
    cert_store_unref(s);
    test_cert_free(&c);
    test_cert_free(&above);
}

/* Without any certificate above it, and with an issuer: as before. */
static void a_leaf_alone_is_not_self_signed(void **state)
{
    (void)state;
    test_write_chain("owner/o.pem", leaf.key, leaf.x, NULL);
    put_self_signed("other/x.pem", "DNS:" HOST, CERT_EC, 900 * DAYS);
    struct cert_store *s = load_both();
    assert_true(is_said("certificate-chain-incomplete"));
    assert_presented(s, HOST, "owner/o.pem", NULL);
    cert_store_unref(s);
}

/* --- Kept ------------------------------------------------------------------------------------ */

/* It was the first; it is gone; the owner's, which ends earlier, is all there is. */
static void nothing_self_signed_stays(void **state)
{
    (void)state;
    for (int other = 0; other < 2; other++) {
        folder_remove(test_path("owner"));
        put_self_signed("other/x.pem", "DNS:" HOST, other ? CERT_RSA : CERT_EC, 900 * DAYS);
        struct cert_store *s = load_both();
        put_issued("owner/o.pem", "DNS:" HOST, CERT_EC, 9 * DAYS);
        s = reload_both(s);
        assert_presented(s, HOST, "owner/o.pem", NULL);
        unlink(test_path("other/x.pem"));
        s = reload_both(s);
        assert_false(is_said("certificate-kept"));
        assert_int_equal(cert_store_count(s), 1);
        put_issued("owner/o.pem", "DNS:" HOST, CERT_EC, 10 * DAYS);
        s = reload_both(s);
        assert_false(is_said("certificate-kept"));
        assert_presented(s, HOST, "owner/o.pem", NULL);
        cert_store_unref(s);
    }
}

/* It is all there is for a while, with or without its files. */
static void self_signed_is_kept_until_there_is_another(void **state)
{
    (void)state;
    static const enum cert_key_type types[] = {CERT_EC, CERT_RSA};

    for (size_t i = 0; i < 4; i++) {
        enum cert_key_type own = types[i / 2], other = types[i % 2];
        const char *x = "other/x.pem", *o = "owner/o.pem";
        put_self_signed(x, "DNS:" HOST, other, 900 * DAYS);
        struct cert_store *s = load_both();
        unlink(test_path(x));
        s = reload_both(s);
        assert_true(is_said("certificate-kept"));
        assert_presented(s, HOST, other == CERT_EC ? x : NULL, other == CERT_RSA ? x : NULL);
        put_issued(o, "DNS:" HOST, own, 9 * DAYS);
        s = reload_both(s);
        assert_false(is_said("certificate-kept"));
        assert_int_equal(cert_store_count(s), 1);
        assert_presented(s, HOST, own == CERT_EC ? o : NULL, own == CERT_RSA ? o : NULL);
        cert_store_unref(s);
        unlink(test_path(o));
    }
}

/* Its files are broken, not gone. */
static void what_is_kept_goes_behind_what_is_on_disk(void **state)
{
    (void)state;
    put_issued("other/x.pem", "DNS:" HOST, CERT_EC, 90 * DAYS);
    put_issued("owner/o.pem", "DNS:" HOST, CERT_EC, 9 * DAYS);
    struct cert_store *s = load_both();
    assert_presented(s, HOST, "other/x.pem", NULL);
    test_write("other/x.pem", "-----BEGIN CERTIFICATE-----\n", 28);
    s = reload_both(s);
    assert_true(is_said("certificate-kept"));
    assert_presented(s, HOST, "owner/o.pem", NULL);
    test_write("owner/o.pem", "-----BEGIN CERTIFICATE-----\n", 28);
    s = reload_both(s); /* both are only kept */
    assert_presented(s, HOST, "other/x.pem", NULL);
    cert_store_unref(s);
}

/* The pattern and the very name alike. */
static void what_is_kept_goes_behind_a_pattern_on_disk(void **state)
{
    (void)state;
    put_issued("owner/o.pem", "DNS:*.example.org", CERT_EC, 9 * DAYS);
    put_issued("other/x.pem", "DNS:" HOST ",DNS:x.example", CERT_EC, 90 * DAYS);
    struct cert_store *s = load_both();
    assert_presented(s, HOST, "other/x.pem", NULL);
    unlink(test_path("other/x.pem"));
    s = reload_both(s);
    assert_true(is_said("certificate-kept")); /* for its other name */
    assert_presented(s, HOST, "owner/o.pem", NULL);
    assert_presented(s, "x.example", "other/x.pem", NULL);
    cert_store_unref(s);
}

/* A host with both key types, one of which is caught half-renewed or gone. */
static void of_two_key_types_one_is_kept(void **state)
{
    (void)state;
    for (int gone = 0; gone < 2; gone++) {
        put_issued("owner/ec.pem", "DNS:" HOST, CERT_EC, 90 * DAYS);
        put_issued("owner/rsa.pem", "DNS:" HOST, CERT_RSA, 90 * DAYS);
        struct cert_store *s = load_both();
        assert_presented(s, HOST, "owner/ec.pem", "owner/rsa.pem");
        /* RSA is for those only who cannot take the other, to whom nothing else is left. */
        test_write("owner/rsa.pem", "-----BEGIN", 10);
        if (gone)
            unlink(test_path("owner/rsa.pem"));
        s = reload_both(s);
        assert_true(is_said("certificate-kept"));
        assert_presented(s, HOST, "owner/ec.pem", "owner/rsa.pem");
        put_issued("owner/rsa.pem", "DNS:" HOST, CERT_RSA, 90 * DAYS);
        s = reload_both(s);
        assert_false(is_said("certificate-kept"));
        test_write("owner/ec.pem", "-----BEGIN", 10);
        if (gone)
            unlink(test_path("owner/ec.pem"));
        s = reload_both(s);
        assert_presented(s, HOST, NULL, "owner/rsa.pem");
        cert_store_unref(s);
    }
}

/* The owner's renewal is caught half-way, or its folder is gone for a moment. */
static void self_signed_does_not_wait_for_a_gap(void **state)
{
    (void)state;
    for (int gone = 0; gone < 2; gone++) {
        put_issued("owner/o.pem", "DNS:" HOST, CERT_EC, 9 * DAYS);
        put_self_signed("other/x.pem", "DNS:" HOST, CERT_EC, 900 * DAYS);
        put_self_signed("other/y.pem", "DNS:" HOST, CERT_RSA, 900 * DAYS);
        struct cert_store *s = load_both();
        test_write("owner/o.pem", "-----BEGIN", 10);
        if (gone)
            unlink(test_path("owner/o.pem"));
        for (int i = 0; i < 2; i++) {
            s = reload_both(s);
            assert_true(is_said("certificate-kept"));
            assert_presented(s, HOST, "owner/o.pem", NULL);
        }
        put_issued("owner/o.pem", "DNS:" HOST, CERT_EC, 10 * DAYS);
        s = reload_both(s);
        assert_false(is_said("certificate-kept"));
        assert_presented(s, HOST, "owner/o.pem", NULL);
        cert_store_unref(s);
    }
}

/* What is on disk but not valid is no pair: it does not push out one that is kept. */
static void not_valid_goes_behind_kept(void **state)
{
    (void)state;
    static const struct {
        long from, to;
    } dates[] = {{-9 * DAYS, -DAYS}, {DAYS, 99 * DAYS}};

    for (size_t i = 0; i < 2; i++) {
        put_issued("owner/o.pem", "DNS:" HOST, CERT_EC, 9 * DAYS);
        struct cert_store *s = load_both();
        unlink(test_path("owner/o.pem"));
        struct test_cert c = write_spec(
            "owner/next.pem",
            (struct test_spec){.san = "DNS:" HOST, .from = dates[i].from, .to = dates[i].to});
        s = reload_both(s);
        assert_true(is_said("certificate-kept"));
        assert_presented(s, HOST, "owner/o.pem", NULL);
        cert_store_unref(s);
        unlink(test_path("owner/next.pem"));
        test_cert_free(&c);
    }
}

#define RUN(name) cmocka_unit_test_setup_teardown(name, up, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(self_signed_goes_behind_issued),
        RUN(self_signed_alone),
        RUN(self_signed_goes_behind_a_pattern),
        RUN(its_own_key_tells),
        RUN(its_own_key_above_it_tells),
        RUN(a_leaf_alone_is_not_self_signed),
        RUN(nothing_self_signed_stays),
        RUN(self_signed_is_kept_until_there_is_another),
        RUN(what_is_kept_goes_behind_what_is_on_disk),
        RUN(what_is_kept_goes_behind_a_pattern_on_disk),
        RUN(of_two_key_types_one_is_kept),
        RUN(self_signed_does_not_wait_for_a_gap),
        RUN(not_valid_goes_behind_kept),
    };
    return cmocka_run_group_tests_name("cert_order", tests, group_setup, group_teardown);
}
