/* Unit tests of server/sys/watch: what counts as an event, what is lost and found again, and that
 * nothing piles up. */
#include "tests/unit/watch_fixture.h"

#include <dirent.h>
#include <sys/mman.h>

/* A slow look at all meets changes on their way. */
static void what_is_told_is_no_surprise(void **state)
{
    (void)state;
    struct watch *w = watch_new();
    char tree[PATH_MAX], pattern[PATH_MAX];
    bool news;

    make_dir("tenants.d");
    make_dir("archive");
    make_dir("live");
    make_dir("live/a");
    make_dir("live/b");
    put("tenants.d/1.yaml", "x");
    put("archive/cert1.pem", "x");
    put("live/b/cert.pem", "x");
    point("live/a/cert.pem", "../../archive/cert1.pem");
    strcpy(tree, in_dir("live"));
    strcpy(pattern, in_dir("tenants.d/*.yaml"));
    const struct watch_target targets[] = {{WATCH_FILE, pattern}, {WATCH_TREE, tree}};
    watch_set_changed(w, targets, 2);
    assert_false(watch_changed_untold(w, &news) || news);
    for (int i = 0; i < 8; i++) {
        watch_read(w);
        watch_forget(w);
        if (i & 1)
            put("tenants.d/1.yaml", numbered("y%d", i));
        if (i & 2)
            put("live/b/cert.pem", numbered("y%d", i));
        if (i & 4) {
            put(numbered("archive/cert%d.pem", 2 + i), "z");
            point("live/a/cert.pem", numbered("../../archive/cert%d.pem", 2 + i));
        }
        assert_false(watch_changed_untold(w, &news));
        assert_true(news == (i > 0));
        struct watch_told told;
        assert_true(watch_told(w, &told));
        watch_settle(w); /* as one that looks at them does */
        watch_forget(w);
        assert_false(watch_changed_untold(w, &news) || news);
        assert_false(watch_changed(w));
    }
    /* What no event told of is found, and what one told of is not lost with it. */
    put("live/b/cert.pem", "unseen");
    watch_read(w);
    watch_forget(w);
    put("tenants.d/1.yaml", "seen");
    assert_true(watch_changed_untold(w, &news) && news);
    assert_true(watch_changed(w));
    assert_false(watch_changed(w));
    watch_free(w);
}

static void other_names_are_ignored(void **state)
{
    (void)state;
    struct watch *w = watch_new();

    make_dir("tenants.d");
    make_dir("customers");
    make_dir("customers/one");
    put("main.yaml", "x");
    put("tenants.d/a.yaml", "x");
    put("customers/one/sts.yaml", "x");
    watch_these(w, WATCH_FILE, "main.yaml", "tenants.d/*.yaml", "customers/*/sts.yaml");
    assert_true(watch_changed(w));
    is_quiet(w);
    put("access.log", "x"); /* beside the main file */
    put("access.log", "xy");
    remove_file("access.log");
    put("tenants.d/.a.yaml.swp", "x");
    put("tenants.d/.#a.yaml", "x");
    put("tenants.d/4913", "x");
    put("tenants.d/a.yaml~", "x");
    put("tenants.d/#a.yaml#", "x");
    move("tenants.d/#a.yaml#", "tenants.d/b.yaml.tmp");
    make_dir("customers/.git");
    put("customers/one/sts.yaml.new", "x");
    put("main.yaml.new", "x");
    is_quiet(w);
    move("main.yaml.new", "main.yaml");
    is_noticed(w);
    put("customers/one/sts.yaml", "y");
    is_noticed(w);
    put("tenants.d/a.yaml", "y");
    is_noticed(w);
    is_quiet(w);
    watch_free(w);
}

/* Whether what happened since the call before is known to be this one file (NULL: any more). */
static bool told(struct watch *w, const char *directory, const char *name)
{
    struct watch_told now;

    assert_true(watch_read(w));
    bool all = watch_told(w, &now);
    bool good = name ? all && now.file_count == 1 && !now.entry_count &&
                           sts_str_is(now.files[0].name, name) &&
                           file_id_same(now.files[0].directory, file_identify(in_dir(directory)))
                     : !all;
    watch_forget(w);
    return good;
}

