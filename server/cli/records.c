/* records: the DNS records of tenants. Ids come from the ledger: while a server runs, only those of
 * policies that it serves (RFC 8461 §8.1: served first, announced second); without one, changed
 * policies get theirs here. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mtasts/domain.h"
#include "mtasts/record.h"
#include "server/cli/command.h"
#include "server/ledger/ledger.h"
#include "server/snapshot/snapshot.h"
#include "server/sys/clock.h"
#include "server/sys/file.h"

struct chosen {
    const struct tenant *tenant;
    struct sts_str zone;
};

struct records {
    struct sts_arena *arena;
    struct sts_diags diags;
    struct snapshot *snapshot;
    struct chosen *chosen; /* the tenants asked for, by zone and domain */
    size_t count;
    struct ledger *ledger;
    bool server_runs;
    bool pending;
};

static void add(struct records *r, const struct tenant *t)
{
    r->chosen[r->count++] = (struct chosen){t, sts_domain_zone(t->domain)};
}

static int by_zone(const void *a, const void *b)
{
    const struct chosen *x = a, *y = b;
    int order = sts_str_cmp(x->zone, y->zone);
    return order ? order : sts_str_cmp(x->tenant->domain, y->tenant->domain);
}

static bool choose_all(struct records *r)
{
    for (size_t i = 0; i < r->snapshot->tenant_count; i++)
        if (r->snapshot->tenants[i].state != TENANT_REFUSED)
            add(r, &r->snapshot->tenants[i]);
    return true;
}

static bool choose_one(struct records *r, const char *name)
{
    struct sts_str domain;
    struct sts_pos nowhere = {0};

    if (!sts_domain_parse(r->arena, sts_str_from(name), STS_DOMAIN_CONFIG, nowhere, &r->diags,
                          &domain))
        return false;
    const struct tenant *t = snapshot_find_domain(r->snapshot, domain);
    if (t && t->state != TENANT_REFUSED) {
        add(r, t);
        return true;
    }
    struct sts_diag *diag =
        sts_diag_add(&r->diags, STS_ERROR, t ? "tenant-refused" : "tenant-unknown", nowhere,
                     "%.*s %s", STS_ARG(domain), t ? "has errors" : "is not a tenant");
    sts_diag_help(&r->diags, diag, "%s",
                  t ? "mend its configuration" : "write it as under tenants:, without mta-sts.");
    return false;
}

static bool choose(struct records *r, const struct options *options)
{
    bool good = true;

    r->chosen =
        STS_ARRAY(r->arena, r->snapshot->tenant_count + options->argument_count, struct chosen);
    if (!options->argument_count)
        good = choose_all(r);
    for (size_t i = 0; i < options->argument_count; i++)
        good = choose_one(r, options->arguments[i]) && good;
    qsort(r->chosen, r->count, sizeof(*r->chosen), by_zone);
    return good;
}

/* Issues ids for changed policies; only while no server holds the lock. */
static void commit(struct records *r)
{
    struct ledger_entry *entries = STS_ARRAY(r->arena, r->count, struct ledger_entry);

    for (size_t i = 0; i < r->count; i++)
        entries[i] =
            (struct ledger_entry){r->chosen[i].tenant->domain, &r->chosen[i].tenant->policy};
    if (!ledger_commit(r->ledger, entries, r->count, clock_wall(), &r->diags)) {
        ledger_close(r->ledger);
        r->ledger = NULL;
    }
}

static void open_ledger(struct records *r, int *lock)
{
    const struct sts_settings *settings = &r->snapshot->settings;
    struct sts_str path = file_resolve(r->arena, r->snapshot->base_dir, settings->ledger.path);

    *lock = ledger_lock(path.ptr, true);
    int error = *lock < 0 ? errno : 0;
    r->server_runs = error == EWOULDBLOCK;
    r->ledger = ledger_open(path.ptr, r->server_runs ? LEDGER_READ : LEDGER_WRITE,
                            settings->ledger.where, &r->diags);
    if (!r->ledger || r->server_runs)
        return;
    if (!error) {
        commit(r);
        return;
    }
    /* Without the lock a server may be running unseen: no id is issued. */
    struct sts_diag *diag =
        sts_diag_add(&r->diags, STS_ERROR, "ledger-lock", settings->ledger.where, "%.*s.lock %s",
                     STS_ARG(path), file_error(error));
    sts_diag_help(&r->diags, diag, "it must be a file that this user may write");
    ledger_close(r->ledger);
    r->ledger = NULL;
}

static const char *why_pending(struct records *r, const struct tenant *t,
                               struct ledger_instance *instance)
{
    unsigned char digest[STS_DIGEST_LEN];

