/* Threads that no signal ends or interrupts: all signals belong to the control thread. */
#ifndef MTASTS_SYS_THREAD_H
#define MTASTS_SYS_THREAD_H

#include <pthread.h>
#include <stddef.h>

/* `stack`: bytes; 0: as many as the system gives. 0, or an error number, as pthread_create(3). */
int thread_start(pthread_t *thread, size_t stack, void *(*run)(void *), void *data);

/* Work on many things of the same kind, divided among threads. */
enum { THREADS_MAX = 16 };
/* As many as there are processors, when each has so many things to do. At least 1. */
size_t threads_for(size_t count, size_t worth_a_thread);
/* Calls `work` for each number below `count`, each thread (numbers below `threads`) in rising
 * order. The caller's thread is one of them. */
void threads_run(size_t threads, size_t count,
                 void (*work)(void *data, size_t thread, size_t number), void *data);

#endif
