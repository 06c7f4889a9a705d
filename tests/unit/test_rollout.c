/* Unit tests of server/snapshot/rollout: policies that were served, and a clock, in; steps with
 * exact dates out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/snapshot/rollout.h"
#include "tests/unit/test.h"

#define BEGIN     1700000000   /* 2023-11-14 22:13:20 UTC */
#define LAST_TIME 253402300799 /* 9999-12-31 23:59:59 UTC */

enum { DAY = 86400, WEEK = 7 * DAY, MINUTE = LEDGER_TOUCH_SECONDS, SERVED_MAX = 5 };

/* Seconds from BEGIN on. */
struct entry {
    enum sts_mode mode;
    uint32_t max_age;
    const char *mx; /* separated by blanks; NULL: the entry is damaged */
    time_t first, last;
};
enum { NOW = 0 }; /* `last` of what is served; the server was alive at the time of the plan */

enum flags {
    ABSENT = 1,     /* the tenant is not configured */
    NO_REPORTS = 2, /* no address for TLS reports */
    ANNOUNCES = 4,  /* on_change is set */
    ANNOUNCED = 8,  /* the current id is in DNS, since a minute after it was served */
    STALE = 16,     /* the id in DNS is "old" */
    REFUSED = 32,   /* errors, and nothing of before */
    KEPT = 64,      /* errors, and the policy of before is served */
    OTHER = 128,    /* the configuration says something else than what is served */
};

struct scene {
    struct sts_arena *arena;
    struct tenant tenant;
    struct body body; /* of the tenant */
    struct rollout_policy policies[SERVED_MAX];
    struct rollout_input in;
    struct rollout out;
};

static struct sts_policy make_policy(struct sts_arena *arena, const struct entry *s)
{
    struct sts_policy policy = {.mode = s->mode, .max_age = s->max_age};
    char *rest = NULL, *copy = (char *)sts_arena_dup(arena, sts_str_from(s->mx)).ptr;
    struct sts_str *mx = STS_ARRAY(arena, 16, struct sts_str);

    for (char *w = strtok_r(copy, " ", &rest); w; w = strtok_r(NULL, " ", &rest))
        mx[policy.mx_count++] = sts_str_from(w);
    policy.mx = mx;
    sts_policy_canonicalise(arena, &policy);
    return policy;
}

static void add_policy(struct scene *s, const struct entry *served, time_t now)
{
    struct rollout_policy *p = &s->policies[s->in.count++];
    time_t last = served->last ? BEGIN + served->last : now;

    if (!served->last && last < BEGIN + served->first)
        last = BEGIN + served->first;
    *p = (struct rollout_policy){.first_served = BEGIN + served->first,
                                 .last_served = served->last ? last : 0};
    snprintf(p->id, sizeof(p->id), "id%zu", s->in.count);
    p->damaged = !served->mx;
    p->policy = p->damaged
                    ? (struct sts_policy){.mode = STS_MODE_ENFORCE, .max_age = served->max_age}
                    : make_policy(s->arena, served);
    if (p->policy.mode != STS_MODE_NONE)
        p->cached_until = ledger_cached_until(last, served->max_age);
}

static void configure(struct scene *s, unsigned flags)
{
    struct tenant *t = &s->tenant;
    const struct rollout_policy *last = s->in.count ? &s->policies[s->in.count - 1] : NULL;

    *t = (struct tenant){.domain = STS_STR("example.org"), .body = &s->body};
    s->in.reports = !(flags & NO_REPORTS);
    if (last)
        s->body.policy = last->policy;
    if (flags & OTHER)
        s->body.policy.max_age++;
    if (flags & REFUSED)
        t->state = TENANT_REFUSED;
    if (flags & KEPT)
        t->kept = KEPT_BROKEN;
    if (!(flags & ABSENT))
        s->in.tenant = t;
    s->in.announces = flags & (ANNOUNCES | ANNOUNCED | STALE);
    if (flags & ANNOUNCED && last)
        s->in.announced = last->id;
    if (flags & STALE)
        s->in.announced = "old";
    if (s->in.announced && last)
        s->in.announced_at = last->first_served + 60;
}

static void make_scene(struct scene *s, const struct entry *served, size_t count, time_t now,
                       unsigned flags)
{
    *s = (struct scene){.arena = sts_arena_new()};
    for (size_t i = 0; i < count; i++)
        add_policy(s, &served[i], now);
    configure(s, flags);
    s->in.domain = STS_STR("example.org");
    s->in.policies = s->policies;
    s->in.now = now;
    rollout_plan(s->arena, &s->in, &s->out);
}

