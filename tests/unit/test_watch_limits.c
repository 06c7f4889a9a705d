/* Unit tests of server/sys/watch: where the kernel gives no watches or no events. */
#include "tests/unit/watch_fixture.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static const char *const limit_names[] = {"/proc/sys/user/max_inotify_instances",
                                          "/proc/sys/user/max_inotify_watches"};
enum { INSTANCES, WATCHES, NO_NAMESPACES = 77 };

static void limit(int which, int value)
{
    int fd = open(limit_names[which], O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        _exit(NO_NAMESPACES);
    CHECK(dprintf(fd, "%d\n", value) > 0);
    close(fd);
}

/* In a chroot the kernel makes no user namespace, not for root either. */
static bool in_chroot(void)
{
    FILE *mounts = fopen("/proc/self/mountinfo", "r");
    char line[4096], place[4096] = "";

    if (!mounts)
        return false;
    while (strcmp(place, "/") != 0 && fgets(line, sizeof(line), mounts))
        sscanf(line, "%*s %*s %*s %*s %4095s", place);
    fclose(mounts);
    return strcmp(place, "/") != 0;
}

/* Runs `work` in a child, whose limits and mounts are its own when `flags` say so. By clone(2),
 * because unshare(2) makes no user namespace in a program with threads, and ThreadSanitizer has
 * one. */
static void in_child(long flags, void (*work)(void))
{
    int status;
    pid_t child = (pid_t)syscall(SYS_clone, flags | SIGCHLD, 0L, 0L, 0L, 0L);

    if (child == 0) {
        work();
        _exit(0);
    }
    if (child < 0 && (geteuid() != 0 || ((flags & CLONE_NEWUSER) && in_chroot())))
        skip();
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_NAMESPACES && geteuid() != 0)
        skip();
    assert_int_equal(status, 0);
}

/* --- limits ---------------------------------------------------------------------------------- */

static void with_few_watches(void)
{
    for (int i = 0; i < 20; i++) {
        make_dir(numbered("certs/%d", i));
        put(numbered("certs/%d/tls.crt", i), "x");
    }
    limit(WATCHES, 12);
    struct watch *w = watch_new();
    for (int i = 0; i < 3; i++) {
        watch_these(w, WATCH_TREE, "certs", NULL, NULL);
        struct watch_state s = state_of(w);
        CHECK(s.polling && s.error == ENOSPC);
        CHECK(s.watches == 12 && kernel_watches(w) == 12);
        CHECK(s.failed >= 10);
    }
    CHECK(watch_changed(w) && !watch_changed(w));
    for (int i = 0; i < 20; i++) { /* by events or not */
        put(numbered("certs/%d/tls.crt", i), "y");
        CHECK(watch_changed(w) && !watch_changed(w));
    }
    CHECK(watch_read(w)); /* some */
    limit(WATCHES, 1000);
    watch_these(w, WATCH_TREE, "certs", NULL, NULL);
    CHECK(!state_of(w).polling && !state_of(w).error && !state_of(w).failed);
    CHECK(state_of(w).watches == kernel_watches(w) && kernel_watches(w) > 22);
    for (int i = 0; i < 20; i++) {
        CHECK(!watch_read(w));
        put(numbered("certs/%d/tls.crt", i), "z");
        CHECK(watch_read(w));
    }
    watch_free(w);
}

static void too_few_watches(void **state)
{
    (void)state;
    make_dir("certs");
    in_child(CLONE_NEWUSER, with_few_watches);
}

static void with_no_instance(void)
{
    limit(INSTANCES, 0);
    struct watch *w = watch_new();
    for (int i = 0; i < 3; i++) {
        CHECK(watch_descriptor(w) == -1 && !watch_read(w));
        CHECK(state_of(w).polling && state_of(w).error == EMFILE && !state_of(w).watches);
        put("a.yaml", numbered("%d", i));
        watch_these(w, WATCH_FILE, "*.yaml", NULL, NULL);
        CHECK(watch_changed(w) && !watch_changed(w));
    }
    limit(INSTANCES, 1);
    watch_these(w, WATCH_FILE, "*.yaml", NULL, NULL);
    CHECK(watch_descriptor(w) >= 0 && !state_of(w).polling && !state_of(w).error);
    put("a.yaml", "x");
    CHECK(woken(w));
    watch_free(w);
}

static void no_instance(void **state)
{
    (void)state;
    in_child(CLONE_NEWUSER, with_no_instance);
}

static void with_no_descriptors(void)
{
    struct rlimit all, none = {0};
    struct watch *w = watch_new();

    CHECK(getrlimit(RLIMIT_NOFILE, &all) == 0);
    none.rlim_max = all.rlim_max;
    watch_these(w, WATCH_TREE, "certs", NULL, NULL);
    CHECK(watch_changed(w) && !state_of(w).polling);
    size_t watches = kernel_watches(w);
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    watch_these(w, WATCH_TREE, "certs", NULL, NULL);
    CHECK(state_of(w).polling && state_of(w).error == EMFILE && state_of(w).failed == 1);
    CHECK(watch_changed(w)); /* what is there is not known */
    CHECK(setrlimit(RLIMIT_NOFILE, &all) == 0);
    CHECK(watch_changed(w));
    watch_these(w, WATCH_TREE, "certs", NULL, NULL);
    CHECK(!state_of(w).polling && kernel_watches(w) == watches);
    put("certs/one/tls.crt", "x");
    CHECK(watch_read(w));
    watch_free(w);
}

static void no_descriptors(void **state)
{
    (void)state;
    make_dir("certs");
    make_dir("certs/one");
    in_child(0, with_no_descriptors);
}

