#include "server/http/head.h"

/* The next line without its end; marks bare line feeds, stray carriage returns and NULs. */
static bool head_next_line(struct sts_str bytes, size_t *at, struct sts_str *line, bool *malformed)
{
    size_t end = sts_str_find(bytes, '\n', *at);

    if (end == bytes.len)
        return false;
    *line = sts_str_sub(bytes, *at, end);
    *at = end + 1;
    if (line->len > 0 && line->ptr[line->len - 1] == '\r')
        line->len--;
    else
        *malformed = true;
    for (size_t i = 0; i < line->len; i++) {
        unsigned char c = (unsigned char)line->ptr[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            *malformed = true;
    }
    return true;
}

/* method SP target SP HTTP/1.x (RFC 9112 §3) */
static void scan_request_line(struct sts_str line, struct head *out)
{
    size_t first = sts_str_find(line, ' ', 0);
    size_t second = sts_str_find(line, ' ', first + 1);
    struct sts_str version = sts_str_sub(line, second + 1, line.len);

    out->method = sts_str_sub(line, 0, first);
    out->target = sts_str_sub(line, first + 1, second);
    if (out->method.len == 0 || out->target.len == 0 ||
        (!sts_str_is(version, "HTTP/1.1") && !sts_str_is(version, "HTTP/1.0")))
        out->malformed = true;
}

static bool is_token(struct sts_str name)
{
    static const struct sts_str marks = {"!#$%&'*+-.^_`|~", 15}; /* RFC 9110 §5.6.2 */

    for (size_t i = 0; i < name.len; i++)
        if (!sts_is_alnum(name.ptr[i]) && sts_str_find(marks, name.ptr[i], 0) == marks.len)
            return false;
    return name.len > 0;
}

static void scan_field(struct sts_str line, struct head *out, unsigned *lengths)
{
    size_t colon = sts_str_find(line, ':', 0);
    struct sts_str name = sts_str_sub(line, 0, colon);
    struct sts_str value = sts_str_trim(sts_str_sub(line, colon + 1, line.len));

    if (colon == line.len || !is_token(name)) /* also obs-fold: it starts with white space */
        out->malformed = true;
    if (sts_str_eq_nocase(name, STS_STR("host"))) {
        out->host_count++;
        out->host = value;
    } else if (sts_str_eq_nocase(name, STS_STR("content-length"))) {
        ++*lengths;
        if (*lengths > 1 || !sts_str_is(value, "0"))
            out->announces_body = true;
    } else if (sts_str_eq_nocase(name, STS_STR("transfer-encoding"))) {
        out->announces_body = true;
    }
}

bool head_scan(struct sts_str bytes, struct head *out)
{
    struct head head = {0};
    struct sts_str line;
    unsigned lengths = 0;
    size_t at = 0;

    if (!head_next_line(bytes, &at, &line, &head.malformed))
        return false;
    if (line.len == 0 && !head_next_line(bytes, &at, &line, &head.malformed))
        return false;
    scan_request_line(line, &head);
    for (;;) {
        if (!head_next_line(bytes, &at, &line, &head.malformed))
            return false;
        if (line.len == 0)
            break;
        scan_field(line, &head, &lengths);
    }
    head.len = at;
    if (head.len > HEAD_MAX)
        head.malformed = true;
    *out = head;
    return true;
}
