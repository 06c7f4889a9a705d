/* Unit tests of server/daemon: what the ledger learns of each snapshot, and when a tenant that
 * retires may go. */
#include "tests/unit/folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/daemon/publish.h"
#include "server/daemon/retire.h"

#define MAIN "listen: [{address: \"127.0.0.1:0\", tls: off}]\nledger: ledger.db\n"

enum { DAY = 86400 };

struct fixture {
    char dir[64];
    struct sts_arena *arena;
    struct sts_diags diags;
    struct publisher publisher;
    struct snapshot *snapshot;
    struct retire retire;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    strcpy(f->dir, "/tmp/publish-XXXXXX");
    f->arena = sts_arena_new();
    f->publisher.lock = -1;
    *state = f;
    return mkdtemp(f->dir) && chdir(f->dir) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    publisher_close(&f->publisher);
    retire_fini(&f->retire);
    snapshot_unref(f->snapshot);
    sts_arena_free(f->arena);
    int result = folder_remove(f->dir);
    free(f);
    return result;
}

static void load(struct fixture *f, const char *tenants)
{
    FILE *file = fopen("main.yaml", "w");
    const struct snapshot_input input = {
        .main_file = "main.yaml", .now = time(NULL), .previous = f->snapshot};

    assert_non_null(file);
    fprintf(file, MAIN "tenants: {%s}\n", tenants);
    fclose(file);
    sts_diags_init(&f->diags, f->arena);
    struct snapshot *next = snapshot_build(&input, &f->diags);
    assert_non_null(next);
    publisher_commit(&f->publisher, f->snapshot, next);
    snapshot_unref(f->snapshot);
    f->snapshot = next;
}

static struct ledger_history history(struct fixture *f, const char *domain)
{
    struct ledger_history out;

    if (!ledger_history(f->publisher.ledger, f->arena, sts_str_from(domain), &out, &f->diags)) {
        struct sts_buf text = {0};
        for (const struct sts_diag *diag = f->diags.first; diag; diag = diag->next)
            sts_diag_render_text(&text, diag, false);
        fail_msg("%s: %.*s", domain, STS_ARG(sts_buf_str(&text)));
    }
    return out;
}

#define TENANT(name, mode) name ": {mode: " mode ", mx: mx.example, max_age: 10d}"

static void each_change_reaches_the_ledger(void **state)
{
    struct fixture *f = *state;

    load(f, TENANT("a.example", "enforce") ", " TENANT("b.example", "enforce"));
    struct ledger_history a = history(f, "a.example"), b = history(f, "b.example");
    load(f, TENANT("a.example", "testing") ", " TENANT("c.example", "enforce"));
    assert_string_not_equal(history(f, "a.example").latest.id, a.latest.id);
    assert_int_equal(history(f, "a.example").latest.mode, STS_MODE_TESTING);
    assert_string_equal(history(f, "b.example").latest.id, b.latest.id);
    assert_true(history(f, "b.example").latest.last_served > 0);
    assert_int_equal(history(f, "c.example").latest.last_served, 0);
    load(f, TENANT("b.example", "enforce"));
    assert_string_not_equal(history(f, "b.example").latest.id, b.latest.id);
    assert_true(history(f, "a.example").latest.last_served > 0);
    assert_false(f->publisher.pending);
}

/* A ledger that was replaced does not know what is served: it is told all of it. */
static void a_replaced_ledger_is_told_everything(void **state)
{
    struct fixture *f = *state;

    load(f, TENANT("a.example", "enforce") ", " TENANT("b.example", "enforce"));
    assert_int_equal(unlink("ledger.db"), 0);
    sts_diags_init(&f->diags, f->arena);
    ledger_close(ledger_open("ledger.db", LEDGER_WRITE, (struct sts_pos){0}, &f->diags));
    load(f, TENANT("a.example", "testing") ", " TENANT("b.example", "enforce"));
    assert_false(f->publisher.pending);
    assert_non_null(strstr(ledger_notice(f->publisher.ledger), "replaced"));
    assert_int_equal(history(f, "b.example").latest.last_served, 0);
    assert_int_equal(history(f, "a.example").latest.last_served, 0);
}

/* One that was deleted is written again, and the lock beside it taken again. */
static void a_deleted_ledger_keeps_the_ids(void **state)
{
    struct fixture *f = *state;
    struct publisher other = {.lock = -1};

    load(f, TENANT("a.example", "enforce") ", " TENANT("b.example", "enforce"));
    struct ledger_history b = history(f, "b.example");
    assert_null(ledger_notice(f->publisher.ledger));
    assert_int_equal(unlink("ledger.db"), 0);
    assert_int_equal(unlink("ledger.db.lock"), 0);
    load(f, TENANT("a.example", "testing") ", " TENANT("b.example", "enforce"));
    assert_false(f->publisher.pending);
    assert_non_null(strstr(ledger_notice(f->publisher.ledger), "deleted"));
    assert_string_equal(history(f, "b.example").latest.id, b.latest.id);
    assert_int_equal(history(f, "b.example").latest.last_served, 0);
    assert_int_equal(history(f, "a.example").latest.mode, STS_MODE_TESTING);
    assert_false(publisher_start(&other, f->snapshot));
}

