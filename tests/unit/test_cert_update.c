/* Unit tests of server/tls/cert_update.c, with server/sys/watch.h to tell it where to look: what it
 * makes of a few folders is what a look at all of them gives. */
#include "tests/unit/cert_store_fixture.h"

#include <unistd.h>

#include "server/sys/watch.h"
#include "server/tls/cert_pair.h"
#include "tests/unit/random.h"

enum { HOSTS = 6, VARIANTS = 3, RANKS = 2 };

static struct test_cert certs[HOSTS][VARIANTS];
/* What does not go before the same host's above: self-signed, and of the other key type. */
static struct test_cert others[HOSTS][RANKS];
static struct watch *watch;

static void watch_folders(const char *path)
{
    const struct watch_target target = {WATCH_TREE, path};

    watch_set(watch, &target, 1);
    watch_read(watch);
    watch_forget(watch);
}

static int group_up(void **state)
{
    static const long ends[VARIANTS] = {60 * DAYS, 70 * DAYS, 80 * DAYS};

    group_setup(state);
    EVP_PKEY *rsa = test_key_rsa(2048);
    for (int i = 0; i < HOSTS; i++) {
        char san[100];
        snprintf(san, sizeof(san), i < HOSTS - 1 ? "DNS:mta-sts.h%d.example" : "DNS:*.h%d.example",
                 i % (HOSTS - 1));
        for (int k = 0; k < VARIANTS; k++)
            certs[i][k] = test_cert_make(
                (struct test_spec){.san = san, .issuer = &mid, .from = -DAYS, .to = ends[k]});
        EVP_PKEY_up_ref(rsa);
        others[i][0] = test_cert_make((struct test_spec){.san = san});
        others[i][1] = test_cert_make((struct test_spec){.san = san, .issuer = &mid, .key = rsa});
    }
    EVP_PKEY_free(rsa);
    return 0;
}

static int group_down(void **state)
{
    for (int i = 0; i < HOSTS; i++)
        for (int k = 0; k < VARIANTS; k++)
            test_cert_free(&certs[i][k]);
    for (int i = 0; i < HOSTS; i++)
        for (int k = 0; k < RANKS; k++)
            test_cert_free(&others[i][k]);
    return group_teardown(state);
}

static int up(void **state)
{
    setup(state);
    watch = watch_new();
    return 0;
}

static int down(void **state)
{
    watch_free(watch);
    return teardown(state);
}

/* `folder`/fullchain.pem and privkey.pem, each by renaming. */
static void put_pair(const char *folder, const struct test_cert *c)
{
    char from[200], to[200];

    snprintf(from, sizeof(from), "%s/.new", folder);
    snprintf(to, sizeof(to), "%s/privkey.pem", folder);
    test_write_key(from, c->key);
    assert_int_equal(rename(test_path(from), test_path(to)), 0);
    snprintf(to, sizeof(to), "%s/fullchain.pem", folder);
    test_write_chain(from, NULL, c->x, mid.x, NULL);
    assert_int_equal(rename(test_path(from), test_path(to)), 0);
}

/* The same as certbot does it. */
static void put_links(int host, const struct test_cert *c)
{
    static int number;
    static const char *const names[] = {"privkey", "fullchain"};
    char file[200], link[200], target[200];

    number++;
    snprintf(file, sizeof(file), "archive/l%d/privkey%d.pem", host, number);
    test_write_key(file, c->key);
    snprintf(file, sizeof(file), "archive/l%d/fullchain%d.pem", host, number);
    test_write_chain(file, NULL, c->x, mid.x, NULL);
    for (int i = 0; i < 2; i++) {
        snprintf(target, sizeof(target), "../../archive/l%d/%s%d.pem", host, names[i], number);
        snprintf(link, sizeof(link), "live/l%d/%s.pem", host, names[i]);
        test_mkdirs(test_path(link));
        unlink(test_path(link));
        assert_int_equal(symlink(target, test_path(link)), 0);
    }
}

/* Looks as a server does; NULL: it has to look at everything. Says whose names it looks at. */
static struct cert_store *update(struct cert_store *previous, const char *path, size_t *names)
{
    const struct sts_path list = {{STS_STR("main.yaml"), 3, 5}, sts_str_from(path)};
    struct watch_told told;
    struct cert_store *s = NULL;

    sts_diags_init(&diags, arena);
    watch_read(watch);
    if (watch_told(watch, &told))
        watch_settle(watch);
    if (watch_told(watch, &told)) {
        struct cert_update u = {.paths = &list,
                                .path_count = 1,
                                .base_dir = sts_str_from(test_dir),
                                .previous = previous,
                                .entries = told.entries,
                                .entry_count = told.entry_count,
                                .now = NOW,
                                .arena = arena};
        s = cert_store_update(&u, &diags);
        *names = s ? u.name_count : 0;
    }
    watch_forget(watch);
    return s;
}

