/* Unit tests of the certificate store: the index by name, and what survives a renewal caught
 * half-way. */
#include "tests/unit/cert_store_fixture.h"

#include <signal.h>

#include "server/tls/cert_pair.h"

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

/* Files are read again only when their attributes changed, or may not tell yet. */
static void only_what_changed_is_read(void **state)
{
    (void)state;
    int64_t young = cert_young_ns;
    char name[40], san[60];
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "d/%d.pem", i);
        snprintf(san, sizeof(san), "DNS:h%d.example", i);
        write_host(name, san, 9 * DAYS);
    }
    cert_young_ns = INT64_MAX / 2;
    struct cert_store *s = load("d");
    assert_int_equal(cert_store_work(s).read, 200);
    assert_int_equal(cert_store_work(s).parsed, 200);
    s = reload(s, "d"); /* too young */
    assert_int_equal(cert_store_work(s).read, 200);
    assert_int_equal(cert_store_work(s).parsed, 0);
    cert_young_ns = -1000000000;
    s = reload(s, "d");
    s = reload(s, "d");
    assert_int_equal(cert_store_work(s).read, 0);
    assert_int_equal(cert_store_count(s), 200);

    const struct cert_pair *old = find(s, "h7.example").ec;
    write_host("d/7.pem", "DNS:h7.example", 10 * DAYS);
    s = reload(s, "d");
    assert_int_equal(cert_store_work(s).read, 1);
    assert_int_equal(cert_store_work(s).parsed, 1);
    assert_ptr_not_equal(find(s, "h7.example").ec, old);
    /* the same bytes in another file, then permissions: told by the inode, and by the ctime */
    assert_int_equal(rename(test_path("d/9.pem"), test_path("d/x.tmp")), 0);
    assert_int_equal(link(test_path("d/8.pem"), test_path("d/9.pem")), 0);
    s = reload(s, "d");
    assert_int_equal(cert_store_work(s).read, 2); /* a link changes the ctime of 8.pem too */
    assert_int_equal(cert_store_work(s).parsed, 1);
    assert_int_equal(chmod(test_path("d/3.pem"), 0600), 0);
    s = reload(s, "d");
    assert_int_equal(cert_store_work(s).read, 1);
    assert_int_equal(cert_store_work(s).parsed, 0);
    cert_young_ns = young;
    const char *d = "d"; /* what was not read still expires */
    struct cert_store *late = load_paths(&d, 1, s, NOW + 11 * DAYS);
    assert_int_equal(cert_store_work(late).read, 0);
    assert_int_equal(cert_store_count(late), 0);
    assert_int_equal(diags.errors, 200);
    cert_store_unref(late);
    cert_store_unref(s);
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
            folder_remove(test_path("d/h"));
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

/* What a caller looks at again without being told. */
static void what_is_kept_or_may_mend_is_known(void **state)
{
    (void)state;
    write_good("d/h.crt", "d/h.key");
    write_host("d/o.pem", "DNS:o.example", DAYS);
    struct cert_store *s = load("d");
    assert_false(cert_store_is_kept(s, find(s, "mta-sts.example.org").ec));
    assert_false(cert_store_may_mend(s));
    test_write_key("d/h.key", root.key);
    for (int i = 0; i < 2; i++) { /* also of a store that kept it itself */
        s = reload(s, "d");
        assert_true(cert_store_is_kept(s, find(s, "mta-sts.example.org").ec));
        assert_false(cert_store_is_kept(s, find(s, "o.example").ec));
        assert_false(cert_store_may_mend(s));
    }
    test_write_key("d/h.key", leaf.key);
    s = reload(s, "d");
    assert_false(cert_store_is_kept(s, find(s, "mta-sts.example.org").ec));
    cert_store_unref(s);

    s = load("nowhere");
    assert_true(cert_store_may_mend(s));
    cert_store_unref(s);
    struct test_cert c = write_spec(
        "e/later.pem", (struct test_spec){.san = "DNS:l.example", .from = DAYS, .to = 9 * DAYS});
    test_cert_free(&c);
    s = load("e");
    assert_true(cert_store_may_mend(s));
    cert_store_unref(s);
    unlink(test_path("e/later.pem"));
    test_mkdirs(test_path("e/x"));
    assert_int_equal(mkfifo(test_path("e/fifo.pem"), 0600), 0);
    write_host("e/past.pem", "DNS:p.example", -1); /* written again, or never good */
    s = load("e");
    assert_int_equal(diag("certificate-expired")->severity, STS_ERROR);
    assert_true(cert_store_may_mend(s));
    cert_store_unref(s);
    unlink(test_path("e/fifo.pem"));
    s = load("e");
    assert_false(cert_store_may_mend(s));
    cert_store_unref(s);
}

