/* Clocks: the wall for ids and dates, the monotonic one for deadlines. */
#ifndef MTASTS_SYS_CLOCK_H
#define MTASTS_SYS_CLOCK_H

#include <stdint.h>
#include <time.h>

time_t clock_wall(void);           /* seconds since 1970 */
uint64_t clock_monotonic_ms(void); /* milliseconds from some start */

#endif
