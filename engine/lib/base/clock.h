/* Monotonic time. */
#ifndef STEERWAY_BASE_CLOCK_H
#define STEERWAY_BASE_CLOCK_H

#include <time.h>

static inline double clock_read_s(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t); /* cannot fail for the clocks below */
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/** Seconds since a fixed point; never decreases. */
static inline double clock_now_s(void)
{
    return clock_read_s(CLOCK_MONOTONIC);
}

/** clock_now_s at the kernel's latest tick, up to 10 ms ago, for a fifth of the cost. */
static inline double clock_coarse_s(void)
{
    return clock_read_s(CLOCK_MONOTONIC_COARSE);
}

#endif
