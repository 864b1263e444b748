/* Deadlines of many, by one timer: to set or cancel one costs no more than a list's link, however many there
 * are. Meant for what is mostly cancelled, or found to be not due yet. */
#ifndef STEERWAY_NET_WHEEL_H
#define STEERWAY_NET_WHEEL_H

#include "base/list.h"

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

/* Deadlines of one tick share a slot, and those of later turns of the wheel as well. */
enum { WHEEL_TICKS_A_S = 16, WHEEL_SLOTS = 256 };

/** Embedded in what has a deadline. Zero-initialised has none. */
struct wheel_entry {
    struct list node;
    uint32_t due; /* tick */
};

struct wheel;

/** The deadline has come: the entry is off the wheel, may be set again and may be freed. */
typedef void wheel_rang_fn(struct wheel *w, struct wheel_entry *e);

struct wheel {
    struct ev_loop *loop;
    wheel_rang_fn *rang;
    ev_timer timer; /* runs while there are deadlines */
    uint32_t done;  /* all slots up to this tick have been looked at */
    uint32_t next;  /* tick for which the timer is set */
    uint64_t occupied[WHEEL_SLOTS / 64];
    struct list slots[WHEEL_SLOTS];
};

/** Must not move afterwards. */
void wheel_init(struct wheel *w, struct ev_loop *loop, wheel_rang_fn *rang);
/** Stops the timer; entries are left as they are. */
void wheel_done(struct wheel *w);

/** Have it ring after so many seconds, or up to a tick later; one that was set is moved.
 *  @param after_s  up to four years; what is below 0 counts as 0 */
void wheel_set(struct wheel *w, struct wheel_entry *e, double after_s);
/** Harmless on one that is not set. */
void wheel_cancel(struct wheel_entry *e);

static inline bool wheel_is_set(const struct wheel_entry *e)
{
    return e->node.next;
}

/** Seconds until it rings; for one that is set. */
double wheel_left_s(const struct wheel_entry *e);

#endif