/* "2d", "2d60s", "-1d", or nothing when there is no date. */
static void add_time(struct sts_buf *out, time_t at)
{
    time_t offset = at - BEGIN;

    if (!at)
        return;
    sts_buf_printf(out, "@%lldd", (long long)(offset / DAY));
    if (offset % DAY)
        sts_buf_printf(out, "%llds", (long long)(offset % DAY));
}

static void expect_printable(struct sts_str text)
{
    assert_true(text.len > 0);
    for (size_t i = 0; i < text.len; i++)
        assert_true(text.ptr[i] >= ' ' && text.ptr[i] <= '~');
}

/* "SITUATION: done:served@0d now:tls-reports wait:enforce@14d safe:enforce@14d" */
static void summarise(struct sts_buf *out, const struct rollout *r)
{
    static const char *const states[] = {
        [STS_STEP_DONE] = "done", [STS_STEP_NOW] = "now", [STS_STEP_WAIT] = "wait"};

    sts_buf_printf(out, "%s:", rollout_situation_name(r->situation));
    for (size_t i = 0; i < r->step_count; i++) {
        sts_buf_printf(out, " %s:%s", states[r->steps[i].state], r->steps[i].code);
        add_time(out, r->steps[i].at);
        expect_printable(r->steps[i].text);
    }
    for (size_t i = 0; i < r->safe_count; i++) {
        sts_buf_printf(out, " safe-%s:%s", states[r->safe[i].state], r->safe[i].code);
        add_time(out, r->safe[i].at);
        expect_printable(r->safe[i].text);
    }
}

static const struct sts_step *find_step(const struct rollout *r, const char *code)
{
    for (size_t i = 0; i < r->step_count; i++)
        if (strcmp(r->steps[i].code, code) == 0)
            return &r->steps[i];
    return NULL;
}

struct row {
    const char *name;
    time_t now; /* seconds from BEGIN on */
    struct entry served[SERVED_MAX];
    unsigned flags;
    const char *expected;
    const char *code, *text; /* a step, and what its text begins with; NULL: none is looked at */
};

#define A     "a.example.org"
#define B     "b.example.org"
#define C     "c.example.org"
#define STAR  "*.example.org"
#define TEST  STS_MODE_TESTING
#define FORCE STS_MODE_ENFORCE
#define NONE  STS_MODE_NONE

static void run_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct row *row = &rows[i];
        struct sts_buf out = {0};
        struct scene s;
        size_t served = 0;

        while (served < SERVED_MAX && row->served[served].max_age)
            served++;
        make_scene(&s, row->served, served, BEGIN + row->now, row->flags);
        summarise(&out, &s.out);
        if (strcmp(out.ptr, row->expected) != 0)
            fail_msg("%s:\n  got  %s\n  want %s", row->name, out.ptr, row->expected);
        if (row->code) {
            const struct sts_step *step = find_step(&s.out, row->code);
            assert_non_null(step);
            if (!sts_str_starts(step->text, sts_str_from(row->text)))
                fail_msg("%s: %.*s", row->name, STS_ARG(step->text));
        }
        sts_buf_fini(&out);
        sts_arena_free(s.arena);
    }
}
#define RUN(rows) run_rows(rows, sizeof(rows) / sizeof(*(rows)))

static void before_it_is_served(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"new",
         0,
         {{0}},
         0,
         "not served yet: now:serve done:tls-reports wait:published",
         "published",
         "publish the records when the policy is served: mta-stsd records example.org"},
        {"with errors",
         0,
         {{0}},
         REFUSED | NO_REPORTS,
         "not served yet: now:mend wait:serve now:tls-reports wait:published",
         NULL,
         NULL},
        {"back in the configuration, not yet served again",
         5 * DAY,
         {{FORCE, WEEK, A, 0, 3 * DAY}},
         0,
         "not served yet: done:ended@3d now:serve done:tls-reports wait:published",
         NULL,
         NULL},
    };
    RUN(rows);
}

