/* The folder of a test: what is in it, and its end. */
#ifndef MTASTS_TESTS_UNIT_FOLDER_H
#define MTASTS_TESTS_UNIT_FOLDER_H

#include "tests/unit/test.h"

#include <ftw.h>
#include <stdio.h>

static inline int folder_remove_one(const char *path, const struct stat *st, int type,
                                    struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

/* With all that is in it. 0 when nothing is left. */
static inline int folder_remove(const char *path)
{
    return nftw(path, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The file has this text. */
static inline void folder_put(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

#endif