static void files_of_patterns_are_told_by_name(void **state)
{
    (void)state;
    struct watch *w = watch_new();

    make_dir("tenants.d");
    make_dir("customers");
    make_dir("customers/one");
    put("main.yaml", "x");
    put("elsewhere.yaml", "x");
    put("tenants.d/a.yaml", "x");
    point("tenants.d/link.yaml", "../elsewhere.yaml");
    put("customers/one/sts.yaml", "x");
    watch_these(w, WATCH_FILE, "main.yaml", "tenants.d/*.yaml", "customers/*/*.yaml");
    put("tenants.d/a.yaml", "y");
    put("tenants.d/a.yaml", "z");
    assert_true(told(w, "tenants.d", "a.yaml"));
    put("tenants.d/a.yaml.new", "y");
    move("tenants.d/a.yaml.new", "tenants.d/a.yaml");
    assert_true(told(w, "tenants.d", "a.yaml"));
    put("tenants.d/b.yaml", "y");
    assert_true(told(w, "tenants.d", "b.yaml"));
    remove_file("tenants.d/b.yaml");
    assert_true(told(w, "tenants.d", "b.yaml"));
    put("tenants.d/b.yaml", "y");
    point("tenants.d/b.yaml", "../elsewhere.yaml");
    assert_true(told(w, NULL, NULL));
    watch_these(w, WATCH_FILE, "main.yaml", "tenants.d/*.yaml", "customers/*/*.yaml");
    put("customers/one/sts.yaml", "y");
    assert_true(told(w, "customers/one", "sts.yaml"));
    put("main.yaml", "y");
    assert_true(told(w, ".", "main.yaml"));
    put("main.yaml.new", "z");
    move("main.yaml.new", "main.yaml");
    assert_true(told(w, ".", "main.yaml"));
    put("elsewhere.yaml", "y"); /* where a link leads */
    assert_true(told(w, NULL, NULL));
    make_dir("tenants.d/d.yaml");
    assert_true(told(w, NULL, NULL));
    make_dir("customers/two");
    assert_true(told(w, NULL, NULL));
    for (int i = 0; i <= WATCH_TOLD_MAX; i++)
        put(numbered("tenants.d/many%d.yaml", i), "x");
    assert_true(told(w, NULL, NULL));
    put("tenants.d/a.yaml", "y");
    assert_true(told(w, "tenants.d", "a.yaml"));
    watch_free(w);
}

/* The same of a name in a directory of a tree. */
static bool told_entry(struct watch *w, const char *directory, const char *name)
{
    struct watch_told now;
    char *path = realpath(in_dir(directory), NULL);

    assert_true(watch_read(w));
    bool good = watch_told(w, &now) && now.entry_count > 0 && !now.file_count;
    for (size_t i = 0; good && i < now.entry_count; i++)
        good = sts_str_is(now.entries[i].directory, path);
    bool named = false;
    for (size_t i = 0; good && i < now.entry_count; i++)
        named = named || sts_str_is(now.entries[i].name, name);
    watch_forget(w);
    free(path);
    return good && named;
}

/* So many directories that are new, and nothing else happened; -1: more did. */
static int told_folders(struct watch *w)
{
    struct watch_told now;

    assert_true(watch_read(w));
    bool good = watch_told(w, &now) && !now.file_count && !now.entry_count;
    int count = good ? (int)now.folder_count : -1;
    watch_forget(w);
    return count;
}

