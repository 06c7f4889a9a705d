/* What a call writes to standard error: begin, the call, end. For what fits into a pipe. */
#ifndef MTASTS_TESTS_UNIT_STDERR_CAPTURE_H
#define MTASTS_TESTS_UNIT_STDERR_CAPTURE_H

#include "tests/unit/test.h"

#include <unistd.h>

struct stderr_capture {
    int saved, end;
};

static inline struct stderr_capture stderr_begin(void)
{
    struct stderr_capture c = {.saved = dup(STDERR_FILENO)};
    int ends[2];

    assert_true(c.saved >= 0);
    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    close(ends[1]);
    c.end = ends[0];
    return c;
}

static inline void stderr_end(struct stderr_capture c, char *text, size_t size)
{
    ssize_t got, len = 0;

    assert_true(dup2(c.saved, STDERR_FILENO) >= 0);
    close(c.saved);
    while ((got = read(c.end, text + len, size - 1 - (size_t)len)) > 0)
        len += got;
    text[len] = '\0';
    close(c.end);
}

#endif
