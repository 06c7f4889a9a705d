/* Clocks: the wall for ids and dates, the monotonic one for deadlines. */
#ifndef MTASTS_SYS_CLOCK_H
#define MTASTS_SYS_CLOCK_H

#include <stdint.h>
#include <time.h>

time_t clock_wall(void);           /* seconds since 1970 */
uint64_t clock_monotonic_ms(void); /* milliseconds from some start */

enum { CLOCK_TEXT = 32 };
/* As RFC 3339 says, UTC: "2026-11-25T17:36:00Z"; returns `out`. What is before 1970 or after 9999
 * is shown as the first or last second of these. */
const char *clock_text(time_t t, char out[CLOCK_TEXT]);

#endif
