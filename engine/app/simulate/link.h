/* One direction of an uplink. The flows on it share its capacity equally (processor sharing). */
#ifndef STEERWAY_SIMULATE_LINK_H
#define STEERWAY_SIMULATE_LINK_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LINK_BINS = 960 };

struct link_flow {
    double finish; /* on the link's virtual clock */
    uint32_t flow; /* the model's number */
};

/** The virtual clock counts the bytes that each flow has been given since the beginning. A flow's end is a
 * fixed time on it, so a heap finds the next one to end. */
struct link {
    double capacity; /* bytes/s, > 0 */
    double served;   /* the virtual clock */
    double at;       /* real time of the last update */
    struct link_flow *heap;
    size_t n, cap;
    uint64_t version; /* changes with the set of flows: an event with an older version is void */

    double carried; /* bytes */
    /* Bytes carried over time, in bins that become wider as time passes. */
    double bins[LINK_BINS], bin_s;
};

/** @param capacity  bytes/s */
void link_init(struct link *l, double capacity);
void link_done(struct link *l);

/** Advance the clocks to now. */
void link_advance(struct link *l, double now);
/** Start a flow of that many bytes. @return 0 or -ENOMEM */
MUST_CHECK int link_begin(struct link *l, double now, uint32_t flow, double bytes);
/** The time at which the next flow ends if no flow joins or leaves; infinity without flows. */
double link_next(const struct link *l);
/** Remove a flow that has ended by now. @return false when there is none */
bool link_take_done(struct link *l, double now, uint32_t *ret_flow);
/** Bytes carried between two times, with the resolution of the bins. */
double link_carried(const struct link *l, double from, double to);
/** Remove any flow because of an outage. @return false when there is none */
bool link_break_one(struct link *l, double now, uint32_t *ret_flow);

#endif
