/* Loop: what the control thread waits for: descriptors and timers, one poll(2), callbacks one after
 * the other. Plain blocking code may run in a callback; the workers do not wait for it. */
#ifndef MTASTS_SYS_LOOP_H
#define MTASTS_SYS_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
typedef void loop_callback(void *data);

/* Part of the structure that owns it; zeroed means stopped. */
struct loop_timer {
    uint64_t at; /* monotonic milliseconds */
    loop_callback *on_time;
    void *data;
    struct loop_timer *next;
    bool set;
};

struct loop *loop_new(void);
void loop_free(struct loop *loop); /* closes no descriptor; NULL is fine */

/* Calls `on_ready` while `fd` has one of `events` (POLLIN, POLLOUT; errors and hang-ups count as
 * ready, too). A descriptor is watched at most once; callbacks may watch and forget others. */
void loop_watch(struct loop *loop, int fd, short events, loop_callback *on_ready, void *data);
void loop_forget(struct loop *loop, int fd); /* before it is closed; unknown ones are fine */

/* Once, after so many milliseconds; setting it again moves it. */
void loop_set(struct loop *loop, struct loop_timer *timer, uint64_t ms, loop_callback *on_time,
              void *data);
void loop_unset(struct loop *loop, struct loop_timer *timer); /* not set is fine */

/* Runs callbacks until loop_stop was called; then it may run again. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

#endif