static void entries_of_trees_are_told_with_their_directory(void **state)
{
    (void)state;
    struct watch *w = watch_new();

    make_dir("archive");
    make_dir("archive/a");
    make_dir("live");
    make_dir("live/a");
    make_dir("live/b");
    make_dir("elsewhere");
    put("archive/a/cert1.pem", "x");
    point("live/a/cert.pem", "../../archive/a/cert1.pem");
    put("live/b/cert.pem", "x");
    watch_these(w, WATCH_TREE, "live", NULL, NULL);
    put("live/b/cert.pem", "y");
    assert_true(told_entry(w, "live/b", "cert.pem"));
    put("live/b/.new", "z");
    move("live/b/.new", "live/b/cert.pem");
    assert_true(told_entry(w, "live/b", "cert.pem"));
    remove_file("live/b/cert.pem");
    assert_true(told_entry(w, "live/b", "cert.pem"));
    /* As certbot renews. */
    put("archive/a/cert2.pem", "y");
    assert_false(watch_read(w));
    point("live/a/cert.pem", "../../archive/a/cert2.pem");
    assert_true(told_entry(w, "live/a", "cert.pem"));
    put("archive/a/cert2.pem", "z");
    assert_false(watch_read(w));
    point("live/a/cert.pem", "../../archive/a/cert2.pem");
    assert_true(watch_read(w));
    watch_settle(w);
    watch_forget(w);
    put("archive/a/cert2.pem", "y"); /* where a link leads */
    assert_true(told(w, NULL, NULL));
    make_dir("live/c");
    assert_int_equal(told_folders(w), 1);
    point("live/c/more", "../../elsewhere");
    watch_these(w, WATCH_TREE, "live", NULL, NULL);
    put("live/c/cert.pem", "x"); /* it holds a link to a directory... */
    assert_true(told(w, NULL, NULL));
    point("live/d", "../elsewhere");
    watch_these(w, WATCH_TREE, "live", NULL, NULL);
    put("elsewhere/cert.pem", "x"); /* ...and such a link leads here */
    assert_true(told(w, NULL, NULL));
    put("live/cert.pem", "x");
    assert_true(told(w, NULL, NULL));
    put("live/b/cert.pem", "x");
    assert_true(told_entry(w, "live/b", "cert.pem"));
    for (int i = 0; i <= WATCH_TOLD_MAX; i++)
        put(numbered("live/b/many%d.pem", i), "x");
    assert_true(told(w, NULL, NULL));
    watch_free(w);
}

/* What is new is watched as if it had been there from the beginning. */
static void new_folders_are_told_and_watched(void **state)
{
    (void)state;
    struct watch *w = watch_new(), *fresh = watch_new();
    struct watch_state is, must;

    make_dir("archive");
    make_dir("certs");
    make_dir("certs/live");
    make_dir("certs/live/a");
    put("certs/live/a/cert.pem", "x");
    watch_these(w, WATCH_TREE, "certs", NULL, NULL);
    watch_changed(w);
    make_dir("certs/live/b"); /* as certbot makes one */
    make_dir("archive/b");
    put("archive/b/cert1.pem", "x");
    point("certs/live/b/cert.pem", "../../../archive/b/cert1.pem");
    make_dir("certs/.new"); /* whole at once */
    make_dir("certs/.new/in");
    put("certs/.new/in/cert.pem", "x");
    move("certs/.new", "certs/c");
    make_dir("certs/live/a/below"); /* too deep */
    put("certs/live/a/below/cert.pem", "x");
    struct watch_told now;
    assert_true(watch_read(w) && watch_told(w, &now));
    assert_int_equal(now.folder_count, 3);
    watch_settle(w);
    watch_forget(w);
    assert_false(watch_changed(w));
    watch_these(fresh, WATCH_TREE, "certs", NULL, NULL);
    watch_state(w, &is);
    watch_state(fresh, &must);
    assert_int_equal(is.watches, must.watches);

    put("certs/live/b/other.pem", "y");
    assert_true(told_entry(w, "certs/live/b", "other.pem"));
    put("archive/b/cert1.pem", "y");
    assert_true(told(w, NULL, NULL));
    put("certs/c/in/cert.pem", "y");
    assert_true(told_entry(w, "certs/c/in", "cert.pem"));
    put("certs/c/cert.pem", "y");
    assert_true(told_entry(w, "certs/c", "cert.pem"));
    make_dir("certs/c/more");
    assert_int_equal(told_folders(w), 1);
    put("certs/live/a/below/cert.pem", "y");
    assert_false(watch_read(w));
    move("certs/c", "certs/d"); /* gone and new */
    assert_int_equal(told_folders(w), -1);
    make_dir("certs/archive"); /* beside live/ it is passed over */
    assert_int_equal(told_folders(w), -1);
    for (int i = 0; i <= WATCH_TOLD_MAX; i++)
        make_dir(numbered("certs/live/many%d", i));
    assert_int_equal(told_folders(w), -1);
    watch_free(w);
    watch_free(fresh);
}