    if (!r->ledger)
        return "the ledger cannot be used, so there is no id";
    if (!ledger_latest(r->ledger, r->arena, t->domain, instance, &r->diags))
        return "the running server does not serve it yet";
    sts_policy_digest(&t->policy, digest);
    if (instance->last_served || memcmp(digest, instance->digest, sizeof(digest)) != 0)
        return "the running server has not loaded this policy yet";
    return NULL;
}

static void make_set(struct records *r, struct sts_arena *arena, const struct chosen *chosen,
                     struct sts_record_set *out)
{
    struct ledger_instance instance;
    const char *pending = why_pending(r, chosen->tenant, &instance);
    const struct snapshot_records_input in = {.tenant = chosen->tenant,
                                              .zone = chosen->zone,
                                              .id = pending ? NULL : instance.id,
                                              .pending = pending};

    r->pending |= pending != NULL;
    snapshot_records(arena, r->snapshot, &in, out);
}

enum { PAUSE_MS = 50, WAIT_MAX_MS = 5000 };

/* Whoever saves a file and asks for the records means the new ones: the running server gets the
 * time that it takes to notice. */
static void await_server(struct records *r)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    uint64_t wait = (uint64_t)r->snapshot->settings.settle_limit + 1000;
    uint64_t end = clock_monotonic_ms() + (wait < WAIT_MAX_MS ? wait : WAIT_MAX_MS);
    size_t errors = r->diags.errors;

    for (size_t i = 0; r->ledger && r->server_runs && i < r->count; i++) {
        struct ledger_instance instance;
        while (why_pending(r, r->chosen[i].tenant, &instance) && r->diags.errors == errors &&
               clock_monotonic_ms() < end)
            nanosleep(&pause, NULL);
    }
}

enum { CHUNK = 1 << 16 };

static bool flush(struct sts_buf *out, size_t most)
{
    bool good = out->len <= most || output_write(sts_buf_str(out));

    if (out->len > most)
        out->len = 0;
    return good;
}

/* Also where there is no other. */
static bool is_other_zone(const struct records *r, size_t i, size_t other)
{
    return other >= r->count || !sts_str_eq(r->chosen[i].zone, r->chosen[other].zone);
}

/* One tenant after the other: however many there are, one set and a piece of output are held. */
static bool print(struct records *r, const struct sts_record_format *format)
{
    struct sts_format_context c = {.terminal = isatty(STDOUT_FILENO), .now = clock_wall()};
    struct sts_buf out = {0};
    bool good = true;

    if (format->begin)
        format->begin(&out, &c);
    for (; good && c.index < r->count; c.index++) {
        struct sts_arena *arena = sts_arena_new();
        struct sts_record_set set;
        make_set(r, arena, &r->chosen[c.index], &set);
        c.zone_begins = is_other_zone(r, c.index, c.index - 1);
        c.zone_ends = is_other_zone(r, c.index, c.index + 1);
        format->set(&out, &c, &set);
        sts_arena_free(arena);
        good = flush(&out, CHUNK);
    }
    if (format->end)
        format->end(&out, &c);
    good = good && flush(&out, 0);
    sts_buf_fini(&out);
    return good;
}

static enum exit_code run(struct records *r, const struct options *options,
                          const struct sts_record_format *format)
{
    const struct snapshot_input input = {
        .main_file = options->config, .now = clock_wall(), .with_ledger = true};
    int lock;

    r->snapshot = snapshot_build(&input, &r->diags);
    if (!r->snapshot)
        return output_blind(&r->diags, options->config) ? EXIT_BLIND : EXIT_ERRORS;
    bool good = choose(r, options);
    open_ledger(r, &lock);
    await_server(r);
    bool written = print(r, format);
    ledger_close(r->ledger);
    if (lock >= 0)
        close(lock);
    if (!written)
        return EXIT_BLIND;
    /* Whoever names tenants asks for those; what is wrong with others is said, not judged. */
    bool others = !options->argument_count && r->diags.errors;
    return good && !r->pending && !others ? EXIT_FINE : EXIT_ERRORS;
}

enum exit_code command_records(const struct options *options)
{
    const char *name = options->format ? options->format : "table";
    const struct sts_record_format *format = sts_record_format_find(sts_str_from(name));
    struct records r = {0};

    if (!format) {
        output_error("unknown format \"%s\"; see mta-stsd help formats", name);
        return EXIT_USAGE;
    }
    r.arena = sts_arena_new();
    sts_diags_init(&r.diags, r.arena);
    enum exit_code code = run(&r, options, format);
    output_diags(&r.diags, STS_WARNING);
    snapshot_unref(r.snapshot);
    sts_arena_free(r.arena);
    return code;
}
