/* Unit tests of server/daemon/hook: what the program of on_change is told, when it runs again, and
 * what the ledger remembers of it. The clock is the test's own. */
#include "tests/unit/folder.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/daemon/hook.h"
#include "server/daemon/hook_batch.h"
#include "server/daemon/publish.h"
#include "server/sys/clock.h"

enum { TURNS_MAX = 60000 };

static uint64_t skipped; /* milliseconds */

time_t clock_wall(void)
{
    return time(NULL) + (time_t)(skipped / 1000);
}

uint64_t clock_monotonic_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 + skipped;
}

struct fixture {
    char dir[64];
    struct sts_arena *arena;
    struct publisher publisher;
    struct snapshot *snapshot;
    struct loop *loop;
    struct hook *hook;
    struct loop_timer turn;
    int turns, runs; /* runs: until so many have ended */
    enum hook_phase phase;
};

/* What stands in the file "behaviour" is done after the input was kept as input.N. */
static const char program[] = "cd \"$1\" || exit 9\n"
                              "n=$(ls input.* 2>/dev/null | wc -l)\n"
                              "cat >input.$n\n"
                              ". ./behaviour\n";

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");

    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    strcpy(f->dir, "/tmp/hook-XXXXXX");
    f->arena = sts_arena_new();
    f->publisher.lock = -1;
    *state = f;
    if (!mkdtemp(f->dir) || chdir(f->dir) != 0)
        return -1;
    write_file("program", program);
    write_file("behaviour", "");
    skipped = 0;
    f->loop = loop_new();
    f->hook = hook_new(f->loop, (struct ledger *const *)&f->publisher.ledger);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    hook_free(f->hook);
    loop_unset(f->loop, &f->turn);
    loop_free(f->loop);
    publisher_close(&f->publisher);
    snapshot_unref(f->snapshot);
    sts_arena_free(f->arena);
    int result = folder_remove(f->dir);
    free(f);
    return result == 0 && waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : -1;
}

/* A new configuration is served and committed. */
static void commit(struct fixture *f, const char *settings, const char *tenants)
{
    const struct snapshot_input input = {
        .main_file = "main.yaml", .now = clock_wall(), .previous = f->snapshot};
    FILE *file = fopen("main.yaml", "w");
    struct sts_diags diags;

    assert_non_null(file);
    fprintf(file,
            "listen: [{address: \"127.0.0.1:0\", tls: off}]\nledger: ledger.db\n%s\n"
            "tenants: {%s}\n",
            settings, tenants);
    fclose(file);
    sts_diags_init(&diags, f->arena);
    struct snapshot *next = snapshot_build(&input, &diags);
    if (!next || diags.errors) {
        struct sts_buf text = {0};
        for (const struct sts_diag *diag = diags.first; diag; diag = diag->next)
            sts_diag_render_text(&text, diag, false);
        fail_msg("%.*s", STS_ARG(sts_buf_str(&text)));
    }
    publisher_commit(&f->publisher, f->snapshot, next);
    assert_false(f->publisher.pending);
    snapshot_unref(f->snapshot);
    f->snapshot = next;
}

static void change(struct fixture *f, const char *settings, const char *tenants)
{
    char all[1024];

    snprintf(all, sizeof(all), "on_change: [/bin/sh, %s/program, %s]\n%s", f->dir, f->dir,
             settings);
    commit(f, all, tenants);
    hook_changed(f->hook, f->snapshot);
}

#define TENANT(name, mode) name ": {mode: " mode ", mx: mx.example, max_age: 10d}"
#define A                  TENANT("a.example", "enforce")
#define B                  TENANT("b.example", "enforce")

static enum hook_phase phase(const struct fixture *f)
{
    return hook_state(f->hook)->phase;
}

static bool exists(const char *name)
{
    return access(name, F_OK) == 0;
}

static void on_turn(void *data)
{
    struct fixture *f = data;
    char input[32];

    snprintf(input, sizeof(input), "input.%d", f->runs - 1);
    if (phase(f) == f->phase && (!f->runs || exists(input))) {
        loop_stop(f->loop);
        return;
    }
    assert_true(f->turns++ < TURNS_MAX);
    loop_set(f->loop, &f->turn, 1, on_turn, f);
}

