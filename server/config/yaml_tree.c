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
    struct sts_str text, source;
    yaml_parser_t parser;
    yaml_event_t event;
    size_t nodes;
    unsigned depth;
};

static struct sts_pos yaml_tree_place(const struct builder *b, yaml_mark_t mark)
{
    return (struct sts_pos){b->source, (uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
}

static bool yaml_tree_refuse(struct builder *b, yaml_mark_t mark, const char *code,
                             const char *message, const char *help)
{
    struct sts_diag *diag =
        sts_diag_add(b->diags, STS_ERROR, code, yaml_tree_place(b, mark), "%s", message);
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
    if (strstr(problem, "expected node content"))
        return "a value is missing, or one such as \"[::]:443\" is not in quotes";
    return "check indentation, brackets and quotes near this place";
}

/* The reader runs ahead of the scanner's mark, so the place is counted from the byte. */
static bool refuse_bytes(struct builder *b)
{
    const yaml_parser_t *p = &b->parser;
    bool control = p->problem && strstr(p->problem, "control");
    yaml_mark_t mark = {0};

    for (size_t i = 0; i < p->problem_offset && i < b->text.len; i++) {
        unsigned char c = (unsigned char)b->text.ptr[i];
        mark.column = c == '\n' ? 0 : mark.column + ((c & 0xc0) != 0x80);
        mark.line += c == '\n';
    }
    if (control)
        return yaml_tree_refuse(b, mark, "yaml-control", "the file contains a control character",
                                "remove it; a configuration is plain text");
    return yaml_tree_refuse(b, mark, "yaml-encoding", "the file is not valid UTF-8 text",
                            "save it as UTF-8");
}

static bool refuse_syntax(struct builder *b)
{
    const yaml_parser_t *p = &b->parser;
    const char *problem = p->problem ? p->problem : "cannot be read";

    if (p->error == YAML_MEMORY_ERROR)
        sts_must(NULL);
    if (p->error == YAML_READER_ERROR)
        return refuse_bytes(b);
    struct sts_diag *diag = sts_diag_add(
        b->diags, STS_ERROR, "yaml-syntax", yaml_tree_place(b, p->problem_mark),
        "not valid YAML: %s%s%s", p->context ? p->context : "", p->context ? ", " : "", problem);
    sts_diag_help(b->diags, diag, "%s", syntax_help(problem));
    return false;
}

static bool yaml_tree_next(struct builder *b)
{
    yaml_event_delete(&b->event);
    return yaml_parser_parse(&b->parser, &b->event) || refuse_syntax(b);
}

static bool check_plain(struct builder *b, const yaml_char_t *anchor, const yaml_char_t *tag)
{
    yaml_mark_t mark = b->event.start_mark;
    if (anchor)
        return yaml_tree_refuse(b, mark, "yaml-anchor", "anchors and aliases are not supported",
                                "use policies: to share values between tenants");
    if (tag)
        return yaml_tree_refuse(b, mark, "yaml-tag", "tags are not supported", "remove the !tag");
    if (++b->nodes > NODES_MAX)
        return yaml_tree_refuse(b, mark, "yaml-too-many", "the file has more than 2000000 values",
                                "spread the tenants over several files");
    return true;
}

static bool build_node(struct builder *b, struct yaml_node *out);

static bool build_scalar(struct builder *b, struct yaml_node *out)
{
    const yaml_event_t *e = &b->event;
    struct sts_str text = {(const char *)e->data.scalar.value, e->data.scalar.length};

    bool plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    /* Of a lone "!" libyaml keeps only that the plain value is not implicit. */
    const yaml_char_t *tag =
        plain && !e->data.scalar.plain_implicit ? (const yaml_char_t *)"!" : e->data.scalar.tag;

    if (!check_plain(b, e->data.scalar.anchor, tag))
        return false;
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return yaml_tree_refuse(b, e->start_mark, "yaml-control",
                                    "a value contains a line break or control character",
                                    "write it on one line, without | or > or backslash escapes");
    *out = (struct yaml_node){.kind = YAML_SCALAR,
                              .quoted = !plain,
                              .where = yaml_tree_place(b, e->start_mark),
                              .text = sts_arena_dup(b->arena, text)};
    return true;
}

static struct yaml_node *yaml_tree_child(struct growing *g)
{
    size_t capacity = g->capacity;

    g->items = sts_heap_grow(g->items, g->count, &capacity, sizeof(*g->items));
    g->pairs = sts_heap_grow(g->pairs, g->count, &g->capacity, sizeof(*g->pairs));
    return &g->items[g->count];
}

static bool build_key(struct builder *b, struct growing *g)
{
    struct yaml_node key;

    if (b->event.type != YAML_SCALAR_EVENT)
        return yaml_tree_refuse(b, b->event.start_mark, "yaml-key", "a key must be a plain word",
                                "write key: value; a value such as \"[::]:443\" must be in quotes");
    if (!build_scalar(b, &key))
        return false;
    if (sts_str_is(key.text, "<<") && !key.quoted)
        return yaml_tree_refuse(b, b->event.start_mark, "yaml-anchor",
                                "merge keys are not supported",
                                "use policies: to share values between tenants");
    yaml_tree_child(g);
    g->pairs[g->count] = (struct yaml_pair){key.text, key.where};
    return yaml_tree_next(b);
}

static bool build_children(struct builder *b, struct yaml_node *out, struct growing *g)
{
    yaml_event_type_t end =
        out->kind == YAML_MAP ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;

    while (yaml_tree_next(b)) {
        if (b->event.type == end)
            return true;
        if (out->kind == YAML_MAP && !build_key(b, g))
            return false;
        if (!build_node(b, yaml_tree_child(g)))
            return false;
        g->count++;
    }
    return false;
}

static bool build_collection(struct builder *b, struct yaml_node *out)
{
    struct growing g = {0};

    if (++b->depth > DEPTH_MAX)
        return yaml_tree_refuse(b, b->event.start_mark, "yaml-too-deep",
                                "values are nested more than 16 deep",
                                "nothing here is nested that deep");
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
        *out = (struct yaml_node){.kind = YAML_LIST, .where = yaml_tree_place(b, e->start_mark)};
        return check_plain(b, e->data.sequence_start.anchor, e->data.sequence_start.tag) &&
               build_collection(b, out);
    case YAML_MAPPING_START_EVENT:
        *out = (struct yaml_node){.kind = YAML_MAP, .where = yaml_tree_place(b, e->start_mark)};
        return check_plain(b, e->data.mapping_start.anchor, e->data.mapping_start.tag) &&
               build_collection(b, out);
    case YAML_ALIAS_EVENT:
        return yaml_tree_refuse(b, e->start_mark, "yaml-anchor",
                                "anchors and aliases are not supported",
                                "a value that begins with * must be in quotes: \"*.example.org\"");
    default:
        return yaml_tree_refuse(b, e->start_mark, "yaml-syntax", "a value is missing here", NULL);
    }
}

static struct yaml_node *build_document(struct builder *b)
{
    struct yaml_node *root = NULL;

    while (yaml_tree_next(b)) {
        switch (b->event.type) {
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            break;
        case YAML_STREAM_END_EVENT:
            return root;
        case YAML_DOCUMENT_START_EVENT:
            if (root) {
                yaml_tree_refuse(b, b->event.start_mark, "yaml-documents",
                                 "a second document begins here",
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
    static const struct sts_str byte_order_mark = {"\xef\xbb\xbf", 3};
    if (sts_str_starts(text, byte_order_mark))
        text = sts_str_sub(text, byte_order_mark.len, text.len);
    struct builder b = {.arena = arena, .diags = diags, .text = text, .source = source};

    if (!yaml_parser_initialize(&b.parser))
        sts_must(NULL);
    yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
    /* An empty slice may have no address, and libyaml asserts that there is one. */
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)(text.ptr ? text.ptr : ""),
                                 text.len);
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
