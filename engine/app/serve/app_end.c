/* The end that a signal asks for: at once, or when the open connections have ended. */
#include "serve/app.h"

static void end_now(struct app *a)
{
    proxy_stop(&a->proxy);
    ev_break(a->loop, EVBREAK_ALL);
}

static void log_connections(const struct app *a, enum log_event event)
{
    struct log_line l;

    log_begin(&l, event);
    log_u64(&l, "connections", a->proxy.n_sessions);
    log_end(&l);
}

static void on_drain_over(struct ev_loop *loop, ev_timer *w, int events)
{
    struct app *a = container_of(w, struct app, drain);

    (void)loop;
    (void)events;
    log_connections(a, EVENT_DRAIN_TIMEOUT);
    end_now(a);
}

void app_limit_drain(struct app *a)
{
    ev_timer_init(&a->drain, on_drain_over, a->config->drain_timeout_s, 0.);
    ev_timer_start(a->loop, &a->drain);
}

void app_end(struct app *a)
{
    bool first = !a->proxy.draining || (a->takeover.over && !a->takeover.stopping);

    if (!first) {
        log_connections(a, EVENT_STOPPING_NOW);
        return end_now(a);
    }
    if (!a->takeover.over)
        service_say("STOPPING=1\nSTATUS=finishing %zu connections", a->proxy.n_sessions);
    a->takeover.stopping = true;
    ev_timer_stop(a->loop, &a->drain);
    capture_keeper_close(&a->capture); /* new traffic flows past from now on */
    proxy_drain(&a->proxy);
    struct log_line l;
    log_begin(&l, EVENT_STOPPING);
    log_u64(&l, "connections", a->proxy.n_sessions);
    log_num(&l, "seconds", a->config->drain_timeout_s);
    log_end(&l);
    app_limit_drain(a);
}
