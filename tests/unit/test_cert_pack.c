/* Unit tests of the file that the index of certificates is in: that nothing is taken from what
 * anything is wrong with, and how it grows. */
#include "tests/unit/cert_index_fixture.h"

#include <signal.h>
#include <sys/resource.h>

/* Pairs and chains. */
static size_t count_known(void)
{
    struct cert_index *index = cert_index_read(test_path(INDEX));
    unsigned char *der = NULL, digest[32];
    int len = i2d_X509(mid.x, &der);
    size_t known = 0;

    if (!index) {
        OPENSSL_free(der);
        return 0;
    }
    cert_chain_digest(&(struct sts_str){(const char *)der, (size_t)len}, 1, digest);
    known = cert_index_count(index) +
            (cert_index_chain(index, (struct sts_str){(const char *)digest, 32}) != NULL);
    cert_index_free(index);
    OPENSSL_free(der);
    return known;
}

/* Starts with what is there, whatever that is, and makes it whole. */
static void is_mended(void)
{
    struct cert_store *s = start("d", NOW);
    assert_true(judge(s) > 0);
    assert_int_equal(cert_store_remember(s, test_path(INDEX)), 0);
    cert_store_unref(s);
    assert_false(is_not_used());
}

static void a_wrong_bit_is_found(void **state)
{
    (void)state;
    write_all_kinds();
    make_index();
    struct sts_buf text = read_index();
    size_t whole = count_known();
    assert_int_equal(whole, KINDS + 1);
    for (size_t i = 0; i < text.len; i++) {
        text.ptr[i] ^= (char)(1 << i % 8);
        write_index(&text, text.len);
        assert_true(count_known() < whole);
        if (i % 97 == 0)
            is_mended();
        text.ptr[i] ^= (char)(1 << i % 8);
    }
    for (size_t len = 0; len < text.len; len++) {
        write_index(&text, len);
        assert_true(count_known() < whole);
        if (len % 97 == 0)
            is_mended();
    }
    sts_buf_add_cstr(&text, "what a crash left");
    write_index(&text, text.len);
    assert_false(is_not_used());
    sts_buf_fini(&text);
}

static size_t head_len(const struct sts_buf *text) /* up to the random bytes */
{
    return (size_t)((const char *)memchr(text->ptr, '\n', text->len) - text->ptr) + 1;
}

/* Right in itself, and still not to be used: bytes of the head replaced, and the sum made anew. */
static void edit(const struct sts_buf *text, size_t at, const void *to, size_t len)
{
    unsigned char digest[32];
    size_t head = head_len(text) + 16;

    memcpy(text->ptr + at, to, len);
    assert_int_equal(EVP_Digest(text->ptr, head, digest, NULL, EVP_sha256(), NULL), 1);
    memcpy(text->ptr + head, digest, 32);
    write_index(text, text->len);
}

static void what_another_version_wrote_is_not_used(void **state)
{
    (void)state;
    write_all_kinds();
    make_index();
    struct sts_buf text = read_index();
    const char *version = memmem(text.ptr, text.len, "index ", 6);
    const char *openssl =
        memmem(text.ptr, text.len, OpenSSL_version(OPENSSL_FULL_VERSION_STRING), 3);
    size_t places[] = {(size_t)(version - text.ptr) + 6, (size_t)(openssl - text.ptr),
                       head_len(&text) /* random: sums are of others */};
    assert_true(version && openssl);
    for (size_t i = 0; i < 3; i++) {
        char before = text.ptr[places[i]], other = before == '9' ? '8' : '9';
        edit(&text, places[i], &other, 1);
        assert_true(is_not_used());
        edit(&text, places[i], &before, 1);
        assert_false(is_not_used());
    }
    edit(&text, places[0], "3", 1); /* its pairs were not proved to work */
    assert_true(is_not_used());
    edit(&text, places[0], "4", 1);
    edit(&text, head_len(&text) + 16 + 32, (uint32_t[]){UINT32_MAX}, sizeof(uint32_t));
    assert_true(is_not_used()); /* a length that leads out of the file */
    sts_buf_fini(&text);
}