/* Of another object with the same bytes. */
static void assert_same_pair(const struct cert_pair *a, const struct cert_pair *b)
{
    assert_true((a == NULL) == (b == NULL));
    if (!a)
        return;
    assert_memory_equal(a->digest, b->digest, sizeof(a->digest));
    assert_string_equal(a->info.file.ptr, b->info.file.ptr);
    char of_a[CERT_PATH_MAX], of_b[CERT_PATH_MAX];
    assert_true(sts_str_eq(cert_pair_key_file(a, of_a), cert_pair_key_file(b, of_b)));
}

static void assert_same(const struct cert_store *a, const struct cert_store *b)
{
    assert_int_equal(cert_store_count(a), cert_store_count(b));
    assert_int_equal(cert_store_may_mend(a), cert_store_may_mend(b));
    for (int i = 0; i < HOSTS; i++) {
        char host[100];
        snprintf(host, sizeof(host), "mta-sts.h%d.example", i);
        struct sts_str name = sts_str_from(host);
        struct cert_identity x = find(a, host), y = find(b, host);
        assert_same_pair(x.ec, y.ec);
        assert_same_pair(x.rsa, y.rsa);
        if (!x.ec && !x.rsa) /* else nobody asks */
            assert_true(
                sts_str_eq(cert_store_why_not(a, arena, name), cert_store_why_not(b, arena, name)));
    }
    size_t n, m;
    struct cert_pair **of_a = cert_store_pairs(a, &n), **of_b = cert_store_pairs(b, &m);
    assert_int_equal(n, cert_store_count(a));
    assert_int_equal(m, n);
    for (size_t i = 0; i < n; i++) {
        assert_ptr_equal(cert_store_by_file(a, of_a[i]->info.file), of_a[i]);
        assert_same_pair(of_a[i], cert_store_by_file(b, of_a[i]->info.file));
        if (of_a[i]->chain)
            assert_non_null(
                cert_store_chain(a, (struct sts_str){(char *)of_a[i]->chain->digest, 32}));
    }
    free(of_a);
    free(of_b);
}

static size_t render(struct sts_buf *out)
{
    size_t count = 0;

    for (const struct sts_diag *d = diags.first; d; d = d->next, count++)
        sts_buf_printf(out, "%s %.*s %.*s\n", d->code, STS_ARG(d->where.source),
                       STS_ARG(d->message));
    return count;
}

/* The next store, as an update when it may be, which must be as the other way. */
static struct cert_store *next(struct cert_store *previous, const char *path, size_t *updated)
{
    size_t names;
    struct sts_buf is = {0}, must = {0};
    struct cert_store *fast = update(previous, path, &names);
    size_t said = render(&is);
    struct cert_store *whole = load_paths(&path, 1, previous, NOW);

    if (fast) {
        ++*updated;
        assert_same(fast, whole);
        assert_int_equal(render(&must), said);
        assert_true(sts_str_eq(sts_buf_str(&is), sts_buf_str(&must)));
        if (fast == previous)
            assert_int_equal(names, 0);
        cert_store_unref(whole);
    } else {
        watch_folders(test_path(path));
    }
    sts_buf_fini(&is);
    sts_buf_fini(&must);
    cert_store_unref(previous);
    return fast ? fast : whole;
}

/* Hosts in folders of their own, which are watched from then on. */
static struct cert_store *load_four(void)
{
    for (int i = 0; i < 4; i++) {
        char folder[32];
        snprintf(folder, sizeof(folder), "live/n%d", i);
        put_pair(folder, &certs[i][0]);
    }
    struct cert_store *s = load("live");
    watch_folders(test_path("live"));
    return s;
}

static void renewals_are_laid_over(void **state)
{
    (void)state;
    size_t updated = 0;

    struct cert_store *s = load_four();
    struct cert_identity other = find(s, "mta-sts.h2.example");
    for (int k = 1; k < VARIANTS; k++) {
        struct cert_identity was = find(s, "mta-sts.h1.example");
        put_pair("live/n1", &certs[1][k]);
        s = next(s, "live", &updated);
        assert_int_equal(updated, k);
        assert_int_equal(cert_store_work(s).read, 1);
        assert_int_equal(cert_store_work(s).parsed, 1);
        assert_ptr_not_equal(find(s, "mta-sts.h1.example").ec, was.ec);
        assert_ptr_equal(find(s, "mta-sts.h2.example").ec, other.ec);
    }
    put_pair("live/n1", &certs[1][2]); /* the same again */
    struct cert_store *before = s;
    s = next(s, "live", &updated);
    assert_ptr_equal(s, before);
    /* Another one in the same folder, which has a new name. */
    test_write_chain("live/n1/more.pem", certs[4][0].key, certs[4][0].x, mid.x, NULL);
    s = next(s, "live", &updated);
    assert_int_equal(updated, 4);
    assert_int_equal(cert_store_count(s), 5);
    assert_non_null(find(s, "mta-sts.h4.example").ec);
    cert_store_unref(s);
}

