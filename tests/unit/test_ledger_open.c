/* Unit tests of server/ledger: opening whatever lies there, schema versions, locks. */
#include "tests/unit/ledger_fixture.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include "server/ledger/schema.h"

static struct sts_str contents(struct fixture *f, const char *path)
{
    FILE *file = fopen(path, "rb");
    struct sts_buf all = {0};
    char piece[4096];
    size_t n;

    assert_non_null(file);
    while ((n = fread(piece, 1, sizeof(piece), file)) > 0)
        sts_buf_add(&all, (struct sts_str){piece, n});
    fclose(file);
    struct sts_str copy = sts_arena_dup(f->arena, sts_buf_str(&all));
    sts_buf_fini(&all);
    return copy;
}

static void put(const char *path, const char *text, size_t len)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static const char *beside(struct fixture *f, const char *suffix)
{
    return sts_arena_printf(f->arena, "%s%s", f->path, suffix).ptr;
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

/* Runs `check` in a process that root's rights do not help; true when it says so. */
static bool as_nobody(struct fixture *f, bool (*check)(struct fixture *f))
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0)
        _exit((geteuid() != 0 || setuid(65534) == 0) && check(f) ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status == 0;
}

static bool fails_with(struct fixture *f, enum ledger_access access, const char *code)
{
    return !try_open(f, access) && f->diags.errors == 1 && !strcmp(f->diags.first->code, code);
}

static void files_are_private(void **state)
{
    struct fixture *f = *state;
    mode_t before = umask(0);

    reopen(f, LEDGER_WRITE);
    assert_true(try_commit(f, "a.example", numbered_policy(f, 1), NOW));
    int lock = ledger_lock(f->path, false);
    umask(before);
    assert_true(lock >= 0);
    close(lock);
    assert_int_equal(mode_of(f->path), 0600);
    assert_int_equal(mode_of(beside(f, "-wal")), 0600);
    assert_int_equal(mode_of(beside(f, "-shm")), 0600);
    assert_int_equal(mode_of(beside(f, ".lock")), 0600);
}

/* The C library's, with a count. */
static int fchown_calls;

int fchown(int fd, uid_t user, gid_t group)
{
    fchown_calls++;
    return (int)syscall(SYS_fchown, fd, user, group);
}

/* A service may be ended for a call that its filter does not know: none that changes nothing. */
static void what_is_the_owners_is_not_given_away(void **state)
{
    struct fixture *f = *state;

    fchown_calls = 0;
    int lock = ledger_lock(f->path, true);
    assert_true(lock >= 0);
    close(lock);
    assert_int_equal(fchown_calls, 0);
    if (geteuid() != 0)
        skip();
    assert_int_equal(unlink(beside(f, ".lock")), 0);
    assert_int_equal(chown(f->dir, 65534, 65534), 0);
    lock = ledger_lock(f->path, true);
    assert_true(lock >= 0);
    close(lock);
    assert_int_equal(fchown_calls, 1);
}

/* `sudo mta-stsd records` before the first start must not lock the server out. */
static void root_gives_files_to_the_owner_of_the_directory(void **state)
{
    struct fixture *f = *state;
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};

    if (geteuid() != 0)
        skip();
    assert_int_equal(chown(f->dir, 65534, 65534), 0);
    reopen(f, LEDGER_WRITE);
    assert_true(try_commit(f, "a.example", numbered_policy(f, 1), NOW));
    int lock = ledger_lock(f->path, true);
    assert_true(lock >= 0);
    close(lock);
    for (size_t i = 0; i < 4; i++) {
        struct stat st;
        assert_int_equal(stat(beside(f, suffixes[i]), &st), 0);
        assert_int_equal(st.st_uid, 65534);
    }
    /* What is already there keeps its owner: it might be a link to anything. */
    ledger_close(f->ledger);
    f->ledger = NULL;
    assert_int_equal(chown(f->path, 1, 1), 0);
    reopen(f, LEDGER_WRITE);
    struct stat st;
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_uid, 1);
}

static void reading_what_is_not_there(void **state)
{
    struct fixture *f = *state;

    assert_false(try_open(f, LEDGER_READ));
    expect_error(f, "ledger-missing");
    assert_int_equal(access(f->path, F_OK), -1);
    put(f->path, "", 0);
    assert_false(try_open(f, LEDGER_READ));
    expect_error(f, "ledger-missing");
    reopen(f, LEDGER_WRITE);
    ledger_close(NULL);
}