/* Until the hook is in this phase after so many runs in all. */
static void expect(struct fixture *f, enum hook_phase wanted, int runs)
{
    char next[32];

    f->phase = wanted;
    f->runs = runs;
    f->turns = 0;
    loop_set(f->loop, &f->turn, 0, on_turn, f);
    loop_run(f->loop);
    snprintf(next, sizeof(next), "input.%d", runs);
    assert_false(exists(next));
}

static json_t *input(int n)
{
    char name[32];
    json_error_t error;

    snprintf(name, sizeof(name), "input.%d", n);
    json_t *json = json_load_file(name, JSON_REJECT_DUPLICATES, &error);
    assert_non_null(json);
    assert_int_equal(json_integer_value(json_object_get(json, "version")), 1);
    return json;
}

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    assert_non_null(value);
    return value;
}

/* The domains of one list of input N, as one word each. */
static void expect_domains(int n, const char *list, const char *wanted)
{
    char all[256] = "";
    json_t *json = input(n), *item;
    size_t i;

    json_array_foreach(json_object_get(json, list), i, item)
        sprintf(all + strlen(all), "%s%s", i ? " " : "", text(item, "domain"));
    assert_string_equal(all, wanted);
    json_decref(json);
}

static const char *current_id(struct fixture *f, const char *domain)
{
    struct ledger_instance instance;
    struct sts_diags diags;

    sts_diags_init(&diags, f->arena);
    assert_true(
        ledger_latest(f->publisher.ledger, f->arena, sts_str_from(domain), &instance, &diags));
    return sts_arena_dup(f->arena, sts_str_from(instance.id)).ptr;
}

static void count_one(void *data, const struct ledger_instance *instance)
{
    (void)instance;
    ++*(size_t *)data;
}

static size_t unpublished(struct fixture *f)
{
    struct sts_diags diags;
    size_t count = 0;

    sts_diags_init(&diags, f->arena);
    assert_true(ledger_each_unpublished(f->publisher.ledger, count_one, &count, &diags));
    return count;
}

static void without_a_program_nothing_happens(void **state)
{
    struct fixture *f = *state;

    commit(f, "", A);
    hook_changed(f->hook, f->snapshot);
    expect(f, HOOK_OFF, 0);
    hook_hurry(f->hook);
    expect(f, HOOK_OFF, 0);
    assert_int_equal(hook_state(f->hook)->pending, 0);
    assert_int_equal(unpublished(f), 1);
}

static void records_are_told_whole(void **state)
{
    struct fixture *f = *state;
    char value[80];

    change(f,
           "records: {policy_host: policy.example, ttl: 60}\n"
           "contact: {tls_reports: \"mailto:r@example.net\"}",
           A);
    assert_int_equal(phase(f), HOOK_RUNNING);
    assert_int_equal(hook_state(f->hook)->pending, 1);
    expect(f, HOOK_IDLE, 1);
    json_t *json = input(0);
    const json_t *item = json_array_get(json_object_get(json, "changed"), 0);
    const json_t *records = json_object_get(item, "records");
    assert_string_equal(text(item, "id"), current_id(f, "a.example"));
    assert_int_equal(json_array_size(records), 3);
    assert_string_equal(text(json_array_get(records, 0), "name"), "mta-sts.a.example");
    assert_string_equal(text(json_array_get(records, 0), "type"), "CNAME");
    assert_string_equal(text(json_array_get(records, 0), "value"), "policy.example");
    assert_string_equal(text(json_array_get(records, 1), "name"), "_smtp._tls.a.example");
    const json_t *txt = json_array_get(records, 2);
    assert_string_equal(text(txt, "name"), "_mta-sts.a.example");
    assert_string_equal(text(txt, "type"), "TXT");
    assert_int_equal(json_integer_value(json_object_get(txt, "ttl")), 60);
    snprintf(value, sizeof(value), "v=STSv1; id=%s;", text(item, "id"));
    assert_string_equal(text(txt, "value"), value);
    json_decref(json);
    assert_int_equal(unpublished(f), 0);
    assert_int_equal(hook_state(f->hook)->pending, 0);
    assert_string_equal(hook_state(f->hook)->result, "done");
    assert_true(hook_state(f->hook)->last_success > 0);
}

static void what_is_published_is_not_told_again(void **state)
{
    struct fixture *f = *state;

    change(f, "", A);
    expect(f, HOOK_IDLE, 1);
    change(f, "", A);
    hook_hurry(f->hook);
    expect(f, HOOK_IDLE, 1);
    change(f, "", A ", " B);
    expect(f, HOOK_IDLE, 2);
    expect_domains(1, "changed", "b.example");
    change(f, "", TENANT("a.example", "testing") ", " B);
    expect(f, HOOK_IDLE, 3);
    expect_domains(2, "changed", "a.example");
}

