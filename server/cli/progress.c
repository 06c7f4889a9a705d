#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "server/cli/select.h"
#include "server/sys/clock.h"

enum { EVERY_MS = 1000, CHECK_EACH = 256 };

void progress_begin(struct progress *p, const char *what, size_t total)
{
    *p = (struct progress){.what = what, .total = total};
    p->next = isatty(STDERR_FILENO) ? clock_monotonic_ms() + EVERY_MS : UINT64_MAX;
}

void progress_at(struct progress *p, size_t done)
{
    if (done % CHECK_EACH || p->next == UINT64_MAX || clock_monotonic_ms() < p->next)
        return;
    p->next = clock_monotonic_ms() + EVERY_MS;
    p->shown = true;
    fprintf(stderr, "\r%s: %zu of %zu", p->what, done, p->total);
    fflush(stderr);
}

/* The line is taken back: what comes next on the terminal stands alone. */
void progress_end(struct progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
}
