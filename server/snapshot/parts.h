/* Shared by the files of this folder: a snapshot under construction. */
#ifndef MTASTS_SNAPSHOT_PARTS_H
#define MTASTS_SNAPSHOT_PARTS_H

#include "server/base/table.h"
#include "server/snapshot/served.h"
#include "server/snapshot/snapshot.h"

/* What was reported about named policies. */
struct repeated {
    struct sts_table diags;
    size_t compared; /* pairs of them */
};
/* Packs what a shard said: of its own file, and of others, without what is there twice. The work
 * counts for `all`. */
void repeated_split(struct repeated *all, const struct sts_diags *said, struct sts_str file,
                    struct shard *shard);
/* Takes note of what is said elsewhere, which stays where it is. */
void repeated_note(struct repeated *r, const struct sts_diags *diags);
/* Copies all of `from`, which stays, but notes and warnings that were there before. */
void repeated_append(struct repeated *r, struct sts_diags *to, const struct sts_diags *from);
void repeated_fini(struct repeated *r);

struct build {
    const struct snapshot_input *input;
    struct snapshot *snapshot;
    struct diagnosis *diagnosis;
    struct sts_diags *diags;     /* its own */
    struct sts_arena *scratch;   /* until the build is over */
    struct ledger *ledger;       /* for dates and last good; NULL when not readable */
    const struct served *served; /* instead of a previous snapshot; may be NULL */
    size_t source_capacity;
    enum snapshot_look look;
    size_t near;              /* place where the source before is expected that comes next */
    struct sts_str directory; /* of the last file, and which one it is */
    struct file_id directory_id;
    struct sts_str judged; /* by source_is_lost last, and what it said */
    bool judged_lost;
    struct unusable *unusable; /* the sources that are broken or empty, once they were asked for */
    size_t unusable_count;
    bool missing;       /* a file is not there or not readable, and what was in it is not known */
    bool half_main;     /* somebody writes the main file, and there may be more to come */
    bool relative;      /* the include pattern in hand is */
    int unlisted;       /* errno of a directory that could not be listed, or 0 */
    bool same_policies; /* all named policies are those of the snapshot before */
    const char **policy_names; /* for "did you mean"; ends with NULL */
    size_t suggestions;
    struct cert_loading *loading; /* of the certificates, beside all else; or NULL */
    struct repeated repeated;
    /* Tenants that changed or were removed and that guard.c warned of; those that it counted. */
    size_t guarded_changed, guarded_removed, unsaid;
    bool reused;             /* some shards of the snapshot before... */
    uint32_t *moved;         /* ...where its sources are now, place + 1; 0: not taken over */
    struct sts_arena *spare; /* for what the next shard says */
};

/* Reads the file and adds its source, or reuses the previous snapshot's when the bytes are the
 * same. A file that cannot be used keeps its source of before. NULL (with a diagnostic) when there
 * is none either. */
struct sts_source *sources_add(struct build *b, struct sts_str path, bool is_main,
                               struct sts_pos where);
/* Those of these files that are not there yet. */
void sources_add_all(struct build *b, char *const *paths, size_t count, struct sts_pos where);
/* The include pattern that names the file, or NULL. */
const struct sts_path *source_pattern(const struct build *b, struct sts_str name);
/* Adds every file that an include pattern names. */
void sources_include(struct build *b, const struct sts_path *pattern);
/* Instead of them, with LOOK_TOLD: the files of before, the touched ones looked at again. */
void sources_told(struct build *b);
/* After all patterns: files that are gone, but not as somebody removes a file. */
void sources_keep_vanished(struct build *b);
/* Uses the file as it was before, with a warning. */
struct sts_source *source_keep(struct build *b, const struct snapshot_source *old,
                               enum tenant_kept why);
/* Whether the tenants of this file cannot be known at the moment: it is there and cannot be used,
 * or it is gone, but not as somebody removes a file. Nothing that was read before takes its place.
 */
bool source_is_lost(struct build *b, struct sts_str name);
/* The directory of a file that tenants belong to. */
struct file_id source_directory(const struct build *b, struct sts_str name);
/* By name, NULL when there is none. */
const struct snapshot_source *source_find(const struct snapshot *s, struct sts_str name);
void sources_fini(struct snapshot *s);

/* --- policies.c --- */
void policies_collect(struct build *b);
/* NULL when there is none. */
const struct sts_named_policy *policies_find(const struct build *b, const struct sts_source *source,
                                             struct sts_str name);
/* "did you mean": `report` is what resolving said about a name that no file defines. */
void policies_suggest(struct build *b, struct sts_str name, struct sts_diags *diags,
                      struct sts_diag *report);

/* Tenants of all sources, resolved, rendered and sorted by domain. */
void tenants_build(struct build *b);
/* The tenant of this domain among the first `count`, which are sorted. */
const struct tenant *tenant_among(const struct snapshot *s, size_t count, struct sts_str domain);
/* Without a snapshot before, certificates are loaded beside all else from here on. */
void tenants_begin_certify(struct build *b);
/* Certificates for the tenants; sets identity and state. */
void tenants_certify(struct build *b);

/* --- presented.c --- */
/* Whose host has this name of a certificate, pattern or not: a pattern stands for one label. */
const struct tenant *presented_tenant(const struct snapshot *s, struct sts_str name);
/* Drops, of what the certificate store said from `at` on, that a pair is kept whose files are gone,
 * when no tenant presents it: who removed those has done nothing that anybody must mend. */
void presented_drop_needless(struct build *b, struct sts_diag **at);

/* --- keep.c --- */
/* Serves the tenant, whose configuration cannot be used, as it was served before; false when there
 * is nothing to keep. */
bool tenant_keep(struct build *b, struct sts_diags *diags, struct tenant *t, enum tenant_kept why);
/* Whether its body is what was served last. */
bool tenant_is_as_before(const struct build *b, const struct tenant *t);
/* Its policy was served (or held) before. */
bool tenant_was_current(const struct build *b, const struct tenant *t);
bool body_policy(struct sts_arena *arena, struct sts_str body, struct sts_policy *out);

/* --- owner.c --- */
/* Of a domain that several files declare, one counts, and the others are refused. Tenants are
 * sorted. */
void tenants_drop_duplicates(struct build *b);
/* Adds the tenants that only the past knows of, while the file that they belong to is lost. Whoever
 * else declares one of them is refused. */
void tenants_keep_missing(struct build *b);

/* Against what was served before: counts, and warnings where senders may still hold an older
 * policy (guard.c). */
void guard_build(struct build *b);

/* The host index. */
uint32_t tenant_hash(struct sts_str host);
void index_build(struct snapshot *s);

#endif