static void from_testing_to_enforce(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"the first day",
         DAY,
         {{TEST, WEEK, A, 0, NOW}},
         0,
         "testing: done:served@0d done:tls-reports now:published wait:observed@14d now:reports "
         "wait:enforce@14d wait:max-age safe-wait:enforce@14d safe-wait:remove@8d60s",
         "observed",
         "two weeks in testing with these mx, since 2023-11-14"},
        {"a second too early",
         14 * DAY - 1,
         {{TEST, 4 * WEEK, A, 0, NOW}},
         ANNOUNCED,
         "testing: done:served@0d done:tls-reports done:published@0d60s wait:observed@14d "
         "now:reports wait:enforce@14d safe-wait:enforce@14d safe-wait:remove@42d59s",
         NULL,
         NULL},
        {"two weeks",
         14 * DAY,
         {{TEST, 4 * WEEK, A, 0, NOW}},
         ANNOUNCED,
         "testing: done:served@0d done:tls-reports done:published@0d60s done:observed@14d "
         "now:reports now:enforce@14d safe-now:enforce@14d safe-wait:remove@42d60s",
         "enforce",
         "write mode: enforce"},
        {"without reports nothing was observed",
         30 * DAY,
         {{TEST, WEEK, A, 0, NOW}},
         NO_REPORTS,
         "testing: done:served@0d now:tls-reports now:published done:observed@14d wait:reports "
         "wait:enforce wait:max-age safe-wait:enforce safe-wait:remove@37d60s",
         "max-age",
         "raise max_age to 4w or more when it has settled; it is 1 week"},
        {"nobody was told by on_change",
         30 * DAY,
         {{TEST, 4 * WEEK, A, 0, NOW}},
         ANNOUNCES,
         "testing: done:served@0d done:tls-reports now:published wait:observed now:reports "
         "wait:enforce safe-wait:enforce safe-wait:remove@58d60s",
         "published",
         "publish the id id1, on_change has not done so"},
        {"DNS has an older id",
         30 * DAY,
         {{TEST, 4 * WEEK, A, 0, NOW}},
         STALE,
         "testing: done:served@0d done:tls-reports now:published done:observed@14d now:reports "
         "now:enforce@14d safe-now:enforce@14d safe-wait:remove@58d60s",
         "published",
         "publish the id id1, DNS still says old"},
        {"another max_age does not begin anew",
         14 * DAY,
         {{TEST, DAY, A, 0, 5 * DAY}, {TEST, 4 * WEEK, A, 5 * DAY, NOW}},
         0,
         "testing: done:served@5d done:tls-reports now:published done:observed@14d now:reports "
         "now:enforce@14d safe-now:enforce@14d safe-wait:remove@42d60s",
         NULL,
         NULL},
        {"fewer mx do not begin anew",
         14 * DAY,
         {{TEST, DAY, A " " B, 0, 5 * DAY}, {TEST, 4 * WEEK, A, 5 * DAY, NOW}},
         0,
         "testing: done:served@5d done:tls-reports now:published done:mx-dropped@5d now:mx-off "
         "done:observed@14d now:reports now:enforce@14d safe-now:enforce@14d "
         "safe-wait:remove@42d60s",
         NULL,
         NULL},
        {"another mx begins anew, and mail waits for nothing",
         14 * DAY,
         {{TEST, DAY, A, 0, 5 * DAY}, {TEST, 4 * WEEK, A " " B, 5 * DAY, NOW}},
         0,
         "testing: done:served@5d done:tls-reports now:published done:mx-added@5d done:mx-known@5d "
         "now:mx-switch@5d now:mx-drop@5d wait:observed@19d now:reports wait:enforce@19d "
         "safe-now:mx-switch@5d safe-now:mx-drop@5d safe-wait:enforce@19d safe-wait:remove@42d60s",
         "mx-known",
         "no wait for " B ": the policies without it were in testing"},
        {"a wildcard for the same host begins anew, being wider",
         14 * DAY,
         {{TEST, DAY, A, 0, 5 * DAY}, {TEST, 4 * WEEK, STAR, 5 * DAY, NOW}},
         0,
         "testing: done:served@5d done:tls-reports now:published done:mx-added@5d done:mx-known@5d "
         "now:mx-switch@5d wait:observed@19d now:reports wait:enforce@19d "
         "safe-now:mx-switch@5d safe-wait:enforce@19d safe-wait:remove@42d60s",
         NULL,
         NULL},
        {"a host of the wildcard was observed",
         14 * DAY,
         {{TEST, DAY, STAR, 0, 5 * DAY}, {TEST, 4 * WEEK, A, 5 * DAY, NOW}},
         0,
         "testing: done:served@5d done:tls-reports now:published done:mx-dropped@5d now:mx-off "
         "done:observed@14d now:reports now:enforce@14d safe-now:enforce@14d "
         "safe-wait:remove@42d60s",
         NULL,
         NULL},
        {"a gap begins anew",
         14 * DAY,
         {{TEST, DAY, A, 0, 2 * DAY}, {TEST, 4 * WEEK, A, 2 * DAY + 61, NOW}},
         0,
         "testing: done:served@2d61s done:tls-reports now:published wait:observed@16d61s "
         "now:reports wait:enforce@16d61s safe-wait:enforce@16d61s safe-wait:remove@42d60s",
         NULL,
         NULL},
        {"back from enforce",
         20 * DAY,
         {{TEST, DAY, A, 0, 14 * DAY},
          {FORCE, 4 * WEEK, A, 14 * DAY, 18 * DAY},
          {TEST, 4 * WEEK, A, 18 * DAY, NOW}},
         0,
         "testing: done:served@18d done:tls-reports now:published wait:observed@32d "
         "wait:still-enforced@46d60s now:reports wait:enforce@32d safe-wait:enforce@32d "
         "safe-wait:remove@48d60s",
         "still-enforced",
         "senders may go on enforcing"},
    };
    RUN(rows);
}

