/* Snapshot: an immutable, reference-counted bundle of everything a request needs: tenants, rendered
 * bodies, host index, certificates. Serving reads one; start, reload and `check` build one with the
 * same builder. Nothing in it changes after snapshot_build returned. */
#ifndef MTASTS_SNAPSHOT_H
#define MTASTS_SNAPSHOT_H

#include <stdatomic.h>
#include <time.h>

#include "mtasts/config.h"
#include "mtasts/record.h"
#include "server/base/table.h"
#include "server/snapshot/diagnosis.h"
#include "server/snapshot/served.h"
#include "server/snapshot/shard.h"
#include "server/sys/file.h"
#include "server/tls/cert_store.h"

enum tenant_state {
    TENANT_SERVED,         /* policy and certificate are there */
    TENANT_NO_CERTIFICATE, /* policy is fine, no usable certificate: TLS handshakes are refused */
    TENANT_REFUSED,        /* its configuration is wrong: known host, but 404 */
};

/* Why the last good policy of a tenant stays, instead of what its configuration says now. */
enum tenant_kept {
    KEPT_NOT,
    KEPT_BROKEN,  /* its configuration has errors */
    KEPT_MISSING, /* its file cannot be read, or is gone together with its directory */
};

/* There may be a million, in two snapshots while one takes the place of the other: what is the same
 * for many, or said by the source, is not repeated here. */
struct tenant {
    struct sts_str domain;         /* canonical policy domain; the end of its host's name */
    const struct body *body;       /* one for all who have it; NULL when refused */
    struct cert_identity identity; /* empty when no certificate */
    uint32_t file, nth;            /* of which source it is which tenant, from 0; when `orphan`,
                                      `file` is the place in lost_files, or SNAPSHOT_NO_FILE */
    uint32_t hash;                 /* of its host */
    enum tenant_state state : 8;
    enum tenant_kept kept : 8;
    bool held : 1;     /* without certificate for the moment, but its policy of before: senders hold
                          it, and its id stays */
    bool retiring : 1; /* `retire`: serves mode none, RFC 8461 §8.3 */
    bool orphan : 1;   /* no file that can be read declares it: known from before a start only */
};

#define SNAPSHOT_NO_FILE UINT32_MAX

/* What a reload changed, against the snapshot before (or against what the ledger says was served).
 */
struct snapshot_changes {
    size_t added, changed, removed; /* tenants */
    size_t renewed; /* certificates, new ones in place of others; of tenants served in both */
};

/* What building it took; it grows with a change, not with the number of tenants. */
struct snapshot_work {
    size_t read, parsed; /* files */
    size_t resolved;     /* tenants */
    size_t compared;     /* pairs of diagnostics, which are reported once; of all tenants */
    struct cert_work certificates;
};

/* One file, and the SHA-256 of its bytes by which the next snapshot knows it again. */
struct snapshot_source {
    struct sts_source *source; /* referenced */
    unsigned char digest[STS_DIGEST_LEN];
    enum tenant_kept kept;    /* of before, because the file cannot be used now */
    struct file_id directory; /* where it was found; another one there is no removal */
    struct shard *shard;      /* its tenants; referenced */
    struct file_stamp stamp;  /* of what was read... */
    bool settled;             /* ...and while that is the same, so are the bytes */
    bool relative; /* to the directory of the main file, as the include pattern is that found it */
    uint64_t hash, base_hash; /* of its name, and of the name without the directory */
    size_t before;            /* its place in the snapshot before, + 1; 0: it was not there */
};

/* A file that tenants belong to. */
struct snapshot_file {
    struct sts_str name;
    bool relative; /* as in snapshot_source */
};