static void an_earlier_end_is_said(void **state)
{
    (void)state;
    write_host("d/h.pem", "DNS:h.example", 60 * DAYS);
    struct cert_store *s = load("d");
    const struct cert_pair *old = find(s, "h.example").ec;
    write_host("d/h.pem", "DNS:h.example", 10 * DAYS);
    s = reload(s, "d");
    const struct sts_diag *d = diag("certificate-expires-earlier");
    assert_int_equal(d->severity, STS_WARNING);
    assert_string_equal(d->where.source.ptr, test_path("d/h.pem"));
    assert_non_null(strstr(d->message.ptr, "expires on 2026-06-07"));
    assert_non_null(strstr(d->message.ptr, "until 2026-07-27"));
    assert_int_equal(diags.errors, 0);
    assert_ptr_not_equal(find(s, "h.example").ec, old);
    s = reload(s, "d");
    assert_silent();
    write_host("d/h.pem", "DNS:h.example", 11 * DAYS);
    s = reload(s, "d");
    assert_silent();
    cert_store_unref(s);
}

/* A chain that is cut between two certificates looks whole. */
static void what_is_being_written_is_waited_for(void **state)
{
    (void)state;
    signal(SIGIO, SIG_IGN); /* as the server does */
    write_good("d/h.crt", "d/h.key");
    struct cert_store *s = load("d");
    const struct cert_pair *old = find(s, "mta-sts.example.org").ec;
    struct test_cert next = test_cert_make(
        (struct test_spec){.san = "DNS:mta-sts.example.org", .issuer = &mid, .to = 99 * DAYS});
    test_write_key("d/h.key", next.key);
    FILE *writer = fopen(test_path("d/h.crt"), "w");
    assert_non_null(writer);
    PEM_write_X509(writer, next.x);
    fflush(writer);
    s = reload(s, "d");
    assert_non_null(strstr(diag("certificate-kept")->message.ptr, "still being written"));
    assert_ptr_equal(find(s, "mta-sts.example.org").ec, old);
    PEM_write_X509(writer, mid.x);
    fclose(writer);
    s = reload(s, "d");
    assert_silent();
    assert_int_equal(cert_pair_info(find(s, "mta-sts.example.org").ec)->not_after, NOW + 99 * DAYS);
    cert_store_unref(s);
    test_cert_free(&next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_match_by_san),
        TEST(the_last_to_expire_wins_per_key_type),
        TEST(a_broken_pair_harms_no_neighbour),
        TEST(it_says_why_not),
        TEST(unchanged_pairs_are_shared),
        TEST(only_what_changed_is_read),
        TEST(a_half_renewed_pair_keeps_the_earlier),
        TEST(a_combined_file_without_key_keeps_the_earlier),
        TEST(what_expired_is_not_kept),
        TEST(a_removed_pair_goes_when_nothing_needs_it),
        TEST(what_is_kept_or_may_mend_is_known),
        TEST(an_earlier_end_is_said),
        TEST(what_is_being_written_is_waited_for),
    };
    return cmocka_run_group_tests_name("cert_store", tests, group_setup, group_teardown);
}
