/* Slices and byte buffers: the two ways bytes travel through the whole program.
 *
 * A slice borrows; a buffer owns. Neither is NUL-terminated, because hostile input contains NULs
 * and a C string would stop at them. */
#ifndef MTASTS_STR_H
#define MTASTS_STR_H

#include <stdbool.h>
#include <stddef.h>

/* Borrowed bytes. ptr may be NULL when len is 0. */
struct sts_str {
    const char *ptr;
    size_t len;
};

#define STS_STR(literal)                                                                           \
    (struct sts_str)                                                                               \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }
/* For printf: "%.*s" with STS_ARG(s). */
#define STS_ARG(s) (int)(s).len, ((s).ptr ? (s).ptr : "")

struct sts_str sts_str_from(const char *cstr); /* NULL gives an empty slice */
struct sts_str sts_str_sub(struct sts_str s, size_t from, size_t to); /* clamped to s */
bool sts_str_eq(struct sts_str a, struct sts_str b);
bool sts_str_eq_nocase(struct sts_str a, struct sts_str b); /* ASCII letters only */
bool sts_str_is(struct sts_str a, const char *cstr);
bool sts_str_starts(struct sts_str s, struct sts_str prefix);
bool sts_str_ends(struct sts_str s, struct sts_str suffix);
int sts_str_cmp(struct sts_str a, struct sts_str b); /* bytewise, shorter first on a tie */
/* Position of the first `byte` at or after `from`, or s.len. */
size_t sts_str_find(struct sts_str s, char byte, size_t from);
/* Without SP and HTAB at both ends. */
struct sts_str sts_str_trim(struct sts_str s);
/* A bytewise hash (FNV-1a, 64 bit), not keyed: for tables whose keys are validated names. */
unsigned long long sts_str_hash(struct sts_str s);
/* 1 to `max_digits` ASCII digits and nothing else; false on anything other, or above `limit`. */
bool sts_str_to_uint(struct sts_str s, size_t max_digits, unsigned long long limit,
                     unsigned long long *out);

bool sts_is_alpha(char c); /* ASCII, whatever the locale */
bool sts_is_digit(char c);
bool sts_is_alnum(char c);
char sts_lower(char c);
/* The name of a field in the policy and in the TXT record (sts-ext-name, sts-policy-ext-name; RFC
 * 8461 §3.1 and §3.2): a letter or digit, then up to 31 of letters, digits, "_", "-", ".". */
bool sts_is_field_name(struct sts_str name);

/* The candidate nearest to `word` by edit distance (transpositions count one), or NULL when none
 * is near enough to be meant. `candidates` ends with NULL. For "did you mean". */
const char *sts_suggest(struct sts_str word, const char *const *candidates);

/* A growing byte buffer on the heap. All zero is empty and valid. Out of memory aborts. */
struct sts_buf {
    char *ptr;
    size_t len, cap;
};

void sts_buf_add(struct sts_buf *b, struct sts_str s);
void sts_buf_add_cstr(struct sts_buf *b, const char *s);
void sts_buf_printf(struct sts_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct sts_str sts_buf_str(const struct sts_buf *b); /* borrowed until the next change */
void sts_buf_fini(struct sts_buf *b);                /* frees and zeroes; twice is harmless */

/* `s` as one printable line: bytes outside printable ASCII and the backslash become \xHH, at most
 * `max` input bytes (then "..."). What goes into a log line or a message passes through here, so
 * that input can never forge a second line. */
void sts_buf_add_escaped(struct sts_buf *b, struct sts_str s, size_t max);

#endif
