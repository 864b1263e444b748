/* The meter of one direction of an uplink: its present rate, and the capacity that is learned from use. Pure
 * arithmetic over bytes and seconds, fed a few times a second.
 *
 * Capacity is learned from plateaus: three seconds in a row whose rates differ little, while some connection
 * is busy all the time. The least rate must be at least three quarters of the most. Rates below 128 kbit/s do
 * not count, as a call or a game is steady at such a rate without filling the line. The least of the three is
 * a rate that the line can carry, so capacity rises to it at once. A plateau below it lets capacity fall
 * towards it, by half in an hour. So a single burst, idle time and intermittent light use teach nothing.
 * Capacity is never above what was carried, and it follows a line that became slower within hours. */
#ifndef STEERWAY_UPLINK_METER_H
#define STEERWAY_UPLINK_METER_H

#include <stdbool.h>
#include <stddef.h>

enum { METER_PLATEAU = 3 };

/** Zero-initialised: nothing carried, nothing known. */
struct meter {
    double rate;                 /* bytes/s, smoothed over a second */
    double capacity;             /* bytes/s; 0: not known yet */
    double bytes, s;             /* of the second that runs */
    double level[METER_PLATEAU]; /* bytes/s of the latest seconds, the latest first */
    size_t n_levels;
};

/** Add the bytes that were carried since the last tick.
 *  @param s     since the last tick, > 0
 *  @param busy  whether a connection on this uplink moves bytes; without one, plateaus end */
void meter_tick(struct meter *m, double bytes, double s, bool busy);

/** Whether further ticks without bytes would change nothing. */
static inline bool meter_rests(const struct meter *m)
{
    return m->rate <= 0 && m->bytes <= 0 && m->n_levels == 0;
}

#endif
