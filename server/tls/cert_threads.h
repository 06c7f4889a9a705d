/* Work on many things of the same kind, divided among threads. */
#ifndef MTASTS_TLS_CERT_THREADS_H
#define MTASTS_TLS_CERT_THREADS_H

#include <stddef.h>

enum { CERT_THREADS_MAX = 16 };

/* As many as there are processors, when each has so many things to do. At least 1. */
size_t cert_threads(size_t count, size_t worth_a_thread);
/* Calls `work` for each number below `count`, each thread (numbers below `threads`) in rising
 * order. The caller's thread is one of them. */
void cert_threads_run(size_t threads, size_t count,
                      void (*work)(void *data, size_t thread, size_t number), void *data);

#endif
