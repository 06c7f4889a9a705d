/* Unit tests of server/sys/watch: every way in which files change is noticed by an event and by
 * stat, time after time, and what does not matter is not. */
#include "tests/unit/watch_fixture.h"

#include <sys/syscall.h>

/* --- ways to change, each done several times --------------------------------------------------
 * Round 0 prepares; after each further round the watch must have noticed. */

static void rename_over(int round)
{
    put("new", numbered("mode: %d", round));
    move("new", "a.yaml");
}

static void write_in_place(int round)
{
    put("a.yaml", numbered("mode: %d", round));
}

static void remove_and_create(int round)
{
    if (round % 2)
        remove_file("a.yaml");
    else
        put("a.yaml", "x");
}

static void change_mode(int round)
{
    if (round == 0)
        put("a.yaml", "x");
    assert_int_equal(chmod(in_dir("a.yaml"), round % 2 ? 0600 : 0644), 0);
}

static void change_mode_on_the_way(int round)
{
    if (round == 0) {
        make_dir("one");
        put("one/a.yaml", "x");
    }
    assert_int_equal(chmod(in_dir("one"), round % 2 ? 0755 : 0700), 0);
}

static void recreate_directory(int round)
{
    if (round > 0)
        remove_tree("one");
    make_dir("one");
    put("one/a.yaml", "x");
}

static void replace_directory(int round)
{
    make_dir("new");
    put("new/a.yaml", "x");
    if (round > 0)
        move("one", numbered("old.%d", round));
    move("new", "one");
}

static void exchange_directories(int round)
{
    if (round == 0) {
        make_dir("one");
        make_dir("other");
        put("one/a.yaml", "x");
        put("other/a.yaml", "y");
    }
    assert_int_equal(syscall(SYS_renameat2, AT_FDCWD, in_dir("one"), AT_FDCWD, in_dir("other"), 2),
                     0); /* 2: RENAME_EXCHANGE */
}

static void replace_grandparent(int round)
{
    make_dir("new");
    make_dir("new/two");
    make_dir("new/two/three");
    put("new/two/three/a.yaml", "x");
    if (round > 0)
        remove_tree("one");
    move("new", "one");
}

/* One level more each round; then it is gone again. */
static void appear_step_by_step(int round)
{
    switch (round % 4) {
    case 0:
        if (round > 0)
            move("one", numbered("gone.%d", round));
        break;
    case 1:
        make_dir("one");
        break;
    case 2:
        make_dir("one/two");
        break;
    default:
        put("one/two/a.yaml", "x");
    }
}

/* As the kubelet's atomic writer: tls.crt -> ..data/tls.crt, ..data -> ..2026_N. */
static void swap_data(int round)
{
    if (round == 0) {
        make_dir("secret");
        assert_int_equal(symlink("..data/tls.crt", in_dir("secret/tls.crt")), 0);
        assert_int_equal(symlink("..data/tls.key", in_dir("secret/tls.key")), 0);
    }
    make_dir(numbered("secret/..2026_%d", round));
    put(numbered("secret/..2026_%d/tls.crt", round), "crt");
    put(numbered("secret/..2026_%d/tls.key", round), "key");
    assert_int_equal(symlink(numbered("..2026_%d", round), in_dir("secret/..data_tmp")), 0);
    move("secret/..data_tmp", "secret/..data");
    if (round > 0)
        remove_tree(numbered("secret/..2026_%d", round - 1));
}

/* As certbot: new files in archive/NAME, then the links in live/NAME. */
static void renew(int round)
{
    if (round == 0) {
        make_dir("archive");
        make_dir("archive/name");
        make_dir("live");
        make_dir("live/name");
    } else {
        remove_file("live/name/fullchain.pem");
    }
    put(numbered("archive/name/fullchain%d.pem", round), "x");
    assert_int_equal(symlink(numbered("../../archive/name/fullchain%d.pem", round),
                             in_dir("live/name/fullchain.pem")),
                     0);
}

static void write_behind_the_link(int round)
{
    if (round == 0)
        renew(0);
    put("archive/name/fullchain0.pem", numbered("%d", round));
}

static void repoint_parent(int round)
{
    if (round == 0)
        make_dir("releases");
    make_dir(numbered("releases/%d", round));
    put(numbered("releases/%d/a.yaml", round), "x");
    point("one", numbered("releases/%d", round));
}

/* one/a.yaml; one -> DIR/second (absolute), second -> ./third/../third, third -> real/N */
static void repoint_chain(int round)
{
    if (round == 0) {
        make_dir("real");
        point("one", in_dir("second"));
        point("second", "./third/../three");
        make_dir("third");
    }
    make_dir(numbered("real/%d", round));
    put(numbered("real/%d/a.yaml", round), "x");
    point("three", numbered("real/%d", round));
}

static void fix_dangling_link(int round)
{
    if (round == 0)
        point("a.yaml", "elsewhere/b.yaml");
    else if (round == 1)
        make_dir("elsewhere");
    else
        put("elsewhere/b.yaml", numbered("%d", round));
}

static void add_matching_directory(int round)
{
    if (round == 0)
        make_dir("customers");
    make_dir(numbered("new.%d", round));
    put(numbered("new.%d/sts.yaml", round), "x");
    move(numbered("new.%d", round), numbered("customers/%d", round));
}

