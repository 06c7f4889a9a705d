/* What the log says of runs of on_change. */
#ifndef MTASTS_DAEMON_HOOK_LOG_H
#define MTASTS_DAEMON_HOOK_LOG_H

#include "mtasts/config.h"
#include "server/daemon/hook.h"
#include "server/daemon/hook_batch.h"
#include "server/sys/process.h"

void hook_log_done(const struct hook_batch *b, const struct process_end *end);
/* With the first and last lines of its output; `end` is NULL when it did not run. */
void hook_log_failed(const struct sts_settings *settings, const struct hook_state *state,
                     const struct hook_batch *b, const struct process_end *end);

#endif
