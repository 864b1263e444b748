/* Out of the caller's stack, but before the loop waits again: a timer of no time, without the turn of the
 * loop that one costs. */
#ifndef STEERWAY_NET_DEFER_H
#define STEERWAY_NET_DEFER_H

#include <ev.h>

/** Have the timer ring once what is under way has returned. ev_timer_stop takes it back. */
static inline void defer(struct ev_loop *loop, ev_timer *timer)
{
    ev_timer_stop(loop, timer);
    if (ev_depth(loop) > 0) {
        ev_feed_event(loop, timer, EV_TIMER);
        return;
    }
    /* Outside of the loop nobody would look for what is fed, once it begins to wait. */
    ev_timer_set(timer, 0., 0.);
    ev_timer_start(loop, timer);
}

#endif
