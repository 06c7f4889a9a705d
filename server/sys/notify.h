/* The service manager (sd_notify): readiness only after listening, and one line of status. Does
 * nothing when no service manager asked. */
#ifndef MTASTS_SYS_NOTIFY_H
#define MTASTS_SYS_NOTIFY_H

void notify_ready(const char *status);
void notify_reloading(void);
void notify_status(const char *status);
void notify_stopping(void);

#endif
