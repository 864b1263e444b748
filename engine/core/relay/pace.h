/* Keeps a connection below its rate caps. What was read is taken from the bucket of each cap (base/bucket.h),
 * which several connections may share. Where a bucket had too little, the connection does not read until it
 * has refilled. As each read is small beside the rate, connections with one bucket have equal shares: they
 * read in turn. No pace at all is a null pointer, which costs nothing. */
#ifndef STEERWAY_RELAY_PACE_H
#define STEERWAY_RELAY_PACE_H

#include "base/bucket.h"

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PACE_CAPS_MAX = 3 };

/** Of one connection; they outlive its pace. */
struct pace_caps {
    struct cap *shared[PACE_CAPS_MAX];
    size_t n;
    uint64_t own; /* bytes a second for this connection alone; 0: no cap */
};

struct pace;

/** The direction may be read again. The callee must not free the pace. */
typedef void pace_woke_fn(void *arg, bool up);

/** @return NULL without caps, or without memory (then it has none) */
struct pace *pace_new(const struct pace_caps *caps, pace_woke_fn *woke, void *arg);
/** NULL is allowed. */
void pace_free(struct pace *p);

/** Wait on this loop, which reads. */
void pace_join(struct pace *p, struct ev_loop *loop);
/** It joins another loop later. What it waits for is forgotten: one read comes early. */
void pace_leave(struct pace *p);

/** Bytes for the next read. */
size_t pace_most(const struct pace *p);
/** So many bytes were read. */
void pace_note(struct pace *p, bool up, uint64_t n);

bool pace_is_waiting(const struct pace *p, bool up);
/** Whether the direction must not be read now. @param p  NULL: no caps */
static inline bool pace_waits(const struct pace *p, bool up)
{
    return p && pace_is_waiting(p, up);
}

#endif
