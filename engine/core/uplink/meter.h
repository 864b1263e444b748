/* The meter of one direction of an uplink: what it carries at present, and what it can carry, as learned from
 * use. Pure arithmetic over octets and seconds, fed a few times a second by whoever has a clock.
 *
 * A capacity is learned from plateaus: three seconds in a row that carried about the same (the least of them
 * three quarters of the most or more), with somebody busy all the time, and no less than 128 kbit/s, below
 * which a call or a game is steady without filling anything. The least of the three is then known to be
 * possible: capacity rises to it at once. On a plateau below it capacity falls towards it, by half in an
 * hour. So one burst teaches nothing, nor does idleness, nor light use that comes and goes; what is learned
 * is never more than what was carried, and what a line has lost is forgotten in hours. */
#ifndef STEERWAY_UPLINK_METER_H
#define STEERWAY_UPLINK_METER_H

#include <stdbool.h>
#include <stddef.h>

enum { METER_PLATEAU = 3 };

/** Zero-initialised: nothing carried, nothing known. */
struct meter {
    double rate;                 /* octets/s, smoothed over a second */
    double capacity;             /* octets/s; 0 for not known yet */
    double octets, s;            /* of the second under way */
    double level[METER_PLATEAU]; /* octets/s of the latest seconds, the latest first */
    size_t n_levels;
};

/** Take what was carried since the last tick.
 *  @param s     how long ago that was, > 0
 *  @param busy  whether a connection by this uplink moves anything; without, plateaus end */
void meter_tick(struct meter *m, double octets, double s, bool busy);

/** Whether further ticks without octets would change nothing. */
static inline bool meter_rests(const struct meter *m)
{
    return m->rate <= 0 && m->octets <= 0 && m->n_levels == 0;
}

#endif
