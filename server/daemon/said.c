#include "server/daemon/said.h"

#include <stdlib.h>

#include "server/base/memory.h"
#include "server/sys/log.h"

static unsigned long long hash(const struct sts_diag *diag)
{
    struct sts_buf text = {0};

    sts_diag_render_text(&text, diag, false);
    sts_buf_printf(&text, "%.*s", STS_ARG(diag->tenant));
    unsigned long long result = sts_str_hash(sts_buf_str(&text));
    sts_buf_fini(&text);
    return result;
}

static int by_value(const void *a, const void *b)
{
    unsigned long long x = *(const unsigned long long *)a, y = *(const unsigned long long *)b;
    return (x > y) - (x < y);
}

static bool has(const struct said *said, unsigned long long value)
{
    return said->count &&
           bsearch(&value, said->hashes, said->count, sizeof(value), by_value) != NULL;
}

size_t said_log(struct said *said, const struct sts_diags *diags)
{
    size_t count = 0, news = 0;
    unsigned long long *hashes =
        sts_must(malloc(sts_mul_size(diags->errors + diags->warnings + 1, sizeof(*hashes))));

    for (const struct sts_diag *diag = diags->first; diag; diag = diag->next) {
        if (diag->severity == STS_NOTE)
            continue;
        hashes[count] = hash(diag);
        if (!has(said, hashes[count++])) {
            log_diag(diag);
            news++;
        }
    }
    qsort(hashes, count, sizeof(*hashes), by_value);
    free(said->hashes);
    *said = (struct said){hashes, count};
    return news;
}

void said_fini(struct said *said)
{
    free(said->hashes);
    *said = (struct said){0};
}
