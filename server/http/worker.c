#include "server/http/worker.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "server/http/accept.h"
#include "server/http/connection.h"
#include "server/http/server.h"
#include "server/sys/log.h"
#include "server/sys/thread.h"

#define TICK_MS    200
#define NOTE_MS    60000     /* "accepting paused" is logged once in this time */
#define STACK_SIZE (2 << 20) /* libh2o copies a field name (up to 400 KiB) to the stack */

uint64_t worker_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void set_timer(const struct worker *worker, long ms)
{
    const struct timespec period = {.tv_sec = 0, .tv_nsec = ms * 1000000};
    const struct itimerspec spec = {.it_interval = period, .it_value = period};

    timerfd_settime(worker->timer, 0, &spec, NULL);
}

/* The timer runs only while there is something to look at: an idle server does not wake up. */
void worker_wake(struct worker *worker)
{
    if (worker->ticking)
        return;
    worker->ticking = true;
    set_timer(worker, TICK_MS);
}

/* Level-triggered polling with nothing accepted would spin: at the connection cap and without
 * descriptors the listening sockets are not polled until a connection ends, or the next tick. */
void worker_pause(struct worker *worker, const char *reason)
{
    uint64_t now = worker_now();

    for (size_t i = 0; i < worker->server->listener_count; i++)
        h2o_socket_read_stop(worker->listeners[i].sock);
    worker->paused = true;
    worker_wake(worker);
    if (worker->pause_noted == 0 || now - worker->pause_noted >= NOTE_MS) {
        struct log_line line;
        worker->pause_noted = now;
        log_begin(&line, LOG_LEVEL_WARNING, "accepting-paused");
        log_cstr(&line, "reason", reason);
        log_int(&line, "connections", (long long)atomic_load(&worker->server->connections));
        log_end(&line);
    }
}

void worker_resume(struct worker *worker)
{
    if (!worker->paused || worker->stopping)
        return;
    worker->paused = false;
    for (size_t i = 0; i < worker->server->listener_count; i++)
        h2o_socket_read_start(worker->listeners[i].sock, on_listener_ready);
}

static void worker_finish(struct worker *worker)
{
    if (worker->finished)
        return;
    worker->finished = true;
    h2o_socket_close(worker->ticker);
}

void worker_connection_ended(struct worker *worker)
{
    if (worker->stopping && worker->connection_count == 0)
        worker_finish(worker);
    else
        worker_resume(worker);
}

static void worker_on_tick(h2o_socket_t *sock, const char *error)
{
    struct worker *worker = sock->data;
    uint64_t now = worker_now();

    (void)error;
    h2o_buffer_consume(&sock->input, sock->input->size);
    for (struct connection *c = worker->first; c; c = c->next) { /* nothing is freed in here */
        connection_check(c, &worker->snapshot->settings, now);
        if (worker->stopping)
            connection_drain(c, worker->stop_since, now);
    }
    worker_resume(worker);
    if (worker->connection_count == 0 && !worker->paused) {
        worker->ticking = false;
        set_timer(worker, 0);
    }
}

static void worker_stop(struct worker *worker)
{
    worker->stop_since = worker_now();
    for (size_t i = 0; i < worker->server->listener_count; i++) {
        struct worker_listener *l = &worker->listeners[i];
        if (!worker->paused)
            on_listener_ready(l->sock, NULL); /* who already waits in the queue is not reset */
    }
    worker->stopping = true;
    for (size_t i = 0; i < worker->server->listener_count; i++)
        h2o_socket_close(worker->listeners[i].sock);
    worker->context.shutdown_requested = 1; /* answers say "Connection: close" from now on */
    worker_wake(worker);
    for (struct connection *c = worker->first; c; c = c->next)
        connection_drain(c, worker->stop_since, worker->stop_since);
    if (worker->connection_count == 0)
        worker_finish(worker);
}

static void worker_answer(struct worker *worker)
{
    worker->answered = true;
    pthread_cond_broadcast(&worker->server->changed);
}

static void on_message(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages)
{
    struct worker *worker = H2O_STRUCT_FROM_MEMBER(struct worker, receiver, receiver);

    while (!h2o_linklist_is_empty(messages)) {
        struct worker_message *message =
            H2O_STRUCT_FROM_MEMBER(struct worker_message, super.link, messages->next);
        assert(h2o_linklist_is_linked(&message->super.link));
        h2o_linklist_unlink(&message->super.link);
        /* Until it is answered, the order may still become another one: see worker_send. */
        pthread_mutex_lock(&worker->server->lock);
        bool stopping = message->order == WORKER_STOP;
        if (!stopping) {
            struct snapshot *old = worker->snapshot;
            worker->snapshot = message->snapshot;
            message->snapshot = old;
            worker_answer(worker);
        }
        pthread_mutex_unlock(&worker->server->lock);
        if (!stopping)
            continue;
        worker_stop(worker); /* the last order there is */
        pthread_mutex_lock(&worker->server->lock);
        worker_answer(worker);
        pthread_mutex_unlock(&worker->server->lock);
    }
}

