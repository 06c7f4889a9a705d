/* YAML as a tree with the place of every node, built from libyaml's events (from memory, no file).
 * The subset is what a configuration needs: one document, no anchors, aliases, tags or merge keys,
 * one line a value, bounded depth and size. Everything else is refused with its place. Repeated
 * keys are left to the schema, which knows whom they hurt. */
#ifndef MTASTS_CONFIG_YAML_TREE_H
#define MTASTS_CONFIG_YAML_TREE_H

#include "mtasts/diag.h"

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    bool quoted; /* scalar in quotes or a block: always a string */
    struct sts_pos where;
    struct sts_str text;     /* scalar */
    struct yaml_node *items; /* list elements, or map values */
    struct yaml_pair *pairs; /* map keys, parallel to items */
    size_t count;
};

struct yaml_pair {
    struct sts_str key;
    struct sts_pos where;
};

/* NULL with an error in `diags`, or when the document is empty (then without an error). */
struct yaml_node *yaml_tree_parse(struct sts_arena *arena, struct sts_str text,
                                  struct sts_str source, struct sts_diags *diags);

/* NULL when the map has no such key. */
struct yaml_node *yaml_tree_get(const struct yaml_node *map, const char *key);

#endif
