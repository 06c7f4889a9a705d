/* "Did you mean": optimal string alignment distance over short words. */
#include "mtasts/str.h"

#include <string.h>

enum { WORD_MAX = 40 };

static size_t suggest_min3(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

static size_t suggest_distance(struct sts_str a, struct sts_str b)
{
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b.len; j++)
        above[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            char ca = sts_lower(a.ptr[i - 1]), cb = sts_lower(b.ptr[j - 1]);
            row[j] = suggest_min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (ca != cb));
            bool swapped =
                i > 1 && j > 1 && ca == sts_lower(b.ptr[j - 2]) && cb == sts_lower(a.ptr[i - 2]);
            if (swapped && before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
        size_t *spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return above[b.len];
}

const char *sts_suggest(struct sts_str word, const char *const *candidates)
{
    const char *best = NULL;
    size_t best_distance = 0;

    if (word.len == 0 || word.len > WORD_MAX)
        return NULL;
    for (; *candidates; candidates++) {
        struct sts_str candidate = sts_str_from(*candidates);
        if (candidate.len > WORD_MAX)
            continue;
        size_t d = suggest_distance(word, candidate);
        /* A third of the longer word may differ: "maxage" means "max_age", "foo" means nothing. */
        size_t longer = word.len > candidate.len ? word.len : candidate.len;
        if (d > (longer + 2) / 3 || d >= candidate.len)
            continue;
        if (!best || d < best_distance) {
            best = *candidates;
            best_distance = d;
        }
    }
    return best;
}
