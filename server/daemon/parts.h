/* Shared by the files of this folder: the running daemon. All of it belongs to the control thread.
 */
#ifndef MTASTS_DAEMON_PARTS_H
#define MTASTS_DAEMON_PARTS_H

#include "server/admin/admin.h"
#include "server/base/json.h"
#include "server/daemon/expiry.h"
#include "server/daemon/hook.h"
#include "server/daemon/publish.h"
#include "server/daemon/retire.h"
#include "server/daemon/said.h"
#include "server/daemon/schedule.h"
#include "server/http/http.h"
#include "server/sys/loop.h"
#include "server/sys/watch.h"

/* A look at the files, for `status`. */
struct attempt {
    time_t at;
    const char *result; /* "done", "unchanged", "refused", or "waiting" for a file to be closed */
    bool usable;        /* the first two */
    struct diagnosis diagnosis;
};

struct daemon {
    const char *config;
    time_t started;
    struct loop *loop;
    int signals;
    struct snapshot *snapshot;
    struct sts_source
        *origin; /* the main file at the start: some settings stay as they are there */
    struct http_server *http;
    bool unsettled;           /* a worker may still answer from the snapshot before: until it does
                                 not, the ledger hears nothing of this one */
    struct loop_timer settle; /* looks whether that is over */
    struct publisher publisher;
    struct schedule schedule;
    struct sts_source *looked_at; /* the last main file that led on, even if the whole was refused:
                                     where a mistake may be mended is watched */
    struct loop_timer look, tick;
    struct watch *watch;
    struct watch_state watch_said; /* what the log was told of it */
    int watch_descriptor;          /* in the loop; -1: none */
    struct sts_source *watched;    /* the main file whose targets are watched */
    bool watched_now;              /* since nothing was looked at */
    bool wide;                     /* the next look is at everything, whatever the watch was told */
    struct retire retire;
    struct expiry expiry;
    struct hook *hook;
    struct attempt attempt; /* the last one */
    struct attempt good;    /* the last usable one, when the last one is not: what is served is so
                               because of it */
    struct admin *admin;    /* NULL: nobody can ask */
    bool admin_said;        /* why not */
    bool begun;             /* the start is over */
    int index_error;        /* why certificates could not be remembered, as it was said last */
};

/* --- reload.c --- */
/* Builds the first snapshot; NULL when the configuration cannot be served. */
struct snapshot *reload_first(struct daemon *d);
/* Looks at the files and publishes what changed; `asked`: somebody waits for an answer in the log.
 * Any failure leaves the running snapshot as it is. */
void reload(struct daemon *d, bool asked);
/* After the snapshot is live: the ledger learns of it, and whoever waits for its ids. */
void reload_commit(struct daemon *d, const struct snapshot *before);
/* The second half of it: the ledger may have learned of it. */
void reload_committed(struct daemon *d);
/* Writes what was found out about certificates, for the next start and instead of memory. Nothing
 * else is missing without it. */
void reload_remember(struct daemon *d);
/* Says which certificates run out; when one has, the files are looked at soon. */
void reload_check_expiry(struct daemon *d);
/* What is served has begun; afterwards changed files are looked at by themselves. */
void reload_start(struct daemon *d);
void reload_go_on(struct daemon *d);
/* Sets the timer for whatever the schedule says. */
void reload_plan(struct daemon *d);
/* Tells the service manager how things stand. */
void reload_say_ready(const struct daemon *d);
/* What a reload would do, as a report (server/snapshot/report.h). Nothing changes by it. */
json_t *reload_predict(const struct daemon *d);
/* The look that made what is served as it is. */
const struct attempt *reload_reasons(const struct daemon *d);
void reload_fini(struct daemon *d);

/* --- watching.c --- */
void watching_start(struct daemon *d);
/* What is known of what happened: nothing, and all must be watched anew; that it concerns *out
 * alone; or that there are files in it which are new. What comes after this call counts for the
 * next look. */
enum told { TOLD_NOT, TOLD_ALL, TOLD_NEW };
enum told watching_told(struct daemon *d, struct sts_arena *arena, struct snapshot_touched *out);
/* Whether what the main file leads to is what is watched. */
bool watching_all(const struct daemon *d);
/* After such a look: what happened meanwhile. */
void watching_go_on(struct daemon *d);
/* Before the files are read: a change from here on makes an event, or is seen by the next
 * watching_compare. */
void watching_begin(struct daemon *d);
/* After any other look: makes an event of what changed unseen meanwhile. The configuration may lead
 * elsewhere now; `anew`: what is watched may not be all. */
void watching_compare(struct daemon *d, bool anew);
/* The same at times when nothing is known to have happened. */
void watching_rescan(struct daemon *d);
/* What inotify lacks, and what to do about it; NULL when it lacks nothing. */
const char *watching_why(const struct daemon *d, const char **help);

/* --- answer.c --- */
/* From now on `status` and `check` can ask; tried again by each tick and SIGHUP while that fails,
 * and when the socket was deleted. */
void answer_start(struct daemon *d);

/* --- status.c, status_tenant.c --- */
/* What `status` shows: of all tenants, of those named, or (NULL) of those that need a look. One
 * JSON document, appended. */
struct status_question {
    time_t now;
    bool all;
    const json_t *tenants; /* array of names; may be NULL */
};
void status_render(struct sts_buf *out, struct daemon *d, const struct status_question *question);
/* Adds "tenants" and "unknown" to the document, whose end is left to the caller. */
void status_tenants(struct sts_buf *out, struct daemon *d, const struct status_question *question);
json_t *status_time(time_t t); /* null for 0 */

#endif