static void a_file_that_is_no_database(void **state)
{
    struct fixture *f = *state;
    static char text[5000];

    memset(text, 'x', sizeof(text));
    put(f->path, text, sizeof(text));
    for (int access = LEDGER_READ; access <= LEDGER_WRITE; access++) {
        assert_false(try_open(f, (enum ledger_access)access));
        expect_error(f, "ledger-corrupt");
    }
    assert_true(sts_str_eq(contents(f, f->path), (struct sts_str){text, sizeof(text)}));
}

/* Every page but the first, one after the other, overwritten. */
static void a_damaged_database(void **state)
{
    struct fixture *f = *state;
    char garbage[4096];

    memset(garbage, 0xa5, sizeof(garbage));
    reopen(f, LEDGER_WRITE);
    for (unsigned i = 0; i < 50; i++)
        assert_true(try_commit(f, "a.example", numbered_policy(f, i), NOW));
    ledger_close(f->ledger);
    f->ledger = NULL;
    struct sts_str good = contents(f, f->path);
    unsigned noticed = 0;
    for (size_t at = 4096; at < good.len; at += 4096) {
        struct ledger_instance i;
        put(f->path, good.ptr, good.len);
        int fd = open(f->path, O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, garbage, sizeof(garbage), (off_t)at), sizeof(garbage));
        close(fd);
        if (!try_open(f, LEDGER_WRITE) ||
            !try_commit(f, "a.example", numbered_policy(f, 99), NOW) ||
            !ledger_latest(f->ledger, f->arena, STS_STR("a.example"), &i, &f->diags)) {
            expect_error(f, "ledger-corrupt");
            noticed++;
        }
        ledger_close(f->ledger);
        f->ledger = NULL;
    }
    assert_true(noticed >= 3); /* the table's and the indexes' roots at least */
}

/* Another program's database is left exactly as it was, its journal mode included. */
static void the_database_of_another_program(void **state)
{
    struct fixture *f = *state;
    static const char *const databases[] = {
        "CREATE TABLE users (name)",
        "PRAGMA user_version = 7; PRAGMA application_id = 5",
        "PRAGMA user_version = 1",
        "PRAGMA application_id = 5; CREATE TABLE instance (domain)",
    };

    for (size_t i = 0; i < sizeof(databases) / sizeof(*databases); i++) {
        raw_exec(f, databases[i]);
        struct sts_str before = contents(f, f->path);
        for (int access = LEDGER_READ; access <= LEDGER_WRITE; access++) {
            assert_false(try_open(f, (enum ledger_access)access));
            expect_error(f, "ledger-foreign");
        }
        assert_true(sts_str_eq(contents(f, f->path), before));
        assert_int_equal(unlink(f->path), 0);
    }
}

static void only_regular_files(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(mkfifo(f->path, 0600), 0);
    for (int access = LEDGER_READ; access <= LEDGER_WRITE; access++) {
        assert_false(try_open(f, (enum ledger_access)access));
        expect_error(f, "ledger-foreign");
    }
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(mkdir(f->path, 0700), 0);
    assert_false(try_open(f, LEDGER_WRITE));
    expect_error(f, "ledger-foreign");
}

static void paths_that_lead_nowhere(void **state)
{
    struct fixture *f = *state;

    snprintf(f->path, sizeof(f->path), "%s/no/such/ledger.db", f->dir);
    assert_false(try_open(f, LEDGER_WRITE));
    expect_error(f, "ledger-unwritable");
    assert_false(try_open(f, LEDGER_READ));
    expect_error(f, "ledger-missing");
    snprintf(f->path, sizeof(f->path), "%s/file/ledger.db", f->dir);
    put(sts_arena_printf(f->arena, "%s/file", f->dir).ptr, "x", 1);
    for (int access = LEDGER_READ; access <= LEDGER_WRITE; access++) {
        assert_false(try_open(f, (enum ledger_access)access));
        expect_error(f, access == LEDGER_READ ? "ledger-unreadable" : "ledger-unwritable");
    }
    assert_int_equal(ledger_lock(f->path, true), -1);
    assert_int_equal(errno, ENOTDIR);
}

