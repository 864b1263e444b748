#include "follow/policy_timer.h"

#include "base/clock.h"

#include <math.h>

static void on_due(struct ev_loop *loop, ev_timer *w, int events)
{
    struct policy_timer *t = container_of(w, struct policy_timer, timer);

    (void)loop;
    (void)events;
    policy_run_timers(t->policy);
}

static void wake_at(void *arg, double when)
{
    struct policy_timer *t = arg;
    double wait = when - clock_now_s();

    ev_timer_stop(t->loop, &t->timer);
    if (isinf(when))
        return;
    /* The loop's time may be old; a timer relative to it would fire too early. */
    ev_now_update(t->loop);
    ev_timer_set(&t->timer, wait > 0 ? wait : 0., 0.);
    ev_timer_start(t->loop, &t->timer);
}

void policy_timer_init(struct policy_timer *t, struct ev_loop *loop, struct policy *policy)
{
    *t = (struct policy_timer){.loop = loop, .policy = policy};
    ev_timer_init(&t->timer, on_due, 0., 0.);
    policy_attach(policy, &(struct policy_env){.wake_at = wake_at, .arg = t});
}

void policy_timer_done(struct policy_timer *t)
{
    if (!t->policy)
        return;
    policy_attach(t->policy, &(struct policy_env){.wake_at = NULL});
    ev_timer_stop(t->loop, &t->timer);
}
