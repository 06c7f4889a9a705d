/* The manifest: which files of the directory are ours, and what is in them. It is read back as
 * anything else from outside: names are domains, or they are nothing. */
#include <stdlib.h>

#include "mtasts/domain.h"
#include "server/base/json.h"
#include "server/cli/export.h"

enum { VERSION = 1 };

static int export_manifest_to_domain(const void *key, const void *entry)
{
    return sts_str_cmp(*(const struct sts_str *)key, ((const struct export_entry *)entry)->domain);
}

const struct export_entry *export_find(const struct export_list *list, struct sts_str domain)
{
    return list->count ? bsearch(&domain, list->entries, list->count, sizeof(*list->entries),
                                 export_manifest_to_domain)
                       : NULL;
}

static json_t *entry_json(const struct export_entry *e)
{
    json_t *object = json_object();
    struct sts_buf path = {0};

    sts_buf_printf(&path, "mta-sts.%.*s/" EXPORT_WELL_KNOWN "/" EXPORT_FILE, STS_ARG(e->domain));
    json_object_set_new(object, "domain", sts_json_str(e->domain));
    json_object_set_new(object, "id", e->id.len ? sts_json_str(e->id) : json_null());
    json_object_set_new(object, "sha256", json_string(e->digest));
    json_object_set_new(object, "bytes", json_integer((json_int_t)e->bytes));
    json_object_set_new(object, "path", sts_json_str(sts_buf_str(&path)));
    sts_buf_fini(&path);
    return object;
}

void export_manifest_render(struct sts_buf *out, const struct export_list *list, bool snippets)
{
    json_t *root = json_object(), *tenants = json_array(), *files = json_array();

    for (size_t i = 0; i < list->count; i++)
        json_array_append_new(tenants, entry_json(&list->entries[i]));
    for (const struct export_snippet *s = export_snippets; snippets && s->file; s++)
        json_array_append_new(files, json_string(s->file));
    json_object_set_new(root, "mta-stsd-export", json_integer(VERSION));
    json_object_set_new(root, "files", files);
    json_object_set_new(root, "tenants", tenants);
    sts_json_render(out, root, true);
    sts_buf_add_cstr(out, "\n");
}

static struct sts_str string_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return json_is_string(value)
               ? (struct sts_str){json_string_value(value), json_string_length(value)}
               : (struct sts_str){0};
}

static bool is_canonical(struct sts_arena *arena, struct sts_str name)
{
    struct sts_diags ignored;
    struct sts_pos nowhere = {0};
    struct sts_str domain;

    sts_diags_init(&ignored, arena);
    return sts_domain_parse(arena, name, STS_DOMAIN_WIRE, nowhere, &ignored, &domain) &&
           sts_str_eq(name, domain);
}

static bool is_hex(struct sts_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!sts_is_digit(s.ptr[i]) && (s.ptr[i] < 'a' || s.ptr[i] > 'f'))
            return false;
    return s.ptr && s.len == EXPORT_HEX;
}

static bool parse_entry(struct sts_arena *arena, const json_t *object, struct export_entry *out)
{
    struct sts_str domain = string_of(object, "domain"), id = string_of(object, "id"),
                   digest = string_of(object, "sha256");
    json_int_t bytes = json_integer_value(json_object_get(object, "bytes"));

    if (!is_canonical(arena, domain) || !is_hex(digest) || bytes < 0 || bytes > STS_POLICY_MAX)
        return false;
    *out = (struct export_entry){.domain = sts_arena_dup(arena, domain), .bytes = (size_t)bytes};
    if (sts_id_check(id))
        out->id = sts_arena_dup(arena, id);
    for (size_t i = 0; i < EXPORT_HEX; i++)
        out->digest[i] = digest.ptr[i];
    return true;
}

static int export_manifest_by_domain(const void *a, const void *b)
{
    return sts_str_cmp(((const struct export_entry *)a)->domain,
                       ((const struct export_entry *)b)->domain);
}

bool export_manifest_parse(struct sts_arena *arena, struct sts_str text, struct export_list *out,
                           bool *snippets)
{
    json_t *root = json_loadb(text.ptr ? text.ptr : "", text.len, 0, NULL);
    const json_t *tenants = json_object_get(root, "tenants"),
                 *files = json_object_get(root, "files");
    struct export_list list = {0};
    bool good = json_integer_value(json_object_get(root, "mta-stsd-export")) == VERSION &&
                json_is_array(tenants) && json_is_array(files);

    list.entries = STS_ARRAY(arena, good ? json_array_size(tenants) : 0, struct export_entry);
    for (size_t i = 0; good && i < json_array_size(tenants); i++)
        good = parse_entry(arena, json_array_get(tenants, i), &list.entries[list.count++]);
    if (good)
        qsort(list.entries, list.count, sizeof(*list.entries), export_manifest_by_domain);
    for (size_t i = 1; good && i < list.count; i++)
        good = !sts_str_eq(list.entries[i - 1].domain, list.entries[i].domain);
    if (good) {
        *out = list;
        *snippets = json_array_size(files) > 0;
    }
    json_decref(root);
    return good;
}