static void a_removed_tenant_is_withdrawn(void **state)
{
    struct fixture *f = *state;

    change(f, "", A ", " B);
    expect(f, HOOK_IDLE, 1);
    change(f, "", B);
    expect(f, HOOK_IDLE, 2);
    expect_domains(1, "changed", "");
    expect_domains(1, "removed", "a.example");
    json_t *json = input(1);
    const json_t *records =
        json_object_get(json_array_get(json_object_get(json, "removed"), 0), "records");
    assert_int_equal(json_array_size(records), 1);
    assert_string_equal(text(json_array_get(records, 0), "name"), "_mta-sts.a.example");
    assert_string_equal(text(json_array_get(records, 0), "type"), "TXT");
    json_decref(json);
    assert_int_equal(unpublished(f), 0);
    /* And it may come back. */
    change(f, "", A ", " B);
    expect(f, HOOK_IDLE, 3);
    expect_domains(2, "changed", "a.example");
}

/* Two changes while it runs are one more run, with the last of them. */
static void changes_while_it_runs_are_one_more_run(void **state)
{
    struct fixture *f = *state;

    write_file("behaviour", "until test -e go; do sleep 0.01; done\n");
    change(f, "", A);
    change(f, "", TENANT("a.example", "testing"));
    change(f, "", TENANT("a.example", "testing") ", " B);
    hook_changed(f->hook, f->snapshot);
    expect(f, HOOK_RUNNING, 1);
    write_file("go", "");
    expect(f, HOOK_IDLE, 2);
    expect_domains(0, "changed", "a.example");
    expect_domains(1, "changed", "a.example b.example");
    json_t *json = input(1);
    const json_t *item = json_array_get(json_object_get(json, "changed"), 0);
    assert_string_equal(text(item, "id"), current_id(f, "a.example"));
    json_decref(json);
    assert_int_equal(unpublished(f), 0);
}

static void a_failure_is_tried_again_later_and_later(void **state)
{
    struct fixture *f = *state;

    write_file("behaviour", "echo no server >&2; exit 3\n");
    change(f, "", A);
    expect(f, HOOK_WAITING, 1);
    assert_string_equal(hook_state(f->hook)->result, "exit status 3");
    assert_int_equal(hook_state(f->hook)->failures, 1);
    assert_int_equal(hook_state(f->hook)->pending, 1);
    skipped += HOOK_RETRY_MS;
    expect(f, HOOK_WAITING, 2);
    assert_true(hook_state(f->hook)->next_try > clock_wall() + 5);
    write_file("behaviour", "");
    skipped += 2 * HOOK_RETRY_MS;
    expect(f, HOOK_IDLE, 3);
    expect_domains(2, "changed", "a.example");
    assert_int_equal(hook_state(f->hook)->failures, 0);
    assert_string_equal(hook_state(f->hook)->result, "done");
    assert_int_equal(unpublished(f), 0);
}

static void backoff_doubles_up_to_a_quarter_of_an_hour(void **state)
{
    (void)state;
    assert_int_equal(hook_backoff(1), 5000);
    assert_int_equal(hook_backoff(2), 10000);
    assert_int_equal(hook_backoff(8), 640000);
    assert_int_equal(hook_backoff(9), 900000);
    assert_int_equal(hook_backoff(4000000000U), 900000);
}

static void fail_often(struct fixture *f, int times)
{
    write_file("behaviour", "exit 1\n");
    change(f, "", A);
    for (int i = 1; i <= times; i++) {
        expect(f, HOOK_WAITING, i);
        if (i < times)
            hook_hurry(f->hook);
    }
}

static void something_new_does_not_wait_long(void **state)
{
    struct fixture *f = *state;

    fail_often(f, 6);
    time_t next = hook_state(f->hook)->next_try;
    hook_changed(f->hook, f->snapshot); /* nothing new */
    assert_int_equal(hook_state(f->hook)->next_try, next);
    change(f, "", A ", " B);
    assert_int_equal(phase(f), HOOK_WAITING); /* at once would be each time that a file changes */
    assert_true(hook_state(f->hook)->next_try <= clock_wall() + 6);
    skipped += HOOK_RETRY_MS;
    expect(f, HOOK_WAITING, 7);
    assert_int_equal(hook_state(f->hook)->failures, 7);
    /* And when the last failure is long ago, at once. */
    skipped += HOOK_RETRY_MS;
    change(f, "", A ", " TENANT("b.example", "testing"));
    write_file("behaviour", "");
    expect(f, HOOK_IDLE, 8);
}

