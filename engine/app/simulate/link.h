/* One direction of an uplink: its capacity, shared fairly by the flows on it (processor sharing). */
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

/** The virtual clock counts the octets that each flow has been given since the beginning: so who leaves next
 * is known without a look at all of them. */
struct link {
    double capacity; /* octets/s, > 0 */
    double served;   /* the virtual clock */
    double at;       /* real time as of which it stands */
    struct link_flow *heap;
    size_t n, cap;
    uint64_t version; /* of what is on it: an event that was made for another one is void */

    double carried; /* octets */
    /* What was carried over time, in bins that widen as time goes on. */
    double bins[LINK_BINS], bin_s;
};

/** @param capacity  octets/s */
void link_init(struct link *l, double capacity);
void link_done(struct link *l);

/** Let time go on to now. */
void link_advance(struct link *l, double now);
/** A flow begins to move so many octets. @return 0 or -ENOMEM */
MUST_CHECK int link_begin(struct link *l, double now, uint32_t flow, double octets);
/** When the next flow will be done, if nothing else happens; infinity for never. */
double link_next(const struct link *l);
/** Take the flow that is done by now off the link. @return false when there is none */
bool link_take_done(struct link *l, double now, uint32_t *ret_flow);
/** Octets that it carried between two times, as far as its bins tell. */
double link_carried(const struct link *l, double from, double to);
/** Take any flow off the link: its service breaks. @return false when there is none */
bool link_break_one(struct link *l, double now, uint32_t *ret_flow);

#endif