struct snapshot {
    atomic_uint refs;
    uint64_t generation;
    time_t built;
    struct sts_arena *arena;
    struct sts_settings settings; /* of the main source, which this snapshot keeps alive */
    struct sts_str main_file, base_dir;
    struct sts_str ledger; /* its path. A server keeps the one that it began with, whatever the
                              settings say meanwhile: so it is that of the snapshot before */
    struct snapshot_source *sources;
    size_t source_count;
    struct sts_table sources_by_name;
    struct cert_store *certificates; /* referenced; NULL when not loaded */
    struct tenant *tenants;          /* sorted by domain */
    size_t tenant_count;
    struct snapshot_file *lost_files; /* that orphans belong to */
    size_t lost_file_count;
    struct sts_table hosts;                   /* tenants by the names of their hosts */
    const struct sts_named_policy **policies; /* sorted by name, over all sources */
    size_t policy_count;
    struct body_pool *bodies; /* referenced */
    bool plain;               /* nothing was said of files, but by what is in them */
    bool renamed;             /* a source that was kept bears a name that no pattern gives it */
    bool searched;            /* all certificate folders were */
    size_t duplicates;        /* tenants left out, because another file has them too */
    struct snapshot_work work;
    /* Kept and retiring ones are also among served. */
    size_t served, without_certificate, refused, kept, retiring;
    struct snapshot_changes changes;
    bool incomplete; /* what is missing may mend itself without an event: look again soon */
};

/* How files are found to be as they were in the snapshot before. The main file is always read. But
 * for LOOK_READ without a snapshot before, SIGIO must be ignored: see file_read_settled. */
enum snapshot_look {
    LOOK_READ, /* by their bytes */
    LOOK_STAT, /* by what stat says, when that is old enough to tell; else by their bytes */
    /* Both as LOOK_STAT when the main file leads elsewhere now (snapshot_same_paths). */
    LOOK_NEW,  /* files by stat, because there are new ones; certificates by `touched` */
    LOOK_TOLD, /* by `touched`; the others are as they were */
};

struct snapshot_touched {
    const struct file_name *files; /* of sources */
    size_t count;
    const struct file_entry *entries; /* of certificate folders */
    size_t entry_count;
};

struct snapshot_input {
    const char *main_file;
    time_t now;
    const struct snapshot *previous; /* its sources and certificates are reused, and last good;
                                        may be NULL */
    enum snapshot_look look;
    struct snapshot_touched touched; /* for LOOK_TOLD, and `previous` must know the files; its
                                        entries for LOOK_NEW */
    struct served *served;           /* last good where there is no previous one; when empty, it is
                                        filled from the ledger; may be NULL */
    struct ledger *ledger;           /* dates, and last good without the two above; may be NULL */
    bool with_ledger;                /* without `ledger`: opens it for reading by itself */
    struct sts_source **main_source; /* receives a reference to the main file when it can be used,
                                        also when the whole is refused; may be NULL */
    bool with_certificates;          /* false for `records`: certificates do not matter there */
};

/* Builds a snapshot; all diagnostics (also those of sources) go to `diags`. NULL when the main file
 * cannot be used, or on any error when it says strict. Control thread only. */
struct snapshot *snapshot_build(const struct snapshot_input *input, struct sts_diags *diags);
/* The same without copying what was said. */
struct snapshot *snapshot_diagnose(const struct snapshot_input *input, struct diagnosis *diagnosis);
struct snapshot *snapshot_ref(struct snapshot *s); /* atomic */
/* Control thread only (sources are not counted atomically): workers hand snapshots back. */
void snapshot_unref(struct snapshot *s);

/* The file beside the ledger where what is known of certificates stands for the next start. */
struct sts_str snapshot_certificate_index(const struct snapshot *s, struct sts_arena *arena);

/* Whether a look at these files alone sees every change there is, if others did not change: they
 * are of this snapshot, and are still there as regular files. */
bool snapshot_knows(const struct snapshot *s, const struct snapshot_touched *touched);

/* Whether two main files lead to the same other files, by the same places, which diagnostics tell.
 */
bool snapshot_same_paths(const struct sts_settings *a, const struct sts_settings *b);

/* Whether `b` says what `a` says: the same files, tenants, states and certificates. */
bool snapshot_same(const struct snapshot *a, const struct snapshot *b);

