/* The one builder, reference counts, and look-ups. */
#include "server/snapshot/snapshot.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/snapshot/parts.h"
#include "server/sys/file.h"

uint32_t tenant_hash(struct sts_str host)
{
    return (uint32_t)sts_hash(host);
}

void index_build(struct snapshot *s)
{
    sts_table_reserve(&s->hosts, s->tenant_count);
    for (size_t i = 0; i < s->tenant_count; i++)
        sts_table_add(&s->hosts, s->tenants[i].hash, &s->tenants[i]);
}

static bool tenant_has_host(const void *tenant, const void *host)
{
    return sts_str_eq(tenant_host(tenant), *(const struct sts_str *)host);
}

const struct tenant *snapshot_find_host(const struct snapshot *s, struct sts_str host)
{
    return sts_table_find(&s->hosts, tenant_hash(host), tenant_has_host, &host);
}

const struct tenant *snapshot_find_domain(const struct snapshot *s, struct sts_str domain)
{
    return tenant_among(s, s->tenant_count, domain);
}

static void count_states(struct snapshot *s)
{
    for (size_t i = 0; i < s->tenant_count; i++) {
        s->served += s->tenants[i].state == TENANT_SERVED;
        s->without_certificate += s->tenants[i].state == TENANT_NO_CERTIFICATE;
        s->refused += s->tenants[i].state == TENANT_REFUSED;
        s->kept += s->tenants[i].kept && s->tenants[i].state == TENANT_SERVED;
        s->retiring += s->tenants[i].retiring && s->tenants[i].state == TENANT_SERVED;
    }
}

static void warn_no_tenants(struct build *b)
{
    struct snapshot *s = b->snapshot;
    if (s->tenant_count)
        return;
    struct sts_diag *diag = sts_diag_add(b->diags, STS_WARNING, "config-no-tenants",
                                         (struct sts_pos){s->main_file, 0, 0},
                                         "there is no tenant, so nothing is served");
    sts_diag_help(b->diags, diag, "add tenants: with a mail domain, mode and mx");
}

/* The ledger is a help here, never a need: what is wrong with it is reported by whoever writes it.
 * The first start after an upgrade comes before that. */
static void snapshot_open_ledger(struct build *b, struct sts_diags *ignored)
{
    const struct snapshot *s = b->snapshot;

    b->ledger = b->input->ledger;
    if (!b->ledger && b->input->with_ledger)
        b->ledger =
            ledger_open(s->ledger.ptr, LEDGER_READ_OLDER, s->settings.ledger.where, ignored);
}

/* What was served before, when there is no snapshot that knows it. */
static void snapshot_remember(struct build *b, struct served *served)
{
    struct sts_arena *scratch = sts_arena_new();
    struct sts_diags ignored;

    sts_diags_init(&ignored, scratch);
    snapshot_open_ledger(b, &ignored);
    if (!b->input->previous && !served->count && b->ledger)
        served_from_ledger(served, b->ledger, &ignored);
    b->served = served;
    sts_arena_free(scratch);
}

static void read_sources(struct build *b)
{
    const struct snapshot *previous = b->input->previous;
    struct snapshot *s = b->snapshot;
    size_t before = sts_diags_count(b->diags);

    b->look = b->input->look;
    if (b->look >= LOOK_NEW && !snapshot_same_paths(&previous->settings, &s->settings))
        b->look = LOOK_STAT;
    if (b->look == LOOK_TOLD) {
        sources_told(b);
    } else {
        for (size_t i = 0; i < s->settings.include_count; i++)
            sources_include(b, &s->settings.include[i]);
        sources_keep_vanished(b);
    }
    s->plain = sts_diags_count(b->diags) == before;
}

/* A change that strict refuses keeps no tenant: a running server goes on as a whole, and a start
 * serves nothing. What was promised of single ones is taken back. */
static void snapshot_refuse_strictly(struct build *b)
{
    struct sts_diag *diag = sts_diag_add(b->diags, STS_WARNING, "strict-refused",
                                         (struct sts_pos){b->snapshot->main_file, 0, 0},
                                         "strict: on refuses all of it for the errors");
    sts_diag_help(b->diags, diag,
                  "mend them; until then a running server goes on with what it serves, and a start "
                  "is refused");
    b->diagnosis->strict = true;
}

static bool snapshot_fill(struct build *b)
{
    struct snapshot *s = b->snapshot;
    struct served served;
    struct sts_source *main_source =
        sources_add(b, s->main_file, true, (struct sts_pos){s->main_file, 0, 0});

    if (!main_source || main_source->broken)
        return false;
    s->settings = main_source->settings;
    s->ledger = b->input->previous ? sts_arena_dup(s->arena, b->input->previous->ledger)
                                   : file_resolve(s->arena, s->base_dir, s->settings.ledger.path);
    if (b->input->main_source)
        *b->input->main_source = sts_source_ref(main_source);
    served_init(&served);
    tenants_begin_certify(b);
    snapshot_remember(b, b->input->served ? b->input->served : &served);
    read_sources(b);
    tenants_build(b);
    warn_no_tenants(b);
    tenants_certify(b);
    guard_build(b);
    count_states(s);
    index_build(s);
    served_fini(&served);
    if (b->ledger != b->input->ledger)
        ledger_close(b->ledger);
    bool refused = s->settings.strict && diagnosis_errors(b->diagnosis);
    if (refused)
        snapshot_refuse_strictly(b);
    return !refused;
}

struct snapshot *snapshot_diagnose(const struct snapshot_input *input, struct diagnosis *diagnosis)
{
    struct snapshot *s = sts_must(calloc(1, sizeof(*s)));
    struct build b = {.input = input,
                      .snapshot = s,
                      .diagnosis = diagnosis,
                      .diags = &diagnosis->own,
                      .scratch = sts_arena_new()};

    atomic_init(&s->refs, 1);
    s->arena = sts_arena_new();
    s->generation = input->previous ? input->previous->generation + 1 : 1;
    s->built = input->now;
    s->main_file = sts_arena_dup(s->arena, sts_str_from(input->main_file));
    s->base_dir = file_dirname(s->arena, s->main_file);
    s->bodies = input->previous ? body_pool_ref(input->previous->bodies) : body_pool_new();
    bool good = snapshot_fill(&b);
    diagnosis_settle(diagnosis);
    sts_arena_free(b.scratch);
    if (good)
        return s;
    snapshot_unref(s);
    return NULL;
}

struct snapshot *snapshot_build(const struct snapshot_input *input, struct sts_diags *diags)
{
    struct diagnosis diagnosis;

    diagnosis_init(&diagnosis);
    struct snapshot *s = snapshot_diagnose(input, &diagnosis);
    diagnosis_copy(&diagnosis, diags);
    diagnosis_fini(&diagnosis);
    return s;
}

struct snapshot *snapshot_ref(struct snapshot *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void snapshot_unref(struct snapshot *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    sources_fini(s);
    sts_table_fini(&s->hosts);
    cert_store_unref(s->certificates);
    body_pool_unref(s->bodies);
    sts_arena_free(s->arena);
    free(s);
}
