/* Said: what was reported by the attempt before, so that a refusal is one log line and not one for
 * each look at the files. */
#ifndef MTASTS_DAEMON_SAID_H
#define MTASTS_DAEMON_SAID_H

#include "server/snapshot/diagnosis.h"

/* Logs the warnings and errors of `now` that were not in `before`, which may be all zero; returns
 * their number. What the two share is not looked at. */
size_t said_log(const struct diagnosis *before, const struct diagnosis *now);

#endif