/* Whether all that happened was told, and is no news for the slow way then. */
static bool told_and_settled(struct watch *w)
{
    struct watch_told now;

    assert_true(watch_read(w));
    bool all = watch_told(w, &now);
    watch_settle(w);
    watch_forget(w);
    return all && !watch_changed(w);
}

/* What was told and looked at is no news for the slow way; all else is. */
static void what_is_settled_is_no_change(void **state)
{
    (void)state;
    struct watch *w = watch_new();
    char tree[PATH_MAX], pattern[PATH_MAX], file[PATH_MAX];

    make_dir("tenants.d");
    make_dir("archive");
    make_dir("archive/a");
    make_dir("live");
    make_dir("live/a");
    make_dir("live/b");
    put("main.yaml", "x");
    for (int i = 0; i < 9; i++)
        put(numbered("tenants.d/%d.yaml", i), "x");
    put("archive/a/cert1.pem", "x");
    put("live/b/cert.pem", "x");
    point("live/a/cert.pem", "../../archive/a/cert1.pem");
    strcpy(tree, in_dir("live"));
    strcpy(pattern, in_dir("tenants.d/*.yaml"));
    strcpy(file, in_dir("main.yaml"));
    const struct watch_target targets[] = {
        {WATCH_FILE, file}, {WATCH_FILE, pattern}, {WATCH_TREE, tree}};
    assert_true(watch_set_changed(w, targets, 3));
    assert_false(watch_set_changed(w, targets, 3));
    assert_false(watch_changed(w));
    watch_forget(w);
    for (int i = 0; i < 3; i++) {
        put("main.yaml", "yy");
        put("tenants.d/1.yaml", "yy");
        put("tenants.d/.new", "zzz");
        move("tenants.d/.new", "tenants.d/2.yaml");
        put(numbered("archive/a/cert%d.pem", 2 + i), "yy");
        char target[100];
        snprintf(target, sizeof(target), "../../archive/a/cert%d.pem", 2 + i);
        point("live/a/cert.pem", target);
        put("live/b/cert.pem", "yy");
        put("live/b/other.pem", "yy");
        assert_true(watch_read(w));
        if (i < 2)
            watch_settle(w);
        watch_forget(w);
        assert_true(watch_changed(w) == (i == 2));
        assert_false(watch_changed(w));
    }
    put("tenants.d/1.yaml", "x");
    assert_true(watch_read(w));
    put("tenants.d/3.yaml", "yyyy");
    watch_settle(w);
    watch_forget(w);
    assert_true(watch_changed(w));
    remove_file("live/b/other.pem");
    assert_true(watch_read(w));
    watch_settle(w);
    watch_forget(w);
    assert_false(watch_changed(w));
    /* What is gone leaves nothing behind, but what a target names is looked for all the same. */
    remove_file("tenants.d/3.yaml");
    assert_true(told_and_settled(w));
    remove_file("tenants.d/4.yaml");
    put("tenants.d/4.yaml", "again");
    assert_true(told_and_settled(w));
    remove_file("main.yaml");
    assert_true(told_and_settled(w));
    put("main.yaml", "again");
    assert_true(told_and_settled(w));
    remove_file("live/b/cert.pem");
    remove_tree("live/b");
    assert_true(told_and_settled(w));
    make_dir("live/b");
    put("live/b/cert.pem", "again");
    assert_true(told_and_settled(w));
    remove_file("live/b/cert.pem");
    remove_tree("live/b");
    make_dir("live/b");
    assert_true(told_and_settled(w));
    make_dir("live/c");
    remove_tree("live/c");
    assert_true(told_and_settled(w));
    remove_tree("live/b");
    assert_true(told_and_settled(w));
    remove_tree("live/a");
    assert_false(told_and_settled(w)); /* where its link led */
    remove_tree("live");
    assert_true(told(w, NULL, NULL));
    make_dir("live");
    /* Seen twice, as what is named and by a pattern: no name is told. */
    const struct watch_target twice[] = {{WATCH_FILE, in_dir("tenants.d/1.yaml")},
                                         {WATCH_FILE, pattern}};
    assert_true(watch_set_changed(w, twice, 2));
    put("tenants.d/1.yaml", "z");
    assert_true(told(w, NULL, NULL));
    put("tenants.d/2.yaml", "z");
    assert_true(told(w, "tenants.d", "2.yaml"));
    watch_free(w);
}

