#include "server/tls/host_name.h"

static bool label_ok(struct sts_str label)
{
    if (label.len == 0 || label.len > STS_LABEL_MAX)
        return false;
    if (label.ptr[0] == '-' || label.ptr[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++)
        if (!sts_is_alnum(label.ptr[i]) && label.ptr[i] != '-')
            return false;
    return true;
}

static bool all_digits(struct sts_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!sts_is_digit(s.ptr[i]))
            return false;
    return true;
}

static bool labels_ok(struct sts_str name)
{
    size_t from = 0;

    for (;;) {
        size_t dot = sts_str_find(name, '.', from);
        struct sts_str label = sts_str_sub(name, from, dot);
        if (!label_ok(label))
            return false;
        if (dot == name.len)
            return !all_digits(label); /* RFC 3696 §2: else it is an IPv4 address */
        from = dot + 1;
    }
}

static bool copy_lower(struct sts_str in, struct host_name *out)
{
    if (in.len > STS_DOMAIN_MAX)
        return false;
    for (size_t i = 0; i < in.len; i++)
        out->text[i] = sts_lower(in.ptr[i]);
    out->text[in.len] = '\0';
    out->len = in.len;
    return true;
}

bool host_name_parse(struct sts_str in, struct host_name *out)
{
    return labels_ok(in) && copy_lower(in, out);
}

bool host_name_parse_pattern(struct sts_str in, struct host_name *out)
{
    struct sts_str base = in;

    if (sts_str_starts(in, STS_STR("*.")))
        base = sts_str_sub(in, 2, in.len);
    return labels_ok(base) && copy_lower(in, out);
}

struct sts_str host_name_str(const struct host_name *name)
{
    return (struct sts_str){name->text, name->len};
}