/* Whole folders, one in the other, as a hook may put them in place; and one that links lead from.
 */
static void new_folders_are_laid_over(void **state)
{
    (void)state;
    size_t updated = 0;

    put_pair("live/n0", &certs[0][0]);
    struct cert_store *s = load("live");
    watch_folders(test_path("live"));
    put_pair("live/n1", &certs[1][0]);
    put_links(2, &certs[2][0]);
    s = next(s, "live", &updated);
    assert_int_equal(updated, 1);
    assert_int_equal(cert_store_work(s).read, 2);
    assert_int_equal(cert_store_count(s), 3);
    put_pair(".new/in", &certs[3][0]);
    put_pair(".new", &certs[4][0]);
    assert_int_equal(rename(test_path(".new"), test_path("live/n3")), 0);
    s = next(s, "live", &updated);
    assert_int_equal(updated, 2);
    assert_int_equal(cert_store_count(s), 5);
    assert_non_null(find(s, "mta-sts.h3.example").ec);
    put_pair("live/n3/in", &certs[3][1]); /* which is watched */
    s = next(s, "live", &updated);
    assert_int_equal(updated, 3);
    test_mkdirs(test_path("live/n4/")); /* nothing in it */
    struct cert_store *before = s;
    s = next(s, "live", &updated);
    assert_ptr_equal(s, before);
    assert_int_equal(updated, 4);
    put_pair("elsewhere", &certs[5][0]);
    test_mkdirs(test_path("live/n5/"));
    assert_int_equal(symlink("../../elsewhere", test_path("live/n5/in")), 0);
    s = next(s, "live", &updated);
    assert_int_equal(updated, 4);
    assert_int_equal(cert_store_count(s), 6);
    cert_store_unref(s);
}

static void links_are_followed(void **state)
{
    (void)state;
    size_t updated = 0;

    for (int i = 0; i < 3; i++)
        put_links(i, &certs[i][0]);
    struct cert_store *s = load("live");
    watch_folders(test_path("live"));
    put_links(1, &certs[1][1]);
    s = next(s, "live", &updated);
    put_links(1, &certs[1][2]);
    s = next(s, "live", &updated);
    assert_int_equal(updated, 2);
    cert_store_unref(s);
}

/* Whatever only a look at everything can tell. */
static void what_is_unusual_is_left_to_the_whole_look(void **state)
{
    (void)state;
    size_t updated = 0;
    char nothing[] = "nothing";

    put_pair("live/n0", &certs[0][0]);
    put_pair("live/n1", &certs[1][0]);
    struct cert_store *s = load("live");
    watch_folders(test_path("live"));
    put_pair("live/n2", &certs[2][0]);
    s = next(s, "live", &updated);
    assert_int_equal(updated, 1);
    updated = 0;
    put_pair("live/n1", &certs[1][1]);
    test_write("live/n1/privkey.pem", nothing, strlen(nothing));
    s = next(s, "live", &updated);
    assert_int_equal(diags.warnings, 1); /* kept */
    s = next(s, "live", &updated);
    test_write_key("live/n1/privkey.pem", certs[1][1].key);
    s = next(s, "live", &updated);
    assert_silent();
    unlink(test_path("live/n1/fullchain.pem"));
    s = next(s, "live", &updated);
    put_pair("live/n1", &certs[1][1]);
    s = next(s, "live", &updated);
    assert_silent();
    assert_int_equal(updated, 1);
    updated = 0;
    put_pair("live/n1", &certs[1][0]); /* it expires earlier */
    s = next(s, "live", &updated);
    s = next(s, "live", &updated);
    assert_int_equal(updated, 0);
    s = next(s, "live", &updated);
    assert_int_equal(updated, 1);
    put_pair("live/n0", &certs[1][2]); /* two have one name */
    s = next(s, "live", &updated);
    put_pair("live/n1", &certs[1][2]);
    s = next(s, "live", &updated);
    assert_int_equal(updated, 1);
    put_pair("live/n2", &certs[2][1]);
    s = next(s, "live", &updated);
    assert_int_equal(updated, 2);
    put_pair("live/n0", &certs[3][2]); /* the name is the other one's alone */
    s = next(s, "live", &updated);
    assert_int_equal(updated, 2);
    cert_store_unref(s);
}

