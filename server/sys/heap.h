/* Heap: what is free goes back to the system, so that what a build took for a moment does not stay
 * resident. */
#ifndef MTASTS_SYS_HEAP_H
#define MTASTS_SYS_HEAP_H

/* Once, before there are threads. */
void heap_init(void);
/* Gives back what is free now: milliseconds after a build, microseconds when there is nothing. */
void heap_trim(void);

#endif
