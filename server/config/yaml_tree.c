#include "server/config/yaml_tree.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "server/base/memory.h"

enum { DEPTH_MAX = 16, NODES_MAX = 2000000 };

/* Children of the collection under construction; moved into the arena when it ends. */
struct growing {
    struct yaml_node *items;
    struct yaml_pair *pairs;
    size_t count, capacity;
};

struct builder {
    struct sts_arena *arena;
    struct sts_diags *diags;
    struct sts_str source;
    yaml_parser_t parser;
    yaml_event_t event;
    size_t nodes;
    unsigned depth;
};

static struct sts_pos place(const struct builder *b, yaml_mark_t mark)
{
    return (struct sts_pos){b->source, (uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
}

static bool refuse(struct builder *b, yaml_mark_t mark, const char *code, const char *message,
                   const char *help)
{
    struct sts_diag *diag = sts_diag_add(b->diags, STS_ERROR, code, place(b, mark), "%s", message);
    if (help)
        sts_diag_help(b->diags, diag, "%s", help);
    return false;
}

static const char *syntax_help(const char *problem)
{
    if (strstr(problem, "cannot start any token") || strstr(problem, "tab"))
        return "indent with spaces, never tabs; put values with special characters in quotes";
    if (strstr(problem, "mapping values are not allowed"))
        return "a second \": \" on the line: put the value in quotes, or check the indentation";
    if (strstr(problem, "alias") || strstr(problem, "alphabetic"))
        return "a value that begins with * or & must be in quotes: \"*.example.org\"";
    return "check indentation, brackets and quotes near this place";
}

static bool refuse_syntax(struct builder *b)
{
    const yaml_parser_t *p = &b->parser;
    const char *problem = p->problem ? p->problem : "cannot be read";

    if (p->error == YAML_MEMORY_ERROR)
        sts_must(NULL);
    if (p->error == YAML_READER_ERROR)
        return refuse(b, p->mark, "yaml-encoding", "the file is not valid UTF-8 text",
                      "save it as UTF-8 without control characters");
    struct sts_diag *diag = sts_diag_add(
        b->diags, STS_ERROR, "yaml-syntax", place(b, p->problem_mark), "not valid YAML: %s%s%s",
        p->context ? p->context : "", p->context ? ", " : "", problem);
    sts_diag_help(b->diags, diag, "%s", syntax_help(problem));
    return false;
}

static bool next(struct builder *b)
{
    yaml_event_delete(&b->event);
    return yaml_parser_parse(&b->parser, &b->event) || refuse_syntax(b);
}

static bool check_plain(struct builder *b, const yaml_char_t *anchor, const yaml_char_t *tag)
{
    yaml_mark_t mark = b->event.start_mark;
    if (anchor)
        return refuse(b, mark, "yaml-anchor", "anchors and aliases are not supported",
                      "use policies: to share values between tenants");
    if (tag)
        return refuse(b, mark, "yaml-tag", "tags are not supported", "remove the !tag");
    if (++b->nodes > NODES_MAX)
        return refuse(b, mark, "yaml-too-many", "the file has more than 2000000 values",
                      "spread the tenants over several files");
    return true;
}

static void *grow(void *items, size_t *capacity, size_t size)
{
    *capacity = *capacity ? *capacity * 2 : 8;
    return sts_must(realloc(items, sts_mul_size(*capacity, size)));
}

static bool build_node(struct builder *b, struct yaml_node *out);

static bool build_scalar(struct builder *b, struct yaml_node *out)
{
    const yaml_event_t *e = &b->event;
    struct sts_str text = {(const char *)e->data.scalar.value, e->data.scalar.length};

    if (!check_plain(b, e->data.scalar.anchor,
                     e->data.scalar.plain_implicit || e->data.scalar.quoted_implicit
                         ? NULL
                         : e->data.scalar.tag))
        return false;
    if (text.len && memchr(text.ptr, '\0', text.len))
        return refuse(b, e->start_mark, "yaml-nul", "a value contains a NUL byte", "remove it");
    *out = (struct yaml_node){.kind = YAML_SCALAR,
                              .quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE,
                              .where = place(b, e->start_mark),
                              .text = sts_arena_dup(b->arena, text)};
    return true;
}

static struct yaml_node *child(struct growing *g)
{
    if (g->count == g->capacity) {
        size_t capacity = g->capacity;
        g->items = grow(g->items, &capacity, sizeof(*g->items));
        capacity = g->capacity;
        g->pairs = grow(g->pairs, &capacity, sizeof(*g->pairs));
        g->capacity = capacity;
    }
    return &g->items[g->count];
}

static bool build_key(struct builder *b, struct growing *g)
{
    struct yaml_node key;

    if (b->event.type != YAML_SCALAR_EVENT)
        return refuse(b, b->event.start_mark, "yaml-key", "a key must be a plain word",
                      "write key: value");
    if (!build_scalar(b, &key))
        return false;
    if (sts_str_is(key.text, "<<") && !key.quoted)
        return refuse(b, b->event.start_mark, "yaml-anchor", "merge keys are not supported",
                      "use policies: to share values between tenants");
    child(g);
    g->pairs[g->count] = (struct yaml_pair){key.text, key.where};
    return next(b);
}

static int by_key(const void *a, const void *b)
{
    const struct yaml_pair *x = *(const struct yaml_pair *const *)a;
    const struct yaml_pair *y = *(const struct yaml_pair *const *)b;
    int order = sts_str_cmp(x->key, y->key);
    return order ? order : (x > y) - (x < y);
}

/* Sorting pointers finds duplicates in a map of a hundred thousand tenants, too. */
static bool check_duplicates(struct builder *b, const struct yaml_node *map)
{
    const struct yaml_pair **sorted =
        sts_must(malloc(sts_mul_size(map->count + 1, sizeof(struct yaml_pair *))));
    bool good = true;

    for (size_t i = 0; i < map->count; i++)
        sorted[i] = &map->pairs[i];
    qsort(sorted, map->count, sizeof(struct yaml_pair *), by_key);
    for (size_t i = 1; i < map->count; i++) {
        if (!sts_str_eq(sorted[i - 1]->key, sorted[i]->key))
            continue;
        struct sts_diag *diag =
            sts_diag_add(b->diags, STS_ERROR, "yaml-duplicate-key", sorted[i]->where,
                         "the key \"%.*s\" is there twice", STS_ARG(sorted[i]->key));
        diag->related = sorted[i - 1]->where;
        sts_diag_help(b->diags, diag, "remove one of the two");
        good = false;
    }
    free(sorted);
    return good;
}

static bool build_children(struct builder *b, struct yaml_node *out, struct growing *g)
{
    yaml_event_type_t end =
        out->kind == YAML_MAP ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;

    while (next(b)) {
        if (b->event.type == end)
            return true;
        if (out->kind == YAML_MAP && !build_key(b, g))
            return false;
        if (!build_node(b, child(g)))
            return false;
        g->count++;
    }
    return false;
}

static bool build_collection(struct builder *b, struct yaml_node *out)
{
    struct growing g = {0};

    if (++b->depth > DEPTH_MAX)
        return refuse(b, b->event.start_mark, "yaml-too-deep",
                      "values are nested more than 16 deep", "nothing here is nested that deep");
    bool good = build_children(b, out, &g);
    if (good) {
        out->count = g.count;
        out->items = STS_ARRAY(b->arena, g.count, struct yaml_node);
        if (g.count)
            memcpy(out->items, g.items, g.count * sizeof(*g.items));
        if (out->kind == YAML_MAP) {
            out->pairs = STS_ARRAY(b->arena, g.count, struct yaml_pair);
            if (g.count)
                memcpy(out->pairs, g.pairs, g.count * sizeof(*g.pairs));
            good = check_duplicates(b, out);
        }
    }
    free(g.items);
    free(g.pairs);
    b->depth--;
    return good;
}

static bool build_node(struct builder *b, struct yaml_node *out)
{
    const yaml_event_t *e = &b->event;

    switch (e->type) {
    case YAML_SCALAR_EVENT:
        return build_scalar(b, out);
    case YAML_SEQUENCE_START_EVENT:
        *out = (struct yaml_node){.kind = YAML_LIST, .where = place(b, e->start_mark)};
        return check_plain(b, e->data.sequence_start.anchor, e->data.sequence_start.tag) &&
               build_collection(b, out);
    case YAML_MAPPING_START_EVENT:
        *out = (struct yaml_node){.kind = YAML_MAP, .where = place(b, e->start_mark)};
        return check_plain(b, e->data.mapping_start.anchor, e->data.mapping_start.tag) &&
               build_collection(b, out);
    case YAML_ALIAS_EVENT:
        return refuse(b, e->start_mark, "yaml-anchor", "anchors and aliases are not supported",
                      "a value that begins with * must be in quotes: \"*.example.org\"");
    default:
        return refuse(b, e->start_mark, "yaml-syntax", "a value is missing here", NULL);
    }
}

static struct yaml_node *build_document(struct builder *b)
{
    struct yaml_node *root = NULL;

    while (next(b)) {
        switch (b->event.type) {
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            break;
        case YAML_STREAM_END_EVENT:
            return root;
        case YAML_DOCUMENT_START_EVENT:
            if (root) {
                refuse(b, b->event.start_mark, "yaml-documents", "a second document begins here",
                       "a file holds one document; remove the --- line");
                return NULL;
            }
            break;
        default:
            root = STS_NEW(b->arena, struct yaml_node);
            if (!build_node(b, root))
                return NULL;
        }
    }
    return NULL;
}

static bool is_empty_document(const struct yaml_node *root)
{
    return root->kind == YAML_SCALAR && root->text.len == 0 && !root->quoted;
}

struct yaml_node *yaml_tree_parse(struct sts_arena *arena, struct sts_str text,
                                  struct sts_str source, struct sts_diags *diags)
{
    struct builder b = {.arena = arena, .diags = diags, .source = source};

    if (!yaml_parser_initialize(&b.parser))
        sts_must(NULL);
    yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)text.ptr, text.len);
    struct yaml_node *root = build_document(&b);
    yaml_event_delete(&b.event);
    yaml_parser_delete(&b.parser);
    return root && is_empty_document(root) ? NULL : root;
}

struct yaml_node *yaml_tree_get(const struct yaml_node *map, const char *key)
{
    for (size_t i = 0; map->kind == YAML_MAP && i < map->count; i++)
        if (sts_str_is(map->pairs[i].key, key))
            return &map->items[i];
    return NULL;
}
