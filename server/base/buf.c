#include "mtasts/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"

static void buf_reserve(struct sts_buf *b, size_t more)
{
    size_t need = sts_add_size(sts_add_size(b->len, more), 1);

    if (need <= b->cap)
        return;
    size_t cap = b->cap ? b->cap : 256;
    while (cap < need)
        cap = sts_add_size(cap, cap);
    b->ptr = sts_must(realloc(b->ptr, cap));
    b->cap = cap;
}

void sts_buf_add(struct sts_buf *b, struct sts_str s)
{
    buf_reserve(b, s.len);
    if (s.len)
        memcpy(b->ptr + b->len, s.ptr, s.len);
    b->len += s.len;
    b->ptr[b->len] = '\0';
}

void sts_buf_add_cstr(struct sts_buf *b, const char *s)
{
    sts_buf_add(b, sts_str_from(s));
}

void sts_buf_printf(struct sts_buf *b, const char *fmt, ...)
{
    size_t room = b->cap - b->len;
    va_list ap, again;

    va_start(ap, fmt);
    va_copy(again, ap);
    int len = vsnprintf(room ? b->ptr + b->len : NULL, room, fmt, ap);
    va_end(ap);
    if (len < 0)
        abort();
    if ((size_t)len >= room) {
        buf_reserve(b, (size_t)len);
        vsnprintf(b->ptr + b->len, (size_t)len + 1, fmt, again);
    }
    va_end(again);
    b->len += (size_t)len;
}

struct sts_str sts_buf_str(const struct sts_buf *b)
{
    return (struct sts_str){b->ptr, b->len};
}

void sts_buf_fini(struct sts_buf *b)
{
    free(b->ptr);
    *b = (struct sts_buf){0};
}

void sts_buf_add_escaped(struct sts_buf *b, struct sts_str s, size_t max)
{
    for (size_t i = 0; i < s.len && i < max; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c >= 0x20 && c < 0x7f && c != '\\')
            sts_buf_add(b, sts_str_sub(s, i, i + 1));
        else
            sts_buf_printf(b, "\\x%02X", c);
    }
    if (s.len > max)
        sts_buf_add(b, STS_STR("..."));
}