/* A renewal adds its record; when more than half is about earlier ones, a new file is written. */
static void it_grows_by_what_is_new_until_half_is_old(void **state)
{
    (void)state;
    char name[40], san[60];
    const int64_t young = cert_young_ns;
    cert_young_ns = INT64_MAX / 2; /* else attributes that tell now are new too */
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "d/%d.pem", i);
        snprintf(san, sizeof(san), "DNS:h%d.example", i);
        write_host(name, san, 9 * DAYS);
    }
    struct cert_store *s = start("d", NOW);
    ino_t first, inode;
    assert_int_equal(cert_store_remember(s, test_path(INDEX)), 0);
    uint64_t begin = size_of_index(&first), before = begin, size = begin;
    struct cert_store *held = cert_store_ref(s);
    int renewals = 0;
    for (inode = first; inode == first && renewals < 1000; renewals++) {
        before = size;
        write_host("d/7.pem", "DNS:h7.example", (10 + renewals) * DAYS);
        s = reload(s, "d");
        assert_int_equal(cert_store_remember(s, test_path(INDEX)), 0);
        size = size_of_index(&inode);
        assert_true(inode != first || size - before < 2 * begin / 100);
        if (renewals % 40 == 0) {
            struct cert_store *next = start("d", NOW);
            assert_int_equal(cert_store_work(next).parsed, 0);
            assert_int_equal(cert_pair_info(find(next, "h7.example").ec)->not_after,
                             NOW + (10 + renewals) * DAYS);
            cert_store_unref(next);
        }
    }
    assert_true(inode != first && renewals > 90);
    assert_true(before > 2 * begin - 2 * begin / 100 && size < begin + begin / 50);
    /* what an older snapshot presents is still found, in whichever file */
    for (int i = 0; i < 100; i++) {
        struct cert_objects objects;
        snprintf(san, sizeof(san), "h%d.example", i);
        assert_true(cert_pair_decode(find(held, san).ec, &objects));
        assert_int_equal(X509_check_host(objects.leaf, san, 0, 0, NULL), 1);
        cert_objects_drop(&objects);
    }
    cert_store_unref(held);
    cert_store_unref(s);
    s = start("d", NOW);
    assert_int_equal(cert_store_work(s).parsed, 0);
    cert_store_unref(s);
    cert_young_ns = young;
}

/* As if a disk had lost the last write: the record before it was about another certificate. */
static void a_record_counts_in_its_place_only(void **state)
{
    (void)state;
    write_host("d/h.pem", "DNS:old.example", 9 * DAYS);
    struct cert_store *s = start("d", NOW);
    assert_int_equal(cert_store_remember(s, test_path(INDEX)), 0);
    struct sts_buf text = read_index();
    const struct cert_pair *pair = find(s, "old.example").ec;
    struct sts_str record = sts_str_sub(sts_buf_str(&text), pair->at, text.len);
    struct sts_buf twice = {0};
    sts_buf_add(&twice, sts_str_sub(sts_buf_str(&text), 0, pair->at));
    sts_buf_add_cstr(&twice, "x");
    sts_buf_add(&twice, record);
    write_index(&twice, twice.len);
    struct cert_index *index = cert_index_read(test_path(INDEX));
    assert_int_equal(cert_index_count(index), 0);
    cert_index_free(index);
    twice.len = 0;
    sts_buf_add(&twice, sts_buf_str(&text));
    sts_buf_add(&twice, record);
    write_index(&twice, twice.len);
    index = cert_index_read(test_path(INDEX));
    assert_int_equal(cert_index_count(index), 1);
    cert_index_free(index);
    sts_buf_fini(&twice);
    sts_buf_fini(&text);
    cert_store_unref(s);
}

/* While the server runs. */
static void a_leaf_that_is_lost_is_read_from_its_file(void **state)
{
    (void)state;
    write_all_kinds();
    make_index();
    struct cert_store *s = start("d", NOW);
    const struct cert_pair *pair = find(s, "mta-sts.example.org").ec;
    const char *const files[] = {"d/h/fullchain.pem", "d/h/privkey.pem"};
    struct sts_buf text = read_index();
    struct cert_objects objects;
    for (size_t i = pair->at; i < text.len; i += 11) {
        FILE *f = fopen(test_path(INDEX), "r+");
        assert_int_equal(fseek(f, (long)i, SEEK_SET), 0);
        fputc(text.ptr[i] ^ 4, f);
        fclose(f);
        assert_true(cert_pair_decode(pair, &objects));
        assert_int_equal(X509_cmp(objects.leaf, leaf.x), 0);
        cert_objects_drop(&objects);
    }
    assert_int_equal(truncate(test_path(INDEX), (off_t)pair->at + 10), 0);
    assert_true(cert_pair_decode(pair, &objects));
    cert_objects_drop(&objects);
    for (size_t i = 0; i < 2; i++) { /* the file is another one, or gone */
        write_good(files[0], files[1]);
        assert_true(cert_pair_decode(pair, &objects));
        cert_objects_drop(&objects);
        FILE *f = fopen(test_path(files[i]), "a");
        fputc('\n', f);
        fclose(f);
        assert_false(cert_pair_decode(pair, &objects));
        unlink(test_path(files[i]));
        assert_false(cert_pair_decode(pair, &objects));
    }
    write_good(files[0], files[1]);
    assert_int_equal(cert_store_remember(s, test_path(INDEX)), 0); /* a new file */
    unlink(test_path(files[0]));
    assert_true(cert_pair_decode(pair, &objects));
    cert_objects_drop(&objects);
    write_good(files[0], files[1]);
    sts_buf_fini(&text);
    cert_store_unref(s);
    assert_false(is_not_used());
}