/* What `s` changes against `previous` or, when that is NULL, `served` (NULL: nothing was served).
 * In the order of domains; a tenant that is refused now and was before is no change. */
enum snapshot_change_kind { CHANGE_ADDED, CHANGE_CHANGED, CHANGE_REMOVED };
struct snapshot_change {
    enum snapshot_change_kind kind;
    struct sts_str domain;
    struct sts_str body;         /* that was served before; empty when added */
    const struct tenant *before; /* of `previous`; NULL when added, and without a previous one */
    const struct tenant *tenant; /* of `s`; NULL when removed */
};
typedef void snapshot_visit_change(void *data, const struct snapshot_change *change);
void snapshot_each_change(const struct snapshot *s, const struct snapshot *previous,
                          const struct served *served, snapshot_visit_change *visit, void *data);

/* A certificate that is presented to clients. */
struct presented {
    const struct cert_pair *pair;
    const struct tenant *tenant; /* the first of them, by domain */
    size_t tenants;
};
/* Every certificate once, in the order of addresses; with `previous`, only those that took the
 * place of another one there, for a tenant that is served in both. To be freed with free(). */
struct presented *snapshot_presented(const struct snapshot *s, const struct snapshot *previous,
                                     size_t *count);

/* "mta-sts." + domain, RFC 8461 §3.2 */
struct sts_str tenant_host(const struct tenant *t);
/* As it is served; empty when refused. */
struct sts_str tenant_body(const struct tenant *t);
bool tenant_same_body(const struct tenant *a, const struct tenant *b);
const struct sts_policy *tenant_policy(const struct tenant *t); /* all zero when refused */
/* The file that it belongs to: that declares it or, for an orphan, from which it was served last.
 * Empty: not known, which happens only with orphans from a ledger that does not say it yet. */
struct snapshot_file tenant_file(const struct snapshot *s, const struct tenant *t);
/* The same for the ledger, so that the next start knows it again: relative to the directory of the
 * main file when the include pattern is, for that directory may have other names. */
struct sts_str tenant_stored_file(const struct snapshot *s, const struct tenant *t);
struct sts_str snapshot_stored_file(const struct snapshot *s, struct snapshot_file file);
/* Where it is declared. */
struct sts_pos tenant_where(const struct snapshot *s, const struct tenant *t);
/* The rua URIs of its TLS-RPT record. */
const struct sts_str *tenant_reports(const struct snapshot *s, const struct tenant *t,
                                     size_t *count);
/* Whether the ledger calls its policy current: it is served, or held. */
bool tenant_is_current(const struct tenant *t);

/* The DNS records of a tenant on one side. `id`: of the policy that is served; NULL: `pending` says
 * why there is none, and no _mta-sts record is made. `zone`: that the tenant's records are in;
 * empty: the likely one. Strings in `arena`. */
struct snapshot_records_input {
    const struct tenant *tenant;
    const char *id, *pending;
    enum sts_side side;
    struct sts_str zone;
};
void snapshot_records(struct sts_arena *arena, const struct snapshot *s,
                      const struct snapshot_records_input *in, struct sts_record_set *out);
/* The side on which the records are that change: the provider's when they are delegated. */
enum sts_side snapshot_changing_side(const struct snapshot *s, struct sts_str domain);
/* The name of a tenant's _mta-sts TXT record on that side. */
struct sts_str snapshot_id_name(struct sts_arena *arena, const struct snapshot *s,
                                struct sts_str domain);
uint32_t snapshot_id_ttl(const struct snapshot *s); /* of it, seconds */
/* How a tenant is served, in one word for people and programs. */
const char *tenant_state_name(const struct tenant *t);

/* By canonical host name ("mta-sts.example.org"), NULL when no tenant has it. */
const struct tenant *snapshot_find_host(const struct snapshot *s, struct sts_str host);
const struct tenant *snapshot_find_domain(const struct snapshot *s, struct sts_str domain);

#endif
