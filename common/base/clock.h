/*
 * clock - the two clocks behind functions that tests can replace.
 *
 * Engines never call these: they are given the time as a parameter.
 */
#ifndef ENMA_BASE_CLOCK_H
#define ENMA_BASE_CLOCK_H

#include <time.h>

#include "common/base/defs.h"

int64_t clock_mono_ms(void);            /* monotonic milliseconds, arbitrary origin, same for all processes of a host */
int64_t clock_mono_us(void);
int64_t clock_wall_s(void);             /* seconds since 1970 */
struct timespec clock_mono_at(int64_t mono_ms);         /* for pthread_cond_timedwait with CLOCK_MONOTONIC */

#endif