static bool cannot_write(struct fixture *f)
{
    return fails_with(f, LEDGER_WRITE, "ledger-unwritable");
}

static bool cannot_read(struct fixture *f)
{
    return fails_with(f, LEDGER_READ, "ledger-unreadable");
}

static bool can_read(struct fixture *f)
{
    struct ledger_instance i;
    return try_open(f, LEDGER_READ) &&
           ledger_latest(f->ledger, f->arena, STS_STR("a.example"), &i, &f->diags) &&
           i.max_age == 86401;
}

static void permissions(void **state)
{
    struct fixture *f = *state;

    /* A name that would mean something else in a URI. */
    snprintf(f->path, sizeof(f->path), "%s/l 1%%2f?mode=rw#.db", f->dir);
    assert_int_equal(chmod(f->dir, 0555), 0);
    assert_true(as_nobody(f, cannot_write)); /* it cannot be made there */
    assert_int_equal(chmod(f->dir, 0755), 0);
    reopen(f, LEDGER_WRITE);
    assert_true(try_commit(f, "a.example", numbered_policy(f, 1), NOW));
    ledger_close(f->ledger);
    f->ledger = NULL;
    /* The last writer ended in order: the file alone says all. */
    assert_int_equal(chmod(f->path, 0444), 0);
    assert_int_equal(chmod(f->dir, 0555), 0);
    assert_true(as_nobody(f, can_read));
    assert_true(as_nobody(f, cannot_write));
    /* It did not: what is in its journal cannot be seen, and so nothing is said. */
    put(beside(f, "-wal"), "something", 9);
    assert_true(as_nobody(f, cannot_read));
    assert_int_equal(unlink(beside(f, "-wal")), 0);
    assert_int_equal(chmod(f->path, 0), 0);
    assert_true(as_nobody(f, cannot_read));
    assert_int_equal(chmod(f->dir, 0755), 0);
}

/* What SQLite reads a meaning into is only a name here. */
static void names_are_names(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {":memory:", "file:x?mode=memory", "?", "-"};
    char before[500];

    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(f->dir), 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        snprintf(f->path, sizeof(f->path), "%s", names[i]);
        reopen(f, LEDGER_WRITE);
        assert_int_equal(access(f->path, F_OK), 0);
    }
    assert_int_equal(chdir(before), 0);
}

static void a_symbolic_link_is_followed(void **state)
{
    struct fixture *f = *state;
    const char *target = sts_arena_printf(f->arena, "%s/target.db", f->dir).ptr;

    assert_int_equal(symlink("target.db", f->path), 0);
    reopen(f, LEDGER_WRITE);
    assert_true(try_commit(f, "a.example", numbered_policy(f, 1), NOW));
    assert_int_equal(access(target, F_OK), 0);
    reopen(f, LEDGER_READ);
    assert_int_equal(latest(f, "a.example").max_age, 86401);
}