struct reader {
    const struct cert_store *store;
    atomic_bool *stop;
    bool good;
};

static void *read_leaves(void *data)
{
    struct reader *r = data;
    const char *const hosts[] = {"mta-sts.example.org", "b.example", "alone.example"};

    for (r->good = true; r->good && !atomic_load(r->stop);) {
        for (size_t i = 0; i < 3; i++) {
            struct cert_objects objects;
            r->good &= cert_pair_decode(find(r->store, hosts[i]).ec, &objects);
            cert_objects_drop(&objects);
        }
    }
    return NULL;
}

static void leaves_move_while_they_are_read(void **state)
{
    (void)state;
    atomic_bool stop = false;
    pthread_t threads[2];
    write_all_kinds();
    struct cert_store *s = start("d", NOW);
    struct reader readers[2] = {{s, &stop, false}, {s, &stop, false}};
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_leaves, &readers[i]), 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(cert_store_remember(s, test_path(INDEX)), 0);
        unlink(test_path(INDEX)); /* the next one is another */
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(readers[i].good);
    }
    cert_store_unref(s);
}

/* A disk that is full takes a part of what is written. */
static void what_cannot_be_written_stays_in_memory(void **state)
{
    (void)state;
    struct rlimit limit, before;
    ino_t inode, other;
    write_all_kinds();
    struct cert_store *s = start("d", NOW);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 300;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(cert_store_remember(s, test_path(INDEX)), -1);
    assert_int_equal(errno, EFBIG);
    assert_int_equal(access(test_path(INDEX), F_OK), -1);
    assert_int_equal(judge(s), KINDS);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(cert_store_remember(s, test_path(INDEX)), 0);
    limit.rlim_cur = size_of_index(&inode) + 100;
    write_host("d/b.pem", "DNS:b.example,DNS:*.b.example", 20 * DAYS);
    s = reload(s, "d");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(cert_store_remember(s, test_path(INDEX)), -1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    struct cert_objects objects;
    assert_true(cert_pair_decode(find(s, "b.example").ec, &objects));
    cert_objects_drop(&objects);
    struct cert_store *next = start("d", NOW); /* what a part of is there is not */
    assert_int_equal(cert_store_work(next).parsed, 1);
    cert_store_unref(next);
    assert_int_equal(cert_store_remember(s, test_path(INDEX)), 0);
    size_of_index(&other);
    assert_true(inode != other); /* it begins anew */
    cert_store_unref(s);
    assert_false(is_not_used());
}

static void only_a_file_that_nobody_else_writes_is_used(void **state)
{
    (void)state;
    write_all_kinds();
    make_index();
    const mode_t modes[] = {0620, 0602, 0666};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(chmod(test_path(INDEX), modes[i]), 0);
        assert_true(is_not_used());
    }
    assert_int_equal(chmod(test_path(INDEX), 0644), 0);
    assert_false(is_not_used());
    if (geteuid() == 0) {
        assert_int_equal(chown(test_path(INDEX), 4242, 4242), 0);
        assert_true(is_not_used());
    }
    unlink(test_path(INDEX));
    assert_true(is_not_used());
    test_write(INDEX, "SQLite format 3", 16);
    assert_true(is_not_used());
    unlink(test_path(INDEX));
    assert_int_equal(mkfifo(test_path(INDEX), 0600), 0);
    assert_true(is_not_used());
    struct cert_store *s = start("d", NOW);
    assert_int_equal(cert_store_remember(s, test_path(INDEX)), -1); /* it is somebody's */
    assert_int_equal(errno, ENOTSUP);
    unlink(test_path(INDEX));
    assert_int_equal(cert_store_remember(s, test_path(INDEX)), 0);
    cert_store_unref(s);
    assert_false(is_not_used());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_wrong_bit_is_found),
        TEST(what_another_version_wrote_is_not_used),
        TEST(it_grows_by_what_is_new_until_half_is_old),
        TEST(a_record_counts_in_its_place_only),
        TEST(a_leaf_that_is_lost_is_read_from_its_file),
        TEST(leaves_move_while_they_are_read),
        TEST(what_cannot_be_written_stays_in_memory),
        TEST(only_a_file_that_nobody_else_writes_is_used),
    };
    return cmocka_run_group_tests_name("cert_pack", tests, group_setup, group_teardown);
}
