/* Unit tests of server/ledger: disks that fill up or fail, processes that are killed, and several
 * that write at once. Whatever happens, a commit is there whole or not at all, what was announced
 * stays, and no id comes twice. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

#include "tests/unit/ledger_fault.h"

/* Three tenants, all with this policy, large enough that several pages change. */
static bool try_three(struct fixture *f, unsigned n, time_t now)
{
    static const char *const mx = "mx1.example.org mx2.example.org mx3.example.org mx4.example.org";
    const struct sts_policy *p = policy(f, STS_MODE_ENFORCE, 86400 + n, mx);
    const struct ledger_entry entries[] = {{.domain = STS_STR("a.example"), .policy = p},
                                           {.domain = STS_STR("b.example"), .policy = p},
                                           {.domain = STS_STR("c.example"), .policy = p}};

    return ledger_serve(f->ledger, entries, 3, now, &f->diags);
}

/* All three have the same policy: which one. */
static unsigned which_of_three(struct fixture *f)
{
    unsigned a = latest(f, "a.example").max_age - 86400;

    assert_int_equal(latest(f, "b.example").max_age - 86400, a);
    assert_int_equal(latest(f, "c.example").max_age - 86400, a);
    return a;
}

/* One commit, with the fault in it; false when it is over before the fault's turn. */
static bool commit_with_fault(struct fixture *f, unsigned after, int error, bool lasting)
{
    remove_all(f);
    reopen(f, LEDGER_WRITE);
    assert_true(try_three(f, 1, NOW));
    const char *before = sts_arena_dup(f->arena, sts_str_from(latest(f, "a.example").id)).ptr;
    arm(after, error, lasting);
    bool good = try_three(f, 2, NOW + 1);
    fault.after = 0;
    if (!good)
        expect_disk_error(f);
    assert_int_equal(which_of_three(f), good ? 2 : 1);
    assert_int_equal(strcmp(before, latest(f, "a.example").id) == 0, !good);
    assert_int_equal(raw_int(f, "SELECT count(*) FROM instance"), good ? 6 : 3);
    expect_consistent(f);
    /* The disk is well again. */
    assert_true(try_three(f, 3, NOW + 2));
    assert_int_equal(which_of_three(f), 3);
    expect_consistent(f);
    return fault.hit;
}

static void every_write_fails(void **state)
{
    struct fixture *f = *state;
    static const int errors[] = {ENOSPC, EIO, EDQUOT};

    for (size_t i = 0; i < 3; i++)
        for (int lasting = 0; lasting < 2; lasting++) {
            unsigned after = 1;
            while (commit_with_fault(f, after, errors[i], lasting))
                after++;
            assert_true(after > 4); /* there was something to fail */
        }
}

static void every_write_fails_while_it_is_made(void **state)
{
    struct fixture *f = *state;
    unsigned after = 1;

    for (bool hit = true; hit; after++) {
        remove_all(f);
        arm(after, ENOSPC, true);
        bool good = try_open(f, LEDGER_WRITE);
        fault.after = 0;
        hit = fault.hit;
        if (!good)
            expect_disk_error(f);
        reopen(f, LEDGER_WRITE);
        assert_true(try_three(f, 1, NOW));
        expect_consistent(f);
    }
    assert_true(after > 4);
}

/* The same with a real limit instead of a fault: files cannot grow beyond it. */
static void files_that_cannot_grow(void **state)
{
    struct fixture *f = *state;
    bool good = false;

    for (rlim_t limit = 0; !good; limit += 4096) {
        int status;
        remove_all(f);
        reopen(f, LEDGER_WRITE);
        assert_true(try_three(f, 1, NOW));
        ledger_close(f->ledger);
        f->ledger = NULL;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            const struct rlimit files = {limit, limit};
            signal(SIGXFSZ, SIG_IGN);
            if (setrlimit(RLIMIT_FSIZE, &files) != 0)
                _exit(9);
            if (!try_open(f, LEDGER_WRITE))
                _exit(1);
            _exit(try_three(f, 2, NOW + 1) ? 0 : 2);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 2);
        good = status == 0;
        reopen(f, LEDGER_WRITE);
        assert_int_equal(which_of_three(f), good ? 2 : 1);
        expect_consistent(f);
        assert_true(limit < 1 << 20);
    }
}