static void what_could_not_be_written_is_made_up_for(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(mkdir("ledger.db", 0755), 0);
    load(f, TENANT("a.example", "enforce"));
    assert_true(f->publisher.pending);
    load(f, TENANT("a.example", "enforce") ", " TENANT("b.example", "enforce"));
    assert_true(f->publisher.pending);
    rmdir("ledger.db");
    publisher_tick(&f->publisher, f->snapshot);
    assert_false(f->publisher.pending);
    assert_int_equal(history(f, "a.example").latest.last_served, 0);
    assert_int_equal(history(f, "b.example").latest.last_served, 0);
}

/* A tenant whose certificate is away for a while is neither ended nor given a new id. */
static void a_held_tenant_keeps_its_id(void **state)
{
    struct fixture *f = *state;

    load(f, TENANT("a.example", "enforce"));
    struct ledger_history before = history(f, "a.example");
    f->snapshot->tenants[0].state = TENANT_NO_CERTIFICATE;
    assert_false(tenant_is_current(&f->snapshot->tenants[0]));
    f->snapshot->tenants[0].held = true;
    assert_true(tenant_is_current(&f->snapshot->tenants[0]));
    publisher_commit(&f->publisher, NULL, f->snapshot);
    assert_string_equal(history(f, "a.example").latest.id, before.latest.id);
    assert_int_equal(history(f, "a.example").latest.last_served, 0);
}

static void two_servers_do_not_share_a_ledger(void **state)
{
    struct fixture *f = *state;
    struct publisher other = {.lock = -1};

    load(f, TENANT("a.example", "enforce"));
    assert_true(publisher_start(&f->publisher, f->snapshot));
    assert_false(publisher_start(&other, f->snapshot));
    assert_true(other.other_server);
    publisher_close(&f->publisher);
    other.other_server = false;
    assert_true(publisher_start(&other, f->snapshot));
    publisher_close(&other);
}

static void a_retiring_tenant_may_go_when_the_last_policy_is_forgotten(void **state)
{
    struct fixture *f = *state;
    time_t now = time(NULL);

    load(f, TENANT("a.example", "enforce") ", " TENANT("b.example", "enforce"));
    retire_update(&f->retire, f->snapshot, f->publisher.ledger, now);
    assert_int_equal(f->retire.count, 0);
    load(f, "a.example: {mode: enforce, mx: mx.example, max_age: 10d, retire: on}, " TENANT(
                "b.example", "enforce"));
    retire_update(&f->retire, f->snapshot, f->publisher.ledger, now);
    assert_int_equal(f->retire.count, 1);
    time_t safe = f->retire.list[0].safe_after;
    assert_in_range(safe, now + 10 * DAY, now + 10 * DAY + 3600);
    assert_false(f->retire.list[0].over);
    retire_tick(&f->retire, safe - 1);
    assert_false(f->retire.list[0].over);
    /* Serving mode none does not move the date. */
    publisher_tick(&f->publisher, f->snapshot);
    retire_update(&f->retire, f->snapshot, f->publisher.ledger, now + DAY);
    assert_int_equal(f->retire.list[0].safe_after, safe);
    retire_tick(&f->retire, safe);
    assert_true(f->retire.list[0].over);
    retire_update(&f->retire, f->snapshot, f->publisher.ledger, safe + 1);
    assert_true(f->retire.list[0].over);
    /* Without a ledger there is no date, and nothing is said to be safe. */
    retire_update(&f->retire, f->snapshot, NULL, now);
    assert_int_equal(f->retire.count, 0);
}

#define PUBLISH_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PUBLISH_TEST(each_change_reaches_the_ledger),
        PUBLISH_TEST(a_replaced_ledger_is_told_everything),
        PUBLISH_TEST(a_deleted_ledger_keeps_the_ids),
        PUBLISH_TEST(what_could_not_be_written_is_made_up_for),
        PUBLISH_TEST(a_held_tenant_keeps_its_id),
        PUBLISH_TEST(two_servers_do_not_share_a_ledger),
        PUBLISH_TEST(a_retiring_tenant_may_go_when_the_last_policy_is_forgotten),
    };
    return cmocka_run_group_tests_name("publish", tests, NULL, NULL);
}
