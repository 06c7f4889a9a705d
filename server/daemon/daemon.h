/* Daemon: start and stop order, signals, reload. The control thread: plain blocking code over
 * poll(2); workers only ever see finished snapshots. */
#ifndef MTASTS_DAEMON_H
#define MTASTS_DAEMON_H

enum daemon_result {
    DAEMON_STOPPED, /* ran, and ended on request */
    DAEMON_REFUSED, /* the configuration has errors */
    DAEMON_FAILED,  /* could not look or listen */
};

/* Serves until SIGTERM or SIGINT; SIGHUP loads the configuration again. When listening, writes
 * "address ADDRESS" lines to ready_file (may be NULL) and tells the service manager. */
enum daemon_result daemon_run(const char *config, const char *ready_file);

#endif