static void fill_matching_directory(int round)
{
    if (round == 0) {
        make_dir("customers");
        make_dir("customers/one");
    }
    if (round % 2)
        put("customers/one/sts.yaml", "x");
    else if (round > 0)
        move("customers/one/sts.yaml", "customers/one/sts.yaml.off");
}

static void add_file_to_directory(int round)
{
    if (round == 0)
        make_dir("one");
    put(numbered("one/%d.yaml", round), "x");
}

static void add_deep_file(int round)
{
    if (round == 0) {
        make_dir("one");
        make_dir("one/two");
        make_dir("one/two/three");
    }
    put(numbered("one/two/three/%d.pem", round), "x");
}

/* A folder of links to folders elsewhere, one of which leads back. */
static void add_file_behind_links(int round)
{
    if (round == 0) {
        make_dir("one");
        make_dir("far");
        make_dir("far/two");
        point("one/loop", "../one");
        point("one/itself", "itself");
        point("one/far", in_dir("far"));
    }
    put(numbered("far/two/%d.pem", round), "x");
}

static const struct change {
    const char *name;
    void (*change)(int round);
    enum watch_kind kind;
    const char *target;
} changes[] = {
    {"rename over", rename_over, WATCH_FILE, "a.yaml"},
    {"write in place", write_in_place, WATCH_FILE, "a.yaml"},
    {"remove and create", remove_and_create, WATCH_FILE, "a.yaml"},
    {"a path with dots and slashes", rename_over, WATCH_FILE, ".///./a.yaml/"},
    {"a file that is a tree", rename_over, WATCH_TREE, "a.yaml"},
    {"in a directory for patterns", rename_over, WATCH_FILE, "*.yaml"},
    {"mode", change_mode, WATCH_FILE, "a.yaml"},
    {"mode of a directory", change_mode_on_the_way, WATCH_FILE, "one/a.yaml"},
    {"directory recreated", recreate_directory, WATCH_FILE, "one/a.yaml"},
    {"pattern's directory recreated", recreate_directory, WATCH_FILE, "one/*.yaml"},
    {"tree recreated", recreate_directory, WATCH_TREE, "one"},
    {"directory replaced", replace_directory, WATCH_FILE, "one/a.yaml"},
    {"pattern's directory replaced", replace_directory, WATCH_FILE, "o*/*.yaml"},
    {"tree replaced", replace_directory, WATCH_TREE, "one"},
    {"directories exchanged", exchange_directories, WATCH_FILE, "one/a.yaml"},
    {"grandparent replaced", replace_grandparent, WATCH_FILE, "one/two/three/a.yaml"},
    {"tree's parent replaced", replace_grandparent, WATCH_TREE, "one/two"},
    {"missing directory appears", appear_step_by_step, WATCH_FILE, "one/two/a.yaml"},
    {"missing directory of a pattern", appear_step_by_step, WATCH_FILE, "one/two/*.yaml"},
    {"missing directory, patterns only", appear_step_by_step, WATCH_FILE, "on?/t[w]o/*.yaml"},
    {"missing tree appears", appear_step_by_step, WATCH_TREE, "one/two"},
    {"..data, one file", swap_data, WATCH_FILE, "secret/tls.crt"},
    {"..data, a tree", swap_data, WATCH_TREE, "secret"},
    {"certbot, one link", renew, WATCH_FILE, "live/name/fullchain.pem"},
    {"certbot, live", renew, WATCH_TREE, "live"},
    {"certbot, all", renew, WATCH_TREE, ""},
    {"certbot, written in place", write_behind_the_link, WATCH_TREE, ""},
    {"linked parent re-pointed", repoint_parent, WATCH_FILE, "one/a.yaml"},
    {"linked pattern's parent", repoint_parent, WATCH_FILE, "one/*.yaml"},
    {"linked tree re-pointed", repoint_parent, WATCH_TREE, "one"},
    {"chain of links", repoint_chain, WATCH_FILE, "one/a.yaml"},
    {"chain of links to a tree", repoint_chain, WATCH_TREE, "one"},
    {"dangling link", fix_dangling_link, WATCH_FILE, "a.yaml"},
    {"directory that matches", add_matching_directory, WATCH_FILE, "customers/*/sts.yaml"},
    {"file in a directory that matches", fill_matching_directory, WATCH_FILE,
     "customers/*/sts.yaml"},
    {"file that matches", add_file_to_directory, WATCH_FILE, "one/*.yaml"},
    {"file two levels down", add_deep_file, WATCH_TREE, "one"},
    {"links in a tree", add_file_behind_links, WATCH_TREE, "one"},
};

static void every_change_is_noticed(void **state)
{
    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
        const struct change *c = &changes[i];
        struct watch *w = watch_new();
        assert_int_equal(set_up(state), 0);
        c->change(0);
        watch_these(w, c->kind, c->target, NULL, NULL);
        assert_true(watch_changed(w));
        for (int round = 1; round < 9; round++) {
            watch_read(w);
            if (watch_read(w) || watch_changed(w))
                fail_msg("%s, round %d: noticed before it happened", c->name, round);
            c->change(round);
            if (!woken(w))
                fail_msg("%s, round %d: no event", c->name, round);
            if (!watch_changed(w))
                fail_msg("%s, round %d: not seen by stat", c->name, round);
            watch_these(w, c->kind, c->target, NULL, NULL);
            assert_int_equal(state_of(w).watches, kernel_watches(w));
            assert_int_equal(state_of(w).failed, 0);
        }
        watch_free(w);
        assert_int_equal(tear_down(state), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_change_is_noticed),
    };
    return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
