/* Single values: type, range, and a message that says what would be right. */
#include <string.h>

#include "mtasts/domain.h"
#include "mtasts/record.h"
#include "server/config/schema.h"

enum { LIST_MAX = 1000, REPORTS_MAX = 20 };

struct sts_diag *value_error(struct binder *b, const struct yaml_node *node, const char *code,
                             const char *message, const char *help)
{
    struct sts_diag *diag =
        node->kind == YAML_SCALAR && node->text.len
            ? sts_diag_add(b->diags, STS_ERROR, code, node->where, "\"%.*s\" %s",
                           STS_ARG(sts_str_sub(node->text, 0, 200)), message)
            : sts_diag_add(b->diags, STS_ERROR, code, node->where, "this value %s", message);
    sts_diag_help(b->diags, diag, "%s", help);
    return diag;
}

bool value_text(struct binder *b, const struct yaml_node *node, struct sts_str *out)
{
    if (node->kind == YAML_SCALAR && node->text.len > 0) {
        *out = node->text;
        return true;
    }
    value_error(b, node, "value-type",
                node->kind == YAML_SCALAR ? "is empty" : "is a list or map, not text",
                "write one value behind the colon");
    return false;
}

bool value_string(struct binder *b, const struct yaml_node *node, struct sts_str *out)
{
    if (!value_text(b, node, out))
        return false;
    *out = sts_arena_dup(b->arena, *out); /* the tree does not stay */
    return true;
}

bool value_domain(struct binder *b, const struct yaml_node *node, struct sts_str *out)
{
    struct sts_str text;
    return value_string(b, node, &text) &&
           sts_domain_parse(b->arena, text, STS_DOMAIN_CONFIG, node->where, b->diags, out);
}

bool value_bool(struct binder *b, const struct yaml_node *node, bool *out)
{
    static const char *const words[] = {"off", "on", "false", "true", "no", "yes"};

    for (size_t i = 0; node->kind == YAML_SCALAR && i < sizeof(words) / sizeof(*words); i++)
        if (sts_str_eq_nocase(node->text, sts_str_from(words[i]))) {
            *out = i % 2;
            return true;
        }
    value_error(b, node, "value-type", "is neither on nor off", "write on or off");
    return false;
}

static bool in_range(struct binder *b, const struct yaml_node *node, unsigned long long value,
                     uint32_t least, uint32_t most, const char *unit)
{
    if (value >= least && value <= most)
        return true;
    struct sts_diag *diag = value_error(b, node, "value-range", "is out of range", "");
    sts_diag_help(b->diags, diag, "write %u to %u%s", least, most, unit);
    return false;
}

bool value_uint(struct binder *b, const struct yaml_node *node, uint32_t least, uint32_t most,
                uint32_t *out)
{
    unsigned long long value;

    if (node->kind != YAML_SCALAR || !sts_str_to_uint(node->text, 10, UINT32_MAX, &value)) {
        value_error(b, node, "value-type", "is not a number", "write digits only");
        return false;
    }
    if (!in_range(b, node, value, least, most, ""))
        return false;
    *out = (uint32_t)value;
    return true;
}

bool value_seconds(struct binder *b, const struct yaml_node *node, uint32_t least, uint32_t most,
                   uint32_t *out)
{
    uint32_t value;

    if (node->kind != YAML_SCALAR || !sts_duration_parse(node->text, &value)) {
        value_error(b, node, "value-duration", "is not a duration",
                    "write a number and one of s m h d w, such as 90s, 12h, 7d or 4w");
        return false;
    }
    if (!in_range(b, node, value, least, most, "s"))
        return false;
    *out = value;
    return true;
}

bool value_milliseconds(struct binder *b, const struct yaml_node *node, uint32_t least,
                        uint32_t most, uint32_t *out)
{
    static const struct sts_str unit = {"ms", 2};
    struct sts_str text = node->text;
    unsigned long long value = 0;
    uint32_t seconds = 0;

    bool good = node->kind == YAML_SCALAR;
    if (good && text.len > unit.len &&
        sts_str_eq(sts_str_sub(text, text.len - unit.len, text.len), unit)) {
        good = sts_str_to_uint(sts_str_sub(text, 0, text.len - unit.len), 10, UINT32_MAX, &value);
    } else if (good) {
        good = sts_duration_parse(text, &seconds);
        value = 1000ull * seconds;
    }
    if (!good) {
        value_error(b, node, "value-duration", "is not a duration",
                    "write a number and ms or s, such as 250ms or 2s");
        return false;
    }
    if (!in_range(b, node, value, least, most, "ms"))
        return false;
    *out = (uint32_t)value;
    return true;
}

bool value_is_map_of(struct binder *b, const struct yaml_node *node, const char *help)
{
    bool empty = node->kind == YAML_SCALAR && !node->text.len;

    if (node->kind == YAML_MAP)
        return true;
    value_error(b, node, "value-type", empty ? "is empty" : "is not a map", help);
    return false;
}

bool value_is_map(struct binder *b, const struct yaml_node *node)
{
    return value_is_map_of(b, node, "write indented lines of key: value below");
}

bool value_is_one(struct binder *b, const struct yaml_node *node, const char *separator)
{
    if (!strstr(node->text.ptr, separator))
        return true;
    value_error(b, node, "value-joined", "is several values in one",
                "write a list: [first, second]");
    return false;
}

bool value_list(struct binder *b, const struct yaml_node *node, const struct yaml_node **items,
                size_t *count)
{
    bool one = node->kind == YAML_SCALAR && node->text.len > 0;

    if (node->kind != YAML_LIST && !one) {
        value_error(b, node, "value-type",
                    node->kind == YAML_SCALAR ? "is empty" : "is a map, not a list",
                    "write a list: [first, second]");
        return false;
    }
    if (node->count > LIST_MAX) {
        value_error(b, node, "value-too-many", "has more than 1000 entries",
                    "use wildcards or directories");
        return false;
    }
    *items = one ? node : node->items;
    *count = one ? 1 : node->count;
    return true;
}

bool value_reports(struct binder *b, const struct yaml_node *node, const struct sts_str **out,
                   size_t *count)
{
    const struct yaml_node *items;
    size_t n, kept = 0;

    if (!value_list(b, node, &items, &n))
        return false;
    if (n > REPORTS_MAX) {
        value_error(b, node, "value-too-many", "has more than 20 entries",
                    "they are one TXT record, which must fit into a DNS message: write fewer");
        return false;
    }
    struct sts_str *rua = STS_ARRAY(b->arena, n, struct sts_str);
    for (size_t i = 0; i < n; i++) {
        struct sts_str uri;
        if (value_string(b, &items[i], &uri) && value_is_one(b, &items[i], ",mailto:") &&
            value_is_one(b, &items[i], ",https:") && value_is_one(b, &items[i], ", ") &&
            sts_rua_check(uri, items[i].where, b->diags))
            rua[kept++] = uri;
    }
    *out = rua;
    *count = kept;
    return kept == n;
}

bool sts_duration_parse(struct sts_str text, uint32_t *seconds)
{
    static const struct {
        char unit;
        uint32_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
    unsigned long long value, factor = 1;

    if (text.len > 1)
        for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
            if (text.ptr[text.len - 1] == units[i].unit) {
                factor = units[i].seconds;
                text = sts_str_sub(text, 0, text.len - 1);
                break;
            }
    if (!sts_str_to_uint(text, 10, UINT32_MAX, &value) || value * factor > UINT32_MAX)
        return false;
    *seconds = (uint32_t)(value * factor);
    return true;
}
