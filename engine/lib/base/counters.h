/* The octets of one open connection, counted by the thread that moves them and read by any other. */
#ifndef STEERWAY_BASE_COUNTERS_H
#define STEERWAY_BASE_COUNTERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/** Zero-initialised is fresh. Who reads looks now and then, and tells by `resting` that it will not any more
 * until it hears of an octet. One that comes in that very moment may be told of with the next one only. */
struct counters {
    _Atomic uint64_t tx, rx; /* towards, and from, the destination */
    _Atomic bool resting;
};

static inline uint64_t counters_get(const _Atomic uint64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

/** For the one thread that writes. */
static inline void counters_add(_Atomic uint64_t *count, uint64_t n)
{
    atomic_store_explicit(count, counters_get(count) + n, memory_order_relaxed);
}

/** For the one that writes, after it has added: whether who reads must be told. */
static inline bool counters_wakes(struct counters *t)
{
    return atomic_load_explicit(&t->resting, memory_order_relaxed) && atomic_exchange(&t->resting, false);
}

#endif