/* What is kept is no reason to look at all others, each time until it expires. */
static void what_is_kept_stays(void **state)
{
    (void)state;
    size_t updated = 0;
    char nothing[] = "nothing";

    struct cert_store *s = load_four();
    unlink(test_path("live/n0/fullchain.pem"));
    unlink(test_path("live/n0/privkey.pem"));
    test_write("live/n1/privkey.pem", nothing, strlen(nothing));
    s = next(s, "live", &updated);
    for (int k = 1; k < VARIANTS; k++) {
        put_pair("live/n2", &certs[2][k]);
        s = next(s, "live", &updated);
        assert_int_equal(updated, k);
        assert_int_equal(diags.warnings, 2);
        assert_true(cert_store_is_kept(s, find(s, "mta-sts.h0.example").ec));
        assert_true(cert_store_is_kept(s, find(s, "mta-sts.h1.example").ec));
        assert_false(cert_store_is_kept(s, find(s, "mta-sts.h2.example").ec));
    }
    updated = 0;
    put_pair("live/n3", &certs[0][1]); /* has the name of one that is gone */
    s = next(s, "live", &updated);
    assert_int_equal(diags.warnings, 1); /* the broken one */
    put_pair("live/n1", &certs[1][1]);   /* mended */
    s = next(s, "live", &updated);
    assert_int_equal(updated, 0);
    cert_store_unref(s);
}

/* A pair on disk that the host may have instead: of the other key type, or by a pattern. */
static void what_is_kept_goes_for_a_new_pair(void **state)
{
    (void)state;
    for (int pattern = 0; pattern < 2; pattern++) {
        size_t updated = 0;
        struct cert_store *s = load_four();
        folder_remove(test_path("live/n0"));
        s = next(s, "live", &updated);
        diag("certificate-kept");
        if (pattern)
            put_pair("live/n5", &certs[5][0]);
        else
            test_write_chain("live/n5/tls.pem", others[0][1].key, others[0][1].x, mid.x, NULL);
        s = next(s, "live", &updated);
        assert_silent();
        assert_int_equal(updated, 0);
        assert_int_equal(cert_store_count(s), 4);
        cert_store_unref(s);
        folder_remove(test_path("live/n5"));
    }
}

/* It is said again, until that folder is looked at. */
static void what_was_said_stays(void **state)
{
    (void)state;
    size_t updated = 0;

    put_pair("live/n0", &certs[0][0]);
    test_write_key("live/n1/privkey.pem", certs[1][0].key);
    test_write_chain("live/n1/fullchain.pem", NULL, certs[1][0].x, NULL);
    test_write("live/n2/fullchain.pem", "-----BEGIN CERTIFICATE-----\n", 28);
    struct cert_store *s = load("live");
    watch_folders(test_path("live"));
    diag("certificate-chain-incomplete");
    diag("certificate-pem");
    put_pair("live/n0", &certs[0][1]);
    s = next(s, "live", &updated);
    assert_int_equal(updated, 1);
    diag("certificate-chain-incomplete");
    diag("certificate-pem");
    put_pair("live/n1", &certs[1][0]);
    s = next(s, "live", &updated);
    assert_int_equal(updated, 1);
    assert_int_equal(diags.warnings, 0);
    put_pair("live/n0", &certs[0][2]);
    s = next(s, "live", &updated);
    assert_int_equal(updated, 2);
    put_pair("live/n2", &certs[2][0]);
    s = next(s, "live", &updated);
    assert_int_equal(updated, 2);
    assert_silent();
    cert_store_unref(s);
}

/* A certificate without a key matters where it tells why a host is not served. */
static void without_a_key(void **state)
{
    (void)state;
    size_t updated = 0;

    put_pair("live/n0", &certs[0][0]);
    put_pair("live/n1", &certs[1][0]);
    struct cert_store *s = load("live");
    watch_folders(test_path("live"));
    test_write_chain("live/n0/old.pem", NULL, certs[0][0].x, mid.x, NULL);
    s = next(s, "live", &updated);
    put_pair("live/n0", &certs[0][1]);
    s = next(s, "live", &updated);
    assert_int_equal(updated, 2);
    test_write_chain("live/n1/more.pem", NULL, certs[3][0].x, mid.x, NULL);
    s = next(s, "live", &updated);
    assert_int_equal(updated, 2);
    put_pair("live/n0", &certs[0][2]);
    s = next(s, "live", &updated);
    assert_int_equal(updated, 3);
    unlink(test_path("live/n1/more.pem"));
    s = next(s, "live", &updated);
    assert_int_equal(updated, 3);
    put_pair("live/n1", &certs[2][0]); /* nothing has the name of before */
    s = next(s, "live", &updated);
    assert_int_equal(updated, 3);
    cert_store_unref(s);
}

