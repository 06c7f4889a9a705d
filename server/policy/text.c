#include "server/policy/text.h"

bool sts_text_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

bool sts_text_is_ascii(struct sts_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] >= 0x80)
            return false;
    return true;
}

size_t sts_text_find_control(struct sts_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return i;
    }
    return s.len;
}

/* Octets of one well-formed UTF-8 sequence of 2 to 4 (RFC 3629 §4), or 0. */
static size_t utf8_sequence(const unsigned char *s, size_t left)
{
    size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;

    if (s[0] < 0xc2 || s[0] > 0xf4 || len > left)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xed && s[1] > 0x9f;
    bool too_high = s[0] == 0xf4 && s[1] > 0x8f;
    return overlong || surrogate || too_high ? 0 : len;
}

bool sts_text_is_extension(struct sts_str value)
{
    const unsigned char *s = (const unsigned char *)value.ptr;

    if (value.len == 0 || s[0] == ' ' || s[value.len - 1] == ' ')
        return false;
    for (size_t i = 0; i < value.len;) {
        size_t step = 1;
        if (s[i] >= 0x80)
            step = utf8_sequence(s + i, value.len - i);
        else if (s[i] < ' ' || s[i] == 0x7f)
            step = 0;
        if (step == 0)
            return false;
        i += step;
    }
    return true;
}

bool sts_text_has_c1(struct sts_str value)
{
    for (size_t i = 0; i + 1 < value.len; i++)
        if ((unsigned char)value.ptr[i] == 0xc2 && (unsigned char)value.ptr[i + 1] < 0xa0)
            return true;
    return false;
}
