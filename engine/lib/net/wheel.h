/* Many deadlines on one timer: to set or cancel one costs a list operation, however many there are. Meant for
 * deadlines that are mostly cancelled, or found to be early. */
#ifndef STEERWAY_NET_WHEEL_H
#define STEERWAY_NET_WHEEL_H

#include "base/list.h"

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

/* Deadlines of one tick share a slot with those a full turn of the wheel later. */
enum { WHEEL_TICKS_A_S = 16, WHEEL_SLOTS = 256 };

/** Embedded in the object that has a deadline. Zero-initialised: none. */
struct wheel_entry {
    struct list node;
    uint32_t due; /* a tick */
};

struct wheel;

/** The deadline has passed: the entry is off the wheel, and may be set again or freed. */
typedef void wheel_rang_fn(struct wheel *w, struct wheel_entry *e);

struct wheel {
    struct ev_loop *loop;
    wheel_rang_fn *rang;
    ev_timer timer; /* runs while deadlines are set */
    uint32_t done;  /* slots up to this tick have been processed */
    uint32_t next;  /* the tick for which the timer is set */
    uint64_t occupied[WHEEL_SLOTS / 64];
    struct list slots[WHEEL_SLOTS];
};

/** Must not move afterwards. */
void wheel_init(struct wheel *w, struct ev_loop *loop, wheel_rang_fn *rang);
/** Stop the timer; entries stay as they are. */
void wheel_done(struct wheel *w);

/** Set or move a deadline. It fires after after_s, or up to a tick later.
 *  @param after_s  up to four years; below 0 counts as 0 */
void wheel_set(struct wheel *w, struct wheel_entry *e, double after_s);
/** Harmless if it is not set. */
void wheel_cancel(struct wheel_entry *e);

static inline bool wheel_is_set(const struct wheel_entry *e)
{
    return e->node.next;
}

/** Seconds until it fires; it must be set. */
double wheel_left_s(const struct wheel_entry *e);

#endif
