#include "follow/meter_timer.h"

#include "base/clock.h"
#include "uplink/uplink_set.h"

/* After a delay of the loop, two ticks may come in one turn; the second would divide by nearly zero. */
static const double LEAST_S = 0.01;

static void on_tick(struct ev_loop *loop, ev_timer *w, int events)
{
    struct meter_timer *t = container_of(w, struct meter_timer, timer);
    double now = clock_now_s(), s = now - t->read_s;

    (void)events;
    if (s < LEAST_S)
        return;
    t->read_s = now;
    if (!uplink_set_tick(t->uplinks, s))
        ev_timer_stop(loop, w);
    if (t->was_read)
        t->was_read(t->arg);
}

static void wake(void *arg)
{
    struct meter_timer *t = arg;

    t->read_s = clock_now_s();
    ev_timer_set(&t->timer, UPLINK_TICK_S, UPLINK_TICK_S);
    ev_timer_start(t->loop, &t->timer);
}

void meter_timer_init(struct meter_timer *t, struct ev_loop *loop, struct uplink_set *uplinks)
{
    *t = (struct meter_timer){.loop = loop, .uplinks = uplinks};
    ev_timer_init(&t->timer, on_tick, UPLINK_TICK_S, UPLINK_TICK_S);
    uplinks->pulse = (struct uplink_pulse){.wake = wake, .arg = t};
}

void meter_timer_done(struct meter_timer *t)
{
    if (!t->uplinks)
        return;
    t->uplinks->pulse.wake = NULL;
    ev_timer_stop(t->loop, &t->timer);
}
