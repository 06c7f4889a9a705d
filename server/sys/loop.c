#include "server/sys/loop.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>

#include "server/base/memory.h"
#include "server/sys/clock.h"

struct watched {
    loop_callback *on_ready; /* NULL: forgotten */
    void *data;
};

struct loop {
    struct pollfd *fds;
    struct watched *watched; /* the same places */
    size_t count, capacity;
    struct loop_timer *timers; /* the next one first */
    bool stopped;
};

struct loop *loop_new(void)
{
    return sts_must(calloc(1, sizeof(struct loop)));
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    free(loop->fds);
    free(loop->watched);
    free(loop);
}

static void loop_grow(struct loop *loop)
{
    size_t capacity = loop->capacity;

    loop->fds = sts_heap_grow(loop->fds, loop->count, &capacity, sizeof(*loop->fds));
    loop->watched =
        sts_heap_grow(loop->watched, loop->count, &loop->capacity, sizeof(*loop->watched));
}

void loop_watch(struct loop *loop, int fd, short events, loop_callback *on_ready, void *data)
{
    loop_forget(loop, fd);
    loop_grow(loop);
    loop->fds[loop->count] = (struct pollfd){.fd = fd, .events = events};
    loop->watched[loop->count++] = (struct watched){on_ready, data};
}

/* The place stays until the callbacks of this round are through. */
void loop_forget(struct loop *loop, int fd)
{
    for (size_t i = 0; i < loop->count; i++)
        if (loop->fds[i].fd == fd && loop->watched[i].on_ready) {
            loop->fds[i].fd = -1;
            loop->watched[i].on_ready = NULL;
        }
}

static void drop_forgotten(struct loop *loop)
{
    size_t kept = 0;

    for (size_t i = 0; i < loop->count; i++) {
        if (!loop->watched[i].on_ready)
            continue;
        loop->fds[kept] = loop->fds[i];
        loop->watched[kept++] = loop->watched[i];
    }
    loop->count = kept;
}

void loop_unset(struct loop *loop, struct loop_timer *timer)
{
    for (struct loop_timer **at = &loop->timers; *at; at = &(*at)->next)
        if (*at == timer) {
            *at = timer->next;
            break;
        }
    timer->set = false;
}

void loop_set(struct loop *loop, struct loop_timer *timer, uint64_t ms, loop_callback *on_time,
              void *data)
{
    struct loop_timer **at = &loop->timers;

    loop_unset(loop, timer);
    *timer = (struct loop_timer){
        .at = clock_monotonic_ms() + ms, .on_time = on_time, .data = data, .set = true};
    while (*at && (*at)->at <= timer->at)
        at = &(*at)->next;
    timer->next = *at;
    *at = timer;
}

static void run_timers(struct loop *loop)
{
    uint64_t now = clock_monotonic_ms();

    while (!loop->stopped && loop->timers && loop->timers->at <= now) {
        struct loop_timer *timer = loop->timers;
        loop_unset(loop, timer);
        timer->on_time(timer->data);
    }
}

static int time_to_wait(const struct loop *loop)
{
    if (!loop->timers)
        return -1;
    uint64_t now = clock_monotonic_ms(), at = loop->timers->at;
    if (at <= now)
        return 0;
    return at - now > INT_MAX ? INT_MAX : (int)(at - now);
}

static void run_ready(struct loop *loop)
{
    size_t count = loop->count; /* those that a callback adds were not polled */

    for (size_t i = 0; i < count && !loop->stopped; i++)
        if (loop->fds[i].revents && loop->watched[i].on_ready)
            loop->watched[i].on_ready(loop->watched[i].data);
}

void loop_run(struct loop *loop)
{
    while (!loop->stopped) {
        drop_forgotten(loop);
        int ready = poll(loop->fds, loop->count, time_to_wait(loop));
        if (ready > 0)
            run_ready(loop);
        run_timers(loop);
    }
    loop->stopped = false;
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
}