static void while_enforced(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"senders may hold testing",
         20 * DAY,
         {{TEST, WEEK, A, 0, 15 * DAY}, {FORCE, WEEK, A, 15 * DAY, NOW}},
         0,
         "enforce: done:served@15d done:tls-reports now:published wait:enforced@22d60s "
         "now:max-age safe-wait:remove@27d60s",
         "max-age",
         "raise max_age to 4w or more"},
        {"all enforce",
         22 * DAY + 60,
         {{TEST, WEEK, A, 0, 15 * DAY}, {FORCE, 5 * WEEK, A, 15 * DAY, NOW}},
         ANNOUNCED,
         "enforce: done:served@15d done:tls-reports done:published@15d60s done:enforced@22d60s "
         "safe-wait:remove@57d120s",
         NULL,
         NULL},
        {"a shorter max_age counts later",
         20 * DAY,
         {{FORCE, 4 * WEEK, A, 0, 15 * DAY}, {FORCE, WEEK, A, 15 * DAY, NOW}},
         0,
         "enforce: done:served@15d done:tls-reports now:published now:max-age "
         "wait:max-age-shortened@43d60s safe-wait:remove@43d60s",
         "max-age-shortened",
         "senders may hold a policy with max_age 4 weeks; the 1 week of now count from then on"},
        {"a longer one at once",
         20 * DAY,
         {{FORCE, WEEK, A, 0, 19 * DAY}, {FORCE, 4 * WEEK, A, 19 * DAY, NOW}},
         0,
         "enforce: done:served@19d done:tls-reports now:published safe-wait:remove@48d60s",
         NULL,
         NULL},
        {"the configuration has moved on",
         20 * DAY,
         {{FORCE, 4 * WEEK, A, 0, NOW}},
         OTHER,
         "enforce: now:load done:served@0d done:tls-reports now:published safe-wait:remove@48d60s",
         "load",
         "the configuration says another policy"},
        {"the configuration is broken",
         20 * DAY,
         {{FORCE, 4 * WEEK, A, 0, NOW}},
         KEPT,
         "enforce: now:mend done:served@0d done:tls-reports now:published safe-wait:remove@48d60s",
         NULL,
         NULL},
        {"mode none between is no policy",
         30 * DAY,
         {{TEST, DAY, A, 0, DAY},
          {NONE, DAY, B, DAY, 20 * DAY},
          {FORCE, 4 * WEEK, A, 20 * DAY, NOW}},
         0,
         "enforce: done:served@20d done:tls-reports now:published done:enforced@2d60s "
         "safe-wait:remove@58d60s",
         NULL,
         NULL},
    };
    RUN(rows);
}

