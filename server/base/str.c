#include "mtasts/str.h"

#include <string.h>

struct sts_str sts_str_from(const char *cstr)
{
    return (struct sts_str){cstr, cstr ? strlen(cstr) : 0};
}

struct sts_str sts_str_sub(struct sts_str s, size_t from, size_t to)
{
    if (to > s.len)
        to = s.len;
    if (from >= to)
        return (struct sts_str){NULL, 0};
    return (struct sts_str){s.ptr + from, to - from};
}

bool sts_str_eq(struct sts_str a, struct sts_str b)
{
    return a.len == b.len && (a.ptr == b.ptr || a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool sts_str_eq_nocase(struct sts_str a, struct sts_str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (sts_lower(a.ptr[i]) != sts_lower(b.ptr[i]))
            return false;
    return true;
}

bool sts_str_is(struct sts_str a, const char *cstr)
{
    return sts_str_eq(a, sts_str_from(cstr));
}

bool sts_str_starts(struct sts_str s, struct sts_str prefix)
{
    return s.len >= prefix.len && sts_str_eq(sts_str_sub(s, 0, prefix.len), prefix);
}

bool sts_str_ends(struct sts_str s, struct sts_str suffix)
{
    return s.len >= suffix.len && sts_str_eq(sts_str_sub(s, s.len - suffix.len, s.len), suffix);
}

int sts_str_cmp(struct sts_str a, struct sts_str b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common == 0 || a.ptr == b.ptr ? 0 : memcmp(a.ptr, b.ptr, common);

    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

size_t sts_str_find(struct sts_str s, char byte, size_t from)
{
    if (from >= s.len)
        return s.len;
    const char *hit = memchr(s.ptr + from, byte, s.len - from);
    return hit ? (size_t)(hit - s.ptr) : s.len;
}

static bool str_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct sts_str sts_str_trim(struct sts_str s)
{
    size_t from = 0, to = s.len;

    while (from < to && str_is_blank(s.ptr[from]))
        from++;
    while (to > from && str_is_blank(s.ptr[to - 1]))
        to--;
    return sts_str_sub(s, from, to);
}

unsigned long long sts_str_hash(struct sts_str s)
{
    unsigned long long hash = 14695981039346656037ULL;

    for (size_t i = 0; i < s.len; i++)
        hash = (hash ^ (unsigned char)s.ptr[i]) * 1099511628211ULL;
    return hash;
}

bool sts_str_to_uint(struct sts_str s, size_t max_digits, unsigned long long limit,
                     unsigned long long *out)
{
    unsigned long long value = 0;

    if (s.len == 0 || s.len > max_digits)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!sts_is_digit(s.ptr[i]))
            return false;
        if (__builtin_mul_overflow(value, 10ULL, &value) ||
            __builtin_add_overflow(value, (unsigned long long)(s.ptr[i] - '0'), &value))
            return false;
    }
    if (value > limit)
        return false;
    *out = value;
    return true;
}

bool sts_is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool sts_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool sts_is_alnum(char c)
{
    return sts_is_alpha(c) || sts_is_digit(c);
}

bool sts_is_field_name(struct sts_str name)
{
    enum { OCTETS_MAX = 32 };

    if (name.len == 0 || name.len > OCTETS_MAX || !sts_is_alnum(name.ptr[0]))
        return false;
    for (size_t i = 1; i < name.len; i++) {
        char c = name.ptr[i];
        if (!sts_is_alnum(c) && c != '_' && c != '-' && c != '.')
            return false;
    }
    return true;
}

char sts_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}