static void the_way_counts_by_name_only(void **state)
{
    (void)state;
    struct watch *w = watch_new();

    make_dir("etc");
    make_dir("etc/one");
    make_dir("certs");
    make_dir("certs/live");
    make_dir("certs/live/name");
    make_dir("certs/archive");
    make_dir("certs/archive/name");
    put("certs/archive/name/chain1.pem", "x");
    point("certs/live/name/chain.pem", "../../archive/name/chain1.pem");
    put("etc/one/main.yaml", "x");
    watch_these(w, WATCH_FILE, "etc/one/main.yaml", NULL, NULL);
    assert_true(watch_changed(w));
    put("etc/two", "x");
    make_dir("other");
    put("etc/one/two", "x");
    is_quiet(w);
    watch_these(w, WATCH_TREE, "certs", NULL, NULL);
    assert_true(watch_changed(w));
    is_quiet(w);
    put("certs/archive/name/chain0.pem", "x"); /* an old version */
    make_dir("certs/archive/other");
    put("certs/live/name/.chain.pem.swp", "x"); /* hidden */
    make_dir("certs/.well-known");
    is_quiet(w);
    put("certs/live/name/README", "x"); /* any name may be a certificate's */
    is_noticed(w);
    watch_free(w);
}

/* Names that look like patterns are files too; a pattern's escapes are understood. */
static void patterns_are_names_too(void **state)
{
    static const char *const rows[][2] = {
        {"[a].yaml", "[a].yaml"},
        {"[a].yaml", "a.yaml"},
        {"a\\*.yaml", "a*.yaml"},
        {"a\\b.yaml", "ab.yaml"},
        {"[", "["},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct watch *w = watch_new();
        watch_these(w, WATCH_FILE, rows[i][0], NULL, NULL);
        assert_true(watch_changed(w));
        put("b.yaml", "x");
        is_quiet(w);
        put(rows[i][1], "x");
        is_noticed(w);
        remove_file(rows[i][1]);
        watch_free(w);
    }
    struct watch *w = watch_new();
    put("*", "x");
    watch_these(w, WATCH_TREE, "*", NULL, NULL); /* certificates are no patterns */
    assert_true(watch_changed(w));
    put("a", "x");
    is_quiet(w);
    watch_free(w);
}

/* A writer that never closes the file, and one that has it mapped: it tells by closing only. */
static void odd_writers_are_noticed(void **state)
{
    (void)state;
    static const enum watch_kind kinds[] = {WATCH_FILE, WATCH_TREE};

    for (size_t i = 0; i < 2; i++) {
        struct watch *w = watch_new();
        put("a.yaml", "x");
        watch_these(w, kinds[i], i == 0 ? "a.yaml" : "", NULL, NULL);
        assert_true(watch_changed(w));
        is_quiet(w);
        int fd = open(in_dir("a.yaml"), O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, "yz", 2), 2);
        is_noticed(w);
        assert_int_equal(ftruncate(fd, 1), 0);
        is_noticed(w);
        char *text = mmap(NULL, 1, PROT_WRITE, MAP_SHARED, fd, 0);
        assert_true(text != MAP_FAILED);
        *text = 'z';
        assert_int_equal(munmap(text, 1), 0);
        assert_false(watch_read(w));
        close(fd);
        assert_true(woken(w));
        /* Nobody can read it any more: what is written now does not matter. */
        fd = open(in_dir("a.yaml"), O_WRONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        remove_file("a.yaml");
        is_noticed(w);
        assert_int_equal(write(fd, "x", 1), 1);
        is_quiet(w);
        close(fd);
        watch_free(w);
    }
}

/* Reading is no change, else a look would cause the next one. */
static void readers_are_ignored(void **state)
{
    (void)state;
    struct watch *w = watch_new();
    char c;

    make_dir("one");
    put("one/a.yaml", "x");
    watch_these(w, WATCH_TREE, "one", NULL, NULL);
    assert_true(watch_changed(w));
    int fd = open(in_dir("one/a.yaml"), O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, &c, 1), 1);
    close(fd);
    DIR *list = opendir(in_dir("one"));
    assert_non_null(list);
    assert_non_null(readdir(list));
    closedir(list);
    watch_these(w, WATCH_TREE, "one", NULL, NULL);
    is_quiet(w);
    watch_free(w);
}