static void other_hosts(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"both are listed, senders hold the policy without the new one",
         20 * DAY,
         {{FORCE, 4 * WEEK, A, 0, 10 * DAY}, {FORCE, 4 * WEEK, A " " B, 10 * DAY, NOW}},
         0,
         "mx migration: done:served@10d done:tls-reports now:published done:mx-added@10d "
         "wait:mx-known@38d60s wait:mx-switch@38d60s wait:mx-drop@38d60s "
         "safe-wait:mx-switch@38d60s safe-wait:mx-drop@38d60s safe-wait:remove@48d60s",
         "mx-known",
         "senders may hold an enforced policy without " B
         "; until then MX records must go on naming " A},
        {"a second before the last sender knows",
         38 * DAY + 59,
         {{FORCE, 4 * WEEK, A, 0, 10 * DAY}, {FORCE, 4 * WEEK, A " " B, 10 * DAY, NOW}},
         0,
         "mx migration: done:served@10d done:tls-reports now:published done:mx-added@10d "
         "wait:mx-known@38d60s wait:mx-switch@38d60s wait:mx-drop@38d60s "
         "safe-wait:mx-switch@38d60s safe-wait:mx-drop@38d60s safe-wait:remove@66d119s",
         NULL,
         NULL},
        {"all senders know",
         38 * DAY + 60,
         {{FORCE, 4 * WEEK, A, 0, 10 * DAY}, {FORCE, 4 * WEEK, A " " B, 10 * DAY, NOW}},
         0,
         "mx migration: done:served@10d done:tls-reports now:published done:mx-added@10d "
         "done:mx-known@38d60s now:mx-switch@38d60s now:mx-drop@38d60s "
         "safe-now:mx-switch@38d60s safe-now:mx-drop@38d60s safe-wait:remove@66d120s",
         "mx-drop",
         "if " A " is to go: take it out of the policy when no MX record has named it"},
        {"the old one left in time: senders that hold the union mind nothing",
         40 * DAY,
         {{FORCE, 4 * WEEK, A, 0, 10 * DAY},
          {FORCE, 4 * WEEK, A " " B, 10 * DAY, 39 * DAY},
          {FORCE, 4 * WEEK, B, 39 * DAY, NOW}},
         0,
         "mx migration: done:served@39d done:tls-reports now:published done:mx-added@10d "
         "done:mx-known@38d60s now:mx-switch@38d60s done:mx-dropped@39d now:mx-off "
         "safe-now:mx-switch@38d60s safe-wait:remove@68d60s",
         "mx-off",
         A " may be switched off when no MX record has named it for the TTL"},
        {"the old one left too early",
         20 * DAY,
         {{FORCE, 4 * WEEK, A, 0, 10 * DAY},
          {FORCE, 4 * WEEK, A " " B, 10 * DAY, 15 * DAY},
          {FORCE, 4 * WEEK, B, 15 * DAY, NOW}},
         0,
         "mx migration: done:served@15d done:tls-reports now:published done:mx-added@10d "
         "now:mx-early wait:mx-known@38d60s wait:mx-switch@38d60s done:mx-dropped@15d "
         "wait:mx-off@38d60s safe-wait:mx-switch@38d60s safe-wait:remove@48d60s",
         "mx-early",
         A " left the policy too early: until 2023-12-23 senders may hold one with " A " alone"},
        {"one for the other at once",
         20 * DAY,
         {{FORCE, WEEK, A, 0, 15 * DAY}, {FORCE, 4 * WEEK, B, 15 * DAY, NOW}},
         0,
         "mx migration: done:served@15d done:tls-reports now:published done:mx-added@15d "
         "now:mx-early wait:mx-known@22d60s wait:mx-switch@22d60s done:mx-dropped@15d "
         "wait:mx-off@22d60s safe-wait:mx-switch@22d60s safe-wait:remove@48d60s",
         "mx-off",
         A " must accept mail until then"},
        {"put back: no host is accepted by all",
         20 * DAY,
         {{FORCE, WEEK, A, 0, 15 * DAY},
          {FORCE, WEEK, B, 15 * DAY, 16 * DAY},
          {FORCE, 4 * WEEK, A " " B, 16 * DAY, NOW}},
         0,
         "mx migration: done:served@16d done:tls-reports now:published done:mx-added@16d "
         "wait:mx-known@23d60s wait:mx-switch@23d60s safe-wait:mx-switch@23d60s "
         "safe-wait:remove@48d60s",
         "mx-known",
         "senders may hold enforced policies without a.example.org, b.example.org; "
         "until then no host is accepted by all"},
        {"one stays, one comes, one goes: mail has a way",
         20 * DAY,
         {{FORCE, WEEK, A " " B, 0, 15 * DAY}, {FORCE, 4 * WEEK, B " " C, 15 * DAY, NOW}},
         0,
         "mx migration: done:served@15d done:tls-reports now:published done:mx-added@15d "
         "wait:mx-known@22d60s wait:mx-switch@22d60s done:mx-dropped@15d now:mx-off "
         "safe-wait:mx-switch@22d60s safe-wait:remove@48d60s",
         "mx-known",
         "senders may hold an enforced policy without " C
         "; until then MX records must go on naming " B},
        {"back again: who holds the one between refuses the first",
         20 * DAY,
         {{FORCE, 4 * WEEK, A, 0, 10 * DAY},
          {FORCE, 4 * WEEK, B, 10 * DAY, 11 * DAY},
          {FORCE, 4 * WEEK, A, 11 * DAY, NOW}},
         0,
         "mx migration: done:served@11d done:tls-reports now:published done:mx-added@11d "
         "now:mx-early wait:mx-known@39d60s wait:mx-switch@39d60s done:mx-dropped@11d "
         "wait:mx-off@39d60s safe-wait:mx-switch@39d60s safe-wait:remove@48d60s",
         "mx-early",
         B " left the policy too early"},
        {"older and longer than the one before: the largest max_age counts",
         20 * DAY,
         {{FORCE, 8 * WEEK, A, 0, 5 * DAY},
          {FORCE, DAY, A, 5 * DAY, 10 * DAY},
          {FORCE, DAY, A " " B, 10 * DAY, NOW}},
         0,
         "mx migration: done:served@10d done:tls-reports now:published done:mx-added@10d "
         "wait:mx-known@61d60s wait:mx-switch@61d60s wait:mx-drop@61d60s wait:max-age "
         "wait:max-age-shortened@61d60s safe-wait:mx-switch@61d60s safe-wait:mx-drop@61d60s "
         "safe-wait:remove@61d60s",
         NULL,
         NULL},
        {"max_age was lowered in time: the wait is a day",
         61 * DAY + 60,
         {{FORCE, 8 * WEEK, A, 0, 5 * DAY},
          {FORCE, DAY, A, 5 * DAY, 61 * DAY},
          {FORCE, DAY, A " " B, 61 * DAY, NOW}},
         0,
         "mx migration: done:served@61d done:tls-reports now:published done:mx-added@61d "
         "wait:mx-known@62d60s wait:mx-switch@62d60s wait:mx-drop@62d60s wait:max-age "
         "safe-wait:mx-switch@62d60s safe-wait:mx-drop@62d60s safe-wait:remove@62d120s",
         NULL,
         NULL},
        {"testing now, but an enforced one is held",
         12 * DAY,
         {{FORCE, WEEK, A, 0, 10 * DAY}, {TEST, 4 * WEEK, A " " B, 10 * DAY, NOW}},
         0,
         "mx migration: done:served@10d done:tls-reports now:published done:mx-added@10d "
         "wait:mx-known@17d60s wait:mx-switch@17d60s wait:mx-drop@17d60s wait:observed@24d "
         "wait:still-enforced@17d60s now:reports wait:enforce@24d safe-wait:mx-switch@17d60s "
         "safe-wait:mx-drop@17d60s safe-wait:enforce@24d safe-wait:remove@40d60s",
         NULL,
         NULL},
        {"behind a wildcard a host is known already",
         12 * DAY,
         {{FORCE, WEEK, STAR, 0, 10 * DAY}, {FORCE, 4 * WEEK, A, 10 * DAY, NOW}},
         0,
         "mx migration: done:served@10d done:tls-reports now:published done:mx-dropped@10d "
         "now:mx-off safe-wait:remove@40d60s",
         NULL,
         NULL},
        {"long over",
         130 * DAY,
         {{FORCE, 4 * WEEK, A, 0, 10 * DAY}, {FORCE, 4 * WEEK, A " " B, 10 * DAY, NOW}},
         0,
         "enforce: done:served@10d done:tls-reports now:published safe-wait:remove@158d60s",
         NULL,
         NULL},
        {"an mx before a time of mode none is held all the same",
         12 * DAY,
         {{FORCE, 4 * WEEK, A, 0, 10 * DAY},
          {NONE, DAY, A, 10 * DAY, 11 * DAY},
          {FORCE, 4 * WEEK, B, 11 * DAY, NOW}},
         ANNOUNCED,
         "mx migration: done:served@11d done:tls-reports done:published@11d60s done:mx-added@11d "
         "now:mx-early wait:mx-known@38d60s wait:mx-switch@38d60s done:mx-dropped@11d "
         "wait:mx-off@38d60s safe-wait:mx-switch@38d60s safe-wait:remove@40d60s",
         NULL,
         NULL},
    };
    RUN(rows);
}

