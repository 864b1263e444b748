/* One direction of an emulated line: when each packet arrives, or that it does not. Pure arithmetic over
 * seconds and bytes; linkemu.c has the devices and the clock.
 *
 * A packet passes three stages. It waits in a queue of limited length until the line is free; a full queue
 * drops it. The line carries it at its rate, and may lose it on the way. What remains arrives
 * after the delay. Packets keep their order, whatever the jitter. */
#ifndef STEERWAY_LAB_LINK_MODEL_H
#define STEERWAY_LAB_LINK_MODEL_H

#include "base/keyed_hash.h"

#include <stddef.h>
#include <stdint.h>

struct link_traits {
    double rate;        /* bytes/s, > 0 */
    double delay_s;     /* one way, beside the time on the line */
    double jitter_s;    /* at most so much is added to the delay, evenly distributed */
    double queue_bytes; /* that wait or are on the line; an idle line takes any packet */
    double loss;        /* share of the packets, 0 to 1 */
};

enum link_fate {
    LINK_CARRIED,
    LINK_LOST, /* on the line, by chance */
    LINK_FULL, /* the queue had no room */
};

struct link_model {
    struct link_traits traits;
    struct hash_key chance;
    uint64_t n;         /* packets so far */
    double free_at_s;   /* when the line has carried all that wait */
    double latest_at_s; /* when the latest packet arrives */
};

/** Each packet's chance depends on the seed, the direction and the packet's number alone: the same seed loses
 *  the same packets. */
void link_model_init(struct link_model *m, const struct link_traits *traits, uint64_t seed,
                     uint64_t direction);

/** A packet comes to the queue.
 *  @param ret_at_s  when it arrives at the other end; untouched unless it is carried */
enum link_fate link_model_take(struct link_model *m, double now_s, size_t bytes, double *ret_at_s);

/** Forget what waits and what is under way. */
void link_model_clear(struct link_model *m);

#endif