static void another_program_is_tried_at_once(void **state)
{
    struct fixture *f = *state;
    char settings[256];

    fail_often(f, 6);
    snprintf(settings, sizeof(settings), "on_change: [/usr/bin/touch, %s/other]", f->dir);
    commit(f, settings, A);
    hook_changed(f->hook, f->snapshot);
    expect(f, HOOK_IDLE, 6);
    assert_true(exists("other"));
    assert_int_equal(unpublished(f), 0);
}

static void who_asks_while_it_fails_gets_another_run(void **state)
{
    struct fixture *f = *state;

    write_file("behaviour", "until test -e go; do sleep 0.01; done; test $n = 1\n");
    change(f, "", A);
    hook_hurry(f->hook);
    write_file("go", "");
    expect(f, HOOK_IDLE, 2);
}

static void removed_from_the_settings_it_ends(void **state)
{
    struct fixture *f = *state;

    fail_often(f, 2);
    commit(f, "", A);
    hook_changed(f->hook, f->snapshot);
    assert_int_equal(phase(f), HOOK_OFF);
    skipped += HOOK_RETRY_MAX_MS;
    expect(f, HOOK_OFF, 2);
    assert_int_equal(hook_state(f->hook)->pending, 0);
    /* Also while it runs: what it did is remembered. */
    write_file("behaviour", "until test -e go; do sleep 0.01; done\n");
    change(f, "", A);
    commit(f, "", A);
    hook_changed(f->hook, f->snapshot);
    write_file("go", "");
    expect(f, HOOK_OFF, 3);
    assert_int_equal(unpublished(f), 0);
}

static void ways_to_fail_have_names(void **state)
{
    struct fixture *f = *state;

    write_file("behaviour", "kill -9 $$\n");
    change(f, "", A);
    expect(f, HOOK_WAITING, 1);
    assert_string_equal(hook_state(f->hook)->result, "killed by signal 9 (SIGKILL)");
    write_file("behaviour", "sleep 1000\n");
    hook_hurry(f->hook);
    change(f, "limits: {on_change_timeout: 1}", A);
    expect(f, HOOK_RUNNING, 2);
    skipped += 60000;
    expect(f, HOOK_WAITING, 2);
    assert_non_null(strstr(hook_state(f->hook)->result, "limits.on_change_timeout"));
    commit(f, "on_change: [/nonexistent/program]", A);
    hook_changed(f->hook, f->snapshot);
    assert_int_equal(phase(f), HOOK_WAITING);
    assert_string_equal(hook_state(f->hook)->result,
                        "cannot be started: No such file or directory");
    commit(f, "on_change: [/etc/passwd]", A);
    hook_changed(f->hook, f->snapshot);
    assert_string_equal(hook_state(f->hook)->result, "cannot be started: Permission denied");
    assert_int_equal(hook_state(f->hook)->failures, 4);
    assert_int_equal(unpublished(f), 1);
}

static void without_a_ledger_it_waits(void **state)
{
    struct fixture *f = *state;
    struct ledger *ledger;

    write_file("behaviour", "until test -e go; do sleep 0.01; done\n");
    change(f, "", A);
    ledger = f->publisher.ledger;
    f->publisher.ledger = NULL;
    write_file("go", "");
    expect(f, HOOK_WAITING, 1);
    assert_string_equal(hook_state(f->hook)->result, "the ledger cannot remember it");
    hook_hurry(f->hook);
    expect(f, HOOK_WAITING, 1);
    assert_string_equal(hook_state(f->hook)->result, "the ledger cannot be used");
    f->publisher.ledger = ledger;
    hook_hurry(f->hook);
    expect(f, HOOK_IDLE, 2);
}