static void the_end(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"retiring: the largest max_age counts, not the last",
         20 * DAY,
         {{FORCE, 8 * WEEK, A, 0, 5 * DAY},
          {FORCE, WEEK, A, 5 * DAY, 15 * DAY},
          {NONE, DAY, A, 15 * DAY, NOW}},
         ANNOUNCED,
         "retiring: done:served@15d done:published@15d60s wait:expired@61d60s wait:remove@61d60s "
         "safe-wait:remove@61d60s",
         "remove",
         "remove the records, then the tenant"},
        {"a second before",
         61 * DAY + 59,
         {{FORCE, 8 * WEEK, A, 0, 5 * DAY}, {NONE, DAY, A, 5 * DAY, NOW}},
         0,
         "retiring: done:served@5d now:published wait:expired@61d60s wait:remove@61d60s "
         "safe-wait:remove@61d60s",
         NULL,
         NULL},
        {"retired",
         61 * DAY + 60,
         {{FORCE, 8 * WEEK, A, 0, 5 * DAY}, {NONE, DAY, A, 5 * DAY, NOW}},
         0,
         "retired: done:served@5d now:published done:expired@61d60s now:remove@61d60s "
         "safe-now:remove@61d60s",
         NULL,
         NULL},
        {"an older none does not hold up",
         10 * DAY,
         {{NONE, 8 * WEEK, A, 0, 5 * DAY},
          {TEST, DAY, A, 5 * DAY, 6 * DAY},
          {NONE, DAY, A, 6 * DAY, NOW}},
         0,
         "retired: done:served@6d now:published done:expired@7d60s now:remove@7d60s "
         "safe-now:remove@7d60s",
         NULL,
         NULL},
        {"never anything but none",
         10 * DAY,
         {{NONE, 8 * WEEK, "", 0, NOW}},
         0,
         "none: done:served@0d now:published now:begin safe-now:remove@0d",
         NULL,
         NULL},
        {"retire: on is not loaded yet",
         10 * DAY,
         {{NONE, DAY, A, 0, NOW}},
         OTHER,
         "none: now:load done:served@0d now:published now:begin safe-now:remove@0d",
         NULL,
         NULL},
        {"removed too early",
         20 * DAY,
         {{FORCE, 4 * WEEK, A, 0, 15 * DAY}},
         ABSENT,
         "removed too early: done:removed@15d now:put-back wait:remove@43d60s "
         "safe-wait:remove@43d60s",
         "put-back",
         "put it back with retire: on until 2023-12-28: senders may hold its policy"},
        {"removed while it retires",
         20 * DAY,
         {{FORCE, 4 * WEEK, A, 0, 15 * DAY}, {NONE, DAY, A, 15 * DAY, 16 * DAY}},
         ABSENT,
         "removed too early: done:removed@16d now:put-back wait:remove@43d60s "
         "safe-wait:remove@43d60s",
         NULL,
         NULL},
        {"removed, and the server has not looked yet",
         20 * DAY,
         {{FORCE, 4 * WEEK, A, 0, NOW}},
         ABSENT,
         "removed too early: done:removed now:put-back wait:remove@48d60s safe-wait:remove@48d60s",
         NULL,
         NULL},
        {"removed in time, the record is left",
         60 * DAY,
         {{FORCE, WEEK, A, 0, 15 * DAY}},
         ABSENT | STALE,
         "retired: done:removed@15d done:expired@22d60s now:remove@22d60s safe-now:remove@22d60s",
         "remove",
         "remove its records; the id old is still in DNS"},
        {"removed, never anything but none",
         60 * DAY,
         {{NONE, WEEK, A, 0, 15 * DAY}},
         ABSENT,
         "retired: done:removed@15d done:expired now:remove safe-now:remove@60d",
         NULL,
         NULL},
    };
    RUN(rows);
}

