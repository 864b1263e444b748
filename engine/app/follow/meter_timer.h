/* Reads the uplinks' meters from the loop, while bytes move. */
#ifndef STEERWAY_FOLLOW_METER_TIMER_H
#define STEERWAY_FOLLOW_METER_TIMER_H

#include <ev.h>

struct uplink_set;

struct meter_timer {
    ev_timer timer;
    struct ev_loop *loop;
    struct uplink_set *uplinks;
    double read_s;               /* time of the last reading */
    void (*was_read)(void *arg); /* called after each reading; NULL for none */
    void *arg;
};

/** Embedded by its owner, who must not move it; uplinks and loop must outlive it. */
void meter_timer_init(struct meter_timer *t, struct ev_loop *loop, struct uplink_set *uplinks);
/** Harmless on zeroes. */
void meter_timer_done(struct meter_timer *t);

#endif