/* A process opens and commits, and is killed before its `after`th write. True when it was. */
static bool killed(struct fixture *f, unsigned after, unsigned policy_number)
{
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        arm(after, 0, false);
        _exit(try_open(f, LEDGER_WRITE) && try_three(f, policy_number, NOW) ? 0 : 1);
    }
    return was_killed(child);
}

static void killed_before_every_write(void **state)
{
    struct fixture *f = *state;
    unsigned after;

    for (after = 1;; after++) {
        remove_all(f);
        reopen(f, LEDGER_WRITE);
        assert_true(try_three(f, 1, NOW));
        const char *id = sts_arena_dup(f->arena, sts_str_from(latest(f, "a.example").id)).ptr;
        ledger_close(f->ledger);
        f->ledger = NULL;
        if (!killed(f, after, 2))
            break;
        reopen(f, LEDGER_READ); /* what `records` sees first */
        unsigned is = which_of_three(f);
        assert_true(is == 1 || is == 2);
        assert_int_equal(strcmp(id, latest(f, "a.example").id) == 0, is == 1);
        reopen(f, LEDGER_WRITE);
        assert_int_equal(which_of_three(f), is);
        assert_true(try_three(f, 2, NOW));
        assert_true(strcmp(id, latest(f, "a.example").id) < 0);
        assert_int_equal(raw_int(f, "SELECT count(*) FROM instance"), 6);
        expect_consistent(f);
    }
    assert_true(after > 4);
}

static void killed_before_every_write_while_it_is_made(void **state)
{
    struct fixture *f = *state;
    unsigned after = 1;

    for (; remove_all(f), killed(f, after, 1); after++) {
        reopen(f, LEDGER_WRITE);
        assert_true(try_three(f, 2, NOW));
        expect_consistent(f);
    }
    assert_true(after > 4);
}

/* Commits for ever, a change each time, and tells each id when it is committed. */
static void commit_for_ever(struct fixture *f, int out, unsigned long long random)
{
    f->ledger = NULL;
    if (!try_open(f, LEDGER_WRITE))
        _exit(1);
    for (;;) {
        struct ledger_instance i;
        unsigned n = fixture_random(&random);
        time_t now = NOW + (time_t)(fixture_random(&random) % 1000);
        if (!try_commit(f, "a.example", numbered_policy(f, n % 1000000), now) ||
            !ledger_latest(f->ledger, f->arena, STS_STR("a.example"), &i, &f->diags) ||
            write(out, i.id, sizeof(i.id)) != (ssize_t)sizeof(i.id))
            _exit(1);
    }
}

/* Every id that came through the pipe is in the ledger. */
static size_t expect_ids(struct fixture *f, int in, size_t at_most)
{
    char id[STS_ID_MAX + 1], sql[200];
    size_t count = 0;

    for (; count < at_most && read(in, id, sizeof(id)) == (ssize_t)sizeof(id); count++) {
        snprintf(sql, sizeof(sql), "SELECT count(*) FROM instance WHERE id = '%s'", id);
        assert_int_equal(raw_int(f, sql), 1);
    }
    return count;
}