static void odd_clocks_and_ledgers(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"first served in the future",
         0,
         {{TEST, 4 * WEEK, A, 10 * DAY, NOW}},
         0,
         "testing: now:clock done:served@10d done:tls-reports now:published wait:observed@24d "
         "now:reports wait:enforce@24d safe-wait:enforce@24d safe-wait:remove@38d60s",
         "clock",
         "set the clock: a policy was first served on 2023-11-24"},
        {"the clock was in the future once",
         2 * DAY,
         {{FORCE, WEEK, A, 1000 * DAY, 1000 * DAY}, {FORCE, 4 * WEEK, A, DAY, NOW}},
         0,
         "enforce: now:clock done:served@1d done:tls-reports now:published "
         "safe-wait:remove@1007d60s",
         NULL,
         NULL},
        {"a damaged entry counts as the worst",
         20 * DAY,
         {{FORCE, 4 * WEEK, NULL, 0, 10 * DAY}, {FORCE, 4 * WEEK, A, 10 * DAY, NOW}},
         0,
         "enforce: now:damaged done:served@10d done:tls-reports now:published "
         "safe-wait:remove@48d60s",
         "damaged",
         "restore the ledger from a backup"},
        {"a damaged entry among other hosts",
         20 * DAY,
         {{FORCE, 8 * WEEK, NULL, 0, 10 * DAY},
          {FORCE, 4 * WEEK, A, 10 * DAY, 11 * DAY},
          {FORCE, 4 * WEEK, A " " B, 11 * DAY, NOW}},
         0,
         "mx migration: now:damaged done:served@11d done:tls-reports now:published "
         "done:mx-added@11d wait:mx-known@66d60s wait:mx-switch@66d60s "
         "wait:max-age-shortened@66d60s safe-wait:mx-switch@66d60s safe-wait:remove@66d60s",
         NULL,
         NULL},
        {"a damaged entry of long ago",
         60 * DAY,
         {{FORCE, WEEK, NULL, 0, 10 * DAY}, {FORCE, 4 * WEEK, A, 10 * DAY, NOW}},
         0,
         "enforce: done:served@10d done:tls-reports now:published safe-wait:remove@88d60s",
         NULL,
         NULL},
        {"the current one is damaged",
         60 * DAY,
         {{FORCE, WEEK, NULL, 0, NOW}},
         0,
         "enforce: now:damaged",
         NULL,
         NULL},
        {"removed, and damaged",
         12 * DAY,
         {{FORCE, WEEK, NULL, 0, 10 * DAY}},
         ABSENT,
         "removed too early: now:damaged done:removed@10d now:put-back wait:remove@17d60s "
         "safe-wait:remove@17d60s",
         NULL,
         NULL},
    };
    RUN(rows);
}

