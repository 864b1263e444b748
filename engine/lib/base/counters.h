/* The bytes of one open connection. The thread that moves them counts, and any other thread may read. */
#ifndef STEERWAY_BASE_COUNTERS_H
#define STEERWAY_BASE_COUNTERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/** Zero-initialised: nothing counted. The reader polls. Before it stops, it sets `resting`; the writer then
 * signals the next byte. A byte that moves just as `resting` is set may be signalled with the byte after it.
 */
struct counters {
    _Atomic uint64_t tx, rx; /* to the destination, and from it */
    _Atomic uint64_t left;   /* 0: counters_left is tx; else it is this minus 1 */
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

/** The bytes of tx that have left this machine, as far as the writer knows. A later call may return less. */
static inline uint64_t counters_left(const struct counters *t)
{
    uint64_t left = counters_get(&t->left);

    return left > 0 ? left - 1 : counters_get(&t->tx);
}

/** For that thread: so many bytes of tx wait in this machine. Bytes that are added later wait, too, until the
 * next call of this or of counters_hold_none. */
static inline void counters_hold(struct counters *t, uint64_t waiting)
{
    uint64_t tx = counters_get(&t->tx);

    atomic_store_explicit(&t->left, (waiting < tx ? tx - waiting : 0) + 1, memory_order_relaxed);
}

/** For that thread: whatever is added leaves at once. */
static inline void counters_hold_none(struct counters *t)
{
    atomic_store_explicit(&t->left, 0, memory_order_relaxed);
}

/** For that thread, after each counters_add: whether it must signal the reader. */
static inline bool counters_wakes(struct counters *t)
{
    return atomic_load_explicit(&t->resting, memory_order_relaxed) && atomic_exchange(&t->resting, false);
}

#endif
