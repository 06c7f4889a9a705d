/* Unit tests of the certificate store: what is read from the bytes of certificate and key files. */
#include "tests/unit/cert_store_fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(damaged_text_is_reported_by_line),
        TEST(windows_line_ends_and_marks_are_read),
        TEST(encrypted_keys_are_refused),
        TEST(files_that_are_no_certificate_are_reported),
    };
    return cmocka_run_group_tests_name("cert_load", tests, group_setup, group_teardown);
}