/* Near the end of the calendar dates stop, they do not overflow. */
static void the_year_9999(void **state)
{
    (void)state;
    static const struct entry served[] = {
        {FORCE, 31557600, A, LAST_TIME - BEGIN - 30 * DAY, LAST_TIME - BEGIN - DAY},
        {TEST, 31557600, A " " B, LAST_TIME - BEGIN - DAY, NOW},
    };
    struct scene s;

    make_scene(&s, served, 2, LAST_TIME - 10, 0);
    const struct sts_step *known = find_step(&s.out, "mx-known");
    assert_non_null(known);
    assert_int_equal(known->at, LAST_TIME);
    assert_int_equal(s.out.safe[s.out.safe_count - 1].at, LAST_TIME);
    sts_arena_free(s.arena);
}

/* A policy of many hosts fits into a line. */
static void many_hosts_are_cut(void **state)
{
    (void)state;
    static const struct entry served[] = {
        {FORCE, WEEK, A, 0, DAY},
        {FORCE, WEEK, A " b.example c.example d.example e.example f.example g.example", DAY, NOW},
    };
    struct scene s;

    make_scene(&s, served, 2, BEGIN + 2 * DAY, 0);
    const struct sts_step *added = find_step(&s.out, "mx-added");
    assert_non_null(added);
    assert_true(sts_str_is(added->text, "the policy lists b.example, c.example, d.example, "
                                        "e.example and 2 more beside " A));
    sts_arena_free(s.arena);
}

static void dates_and_spans(void **state)
{
    (void)state;
    char text[ROLLOUT_TIME_SIZE];
    static const struct {
        uint32_t seconds;
        const char *text;
    } spans[] = {
        {0, "0 seconds"},         {1, "1 second"},
        {90, "90 seconds"},       {60, "1 minute"},
        {5400, "90 minutes"},     {7200, "2 hours"},
        {DAY, "1 day"},           {10 * DAY, "10 days"},
        {4 * WEEK, "4 weeks"},    {DAY + 1, "86401 seconds"},
        {31557600, "8766 hours"}, {UINT32_MAX, "4294967295 seconds"},
    };

    assert_string_equal(rollout_time(text, BEGIN), "2023-11-14T22:13:20Z");
    assert_string_equal(rollout_day(text, BEGIN), "2023-11-14");
    assert_string_equal(rollout_day_after(text, BEGIN), "2023-11-15");
    assert_string_equal(rollout_day_after(text, 1699920000), "2023-11-14"); /* midnight */
    assert_string_equal(rollout_day_after(text, 1699920001), "2023-11-15");
    assert_string_equal(rollout_time(text, INT64_MIN), "1970-01-01T00:00:00Z");
    assert_string_equal(rollout_time(text, INT64_MAX), "9999-12-31T23:59:59Z");
    assert_string_equal(rollout_day_after(text, LAST_TIME - 5), "9999-12-31");
    assert_string_equal(rollout_day_after(text, INT64_MAX), "9999-12-31");
    for (size_t i = 0; i < sizeof(spans) / sizeof(*spans); i++)
        assert_string_equal(rollout_span(text, spans[i].seconds), spans[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_it_is_served),
        cmocka_unit_test(from_testing_to_enforce),
        cmocka_unit_test(while_enforced),
        cmocka_unit_test(other_hosts),
        cmocka_unit_test(the_end),
        cmocka_unit_test(odd_clocks_and_ledgers),
        cmocka_unit_test(the_year_9999),
        cmocka_unit_test(many_hosts_are_cut),
        cmocka_unit_test(dates_and_spans),
    };
    return cmocka_run_group_tests_name("rollout", tests, NULL, NULL);
}
