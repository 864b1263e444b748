/* Runs a policy's timers on the loop. */
#ifndef STEERWAY_FOLLOW_POLICY_TIMER_H
#define STEERWAY_FOLLOW_POLICY_TIMER_H

#include "policy/policy.h"

#include <ev.h>

struct policy_timer {
    ev_timer timer;
    struct ev_loop *loop;
    struct policy *policy;
};

/** Embedded by its owner, who must not move it; policy and loop must outlive it. */
void policy_timer_init(struct policy_timer *t, struct ev_loop *loop, struct policy *policy);
/** Harmless on zeroes. */
void policy_timer_done(struct policy_timer *t);

#endif
