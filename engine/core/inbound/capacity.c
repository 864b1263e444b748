#include "inbound/capacity.h"

#include "inbound/session.h"

#include "base/clock.h"

/* --- clients without a request -------------------------------------------------------------------------- */

static void close_stranger(struct proxy *p)
{
    struct log_line l;
    uint32_t hidden;

    if (log_limit_pass(&p->stranger_limit, clock_now_s(), 1, &hidden)) {
        log_begin(&l, EVENT_IDLE_CLIENTS_CLOSED);
        log_u64(&l, "most", p->settings.strangers_max);
        log_hidden(&l, hidden);
        log_end(&l);
    }
    session_close(container_of(p->strangers.next, struct session, stranger), NULL);
}

/* The oldest one: a client with a request sends it within milliseconds. */
void capacity_bound_strangers(struct proxy *p)
{
    if (p->n_strangers > p->settings.strangers_max)
        close_stranger(p);
}

/* --- descriptors ---------------------------------------------------------------------------------------- */

/* A client without a request is closed after this time if others wait for its place. */
static const double STRANGER_S = 1;
/* How often that is looked at while clients wait. The end of a session is noticed at once. */
static const double LOOK_S = 0.5;

static bool lacks_room(const struct proxy *p)
{
    size_t most = p->settings.sessions_max;

    return most > 0 && p->n_sessions > 0 && p->n_sessions + p->udp.n_ways >= most;
}

static bool has_old_stranger(const struct proxy *p)
{
    if (list_is_empty(&p->strangers))
        return false;
    const struct session *s = container_of(p->strangers.next, struct session, stranger);
    double since_s = s->admit_by_s - p->settings.handshake_timeout_s;
    return clock_coarse_s() >= since_s + STRANGER_S;
}

static void log_full(struct proxy *p)
{
    struct log_line l;
    uint32_t hidden;

    if (!log_limit_pass(&p->starvation_limit, clock_now_s(), 1, &hidden))
        return;
    log_begin(&l, EVENT_ACCEPT_FAILED);
    log_str(&l, "error", "new clients wait: the open files suffice for no more");
    log_u64(&l, "sessions", p->n_sessions);
    log_hidden(&l, hidden);
    log_end(&l);
}

static void hold_listeners(struct proxy *p, bool held)
{
    for (size_t i = 0; i < p->n_listeners; i++)
        listener_hold(&p->listeners[i]->listener, held);
}

static void set_full(struct proxy *p, bool full)
{
    bool was_full = p->full;

    p->full = full;
    if (full || was_full)
        hold_listeners(p, full); /* also one that was opened since */
    if (full == was_full)
        return;
    if (!full)
        return ev_timer_stop(p->loop, &p->waiting);
    ev_timer_again(p->loop, &p->waiting);
    log_full(p);
}

void capacity_look(struct proxy *p)
{
    if (p->draining)
        return ev_timer_stop(p->loop, &p->waiting);
    while (lacks_room(p) && has_old_stranger(p))
        close_stranger(p);
    set_full(p, lacks_room(p));
}

static void on_waiting(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    capacity_look(container_of(w, struct proxy, waiting));
}

void capacity_init(struct proxy *p)
{
    ev_timer_init(&p->waiting, on_waiting, 0., LOOK_S);
}