/* Very many patterns in one directory: then every name counts. */
static void patterns_are_bounded(void **state)
{
    (void)state;
    static char names[200][300];
    struct watch_target targets[200];
    struct watch *w = watch_new();

    for (int i = 0; i < 200; i++) {
        snprintf(names[i], sizeof(names[i]), "%s", in_dir(numbered("%d-*.yaml", i)));
        targets[i] = (struct watch_target){WATCH_FILE, names[i]};
    }
    for (size_t count = 64; count <= 200; count += 136) {
        watch_set(w, targets, count);
        watch_read(w);
        put("other", "x");
        assert_int_equal(watch_read(w), count == 200);
        put("63-a.yaml", "x");
        assert_true(woken(w));
    }
    watch_free(w);
}

/* The same size and the same time, in another file: a comparison of these alone would miss it. */
static void a_disguised_change_is_seen(void **state)
{
    (void)state;
    const struct timespec times[2] = {{1700000000, 0}, {1700000000, 0}};
    struct watch *w = watch_new();

    for (int i = 0; i < 3; i++) {
        put("new", i % 2 ? "one" : "two");
        assert_int_equal(utimensat(AT_FDCWD, in_dir("new"), times, 0), 0);
        move("new", "a.yaml");
        watch_these(w, WATCH_FILE, "a.yaml", NULL, NULL);
        assert_true(watch_changed(w));
        assert_false(watch_changed(w));
    }
    assert_int_equal(chmod(in_dir("a.yaml"), 0600), 0);
    assert_true(watch_changed(w));
    if (geteuid() == 0) {
        assert_int_equal(chown(in_dir("a.yaml"), 1, (gid_t)-1), 0);
        assert_true(watch_changed(w));
        assert_int_equal(chown(in_dir("a.yaml"), (uid_t)-1, 1), 0);
        assert_true(watch_changed(w));
        assert_int_equal(chown(dir, 1, (gid_t)-1), 0); /* on the way */
        assert_true(watch_changed(w));
        assert_int_equal(chown(dir, (uid_t)-1, 1), 0);
        assert_true(watch_changed(w));
    }
    watch_these(w, WATCH_FILE, "b.yaml", NULL, NULL); /* other targets are a change */
    assert_true(watch_changed(w));
    watch_these(w, WATCH_FILE, "c.yaml", NULL, NULL);
    assert_true(watch_changed(w));
    assert_false(watch_changed(w));
    watch_free(w);
}

static void strange_paths_end_somewhere(void **state)
{
    (void)state;
    struct watch *w = watch_new();
    static char name[5000];

    point("a", "b");
    point("b", "a");
    put("file", "x");
    memset(name, 'x', sizeof(name) - 1);
    assert_int_equal(chdir(dir), 0);
    const struct watch_target targets[] = {
        {WATCH_FILE, "/"},          {WATCH_FILE, ""},     {WATCH_FILE, "a"},
        {WATCH_TREE, "a/x"},        {WATCH_FILE, name},   {WATCH_FILE, "a/*"},
        {WATCH_FILE, "file/below"}, {WATCH_TREE, "none"}, {WATCH_FILE, "c.yaml"},
        {WATCH_FILE, "/../../.."},
    };
    watch_set(w, targets, sizeof(targets) / sizeof(*targets));
    assert_int_equal(state_of(w).failed, 0);
    assert_true(watch_changed(w));
    is_quiet(w);
    put("c.yaml", "x"); /* relative to the working directory */
    is_noticed(w);
    make_dir("here");
    assert_int_equal(chdir(in_dir("here")), 0);
    remove_tree("here");
    watch_set(w, targets, sizeof(targets) / sizeof(*targets));
    assert_int_equal(state_of(w).failed, 0);
    assert_true(watch_changed(w));
    assert_false(watch_changed(w));
    assert_int_equal(chdir("/"), 0);
    watch_free(w);
    watch_free(NULL);
}

