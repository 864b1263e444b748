/* A queue of events in the order of their time; events at the same time keep the order in which they were
 * added. */
#ifndef STEERWAY_SIMULATE_EVENTS_H
#define STEERWAY_SIMULATE_EVENTS_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event {
    double t;
    uint64_t seq;
    uint64_t version; /* lets the planner recognise an event that has become void */
    uint32_t what, whom;
};

struct events {
    struct event *heap;
    size_t n, cap;
    uint64_t seq;
};

/** @return 0 or -ENOMEM */
MUST_CHECK int events_add(struct events *e, double t, uint32_t what, uint32_t whom, uint64_t version);
/** @return false when there is none */
bool events_take(struct events *e, struct event *ret);
/** When the next one is; infinity for never. */
double events_next(const struct events *e);
void events_done(struct events *e);

#endif