/* Between two looks at everything nothing may become valid or expire. */
static void time_passes(void **state)
{
    (void)state;
    const struct sts_path list = {{STS_STR("main.yaml"), 3, 5}, STS_STR("live")};

    put_pair("live/n0", &certs[0][0]);
    struct cert_store *s = load("live");
    struct cert_update u = {.paths = &list,
                            .path_count = 1,
                            .base_dir = sts_str_from(test_dir),
                            .previous = s,
                            .now = NOW + 59 * DAYS,
                            .arena = arena};
    struct cert_store *same = cert_store_update(&u, &diags);
    assert_ptr_equal(same, s);
    cert_store_unref(same);
    u.now = NOW + 61 * DAYS;
    assert_null(cert_store_update(&u, &diags));
    u.now = NOW - 1;
    assert_null(cert_store_update(&u, &diags));
    cert_store_unref(s);
}

/* One that is alone in its folder, or nothing any more. */
static void edit_other(int host, uint64_t choice)
{
    const struct test_cert *c = &others[host][choice % RANKS];
    char file[100];

    snprintf(file, sizeof(file), "live/o%d/tls.pem", host);
    if (choice >= RANKS)
        unlink(test_path(file));
    else
        test_write_chain(file, c->key, c->x, choice ? mid.x : NULL, NULL);
}

static void edit(uint64_t *seed)
{
    int host = (int)random_below(seed, HOSTS), kind = (int)random_below(seed, 20);
    const struct test_cert *c = &certs[host][random_below(seed, VARIANTS)];
    char folder[64], file[100];

    snprintf(folder, sizeof(folder), "live/n%d", host);
    if (kind >= 18) {
        edit_other(host, random_below(seed, 2 * RANKS));
    } else if (kind < 6) {
        put_pair(folder, c);
    } else if (kind < 10) {
        put_links(host, c);
    } else if (kind < 12) {
        snprintf(file, sizeof(file), "%s/%s", folder, kind == 10 ? "cert.pem" : "other.pem");
        test_write_chain(file, random_below(seed, 2) ? c->key : NULL, c->x, mid.x, NULL);
    } else if (kind == 16) {
        snprintf(file, sizeof(file), "%s/in", folder);
        put_pair(file, c);
    } else if (kind == 17) { /* whole; not where one is */
        put_pair(".new/in", c);
        snprintf(file, sizeof(file), "live/m%d", host);
        rename(test_path(".new"), test_path(file));
    } else {
        static const char *const names[] = {"fullchain.pem", "privkey.pem", "cert.pem",
                                            "other.pem"};
        snprintf(file, sizeof(file), "%s/%s", folder, names[random_below(seed, 4)]);
        if (kind == 12)
            unlink(test_path(file));
        else if (kind == 13)
            test_write(file, "-----BEGIN", 10);
        else if (kind == 14)
            test_write_key(file, c->key);
        else
            put_pair("live", c);
    }
}

static void random_edits(void **state)
{
    (void)state;
    size_t updated = 0;
    uint64_t seed = 1;

    for (int i = 0; i < HOSTS; i++)
        put_links(i, &certs[i][0]);
    struct cert_store *s = load("live");
    watch_folders(test_path("live"));
    for (int i = 0; i < 600; i++) {
        edit(&seed);
        s = next(s, "live", &updated);
        if (i % 40 == 0) { /* what piles up makes every look a whole one */
            test_dir_remove();
            test_dir_make();
            for (int k = 0; k < HOSTS; k++)
                put_links(k, &certs[k][0]);
            cert_store_unref(s);
            s = load("live");
            watch_folders(test_path("live"));
        }
    }
    assert_true(updated > 60);
    cert_store_unref(s);
}

#define RUN(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(renewals_are_laid_over), RUN(new_folders_are_laid_over),
        RUN(links_are_followed),     RUN(what_is_unusual_is_left_to_the_whole_look),
        RUN(what_is_kept_stays),     RUN(what_was_said_stays),
        RUN(without_a_key),          RUN(time_passes),
        RUN(random_edits),           RUN(what_is_kept_goes_for_a_new_pair),
    };
    return cmocka_run_group_tests(tests, group_up, group_down);
}