/* --- lost and found -------------------------------------------------------------------------- */

static void an_overflow_is_a_change(void **state)
{
    (void)state;
    struct watch *w = watch_new();
    FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
    int limit = 0;

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &limit), 1);
    fclose(file);
    watch_these(w, WATCH_FILE, "a.yaml", NULL, NULL);
    assert_false(watch_read(w));
    for (int i = 0; i < limit / 2 + 2; i++) { /* created and deleted: two events */
        make_dir("noise");
        assert_int_equal(rmdir(in_dir("noise")), 0);
    }
    put("a.yaml", "x"); /* its own event is lost */
    assert_true(woken(w));
    assert_false(watch_read(w));
    watch_these(w, WATCH_FILE, "a.yaml", NULL, NULL);
    put("a.yaml", "y");
    assert_true(woken(w));
    watch_free(w);
}

/* Neither what was queued for a watch that was dropped since, nor the end of the watch. */
static void dropped_watches_are_silent(void **state)
{
    (void)state;
    struct watch *w = watch_new();

    make_dir("one");
    make_dir("two");
    watch_these(w, WATCH_FILE, "one/a.yaml", NULL, NULL);
    put("one/a.yaml", "x");
    watch_these(w, WATCH_FILE, "two/a.yaml", NULL, NULL);
    assert_false(watch_read(w));
    put("one/a.yaml", "y");
    assert_false(watch_read(w));
    put("two/a.yaml", "y");
    assert_true(woken(w));
    watch_set(w, NULL, 0);
    assert_int_equal(kernel_watches(w), 0);
    assert_int_equal(state_of(w).watches, 0);
    put("two/a.yaml", "z");
    assert_false(watch_read(w));
    watch_free(w);
}

static size_t open_files(void)
{
    DIR *files = opendir("/proc/self/fd");
    size_t count = 0;

    assert_non_null(files);
    while (readdir(files))
        count++;
    closedir(files);
    return count;
}

static void nothing_piles_up(void **state)
{
    (void)state;
    struct watch *w = watch_new();
    size_t files = open_files(), watches = 0;

    make_dir("tenants.d");
    make_dir("certs");
    for (int i = 0; i < 2000; i++) {
        make_dir("certs/new");
        put("certs/new/tls.crt", "x");
        if (i > 0)
            remove_tree("certs/name");
        move("certs/new", "certs/name");
        put("tenants.d/new", "x");
        move("tenants.d/new", "tenants.d/a.yaml");
        make_dir(numbered("release.%d", i));
        point("release", numbered("release.%d", i));
        assert_true(i == 0 || woken(w));
        watch_these(w, WATCH_FILE, "tenants.d/*.yaml", "release/*.yaml", NULL);
        watch_these(w, WATCH_TREE, "certs", "release", NULL);
        watch_changed(w);
        if (i == 0)
            watches = kernel_watches(w);
        assert_int_equal(kernel_watches(w), watches);
        assert_int_equal(state_of(w).watches, watches);
        assert_int_equal(open_files(), files);
        assert_int_equal(rmdir(in_dir(numbered("release.%d", i))), 0);
    }
    watch_free(w);
    assert_int_equal(open_files(), files - 1);
}

int main(void)
{
#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        IN_DIR(files_of_patterns_are_told_by_name),
        IN_DIR(entries_of_trees_are_told_with_their_directory),
        IN_DIR(what_is_settled_is_no_change),
        IN_DIR(what_is_told_is_no_surprise),
        IN_DIR(new_folders_are_told_and_watched),
        IN_DIR(other_names_are_ignored),
        IN_DIR(the_way_counts_by_name_only),
        IN_DIR(patterns_are_names_too),
        IN_DIR(patterns_are_bounded),
        IN_DIR(odd_writers_are_noticed),
        IN_DIR(readers_are_ignored),
        IN_DIR(a_disguised_change_is_seen),
        IN_DIR(strange_paths_end_somewhere),
        IN_DIR(an_overflow_is_a_change),
        IN_DIR(dropped_watches_are_silent),
        IN_DIR(nothing_piles_up),
    };
    return cmocka_run_group_tests_name("watch_events", tests, NULL, NULL);
}
