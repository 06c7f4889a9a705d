/* Which tenant comes next: uniformly, by Zipf's law (s = 1), or one after the other. */
#ifndef TESTS_BENCH_PICK_H
#define TESTS_BENCH_PICK_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum pick_by { UNIFORM, ZIPF, SEQUENTIAL };

struct pick {
    enum pick_by by;
    unsigned tenants, first;
    double *sums; /* of 1/rank, for a search by halves */
};

static inline enum pick_by pick_parse(const char *word)
{
    if (strcmp(word, "zipf") == 0)
        return ZIPF;
    return strcmp(word, "sequential") == 0 ? SEQUENTIAL : UNIFORM;
}

static inline void pick_prepare(struct pick *p)
{
    double sum = 0;

    if (p->by != ZIPF)
        return;
    p->sums = malloc(p->tenants * sizeof(*p->sums));
    if (!p->sums)
        exit(1);
    for (unsigned i = 0; i < p->tenants; i++)
        p->sums[i] = sum += 1.0 / (i + 1);
}

static inline unsigned pick_rank(const struct pick *p, double part)
{
    double wanted = part * p->sums[p->tenants - 1];
    unsigned low = 0, high = p->tenants - 1;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (p->sums[middle] < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static inline double pick_random(uint64_t *state) /* xorshift64*, below 1 */
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (double)((*state * 0x2545f4914f6cdd1d) >> 11) / 9007199254740992.0;
}

static inline unsigned pick_tenant(const struct pick *p, uint64_t *state, unsigned long number)
{
    switch (p->by) {
    case UNIFORM:
        return (unsigned)(pick_random(state) * p->tenants);
    case ZIPF: /* a prime scatters the ranks over the names */
        return (unsigned)(pick_rank(p, pick_random(state)) * (uint64_t)2654435761 % p->tenants);
    case SEQUENTIAL:
        break;
    }
    return (unsigned)((p->first + number) % p->tenants);
}

#endif
