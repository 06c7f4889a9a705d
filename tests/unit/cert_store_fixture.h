/* What the tests of the certificate store share: an authority, a folder, and short ways to load it
 * and to look at what was reported. */
#ifndef MTASTS_TESTS_UNIT_CERT_STORE_FIXTURE_H
#define MTASTS_TESTS_UNIT_CERT_STORE_FIXTURE_H

#include "tests/unit/tls_certs.h"

#include "server/tls/cert_store.h"

static struct test_cert root, mid, leaf; /* leaf: mta-sts.example.org, by mid, by root */

static struct sts_arena *arena;
static struct sts_diags diags;

static inline int group_setup(void **state)
{
    (void)state;
    root = test_cert_make((struct test_spec){.ca = true, .cn = "root"});
    mid = test_cert_make((struct test_spec){.ca = true, .cn = "mid", .issuer = &root});
    leaf = test_cert_make((struct test_spec){.san = "DNS:mta-sts.example.org", .issuer = &mid});
    return 0;
}

static inline int group_teardown(void **state)
{
    (void)state;
    test_cert_free(&root);
    test_cert_free(&mid);
    test_cert_free(&leaf);
    return 0;
}

static inline int setup(void **state)
{
    (void)state;
    test_dir_make();
    arena = sts_arena_new();
    sts_diags_init(&diags, arena);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    test_dir_remove();
    sts_arena_free(arena);
    return 0;
}

/* --- shorthands ------------------------------------------------------------------------------- */

static inline struct cert_store *load_paths(const char *const *paths, size_t count,
                                            const struct cert_store *previous, time_t now)
{
    struct sts_path list[4] = {0};

    for (size_t i = 0; i < count; i++)
        list[i] = (struct sts_path){{STS_STR("main.yaml"), 3, 5}, sts_str_from(paths[i])};
    sts_diags_init(&diags, arena);
    return cert_store_load(list, count, sts_str_from(test_dir), NULL, previous, now, &diags);
}

static inline struct cert_store *load(const char *path)
{
    return load_paths(&path, 1, NULL, NOW);
}

/* Loads again what is in `path` and frees the older store. */
static inline struct cert_store *reload(struct cert_store *previous, const char *path)
{
    struct cert_store *next = load_paths(&path, 1, previous, NOW);
    cert_store_unref(previous);
    return next;
}

static inline struct cert_identity find(const struct cert_store *s, const char *host)
{
    struct cert_identity id = {0};
    cert_store_find(s, sts_str_from(host), &id);
    return id;
}

static inline const struct sts_diag *diag(const char *code)
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

static inline void assert_silent(void)
{
    if (!diags.first)
        return;
    print_error("unexpected: %s: %s\n", diags.first->code, diags.first->message.ptr);
    fail();
}

/* Loads `path`, which must give one error of `code` and no pair. */
static inline void assert_refused(const char *path, const char *code)
{
    struct cert_store *s = load(path);
    assert_int_equal(diag(code)->severity, STS_ERROR);
    assert_int_equal(diags.errors, 1);
    assert_int_equal(cert_store_count(s), 0);
    cert_store_unref(s);
}

static inline void write_good(const char *cert, const char *key)
{
    test_write_chain(cert, NULL, leaf.x, mid.x, NULL);
    test_write_key(key, leaf.key);
}

/* A combined file with one more certificate under `mid`. */
static inline struct test_cert write_spec(const char *name, struct test_spec spec)
{
    spec.issuer = spec.issuer ? spec.issuer : &mid;
    struct test_cert c = test_cert_make(spec);
    test_write_chain(name, c.key, c.x, spec.issuer->x, NULL);
    return c;
}

static inline void write_host(const char *name, const char *san, long to)
{
    struct test_cert c = write_spec(name, (struct test_spec){.san = san, .from = -DAYS, .to = to});
    test_cert_free(&c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
