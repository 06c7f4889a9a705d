/* For the tests of the watch: a folder of their own, and the ways in which files change.
 *
 * inotify queues an event before the call that causes it returns, so "no event" needs no waiting.
 */
#ifndef MTASTS_TESTS_UNIT_WATCH_FIXTURE_H
#define MTASTS_TESTS_UNIT_WATCH_FIXTURE_H

#include "tests/unit/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/sys/watch.h"

/* An assertion in a forked child. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            dprintf(STDERR_FILENO, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                 \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

enum { DEADLINE_MS = 10000 }; /* reached by a failing test only */

static char dir[200];

static inline int set_up(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    snprintf(dir, sizeof(dir), "%s/mta-stsd-watch-XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(dir) ? chmod(dir, 0755) : -1;
}

static inline int tear_down(void **state)
{
    (void)state;
    return folder_remove(dir);
}

/* The path of `name` in the test's folder; good until the eighth further call. */
static inline const char *in_dir(const char *name)
{
    static char paths[8][300];
    static unsigned next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

/* `format` with a number in it; good until the eighth further call. */
static inline const char *numbered(const char *format, int n)
{
    static char names[8][300];
    static unsigned next;
    char *name = names[next++ % 8];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(name, sizeof(names[0]), format, n);
#pragma GCC diagnostic pop
    return name;
}

static inline void put(const char *name, const char *text)
{
    int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static inline void make_dir(const char *name)
{
    assert_int_equal(mkdir(in_dir(name), 0755), 0);
}

static inline void move(const char *from, const char *to)
{
    assert_int_equal(rename(in_dir(from), in_dir(to)), 0);
}

static inline void remove_file(const char *name)
{
    assert_int_equal(unlink(in_dir(name)), 0);
}

static inline void remove_tree(const char *name)
{
    assert_int_equal(folder_remove(in_dir(name)), 0);
}

/* By rename, as everything that swaps a link does it. */
static inline void point(const char *name, const char *target)
{
    assert_int_equal(symlink(target, in_dir("link.new")), 0);
    move("link.new", name);
}

/* Up to three targets, by their names in the test's folder. */
static inline void watch_these(struct watch *w, enum watch_kind kind, const char *a, const char *b,
                               const char *c)
{
    const char *names[] = {a, b, c};
    struct watch_target targets[3];
    size_t count = 0;

    for (size_t i = 0; i < 3; i++)
        if (names[i])
            targets[count++] =
                (struct watch_target){kind, names[i][0] == '/' ? names[i] : in_dir(names[i])};
    watch_set(w, targets, count);
}

static inline bool woken(struct watch *w)
{
    struct pollfd p = {.fd = watch_descriptor(w), .events = POLLIN};

    return p.fd >= 0 && poll(&p, 1, DEADLINE_MS) == 1 && watch_read(w);
}

static inline void is_quiet(struct watch *w)
{
    assert_false(watch_read(w));
    assert_false(watch_changed(w));
}

static inline void is_noticed(struct watch *w)
{
    assert_true(woken(w));
    assert_true(watch_changed(w));
}

static inline struct watch_state state_of(const struct watch *w)
{
    struct watch_state state;

    watch_state(w, &state);
    return state;
}

/* What the kernel has: lines of /proc/self/fdinfo/N. */
static inline size_t kernel_watches(const struct watch *w)
{
    char name[64], line[400];
    size_t count = 0;

    snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", watch_descriptor(w));
    FILE *file = fopen(name, "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file))
        count += strncmp(line, "inotify ", 8) == 0;
    fclose(file);
    return count;
}

#endif