/* Another hook, as after a restart: the ledger alone knows. */
static void a_restart_forgets_nothing(void **state)
{
    struct fixture *f = *state;

    write_file("behaviour", "touch begun; sleep 1000\n");
    change(f, "", A ", " B);
    expect(f, HOOK_RUNNING, 1);
    hook_free(f->hook);
    assert_int_equal(unpublished(f), 2);
    write_file("behaviour", "");
    f->hook = hook_new(f->loop, (struct ledger *const *)&f->publisher.ledger);
    hook_changed(f->hook, f->snapshot);
    expect(f, HOOK_IDLE, 2);
    expect_domains(1, "changed", "a.example b.example");
}

/* A policy that is not the one of the snapshot is not announced, and a tenant that is refused is
 * not withdrawn. */
static void only_what_is_served_is_told(void **state)
{
    struct fixture *f = *state;
    struct hook_batch b;
    struct sts_diags diags;

    commit(f, "", A ", " B);
    struct snapshot *old = snapshot_ref(f->snapshot);
    commit(f, "", TENANT("a.example", "testing") ", " B);
    sts_diags_init(&diags, f->arena);
    assert_true(hook_batch_init(&b, f->publisher.ledger, old, STS_STR(""), &diags));
    assert_int_equal(b.count, 1);
    assert_true(sts_str_is(b.items[0].domain, "b.example"));
    assert_int_equal(b.pending, 1);
    hook_batch_fini(&b);
    snapshot_unref(old);

    const struct ledger_published published[] = {
        {STS_STR("a.example"), sts_str_from(current_id(f, "a.example"))}};
    assert_true(ledger_mark_published(f->publisher.ledger, published, 1, clock_wall(), &diags));
    const struct sts_str a = STS_STR("a.example");
    assert_true(ledger_end(f->publisher.ledger, &a, 1, clock_wall(), &diags));
    assert_true(hook_batch_init(&b, f->publisher.ledger, f->snapshot, STS_STR(""), &diags));
    assert_int_equal(b.count, 1); /* b.example: the other one is still configured */
    assert_int_equal(b.removed, 0);
    hook_batch_fini(&b);
}

static struct sts_buf many(int count)
{
    struct sts_buf tenants = {0};

    for (int i = 0; i < count; i++)
        sts_buf_printf(&tenants, "%st%04d.example: {mode: testing, mx: mx.example, max_age: 10d}",
                       i ? ", " : "", i);
    return tenants;
}

static size_t input_size(int n)
{
    json_t *json = input(n);
    size_t size = json_array_size(json_object_get(json, "changed"));

    json_decref(json);
    return size;
}

static void many_tenants_are_several_runs(void **state)
{
    struct fixture *f = *state;
    struct sts_buf tenants = many(2 * HOOK_BATCH_MAX + 5);
    char settings[256];

    /* The second batch fails once; the one behind it does not wait for it. */
    write_file("behaviour", "test $n != 1\n");
    snprintf(settings, sizeof(settings), "on_change: [/bin/sh, %s/program, %s]", f->dir, f->dir);
    sts_buf_add(&tenants, (struct sts_str){"", 1});
    commit(f, settings, tenants.ptr);
    sts_buf_fini(&tenants);
    hook_changed(f->hook, f->snapshot);
    assert_int_equal(hook_state(f->hook)->pending, 2 * HOOK_BATCH_MAX + 5);
    expect(f, HOOK_WAITING, 2);
    assert_int_equal(hook_state(f->hook)->pending, HOOK_BATCH_MAX + 5);
    hook_hurry(f->hook);
    expect(f, HOOK_IDLE, 4);
    assert_int_equal(input_size(0), HOOK_BATCH_MAX);
    assert_int_equal(input_size(1), HOOK_BATCH_MAX);
    assert_int_equal(input_size(2), 5);
    assert_int_equal(input_size(3), HOOK_BATCH_MAX);
    assert_int_equal(unpublished(f), 0);
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(without_a_program_nothing_happens),
        T(records_are_told_whole),
        T(what_is_published_is_not_told_again),
        T(a_removed_tenant_is_withdrawn),
        T(changes_while_it_runs_are_one_more_run),
        T(a_failure_is_tried_again_later_and_later),
        cmocka_unit_test(backoff_doubles_up_to_a_quarter_of_an_hour),
        T(something_new_does_not_wait_long),
        T(another_program_is_tried_at_once),
        T(who_asks_while_it_fails_gets_another_run),
        T(removed_from_the_settings_it_ends),
        T(ways_to_fail_have_names),
        T(without_a_ledger_it_waits),
        T(a_restart_forgets_nothing),
        T(only_what_is_served_is_told),
        T(many_tenants_are_several_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
