/* Static export: the bodies as files that any web server can serve. Shared by the files of
 * `export`. */
#ifndef MTASTS_CLI_EXPORT_H
#define MTASTS_CLI_EXPORT_H

#include "mtasts/record.h"
#include "server/snapshot/snapshot.h"

#define EXPORT_MANIFEST   "manifest.json"
#define EXPORT_JOURNAL    ".manifest.json.next" /* what an unfinished run may have written */
#define EXPORT_WELL_KNOWN ".well-known"
#define EXPORT_FILE       "mta-sts.txt"
enum { EXPORT_HEX = 2 * STS_DIGEST_LEN };

/* One policy of the tree. */
struct export_entry {
    struct sts_str domain;
    struct sts_str id;           /* of exactly this body, by the ledger; or empty */
    char digest[EXPORT_HEX + 1]; /* SHA-256 of the body */
    size_t bytes;
    struct sts_str body; /* empty: its file stays as it is */
};

struct export_list {
    struct export_entry *entries; /* sorted by domain */
    size_t count;
};
/* By domain, NULL when it is not among them. */
const struct export_entry *export_find(const struct export_list *list, struct sts_str domain);

/* --- export_manifest.c: which files are ours --- */
/* `snippets`: whether those files belong to the tree. */
void export_manifest_render(struct sts_buf *out, const struct export_list *list, bool snippets);
/* False when it is none of ours. */
bool export_manifest_parse(struct sts_arena *arena, struct sts_str text, struct export_list *out,
                           bool *snippets);

/* --- export_snippets.c: configuration of web servers --- */
struct export_snippet {
    const char *format; /* --format that prints it alone, or NULL */
    const char *file;
    /* `dir`: where the tree is on the machine that serves it; export_dir_check. */
    void (*render)(struct sts_buf *out, const struct export_list *list, struct sts_str dir);
};
extern const struct export_snippet export_snippets[]; /* ends with file NULL */
/* An absolute path that no web server's configuration takes for anything else. */
bool export_dir_check(struct sts_str dir);

/* --- export_list.c --- */
/* The shape of the STARTTLS Everywhere list; the number of tenants it cannot hold (mode none). */
size_t export_list_render(struct sts_buf *out, const struct snapshot *s, time_t now);

/* --- export_tree.c --- */
struct export_counts {
    size_t written, removed, unchanged, refused;
};
/* Makes the directory say what `wanted` says. `hold`: what cannot be judged now (the configuration
 * has errors) is not removed. False when something could not be written: then the manifest is the
 * old one, and each file is the old one or the new one. */
bool export_tree(struct sts_arena *arena, const char *path, const struct export_list *wanted,
                 bool hold, struct sts_diags *diags, struct export_counts *counts);

#endif
