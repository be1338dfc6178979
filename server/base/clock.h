/*
 * Time. Wall clock for KMIP dates and audit, monotonic clock for deadlines; nothing else asks the
 * system for the time.
 */
#ifndef SERVER_BASE_CLOCK_H
#define SERVER_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_wall_s(void);       /* seconds since 1970 UTC */
int64_t clock_wall_us(void);      /* microseconds since 1970 UTC */
int64_t clock_monotonic_us(void); /* microseconds since some fixed point */

#endif
