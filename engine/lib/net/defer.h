/* Call back after the present callback has returned, but before the loop waits. A timer of 0 s would cost a
 * turn of the loop. */
#ifndef STEERWAY_NET_DEFER_H
#define STEERWAY_NET_DEFER_H

#include <ev.h>

/** Let the timer fire once the present callback has returned. ev_timer_stop cancels it. */
static inline void defer(struct ev_loop *loop, ev_timer *timer)
{
    ev_timer_stop(loop, timer);
    if (ev_depth(loop) > 0) {
        ev_feed_event(loop, timer, EV_TIMER);
        return;
    }
    /* Outside of a callback, the loop would wait before it sees a fed event. */
    ev_timer_set(timer, 0., 0.);
    ev_timer_start(loop, timer);
}

#endif
