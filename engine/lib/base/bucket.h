/* Token buckets: a limit of so many a second, with a burst. The caller passes the time, so a bucket is pure.
 * Threads may share one: it is a single number, changed without a lock. Without ordering between threads, a
 * bucket guards nothing but itself.
 *
 * A bucket keeps the time at which it is full again (the "theoretical arrival time" of GCRA, ITU-T I.371). */
#ifndef STEERWAY_BASE_BUCKET_H
#define STEERWAY_BASE_BUCKET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/** Zero-initialised has no limit. */
struct bucket {
    _Atomic uint64_t full_at_ns; /* may be long past */
    _Atomic uint64_t rate;       /* units a second; 0: no limit */
    _Atomic uint64_t burst;      /* units that an idle bucket holds */
};

/** Set or change the rate, and the burst in units. What was taken stays taken. */
void bucket_set(struct bucket *b, uint64_t rate, uint64_t burst);

/** Take one unit, if there is one. */
bool bucket_take(struct bucket *b, uint64_t now_ns);

/** Take n units in any case, on credit if need be, so that takers have their turns in the order of their
 * calls. @return the time at which the bucket has them; now_ns or earlier: it had them */
uint64_t bucket_book(struct bucket *b, uint64_t n, uint64_t now_ns);

/** A rate cap on bytes, for each direction. */
struct cap {
    struct bucket up, down; /* from clients; to clients */
};

/** @param rate  bytes a second; 0: none */
void cap_set(struct cap *c, uint64_t rate);
uint64_t cap_rate(const struct cap *c);

#endif
