/* Shared by the files of this folder: a snapshot under construction. */
#ifndef MTASTS_SNAPSHOT_PARTS_H
#define MTASTS_SNAPSHOT_PARTS_H

#include "server/snapshot/snapshot.h"

/* What was reported about named policies. */
struct repeated {
    const struct sts_diag **slots; /* open addressing, power of two */
    size_t size, count;
};
/* Removes, from `*from` on, each note and warning that was there before; errors stay. */
void repeated_drop(struct repeated *r, struct sts_diags *diags, struct sts_diag **from);
void repeated_fini(struct repeated *r);

struct build {
    const struct snapshot_input *input;
    struct snapshot *snapshot;
    struct sts_diags *diags;
    size_t source_capacity;
    const struct sts_named_policy **policies; /* sorted by name, over all sources */
    const char **policy_names;                /* the same, for "did you mean"; ends with NULL */
    size_t policy_count, suggestions;
    struct repeated repeated;
};

/* Reads the file and adds its source, or reuses the previous snapshot's when the bytes are the
 * same. NULL (with a diagnostic) when the file cannot be read. */
struct sts_source *sources_add(struct build *b, struct sts_str path, bool is_main,
                               struct sts_pos where);
/* Adds every file that an include pattern names. */
void sources_include(struct build *b, const struct sts_path *pattern);

/* Tenants of all sources, resolved, rendered and sorted by domain. */
void tenants_build(struct build *b);
/* Serves the tenant, whose configuration is broken, as the previous snapshot did; false when there
 * is nothing to keep. */
bool tenant_keep(struct build *b, struct tenant *t);
/* Certificates for the tenants; sets identity and state. */
void tenants_certify(struct build *b);
/* The host index. */
void index_build(struct snapshot *s);

#endif