/* --- permissions ----------------------------------------------------------------------------- */

/* A home that may be entered but not read, and a folder inside that may be read. */
static void as_somebody_else(void)
{
    CHECK(geteuid() != 0 || setresuid(65534, 65534, 65534) == 0);
    struct watch *w = watch_new();
    watch_these(w, WATCH_FILE, "home/one/a.yaml", NULL, NULL);
    CHECK(state_of(w).polling && state_of(w).error == EACCES && state_of(w).failed == 1);
    CHECK(watch_changed(w) && !watch_changed(w) && !watch_read(w));
    put("home/one/a.yaml", "x");
    CHECK(watch_read(w) && watch_changed(w));
    /* The folder itself tells that it goes, though the one above cannot. */
    move("home/one", "home/two");
    CHECK(watch_read(w) && watch_changed(w));
    move("home/two", "home/one");
    CHECK(watch_read(w) && watch_changed(w));
    watch_these(w, WATCH_FILE, "home/one/a.yaml", "home/*/a.yaml", NULL);
    CHECK(state_of(w).failed == 2 && watch_changed(w) && !watch_changed(w));
    watch_these(w, WATCH_FILE, "closed/one/a.yaml", NULL, NULL);
    CHECK(state_of(w).polling && state_of(w).error == EACCES);
    CHECK(watch_changed(w) && !watch_changed(w));
    watch_free(w);
}

static void unreadable_directories(void **state)
{
    (void)state;
    make_dir("home");
    make_dir("home/one");
    make_dir("closed");
    assert_int_equal(chmod(in_dir("home/one"), 0777), 0);
    assert_int_equal(chmod(in_dir("home"), 0333), 0);
    assert_int_equal(chmod(in_dir("closed"), 0), 0);
    in_child(0, as_somebody_else);
    assert_int_equal(chmod(in_dir("home"), 0700), 0);
    assert_int_equal(chmod(in_dir("closed"), 0700), 0);
}

/* --- mounts ---------------------------------------------------------------------------------- */

/* In the child: two names for one directory are one watch to the kernel. */
static void mount_one_on_two(struct watch *w)
{
    CHECK(mount(in_dir("one"), in_dir("two"), NULL, MS_BIND, NULL) == 0);
    watch_these(w, WATCH_FILE, "one/a.yaml", "two/b.yaml", NULL);
    CHECK(state_of(w).watches == kernel_watches(w));
    watch_changed(w);
    CHECK(!watch_read(w));
    put("one/c.yaml", "x");
    CHECK(!watch_read(w));
    put("one/b.yaml", "x");
    CHECK(watch_read(w) && watch_changed(w));
    put("two/a.yaml", "x");
    CHECK(watch_read(w) && watch_changed(w));
    watch_these(w, WATCH_FILE, "one/a.yaml", NULL, NULL);
    put("one/a.yaml", "y");
    CHECK(watch_read(w));
    put("one/b.yaml", "y");
    CHECK(!watch_read(w));
    CHECK(umount(in_dir("two")) == 0);
}

/* In the child: no event tells of a mount; the end of one has an event. */
static void mount_over(struct watch *w)
{
    watch_these(w, WATCH_FILE, "one/a.yaml", NULL, NULL);
    watch_changed(w);
    CHECK(mount("none", in_dir("one"), "tmpfs", 0, NULL) == 0);
    CHECK(!watch_read(w));
    CHECK(watch_changed(w));
    watch_these(w, WATCH_FILE, "one/a.yaml", NULL, NULL);
    CHECK(!watch_changed(w));
    put("one/a.yaml", "x");
    CHECK(watch_read(w) && watch_changed(w));
    CHECK(!watch_read(w) && !watch_changed(w));
    CHECK(umount(in_dir("one")) == 0);
    CHECK(watch_read(w) && watch_changed(w));
    CHECK(state_of(w).watches == kernel_watches(w));
    watch_these(w, WATCH_FILE, "one/a.yaml", NULL, NULL);
    put("one/a.yaml", "x");
    CHECK(watch_read(w) && watch_changed(w));
}

static uid_t user; /* outside of the namespace */
static gid_t group;

static void put_self(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CLOEXEC);

    CHECK(fd >= 0 && write(fd, text, strlen(text)) > 0);
    close(fd);
}

/* In a namespace without it, this user could make no files on a file system of the namespace. */
static void keep_user(void)
{
    put_self("/proc/self/setgroups", "deny");
    put_self("/proc/self/uid_map", numbered("%1$d %1$d 1", (int)user));
    put_self("/proc/self/gid_map", numbered("%1$d %1$d 1", (int)group));
}

static void with_own_mounts(void)
{
    if (user != 0)
        keep_user();
    /* In a chroot / is no mount point; then nothing below it is shared. */
    CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 || in_chroot());
    struct watch *w = watch_new();
    mount_one_on_two(w);
    mount_over(w);
    watch_free(w);
}

static void mounts_are_noticed(void **state)
{
    (void)state;
    make_dir("one");
    make_dir("two");
    user = geteuid();
    group = getegid();
    in_child(CLONE_NEWNS | (geteuid() == 0 ? 0 : CLONE_NEWUSER), with_own_mounts);
}

int main(void)
{
#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        IN_DIR(too_few_watches),        IN_DIR(no_instance),        IN_DIR(no_descriptors),
        IN_DIR(unreadable_directories), IN_DIR(mounts_are_noticed),
    };
    return cmocka_run_group_tests_name("watch_limits", tests, NULL, NULL);
}
