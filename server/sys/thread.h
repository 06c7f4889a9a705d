/* Threads that no signal ends or interrupts: all signals belong to the control thread. */
#ifndef MTASTS_SYS_THREAD_H
#define MTASTS_SYS_THREAD_H

#include <pthread.h>
#include <stddef.h>

/* `stack`: bytes; 0: as many as the system gives. 0, or an error number, as pthread_create(3). */
int thread_start(pthread_t *thread, size_t stack, void *(*run)(void *), void *data);

#endif
