/* Whether an answer is the whole policy of the tenant that was asked for. */
#ifndef TESTS_BENCH_JUDGE_H
#define TESTS_BENCH_JUDGE_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/tenant.h"

enum outcome { RIGHT, WRONG, FAILED };

/* Other max_ages are other versions of the same policy. */
static inline bool judge_body(unsigned tenant, bool shared, const char *body, size_t len,
                              unsigned *max_age)
{
    static const char head[] = "version: STSv1\r\nmode: enforce\r\n";
    char wanted[160];
    int prefix = shared
                     ? snprintf(wanted, sizeof(wanted),
                                "%smx: mx%u.provider.example\r\nmax_age: ", head, tenant % POLICIES)
                     : snprintf(wanted, sizeof(wanted),
                                "%smx: mx1.t%07u.example\r\nmx: mx2.t%07u.example\r\n"
                                "max_age: ",
                                head, tenant, tenant);
    char *end;

    if (len < (size_t)prefix + 3 || memcmp(body, wanted, (size_t)prefix) != 0)
        return false;
    *max_age = (unsigned)strtoul(body + prefix, &end, 10);
    return *max_age >= (shared ? SHARED_MAX_AGE : OWN_MAX_AGE) && end == body + len - 2 &&
           memcmp(end, "\r\n", 2) == 0;
}

/* `text` has room for a NUL behind it, and is cut behind its head. */
static inline enum outcome judge_answer(unsigned tenant, bool shared, char *text, size_t len,
                                        unsigned *max_age)
{
    static const char ok[] = "HTTP/1.1 200 ", length[] = "\r\nContent-Length:";
    char *body, *field;

    text[len] = 0;
    body = strstr(text, "\r\n\r\n");
    if (!body)
        return FAILED;
    *body = 0;
    body += 4;
    field = strcasestr(text, length);
    if (strncmp(text, ok, sizeof(ok) - 1) == 0 && field &&
        strtoul(field + sizeof(length) - 1, NULL, 10) == (size_t)(text + len - body) &&
        judge_body(tenant, shared, body, (size_t)(text + len - body), max_age))
        return RIGHT;
    return WRONG;
}

#endif
