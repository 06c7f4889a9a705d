/* Said: what was reported by the attempt before, so that a refusal is one log line and not one for
 * each look at the files. */
#ifndef MTASTS_DAEMON_SAID_H
#define MTASTS_DAEMON_SAID_H

#include "mtasts/diag.h"

struct said {
    unsigned long long *hashes; /* sorted, of the last attempt */
    size_t count;
};

/* Logs the warnings and errors of `diags` that the last call did not have; returns their number. */
size_t said_log(struct said *said, const struct sts_diags *diags);
void said_fini(struct said *said);

#endif