static void reading_while_another_writes(void **state)
{
    struct fixture *f = *state;

    reopen(f, LEDGER_WRITE);
    assert_true(try_commit(f, "a.example", numbered_policy(f, 1), NOW));
    struct ledger *writer = f->ledger;
    sqlite3 *raw = raw_open(f);
    f->ledger = NULL;
    assert_int_equal(
        sqlite3_exec(raw, "BEGIN IMMEDIATE; UPDATE alive SET at = 5", NULL, NULL, NULL), SQLITE_OK);
    reopen(f, LEDGER_READ);
    assert_int_equal(latest(f, "a.example").max_age, 86401);
    struct ledger *reader = f->ledger;
    /* A writer with nothing to change waits for nobody. */
    f->ledger = writer;
    assert_true(try_commit(f, "a.example", numbered_policy(f, 1), NOW + 1));
    assert_int_equal(sqlite3_exec(raw, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(raw);
    assert_true(try_commit(f, "a.example", numbered_policy(f, 2), NOW + 1));
    f->ledger = reader;
    assert_int_equal(latest(f, "a.example").max_age, 86402);
    /* Reading gives no right to write. */
    assert_false(try_commit(f, "a.example", numbered_policy(f, 3), NOW + 2));
    expect_error(f, "ledger-unreadable");
    ledger_close(writer);
}

/* SQLite's waiting, without the waiting. */
int usleep(useconds_t us)
{
    (void)us;
    return 0;
}

static void a_lock_that_is_never_given_back(void **state)
{
    struct fixture *f = *state;

    reopen(f, LEDGER_WRITE);
    sqlite3 *raw = raw_open(f);
    assert_int_equal(sqlite3_exec(raw, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_false(try_commit(f, "a.example", numbered_policy(f, 1), NOW));
    expect_error(f, "ledger-busy");
    assert_false(ledger_touch(f->ledger, NOW, &f->diags));
    expect_error(f, "ledger-busy");
    sqlite3_close(raw);
    assert_true(try_commit(f, "a.example", numbered_policy(f, 1), NOW));
    ledger_close(f->ledger);
    f->ledger = NULL;
    raw_exec(f, "PRAGMA journal_mode = DELETE");
    raw = raw_open(f);
    assert_int_equal(sqlite3_exec(raw, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_false(try_open(f, LEDGER_WRITE));
    expect_error(f, "ledger-busy");
    sqlite3_close(raw);
}

static void a_newer_schema(void **state)
{
    struct fixture *f = *state;

    reopen(f, LEDGER_WRITE);
    assert_true(try_commit(f, "a.example", numbered_policy(f, 1), NOW));
    /* Under an open ledger, too: nothing is written to a schema that is not known. */
    raw_exec(f, "PRAGMA user_version = 99");
    assert_false(try_commit(f, "a.example", numbered_policy(f, 2), NOW));
    expect_error(f, "ledger-newer");
    assert_false(ledger_touch(f->ledger, NOW, &f->diags));
    expect_error(f, "ledger-newer");
    raw_exec(f, "ALTER TABLE instance RENAME TO history");
    struct ledger_instance i;
    assert_false(ledger_latest(f->ledger, f->arena, STS_STR("a.example"), &i, &f->diags));
    expect_error(f, "ledger-newer");
    for (int access = LEDGER_READ; access <= LEDGER_WRITE; access++) {
        assert_false(try_open(f, (enum ledger_access)access));
        expect_error(f, "ledger-newer");
    }
    assert_int_equal(raw_int(f, "SELECT count(*) FROM history"), 1);
    static const char *const impossible[] = {"PRAGMA user_version = 0", "PRAGMA user_version = -1"};
    for (size_t k = 0; k < 2; k++) {
        raw_exec(f, impossible[k]);
        assert_false(try_open(f, LEDGER_WRITE));
        expect_error(f, "ledger-corrupt");
    }
}

/* The framework, with steps of its own: from each version to the last, or not at all. */
static void migrations(void **state)
{
    struct fixture *f = *state;
    static const char *const steps[] = {
        "CREATE TABLE t (a); INSERT INTO t VALUES ('one')",
        "ALTER TABLE t ADD COLUMN b; UPDATE t SET b = a || '-two'",
        "CREATE TABLE u AS SELECT b AS c FROM t; DROP TABLE t",
        "CREATE TABLE v (d); INSERT INTO missing VALUES (1)",
    };
    const struct ledger_schema all[] = {{steps, 1}, {steps, 2}, {steps, 3}};
    const struct ledger_schema broken = {steps, 4};

    for (size_t from = 0; from < 3; from++) {
        sqlite3 *db = raw_open(f);
        assert_int_equal(ledger_schema_check(db, &all[from]), LEDGER_RC_EMPTY);
        assert_int_equal(ledger_schema_migrate(db, &all[from]), SQLITE_OK);
        assert_int_equal(ledger_schema_check(db, &all[from]), SQLITE_OK);
        if (from < 2)
            assert_int_equal(ledger_schema_check(db, &all[2]), LEDGER_RC_OLDER);
        assert_int_equal(ledger_schema_migrate(db, &all[2]), SQLITE_OK);
        assert_int_equal(ledger_schema_migrate(db, &all[2]), SQLITE_OK);
        assert_int_equal(ledger_schema_check(db, &all[0]), LEDGER_RC_NEWER);
        assert_int_equal(ledger_schema_migrate(db, &all[0]), LEDGER_RC_NEWER);
        /* A step that fails takes back everything. */
        assert_int_equal(ledger_schema_migrate(db, &broken), SQLITE_ERROR);
        assert_int_equal(ledger_schema_check(db, &all[2]), SQLITE_OK);
        sqlite3_close(db);
        assert_string_equal(raw_text(f, "SELECT c FROM u"), "one-two");
        assert_int_equal(raw_int(f, "SELECT count(*) FROM sqlite_schema WHERE name = 'v'"), 0);
        assert_int_equal(unlink(f->path), 0);
    }
}

static void the_first_schema_stays(void **state)
{
    struct fixture *f = *state;

    raw_make_first_schema(f);
    raw_exec(f, "INSERT INTO instance VALUES (1, 'a.example', '20200913122640b36ab7c6Z',"
                " x'b36ab7c6', 'version: STSv1', 'none', 86400, 1600000000, 1600000005);"
                "UPDATE alive SET at = 1600000000");
    assert_false(try_open(f, LEDGER_READ));
    expect_error(f, "ledger-older");
    reopen(f, LEDGER_WRITE);
    assert_true(strcmp("20200913122640b36ab7c6Z",
                       id_after(f, "a.example", numbered_policy(f, 1), 1600000000)) < 0);
    assert_int_equal(raw_int(f, "SELECT count(*) FROM instance"), 2);
    assert_int_equal(history(f, "a.example").cached_until, 1600000000 + 60 + 86401);
    /* Brought up to date, it has the shape of a new one. */
    static const char *const shape = "SELECT group_concat(name || type || replace(sql, ' ', '')) "
                                     "FROM (SELECT * FROM sqlite_schema WHERE sql IS NOT NULL "
                                     "ORDER BY name)";
    const char *old = raw_text(f, shape);
    assert_int_equal(rename(f->path, beside(f, ".old")), 0);
    reopen(f, LEDGER_WRITE);
    assert_string_equal(raw_text(f, shape), old);
}

static void join_current(void *data, const struct ledger_instance *i)
{
    sts_buf_printf(data, "%.*s:%u:%.*s ", STS_ARG(i->domain), i->max_age, STS_ARG(i->file));
}

/* The first start after an upgrade reads what was served before it brings the ledger up to date. */
static void an_older_ledger_is_read_by_who_asks_for_it(void **state)
{
    static const char *const back[] = {
        "PRAGMA user_version = 3", "ALTER TABLE instance DROP COLUMN file; PRAGMA user_version = 2",
        "DROP TABLE published; DROP TABLE unpublished; PRAGMA user_version = 1"};
    struct fixture *f = *state;
    struct sts_buf text = {0};

    reopen(f, LEDGER_WRITE);
    const struct ledger_entry entry = {STS_STR("a.example"), numbered_policy(f, 1),
                                       STS_STR("a.yaml")};
    assert_true(ledger_serve(f->ledger, &entry, 1, NOW, &f->diags));
    for (size_t i = 0; i < 3; i++) {
        raw_exec(f, back[i]);
        assert_true(try_open(f, LEDGER_READ) == (i == 0));
        if (i)
            expect_error(f, "ledger-older");
        reopen(f, LEDGER_READ_OLDER);
        text.len = 0;
        assert_true(ledger_each_current(f->ledger, join_current, &text, &f->diags));
        assert_string_equal(text.ptr, i ? "a.example:86401: " : "a.example:86401:a.yaml ");
        assert_int_equal(history(f, "a.example").latest.first_served, NOW);
    }
    reopen(f, LEDGER_WRITE);
    assert_true(ledger_serve(f->ledger, &entry, 1, NOW, &f->diags));
    text.len = 0;
    assert_true(ledger_each_current(f->ledger, join_current, &text, &f->diags));
    assert_string_equal(text.ptr, "a.example:86401:a.yaml ");
    sts_buf_fini(&text);
    raw_exec(f, "PRAGMA user_version = 99");
    assert_false(try_open(f, LEDGER_READ_OLDER));
    expect_error(f, "ledger-newer");
    assert_int_equal(unlink(f->path), 0);
    assert_false(try_open(f, LEDGER_READ_OLDER));
    expect_error(f, "ledger-missing");
}

static void locks(void **state)
{
    struct fixture *f = *state;
    int server = ledger_lock(f->path, false);

    assert_true(server >= 0);
    assert_true(fcntl(server, F_GETFD) & FD_CLOEXEC);
    int second = ledger_lock(f->path, false);
    assert_true(second >= 0);
    assert_int_equal(ledger_lock(f->path, true), -1);
    assert_int_equal(errno, EWOULDBLOCK);
    close(second);
    assert_int_equal(ledger_lock(f->path, true), -1);
    close(server);
    int records = ledger_lock(f->path, true);
    assert_true(records >= 0);
    assert_int_equal(ledger_lock(f->path, false), -1);
    assert_int_equal(errno, EWOULDBLOCK);
    close(records);
    /* It ends with its holder, however that ends. */
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (ledger_lock(f->path, true) >= 0)
            raise(SIGKILL);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    records = ledger_lock(f->path, true);
    assert_true(records >= 0);
    close(records);
    assert_int_equal(unlink(beside(f, ".lock")), 0);
    assert_int_equal(symlink("elsewhere", beside(f, ".lock")), 0);
    assert_int_equal(ledger_lock(f->path, true), -1);
    assert_int_equal(errno, ELOOP);
}

/* Two servers on one ledger would fight over what is current. */
static void one_server(void **state)
{
    struct fixture *f = *state;
    int server = ledger_lock_server(f->path);

    assert_true(server >= 0);
    assert_true(fcntl(server, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(mode_of(beside(f, ".lock")), 0600);
    assert_int_equal(ledger_lock_server(f->path), -1);
    assert_int_equal(errno, EADDRINUSE);
    assert_int_equal(ledger_lock(f->path, true), -1);
    assert_int_equal(errno, EWOULDBLOCK);
    /* The second one's try took nothing away from the first, nor left anything behind. */
    assert_int_equal(ledger_lock_server(f->path), -1);
    close(server);
    int records = ledger_lock(f->path, true);
    assert_true(records >= 0);
    assert_int_equal(ledger_lock_server(f->path), -1);
    assert_int_equal(errno, EWOULDBLOCK);
    close(records);
    int shared = ledger_lock(f->path, false); /* somebody who only keeps commands out */
    server = ledger_lock_server(f->path);
    assert_true(server >= 0);
    close(shared);
    assert_int_equal(ledger_lock(f->path, true), -1);
    close(server);
    assert_int_equal(unlink(beside(f, ".lock")), 0);
    assert_int_equal(mkdir(beside(f, ".lock"), 0700), 0);
    assert_int_equal(ledger_lock_server(f->path), -1);
    assert_int_equal(errno, EISDIR);
}

static int try_to_serve(struct fixture *f, int in, int out)
{
    char go;

    while (read(in, &go, 1) == 1) {
        int fd = ledger_lock_server(f->path);
        char result = fd >= 0 ? 's' : errno == EADDRINUSE ? 'u' : 'x';
        if (write(out, &result, 1) != 1)
            return 1;
        if (read(in, &go, 1) != 1)
            return 1;
        if (fd >= 0)
            close(fd);
        if (write(out, "", 1) != 1)
            return 1;
    }
    return 0;
}

/* Of several that start at once, one serves and all others know why not. */
static void several_servers_at_once(void **state)
{
    enum { COUNT = 4 };
    struct fixture *f = *state;
    int to[COUNT][2], from[2], status;
    pid_t children[COUNT];

    assert_int_equal(pipe2(from, O_CLOEXEC), 0);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(pipe2(to[i], O_CLOEXEC), 0);
    for (int i = 0; i < COUNT; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            for (int k = 0; k < COUNT; k++)
                close(to[k][1]);
            _exit(try_to_serve(f, to[i][0], from[1]));
        }
    }
    for (int round = 0; round < 50; round++) {
        unsigned serve = 0, used = 0;
        char result;
        for (int step = 0; step < 2; step++) {
            for (int i = 0; i < COUNT; i++)
                assert_int_equal(write(to[i][1], "", 1), 1);
            for (int i = 0; i < COUNT; i++) {
                assert_int_equal(read(from[0], &result, 1), 1);
                serve += result == 's';
                used += result == 'u';
            }
        }
        assert_int_equal(serve, 1);
        assert_int_equal(used, COUNT - 1);
    }
    for (int i = 0; i < COUNT; i++) {
        close(to[i][0]);
        close(to[i][1]);
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    close(from[0]);
    close(from[1]);
}

/* A backup calls current what may not be served any more: being alive says nothing about it. */
static void a_restored_backup_is_told_what_is_served(void **state)
{
    struct fixture *f = *state;
    const struct ledger_entry entries[] = {
        {.domain = STS_STR("a.example"), .policy = numbered_policy(f, 1)},
        {.domain = STS_STR("b.example"), .policy = numbered_policy(f, 1)}};

    reopen(f, LEDGER_WRITE);
    assert_true(ledger_serve(f->ledger, entries, 2, NOW, &f->diags));
    ledger_close(f->ledger);
    f->ledger = NULL;
    struct sts_str backup = contents(f, f->path);
    reopen(f, LEDGER_WRITE);
    assert_true(ledger_serve(f->ledger, entries, 1, NOW + 10, &f->diags));
    /* Its journal stays behind; it must not be played into the backup. */
    put(beside(f, ".new"), backup.ptr, backup.len);
    assert_int_equal(rename(beside(f, ".new"), f->path), 0);
    assert_int_equal(latest(f, "b.example").last_served, 0);
    assert_null(f->diags.first); /* who reads may tell nobody */
    assert_false(ledger_touch(f->ledger, NOW + 60, &f->diags));
    assert_int_equal(f->diags.warnings, 1);
    assert_string_equal(f->diags.first->code, "ledger-replaced");
    sts_diags_init(&f->diags, f->arena);
    assert_int_equal(latest(f, "b.example").last_served, 0);
    for (int i = 0; i < 2; i++) {
        assert_false(ledger_touch(f->ledger, NOW + 60, &f->diags));
        expect_error(f, "ledger-replaced");
    }
    assert_int_equal(raw_int(f, "SELECT at FROM alive"), NOW);
    assert_true(ledger_serve(f->ledger, entries, 1, NOW + 70, &f->diags));
    assert_true(ledger_touch(f->ledger, NOW + 80, &f->diags));
    assert_int_equal(latest(f, "b.example").last_served, NOW + 70);
    expect_consistent(f);
}

/* Nothing is ever written to a file that nobody will find, and nothing that was written is lost. */
static void a_ledger_that_goes_away(void **state)
{
    struct fixture *f = *state;
    const char *away = sts_arena_printf(f->arena, "%s.away", f->dir).ptr;
    const struct ledger_entry entries[] = {{STS_STR("a.example"), numbered_policy(f, 1), {0}},
                                           {STS_STR("b.example"), numbered_policy(f, 1), {0}}};
    const struct ledger_entry next[] = {{STS_STR("b.example"), numbered_policy(f, 2), {0}}};
    const struct ledger_change change = {next, 1, NULL, 0};

    reopen(f, LEDGER_WRITE);
    assert_true(ledger_serve(f->ledger, entries, 2, NOW, &f->diags));
    const char *a = latest(f, "a.example").id, *b = latest(f, "b.example").id;
    /* The whole directory goes away: what is open can be read, and is told when it is back. */
    assert_int_equal(rename(f->dir, away), 0);
    for (int i = 0; i < 2; i++) {
        assert_false(ledger_touch(f->ledger, NOW + 6, &f->diags));
        expect_error(f, "ledger-deleted");
    }
    assert_string_equal(latest(f, "a.example").id, a);
    assert_int_equal(rename(away, f->dir), 0);
    assert_true(ledger_touch(f->ledger, NOW + 7, &f->diags));
    assert_null(f->diags.first); /* it is the same file */
    /* A FIFO takes its place, and goes: then it was deleted, and is written again. */
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(mkfifo(f->path, 0600), 0);
    assert_false(ledger_change(f->ledger, &change, NOW + 8, &f->diags));
    expect_error(f, "ledger-foreign");
    struct ledger_instance i;
    struct ledger_history h;
    assert_false(ledger_latest(f->ledger, f->arena, STS_STR("a.example"), &i, &f->diags));
    expect_error(f, "ledger-foreign");
    assert_false(ledger_each_history(f->ledger, NULL, NULL, &f->diags));
    expect_error(f, "ledger-foreign");
    assert_false(ledger_each_instance(f->ledger, STS_STR("a.example"), NULL, NULL, &f->diags));
    expect_error(f, "ledger-foreign");
    assert_false(ledger_history(f->ledger, f->arena, STS_STR("a.example"), &h, &f->diags));
    expect_error(f, "ledger-foreign");
    assert_int_equal(unlink(f->path), 0);
    assert_string_equal(latest(f, "b.example").id, b);
    /* Of what it was told meanwhile it knows nothing, and says so as ever. */
    assert_false(ledger_change(f->ledger, &change, NOW + 9, &f->diags));
    assert_int_equal(f->diags.warnings, 1);
    assert_string_equal(f->diags.first->code, "ledger-rescued");
    sts_diags_init(&f->diags, f->arena);
    assert_true(ledger_serve(f->ledger, entries, 2, NOW + 10, &f->diags));
    assert_string_equal(latest(f, "a.example").id, a);
    assert_string_equal(latest(f, "b.example").id, b);
    expect_consistent(f);
}

enum deletion { DELETED_FILE, DELETED_ALL, DELETED_JOURNAL_LEFT_BY_ANOTHER };

/* Whatever is deleted of it, the next change finds a ledger with all ids. */
static void a_deleted_ledger_is_written_again(void **state)
{
    struct fixture *f = *state;
    const struct ledger_entry entries[] = {{STS_STR("a.example"), numbered_policy(f, 1), {0}},
                                           {STS_STR("b.example"), numbered_policy(f, 1), {0}}};
    const struct ledger_change change = {entries + 1, 1, NULL, 0};

    reopen(f, LEDGER_WRITE);
    assert_true(ledger_serve(f->ledger, entries, 1, NOW, &f->diags));
    const char *a = latest(f, "a.example").id;
    for (enum deletion how = DELETED_FILE; how <= DELETED_JOURNAL_LEFT_BY_ANOTHER; how++) {
        assert_int_equal(unlink(f->path), 0);
        if (how != DELETED_FILE) {
            assert_int_equal(unlink(beside(f, "-wal")), 0);
            assert_int_equal(unlink(beside(f, "-shm")), 0);
        }
        if (how == DELETED_JOURNAL_LEFT_BY_ANOTHER) {
            put(beside(f, "-wal"), "something", 9);
            put(beside(f, ".new"), "a copy that somebody began", 26);
        }
        assert_true(ledger_change(f->ledger, &change, NOW + 1 + how, &f->diags));
        expect_diag(f, STS_WARNING, "ledger-rescued");
        assert_true(ledger_touch(f->ledger, NOW + 10 + how, &f->diags));
        assert_null(f->diags.first);
        assert_string_equal(latest(f, "a.example").id, a);
        assert_int_equal(latest(f, "b.example").first_served, NOW + 1);
        assert_int_equal(raw_int(f, "SELECT count(*) FROM instance"), 2);
        assert_int_equal(raw_int(f, "SELECT at FROM alive"), NOW + 10 + how);
        assert_string_equal(raw_text(f, "PRAGMA journal_mode"), "wal");
        assert_int_equal(mode_of(f->path), 0600);
        assert_int_not_equal(access(beside(f, ".new"), F_OK), 0);
        expect_consistent(f);
    }
    reopen(f, LEDGER_WRITE);
    assert_string_equal(latest(f, "a.example").id, a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LEDGER(files_are_private),
        WITH_LEDGER(what_is_the_owners_is_not_given_away),
        WITH_LEDGER(root_gives_files_to_the_owner_of_the_directory),
        WITH_LEDGER(reading_what_is_not_there),
        WITH_LEDGER(a_file_that_is_no_database),
        WITH_LEDGER(a_damaged_database),
        WITH_LEDGER(the_database_of_another_program),
        WITH_LEDGER(only_regular_files),
        WITH_LEDGER(paths_that_lead_nowhere),
        WITH_LEDGER(permissions),
        WITH_LEDGER(names_are_names),
        WITH_LEDGER(a_symbolic_link_is_followed),
        WITH_LEDGER(reading_while_another_writes),
        WITH_LEDGER(a_lock_that_is_never_given_back),
        WITH_LEDGER(a_newer_schema),
        WITH_LEDGER(migrations),
        WITH_LEDGER(the_first_schema_stays),
        WITH_LEDGER(an_older_ledger_is_read_by_who_asks_for_it),
        WITH_LEDGER(locks),
        WITH_LEDGER(one_server),
        WITH_LEDGER(several_servers_at_once),
        WITH_LEDGER(a_restored_backup_is_told_what_is_served),
        WITH_LEDGER(a_ledger_that_goes_away),
        WITH_LEDGER(a_deleted_ledger_is_written_again),
    };
    return cmocka_run_group_tests_name("ledger_open", tests, NULL, NULL);
}