static void worker_set_up(struct worker *worker)
{
    struct http_server *server = worker->server;

    worker->loop = h2o_evloop_create();
    h2o_context_init(&worker->context, worker->loop, &server->config);
    worker->accept.ctx = &worker->context;
    worker->accept.hosts = server->config.hosts;
    h2o_multithread_register_receiver(worker->context.queue, &worker->receiver, on_message);
    worker->ticker = h2o_evloop_socket_create(worker->loop, worker->timer, 0);
    worker->ticker->data = worker;
    h2o_socket_read_start(worker->ticker, worker_on_tick);
    for (size_t i = 0; i < server->listener_count; i++) {
        struct worker_listener *l = &worker->listeners[i];
        int *fd = &server->listeners[i].sockets[worker->number];
        l->worker = worker;
        l->entry = &server->listeners[i];
        l->sock = h2o_evloop_socket_create(worker->loop, *fd, H2O_SOCKET_FLAG_DONT_READ);
        l->sock->data = l;
        h2o_socket_read_start(l->sock, on_listener_ready);
        *fd = -1;
    }
}

static void *worker_main(void *data)
{
    struct worker *worker = data;
    struct http_server *server = worker->server;
    char name[16];

    /* Of itself: the name of another thread takes a descriptor, and there may be none to spare. */
    snprintf(name, sizeof(name), "http-%zu", worker->number);
    pthread_setname_np(pthread_self(), name);
    worker_set_up(worker);
    pthread_mutex_lock(&server->lock);
    worker->ready = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    while (!worker->finished)
        h2o_evloop_run(worker->loop, INT32_MAX); /* -1 is an interrupted wait: look again */
    pthread_mutex_lock(&server->lock);
    worker->drained = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    /* Neither an event loop nor the pools that libh2o keeps for each thread can be taken down
     * without leaks and failing asserts, and the process is about to end: rest until then. */
    for (;;)
        pause();
    return NULL;
}

void worker_init(struct worker *worker, struct http_server *server, size_t number)
{
    worker->server = server;
    worker->number = number;
    worker->timer = -1;
    worker->answered = true;
    worker->listeners = STS_ARRAY(server->arena, server->listener_count, struct worker_listener);
    worker->snapshot = snapshot_ref(server->snapshot);
}

/* Of its own a loop has an epoll descriptor and both ends of a pipe, and libh2o ends the process
 * when it cannot get them. */
static int worker_check_descriptors(int any)
{
    enum { OF_A_LOOP = 3 };
    int fds[OF_A_LOOP], count = 0, error = 0;

    while (count < OF_A_LOOP && !error) {
        fds[count] = fcntl(any, F_DUPFD_CLOEXEC, 0);
        if (fds[count] < 0)
            error = errno;
        else
            count++;
    }
    while (count > 0)
        close(fds[--count]);
    return error;
}

int worker_start(struct worker *worker)
{
    struct http_server *server = worker->server;
    int error;

    worker->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (worker->timer < 0)
        return -1;
    error = worker_check_descriptors(worker->timer);
    if (error == 0)
        error = thread_start(&worker->thread, STACK_SIZE, worker_main, worker);
    if (error != 0) {
        close(worker->timer);
        worker->timer = -1;
        errno = error;
        return -1;
    }
    pthread_mutex_lock(&server->lock);
    while (!worker->ready)
        pthread_cond_wait(&server->changed, &server->lock);
    pthread_mutex_unlock(&server->lock);
    return 0;
}

void worker_send(struct worker *worker, enum worker_order order, struct snapshot *snapshot)
{
    struct worker_message *message = &worker->message;

    pthread_mutex_lock(&worker->server->lock);
    bool waiting = !worker->answered;
    struct snapshot *unused = message->snapshot;
    message->order = order;
    message->snapshot = snapshot;
    worker->answered = false;
    pthread_mutex_unlock(&worker->server->lock);
    snapshot_unref(unused); /* what it never saw, or gave back */
    if (!waiting)
        h2o_multithread_send_message(&worker->receiver, &message->super);
}

bool worker_take_back(struct worker *worker)
{
    struct snapshot *old = NULL;

    pthread_mutex_lock(&worker->server->lock);
    bool answered = worker->answered;
    if (answered) {
        old = worker->message.snapshot;
        worker->message.snapshot = NULL;
    }
    pthread_mutex_unlock(&worker->server->lock);
    snapshot_unref(old);
    return answered;
}
