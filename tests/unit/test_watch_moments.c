/* Unit tests of server/sys/watch: what changes in the middle of a look is not lost. */
#include "tests/unit/watch_fixture.h"

#include <dirent.h>
#include <sys/inotify.h>
#include <sys/syscall.h>

/* A test may set `meanwhile`, for what another process does in the middle of a look: it runs before
 * the `when`-th of these calls, counted from 0. */
static void (*meanwhile)(void);
static int calls, when;

static void interrupt(void)
{
    if (meanwhile && calls++ == when)
        meanwhile();
}

int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
    interrupt();
    return (int)syscall(SYS_inotify_add_watch, fd, path, mask);
}

int lstat(const char *path, struct stat *st)
{
    interrupt();
    return fstatat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

ssize_t readlink(const char *path, char *to, size_t size)
{
    interrupt();
    return readlinkat(AT_FDCWD, path, to, size);
}

DIR *opendir(const char *path)
{
    interrupt();
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? NULL : fdopendir(fd);
}

static void swap_in_the_middle(void)
{
    meanwhile = NULL;
    make_dir("real/new");
    put("real/new/a.yaml", "y");
    point("one", "real/new");
}

static void rewrite_in_the_middle(void)
{
    meanwhile = NULL;
    put("real/old/a.yaml", "y");
}

static void replace_in_the_middle(void)
{
    meanwhile = NULL;
    move("real", "gone");
    make_dir("real");
    make_dir("real/old");
    put("real/old/a.yaml", "y");
}

/* A folder with a link to one inside, and what happens to it armed for moment `at`. */
static struct watch *prepare(void **state, void (*happens)(void), int at)
{
    assert_int_equal(set_up(state), 0);
    make_dir("real");
    make_dir("real/old");
    put("real/old/a.yaml", "x");
    point("one", "real/old");
    calls = 0;
    when = at;
    meanwhile = happens;
    return watch_new();
}

/* While watches are set: there is an event, or they are set on what is new. */
static bool while_setting(void **state, const struct watch_target *target, void (*happens)(void),
                          int at)
{
    struct watch *w = prepare(state, happens, at);

    watch_these(w, target->kind, target->path, NULL, NULL);
    bool happened = meanwhile == NULL;
    meanwhile = NULL;
    if (!watch_read(w)) {
        put("one/a.yaml", "z");
        assert_true(woken(w));
    }
    watch_free(w);
    assert_int_equal(tear_down(state), 0);
    return happened;
}

/* While watches are set once more, or the comparison after that is made: the watches that are there
 * already never miss an event. */
static bool after_reading(void **state, const struct watch_target *target, void (*happens)(void),
                          int at)
{
    struct watch *w = prepare(state, NULL, at);

    watch_these(w, target->kind, target->path, NULL, NULL);
    assert_true(watch_changed(w));
    is_quiet(w);
    calls = 0;
    meanwhile = happens;
    watch_these(w, target->kind, target->path, NULL, NULL);
    bool set_before = meanwhile != NULL;
    bool changed = watch_changed(w);
    bool happened = meanwhile == NULL;
    meanwhile = NULL;
    assert_true(changed || set_before || !happened);
    assert_int_equal(watch_read(w), happened);
    watch_free(w);
    assert_int_equal(tear_down(state), 0);
    return happened;
}

/* Whatever happens at whichever moment of a look. */
static void no_moment_is_missed(void **state)
{
    static void (*const happens[])(void) = {swap_in_the_middle, rewrite_in_the_middle,
                                            replace_in_the_middle};
    static const struct watch_target targets[] = {
        {WATCH_FILE, "one/a.yaml"}, {WATCH_FILE, "o*/*.yaml"}, {WATCH_TREE, "one"}};
    int moments = 0;

    for (size_t i = 0; i < 9; i++) {
        for (int at = 0; while_setting(state, &targets[i / 3], happens[i % 3], at); at++)
            moments++;
        for (int at = 0; after_reading(state, &targets[i / 3], happens[i % 3], at); at++)
            moments++;
    }
    assert_true(moments > 9 * 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_moment_is_missed)};
    return cmocka_run_group_tests_name("watch_moments", tests, NULL, NULL);
}
