/* Diagnosis: all that one build had to say, in order.
 *
 * What is said of a file and its tenants lies with the source and the shard, which snapshots share,
 * and is not copied: so a change of one file among a hundred thousand costs what is said of that
 * file. The diagnosis holds references, and outlives the snapshot, also one that was refused.
 *
 * For one thread. */
#ifndef MTASTS_SNAPSHOT_DIAGNOSIS_H
#define MTASTS_SNAPSHOT_DIAGNOSIS_H

#include "server/snapshot/shard.h"

/* What one file or the tenants of one file have to say. */
struct diagnosis_part {
    struct sts_source *source; /* one of these two, referenced */
    struct shard *shard;
    size_t place; /* so many of `own` come before it */
};

struct diagnosis {
    struct sts_arena *arena;
    struct sts_diags own; /* what the build said itself; more may be added */
    struct diagnosis_part *parts;
    size_t count, capacity;
    size_t errors, warnings; /* of the parts */
    bool strict;             /* all was refused: that single files or tenants are kept is not true,
                                and left out */
};

void diagnosis_init(struct diagnosis *d);
void diagnosis_fini(struct diagnosis *d); /* all zero is fine */
/* Adds what was said of the file when it was parsed, and of its tenants when they were resolved. */
void diagnosis_add_source(struct diagnosis *d, struct sts_source *source);
void diagnosis_add_shard(struct diagnosis *d, struct shard *shard);

/* Copies what `own` borrows of the build: names of files and tenants. Before the snapshot goes. */
void diagnosis_settle(struct diagnosis *d);

size_t diagnosis_errors(const struct diagnosis *d);
size_t diagnosis_warnings(const struct diagnosis *d);

/* What a part says; borrowed. */
const struct sts_diags *diagnosis_said_by(const struct diagnosis_part *part);

/* All of it, one by one: begins with all zero, ends with NULL. */
struct diagnosis_walk {
    size_t part, place;         /* what comes next */
    const struct sts_diag *own; /* the last one of the build's own */
    const struct sts_diag *in;  /* the next one of a part */
};
const struct sts_diag *diagnosis_next(const struct diagnosis *d, struct diagnosis_walk *walk);
/* Copies all of it to the end of `to`. */
void diagnosis_copy(const struct diagnosis *d, struct sts_diags *to);

#endif
