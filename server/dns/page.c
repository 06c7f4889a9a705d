#include "server/dns/page.h"

#include <openssl/sha.h>
#include <stdint.h>

/* The assembler puts the files in; the Makefile knows that page.o is made from them. */
#define EMBED(name, file)                                                                          \
    extern const char name[];                                                                      \
    extern const uint32_t name##_size;                                                             \
    __asm__(".pushsection .rodata\n"                                                               \
            ".globl " #name ", " #name "_size\n"                                                   \
            ".hidden " #name ", " #name "_size\n" #name ": .incbin \"" file "\"\n" #name "_end:\n" \
            ".balign 4\n" #name "_size: .long " #name "_end - " #name "\n"                         \
            ".popsection\n")

EMBED(page_css, "server/dns/page.css");
EMBED(page_js, "server/dns/page.js");

struct sts_str page_style(void)
{
    return (struct sts_str){page_css, page_css_size};
}

struct sts_str page_script(void)
{
    return (struct sts_str){page_js, page_js_size};
}

/* 'sha256-BASE64' (CSP level 2 §7.17). */
static void add_source(struct sts_buf *out, struct sts_str text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char digest[SHA256_DIGEST_LENGTH + 1] = {0}; /* whole groups of three */

    SHA256((const unsigned char *)text.ptr, text.len, digest);
    sts_buf_add_cstr(out, "'sha256-");
    for (size_t i = 0; i < sizeof(digest); i += 3) {
        unsigned bits = (unsigned)digest[i] << 16 | (unsigned)digest[i + 1] << 8 | digest[i + 2];
        bool last = i + 3 == sizeof(digest);
        sts_buf_printf(out, "%c%c%c%c", digits[bits >> 18], digits[bits >> 12 & 63],
                       digits[bits >> 6 & 63], last ? '=' : digits[bits & 63]);
    }
    sts_buf_add_cstr(out, "'");
}

void page_add_policy(struct sts_buf *out)
{
    sts_buf_add_cstr(out, "default-src 'none'; style-src ");
    add_source(out, page_style());
    sts_buf_add_cstr(out, "; script-src ");
    add_source(out, page_script());
    sts_buf_add_cstr(out, "; base-uri 'none'; form-action 'none'");
}