static void killed_at_any_time(void **state)
{
    struct fixture *f = *state;
    unsigned long long random = 7;
    size_t announced = 0;

    reopen(f, LEDGER_WRITE);
    for (unsigned round = 0; round < 50; round++) {
        int ends[2], status;
        ledger_close(f->ledger);
        f->ledger = NULL;
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(ends[0]);
            commit_for_ever(f, ends[1], fixture_random(&random));
        }
        close(ends[1]);
        announced += expect_ids(f, ends[0], fixture_random(&random) % 12);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        reopen(f, LEDGER_WRITE);
        announced += expect_ids(f, ends[0], 1000000);
        close(ends[0]);
        expect_consistent(f);
        fixture_random(&random);
    }
    assert_true(announced > 100);
    assert_true(raw_int(f, "SELECT count(*) FROM instance") >= (long long)announced);
    id_after(f, "a.example", numbered_policy(f, 1), NOW);
}

/* Says what went wrong, because this is a process of its own. */
static int give_up(struct fixture *f)
{
    struct sts_buf text = {0};

    for (const struct sts_diag *diag = f->diags.first; diag; diag = diag->next)
        sts_diag_render_text(&text, diag, false);
    fprintf(stderr, "%s", text.len ? text.ptr : "");
    sts_buf_fini(&text);
    return 1;
}

/* Several processes, the same tenants, at the same second. */
static int commit_many(struct fixture *f, unsigned long long random)
{
    static const char *const domains[] = {"a.example", "b.example", "c.example"};

    f->ledger = NULL;
    if (!try_open(f, LEDGER_WRITE))
        return give_up(f);
    for (unsigned i = 0; i < 60; i++) {
        unsigned d = fixture_random(&random) % 3, n = fixture_random(&random) % 5;
        if (!try_commit(f, domains[d], numbered_policy(f, n), NOW) ||
            !ledger_touch(f->ledger, NOW + i, &f->diags) ||
            (i % 20 == 19 && !try_end(f, domains[d], NOW)))
            return give_up(f);
    }
    return 0;
}

static void run_at_once(struct fixture *f, unsigned processes)
{
    pid_t children[8];
    int gate[2], status;

    assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
    for (unsigned i = 0; i < processes; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            char none;
            close(gate[1]);
            if (read(gate[0], &none, 1) != 0) /* all start when the gate closes */
                _exit(3);
            _exit(commit_many(f, i));
        }
    }
    close(gate[0]);
    close(gate[1]);
    for (unsigned i = 0; i < processes; i++) {
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
}

static void several_processes_at_once(void **state)
{
    struct fixture *f = *state;

    for (unsigned round = 0; round < 3; round++) {
        run_at_once(f, 4); /* they also make the file at once */
        expect_consistent(f);
        assert_true(raw_int(f, "SELECT count(*) FROM instance") > 100);
        assert_int_equal(raw_int(f, "SELECT at FROM alive"), NOW + 59);
        remove_all(f);
    }
}

static int make_one(struct fixture *f)
{
    return try_open(f, LEDGER_WRITE) && try_three(f, 1, NOW) ? 0 : give_up(f);
}

static void several_processes_make_it_at_once(void **state)
{
    struct fixture *f = *state;

    for (unsigned round = 0; round < 20; round++) {
        pid_t children[6];
        int status;
        for (unsigned i = 0; i < 6; i++) {
            children[i] = fork();
            assert_true(children[i] >= 0);
            if (children[i] == 0)
                _exit(make_one(f));
        }
        for (unsigned i = 0; i < 6; i++) {
            assert_int_equal(waitpid(children[i], &status, 0), children[i]);
            assert_int_equal(status, 0);
        }
        assert_int_equal(raw_int(f, "SELECT count(*) FROM instance"), 3);
        expect_consistent(f);
        remove_all(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LEDGER(every_write_fails),
        WITH_LEDGER(every_write_fails_while_it_is_made),
        WITH_LEDGER(files_that_cannot_grow),
        WITH_LEDGER(killed_before_every_write),
        WITH_LEDGER(killed_before_every_write_while_it_is_made),
        WITH_LEDGER(killed_at_any_time),
        WITH_LEDGER(several_processes_at_once),
        WITH_LEDGER(several_processes_make_it_at_once),
    };
    return cmocka_run_group_tests_name("ledger_faults", tests, NULL, NULL);
}
