#include "server/sys/thread.h"

#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

int thread_start(pthread_t *thread, size_t stack, void *(*run)(void *), void *data)
{
    sigset_t all, before;
    pthread_attr_t attr;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attr);
    if (stack)
        pthread_attr_setstacksize(&attr, stack);
    int error = pthread_create(thread, &attr, run, data);
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

struct run {
    void (*work)(void *data, size_t thread, size_t number);
    void *data;
    size_t count;
    atomic_size_t next, threads;
};

size_t threads_for(size_t count, size_t worth_a_thread)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    size_t wanted = count / worth_a_thread;

    if (processors < 1 || wanted < 1)
        return 1;
    if (wanted > (size_t)processors)
        wanted = (size_t)processors;
    return wanted > THREADS_MAX ? THREADS_MAX : wanted;
}

static void *thread_run(void *data)
{
    struct run *r = data;
    size_t number, thread = atomic_fetch_add(&r->threads, 1);

    while ((number = atomic_fetch_add(&r->next, 1)) < r->count)
        r->work(r->data, thread, number);
    return NULL;
}

void threads_run(size_t threads, size_t count,
                 void (*work)(void *data, size_t thread, size_t number), void *data)
{
    struct run r = {.work = work, .data = data, .count = count};
    pthread_t others[THREADS_MAX];
    size_t started = 0;

    while (started + 1 < threads && thread_start(&others[started], 0, thread_run, &r) == 0)
        started++;
    thread_run(&r);
    for (size_t i = 0; i < started; i++)
        pthread_join(others[i], NULL);
}
